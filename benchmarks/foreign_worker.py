"""Time a codec in a worker next to the same codec without one, in the same Python environment.

    python benchmarks/foreign_worker.py [DESCRIPTION.toml] [REPEATS]

The default is CompressAI's mbt2018-mean with random weights at quality 1, on an image of 768x512
(examples/codecs/compressai/requirements.txt says how to install it). Both processes are warmed up
and then take turns, one thread each. Medians in milliseconds; ``transport`` is what a call takes
longer than the codec in the worker.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np

from rdbench.datasets import files_of
from rdbench.images import read_image
from rdbench.spec import get_codecs
from rdbench.stages import listen
from rdbench_codecs.external.host import FOLDER

DEFAULT = Path(__file__).parents[1] / "examples/codecs/compressai/random.toml"
ALONE = """
import json, sys, time
import numpy as np
worker, path, name, settings, image = sys.argv[1:]
sys.path.insert(0, worker)
import interfaces
codec = interfaces.adapt(interfaces.load_class(path, name)(**json.loads(settings)))
image = np.load(image)
for line in sys.stdin:
    started = time.perf_counter()
    data = codec.encode(image).data
    encoded = time.perf_counter()
    codec.decode(data)
    print(json.dumps([encoded - started, time.perf_counter() - encoded]), flush=True)
"""


def main(description: str = str(DEFAULT), repeats: str = "15") -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    codec = get_codecs(description)[0]
    d = codec.definition  # type: ignore[attr-defined]
    (photograph,) = files_of("sample", ["coffee.png"])
    image = np.ascontiguousarray(np.tile(read_image(photograph), (2, 2, 1))[:512, :768])
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/image.npy", image)
        settings = json.dumps(d.arguments() | codec.settings())  # type: ignore[attr-defined]
        arguments = [FOLDER, d.path, d.class_name, settings, f"{folder}/image.npy"]
        command = [*d.command(d.python, worker=FOLDER), "-c", ALONE, *arguments]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(command, text=True, **pipes) as alone:  # type: ignore[call-overload]

            def without_worker() -> list[float]:
                alone.stdin.write("\n")
                alone.stdin.flush()
                return list(json.loads(alone.stdout.readline()))

            def in_worker() -> list[tuple[float, float]]:
                times = []
                with listen() as watch:
                    data = codec.encode(image).data
                    times.append((watch.seconds["worker"], watch.seconds["transport"]))
                with listen() as watch:
                    codec.decode(data)
                    times.append((watch.seconds["worker"], watch.seconds["transport"]))
                return times

            without_worker(), in_worker()
            pairs = [(without_worker(), in_worker()) for _ in range(int(repeats))]
            alone.stdin.close()
    print(f"{codec.name}, {image.shape[1]}x{image.shape[0]} pixels, medians of {repeats}, in ms")
    for n, direction in enumerate(("encode", "decode")):
        ms = 1e3 * median(direct[n] for direct, _ in pairs)
        inside_ms = 1e3 * median(inside[n][0] for _, inside in pairs)
        outside_ms = 1e3 * median(sum(inside[n]) for _, inside in pairs)
        transport = sorted(1e3 * inside[n][1] for _, inside in pairs)
        print(f"{direction}: without a worker {ms:.1f}, in the worker {inside_ms:.1f}, "
              f"call {outside_ms:.1f}, transport {median(transport):.2f} "
              f"({transport[0]:.2f} to {transport[-1]:.2f})")  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
