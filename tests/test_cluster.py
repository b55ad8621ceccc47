"""Work on a Dask cluster: workers that are late, that leave, and a scheduler that is lost."""

import importlib.util
import os
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from program import start, wait_until

from rdbench.cluster import _Cluster, dask
from rdbench.errors import Unavailable, WorkerError
from rdbench.store import Store

needs_dask = pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None, reason="needs rdbench[cluster]"
)


class FakeClient:
    """A Dask client whose workers join when the test has heard that there are none."""

    def __init__(self, n_threads, lost=False):
        self.n_threads = n_threads
        self.lost = lost

    def nthreads(self):
        if self.lost:
            raise OSError("Timed out trying to connect")
        return {"tcp://worker": self.n_threads} if self.n_threads else {}

    def get_executor(self, pure):
        return ThreadPoolExecutor(1)


def double(number):
    return 2 * number


def test_tasks_wait_for_workers():
    client, said = FakeClient(0), []

    def on_wait(what):
        said.append(what)
        client.n_threads = 1

    cluster = _Cluster(client, "tcp://here:8786", 1, on_wait)
    assert sorted(cluster.map_tasks(double, range(5))) == [(n, 2 * n) for n in range(5)]
    assert said == ["no workers at tcp://here:8786; waiting for some to join"]


def test_a_lost_scheduler_ends_the_sweep_with_one_line():
    cluster = _Cluster(FakeClient(1, lost=True), "tcp://here:8786", 1, pytest.fail)
    with pytest.raises(WorkerError, match="lost the Dask scheduler at tcp://here:8786"):
        list(cluster.map_tasks(double, range(5)))


@needs_dask
def test_no_scheduler():
    with (
        pytest.raises(Unavailable, match="no Dask scheduler answers"),
        dask("tcp://127.0.0.1:9", 1),
    ):
        pass


def dask_process(command, *words):
    return subprocess.Popen(
        [sys.executable, "-m", f"distributed.cli.dask_{command}", *words, "--no-dashboard"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def cluster(tmp_path):
    """A scheduler's process and its address; it has no workers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    scheduler = dask_process("scheduler", "--port", str(port), "--host", "127.0.0.1")
    wait_until(lambda: listening(port), scheduler)
    yield scheduler, f"tcp://127.0.0.1:{port}"
    scheduler.kill()
    scheduler.wait(30)


def first_line(program):
    """What the program says first, on stderr; nothing after a minute."""
    deadline = threading.Timer(60, program.kill)
    deadline.start()
    try:
        return program.stderr.readline()
    finally:
        deadline.cancel()


@needs_dask
def test_a_sweep_waits_for_workers_and_finds_images_by_absolute_paths(
    cluster, tmp_path, monkeypatch
):
    _, address = cluster
    images = tmp_path / "photos"
    images.mkdir()
    import numpy as np
    import PIL.Image

    PIL.Image.fromarray(np.full((20, 30, 3), 9, np.uint8)).save(images / "a.png")
    monkeypatch.chdir(tmp_path)
    words = ("--codec", "null", "--dataset", "photos", "--out", "out")
    sweep = start("run", *words, "--scheduler", address)
    assert first_line(sweep) == f"no workers at {address}; waiting for some to join\n"
    os.chdir("/")
    worker = dask_process("worker", address, "--nthreads", "1", "--local-directory", str(tmp_path))
    try:
        _, said = sweep.communicate(timeout=60)
    finally:
        worker.terminate()
        worker.wait(30)
    assert sweep.returncode == 0, said
    assert "1 measured, 0 already done, 0 failed" in said
    with Store(tmp_path / "out") as store:
        assert [record.error for record in store.records()] == [None]


@needs_dask
def test_a_scheduler_that_dies_is_one_line(cluster, tmp_path):
    scheduler, address = cluster
    sweep = start("run", "--codec", "null", "--out", tmp_path / "out", "--scheduler", address)
    assert "waiting" in first_line(sweep)
    scheduler.kill()
    _, said = sweep.communicate(timeout=60)
    assert sweep.returncode == 1
    (line,) = said.splitlines()
    assert line.startswith(f"rdbench: lost the Dask scheduler at {address}; what was measured")
