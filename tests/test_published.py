"""Published curves and importers."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdbench import published
from rdbench.analysis.measured import notes_on
from rdbench.curve import Curve
from rdbench.errors import DataError, UsageError
from rdbench.published import (
    anchor_points,
    import_curve,
    import_curves,
    list_curves,
    load_curve,
)

COMPRESSAI = """{
  "name": "mbt2018-mean",
  "description": "Inference (ans), [draft,]",
  "results": {
    "psnr-rgb": [28.1, 30.0, 32.5, 34.9,],
    "ms-ssim-rgb": [0.92, 0.95, 0.97, 0.98],
    "bpp": [0.12, 0.24, 0.47, 0.83,],
  },
}"""

LOSSY_VAE = """{
  "name": "qarv_base", "test-set": "kodak", "lambdas": [16, 64, 256, 2048],
  "results": {"bpp": [0.21, 0.45, 0.87, 2.2], "mse": [1e-3, 4e-4, 2e-4, 4e-5,],
              "psnr": [30.3, 33.9, 37.7, 44.4]}
}"""


def test_every_curve_has_its_source_and_protocol():
    curves = list_curves()
    assert len(curves) == 87
    for curve in curves:
        assert curve.source == "published"
        assert {"repository", "path", "commit", "trained_for"} <= curve.provenance.keys()
        assert {"scored", "rate", "aggregation"} <= curve.protocol.keys()
        assert curve.has("psnr_rgb")
        assert len(curve.bpp) >= 4
        assert isinstance(curve.variable_rate, bool), curve.codec
        assert {a.kind for a in notes_on(curve)} <= {"note"}
        json.dumps(curve.row(), allow_nan=False)


def test_curves_of_one_data_set():
    assert {c.dataset for c in list_curves("clic2022")} == {"clic2022"}
    assert [c.codec for c in list_curves("clic2022")] == ["qarv", "qres-vae", "vtm18"]


def test_a_published_curve_in_full():
    curve = load_curve("kodak", "vtm18")
    assert (curve.codec, curve.label, curve.dataset) == ("vtm18", "vtm18", "kodak")
    assert (curve.rate_parameter, curve.rate_values[0], curve.rate_values[-1]) == ("qp", 50, 15)
    at_47 = curve.rate_values.index(47)
    assert curve.bpp[at_47] == pytest.approx(0.048129, abs=5e-7)
    assert curve.scores["psnr_rgb"][at_47] == pytest.approx(26.15671, abs=5e-6)
    assert curve.provenance["repository"] == "duanzhiihao/lossy-vae"
    assert curve.protocol["scored"] == "8-bit"
    assert curve.variable_rate is True
    assert load_curve("kodak", "mbt2018").variable_rate is False


def test_variants_of_a_codec_are_curves_of_their_own():
    plain, in_8_bit = load_curve("kodak", "mbt2018"), load_curve("kodak", "mbt2018.8bit")
    assert (plain.protocol["scored"], in_8_bit.protocol["scored"]) == ("float", "8-bit")
    trained = load_curve("kodak", "mbt2018.ms-ssim").provenance["trained_for"]
    assert trained == "ms-ssim"


def test_the_note_of_a_curve_is_an_anomaly():
    (note,) = notes_on(load_curve("kodak", "vtm-compressai"))
    assert "Prefer vtm18" in note.message


def test_unknown_names_get_the_closest():
    with pytest.raises(UsageError, match="'qarv'"):
        load_curve("kodak", "qavr")
    with pytest.raises(UsageError, match="did you mean 'kodak'"):
        load_curve("kodac", "qarv")
    with pytest.raises(UsageError, match="did you mean 'clic2022'"):
        list_curves("clic-2022")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A folder in place of the registered packages."""
    folder = tmp_path / "published"
    (folder / "mine").mkdir(parents=True)
    monkeypatch.setattr(published, "_folders", lambda: [folder])
    published._files.cache_clear()
    published._codecs.cache_clear()
    yield folder
    published._files.cache_clear()
    published._codecs.cache_clear()


def test_a_stranger_s_curves(package):
    body = {
        "codec": "x", "trained_for": "mse", "source": {"repository": "r"},
        "protocol": {"scored": "float"},
        "points": [{"bpp": 0.2, "psnr_db": 31}, {"bpp": 0.1, "psnr_db": 30, "ms_ssim": 0.9}],
    }  # fmt: skip
    (package / "mine" / "x.json").write_text(json.dumps(body))
    curve = load_curve("mine", "x")
    assert curve.bpp.tolist() == [0.1, 0.2]
    assert curve.scores["ms_ssim"][0] == 0.9
    assert math.isnan(curve.scores["ms_ssim"][1])
    assert curve.variable_rate is None
    assert len(curve.points("ms_ssim")[0]) == 1


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"points": 3}', '{"points": [], "codec": "x"}'])
def test_a_stranger_s_broken_file(package, text):
    (package / "mine" / "x.json").write_text(text)
    with pytest.raises(DataError, match="is not a curve file"):
        load_curve("mine", "x")


def test_two_packages_with_the_same_curve(package, monkeypatch):
    (package / "mine" / "x.json").write_text("{}")
    monkeypatch.setattr(published, "_folders", lambda: [package, package])
    with pytest.raises(DataError, match="two packages publish x on mine"):
        list_curves()


def test_anchor_points(package):
    assert anchor_points("vtm18") == []
    point = {"spec": "vtm18:qp=47", "dataset": "kodak", "image": "kodim01.png",
             "image_sha256": "00", "n_bytes": 1, "psnr_rgb": 26.5}  # fmt: skip
    (package / "anchors.json").write_text(json.dumps({"vtm18": [point]}))
    (found,) = anchor_points("vtm18")
    assert (found.spec, found.n_bytes) == ("vtm18:qp=47", 1)


def written(tmp_path, text, name="kodak/model.json"):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_compressai_with_trailing_commas(tmp_path):
    path = written(tmp_path, COMPRESSAI)
    curve = import_curve(path)
    assert (curve.codec, curve.dataset, curve.source) == ("mbt2018-mean", "kodak", "imported")
    assert curve.bpp.tolist() == [0.12, 0.24, 0.47, 0.83]
    assert curve.scores["psnr_rgb"].tolist() == [28.1, 30.0, 32.5, 34.9]
    assert curve.scores["ms_ssim"].tolist() == [0.92, 0.95, 0.97, 0.98]
    assert curve.provenance["path"] == str(path)
    named = import_curve(path, dataset="tecnick", codec="mine")
    assert (named.codec, named.dataset) == ("mine", "tecnick")


def test_compressai_older_names_and_db(tmp_path):
    older = '{"results": {"psnr": [30, 31], "ms-ssim": [0.9, 0.91], "bpp": [0.1, 0.2]}}'
    assert import_curve(written(tmp_path, older)).scores["ms_ssim"].tolist() == [0.9, 0.91]
    in_db = '{"results": {"ms-ssim-db-rgb": [10, 20], "bpp": [0.1, 0.2]}}'
    curve = import_curve(written(tmp_path, in_db))
    assert curve.scores["ms_ssim"].tolist() == pytest.approx([0.9, 0.99])
    assert curve.points("ms_ssim")[1].tolist() == pytest.approx([10, 20])


def test_lossy_vae(tmp_path):
    curve = import_curve(written(tmp_path, LOSSY_VAE, "results/qarv.json"))
    assert (curve.codec, curve.dataset) == ("qarv_base", "kodak")
    assert (curve.rate_parameter, curve.rate_values) == ("lambda", (16, 64, 256, 2048))
    assert curve.scores.keys() == {"psnr_rgb"}


def test_lossy_vae_without_results(tmp_path):
    flat = '{"bpp": [2.8, 2.5,], "psnr": [44.5, 43.9]}'
    curve = import_curve(written(tmp_path, flat))
    assert curve.bpp.tolist() == [2.5, 2.8]
    assert curve.dataset == "kodak"
    other = '{"dataset_name": "clic2022", "results": {"bpp": [1, 2], "psnr": [40, 41]}}'
    assert import_curve(written(tmp_path, other)).dataset == "clic2022"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ('{"results": {"bpp": [1,,2]}}', "is not JSON"),
        ("[1, 2]", "holds no JSON object"),
        ("{}", "holds no bpp"),
        ('{"results": {}}', "holds no bpp"),
        ('{"results": {"bpp": [1, 2]}}', "holds no bpp"),
        ('{"results": {"bpp": [1, 2], "psnr": [1]}}', "one length"),
        ('{"results": {"bpp": [1, 2], "psnr": "high"}}', "not a list of numbers"),
        ('{"results": {"bpp": [1, 2], "psnr": [30, NaN]}}', "not a list of numbers"),
        ('{"results": {"bpp": [1, 0], "psnr": [30, 31]}}', "positive number"),
    ],
)
def test_files_that_hold_no_curve(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        import_curve(written(tmp_path, text))


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match="cannot read"):
        import_curve(tmp_path / "none.json")
    path = tmp_path / "bytes.json"
    path.write_bytes(b"\xff\xfe{}")
    with pytest.raises(DataError, match="cannot read"):
        import_curve(path)


@given(st.text(st.characters(codec="ascii"), max_size=30))
def test_trailing_commas_and_comments_leave_texts_alone(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("import") / "x.json"
    body = {"note": text + ",] // /* */", "results": {"bpp": [1, 2], "psnr": [30, 31]}}
    path.write_text('// "a"\n' + json.dumps(body)[:-1] + ', /* ",\n" */ }')
    assert published._tolerant_json(path) == body


def test_no_two_published_files_hold_the_same_points():
    """CompressAI's 8-bit curves of models trained for MS-SSIM are copies of other ones."""
    seen = {}
    for curve in list_curves():
        scores = tuple(tuple(curve.scores[m]) for m in sorted(curve.scores))
        key = (tuple(curve.bpp), scores)
        assert key not in seen, f"{curve.codec} on {curve.dataset} is {seen[key]}"
        seen[key] = f"{curve.codec} on {curve.dataset}"
    assert not [c.codec for c in list_curves() if c.codec.endswith(".ms-ssim.8bit")]


def test_validation_and_test_sets_of_clic_2020_are_different_data_sets():
    from rdbench.datasets import manifests

    names = {c.dataset for c in list_curves()}
    assert "clic2020-professional" not in names | set(manifests())
    assert [c.codec for c in list_curves("clic2020-valid-professional")] == ["qvrf-mbt2018"]
    for name in ("clic2020-test-professional", "clic2020-test-mobile"):
        sources = {c.provenance["repository"] for c in list_curves(name)}
        assert sources == {"InterDigitalInc/CompressAI"}
        assert name not in manifests()
    assert manifests()["clic2020-valid-professional"].n_images == 41


def test_a_point_without_a_score_leaves_the_others(tmp_path):
    body = {"bpp": [0.12, 0.24, 0.47, 0.83, 9.9], "psnr-rgb": [28.1, 30.0, 32.5, 34.9, None],
            "ms-ssim-rgb": [0.92, 0.95, 0.97, 0.985, 1.0]}  # fmt: skip
    curve = import_curve(written(tmp_path, json.dumps({"results": body})))
    assert curve.points("psnr")[0].tolist() == [0.12, 0.24, 0.47, 0.83]
    assert len(curve.points("ms_ssim")[0]) == 4


def test_our_own_export_of_a_lossless_point_is_read_back(tmp_path):
    from rdbench.report.export import compressai_files

    curve = Curve(
        codec="c", label="c:x=1", dataset="d", source="measured",
        bpp=np.array([0.1, 0.2, 0.4, 0.8, 9.0]), specs=("c:q=1",) * 5,
        scores={"psnr_rgb": np.array([30, 32, 34, 36, np.nan])},
    )  # fmt: skip
    ((name, text),) = compressai_files([curve], []).items()
    back = import_curve(written(tmp_path, text, f"d/{name}"))
    assert (back.codec, back.dataset) == ("c:x=1", "d")
    assert [p.tolist() for p in back.points()] == [p.tolist() for p in curve.points()]


@pytest.mark.parametrize("name", ["ms-ssim-db", "ms-ssim-db-rgb", "ms-ssim", "ms-ssim-rgb"])
def test_ms_ssim_in_db_is_taken_as_such(tmp_path, name):
    body = {"results": {"bpp": [0.1, 0.2], "psnr": [28, 30], name: [10.0, 20.0]}}
    curve = import_curve(written(tmp_path, json.dumps(body)))
    assert curve.scores["ms_ssim"].tolist() == pytest.approx([0.9, 0.99])
    said = [note.message for note in curve.notes]
    assert ("taken for MS-SSIM in dB" in "".join(said)) == ("db" not in name)


def nested(depth):
    return '{"results": {"bpp": ' + "[" * depth + "]" * depth + ', "psnr": [30]}}'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (nested(100_000), "nested too deeply"),
        (nested(500), "'bpp' is not a list of numbers"),
        ('{"results": {"bpp": [1], "psnr": [Infinity]}}', "'psnr' is not a list of numbers"),
        ('{"results": {"bpp": [NaN], "psnr": [30]}}', "'bpp' is not a list of numbers"),
        ('{"results": {"bpp": [1], "psnr": [1%s]}}' % ("0" * 400), "not a list of numbers"),
        ('{"results": {"bpp": [1], "psnr": [1%s]}}' % ("0" * 5000), "is not JSON"),
        ('{"results": {"bpp": ["0.1"], "psnr": [30]}}', "'bpp' is not a list of numbers"),
        ('{"results": {"bpp": [true], "psnr": [30]}}', "'bpp' is not a list of numbers"),
        ('{"results": {"bpp": 0.1, "psnr": 30}}', "'bpp' is not a list of numbers"),
        ('{"results": {"bpp": [null], "psnr": [30]}}', "'bpp' is not a positive number"),
        ('{"results": {"bpp": [], "psnr": []}}', "holds no bpp"),
        ('{"results": {"bpp": [1, 2], "ms-ssim": [0.9, 12.5]}}', "neither MS-SSIM from 0 to 1"),
        ('{"results": {"bpp": [1, 2], "ms-ssim": [97.1, 98.2]}}', "neither MS-SSIM from 0 to 1"),
        ('{"results": {"bpp": [1, 2], "ms-ssim": [-0.1, 0.2]}}', "neither MS-SSIM from 0 to 1"),
    ],
    ids=range(14),
)
@pytest.mark.filterwarnings("error")
def test_a_file_with_something_else_than_numbers_is_named(tmp_path, text, message):
    path = written(tmp_path, text)
    with pytest.raises(DataError, match=message) as caught:
        import_curve(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_stranger_s_numbers_are_numbers(package):
    body = {"codec": "x", "trained_for": "mse", "source": {}, "protocol": {},
            "points": [{"bpp": "0.2", "psnr_db": 31}]}  # fmt: skip
    (package / "mine" / "x.json").write_text(json.dumps(body))
    with pytest.raises(DataError, match=r"x\.json is not a curve file"):
        load_curve("mine", "x")
    (package / "mine" / "x.json").write_text(nested(100_000))
    with pytest.raises(DataError, match="nested too deeply"):
        load_curve("mine", "x")


def test_a_curve_has_the_name_in_its_file(tmp_path):
    body = {"results": {"bpp": [0.1], "psnr": [30]}}
    for name, expected in (("mine", "mine"), ("", "file"), (3, "file"), (None, "file")):
        path = written(tmp_path, json.dumps({"name": name, **body}), "kodak/file.json")
        assert import_curve(path).codec == expected


def test_files_of_one_name_are_told_apart(tmp_path):
    text = json.dumps({"name": "m", "results": {"bpp": [0.1], "psnr": [30]}})
    paths = [written(tmp_path, text, f"{f}.json") for f in ("a/one", "a/two", "b/one")]
    labels = [c.label for c in import_curves(paths[:2], "set")]
    assert labels == ["m (one)", "m (two)"]
    labels = [c.label for c in import_curves(paths, "set")]
    assert labels == [f"m ({paths[0]})", "m (two)", f"m ({paths[2]})"]
    assert [c.label for c in import_curves([paths[0], paths[2]])] == ["m", "m"]
    assert [c.label for c in import_curves([paths[0], paths[0]])] == ["m"]


@pytest.mark.parametrize(
    ("said", "dataset", "is_noted"),
    [
        ("CLIC 2022 test set", "kodak", True),
        ("CLIC 2022 test set", "clic2022", False),
        ("Kodak", "kodak", False),
        ("kodak", None, False),
        ("", "kodak", False),
    ],
)
def test_a_curve_of_another_data_set_is_noted(tmp_path, said, dataset, is_noted):
    body = {"test-set": said, "results": {"bpp": [0.1, 0.2, 0.4, 0.8], "psnr": [26, 29, 32, 35]}}
    (curve,) = import_curves([written(tmp_path, json.dumps(body))], dataset)
    text = "model.json says that it was measured on 'CLIC 2022 test set', not on 'kodak'"
    assert [note.message for note in curve.notes] == ([text] if is_noted else [])


def test_our_own_export_names_its_data_set_and_how_it_was_scored(tmp_path):
    from typer.testing import CliRunner

    from rdbench import run
    from rdbench.cli.app import app
    from rdbench.metrics import Protocol

    for scored in ("8-bit", "float"):
        run("jpeg:quality=20,80", "sample", tmp_path / "r", protocol=Protocol(scored=scored))
    words = ["export", str(tmp_path / "r"), "--format", "compressai", "-o", str(tmp_path / "c")]
    assert CliRunner().invoke(app, words).exit_code == 0
    paths = sorted((tmp_path / "c").iterdir())
    assert [c.dataset for c in import_curves(paths)] == ["sample", "sample"]
    bodies = [json.loads(path.read_text()) for path in paths]
    assert [b["name"].rpartition(" ")[2] for b in bodies] == ["(8-bit)", "(float)"]
    assert [b["description"].split(", ")[1] for b in bodies] == ["8-bit", "float"]


def test_a_number_of_too_many_digits_is_reported_as_bad_json(tmp_path):
    path = written(tmp_path, '{"results": {"bpp": [1%s], "psnr": [30]}}' % ("0" * 5000))
    with pytest.raises(DataError, match="is not JSON") as caught:
        import_curve(path)
    assert "set_int_max_str_digits" not in str(caught.value)
