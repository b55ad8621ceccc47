"""Published curves: what they say of themselves, and whether they can be believed."""

import json
import math
import re
from collections import defaultdict
from importlib.resources import files
from itertools import combinations

import numpy as np
import pytest

from rdbench import published
from rdbench.analysis.bd import bd_rate
from rdbench.analysis.measured import notes_on
from rdbench.curve import VARIABLE_RATE
from rdbench.datasets import load_dataset, manifests
from rdbench.errors import DataError, UsageError
from rdbench.published import anchor_points, bibliography, facts, list_curves, load_curve

RATES = {"file bytes", "entropy-coded strings, no header", "estimated from likelihoods", "unknown",
         "entropy-coded strings, no header; the regulator a is not counted"}  # fmt: skip
AVERAGES = {"mean of per-image values", "mean of per-image dB", "unknown"}


def test_every_curve_has_its_source_protocol_and_citation():
    curves = list_curves()
    assert len(curves) == 307
    for curve in curves:
        assert curve.source == "published"
        assert {"repository", "path", "commit", "licence", "trained_for"} <= curve.provenance.keys()
        assert curve.protocol["scored"] in ("float", "8-bit", "unknown")
        assert curve.protocol["rate"] in RATES
        assert curve.protocol["aggregation"] in AVERAGES
        assert curve.kind in VARIABLE_RATE
        assert curve.variable_rate is VARIABLE_RATE[curve.kind]
        assert curve.citations
        assert set(curve.citations) <= bibliography().keys()
        assert 1992 <= curve.year <= 2026
        assert curve.has("psnr_rgb") or curve.has("ms_ssim")
        assert len(curve.bpp) >= 3
        json.dumps(curve.row(), allow_nan=False)


def test_every_data_set_of_a_curve_is_described():
    for name in {curve.dataset for curve in list_curves()}:
        is_known = manifests()[name].n_images is not None
        assert is_known != name.endswith("-unknown")
        if not is_known:
            with pytest.raises(DataError, match="are not known: The source says"):
                load_dataset(name)


def test_labels_tell_the_curves_of_a_data_set_apart():
    for curves in by_dataset().values():
        names = [curve.label.casefold() for curve in curves]
        assert len(set(names)) == len(names)


def test_tables_per_image_name_the_images_of_their_data_set():
    found = [curve for curve in list_curves() if curve.per_image]
    assert len(found) == 25
    for curve in found:
        about = manifests()[curve.dataset]
        images = set(curve.per_image.images)
        assert len(images) == about.n_images
        assert not about.images or images == {image.name for image in about.images}
        assert curve.bpp.tolist() == curve.per_image.bpp.mean(axis=1).tolist()
        assert all(np.isfinite(scores).all() for scores in curve.per_image.scores.values())


def by_dataset():
    found = defaultdict(list)
    for curve in list_curves():
        found[curve.dataset].append(curve)
    return found


def test_no_two_curves_are_equal():
    """CompressAI's 8-bit curves of models trained for MS-SSIM are copies of other ones."""
    seen = {}
    for curve in list_curves():
        for metric in curve.scores:
            points = tuple(np.round(curve.bpp, 6)), tuple(np.round(curve.scores[metric], 4))
            assert (metric, points) not in seen, f"{curve!r} is {seen[metric, points]!r}"
            seen[metric, points] = curve
    assert not [c.codec for c in list_curves() if c.codec.endswith(".ms-ssim.8bit")]


def distance(one, other, metric):
    """Mean factor between the rates of two curves at one quality, or None."""
    (r0, q0), (r1, q1) = (_rising(curve, metric) for curve in (one, other))
    low, high = max(q0[0], q1[0]), min(q0[-1], q1[-1])
    if high - low < 1:
        return None
    at = np.linspace(low, high, 50)
    return math.exp(abs(np.mean(np.interp(at, q0, np.log(r0)) - np.interp(at, q1, np.log(r1)))))


def _rising(curve, metric):
    bpp, quality = curve.points(metric)
    order = np.argsort(quality)
    return bpp[order], quality[order]


def lonely(curves, metric):
    """Curves that no other curve of their data set is near to."""
    curves = [c for c in curves if c.has(metric) and c.kind != "generative"]
    found = []
    for curve in curves:
        factors = [distance(curve, c, metric) for c in curves if c is not curve]
        known = [factor for factor in factors if factor is not None]
        found += [curve.label] if min(known, default=9) > 1.6 else []
    return found if len(curves) >= 10 else []


@pytest.mark.parametrize("metric", ["psnr_rgb", "ms_ssim"])
def test_no_curve_is_far_from_all_others_of_its_data_set(metric):
    for curves in by_dataset().values():
        assert lonely(curves, metric) == []


def test_a_curve_of_other_images_is_found():
    import dataclasses

    kodak = list_curves("kodak")
    wrong = load_curve("tecnick", "hpcm-large")
    wrong = dataclasses.replace(wrong, bpp=wrong.bpp / 3)
    assert lonely([*kodak, wrong], "psnr_rgb") == ["HPCM-Large"]


def test_curves_of_one_reference_encoder_agree():
    n_pairs = 0
    for curves in by_dataset().values():
        anchors = [c for c in curves if facts(c.codec).get("anchor") and c.has("psnr_rgb")]
        for one, other in combinations(anchors, 2):
            assert distance(one, other, "psnr_rgb") < 1.1, (one, other)
            n_pairs += 1
    assert n_pairs >= 5


def test_the_decibels_of_a_mean_are_not_above_the_mean_of_decibels():
    """Of the same models, by Jensen's inequality: a column that breaks it is another's."""
    for curve in list_curves():
        if curve.per_image and curve.has("ms_ssim"):
            db = curve.per_image.quality_db("ms_ssim").mean(axis=1)
            assert (curve.points("ms_ssim")[1] <= db + 1e-9).all()


def test_no_note_but_on_the_curves_that_a_person_has_looked_at():
    kinds = {(note.kind, curve.codec) for curve in list_curves() for note in notes_on(curve)}
    fall = {codec for kind, codec in kinds if kind == "falls"}
    assert {kind for kind, _ in kinds} <= {"note", "falls", "short"}
    assert len(fall) < 12, fall


def test_printed_bd_rates():
    """What authors print is what their points give, or the file has the reason."""
    file = files("rdbench_literature").joinpath("published", "bd_rates.json")
    rows = json.loads(file.read_text(encoding="utf-8"))
    for row in rows:
        anchor, test = (load_curve(row["dataset"], row[key]) for key in ("anchor", "codec"))
        found = bd_rate(anchor, test, method=row["method"], n_resamples=0).bd_rate_percent
        digits = len(str(row["printed"]).partition(".")[2])
        close = abs(found - row["printed"]) <= max(0.02, 0.5 * 10**-digits)
        assert close != ("reason" in row), (row, found)
    assert sum("reason" not in row for row in rows) >= 12


@pytest.mark.parametrize(
    ("codec", "percent"),
    [("HPCM-large", -19.4), ("DCAE", -16.5), ("MLIC++", -14.4), ("FTIC", -14.1),
     ("LIC-TCM Large", -11.2), ("ELIC", -6.4), ("Cool-chic 5.0", -6.0), ("QARV", -5.899)],
)  # fmt: skip
def test_bd_rates_on_kodak_against_vtm18(codec, percent):
    vtm, test = load_curve("kodak", "vtm18"), load_curve("kodak", codec)
    assert bd_rate(vtm, test, n_resamples=0).bd_rate_percent == pytest.approx(percent, abs=0.1)


def test_published_tables_give_intervals_and_wins():
    one, other = (load_curve("kodak", name) for name in ("Cool-chic 3.4", "Cool-chic 5.0"))
    found = bd_rate(one, other)
    assert found.ci_low < found.bd_rate_percent < found.ci_high < 0
    assert len(found.wins) + len(found.losses) == 24


def test_ms_ssim_averaged_in_two_ways_is_compared_with_a_warning():
    of_values, of_db = (load_curve("kodak", name) for name in ("vtm9.1-lalic", "dcae.ms-ssim"))
    warnings = bd_rate(of_values, of_db, "ms_ssim").warnings
    assert "averaged over images differently: mean_of_db (DCAE (MS-SSIM)), " in str(warnings)
    per_image = load_curve("kodak", "lee2019.ms-ssim")  # can be averaged either way
    found = bd_rate(per_image, of_db, "ms_ssim")
    assert found.averaging == "mean_of_db"
    assert "averaged" not in str(found.warnings)
    again = bd_rate(per_image, of_db, "ms_ssim", averaging="mean_of_db")
    assert again.bd_rate_percent == found.bd_rate_percent


def test_references_are_bibtex():
    entries = bibliography()
    assert len(entries) > 60
    for key, entry in entries.items():
        assert re.match(rf"@\w+\{{{re.escape(key)},\n", entry)
        assert entry.count("{") == entry.count("}")
        for field in ("title", "author", "year"):
            assert re.search(rf"^  {field} = \{{", entry, re.MULTILINE), (key, field)


def test_curves_of_one_data_set():
    assert {c.dataset for c in list_curves("clic2022-test")} == {"clic2022-test"}
    names = [c.codec for c in list_curves("clic2022-test")]
    assert names == ["qarv", "qres-vae", "vtm12.1-duan", "vtm18"]


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
    with pytest.raises(UsageError, match="did you mean 'clic2022-test'"):
        list_curves("clic-2022")


def test_validation_and_test_sets_of_clic_2020_are_different_data_sets():
    names = {c.dataset for c in list_curves()}
    assert "clic2020-professional" not in names | set(manifests())
    assert "qvrf-mbt2018" in {c.codec for c in list_curves("clic2020-professional-valid")}
    for name, n_images in (("clic2020-professional-test", 250), ("clic2020-mobile-test", 178)):
        sources = {c.provenance["repository"] for c in list_curves(name)}
        assert sources == {"InterDigitalInc/CompressAI"}
        assert manifests()[name].n_images == n_images
    assert manifests()["clic2020-professional-valid"].n_images == 41


BODY = {
    "repository": "a/b", "commit": "0" * 40, "licence": "MIT",
    "protocols": {"p": {"scored": "float", "rate": "file bytes", "aggregation": "unknown"}},
    "curves": [
        {"codec": "x", "dataset": "mine", "trained_for": "mse", "path": "f", "protocol": "p",
         "bpp": [0.2, 0.1], "scores": {"psnr_rgb": [31, 30], "ms_ssim_db": [None, 10]}},
    ],
}  # fmt: skip


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A folder in place of the registered packages."""
    folder = tmp_path / "published"
    (folder / "curves").mkdir(parents=True)
    monkeypatch.setattr(published, "_folders", lambda: [folder])
    for cached in (published._curves, published._codecs):
        cached.cache_clear()
    yield folder
    for cached in (published._curves, published._codecs):
        cached.cache_clear()


def test_another_package_s_curves(package):
    (package / "curves" / "x.json").write_text(json.dumps(BODY))
    curve = load_curve("mine", "X")
    assert curve.bpp.tolist() == [0.1, 0.2]
    assert curve.scores["ms_ssim"][0] == pytest.approx(0.9)
    assert math.isnan(curve.scores["ms_ssim"][1])
    assert curve.variable_rate is None
    assert curve.origin == "a/b f at 0000000"
    assert len(curve.points("ms_ssim")[0]) == 1


def test_scores_of_metrics_that_rdbench_lacks_are_kept(package):
    curve = {**BODY["curves"][0], "scores": {"psnr_rgb": [31, 30], "beauty": [1, 2]}}
    (package / "curves" / "x.json").write_text(json.dumps({**BODY, "curves": [curve]}))
    found = load_curve("mine", "x")
    assert found.scores.keys() == {"psnr_rgb", "beauty"}
    assert not found.has("beauty")
    assert notes_on(found)[0].kind == "short"


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"curves": 3}', json.dumps({**BODY, "curves": [{}]}), "[" * 100_000,
     json.dumps(BODY).replace("0.2", '"0.2"')],
    ids=range(7),
)  # fmt: skip
def test_another_package_s_broken_file(package, text):
    (package / "curves" / "x.json").write_text(text)
    with pytest.raises(DataError, match=r"x\.json is not a curve file"):
        list_curves()


def test_two_files_with_the_same_curve(package):
    for name in "ab":
        (package / "curves" / f"{name}.json").write_text(json.dumps(BODY))
    with pytest.raises(DataError, match="two files publish x on mine"):
        list_curves()


def test_anchor_points(package):
    assert anchor_points("vtm18") == []
    point = {"spec": "vtm18:qp=47", "dataset": "kodak", "image": "kodim01.png",
             "image_sha256": "00", "n_bytes": 1, "psnr_rgb": 26.5}  # fmt: skip
    (package / "anchors.json").write_text(json.dumps({"vtm18": [point]}))
    (found,) = anchor_points("vtm18")
    assert (found.spec, found.n_bytes) == ("vtm18:qp=47", 1)
