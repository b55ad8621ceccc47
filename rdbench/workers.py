"""Where the work of a sweep runs: this process, processes of this machine, or a Dask cluster.

Each is a context manager that yields ``results(function, tasks)``, an iterator of (task, result or
error) in the order of completion. A worker that dies fails its own task and no other.
"""

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from multiprocessing import get_context
from typing import Any

from rdbench.errors import Unavailable, WorkerError

Function = Callable[[Any], Any]
Results = Callable[[Function, Iterable[Any]], Iterator[tuple[Any, Any]]]

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

# glibc gives arrays of over 128 KiB back to the system when they are freed and has every page
# zeroed again at the next: 10,000 page faults a Kodak picture, more than JPEG and PSNR together.
_KEEP_FREED_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 28),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
    "MALLOC_TOP_PAD_": str(1 << 26),
}


def workers(
    jobs: int, threads: int, timeout_s: float | None, scheduler: str | None
) -> AbstractContextManager[Results]:
    """The workers that the settings of a sweep ask for; ``jobs=0`` is this very process."""
    if scheduler:
        return dask(scheduler)
    return processes(jobs, threads, timeout_s) if jobs else in_process(threads)


@contextmanager
def in_process(threads: int) -> Iterator[Results]:
    """Work in this process, one task after the other."""
    import cv2
    from threadpoolctl import threadpool_limits

    def results(function: Function, tasks: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        for task in tasks:
            try:
                yield task, function(task)
            except Exception as error:
                yield task, error

    before = cv2.getNumThreads()
    cv2.setNumThreads(threads)
    try:
        with threadpool_limits(threads):
            yield results
    finally:
        cv2.setNumThreads(before)


@contextmanager
def processes(jobs: int, threads: int, timeout_s: float | None = None) -> Iterator[Results]:
    """Work in ``jobs`` processes of this machine.

    Args:
        jobs: number of processes.
        threads: threads that numerical libraries may use in each.
        timeout_s: seconds after which a task is stopped together with its process.
    """
    from pebble import ProcessExpired, ProcessPool

    pool = ProcessPool(
        max_workers=jobs,
        initializer=_start_worker,
        initargs=(threads,),
        context=get_context("spawn"),
    )

    def explain(error: BaseException) -> BaseException:
        if isinstance(error, ProcessExpired):
            return WorkerError(f"the worker process died ({error})")
        if isinstance(error, TimeoutError):
            return WorkerError(f"stopped after {timeout_s:g} s")
        return error

    def results(function: Function, tasks: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        def submit(task: Any) -> "Future[Any]":
            return pool.schedule(function, args=[task], timeout=timeout_s)

        for task, result in _as_completed(submit, tasks, ahead=2 * jobs):
            yield task, explain(result) if isinstance(result, BaseException) else result

    try:
        with _environment({v: str(threads) for v in _THREAD_VARIABLES} | _KEEP_FREED_MEMORY):
            yield results
        pool.close()
    except BaseException:
        pool.stop()
        raise
    finally:
        pool.join()


@contextmanager
def _environment(changes: dict[str, str]) -> Iterator[None]:
    """Variables that processes started meanwhile inherit."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _start_worker(threads: int) -> None:
    """Leave Ctrl-C to the parent and keep to the given threads."""
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(threads)


@contextmanager
def dask(address: str) -> Iterator[Results]:
    """Work on the Dask cluster whose scheduler listens at ``address`` (``tcp://host:8786``).

    Its workers need rdbench and the pictures at the same paths; records are written here alone.

    Raises:
        Unavailable: Dask is not installed or the scheduler does not answer.
    """
    try:
        from distributed import Client
    except ImportError:
        raise Unavailable("a cluster needs Dask: pip install 'rdbench[cluster]'") from None
    try:
        client = Client(address, timeout="10s")
    except (OSError, ValueError) as error:
        raise Unavailable(f"no Dask scheduler answers at {address}: {error}") from None
    with client:
        executor = client.get_executor(pure=False)

        def results(function: Function, tasks: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
            ahead = 2 * sum(client.nthreads().values())
            return _as_completed(lambda task: executor.submit(function, task), tasks, ahead)

        yield results


def _as_completed(
    submit: Callable[[Any], "Future[Any]"], tasks: Iterable[Any], ahead: int
) -> Iterator[tuple[Any, Any]]:
    """(task, result or error) as they complete, with at most ``ahead`` tasks handed out."""
    waiting = iter(tasks)
    out = {submit(task): task for task in islice(waiting, ahead)}
    while out:
        for future in wait(out, return_when=FIRST_COMPLETED).done:
            task = out.pop(future)
            error = future.exception()
            out |= {submit(new): new for new in islice(waiting, 1)}
            yield task, future.result() if error is None else error
