"""Compare a local Dask cluster with worker processes: overhead per task, and a sweep of Kodak.

    RDBENCH_DATA=... python benchmarks/cluster.py [--workers 2]

The overhead is the time between the results of tasks that do nothing. The sweep is 120 JPEG encodes
with PSNR and MS-SSIM, from the start of the workers to the end. On a busy machine, both are slower.
"""

import argparse
import statistics
import tempfile
import time
from itertools import pairwise

from rdbench import load_dataset, run
from rdbench.workers import workers

SWEEP = "jpeg:quality=5,25,45,65,85"
N_TASKS = 1000


def nothing(task: int) -> int:
    """Return the task."""
    return task


def overhead_ms(jobs: int, cluster: str | None) -> tuple[float, float]:
    """Return the mean milliseconds per task once all workers are ready, and their median."""
    with workers(jobs, 1, None, cluster) as map_tasks:
        list(map_tasks(nothing, range(50)))
        times = [time.perf_counter()]
        times += [time.perf_counter() for _ in map_tasks(nothing, range(N_TASKS))]
    steps = [after - before for before, after in pairwise(times)]
    return 1e3 * (times[-1] - times[0]) / N_TASKS, 1e3 * statistics.median(steps)


def sweep_s(jobs: int, cluster: str | None) -> tuple[float, float]:
    """Return the seconds of a sweep after its first record, and of all of it."""
    started, times = time.perf_counter(), []
    with tempfile.TemporaryDirectory() as out:
        run(SWEEP, load_dataset("kodak"), out, jobs=jobs, cluster=cluster,
            on_progress=lambda _: times.append(time.perf_counter()))  # fmt: skip
    return times[-1] - times[1], times[-1] - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    n = parser.parse_args().workers
    for name, jobs, cluster in (("--jobs", n, None), ("--cluster local", 0, f"local:{n}")):
        mean_ms, median_ms = overhead_ms(jobs, cluster)
        after_s, whole_s = sweep_s(jobs, cluster)
        print(f"{name} with {n} workers: {mean_ms:.2f} ms per task (median {median_ms:.2f}); "
              f"120 JPEG encodes {after_s:.1f} s after the first, {whole_s:.1f} s in all",
              flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
