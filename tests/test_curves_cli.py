"""``rdbench curves`` and ``cite``, and what ``bdrate`` says of published anchors."""

import json

import pytest
from typer.testing import CliRunner

from rdbench.analysis.selection import select
from rdbench.analysis.sensitivity import sensitivity
from rdbench.cli.app import app
from rdbench.published import load_curve

PUBLISHED = ("--json", "no-such-folder")


def call(*words):
    result = CliRunner().invoke(app, list(map(str, words)))
    return result.exit_code, result.stdout, result.stderr or str(result.exception or "")


def listed(*words):
    status, text, said = call("curves", "list", *words, "--json")
    assert status == 0, said
    return json.loads(text)


def test_curves_are_listed_by_what_they_are():
    every = listed()
    assert {row["dataset"] for row in listed("-d", "tecnick")} == {"tecnick"}
    assert {row["title"] for row in listed("-c", "mlic", "-d", "kodak")} == {
        "MLIC", "MLIC+", "MLIC++",
    }  # fmt: skip
    assert {row["year"] for row in listed("--year", "2025")} == {2025}
    recent = {row["year"] for row in listed("--year", "2024-2026")}
    assert recent == {2024, 2025, 2026}
    with_lpips = listed("-m", "lpips")
    assert 10 < len(with_lpips) < len(every)
    assert len(listed("-m", "lpips", "-d", "kodak", "-c", "STABLE", "--year", "2025")) == 1
    status, _, said = call("curves", "list", "-c", "nothing")
    assert (status, "no published curve fits" in said) == (1, True)
    assert "--year soon: give a year or a range" in call("curves", "list", "--year", "soon")[2]


def test_a_curve_in_full():
    status, text, _ = call("curves", "show", "mlic++", "--dataset", "kodak")
    assert status == 0
    assert text.startswith("MLIC++ (mlic++) on kodak (24 images: Kodak Lossless")
    for line in ("kind: fixed, 2023", "scored: 8-bit", "rate counts: file bytes",
                 "source: JiangWeibeta/MLIC results/kodak/mlicplusplus_mse.json at 4aa9d2a",
                 "cite: jiang2025mlicpp", "parameters: 83,500,000"):  # fmt: skip
        assert f"  {line}\n" in text
    assert text.count("\n     0.") == 6
    (row,) = json.loads(call("curves", "show", "MLIC++", "-d", "kodak", "--json")[1])
    assert [list(point) for point in row["points"]] == [["rate_value", "bpp", "psnr_rgb"]] * 6
    assert "did you mean 'hpcm-large'" in call("curves", "show", "hpcm-lage")[2]


def test_citations(tmp_path):
    status, text, said = call("cite", "MLIC++", "vtm18", "qarv", "mbt2018.ms-ssim")
    assert (status, said) == (0, "")
    keys = [line.split("{")[1][:-1] for line in text.splitlines() if line.startswith("@")]
    assert keys == ["jiang2025mlicpp", "bross2021vvc", "duan2023qarv", "minnen2018joint",
                    "begaint2020compressai"]  # fmt: skip
    assert "no curve of 'x1'" in call("cite", "x1")[2]
    assert "nothing was measured in" in call("cite", "--folder", tmp_path)[2]
    assert call("run", "-c", "jpeg:quality=50", "-d", "sample", "-o", tmp_path)[0] == 0
    assert "@article{wallace1992jpeg," in call("cite", "--folder", tmp_path)[1]


def test_curves_of_other_images_are_refused():
    words = ("--anchor", "mbt2018", "-d", "clic2020-professional-test", "-c", "qvrf-mbt2018")
    status, _, said = call("bdrate", *words, *PUBLISHED)
    assert status == 1
    assert "clic2020-professional-valid (41 images: CLIC 2020 professional validation set)" in said
    assert "not on clic2020-professional-test (250 images: CLIC 2020 professional test" in said
    assert "different images are not compared" in said
    words = ("--anchor", "mbt2018", "-d", "clic2020-professional-valid", "-c", "qvrf-mbt2018")
    status, _, said = call("bdrate", *words, *PUBLISHED)
    assert (status, "(250 images: CLIC 2020 professional test set)" in said) == (1, True)


def test_an_anchor_is_named_exactly():
    words = ("-a", "VTM 17.0 (MLIC authors)", "-d", "clic2020-professional-valid", "-c", "MLIC++")
    status, text, said = call("bdrate", *words, *PUBLISHED)
    assert status == 0
    origin = "google-deepmind/c3_neural_compression baselines/clic2020.py at e63e751"
    assert json.loads(text)[0]["anchor_origin"] == origin
    assert json.loads(text)[0]["bd_rate_percent"] == pytest.approx(-13.08, abs=0.02)
    label = "anchor on clic2020-professional-valid: VTM 17.0 (MLIC authors)"
    assert f"{label}, {origin}; unknown scoring, unknown" in said


def test_other_anchors_are_part_of_the_sensitivity():
    words = ("-a", "vtm17-mlic", "-d", "clic2020-professional-valid", "-c", "MLIC++")
    _, text, _ = call("bdrate", *words, "--sensitivity", *PUBLISHED)
    figures = {row["anchor"]: row["bd_rate_percent"] for row in json.loads(text)}
    assert figures.keys() == {"VTM 17.0 (MLIC authors)", "VTM 9.1 (LALIC authors)", None}
    assert figures["VTM 9.1 (LALIC authors)"] == pytest.approx(-14.4, abs=0.1)
    assert figures[None] > 1.3  # the spread
    qarv, vtm = load_curve("kodak", "qarv"), load_curve("kodak", "vtm18")
    alone = sensitivity(vtm, qarv)
    others = [load_curve("kodak", "vtm9.1-lalic")]
    assert sensitivity(vtm, qarv, other_anchors=others).variants[:-1] == alone.variants


def test_names_in_any_case():
    curves = {curve.label for curve in select("no-such-folder", "kodak").curves}
    assert {"MLIC++", "Cool-chic 5.0", "vtm18"} <= curves
    for name in ("mlic++", "COOL-CHIC 5.0", "cool-chic-5.0", "hpcm-LARGE"):
        assert load_curve("kodak", name).dataset == "kodak"
