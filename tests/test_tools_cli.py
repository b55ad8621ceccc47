"""The commands that make tables, as people call them: what they print and write."""

import json

import numpy as np
import PIL.Image
import pytest
from typer.testing import CliRunner

from rdbench.cli.app import app
from rdbench.errors import UsageError
from rdbench.published import load_curve
from rdbench.report import reproduce as drawing
from rdbench.store import Store
from rdbench.types import Record, Weights
from rdbench_codecs.hyperprior.codec import Qvrf


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A report folder with two codecs on ``sample``."""
    out = tmp_path_factory.mktemp("reports")
    codecs = ("jpeg:quality=20,40,60,80", "qarv:weights=random-tiny,lambda=16,512")
    words = [word for codec in codecs for word in ("--codec", codec)]
    assert call("run", *words, "--out", out).exit_code == 0
    return out


def call(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_tables(folder):
    text = call("tables", folder, "--format", "latex", "-t", "points", "-t", "timing").stdout
    assert text.count(r"\begin{table}") == 1
    assert "quality=20" in text
    rows = call("tables", folder, "--format", "csv", "-t", "bdrate", "-c", "qarv").stdout
    assert (
        rows.splitlines()[0]
        == "codec,dataset,bd_rate_percent,ci_low,ci_high,average_percent,source"
    )
    assert [line.split(",")[1] for line in rows.splitlines()[1:]] == [
        "clic2022-test",
        "kodak",
        "tecnick",
    ]
    assert "'x' is not one of bdrate, points" in call("tables", folder, "-t", "x").stderr


def test_audit(folder):
    text = call("audit", folder).stdout
    assert "lambda=512" in text
    assert "jpeg" not in text
    found = json.loads(call("audit", folder, "--json").stdout)
    assert {a["codec"] for a in found} == {"jpeg", "qarv"}
    assert "z9" in call("audit", folder, "--segments").stdout


def test_match(folder):
    words = ("match", "-c", "jpeg2000", "-c", "jpeg", "--psnr", 30, "--out", folder)
    assert "rate (%)" in call(*words).stdout
    first, second = json.loads(call(*words, "--json").stdout)
    assert (first["n_met"], first["rate_percent"], second["n_images"]) == (3, None, 3)
    found = json.loads(call(*words, "--per-image", "--json").stdout)
    assert len(found) == 6
    assert all(m["met"] for m in found[:3])
    assert "jpeg2000:bpp=" in call(*words, "--per-image").stdout
    anchored = ("match", "-a", "jpeg2000", "-c", "jpeg", "--psnr", 30, "--out", folder)
    assert call(*anchored).stdout == call(*words).stdout
    assert isinstance(call("match", "-c", "jpeg").exception, UsageError)


def test_timing(folder):
    words = ("timing", "-c", "jpeg", "--repeats", 1, "--busy", "--out", folder)
    assert "quality=95" in call(*words).stdout
    (found,) = json.loads(call(*words, "--json").stdout)
    assert found["n_repeats"] == 1
    assert "quality=95" in call("tables", folder, "-t", "timing").stdout


def test_reproduce(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(drawing, "draw", lambda found, out: [])  # tested in test_reproduce.py
    result = call("reproduce", "qvrf", folder, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert "0.8296" in result.stdout
    assert (tmp_path / "qvrf.tex").is_file()


def test_list_metrics():
    assert "iw_ssim" in call("metrics", "list").stdout
    rows = json.loads(call("metrics", "list", "--json").stdout)
    assert {"metric", "source", "better", "reason"} <= rows[0].keys()


def test_variable_rate_penalty(tmp_path):
    words = ("variable-rate-penalty", "-c", "qvrf-cheng2020-attn")
    words = (*words, "--fixed", "cheng2020-attn-retrained", tmp_path / "none", "--json")
    thirds = json.loads(call(*words).stdout)
    assert thirds["bd_rate_percent"] == pytest.approx(-2.0083, abs=1e-3)
    edges = [0.1685, 0.3, 0.6]
    chosen = json.loads(call(*words, *(w for e in edges for w in ("--edge", e))).stdout)
    ends = [(i["bpp_low"], i["bpp_high"]) for i in chosen["intervals"]]
    assert ends == [(pytest.approx(0.1685, abs=1e-3), 0.3), (0.3, 0.6)]
    assert isinstance(call(*words, "--edge", 0.5).exception, UsageError)


def test_variable_rate_penalty_takes_the_curve_that_is_named(tmp_path):
    """A reduced network of the folder does not stand in for the published curve."""
    published = load_curve("kodak", "qvrf-cheng2020-attn")
    with Store(tmp_path) as store:
        store.remember_dataset("kodak", "kodak", {"kodim01.png": "aa"})
        store.remember_protocol("p", {"scored": "float"})
        for number, (bpp, psnr) in enumerate(zip(*published.points(), strict=True)):
            codec = "qvrf-cheng2020-attn"
            record = Record(
                codec=codec, spec=f"{codec}:weights=lite,index={number}",
                settings=(("weights", "lite"),), rate_parameter="index",
                rate_value=number, fingerprint="abc", dataset="kodak", image="kodim01.png",
                image_sha256="aa", width=1000, height=1000, protocol="p", created="2026-01-01",
                n_bytes=round(2 * bpp * 1e6 / 8), scores={"psnr_rgb": float(psnr)},
                weights=Weights("reduced", "abc"),
            )  # fmt: skip
            store.add(record)
    words = ("variable-rate-penalty", "-c", "qvrf-cheng2020-attn", "--fixed")
    words = (*words, "cheng2020-attn-retrained", tmp_path)
    found = json.loads(call(*words, "--json").stdout)
    assert found["bd_rate_percent"] == pytest.approx(-2.0083, abs=1e-3)
    assert call(*words).stdout.startswith("qvrf-cheng2020-attn against")


def test_variable_rate_penalty_needs_one_data_set(tmp_path):
    words = ("variable-rate-penalty", "-c", "qvrf-mbt2018", tmp_path / "none", "--fixed")
    everywhere = call(*words, "qvrf-mbt2018").exception
    assert "jpegai-test, kodak; choose one with --dataset" in str(everywhere)
    assert call(*words, "mbt2018").exit_code == 0


def test_bd_psnr_ranks_the_best_first():
    words = ("bdrate", "--dataset", "kodak", "--bd-psnr", "nowhere", "--json")
    gains = [row["bd_psnr_db"] for row in json.loads(call(*words).stdout)]
    assert gains == sorted(gains, reverse=True)
    assert gains[0] > 0 > gains[-1]


@pytest.fixture(scope="module")
def two_jpegs(tmp_path_factory):
    """A report folder with JPEG under two settings, and WebP."""
    out = tmp_path_factory.mktemp("reports")
    jpeg = "jpeg:quality=20,40,60,80"
    words = ("run", "-c", jpeg, "-c", f"{jpeg},optimize=true", "-c", "webp:quality=20,40,60,80")
    assert call(*words, "--out", out).exit_code == 0
    return out


def test_an_anchor_may_have_settings(two_jpegs):
    words = ("bdrate", "--anchor", "jpeg:optimize=true", "--codec", "jpeg:optimize=false")
    (row,) = json.loads(call(*words, two_jpegs, "--json").stdout)
    assert row["bd_rate_percent"] > 3
    text = call("tables", "-t", "bdrate", "-a", "jpeg:optimize=true", two_jpegs).stdout
    assert "against jpeg:optimize=True" in text
    assert "jpeg:optimize=False" in text


def test_plot_draws_the_curves_that_are_named(two_jpegs, tmp_path):
    words = ("plot", two_jpegs, "-c", "jpeg:optimize=true", "--out", tmp_path)
    assert call(*words).exit_code == 0
    drawn = (tmp_path / "sample-psnr_rgb.svg").read_text()
    assert "optimize=True" in drawn
    assert "webp" not in drawn


def test_a_report_without_an_image_asked_for_fails_and_is_written(tmp_path):
    photo = tmp_path / "photos" / "a.png"
    photo.parent.mkdir()
    PIL.Image.fromarray(np.zeros((70, 70, 3), np.uint8)).save(photo)
    out = tmp_path / "out"
    assert call("run", "-c", "jpeg:quality=50", "-d", photo.parent, "-o", out).exit_code == 0
    assert call("report", out).exit_code == 0
    photo.unlink()
    (out / "report.html").unlink()
    result = call("report", out, "--images", "a")
    assert result.exit_code == 1
    assert "no images" in result.stderr
    assert (out / "report.html").is_file()
    assert call("report", out).exit_code == 0


def test_a_curve_file_without_a_data_set(tmp_path):
    file = tmp_path / "results.json"
    points = {"bpp": [0.2, 0.4, 0.8, 1.6], "psnr": [28.0, 31.0, 35.0, 39.0]}
    file.write_text(json.dumps({"results": points}))
    result = call("bdrate", "--curve", file, "nowhere")
    assert result.exit_code == 1
    assert "results.json or its folder names; if that is wrong" in result.stderr
    assert "with --dataset" in result.stderr
    assert call("bdrate", "--curve", file, "--dataset", "kodak", "nowhere").exit_code == 0
    (row,) = json.loads(call("curves", "verify", file, "--json").stdout)
    assert row["n_points"] == 4
    assert "curves can be read" in call("curves", "verify").stderr


def test_a_figure_of_no_format_is_refused_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(Qvrf, "regulator_fit", lambda self: pytest.fail("it works"))
    codec = "qvrf-bmshj2018-hyperprior:weights=random-tiny"
    error = call("qvrf", "fit", "-c", codec, "-o", tmp_path / "fit.xyz").exception
    assert "fit.xyz; its suffix must be one of" in str(error)


def test_complexity_names_the_weights():
    (row,) = json.loads(call("complexity", "-c", "qarv:weights=random-tiny", "--json").stdout)
    assert row["weights"] == "random weights"
    (row,) = json.loads(
        call("complexity", "-c", "qvrf-mbt2018-mean:weights=bundled", "--json").stdout
    )
    assert row["weights"] == "reduced network"


def test_complexity_takes_a_device():
    words = ("complexity", "-c", "qarv:weights=random-tiny", "--device", "cuda:99")
    assert "device 'cuda:99' not found" in str(call(*words).exception)


def test_plot_names_the_data_sets_that_there_are(tmp_path):
    call("run", "-c", "jpeg:quality=50", "--out", tmp_path)
    error = call("plot", tmp_path, "-d", "sampel").exception  # codespell:ignore
    assert "on 'sampel'; there are some on sample" in str(error)
