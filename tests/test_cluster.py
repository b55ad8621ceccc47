"""Work on a Dask cluster: workers that are late, that leave, and a scheduler that is lost."""

import contextlib
import dataclasses
import importlib.util
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from types import SimpleNamespace

import pytest
from cluster_tasks import (
    Needy,
    WithFile,
    die,
    die_once,
    double,
    gpu_of,
    number_of,
    read_twice,
    when_and_where,
)
from dask_processes import dask_process, scheduler
from program import rdbench, start, wait_until
from toy_codecs import Toy

from rdbench.cluster import (
    _Cluster,
    _do_located,
    _ImageMissingError,
    _Located,
    _slots,
    dask,
    versions,
)
from rdbench.costs import _shipped
from rdbench.datasets import ImageFile
from rdbench.errors import Unavailable, UsageError, WorkerError
from rdbench.store import Store
from rdbench.sweep import run

needs_dask = pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None, reason="needs rdbench[cluster]"
)


ADDRESS = "tcp://here:8786"


class FakeClient:
    """A Dask client; workers are a mapping of their names to threads and resources."""

    def __init__(self, *workers, lost=False, versions=versions):
        self.workers = workers
        self.lost = lost
        self.versions = versions
        self.compared = []

    def scheduler_info(self, n_workers):
        if self.lost:
            raise OSError("Timed out trying to connect")
        return {"workers": dict(enumerate(self.workers))}

    def run(self, function, workers, on_error):
        self.compared += workers
        return {worker: self.versions() for worker in workers}

    def get_executor(self, pure, resources):
        return ThreadPoolExecutor(1)


CPU = {"nthreads": 1, "resources": {}}
GPU = {"nthreads": 4, "resources": {"GPU": 2.0}}


def test_tasks_wait_for_workers():
    client, told = FakeClient(), []

    def on_wait(what):
        told.append(what)
        client.workers = (CPU,)

    cluster = _Cluster(client, ADDRESS, 1, on_wait)
    assert sorted(cluster.map_tasks(double, range(5))) == [(n, 2 * n) for n in range(5)]
    assert told == ["no workers at tcp://here:8786; waiting for some to join"]


def test_a_lost_scheduler_ends_the_sweep_with_one_line():
    cluster = _Cluster(FakeClient(CPU, lost=True), ADDRESS, 1, pytest.fail)
    with pytest.raises(WorkerError, match="lost the Dask scheduler at tcp://here:8786"):
        list(cluster.map_tasks(double, range(5)))


def test_workers_do_what_they_can_while_a_task_waits_for_a_gpu():
    client, told = FakeClient(CPU), []
    tasks = [Needy(n, (("GPU", 1.0),) if n < 3 else ()) for n in range(9)]
    done = []

    def on_wait(what):
        told.append(what)

    for task, _ in _Cluster(client, ADDRESS, 1, on_wait).map_tasks(number_of, tasks):
        done.append(task.number)
        if len(done) == 6:
            client.workers = (CPU, GPU)
    assert sorted(done[:6]) == [3, 4, 5, 6, 7, 8]
    assert sorted(done[6:]) == [0, 1, 2]
    assert told == ["no workers that offer GPU=1 at tcp://here:8786; waiting for some to join"]


@pytest.mark.parametrize(
    ("needs", "slots"), [((), 4), ((("GPU", 1.0),), 2), ((("GPU", 2.0),), 1), ((("FPGA", 1.0),), 0)]
)
def test_slots_of_a_worker(needs, slots):
    assert _slots(GPU, needs) == slots


def test_no_task_asks_for_more_memory_than_the_largest_worker_has():
    small, large = ({"nthreads": 2, "resources": {"memory": gb * 1e9}, "name": gb} for gb in (2, 8))
    cluster = _Cluster(FakeClient(small, large), ADDRESS, 1, pytest.fail)
    tasks = [Needy(0, (("memory", 3e9),)), Needy(1, (("memory", 9e9),)), Needy(2)]
    assert len(list(cluster.map_tasks(number_of, tasks))) == 3
    assert {*cluster._executors} == {(("memory", 3e9),), (("memory", 8e9),), ()}
    assert [cluster._n_slots((("memory", gb * 1e9),)) for gb in (1, 2, 3, 5, 9)] == [4, 3, 2, 1, 1]


def compared(**changes):
    """What is told of workers whose versions are others than those of the driver."""
    theirs = {name: v for name, v in {**versions(), **changes}.items() if v}
    client, told = FakeClient(CPU, versions=lambda: theirs), []
    assert len(list(_Cluster(client, ADDRESS, 1, told.append).map_tasks(double, range(3)))) == 3
    assert client.compared == [0]  # once per worker
    return told


def test_versions_of_workers_are_compared():
    assert compared() == []
    (line,) = compared(numpy="1.0", torch="")
    assert line.startswith("workers have other versions: ")
    assert f"numpy 1.0 (here {versions()['numpy']})" in line
    assert f"torch missing (here {versions()['torch']})" in line
    with pytest.raises(
        WorkerError, match=r"worker 0 has rdbench 9 \(here .*install the same there"
    ):
        compared(rdbench="9")
    assert versions().keys() >= {"python", "rdbench", "numpy", "torch", "imagecodecs", "pillow"}


def test_a_worker_without_rdbench_is_refused():
    client = FakeClient(CPU, versions=lambda: ModuleNotFoundError("No module named 'rdbench'"))
    with pytest.raises(WorkerError, match="worker 0 lacks what a sweep needs: No module named"):
        list(_Cluster(client, ADDRESS, 1, pytest.fail).map_tasks(double, range(3)))


@pytest.mark.parametrize(
    "cluster",
    ["local:0", "local:x", "lokal", "slurm:", "host:8786", "local:-1"],  # codespell:ignore
)
def test_clusters_that_do_not_exist_are_refused(cluster, tmp_path):
    with pytest.raises(UsageError, match=r"give local, local:N, slurm"):
        run("null", "sample", tmp_path / "out", cluster=cluster)
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def local():
    """Two workers of this machine; a task that kills three is given up."""
    from dask import config

    allowed = config.set({"distributed.scheduler.allowed-failures": 2})
    with allowed, dask("local:2", 1, ["3", "GPU-abc"]) as map_tasks:
        yield map_tasks


@needs_dask
def test_local_workers_see_one_gpu_each(local):
    tasks = [Needy(n, (("GPU", 1.0),)) for n in range(20)]
    found = {result[:2] for _, result in local(gpu_of, tasks)}
    assert {gpu for gpu, _ in found} == {"3", "GPU-abc"}
    assert len(found) == 2


@needs_dask
def test_large_tasks_do_not_meet_on_a_worker_and_leave_a_small_one_alone():
    """Two workers of two threads; the memory of the large one is enough for one large task."""
    from distributed import Nanny, Scheduler, SpecCluster

    limits = {"small": "1 GB", "large": "3 GB"}
    common = {"nthreads": 2, "host": "127.0.0.1", "dashboard": False}
    workers = {
        name: {"cls": Nanny, "options": {**common, "memory_limit": limit}}
        for name, limit in limits.items()
    }
    host = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    large = [Needy(n, (("memory", 2e9),)) for n in range(4)]
    with (
        SpecCluster(workers, {"cls": Scheduler, "options": host}) as started,
        dask(started.scheduler_address, 1) as map_tasks,
    ):
        found = dict(map_tasks(when_and_where, [*large, *(Needy(n) for n in range(12))]))
    spans = sorted(found[task] for task in large)
    assert len({process for *_, process in spans}) == 1
    assert all(end <= start for (_, end, _), (start, _, _) in pairwise(spans))
    assert len({process for *_, process in found.values()}) == 2


def test_a_task_asks_for_the_memory_that_its_codec_needed(photos, tmp_path, monkeypatch):
    asked = []

    @contextlib.contextmanager
    def workers(*settings):
        yield lambda function, tasks: [
            asked.append(task.needs) or (task, OSError()) for task in tasks
        ]

    monkeypatch.setattr("rdbench.sweep.workers", workers)
    shipped = _shipped("rdbench_codecs")["webp"]["peak_memory_bytes"]
    with Store(tmp_path) as store:
        store.put_result("timing", ("jpeg",), {"codec": "jpeg", "peak_memory_bytes": 3 * 10**9})
    run(["jpeg:quality=50", "webp:quality=50", Toy()], photos, tmp_path)
    memory = [3e9] * 2 + [float(shipped)] * 2 + [None] * 2
    assert [dict(needs).get("memory") for needs in asked] == memory


@needs_dask
def test_a_lost_worker_costs_only_its_tasks(local, tmp_path):
    marks = [str(tmp_path / str(n)) for n in range(2)]
    assert dict(local(die_once, marks)) == dict.fromkeys(marks, "done")
    ((_, error),) = local(die, [0])
    assert "the worker process died, and so did the others" in str(error)
    assert sorted(local(double, range(50))) == [(n, 2 * n) for n in range(50)]


@needs_dask
def test_an_image_that_a_worker_does_not_find_is_sent_once(tmp_path, monkeypatch):
    sent = []
    monkeypatch.setattr("rdbench.cluster._content", lambda task: sent.append(task) or b"image")
    tasks = [WithFile(number, image_elsewhere(tmp_path)) for number in range(20)]
    with dask("local:1", 1) as map_tasks:  # with more, the scheduler decides how often
        found = dict(map_tasks(read_twice, tasks))
    assert set(found) == set(tasks)
    assert set(found.values()) == {(b"image", f"{'ab' * 32}.png")}
    assert 1 <= len(sent) <= 2  # two tasks may be on their way


@needs_dask
def test_a_worker_keeps_the_image_that_it_was_sent(tmp_path, monkeypatch):
    worker = SimpleNamespace(local_directory=str(tmp_path))
    monkeypatch.setattr("distributed.get_worker", lambda: worker)
    task = WithFile(0, image_elsewhere(tmp_path))
    with pytest.raises(_ImageMissingError, match=r"a\.png"):
        _do_located(_Located(read_twice, task))
    first = _do_located(_Located(read_twice, task, b"image"))
    assert first == _do_located(_Located(read_twice, task)) == (b"image", f"{'ab' * 32}.png")


def image_elsewhere(folder):
    """An image that no worker finds by its path."""
    return ImageFile("a.png", folder / "elsewhere" / "a.png", 1, 1, "ab" * 32)


def table(folder):
    """All records but for times and provenance."""
    with Store(folder, create=False) as store:
        return [
            dataclasses.replace(r, encode_s=0, decode_s=0, created="", provenance={},
                                timed_alone=False)
            for r in store.records()
        ]  # fmt: skip


@needs_dask
def test_two_local_workers_give_the_table_of_a_serial_run(tmp_path):
    codecs = "jpeg:quality=20,50,80", "webp:quality=50", "null"
    whole = run(codecs, "sample", tmp_path / "serial")
    spread = run(codecs, "sample", tmp_path / "cluster", cluster="local:2")
    assert table(tmp_path / "cluster") == table(tmp_path / "serial")
    assert {r.timed_alone for r in spread.records} == {False}
    assert {r.provenance["cluster"] for r in spread.records} == {"local:2"}
    assert {r.timed_alone for r in whole.records} == {True}


@needs_dask
def test_ctrl_c_on_a_local_cluster_is_one_line(tmp_path):
    words = ("--codec", f"jpeg:quality={','.join(map(str, range(1, 101)))}", "--out", tmp_path)
    sweep = start("run", *words, "--cluster", "local:1")
    wait_until(lambda: len([*tmp_path.glob("bitstreams/*/*")]) > 2, sweep)
    sweep.send_signal(signal.SIGINT)
    _, said = sweep.communicate(timeout=60)
    assert sweep.returncode == 130
    (line,) = said.splitlines()
    assert "run the same command again to resume" in line
    with Store(tmp_path, create=False) as store:
        assert 0 < len([r for r in store.records() if r.error is None]) < 300


SBATCH = """#!/bin/bash
bash "$1" >/dev/null 2>&1 &
echo "Submitted batch job $!"
"""
SCANCEL = """#!/bin/bash
kill "$1" 2>/dev/null; pkill -P "$1" 2>/dev/null; exit 0
"""
JOBQUEUE = """jobqueue:
  slurm:
    cores: 1
    memory: 1GB
    interface: lo
    local-directory: {folder}
"""


@needs_dask
@pytest.mark.skipif(
    importlib.util.find_spec("dask_jobqueue") is None, reason="needs rdbench[cluster]"
)
def test_jobs_of_slurm(tmp_path):
    for name, text in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "jobqueue.yaml").write_text(JOBQUEUE.format(folder=tmp_path))
    status, _, said = rdbench(
        "run", "--codec", "null", "--out", tmp_path / "out", "--cluster", "slurm:2",
        DASK_CONFIG=str(tmp_path), PATH=f"{tmp_path}:{os.environ['PATH']}",
    )  # fmt: skip
    assert status == 0, said
    assert "3 measured, 0 already done, 0 failed" in said


@needs_dask
def test_no_scheduler():
    with (
        pytest.raises(Unavailable, match="no Dask scheduler answers"),
        dask("tcp://127.0.0.1:9", 1),
    ):
        pass


@pytest.fixture
def cluster():
    with scheduler() as started:
        yield started


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
    sweep = start("run", *words, "--cluster", address)
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
    process, address = cluster
    sweep = start("run", "--codec", "null", "--out", tmp_path / "out", "--cluster", address)
    assert "waiting" in first_line(sweep)
    process.kill()
    _, said = sweep.communicate(timeout=60)
    assert sweep.returncode == 1
    (line,) = said.splitlines()
    assert line.startswith(f"rdbench: lost the Dask scheduler at {address}; what was measured")
