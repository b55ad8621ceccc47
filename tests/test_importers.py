"""Importers of curve files."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdbench import importers
from rdbench.curve import Curve
from rdbench.errors import DataError
from rdbench.importers import import_curve, import_curves

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
    other = '{"dataset_name": "clic2022-test", "results": {"bpp": [1, 2], "psnr": [40, 41]}}'
    assert import_curve(written(tmp_path, other)).dataset == "clic2022-test"


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
    assert importers._json(path, path.read_text()) == body


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
        ("CLIC 2022 test set", "clic2022-test", False),
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


KEYED = """{
 "Kodak": {"bpp": [0.8, 0.6, 0.4, 0.3], "PSNR": [37.9, 36.1, 34.4, 32.7]},
 "CLIC": {"bpp": [0.6, 0.4, 0.3, 0.2], "PSNR": [38.6, 37.1, 35.7, 34.2]},
 "Kodak_MS-SSIM": {"bpp": [0.6, 0.4, 0.3, 0.2], "MS_SSIM": [21.7, 20.1, 18.6, 16.9]}
}"""

NESTED = """{
 "kodak": {"a": {"bpp": [0.1, 0.2, 0.4, 0.8], "psnr": [29, 31, 34, 37]},
           "b": {"bpp": [0.1, 0.3, 0.5, 0.9], "lpips": [0.4, 0.3, 0.2, 0.1]}},
 "Tecnick": {"a": {"bpp": [0.1, 0.2, 0.3, 0.6], "psnr": [31, 33, 35, 38]}}
}"""


def test_curves_keyed_by_data_set(tmp_path):
    plain, elsewhere, for_ms_ssim = import_curves([written(tmp_path, KEYED, "x/mine.json")])
    assert (plain.codec, plain.dataset, plain.bpp[0]) == ("mine", "kodak", 0.3)
    assert elsewhere.dataset == "CLIC"  # which of its sets is not known: compared with nothing
    assert (for_ms_ssim.codec, for_ms_ssim.dataset) == ("mine.ms-ssim", "kodak")
    assert for_ms_ssim.points("ms_ssim")[1].tolist() == pytest.approx([16.9, 18.6, 20.1, 21.7])
    chosen = import_curves([written(tmp_path, KEYED)], "kodak")
    assert {curve.dataset for curve in chosen} == {"kodak"}
    assert len(chosen) == 2


def test_curves_nested_by_data_set_and_method(tmp_path):
    path = written(tmp_path, NESTED)
    found = {(c.dataset, c.codec): c for c in import_curves([path])}
    assert found.keys() == {("kodak", "a"), ("kodak", "b"), ("tecnick", "a")}
    assert found["kodak", "b"].points("lpips")[1].tolist() == [-0.4, -0.3, -0.2, -0.1]
    assert import_curve(f"{path}#kodak/a").scores["psnr_rgb"].tolist() == [29, 31, 34, 37]
    assert import_curve(f"{path}#Tecnick").dataset == "tecnick"
    with pytest.raises(DataError, match="holds 3 curves: a on kodak, b on kodak, a on tecnick"):
        import_curve(path)
    with pytest.raises(DataError, match="has no 'kodak/c'; it holds kodak/a, kodak/b, Tecnick/a"):
        import_curve(f"{path}#kodak/c")


def test_a_hash_in_the_name_of_a_file(tmp_path):
    path = written(tmp_path, '{"bpp": [1, 2], "psnr": [30, 31]}', "kodak/c#.json")
    assert import_curve(path).codec == "c#"


TABLES = {
    "c.txt": "# first column bits per pixel, second PSNR/sRGB/RGB\n\n0.1, 28\n0.2, 30\n",
    "c.dat": "0.1  28\n0.2 30\n",
    "c.csv": "bpp,PSNR (dB)\n0.1,28\n0.2,30\n",
    "semicolons.csv": "PSNR;Rate\n28;0.1\n30;0.2\n",
    "c.tsv": "rate_bpp\tpsnr_db\n0.1\t28\n0.2\t30\n",
    "c.md": "# C\n\ntext\n\n| bpp | PSNR |\n|---|--:|\n| 0.1 | 28 |\n| 0.2 | 30 |\n",
    "rows.json": '[{"bpp": 0.1, "psnr_rgb": 28}, {"bpp": 0.2, "psnr_rgb": 30}]',
}


@pytest.mark.parametrize("name", TABLES)
def test_tables(tmp_path, name):
    curve = import_curve(written(tmp_path, TABLES[name], f"kodak/{name}"))
    assert curve.dataset == "kodak"
    assert curve.codec == ("C" if name == "c.md" else name.partition(".")[0])
    assert [points.tolist() for points in curve.points()] == [[0.1, 0.2], [28, 30]]
    assert bool(curve.notes) == (name == "c.dat")  # which names nothing


def test_ms_ssim_in_two_columns(tmp_path):
    by_words = import_curve(written(tmp_path, "# MS-SSIM\n0.1 12.5\n0.2 14.5\n", "c.txt"))
    by_size = import_curve(written(tmp_path, "0.1 0.91\n0.2 0.95\n", "c.txt"))
    assert by_words.scores.keys() == by_size.scores.keys() == {"ms_ssim"}
    assert "taken for ms_ssim" in by_size.notes[0].message


PER_IMAGE = """lmbda\tseq_name\tpsnr_db\trate_bpp
0.1\tkodim02\t28\t0.1
0.1\tkodim01\t26\t0.3
0.2\tkodim02\t32\t0.4
0.2\tkodim01\t30\t0.6
0.3\tkodim01\t30\t0.6
"""


def test_one_row_per_image(tmp_path):
    curve = import_curve(written(tmp_path, PER_IMAGE, "kodak/c.tsv"))
    assert [points.tolist() for points in curve.points()] == [[0.2, 0.5], [27, 31]]
    assert (curve.rate_parameter, curve.rate_values) == ("lambda", (0.1, 0.2))
    assert curve.per_image.images == ("kodim02.png", "kodim01.png")
    assert curve.per_image.scores["psnr_rgb"].tolist() == [[28, 26], [32, 30]]
    assert [note.message for note in curve.notes] == ["no mean for lmbda=0.3: it lacks an image"]
    twice = PER_IMAGE + "0.1\tkodim01\t26\t0.3\n"
    with pytest.raises(DataError, match=r"kodim01.png has several rows \(lmbda=0.1\)"):
        import_curve(written(tmp_path, twice, "kodak/c.tsv"))
    unnamed = "\n".join(line.partition("\t")[2] for line in PER_IMAGE.splitlines())
    with pytest.raises(DataError, match="no column of the operating point"):
        import_curve(written(tmp_path, unnamed, "kodak/c.tsv"))


def by_image(curve):
    table = curve.per_image
    return {(i, p): score for p, row in enumerate(table.scores["psnr_rgb"])
            for i, score in zip(table.images, row, strict=True)}  # fmt: skip


@pytest.mark.parametrize("form", ["csv", "json"])
def test_our_own_records_are_read_back(tmp_path, form):
    from typer.testing import CliRunner

    from rdbench import run
    from rdbench.analysis.selection import measured
    from rdbench.cli.app import app

    run(["jpeg:quality=20,40,60,80", "webp:quality=50"], "sample", tmp_path / "r")
    target = tmp_path / f"records.{form}"
    words = ["export", str(tmp_path / "r"), "--format", form, "-o", str(target)]
    assert CliRunner().invoke(app, words).exit_code == 0
    ours = {curve.codec: curve for curve in measured(tmp_path / "r")}
    back = {curve.codec.partition(":")[0]: curve for curve in import_curves([target])}
    assert back.keys() == {"jpeg", "webp"}
    for name, curve in back.items():
        assert curve.dataset == "sample"
        assert curve.bpp.tolist() == pytest.approx(ours[name].bpp.tolist())
        assert by_image(curve) == pytest.approx(by_image(ours[name]))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("c.csv", "", "is empty"),
        ("c.csv", "a,b\n1,2\n", "holds no bpp"),
        ("c.csv", "bpp,beauty\n1,2\n", "scores of a known metric"),
        ("c.csv", "bpp,psnr\n", "holds no bpp"),
        ("c.csv", "bpp,psnr\n1,high\n", "'psnr' is not a list of numbers"),
        ("c.txt", "1 2 3\n4 5 6\n", "add a line of column names"),
        ("c.md", "no table", "holds no bpp"),
        ("c.json", '[{"psnr": 3}]', "holds no bpp"),
    ],
)
def test_tables_that_hold_no_curve(tmp_path, name, text, message):
    with pytest.raises(DataError, match=message):
        import_curve(written(tmp_path, text, name))
