"""A disk that is full, a folder that goes away or cannot be written, a clock that is set back."""

import datetime
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from made_up import DATA, record
from toy_codecs import Toy

from rdbench.errors import DataError
from rdbench.merge import merge
from rdbench.store import Store
from rdbench.sweep import run
from rdbench.verify import verify

FILL_THE_DISKS = """
import os, resource, signal, sys
sys.path.insert(0, {tests!r})
from made_up import DATA, record
from rdbench.errors import DataError
from rdbench.store import Store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
def fill(folder, limit):
    with Store(folder) as store:
        store.add(record("first.png"), DATA)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        try:
            for i in range(5000):
                store.add(record(f"{{i}}.png"), DATA)
        except DataError as error:
            return "what was written before is kept" in str(error)
for limit in {limits}:
    if not (process := os.fork()):
        os._exit(0 if fill(os.path.join({folder!r}, str(limit)), limit) else 1)
    print(os.waitpid(process, 0)[1])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_full_disk_is_reported_and_loses_nothing(tmp_path, request, record_property):
    """With --faults-long, every page of the first 200 kB of a file is the first that fails."""
    long = request.config.getoption("--faults-long")
    limits = range(4096, 204_801, 4096) if long else (90_000, 200_000)
    record_property("tried", len(limits))
    code = FILL_THE_DISKS.format(
        tests=str(Path(__file__).parents[1]), folder=str(tmp_path), limits=[*limits]
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["0"] * len(limits), done.stderr
    for limit in limits:
        with Store(tmp_path / str(limit)) as store:
            kept = list(store.records())
            assert {"first.png"} <= {record.image for record in kept}
            assert all(store.bitstream(r.bitstream_sha256) == DATA for r in kept)
            store.add(record("after.png"), DATA)
            assert len(list(store.records())) == len(kept) + 1


@pytest.mark.parametrize("jobs", [0, 1])
@pytest.mark.parametrize("what", ["deleted", "moved", "replaced", "database deleted", "at the end"])
def test_a_report_folder_that_goes_away_stops_the_sweep(photos, tmp_path, what, jobs):
    out, moved = tmp_path / "out", tmp_path / "moved"

    def interfere(progress):
        if what == "at the end" and progress.n_made == 6:
            shutil.rmtree(out)
        if progress.n_made != 2:
            return
        if what == "deleted":
            shutil.rmtree(out)
        if what in ("moved", "replaced"):
            out.rename(moved)
        if what == "replaced":
            Store(out).close()
        if what == "database deleted":
            (out / "records.sqlite").unlink()

    codecs = [Toy(step=step) for step in (64, 16, 4)]
    how = "replaced by another" if what == "replaced" else "deleted or moved"
    with pytest.raises(DataError, match=how):
        run(codecs, photos, out, jobs=jobs, on_progress=interfere)
    assert out.exists() == (what in ("replaced", "database deleted"))
    if moved.exists():
        assert run(codecs, photos, moved).n_made == 4  # the two from before are there


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that root cannot write to")
def test_a_folder_that_cannot_be_written_is_one_line():
    with pytest.raises(DataError, match="cannot write to /proc/rdbench"):
        run("null", "sample", "/proc/rdbench")


class SetBack(datetime.datetime):
    """A clock that is decades behind."""

    @classmethod
    def now(cls, tz=None):
        return cls(1990, 1, 1, tzinfo=tz)


def test_a_clock_that_is_set_back_changes_dates_only(photos, tmp_path, monkeypatch):
    points = [Toy(step=step) for step in (64, 16)]
    first = run(points[:1], photos, tmp_path / "out").records
    monkeypatch.setattr("rdbench.sweep.datetime.datetime", SetBack)
    outcome = run(points, photos, tmp_path / "out")
    assert (outcome.n_made, len(outcome.records)) == (2, 4)
    assert all(r in outcome.records for r in first)
    assert sum(r.created.startswith("1990") for r in outcome.records) == 2
    assert all(r.encode_s > 0 and r.decode_s > 0 for r in outcome.records)
    assert verify(tmp_path / "out").faults == ()
    assert merge(tmp_path / "merged", [tmp_path / "out"]).n_new == 4
