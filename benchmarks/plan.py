"""Compare `rdbench plan` with real sweeps, or measure the costs that the codecs ship.

    RDBENCH_DATA=... python benchmarks/plan.py                 # two workers, Kodak
    python benchmarks/plan.py --write jpeg webp qarv           # codecs/rdbench_codecs/costs.json

A sweep is planned twice: with the shipped costs alone, and with the times of one image in the
folder. On a busy machine, compare with the CPU time of the workers. Costs are CPU times on the data
set `sample` with one thread, at three points of the ladder.
"""

import argparse
import datetime
import json
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from rdbench import load_dataset, read_image, run
from rdbench.plan import plan
from rdbench.spec import get_codecs, identify
from rdbench.sweep import machine
from rdbench.timing import _peak_memory_bytes
from rdbench.workers import processes

COSTS = Path(__file__).parents[1] / "codecs" / "rdbench_codecs" / "costs.json"
SWEEPS = (
    ("jpeg:quality=5,25,45,65,85",),
    ("jpeg:quality=5,25,45,65,85", "jxl", "webp"),
    ("jpeg2000", "avif:quality=30,60"),
)


def compare(codecs: tuple[str, ...], jobs: int = 2) -> None:
    """Print planned and real seconds of a sweep of Kodak."""
    kodak = load_dataset("kodak")
    with tempfile.TemporaryDirectory() as out:
        shipped_s = plan(codecs, kodak, out, jobs=jobs).makespan_s
        run(codecs, kodak.subset(["kodim05"]), out)
        measured_s = plan(codecs, kodak, out, jobs=jobs).makespan_s
        started, before_s = time.perf_counter(), cpu_seconds()
        run(codecs, kodak, out, jobs=jobs)
        real_s, cpu_s = time.perf_counter() - started, cpu_seconds() - before_s
    print(f"{' '.join(codecs)}, {jobs} workers: {real_s:.1f} s, of which each used a CPU for "
          f"{cpu_s / jobs:.1f} s; planned {shipped_s:.1f} s with "
          f"shipped times ({shipped_s / real_s - 1:+.0%}), {measured_s:.1f} s with those of one "
          f"image ({measured_s / real_s - 1:+.0%})")  # fmt: skip


def cpu_seconds() -> float:
    """Return the CPU time of the workers that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def cost(spec: str) -> tuple[str, dict[str, float]]:
    """Return the name under which a codec ships its costs, and these; runs in its own process."""
    points = get_codecs(spec)
    chosen = [points[0], points[len(points) // 2], points[-1]]
    images = [read_image(file.path) for file in load_dataset("sample").files]
    started = time.perf_counter()
    for codec in chosen:
        codec.prepare()
    chosen[0].decode(chosen[0].encode(images[0]).data)
    prepare_s = (time.perf_counter() - started) / len(chosen)
    seconds, sizes = [], []
    for codec in chosen:
        for image in images:
            megapixels = image.shape[0] * image.shape[1] / 1e6
            started = time.process_time()
            data = codec.encode(image).data
            codec.decode(data)
            seconds.append((time.process_time() - started) / megapixels)
            sizes.append(len(data) / megapixels)
    weights = identify(chosen[0]).weights
    return f"{chosen[0].name} {weights.configuration if weights else ''}".strip(), {
        "seconds_per_megapixel": float(f"{statistics.mean(seconds):.3g}"),
        "bytes_per_megapixel": round(statistics.mean(sizes)),
        "prepare_s": round(prepare_s, 1),
        "peak_memory_bytes": _peak_memory_bytes(),
    }


def write(specs: list[str]) -> None:
    """Measure the costs of codecs, one after the other, and add them to what is shipped."""
    shipped: dict[str, Any] = json.loads(COSTS.read_text()) if COSTS.exists() else {"codecs": {}}
    for spec in specs:
        with processes(1, 1) as map_tasks:
            ((_, found),) = map_tasks(cost, [spec])
        print(spec, found)
        if not isinstance(found, BaseException):
            shipped["codecs"][found[0]] = found[1]
    shipped |= {
        "command": "python benchmarks/plan.py --write CODEC ...",
        "machine": machine()["processor"],
        "measured": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "codecs": dict(sorted(shipped["codecs"].items())),
    }
    COSTS.write_text(json.dumps(shipped, indent=1, sort_keys=True) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", nargs="+", metavar="CODEC", default=[])
    specs = parser.parse_args().write
    if specs:
        write(specs)
    else:
        for codecs in SWEEPS:
            compare(codecs)


if __name__ == "__main__":
    main()
