"""Work on a Dask cluster; see rdbench.workers.

The driver hands out two tasks per thread of the workers at a time and writes what comes back. So
little is lost with a worker or a scheduler, and Ctrl-C leaves little in the queue.
"""

import asyncio
import functools
import importlib.metadata
import logging
import os
import pickle
import platform
import re
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from rdbench.errors import Unavailable, WorkerError
from rdbench.workers import (
    KEEP_FREED_MEMORY,
    THREAD_VARIABLES,
    Function,
    MapTasks,
    Results,
    Say,
    do,
    unpickled,
)

_LOOK_AFTER_CLUSTER_S = 2.0
_INSTALL = "a cluster needs Dask: pip install 'rdbench[cluster]'"

Needs = tuple[tuple[str, float], ...]
"""Resources that a worker must offer for a task, such as (("GPU", 1), ("memory", 2e9))."""


@contextmanager
def dask(
    cluster: str, threads: int, gpus: Sequence[str] = (), on_wait: Say = lambda _: None
) -> Iterator[MapTasks]:
    """Work on a Dask cluster; records are written here alone.

    Args:
        cluster: ``local``, ``local:N``: N workers of this machine; ``slurm``, ``slurm:N``: N jobs
            of Slurm, described by dask-jobqueue's own configuration; or the address of a scheduler,
            such as ``tcp://host:8786``. Workers need rdbench. They find images by their paths, or
            are sent them.
        gpus: GPUs of this machine that local workers take in turn.
        on_wait: told what the sweep waits for, and what differs between driver and workers.

    Raises:
        Unavailable: Dask is not installed, or the scheduler does not answer.
        WorkerError: a worker of this machine died as it started.
    """
    try:
        from distributed import Client
    except ImportError:
        raise Unavailable(_INSTALL) from None
    with ExitStack() as stack:
        for name in [*logging.root.manager.loggerDict]:
            if name.partition(".")[0] == "distributed":
                # The traceback of a lost connection or worker; ours is one line.
                stack.enter_context(_quiet(logging.getLogger(name)))
        target = stack.enter_context(_started(cluster, threads, gpus))
        try:
            client = Client(target, timeout="10s", set_as_default=False)
        except (OSError, ValueError) as error:
            raise Unavailable(f"no Dask scheduler answers at {cluster}: {error}") from None
        stack.enter_context(client)
        on_cluster = _Cluster(client, cluster, threads, on_wait)
        stack.callback(on_cluster.cancel)
        yield on_cluster.map_tasks


@contextmanager
def _quiet(log: logging.Logger) -> Iterator[None]:
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)


@contextmanager
def _started(cluster: str, threads: int, gpus: Sequence[str]) -> Iterator[Any]:
    """Start the cluster that is asked for; an address is left as it is."""
    kind, _, number = cluster.partition(":")
    if kind == "local":
        with _local(int(number or 0), threads, gpus) as started:
            yield started
    elif kind == "slurm":
        with _slurm(int(number or 1)) as started:
            yield started
    else:
        yield cluster


@contextmanager
def _local(n_workers: int, threads: int, gpus: Sequence[str]) -> Iterator[Any]:
    """A scheduler in this process and workers of this machine, which are replaced when they die.

    Args:
        n_workers: 0 for as many as there are cores.
    """
    import dask as dask_library
    from dask.system import CPU_COUNT
    from distributed import Nanny, Scheduler, SpecCluster

    host = {"host": "127.0.0.1", "dashboard": False}
    common = {**host, "nthreads": 1, "silence_logs": logging.CRITICAL}
    spec = {
        number: {"cls": Nanny, "options": {**common, **_share(number, gpus)}}
        for number in range(n_workers or CPU_COUNT)
    }
    scheduler = {"cls": Scheduler, "options": {**host, "dashboard_address": "127.0.0.1:0"}}
    variables = dict.fromkeys(THREAD_VARIABLES, str(threads)) | KEEP_FREED_MEMORY
    settings = {
        "distributed.nanny.pre-spawn-environ": variables,
        # A worker that dies is started again; on a busy machine this takes more than the default.
        "distributed.deploy.lost-worker-timeout": "1 day",
    }
    with dask_library.config.set(settings):
        try:
            started = SpecCluster(spec, scheduler, silence_logs=False)
        except (OSError, RuntimeError) as error:
            raise WorkerError(
                f"the local cluster did not start: {error}; run the same command again"
            ) from None
        with started:
            yield started


def _share(number: int, gpus: Sequence[str]) -> dict[str, Any]:
    """Options that give a worker the GPU that is its turn."""
    if not gpus:
        return {}
    gpu = gpus[number % len(gpus)]
    return {"env": {"CUDA_VISIBLE_DEVICES": gpu}, "resources": {"GPU": 1}}


@contextmanager
def _slurm(n_jobs: int) -> Iterator[Any]:
    try:
        from dask_jobqueue.slurm import SLURMCluster
    except ImportError:
        raise Unavailable(_INSTALL) from None
    try:
        cluster = SLURMCluster()
    except (OSError, ValueError, TypeError) as error:
        raise Unavailable(
            f"Dask cannot describe a job of Slurm: {error}; see `jobqueue.slurm` in "
            "~/.config/dask/jobqueue.yaml"
        ) from None
    with cluster:
        cluster.scale(jobs=n_jobs)
        yield cluster


@dataclass(slots=True)
class _Queue:
    """Tasks that need the same of a worker, and those that are on their way."""

    waiting: deque[Any] = field(default_factory=deque)
    out: dict["Future[bytes]", Any] = field(default_factory=dict)


class _Cluster:
    """Hands tasks to a Dask cluster, two for each of its threads, and watches that it is there."""

    def __init__(self, client: Any, name: str, threads: int, on_wait: Say) -> None:
        self._client = client
        self._name = name
        self._threads = threads
        self._on_wait = on_wait
        self._told: set[str] = set()
        self._queues: dict[Needs, _Queue] = {}
        self._executors: dict[Needs, Executor] = {}
        self._workers: Mapping[str, Mapping[str, Any]] = {}
        self._looked_s = float("-inf")

    def map_tasks(self, function: Function, tasks: Iterable[Any]) -> Results:
        """(task, result or error), as they complete.

        Raises:
            WorkerError: the scheduler is gone, or workers have another rdbench.
        """
        for task in tasks:
            self._queues.setdefault(getattr(task, "needs", ()), _Queue()).waiting.append(task)
        while any(queue.waiting or queue.out for queue in self._queues.values()):
            self._look_after_workers()
            for needs in self._queues:
                yield from self._hand_out(function, needs)
            for needs, future in self._completed():
                task = self._queues[needs].out.pop(future)
                result = self._result(future)
                if isinstance(result, _ImageMissingError):
                    self._submit(needs, _Located(function, task, _content(task)))
                else:
                    yield task, result

    def cancel(self) -> None:
        """Take back what no worker has begun."""
        for queue in self._queues.values():
            for future in queue.out:
                future.cancel()

    def _hand_out(self, function: Function, needs: Needs) -> Results:
        """Submit the next tasks; yield those that cannot be sent."""
        queue, n_slots = self._queues[needs], self._n_slots(needs)
        while queue.waiting and len(queue.out) < 2 * n_slots:
            task = queue.waiting.popleft()
            try:
                self._submit(needs, _Located(function, task))
            except Exception as error:
                yield task, error

    def _submit(self, needs: Needs, located: "_Located") -> None:
        work = pickle.dumps((_do_located, located))
        asked = self._asked(needs)
        if asked not in self._executors:
            executor = self._client.get_executor(pure=False, resources=dict(asked))
            self._executors[asked] = executor
        future = self._executors[asked].submit(_do_on_cluster, self._threads, work)
        self._queues[needs].out[future] = located.task

    def _asked(self, needs: Needs) -> Needs:
        """What to ask for: no more memory than the largest worker has, so that it runs alone there.

        The memory of other codecs and images is an estimate; a task must not wait for ever for it.
        """
        others = tuple(pair for pair in needs if pair[0] != "memory")
        able = [w for w in self._workers.values() if _slots(w, others)]
        most = max((w.get("resources", {}).get("memory", 0.0) for w in able), default=0.0)
        return tuple((n, min(each, most or each) if n == "memory" else each) for n, each in needs)

    def _completed(self) -> list[tuple[Needs, "Future[bytes]"]]:
        """Futures that are done, after a while none."""
        out = {future: needs for needs, queue in self._queues.items() for future in queue.out}
        if not out:
            time.sleep(_LOOK_AFTER_CLUSTER_S / 4)
        done = wait(out, _LOOK_AFTER_CLUSTER_S, FIRST_COMPLETED).done
        return [(out[future], future) for future in done]

    def _result(self, future: "Future[bytes]") -> Any:
        """Return the result of a task, or an error."""
        try:
            failure = future.exception()
        except CancelledError as error:
            raise self._lost() from error
        if type(failure).__name__ == "KilledWorker":
            return WorkerError("the worker process died, and so did the others that Dask tried")
        return failure or unpickled(future.result())

    def _look_after_workers(self) -> None:
        """From time to time, ask the scheduler for its workers, and prepare new ones."""
        if self._workers and time.monotonic() < self._looked_s + _LOOK_AFTER_CLUSTER_S / 4:
            return
        try:
            workers = self._client.scheduler_info(n_workers=-1)["workers"]
            new = [*(workers.keys() - self._workers.keys())]
            theirs = self._client.run(_prepare, workers=new, on_error="return") if new else {}
            if new:  # which offer more now
                workers = self._client.scheduler_info(n_workers=-1)["workers"]
        except (Exception, asyncio.CancelledError) as error:
            raise self._lost() from error
        self._compare_versions(theirs)
        self._workers = workers
        self._looked_s = time.monotonic()
        for needs, queue in self._queues.items():
            if (queue.waiting or queue.out) and not self._n_slots(needs):
                wanted = needs if workers else ()
                what = "".join(f" that offer {name}={n:g}" for name, n in wanted)
                self._tell(f"no workers{what} at {self._name}; waiting for some to join")

    def _compare_versions(self, found: Mapping[str, Any]) -> None:
        """Refuse workers with another rdbench; say what else differs.

        Raises:
            WorkerError: a worker has another rdbench, or none.
        """
        own = versions()
        for worker, theirs in found.items():
            if isinstance(theirs, ModuleNotFoundError):
                raise WorkerError(f"worker {worker} lacks what a sweep needs: {theirs}")
            if isinstance(theirs, BaseException):
                continue  # it left
            names = [n for n in {**own, **theirs} if own.get(n) != theirs.get(n)]
            texts = [
                f"{n} {theirs.get(n, 'missing')} (here {own.get(n, 'missing')})" for n in names
            ]
            if "rdbench" in names:
                raise WorkerError(f"worker {worker} has {', '.join(texts)}; install the same there")
            if texts:
                self._tell(f"workers have other versions: {', '.join(texts)}")

    def _tell(self, what: str) -> None:
        """Say something once."""
        if what not in self._told:
            self._told.add(what)
            self._on_wait(what)

    def _n_slots(self, needs: Needs) -> int:
        """Tasks that all workers can do at a time."""
        asked = self._asked(needs)
        return sum(_slots(worker, asked) for worker in self._workers.values())

    def _lost(self) -> WorkerError:
        return WorkerError(
            f"lost the Dask scheduler at {self._name}; what was measured is kept; start it "
            "again and run the same command to resume"
        )


def _slots(worker: Mapping[str, Any], needs: Needs) -> int:
    """How many tasks a worker can do at a time."""
    offered = worker.get("resources", {})
    return min([int(worker["nthreads"]), *(int(offered.get(n, 0) // each) for n, each in needs)])


@functools.cache
def versions() -> Mapping[str, str]:
    """Versions of Python, rdbench and what it requires."""
    required = importlib.metadata.requires("rdbench") or []
    names = [re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in required]
    found = {"python": platform.python_version()}
    for name in ["rdbench", *names]:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


async def _prepare(dask_worker: Any) -> Mapping[str, str]:
    """Return a worker's versions; make its memory limit a resource that its tasks share."""
    if "memory" not in dask_worker.state.total_resources:
        limit = dask_worker.memory_manager.memory_limit or psutil.virtual_memory().total
        await dask_worker.set_resources(memory=float(limit))
    return versions()


class _ImageMissingError(Exception):
    """A worker that cannot reach the image of its task."""


@dataclass(frozen=True, slots=True)
class _Located:
    """A task and, for a worker that does not find its image, the bytes of the file."""

    function: Function
    task: Any
    content: bytes | None = None


def _content(task: Any) -> bytes:
    content: bytes = task.file.path.read_bytes()
    return content


def _do_located(located: _Located) -> Any:
    """Do a task with its image where this worker has it; a worker keeps what it was sent.

    Raises:
        _ImageMissingError: the worker has no such file and was not sent it.
    """
    file = getattr(located.task, "file", None)
    if file is None or file.path.exists():
        return located.function(located.task)
    from distributed import get_worker

    kept = Path(get_worker().local_directory) / f"{file.sha256}{file.path.suffix}"
    if located.content is not None:
        partial = kept.with_name(f".partial-{os.getpid()}-{kept.name}")
        partial.write_bytes(located.content)
        partial.replace(kept)
    if not kept.exists():
        raise _ImageMissingError(str(file.path))
    return located.function(replace(located.task, file=replace(file, path=kept)))


@functools.cache
def _limit_threads(threads: int) -> None:
    import cv2
    from threadpoolctl import threadpool_limits

    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    cv2.setNumThreads(threads)
    threadpool_limits(threads)


def _do_on_cluster(threads: int, work: bytes) -> bytes:
    _limit_threads(threads)
    return do(work)
