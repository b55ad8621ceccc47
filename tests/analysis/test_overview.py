"""The tables of a comparison."""

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from folders import as_kodak

from rdbench import bd_rate, load_curves, rescore, run
from rdbench.analysis.overview import TABLES, Request, bd_rates, bd_table, points
from rdbench.analysis.selection import select
from rdbench.analysis.sensitivity import sensitivity
from rdbench.errors import UsageError
from rdbench.metrics import Protocol
from rdbench.report.tables import table
from rdbench.types import Weights

NOWHERE = Path("nowhere")


def test_bd_rates_and_their_average():
    rows = {(row["codec"], row["dataset"]): row for row in bd_rates(Request(NOWHERE))[0].rows}
    found = {d: rows["qarv", d]["bd_rate_percent"] for d in ("clic2022-test", "kodak", "tecnick")}
    assert found["kodak"] == pytest.approx(-5.899, abs=0.0006)
    assert found["tecnick"] == pytest.approx(-8.938, abs=0.0006)
    average = rows["qarv", "kodak"]["average_percent"]
    assert average == pytest.approx(sum(found.values()) / 3)
    assert rows["mbt2018", "kodak"]["average_percent"] is None
    assert rows["mbt2018", "tecnick"]["bd_rate_percent"] is None
    assert "vtm18" not in {codec for codec, _ in rows}
    columns, wide = bd_table(bd_rates(Request(NOWHERE))[0].rows)
    heads = ["codec", "clic2022-test (%)", "kodak (%)", "tecnick (%)", "average (%)", "source"]
    assert [column.heading for column in columns] == heads
    assert [column.text(wide[0]) for column in columns] == [
        "qarv", "-6.914", "-5.899", "-8.938", f"{average:.3f}", "published",
    ]  # fmt: skip


def test_best_first_and_only_what_is_asked_for():
    rows = bd_rates(Request(NOWHERE, dataset="kodak", codecs=("jpeg", "qarv", "webp")))[0].rows
    assert [row["codec"] for row in rows] == ["qarv", "webp", "jpeg"]
    assert "-5.90" in table(*bd_table(rows), "markdown")


def test_points_of_a_folder(tmp_path):
    run(["jpeg:quality=25,75", "webp:quality=50"], "sample", tmp_path)
    assert len(points(Request(tmp_path))) == 3
    assert [row["codec"] for row in points(Request(tmp_path, codecs=("webp",)))] == ["webp"]
    assert points(Request(tmp_path, dataset="kodak")) == []
    assert TABLES["timing"][1](Request(tmp_path)) == []


@pytest.mark.parametrize("kind", ["published", "random", "reduced", "other"])
def test_only_published_weights_represent_the_published_codec(tmp_path, kind):
    folder = tmp_path / "photos"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    PIL.Image.fromarray(pixels).save(folder / "a.png")
    run("qarv:weights=random-tiny,lambda=16,64,256,1024", str(folder), tmp_path / "out")
    as_kodak(tmp_path / "out", tmp_path / "kodak", weights=Weights(kind, "0"))
    found = [c for c in select(tmp_path / "kodak", "kodak").curves if c.codec == "qarv"]
    assert {c.source for c in found} == {"measured"} | ({"published"} - {kind})
    assert [c.weights_kind for c in found if c.source == "measured"] == [kind]


def test_bd_rates_under_other_metrics(tmp_path):
    run(["jpeg:quality=20,40,60,80", "webp:quality=20,40,60,80"], "sample", tmp_path)
    assert rescore(tmp_path, ["ssimulacra2", "nlpd"]).n_records == 24
    curves = load_curves(tmp_path, "sample")
    for metric, sign in (("ssimulacra2", 1), ("nlpd", -1)):
        found = bd_rate(curves["jpeg"], curves["webp"], metric)
        assert -60 < found.bd_rate_percent < 0
        assert found.ci_low < found.bd_rate_percent < found.ci_high
        rates, qualities = curves["webp"].points(metric)
        assert (np.diff(sign * curves["webp"].scores[metric]) > 0).all()
        assert (np.diff(qualities) > 0).all()
        assert len(rates) == 4
        with pytest.raises(UsageError, match="db_of_mean"):
            curves["webp"].points(metric, "db_of_mean")
        variants = sensitivity(curves["jpeg"], curves["webp"], metric).variants
        assert {v.averaging for v in variants} == {"mean_of_db"}
    with pytest.raises(UsageError, match="no metric 'psnr_xyz'; there are psnr, psnr_rgb"):
        bd_rate(curves["jpeg"], curves["webp"], "psnr_xyz")


def test_tables_say_how_points_were_scored_where_that_differs(tmp_path):
    run("jpeg:quality=20,40,60,80", "sample", tmp_path)
    assert points(Request(tmp_path))[0]["scored"] is None
    run("webp:quality=20,40,60,80", "sample", tmp_path, protocol=Protocol(scored="float"))
    said = {(row["codec"], row["scored"]) for row in points(Request(tmp_path))}
    assert said == {("jpeg", "8-bit"), ("webp", "float")}
    notes = bd_rates(Request(tmp_path, anchor="jpeg", dataset="sample"))[0].notes
    assert ("webp", "reconstructions scored differently: float (webp), 8-bit (jpeg)") in notes


def test_tables_say_which_weights_and_which_anchor(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    ramp = np.linspace(0, 200, 64)[:, None, None] + np.zeros((64, 64, 3))
    pixels = ramp + np.random.default_rng(0).normal(0, 8, ramp.shape)
    PIL.Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / "a.png")
    run(
        ["qarv:weights=bundled,lambda=16,64,256,1024", "webp:quality=20,40,60,80",
         "webp:method=6,quality=20,40,60,80"],
        str(folder), tmp_path / "out",
    )  # fmt: skip
    found, choices, _ = bd_rates(Request(tmp_path / "out", anchor="webp", dataset="set"))
    assert ("qarv (reduced network)", "a reduced network, not the published one") in found.notes
    assert "--anchor may also be webp:method=6" in choices[0]
