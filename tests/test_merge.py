"""Parts of a sweep, and folders merged into one: nothing lost, doubled or mixed up."""

import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import DATA, record
from program import rdbench
from toy_codecs import Toy
from typer.testing import CliRunner

from rdbench.cli.app import app
from rdbench.errors import DataError, UsageError
from rdbench.merge import merge
from rdbench.store import Store, key_of
from rdbench.sweep import Part, run
from rdbench.verify import verify

TIMES = ("encode_s", "decode_s", "created", "provenance", "timed_alone")
CODECS = "jpeg:quality=10,30,50,70,90", "webp:quality=20,60", "null"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of three images."""
    folder = tmp_path_factory.mktemp("photos")
    for width in (40, 30, 20):
        pixels = np.random.default_rng(width).integers(0, 256, (20, width, 3), dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(folder / f"{width}.png")
    return folder


def rows(folder):
    """All records, times aside."""
    with Store(folder, create=False) as store:
        return [dataclasses.replace(r, **dict.fromkeys(TIMES)) for r in store.records()]


def put(folder, *records, data=DATA):
    with Store(folder) as store:
        store.remember_protocol("p", {"scored": "8-bit"})
        store.remember_dataset("set", "set", {r.image: r.image_sha256 for r in records})
        for each in records:
            store.add(each, data if each.bitstream_sha256 else None)
    return folder


@given(st.integers(0, 100), st.integers(1, 30))
def test_parts_share_the_tasks_evenly(n_tasks, n_parts):
    tasks = list(range(n_tasks))
    shares = [Part(number, n_parts).share(tasks) for number in range(1, n_parts + 1)]
    assert sorted(task for share in shares for task in share) == tasks
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "1/0", "a/b", "1/3/5", "-1/3"])
def test_a_part_that_does_not_exist_is_refused(text):
    with pytest.raises(UsageError, match="NUMBER/OF"):
        Part.parse(text)


def test_parts_do_not_depend_on_what_is_done(photos, tmp_path):
    part = Part.parse("2/3")
    first = run(CODECS, str(photos), tmp_path / "a", part=part).records
    run("null", str(photos), tmp_path / "b")
    again = run(CODECS, str(photos), tmp_path / "b", part=part)
    assert [key_of(r) for r in again.records] == [key_of(r) for r in first]
    assert len(first) == again.n_wanted == 8


def test_twenty_parts_equal_the_whole(photos, tmp_path):
    run(CODECS, str(photos), tmp_path / "whole")
    parts = [tmp_path / f"part{number}" for number in range(1, 21)]
    for number, part in enumerate(parts, 1):
        run(CODECS, str(photos), part, part=Part(number, 20))
    merged = merge(tmp_path / "merged", parts)
    assert (merged.n_new, merged.n_failed, merged.problems) == (24, 0, [])
    assert rows(tmp_path / "merged") == rows(tmp_path / "whole")
    assert verify(tmp_path / "merged").faults == ()
    assert run(CODECS, str(photos), tmp_path / "merged").n_made == 0
    with Store(tmp_path / "merged") as store, Store(parts[0]) as part:
        assert all(r in list(store.records()) for r in part.records())  # with provenance and times
        assert store.datasets() == part.datasets()
        assert store.protocols() == part.protocols()
    again = merge(tmp_path / "merged", parts)
    assert (again.n_new, again.n_known, again.problems) == (0, 24, [])


def test_a_part_that_is_being_written_is_merged_as_far_as_it_is(tmp_path):
    part, out = tmp_path / "part", tmp_path / "out"
    put(part, record("first.png"))

    def write():
        for number in range(100):
            put(part, record(f"{number}.png"))

    writer = threading.Thread(target=write)
    writer.start()
    found = 0
    while writer.is_alive():
        assert merge(out, [part]).problems == []
        before, found = found, len(rows(out))
        assert found >= before
        assert verify(out).faults == ()
    writer.join()
    merge(out, [part])
    assert len(rows(out)) == 101


def test_verified_beats_failed_in_either_order(tmp_path):
    good = put(tmp_path / "good", record())
    bad = put(tmp_path / "bad", record(error="no luck", n_bytes=None))
    for name, parts in (("a", [good, bad]), ("b", [bad, good])):
        merge(tmp_path / name, parts)
        assert [r.error for r in rows(tmp_path / name)] == [None]
    merged = merge(tmp_path / "c", [bad])
    assert (merged.n_new, merged.n_failed) == (1, 1)
    assert merge(tmp_path / "c", [bad]).n_new == 0


def other_bitstream():
    return dataclasses.replace(record(), bitstream_sha256=hashlib.sha256(b"BITS").hexdigest())


def test_other_bitstreams_of_one_key_are_named_and_the_first_is_kept(tmp_path):
    first = put(tmp_path / "first", record())
    second = put(tmp_path / "second", other_bitstream(), data=b"BITS")
    (problem,) = merge(tmp_path / "out", [first, second]).problems
    assert (problem.kind, problem.part) == ("conflict", str(second))
    assert problem.what == "toy:q=1 on set/a.png"
    assert record().bitstream_sha256[:12] in problem.reason.partition("is kept")[0]
    assert rows(tmp_path / "out") == rows(first)
    merge(tmp_path / "reverse", [second, first])
    assert rows(tmp_path / "reverse") == rows(second)


def test_scores_are_added_and_those_that_differ_are_named(tmp_path):
    one = put(tmp_path / "one", record())
    more = dataclasses.replace(record(), scores={"psnr_rgb": 30.5 + 1e-9, "vif": 0.5})
    two = put(tmp_path / "two", more)
    assert merge(tmp_path / "out", [one, two]).problems == []
    assert rows(tmp_path / "out")[0].scores == {"psnr_rgb": 30.5, "vif": 0.5}
    three = put(tmp_path / "three", dataclasses.replace(record(), scores={"psnr_rgb": 31.0}))
    (problem,) = merge(tmp_path / "out", [three]).problems
    assert problem.reason == "psnr_rgb 30.5 is kept, 31 of the same bitstream is not"


def test_damage_of_a_part_is_named_and_the_rest_merged(tmp_path):
    part = put(tmp_path / "part", record("a.png"))
    with Store(part) as store:
        store.add(other := dataclasses.replace(other_bitstream(), image="b.png",
                                               image_sha256="b"), b"BITS")  # fmt: skip
        store.bitstream_path(other.bitstream_sha256).write_bytes(b"BITZ")
    broken = put(tmp_path / "broken", record("c.png"))
    (broken / "records.sqlite").write_bytes(b"no database" * 1000)
    last = put(tmp_path / "last", record("d.png"))
    problems = merge(tmp_path / "out", [part, broken, last]).problems
    assert [(p.kind, p.part) for p in problems] == [
        ("damaged", str(part)),
        ("damaged", str(broken)),
    ]
    assert "is corrupt" in problems[0].reason
    assert [r.image for r in rows(tmp_path / "out")] == ["a.png", "d.png"]
    assert verify(tmp_path / "out").faults == ()


def test_merging_heals_what_the_folder_lost(tmp_path):
    part = put(tmp_path / "part", record())
    merge(tmp_path / "out", [part])
    with Store(tmp_path / "out") as store:
        store.bitstream_path(record().bitstream_sha256).unlink()
    assert merge(tmp_path / "out", [part]).n_new == 1
    assert verify(tmp_path / "out").faults == ()


def test_folders_of_two_machines(photos, tmp_path):
    """The same images elsewhere are one data set; others of the same name are another."""
    parts = []
    for machine, names in (("a", [40, 30]), ("b", [40, 30]), ("c", [40, 20])):
        folder = tmp_path / machine / "images"
        folder.mkdir(parents=True)
        for name in names:
            shutil.copy(photos / f"{name}.png", folder)
        run(
            "null" if machine == "a" else "jpeg:quality=50",
            str(folder),
            tmp_path / f"out-{machine}",
        )
        parts.append(tmp_path / f"out-{machine}")
    assert merge(tmp_path / "out", parts).problems == []
    with Store(tmp_path / "out") as store:
        assert {r.dataset: r.codec for r in store.records()} == {
            "images": "null",
            "c/images": "jpeg",
        }
        assert [len(list(store.records(dataset=d))) for d in store.datasets()] == [2, 4]
        assert {len(images) for images in store.datasets().values()} == {2}


def test_a_data_set_that_grew_gets_all_images_and_one_that_changed_is_refused(photos, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    shutil.copy(photos / "40.png", folder)
    run("null", str(folder), tmp_path / "early")
    shutil.copy(photos / "30.png", folder)
    run("null", str(folder), tmp_path / "late")
    merge(tmp_path / "out", [tmp_path / "late", tmp_path / "early"])
    with Store(tmp_path / "out") as store:
        assert {*store.datasets()["images"]} == {"30.png", "40.png"}
    shutil.copy(photos / "20.png", folder / "40.png")
    run("null", str(folder), tmp_path / "changed")
    (problem,) = merge(tmp_path / "out", [tmp_path / "changed"]).problems
    assert (problem.kind, problem.what) == ("conflict", "data set images")
    assert "another image 40.png" in problem.reason
    assert len(rows(tmp_path / "out")) == 2


def test_results_are_merged_too(tmp_path):
    part, out = put(tmp_path / "part", record()), put(tmp_path / "out", record())
    timing = {"dataset": "set", "created": "2026-01-02", "encode_s": 1.0}
    digest = hashlib.sha256(b"match").hexdigest()
    match = {"dataset": "set", "bitstream_sha256": digest, "error": None}
    with Store(part) as store:
        store.put_result("timing", ("jpeg", "set"), timing)
        store.put_result("match", ("jpeg", "set"), match)
        store.put_result("cost", ("jpeg",), {"macs": 1})
        store.keep(digest, b"match")
    with Store(out) as store:
        store.put_result("timing", ("jpeg", "set"), timing | {"created": "2026-01-01"})
        store.put_result("cost", ("jpeg",), {"macs": 2})
    (problem,) = merge(out, [part]).problems
    assert problem.what == "cost jpeg"
    with Store(out) as store:
        assert store.results("timing") == {("jpeg", "set"): timing}
        assert store.results("match") == {("jpeg", "set"): match}
        assert store.results("cost") == {("jpeg",): {"macs": 2}}
        assert store.bitstream(digest) == b"match"
    merge(part, [out])
    with Store(part) as store:
        assert store.results("timing") == {("jpeg", "set"): timing}


def test_described_codecs_are_merged(photos, tmp_path):
    (tmp_path / "same.toml").write_text(
        'name = "same"\nformat = "png"\nencode = "cp {input} {output}"\n'
        'decode = "cp {input} {output}"\n'
    )
    run(str(tmp_path / "same.toml"), str(photos), tmp_path / "part")
    merge(tmp_path / "out", [tmp_path / "part"])
    (tmp_path / "same.toml").unlink()
    with Store(tmp_path / "out") as store:
        (first, *_) = store.records()
        assert store.codec_of(first.codec, first.spec, first.fingerprint).name == "same"


def test_what_cannot_be_merged_is_refused_before_anything_is_written(tmp_path):
    part = put(tmp_path / "part", record())
    with pytest.raises(DataError, match="no records in"):
        merge(tmp_path / "out", [part, tmp_path / "nothing"])
    with pytest.raises(UsageError, match="into itself"):
        merge(part, [part])
    assert not (tmp_path / "out").exists()


def test_the_command_prints_conflicts(tmp_path):
    put(tmp_path / "one", record())
    put(tmp_path / "two", other_bitstream(), data=b"BITS")
    words = ["merge", *(str(tmp_path / name) for name in ("out", "one", "two")), "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1
    assert [row["kind"] for row in json.loads(done.stdout)] == ["conflict"]
    assert "1 results merged (0 of them failed), 1 already done, 1 problems" in done.stderr
    assert CliRunner().invoke(app, words[:3]).exit_code == 0


SBATCH = """#!/bin/bash
# Runs the jobs of an array one after the other, as sbatch would on a cluster.
set -eu
range=${1#--array=1-}
shift
for number in $(seq "$range"); do
    SLURM_ARRAY_TASK_ID=$number SLURM_ARRAY_TASK_COUNT=$range bash "$@"
done
"""


def test_the_job_array_of_the_examples(photos, tmp_path):
    sbatch = tmp_path / "sbatch"
    sbatch.write_text(SBATCH)
    program = tmp_path / "rdbench"
    program.write_text(f'#!/bin/bash\nexec {sys.executable} -m rdbench "$@"\n')
    for file in (sbatch, program):
        file.chmod(0o755)
    script = Path(__file__).parents[1] / "examples" / "cluster" / "array.sbatch"
    words = "--codec", "jpeg:quality=20,60", "--dataset", photos
    done = subprocess.run(
        [sbatch, "--array=1-2", script, *words], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert rdbench("merge", "reports", "parts/1", "parts/2", cwd=tmp_path)[0] == 0
    run("jpeg:quality=20,60", str(photos), tmp_path / "whole")
    assert rows(tmp_path / "reports") == rows(tmp_path / "whole")


def test_toy_failures_are_merged_and_tried_again(photos, tmp_path):
    run(Toy(trouble="raise in encode", width=40), str(photos), tmp_path / "part")
    merged = merge(tmp_path / "out", [tmp_path / "part"])
    assert (merged.n_new, merged.n_failed) == (3, 1)
    assert run(Toy(trouble="raise in encode", width=40), str(photos), tmp_path / "out").n_made == 1
