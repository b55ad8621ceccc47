"""Time the harness itself: the null codec per record, and 120 JPEG encodes of Kodak.

    RDBENCH_DATA=... python benchmarks/harness.py

The overhead of a record is the wall time of the sweep minus the codec's own encode and decode, with
the images in memory: hashing, checking, PSNR, communication, writing the bitstream and the record.
"""

import statistics
import tempfile
import time
from itertools import pairwise

from rdbench import Store, load_dataset, run
from rdbench.metrics import Protocol


def null_overhead_ms(jobs: int) -> float:
    """Return the median overhead per record in milliseconds, with every image read before."""
    kodak = load_dataset("kodak")
    again = kodak.subset([p.name for p in kodak.files])
    with tempfile.TemporaryDirectory() as out:
        times: list[float] = []
        run("null", [kodak, again], out, jobs=jobs, protocol=Protocol(metrics=("psnr_rgb",)),
            on_progress=lambda _: times.append(time.perf_counter()))  # fmt: skip
        with Store(out) as store:
            codec_s = statistics.median(r.encode_s + r.decode_s for r in store.records())
    steps = [after - before for before, after in pairwise(times[-len(again.files) :])]
    return 1e3 * (statistics.median(steps) - codec_s)


def jpeg_s(jobs: int) -> tuple[float, float]:
    """Return the seconds of 120 JPEG encodes with PSNR and MS-SSIM: after start-up, and total."""
    started = time.perf_counter()
    times: list[float] = []
    with tempfile.TemporaryDirectory() as out:
        run("jpeg:quality=5,25,45,65,85", "kodak", out, jobs=jobs,
            on_progress=lambda _: times.append(time.perf_counter()))  # fmt: skip
    ready = times[1]  # the first record: workers are up
    return (times[-1] - ready) * 120 / 119, times[-1] - started


def main() -> None:
    alone_ms, worker_ms = null_overhead_ms(0), null_overhead_ms(1)
    print(f"null codec, overhead per record, no MS-SSIM: {worker_ms:.1f} ms with one worker, "
          f"{alone_ms:.1f} ms in this process")  # fmt: skip
    for jobs in (1, 2):
        after_start_s, whole_s = jpeg_s(jobs)
        print(f"120 JPEG encodes of Kodak with PSNR and MS-SSIM, --jobs {jobs}: "
              f"{after_start_s:.2f} s after start-up, {whole_s:.2f} s total")  # fmt: skip


if __name__ == "__main__":
    main()
