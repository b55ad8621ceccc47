"""A plan says what a sweep will take, and the simulation does what workers do."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_codecs import Toy
from typer.testing import CliRunner

from rdbench.cli.app import app
from rdbench.datasets import load_dataset
from rdbench.plan import READ_S_PER_MEGAPIXEL, START_S, TASK_S, Step, makespan_s, plan
from rdbench.store import Store
from rdbench.sweep import Part, run


@given(st.lists(st.floats(0, 9), max_size=30), st.integers(1, 6))
def test_the_simulation_keeps_the_bounds_of_list_scheduling(seconds, jobs):
    found = makespan_s(map(Step, seconds), jobs) - (START_S if seconds else 0)
    least = max([sum(seconds) / jobs, *seconds], default=0)
    assert least - 1e-9 <= found <= sum(seconds) / jobs + max(seconds, default=0) + 1e-9


def test_workers_take_the_next_task_as_soon_as_they_are_free():
    steps = [Step(s) for s in (4, 1, 1, 1, 1, 5)]
    assert makespan_s(steps, 2) == START_S + 9  # 4, 5 and 1 + 1 + 1 + 1
    assert makespan_s(steps, 1) == START_S + 13
    assert makespan_s([], 2) == 0


def test_each_worker_prepares_and_reads_once():
    steps = [Step(1, "a", 10, "image", 3) for _ in range(4)]
    assert makespan_s(steps, 1) == START_S + 17
    assert makespan_s(steps, 2) == START_S + 15


def test_the_times_of_the_folder_are_used_and_nothing_is_written(tmp_path):
    before = plan(Toy(step=16), "sample", tmp_path / "none")
    assert before.rows[0].row()["worker_s"] is None
    assert before.unknown == ["toy:trouble=,width=0"]
    assert not (tmp_path / "none").exists()
    sample = load_dataset("sample")
    run([Toy(step=16), Toy(step=64)], sample.subset(["coffee"]), tmp_path)
    with Store(tmp_path) as store:
        for record in list(store.records()):
            seconds = record.rate_value * record.width * record.height / 1e6
            run_query = "UPDATE records SET encode_s = ?, decode_s = 0 WHERE spec = ?"
            store._db.execute(run_query, (seconds, record.spec))
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    found = plan([Toy(step=s) for s in (16, 40, 200)], sample.subset(["chelsea"]), tmp_path)
    (row,) = [row.row() for row in found.rows]
    assert (row["n_tasks"], row["n_done"], row["n_left"]) == (3, 0, 3)
    assert row["times"] == ["interpolated", "measured"]
    (chelsea,) = sample.subset(["chelsea"]).files
    megapixels = chelsea.width * chelsea.height / 1e6
    scoring_s = row["worker_s"] - megapixels * (16 + 40 + 64) - 3 * TASK_S
    assert 0 < scoring_s < megapixels
    assert row["megapixels"] == pytest.approx(3 * megapixels)
    assert row["n_bytes"] == pytest.approx(3 * 3e6 * megapixels, rel=0.01)
    whole = START_S + row["worker_s"] + READ_S_PER_MEGAPIXEL * megapixels
    assert found.makespan_s == pytest.approx(whole)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == files


def test_what_is_done_or_belongs_to_another_part_is_not_planned(tmp_path):
    run("null", "sample", tmp_path, part=Part(1, 3))
    assert [r.row()["n_left"] for r in plan("null", "sample", tmp_path).rows] == [2]
    parts = [plan("null", "sample", tmp_path, part=Part(n, 3)).rows[0] for n in (1, 2, 3)]
    assert [(row.n_tasks, row.n_done) for row in parts] == [(1, 1), (1, 0), (1, 0)]
    with Store(tmp_path) as store:
        (record,) = store.records()
        store.bitstream_path(record.bitstream_sha256).unlink()
    assert [r.n_done for r in plan("null", "sample", tmp_path).rows] == [0]


def test_shipped_times_and_the_memory_of_timings(tmp_path):
    shipped = plan("jpeg:quality=50", "sample", tmp_path).rows[0].row()
    assert shipped["times"] == ["typical"]
    assert 0 < shipped["worker_s"] < 10
    assert shipped["peak_memory_bytes"] > 1e7
    with Store(tmp_path) as store:
        store.put_result("timing", ("jpeg",), {"codec": "jpeg", "peak_memory_bytes": 123})
    assert plan("jpeg:quality=50", "sample", tmp_path).rows[0].row()["peak_memory_bytes"] == 123


class OnGpu(Toy):
    name = "null"  # whose times are shipped
    on_gpu = True


def test_times_of_a_processor_do_not_tell_those_of_a_gpu(tmp_path):
    assert plan(OnGpu(), "sample", tmp_path).unknown == ["null:trouble=,width=0"]


def test_the_command(tmp_path):
    words = ["plan", "-c", "jpeg:quality=50", "-c", "qarv:weights=random-tiny,lambda=16",
             "-o", str(tmp_path)]  # fmt: skip
    done = CliRunner().invoke(app, [*words, "--jobs", "2"])
    assert done.exit_code == 0, done.output
    assert "no times are known for qarv" in done.stderr
    assert "on 2 workers" in done.stderr
    found = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert [row["n_left"] for row in found["codecs"]] == [3, 3]
    assert found["jobs"] == 1
    assert found["makespan_s"] > START_S


def test_images_of_one_size_share_nothing_else(tmp_path):
    """The plan counts equal files once, as a sweep does."""
    sample = load_dataset("sample")
    twice = replace(sample, files=(*sample.files, replace(sample.files[0], name="copy.png")))
    assert plan("null", twice, tmp_path).rows[0].n_tasks == 3
