"""Where the work of a sweep runs: this process, processes of this machine, or a Dask cluster.

Each is a context manager that yields ``map_tasks(function, tasks)``, an iterator of (task, result
or error) in the order of completion. A worker that dies fails its own task and no other.
"""

import math
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
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
_KEEP_FREED_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 28),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
    "MALLOC_TOP_PAD_": str(1 << 26),
}

_MAX_FAILED_STARTS = 5
_EXIT_S = 5.0
_MOST_THREADS = 4096
_LONGEST_S = 1e9


def workers(
    jobs: int,
    threads: int,
    timeout_s: float | None,
    scheduler: str | None,
    on_wait: Say = lambda _: None,
) -> AbstractContextManager[MapTasks]:
    """Return the workers that the settings of a sweep ask for; ``jobs=0`` is this very process.

    Raises:
        UsageError: see `check_settings`.
    """
    check_settings(jobs, threads, timeout_s, scheduler)
    if scheduler:
        from rdbench.cluster import dask

        return dask(scheduler, threads, on_wait)
    return processes(jobs, threads, timeout_s) if jobs else in_process(threads)


def check_settings(jobs: int, threads: int, timeout_s: float | None, scheduler: str | None) -> None:
    """Refuse settings that do not fit together.

    Raises:
        UsageError: a number is out of range, or a setting would have no effect.
    """
    if jobs < 0 or not 1 <= threads <= _MOST_THREADS:
        raise UsageError(f"jobs must be 0 or more and threads 1 to {_MOST_THREADS}")
    if timeout_s is not None and not 0 < timeout_s <= _LONGEST_S:
        raise UsageError(f"a time limit is over 0 and at most {_LONGEST_S:g} seconds")
    if scheduler and jobs:
        raise UsageError(
            "--jobs and --scheduler do not go together: the cluster decides how many workers there "
            "are (`dask worker ADDRESS --nworkers N --nthreads 1`)"
        )
    if scheduler and timeout_s is not None:
        raise UsageError("--timeout and --scheduler do not go together: Dask cannot stop a task")
    if timeout_s is not None and jobs == 0:
        raise UsageError("a time limit needs a process of its own: give jobs=1 or more")


@contextmanager
def in_process(threads: int) -> Iterator[MapTasks]:
    """Work in this process, one task after the other."""
    import cv2
    from threadpoolctl import threadpool_limits

    def map_tasks(function: Function, tasks: Iterable[Any]) -> Results:
        for task in tasks:
            try:
                result = function(task)
            except (Exception, SystemExit) as error:
                result = _as_error(error)
            yield task, result

    before = cv2.getNumThreads()
    cv2.setNumThreads(threads)
    try:
        with threadpool_limits(threads):
            yield map_tasks
    finally:
        cv2.setNumThreads(before)


@contextmanager
def processes(jobs: int, threads: int, timeout_s: float | None = None) -> Iterator[MapTasks]:
    """Work in ``jobs`` processes of this machine.

    Args:
        jobs: number of processes.
        threads: threads that numerical libraries may use in each.
        timeout_s: seconds after which a task is stopped together with its process.
    """
    pool = _Pool(jobs, threads, timeout_s)
    try:
        yield pool.map_tasks
        pool.close()
    finally:
        pool.kill()


_NO_TASK = object()


class _Worker:
    """A process that works on one task at a time, and the pipe to it.

    It sends an empty message when it is ready and when it has begun a task, and then the pickled
    result. No pipe or lock is shared with other workers, so its death harms none of them.
    """

    def __init__(self, threads: int) -> None:
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, threads))
        self.ready = False
        self.task: Any = _NO_TASK
        self.deadline = math.inf
        variables = dict.fromkeys(THREAD_VARIABLES, str(threads)) | _KEEP_FREED_MEMORY
        try:
            with _signals_later(), _environment(variables):
                self.process.start()
        except BaseException:
            self.pipe.close()
            raise
        finally:
            theirs.close()

    @property
    def busy(self) -> bool:
        """Whether it works on a task."""
        return self.task is not _NO_TASK

    def give(self, task: Any, work: bytes) -> bool:
        """Hand over a task; False where the process died meanwhile."""
        try:
            self.pipe.send_bytes(work)
        except OSError:
            return False
        self.task = task
        return True

    def kill(self) -> None:
        """End the process at once."""
        self.process.kill()
        self.process.join()
        self.pipe.close()

    def how_it_died(self) -> str:
        """The exit status or the signal of a process that has ended."""
        self.process.join(_EXIT_S)
        code = self.process.exitcode
        if code is None or code >= 0:
            return f"exit status {code}"
        name = signal.Signals(-code).name
        return f"{name}; out of memory?" if name == "SIGKILL" else name


class _Pool:
    """Workers that are started when there is a task for them, and replaced when they die."""

    def __init__(self, jobs: int, threads: int, timeout_s: float | None) -> None:
        self._jobs = jobs
        self._threads = threads
        self._timeout_s = timeout_s
        self._workers: list[_Worker] = []
        self._failed_starts = 0

    def map_tasks(self, function: Function, tasks: Iterable[Any]) -> Results:
        """(task, result or error), as they complete."""
        tasks = list(tasks)
        for task in tasks:
            try:
                work = pickle.dumps((function, task))
            except Exception as error:
                yield task, error
                continue
            while not self._give(task, work, min(self._jobs, len(tasks))):
                yield from self._listen()
        while any(worker.busy for worker in self._workers):
            yield from self._listen()

    def close(self) -> None:
        """Let the workers end by themselves."""
        for worker in self._workers:
            worker.pipe.close()
        for worker in self._workers:
            if worker.ready:
                worker.process.join(_EXIT_S)

    def kill(self) -> None:
        """End what is left of the workers."""
        while self._workers:
            self._workers[-1].kill()
            self._workers.pop()

    def _give(self, task: Any, work: bytes, n_workers: int) -> bool:
        """Hand a task to a free worker; False where there is none yet."""
        while len(self._workers) < n_workers:
            self._start()
        free = (worker for worker in self._workers if worker.ready and not worker.busy)
        return any(worker.give(task, work) for worker in free)

    def _start(self) -> None:
        try:
            self._workers.append(_Worker(self._threads))
        except OSError as error:
            self._count_failed_start(str(error))

    def _count_failed_start(self, why: str) -> None:
        self._failed_starts += 1
        if self._failed_starts == _MAX_FAILED_STARTS:
            raise WorkerError(
                f"{_MAX_FAILED_STARTS} worker processes in a row died as they started ({why}); "
                "free some memory or use fewer jobs (a Python script that measures in several "
                "processes needs `if __name__ == '__main__':`), then run again to resume"
            )

    def _listen(self) -> Results:
        """Wait until something happens to a worker; its task and result, where there is one."""
        nearest = min((worker.deadline for worker in self._workers), default=0.0)
        patience = None if nearest == math.inf else max(0.0, nearest - time.monotonic())
        handles = [h for w in self._workers for h in (w.pipe, w.process.sentinel)]
        happened = set(connection.wait(handles, patience))
        for worker in tuple(self._workers):
            # What a worker said before it died or ran out of time counts.
            if worker.pipe in happened:
                yield from self._hear(worker)
            elif worker.process.sentinel in happened:
                yield from self._bury(worker)
            elif worker.deadline <= time.monotonic():
                reason = f"stopped after {self._timeout_s:g} s"
                yield from self._remove(worker, WorkerError(reason))

    def _hear(self, worker: _Worker) -> Results:
        try:
            message = worker.pipe.recv_bytes()
        except (EOFError, OSError):
            yield from self._bury(worker)
            return
        if message:
            task, worker.task, worker.deadline = worker.task, _NO_TASK, math.inf
            yield task, unpickled(message)
        elif worker.ready:
            worker.deadline = time.monotonic() + (self._timeout_s or math.inf)
        else:
            worker.ready, self._failed_starts = True, 0

    def _bury(self, worker: _Worker) -> Results:
        why = worker.how_it_died()
        yield from self._remove(worker, WorkerError(f"the worker process died ({why})"))
        if not worker.ready:
            self._count_failed_start(why)

    def _remove(self, worker: _Worker, error: WorkerError) -> Results:
        worker.kill()
        self._workers.remove(worker)
        if worker.busy:
            yield worker.task, error


def _serve(pipe: "connection.Connection", threads: int) -> None:
    """What a worker process does until its pipe closes, which the end of its parent does too."""
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)
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
        return pickle.dumps(function(task))
    except BaseException as error:
        return pickle.dumps(_as_error(error))


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


@contextmanager
def _signals_later() -> Iterator[None]:
    """Start processes within: signals wait until they have got what they need to start.

    Cut short, a start leaves a child that prints a traceback. The children leave Ctrl-C to this
    process from their first moment on.
    """
    with _blocked_ctrl_c():
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        held: list[int] = []
        before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
        handlers = {n: handler for n, handler in before.items() if callable(handler)}
        for number in handlers:
            signal.signal(number, lambda number, _: held.append(number))
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
    if held:
        signal.raise_signal(held[0])


@contextmanager
def _blocked_ctrl_c() -> Iterator[None]:
    """Processes started meanwhile never get SIGINT: they inherit that it is blocked."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # it would unblock the signal when it is first started
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
