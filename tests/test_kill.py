"""A sweep killed at any moment loses nothing, doubles nothing, and ends like an undisturbed one.

RDBENCH_KILLS=50 kills that many times; the default keeps the suite short.
"""

import csv
import io
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from program import PROGRAM, rdbench

from rdbench.store import Store

KILLS = int(os.environ.get("RDBENCH_KILLS", "6"))
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


@pytest.mark.skipif(sys.platform == "win32", reason="needs kill -9")
def test_kill_minus_nine(tmp_path):
    started = time.monotonic()
    subprocess.run(command(tmp_path / "calm"), check=True, capture_output=True)
    whole_s = time.monotonic() - started
    out, seed = tmp_path / "killed", random.Random(0)
    there = 0
    for _ in range(KILLS):
        sweep = subprocess.Popen(command(out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(seed.uniform(0, whole_s))
        family = psutil.Process(sweep.pid).children(recursive=True)
        sweep.send_signal(signal.SIGKILL)
        sweep.wait()
        _, alive = psutil.wait_procs(family, timeout=20)
        assert not alive, "workers outlived the sweep"
        before, there = there, check_whole(out)
        assert there >= before
        if there == 33:  # all done: start over, so that every kill meets a sweep at work
            Path(out).rename(tmp_path / f"done-{time.monotonic_ns()}")
            there = 0
    subprocess.run(command(out), check=True, capture_output=True)
    assert table(out) == table(tmp_path / "calm")


def hear_ctrl_c():
    """Shells start background jobs with SIGINT ignored, and their children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_says_how_to_go_on(tmp_path):
    words = command(tmp_path, qualities=range(1, 101))
    sweep = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, preexec_fn=hear_ctrl_c)
    while not (tmp_path / "bitstreams").exists():
        time.sleep(0.01)
    sweep.send_signal(signal.SIGINT)
    _, said = sweep.communicate(timeout=30)
    assert sweep.returncode == 130
    assert "run the same command again to resume" in said
    assert "Traceback" not in said
    assert check_whole(tmp_path) > 0


def test_two_sweeps_into_one_folder(tmp_path):
    sweeps = [
        subprocess.Popen(command(tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(2)
    ]
    assert [sweep.wait(120) for sweep in sweeps] == [0, 0]
    assert check_whole(tmp_path) == 33
