"""The commands that make tables, as people call them: what they print and write."""

import json

import pytest
from typer.testing import CliRunner

from rdbench.cli.app import app
from rdbench.errors import UsageError
from rdbench.published import load_curve
from rdbench.report import reproduce as drawing
from rdbench.store import Store
from rdbench.types import Record, Weights


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
    assert rows.splitlines()[0] == "codec,dataset,bd_rate_percent,average_percent,source"
    assert [line.split(",")[1] for line in rows.splitlines()[1:]] == [
        "clic2022",
        "kodak",
        "tecnick",
    ]
    assert isinstance(call("tables", folder, "-t", "x").exception, UsageError)
    error = call("tables", folder, "--format", "rtf").exception
    assert "--format is markdown, latex, html, csv, not 'rtf'" in str(error)


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
    assert "iw_ssim" in call("list", "metrics").stdout
    rows = json.loads(call("list", "metrics", "--json").stdout)
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


def test_complexity_names_the_weights():
    (row,) = json.loads(call("complexity", "-c", "qarv:weights=random-tiny", "--json").stdout)
    assert row["weights"] == "random weights"
    (row,) = json.loads(
        call("complexity", "-c", "qvrf-mbt2018-mean:weights=bundled", "--json").stdout
    )
    assert row["weights"] == "reduced network"


def test_plot_names_the_data_sets_that_there_are(tmp_path):
    call("run", "-c", "jpeg:quality=50", "--out", tmp_path)
    error = call("plot", tmp_path, "-d", "sampel").exception
    assert "on 'sampel'; there are some on sample" in str(error)
