"""Where the work of a sweep runs: this process, processes of this machine, or a Dask cluster.

Each is a context manager that yields ``map_tasks(function, tasks)``, an iterator of (task, result
or error) in the order of completion. A worker that dies fails its own task and no other.
"""

import os
import pickle
import re
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, contextmanager, suppress
from multiprocessing import connection, get_context, resource_tracker
from typing import Any

from rdbench.errors import UsageError, WorkerError

Function = Callable[[Any], Any]
Results = Iterator[tuple[Any, Any]]
"""(task, result or error), as they complete."""
MapTasks = Callable[[Function, Iterable[Any]], Results]
Say = Callable[[str], None]

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

# glibc gives arrays of over 128 KiB back to the system when they are freed and has every page
# zeroed again at the next: 10,000 page faults per Kodak image, more than JPEG and PSNR together.
KEEP_FREED_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 28),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
    "MALLOC_TOP_PAD_": str(1 << 26),
}

_MAX_FAILED_STARTS = 5
_EXIT_S = 5.0
_LOOK_S = 1.0  # how often to look whether a silent worker is alive
_MOST_THREADS = 4096
_LONGEST_S = 1e9


def workers(
    jobs: int,
    threads: int,
    timeout_s: float | None,
    cluster: str | None,
    gpus: Sequence[str] = (),
    on_wait: Say = lambda _: None,
) -> AbstractContextManager[MapTasks]:
    """Return the workers that the settings of a sweep ask for; ``jobs=0`` is this very process.

    Args:
        gpus: GPUs that worker processes of this machine take in turn; see `visible_gpus`.

    Raises:
        UsageError: see `check_settings`.
    """
    check_settings(jobs, threads, timeout_s, cluster)
    if cluster:
        from rdbench.cluster import dask

        return dask(cluster, threads, gpus, on_wait)
    return processes(jobs, threads, timeout_s, gpus) if jobs else in_process(threads)


def check_settings(jobs: int, threads: int, timeout_s: float | None, cluster: str | None) -> None:
    """Refuse settings that do not fit together.

    Raises:
        UsageError: a number is out of range, or a setting would have no effect.
    """
    if jobs < 0 or not 1 <= threads <= _MOST_THREADS:
        raise UsageError(f"jobs must be 0 or more and threads 1 to {_MOST_THREADS}")
    if timeout_s is not None and not 0 < timeout_s <= _LONGEST_S:
        raise UsageError(f"a time limit is over 0 and at most {_LONGEST_S:g} seconds")
    if cluster and not re.fullmatch(r"(local|slurm)(:[1-9]\d{0,5})?|.+://.+", cluster):
        raise UsageError(
            f"--cluster {cluster}: give local, local:N, slurm, slurm:N or the address of a "
            "scheduler, such as tcp://host:8786"
        )
    if cluster and jobs:
        raise UsageError(
            "--jobs and --cluster do not go together: the cluster decides how many workers there "
            "are (local:N, slurm:N, or `dask worker ADDRESS --nworkers N --nthreads 1`)"
        )
    if cluster and timeout_s is not None:
        raise UsageError("--timeout and --cluster do not go together: Dask cannot stop a task")
    if timeout_s is not None and jobs == 0:
        raise UsageError("a time limit needs a process of its own: give jobs=1 or more")


def visible_gpus() -> list[str]:
    """Return what CUDA_VISIBLE_DEVICES names, or else the numbers of all GPUs."""
    if (given := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [gpu.strip() for gpu in given.split(",") if gpu.strip()]
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]


@contextmanager
def in_process(threads: int) -> Iterator[MapTasks]:
    """Work in this process, one task after the other."""
    import cv2
    from threadpoolctl import threadpool_limits

    def map_tasks(function: Function, tasks: Iterable[Any]) -> Results:
        for task in tasks:
            try:
                result = _in_this_process(function, task)
            except (Exception, SystemExit) as error:
                result = _as_error(error)
            yield task, result

    variables = dict.fromkeys(THREAD_VARIABLES, str(threads))  # for processes that codecs start
    before = cv2.getNumThreads()
    cv2.setNumThreads(threads)
    try:
        with threadpool_limits(threads), _environment(variables):
            yield map_tasks
    finally:
        cv2.setNumThreads(before)


@contextmanager
def processes(
    jobs: int, threads: int, timeout_s: float | None = None, gpus: Sequence[str] = ()
) -> Iterator[MapTasks]:
    """Work in ``jobs`` processes of this machine.

    Args:
        timeout_s: seconds after which a task is stopped together with its process.
        gpus: GPUs that the processes take in turn: each sees one, which is ``cuda`` to it.
    """
    if hasattr(signal, "pthread_sigmask"):
        resource_tracker.ensure_running()  # it would unblock SIGINT when it is first started
    variables = dict.fromkeys(THREAD_VARIABLES, str(threads)) | KEEP_FREED_MEMORY
    with _environment(variables):
        pool = _Pool(jobs, threads, timeout_s, gpus)
        try:
            yield pool.map_tasks
        except BaseException:
            pool.kill()
            raise
        finally:
            pool.close()


class _Worker:
    """A process that works on one task at a time, and the pipe to it.

    It sends an empty message when it is ready and when it has begun a task, and then the pickled
    result. No pipe or lock is shared with other workers, so its death harms none of them.
    """

    def __init__(self, threads: int, gpu: str | None = None) -> None:
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, threads, gpu))
        try:
            self.process.start()
        except BaseException:
            self.pipe.close()
            raise
        finally:
            theirs.close()

    def hear(self, timeout_s: float | None = None) -> bytes:
        """The next message; TimeoutError where none comes, EOFError or OSError where it died.

        The pipe of a worker that died stays open where its codec left a child behind.
        """
        end_s = time.monotonic() + (timeout_s or float("inf"))
        while not self.pipe.poll(max(0.0, min(_LOOK_S, end_s - time.monotonic()))):
            if not self.process.is_alive() and not self.pipe.poll():
                raise EOFError
            if time.monotonic() >= end_s:
                raise TimeoutError
        return self.pipe.recv_bytes()

    def end(self, patience_s: float = 0.0) -> None:
        """Let the process end by itself, or else end it."""
        self.pipe.close()
        self.process.join(patience_s)
        self.process.kill()
        self.process.join()

    def how_it_died(self) -> str:
        """The exit status or the signal of a process that has ended."""
        self.process.join(_EXIT_S)
        code = self.process.exitcode
        if code is None or code >= 0:
            return f"exit status {code}"
        name = signal.Signals(-code).name
        return f"{name}; out of memory?" if name == "SIGKILL" else name


class _Pool:
    """Threads, each of which hands tasks to a process of its own and replaces it when it dies.

    The processes leave Ctrl-C to this one from their first moment on: they inherit from the threads
    that it is blocked.
    """

    def __init__(
        self, jobs: int, threads: int, timeout_s: float | None, gpus: Sequence[str]
    ) -> None:
        self._gpus = deque(gpus[number % len(gpus)] for number in range(jobs) if gpus)
        self._executor = ThreadPoolExecutor(jobs, initializer=_block_ctrl_c)
        self._own = threading.local()
        self._threads = threads
        self._timeout_s = timeout_s
        self._workers: set[_Worker] = set()
        self._failed_starts = 0
        self._killed = False

    def map_tasks(self, function: Function, tasks: Iterable[Any]) -> Results:
        """(task, result or error), as they complete."""
        results = {self._executor.submit(self._do, function, task): task for task in tasks}
        for result in as_completed(tuple(results)):
            yield results.pop(result), result.result()

    def kill(self) -> None:
        """End the workers at once."""
        self._killed = True
        for worker in tuple(self._workers):
            worker.process.kill()

    def close(self) -> None:
        """Let the workers end by themselves."""
        self._executor.shutdown(cancel_futures=True)
        for worker in self._workers:
            worker.pipe.close()
        while self._workers:
            self._workers.pop().end(_EXIT_S)

    def _do(self, function: Function, task: Any) -> Any:
        """Have the worker of this thread do a task; its result or error."""
        try:
            work = pickle.dumps((function, task))
        except Exception as error:
            return error
        worker: _Worker | None = getattr(self._own, "worker", None)
        if worker is None or not worker.process.is_alive():
            worker = self._own.worker = self._start()
        try:
            worker.pipe.send_bytes(work)
            begun = worker.hear()  # or an error, where the task cannot be unpickled
            return unpickled(begun or worker.hear(self._timeout_s))
        except TimeoutError:
            problem = f"stopped after {self._timeout_s:g} s"
        except (EOFError, OSError):
            problem = f"the worker process died ({worker.how_it_died()})"
        self._remove(worker)
        return WorkerError(problem)

    def _start(self) -> _Worker:
        """A worker that is ready.

        Raises:
            WorkerError: several in a row died as they started, or the pool is being ended.
        """
        while True:
            try:
                worker = _Worker(self._threads, self._gpu())
                self._workers.add(worker)
                if self._killed:
                    worker.process.kill()
                worker.hear()
                self._failed_starts = 0
                return worker
            except EOFError:
                why = worker.how_it_died()
                self._remove(worker)
            except OSError as error:
                why = str(error)
            self._failed_starts += 1
            if self._killed or self._failed_starts >= _MAX_FAILED_STARTS:
                raise WorkerError(
                    f"{_MAX_FAILED_STARTS} worker processes in a row died as they started ({why}); "
                    "free some memory or use fewer jobs (a Python script that measures in several "
                    "processes needs `if __name__ == '__main__':`), then run again to resume"
                )

    def _gpu(self) -> str | None:
        """The GPU of this thread's workers."""
        if not hasattr(self._own, "gpu"):
            self._own.gpu = self._gpus.popleft() if self._gpus else None
        gpu: str | None = self._own.gpu
        return gpu

    def _remove(self, worker: _Worker) -> None:
        self._workers.discard(worker)
        worker.end()


def _block_ctrl_c() -> None:
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def _serve(pipe: "connection.Connection", threads: int, gpu: str | None) -> None:
    """What a worker process does until its pipe closes, which the end of its parent does too."""
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu  # before CUDA is first used
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(OSError):
        os.dup2(2, 1)  # stdout is for results; what codecs print goes to stderr
    cv2.setNumThreads(threads)
    with suppress(EOFError, OSError):
        pipe.send_bytes(b"")
        while True:
            work = pipe.recv_bytes()
            pipe.send_bytes(do(work, begin=lambda: pipe.send_bytes(b"")))


def do(work: bytes, begin: Callable[[], None] = lambda: None) -> bytes:
    """Do a pickled (function, task); the pickled result or error.

    Pickling here makes whatever goes wrong with it the task's own failure.
    """
    try:
        function, task = pickle.loads(work)
        begin()
        return pickle.dumps(_in_this_process(function, task))
    except BaseException as error:
        return pickle.dumps(_as_error(error))


def _in_this_process(function: Function, task: Any) -> Any:
    """Do a task; a child that its codec forks ends here instead of doing the work of its parent."""
    process = os.getpid()
    try:
        return function(task)
    finally:
        if os.getpid() != process:
            os._exit(0)


def _as_error(error: BaseException) -> Exception:
    """Return the error if it can be pickled and is safe to raise again, else a RuntimeError.

    ``sys.exit()`` in a codec must not end the sweep.
    """
    with suppress(Exception):
        if isinstance(error, Exception) and type(pickle.loads(pickle.dumps(error))) is type(error):
            return error
    return RuntimeError(f"{type(error).__name__}: {error}")


def unpickled(message: bytes) -> Any:
    """What `do` gave, or the error that unpickling it raises."""
    try:
        return pickle.loads(message)
    except Exception as error:
        return error


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
