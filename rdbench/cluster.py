"""Work on a Dask cluster; see rdbench.workers."""

import asyncio
import logging
import os
import pickle
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from contextlib import contextmanager
from itertools import islice
from typing import Any

from rdbench.errors import Unavailable, WorkerError
from rdbench.workers import THREAD_VARIABLES, Function, MapTasks, Results, Say, do, unpickled

_LOOK_AFTER_CLUSTER_S = 2.0


@contextmanager
def dask(address: str, threads: int, on_wait: Say = lambda _: None) -> Iterator[MapTasks]:
    """Work on the Dask cluster whose scheduler listens at ``address`` (``tcp://host:8786``).

    Its workers need rdbench and the images at the same paths; records are written here alone.

    Args:
        on_wait: told when there are no workers to give tasks to.

    Raises:
        Unavailable: Dask is not installed or the scheduler does not answer.
    """
    try:
        from distributed import Client
    except ImportError:
        raise Unavailable("a cluster needs Dask: pip install 'rdbench[cluster]'") from None
    try:
        client = Client(address, timeout="10s", set_as_default=False)
    except (OSError, ValueError) as error:
        raise Unavailable(f"no Dask scheduler answers at {address}: {error}") from None
    log = logging.getLogger("distributed.client")
    before = log.level
    log.setLevel(logging.CRITICAL)  # the traceback of a lost connection; ours is one line
    try:
        with client:
            yield _Cluster(client, address, threads, on_wait).map_tasks
    finally:
        log.setLevel(before)


class _Cluster:
    """Hands tasks to a Dask cluster, two for each of its threads, and watches that it is there."""

    def __init__(self, client: Any, address: str, threads: int, on_wait: Say) -> None:
        self._client = client
        self._address = address
        self._threads = threads
        self._on_wait = on_wait
        self._waiting = False

    def map_tasks(self, function: Function, tasks: Iterable[Any]) -> Results:
        """(task, result or error), as they complete.

        Raises:
            WorkerError: the scheduler is gone.
        """
        executor = self._client.get_executor(pure=False)
        waiting = iter(tasks)
        out: dict[Future[bytes], Any] = {}
        while True:
            n_threads = self._n_threads()
            for task in islice(waiting, max(0, 2 * n_threads - len(out))):
                try:
                    work = pickle.dumps((function, task))
                except Exception as error:
                    yield task, error
                    continue
                out[executor.submit(_do_on_cluster, self._threads, work)] = task
            if not out and n_threads:
                return
            for future in self._completed(out):
                yield out.pop(future), self._result(future)

    def _completed(self, out: Iterable["Future[bytes]"]) -> Sequence["Future[bytes]"]:
        if not out:
            time.sleep(_LOOK_AFTER_CLUSTER_S / 4)
        done = wait(out, _LOOK_AFTER_CLUSTER_S, FIRST_COMPLETED).done
        return tuple(done)

    def _result(self, future: "Future[bytes]") -> Any:
        """Return the result of a task, or an error."""
        try:
            failure = future.exception()
        except CancelledError as error:
            raise self._lost() from error
        if type(failure).__name__ == "KilledWorker":
            return WorkerError("the worker process died, and so did the others that Dask tried")
        return failure or unpickled(future.result())

    def _n_threads(self) -> int:
        """Threads of all workers; says once when there are none."""
        try:
            n_threads: int = sum(self._client.nthreads().values())
        except (Exception, asyncio.CancelledError) as error:
            raise self._lost() from error
        if not n_threads and not self._waiting:
            self._on_wait(f"no workers at {self._address}; waiting for some to join")
        self._waiting = not n_threads
        return n_threads

    def _lost(self) -> WorkerError:
        return WorkerError(
            f"lost the Dask scheduler at {self._address}; what was measured is kept; start it "
            "again and run the same command to resume"
        )


def _do_on_cluster(threads: int, work: bytes) -> bytes:
    import cv2
    from threadpoolctl import threadpool_limits

    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    cv2.setNumThreads(threads)
    threadpool_limits(threads)
    return do(work)
