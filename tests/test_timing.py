"""Timing: what is kept, which operating point is timed, and when it refuses."""

import dataclasses
import os

import pytest
from sample import photograph
from typer.testing import CliRunner

from rdbench import timing
from rdbench.cli.app import app
from rdbench.errors import Unavailable, UsageError
from rdbench.images import write_image
from rdbench.store import Store


@pytest.fixture(scope="module")
def timed(tmp_path_factory):
    """(report folder, timings) of JPEG and a tiny learned codec."""
    out, images = tmp_path_factory.mktemp("reports"), tmp_path_factory.mktemp("images")
    for number in range(3):
        write_image(photograph("coffee")[:128, : 128 + 64 * number], images / f"{number}.png")
    codecs = ["jpeg", "qarv:weights=random-tiny"]
    return out, timing.time_codecs(codecs, str(images), out, n_repeats=2, on_busy_machine=True)


def test_the_highest_rate_is_timed(timed):
    assert [t.rate for t in timed[1]] == ["quality=95", "lambda=2048"]


def test_quartiles_are_in_order_and_memory_is_that_of_a_process(timed):
    for t in timed[1]:
        for q in (t.encode_s, t.decode_s):
            assert 0 < q.low <= q.median <= q.high
        assert 20 * 2**20 < t.peak_memory_bytes < 2**32
        assert (t.n_images, t.n_repeats, t.threads, t.on_gpu) == (3, 2, 1, False)


def test_stages_add_up_to_about_the_whole(timed):
    jpeg, qarv = timed[1]
    assert jpeg.stages == {"encode": {}, "decode": {}}
    for name, whole in (("encode", qarv.encode_s), ("decode", qarv.decode_s)):
        stages = qarv.stages[name]
        assert {"transform", "entropy coding", "other"} <= stages.keys()
        assert 0.5 * whole.low < sum(stages.values()) < 2 * whole.high


def test_kept_and_replaced(timed):
    out, found = timed
    assert timing.timings(out) == sorted(found, key=lambda t: t.spec)
    again = timing.time_codecs(
        ["jpeg:quality=95"], "sample", out, n_repeats=1, on_busy_machine=True
    )
    kept = {t.codec: t for t in timing.timings(out)}
    assert kept.keys() == {"jpeg", "qarv"}
    assert kept["jpeg"] == again[0]
    assert timing.timings(out / "nowhere") == []


def test_tables_name_weights_that_are_not_the_published_ones(timed):
    jpeg, qarv = timed[1]
    assert jpeg.row()["label"] == "jpeg"
    for row in (qarv.row(), *qarv.stage_rows()):
        assert row["label"] == "qarv (random weights)"
    (kept,) = (t for t in timing.timings(timed[0]) if t.codec == "qarv")
    assert kept.row()["label"] == "qarv (random weights)"


@pytest.mark.parametrize(
    ("kind", "label"),
    [
        ("published", "qarv"),
        ("reduced", "qarv (reduced network)"),
        ("other", "qarv (other weights)"),
        ("random", "qarv (random weights)"),
    ],
)
def test_the_kind_of_weights_is_in_the_label(timed, kind, label):
    spec = "qarv:lambda=2048.0,weights=/a/b.pt,precision=float32"
    t = dataclasses.replace(timed[1][1], spec=spec, weights_kind=kind, others_cores=1.5)
    assert t.row()["label"] == label
    assert t.row()["flag"] == "busy: 1.5 cores"
    assert t.row()["on"] == "CPU, 1 thread"


def test_quartiles_are_numbers_and_one_column_for_people(timed):
    t = dataclasses.replace(timed[1][0], encode_s=timing.Quartiles(0.1, 0.25, 0.33333))
    row = t.row()
    assert (row["encode_s"], row["encode_s_low"], row["encode_s_high"]) == (0.25, 0.1, 0.33333)
    texts = {column.heading: column.text(row) for column in timing.TIMES}
    assert texts["encode (s)"] == "0.2500"
    assert texts["encode quartiles (s)"] == "0.1000-0.3333"


def test_the_time_of_the_process_itself_is_not_that_of_others(tmp_path, monkeypatch):
    spent = []

    def watch(before):
        spent.append(sum(os.times()[:4]) - before[2])
        return 0.0

    monkeypatch.setattr(timing, "_others_cores", watch)
    timing.time_codecs(["jpeg:quality=50"], "sample", tmp_path, n_repeats=1)
    assert spent[-1] > 0.05  # Python's start alone takes longer


def test_a_busy_machine_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(timing, "_others_cores", lambda before: 1.5)
    with pytest.raises(Unavailable, match=r"1\.5 cores busy.*--busy"):
        timing.time_codecs(["jpeg"], "sample", tmp_path)


def test_what_does_not_fit(tmp_path):
    with pytest.raises(UsageError, match="threads"):
        timing.time_codecs(["jpeg"], "sample", tmp_path, threads=10_000)


def test_a_result_of_the_same_key_is_replaced(tmp_path):
    with Store(tmp_path) as store:
        store.put_result("timing", ("a", "b"), {"x": 0})
        store.put_result("timing", ("a", "b"), {"x": 1})
        store.put_result("other", ("a", "b"), {"x": 2})
        assert store.results("timing") == {("a", "b"): {"x": 1}}


def test_the_heading_of_the_stages_is_one_line(tmp_path):
    words = ["timing", "-c", "qarv:weights=random-tiny", "--repeats", "1", "--busy", "-d", "sample"]
    result = CliRunner().invoke(app, [*words, "-o", str(tmp_path)])
    assert result.exit_code == 0, result.stderr
    assert "\\n" not in result.stdout
    assert "\n\nstages, median over the images" in result.stdout
