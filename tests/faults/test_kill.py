"""A sweep killed at any moment loses nothing, doubles nothing, and ends like an undisturbed one."""

import contextlib
import csv
import importlib.util
import io
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest
from dask_processes import dask_process, ended, scheduler
from program import PROGRAM, rdbench, start, wait_until, worker_processes

from rdbench.store import Store

TIMES = {"encode_s", "decode_s", "created", "provenance", "timed_alone"}


def command(out, qualities=range(5, 100, 10)):
    specs = [f"jpeg:quality={','.join(map(str, qualities))}", "null"]
    options = [word for spec in specs for word in ("--codec", spec)]
    return [*PROGRAM, "run", *options, "--jobs", "2", "--out", str(out)]


def table(out):
    """All records as exported, times aside."""
    status, text, errors = rdbench("export", out, "--format", "csv")
    assert status == 0, errors
    rows = csv.DictReader(io.StringIO(text))
    return [{k: v for k, v in row.items() if k not in TIMES} for row in rows]


def check_whole(out):
    """Every record there is complete and its bitstream is what its hash says."""
    if not (out / "records.sqlite").exists():
        return 0
    with Store(out) as store:
        records = list(store.records())
        for record in records:
            assert record.error is None
            assert len(store.bitstream(record.bitstream_sha256)) == record.n_bytes
    database = sqlite3.connect(out / "records.sqlite")
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()
    assert len({(r.spec, r.image) for r in records}) == len(records)
    return len(records)


def n_kept(out):
    """Records in a report folder that a sweep may be writing to."""
    if not any(out.glob("bitstreams/*/*")):
        return 0
    with Store(out, create=False) as store:
        return sum(1 for _ in store.records())


@pytest.fixture(scope="module")
def n_kills(request):
    """How often the driver, a worker or a scheduler is killed."""
    return 20 if request.config.getoption("--faults-long") else 1


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """What an undisturbed sweep measures, and how long it takes."""
    out, started = tmp_path_factory.mktemp("calm"), time.monotonic()
    subprocess.run(command(out), check=True, capture_output=True, timeout=600)
    return table(out), time.monotonic() - started


@pytest.mark.skipif(sys.platform == "win32", reason="needs kill -9")
def test_kill_minus_nine(tmp_path, calm, n_kills, record_property):
    record_property("tried", n_kills)
    undisturbed, whole_s = calm
    out, seed = tmp_path / "killed", random.Random(0)
    there = 0
    for _ in range(n_kills):
        sweep = subprocess.Popen(command(out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(seed.uniform(0, whole_s))
        family = psutil.Process(sweep.pid).children(recursive=True)
        sweep.send_signal(signal.SIGKILL)
        sweep.wait(30)
        _, alive = psutil.wait_procs(family, timeout=120)
        assert not alive, "workers outlived the sweep"
        before, there = there, check_whole(out)
        assert there >= before
        if there == 33:  # all done: start over, so that every kill meets a sweep at work
            Path(out).rename(tmp_path / f"done-{time.monotonic_ns()}")
            there = 0
    subprocess.run(command(out), check=True, capture_output=True, timeout=600)
    assert table(out) == undisturbed


needs_dask = pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None, reason="needs rdbench[cluster]"
)
CLUSTERS = [(), pytest.param(("--cluster", "local:2"), marks=needs_dask)]


def all_workers(process):
    """Processes that do tasks; those of a cluster are children of its nannies or of the driver."""
    with contextlib.suppress(psutil.NoSuchProcess):
        family = psutil.Process(process.pid).children(recursive=True)
        return [child for child in family if "spawn_main" in " ".join(child.cmdline())]
    return []


@pytest.mark.parametrize("cluster", CLUSTERS, ids=["processes", "cluster"])
def test_a_worker_killed_at_a_random_moment(tmp_path, calm, n_kills, cluster, record_property):
    """Its task is measured by another worker or by the next run; nothing else is lost."""
    undisturbed, whole_s = calm
    seed = random.Random(1)
    words = command("out")[:-4] if cluster else command("out")[:-2]
    record_property("tried", n_kills)
    for number in range(n_kills):
        out = tmp_path / str(number)
        sweep = subprocess.Popen(
            [*words, *cluster, "--out", out], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        # A cluster whose workers die as they start does not start.
        at_work = partial(n_kept, out) if cluster else partial(all_workers, sweep)
        wait_until(at_work, sweep, seconds=600)
        time.sleep(seed.uniform(0, whole_s / 2))
        victims = all_workers(sweep)
        with contextlib.suppress(psutil.NoSuchProcess):
            seed.choice(victims).kill() if victims else None
        status = sweep.wait(600)
        with Store(out, create=False) as store:
            failed = [r for r in store.records() if r.error is not None]
        assert len(failed) <= (0 if cluster else 1)
        assert status == bool(failed)
        again = rdbench(*words[len(PROGRAM) :], "--out", out)
        assert again[0] == 0, again
        assert table(out) == undisturbed


@needs_dask
def test_a_scheduler_killed_at_a_random_moment(tmp_path, calm, n_kills, request, record_property):
    """The driver ends with one line; what was measured is kept, and the same command resumes."""
    if not request.config.getoption("--faults-long"):
        pytest.skip("only with --faults-long")
    undisturbed, whole_s = calm
    seed = random.Random(2)
    record_property("tried", n_kills)
    words = command("out")[len(PROGRAM) : -4]
    for number in range(n_kills):
        out = tmp_path / str(number)
        with (
            scheduler() as (process, address),
            ended(dask_process("worker", address, "--local-directory", str(tmp_path))),
        ):
            sweep = start(*words, "--cluster", address, "--out", out)
            wait_until(partial(n_kept, out), sweep, seconds=600)
            time.sleep(seed.uniform(0, whole_s / 8))
            process.kill()
            _, said = sweep.communicate(timeout=600)
        lost = f"lost the Dask scheduler at {address}; what was measured is kept"
        assert sweep.returncode == 0 or lost in said, said
        before = check_whole(out)
        again = rdbench(*words, "--jobs", 2, "--out", out)
        assert again[0] == 0, again
        assert f" {before} already done" in again[2]
        assert table(out) == undisturbed


def test_ctrl_c_says_how_to_resume(tmp_path):
    sweep = start(*command(tmp_path, qualities=range(1, 101))[len(PROGRAM) :])
    wait_until(lambda: n_kept(tmp_path), sweep)
    sweep.send_signal(signal.SIGINT)
    _, said = sweep.communicate(timeout=120)
    assert sweep.returncode == 130
    (line,) = said.splitlines()
    assert "run the same command again to resume" in line
    assert check_whole(tmp_path) > 0


def hears_sigterm(process):
    """Whether a process has a handler for SIGTERM, which Python alone does not give it."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    (caught,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return int(caught, 16) >> (signal.SIGTERM - 1) & 1


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_imports_is_one_line(number):
    program = start("list", "codecs")
    wait_until(lambda: hears_sigterm(program), program)
    program.send_signal(number)
    printed, said = program.communicate(timeout=120)
    assert (program.returncode, printed, said) == (128 + number, "", "rdbench: stopped\n")


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A report folder whose records lack most metrics."""
    out = tmp_path_factory.mktemp("measured")
    subprocess.run(command(out, range(5, 100, 30)), check=True, capture_output=True, timeout=600)
    return out


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "words",
    [
        ("run", "--codec", "webp"),
        ("rescore", "--metric", "ciede2000"),
        ("match", "--codec", "webp", "--psnr", "33"),
        ("timing", "--codec", "jpeg", "--busy"),
    ],
    ids=lambda words: words[0],
)
def test_a_signal_to_all_processes_as_workers_start_is_one_line(measured, words, number, twice):
    folder = (measured,) if words[0] == "rescore" else ("--out", measured)
    program = start(*words, *folder)
    workers = wait_until(lambda: worker_processes(program), program)
    for _ in range(1 + twice):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid, number)
    _, said = program.communicate(timeout=120)
    statuses = {128 + number, -number if twice else 128 + number}  # -number: the second hit its end
    assert program.returncode in statuses, said
    (line,) = said.splitlines()
    assert line.startswith("rdbench: stopped")
    _, alive = psutil.wait_procs(workers, timeout=120)
    assert not alive, "workers outlived the program"


def test_a_worker_killed_as_it_starts_fails_nothing(tmp_path):
    sweep = start("run", "--codec", "jpeg", "--jobs", 2, "--out", tmp_path)
    for worker in wait_until(lambda: worker_processes(sweep), sweep):
        worker.kill()
    _, said = sweep.communicate(timeout=300)
    assert sweep.returncode == 0, said
    assert " 0 failed" in said
    assert check_whole(tmp_path) > 0


def test_workers_that_always_die_as_they_start_end_the_sweep(tmp_path):
    sweep = start("run", "--codec", "jpeg", "--jobs", 2, "--out", tmp_path)
    deadline = time.monotonic() + 100
    while sweep.poll() is None and time.monotonic() < deadline:
        for worker in worker_processes(sweep):
            with contextlib.suppress(psutil.NoSuchProcess):  # the sweep has ended it meanwhile
                worker.kill()
        time.sleep(0.002)
    _, said = sweep.communicate(timeout=10)
    assert sweep.returncode == 1
    (line,) = said.splitlines()
    assert "5 worker processes in a row died as they started (SIGKILL" in line
    assert check_whole(tmp_path) == 0  # no image is blamed


@pytest.mark.parametrize("n_drivers", [2, 3])
def test_several_sweeps_into_one_folder(tmp_path, request, n_drivers, record_property):
    long = request.config.getoption("--faults-long")
    if n_drivers == 2 and not long:
        pytest.skip("three are tried")
    record_property("tried", n_times := 5 if long else 1)
    for number in range(n_times):
        out = tmp_path / str(number)
        sweeps = [
            subprocess.Popen(command(out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for _ in range(n_drivers)
        ]
        assert [sweep.wait(600) for sweep in sweeps] == [0] * n_drivers
        assert check_whole(out) == 33
