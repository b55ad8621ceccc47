"""Measure what each metric costs, and write it where `rdbench metrics list` reads it.

    python benchmarks/metrics.py [--seconds 5] [NAME...]

The cost is the slope of CPU time between two sizes of one image, in a process with one thread:
start-up, such as the loading of a library or the start of a program, is not counted. The CPU time
of started programs is. Each size is measured again until the time is used up; the least counts.
Metrics that are not named, or not available here, keep what is written of them.
"""

import argparse
import datetime
import json
import os
import platform
import resource
import time
from pathlib import Path

import cv2
import numpy as np
import torch

import rdbench.metrics
from rdbench.metrics import METRICS, Metric, why_not
from rdbench.types import Image

SIZES = ((512, 384), (1536, 1152))
FILE = Path(rdbench.metrics.__file__).with_name("costs.json")


def pair(width: int, height: int) -> tuple[Image, Image]:
    """Return smooth noise with detail, and its JPEG of quality 50."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (height // 16, width // 16, 3), np.uint8)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    image = np.clip(smooth + rng.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 50])[1]
    return image, np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def cpu_s() -> float:
    """CPU time of this process and of the programs that it started, in seconds."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def least_s(metric: Metric, images: tuple[Image, Image], budget_s: float) -> float:
    """Return the least CPU time of a call, after one that is not counted."""
    metric.function(*images)
    times: list[float] = []
    end = time.monotonic() + budget_s
    while not times or time.monotonic() < end:
        before = cpu_s()
        metric.function(*images)
        times.append(cpu_s() - before)
    return min(times)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="metrics; default: all available")
    parser.add_argument("--seconds", type=float, default=5.0, help="time per metric")
    given = parser.parse_args()
    body = json.loads(FILE.read_text()) if FILE.exists() else {"ms_per_megapixel": {}}
    found = body["ms_per_megapixel"]
    images = [pair(*size) for size in SIZES]
    megapixels = [width * height / 1e6 for width, height in SIZES]
    for name in given.names or METRICS:
        if reason := why_not(METRICS[name]):
            print(f"{name:16} {reason}")
            continue
        small, large = (least_s(METRICS[name], i, given.seconds / 2) for i in images)
        slope_ms = 1e3 * (large - small) / (megapixels[1] - megapixels[0])
        found[name] = float(f"{slope_ms:.2g}")
        print(f"{name:16} {found[name]:g} ms per megapixel", flush=True)
    body["measured"] = datetime.datetime.now(datetime.UTC).date().isoformat()
    body["machine"] = f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}"
    body["command"] = "python benchmarks/metrics.py"
    FILE.write_text(json.dumps(body, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    main()
