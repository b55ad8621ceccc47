"""Time learned codecs on this CPU, next to the rate of a matrix product.

    python benchmarks/learned_codecs.py [--codec qarv:lambda=2048 ...] [--rounds 9]

Every round times a large matrix product, by torch and by oneDNN on packed weights (several times
faster where torch's own library does not use all of the CPU), then the codec. The time that the
network's operations would take at that rate is a floor. Time divided by the floor can be compared
between machines.
"""

import argparse
import os
import time
from collections.abc import Callable
from statistics import median

os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # must be set before torch is imported

import numpy as np
import torch

from rdbench.analysis.complexity import complexity
from rdbench.spec import get_codec
from rdbench.types import Codec, Image

SIDE = 2048
FLOP_OF_PRODUCT = 2 * SIDE**3
CODECS = (
    "qarv:lambda=2048",
    "bmshj2018-hyperprior:quality=8",
    "mbt2018-mean:quality=8",
    "mbt2018:quality=8",
    "cheng2020-attn:quality=6",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--codec", nargs="+", default=CODECS)
    parser.add_argument("--weights", default="random")
    parser.add_argument("--height", type=int, default=512)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    image = make_image(args.height, args.width)
    print(f"{args.width}x{args.height}, {args.threads} threads, {args.rounds} rounds")
    for spec in args.codec:
        report(get_codec(f"{spec},weights={args.weights}"), spec, image, args.rounds)


def report(codec: Codec, name: str, image: Image, n_rounds: int) -> None:
    """Print the times of one codec."""
    products, own = measure(codec, image, n_rounds)
    for library, times in products.items():
        print(f"{name}: product by {library}: {FLOP_OF_PRODUCT / median(times) / 1e9:.0f} GFLOP/s")
    work = complexity(codec)
    n_pixels = image.shape[0] * image.shape[1]
    macs = {"encode": work.encoder.macs_per_pixel, "decode": work.decoder.macs_per_pixel}
    for what, times in own.items():
        flop = 2 * macs[what] * n_pixels
        floors = ", ".join(
            f"{floor_ratio(times, found, flop):.2f} x {library} floor"
            for library, found in products.items()
        )
        print(f"  {what}: median {median(times):.3f} s, minimum {min(times):.3f} s, "
              f"{flop / 1e9:.0f} GFLOP, {floors}")  # fmt: skip


def measure(
    codec: Codec, image: Image, n_rounds: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Return the seconds of each round: of the product by library, and of encode and decode."""
    a, b = torch.randn(2, SIDE, SIDE)
    packed = torch.ops.mkldnn._reorder_linear_weight(b, SIDE)
    data = codec.encode(image).data
    codec.decode(data)
    products: dict[str, Callable[[], object]] = {
        "torch": lambda: a @ b,
        "oneDNN": lambda: torch.ops.mkldnn._linear_pointwise(a, packed, None, "none", [], ""),
    }
    own: dict[str, Callable[[], object]] = {
        "encode": lambda: codec.encode(image),
        "decode": lambda: codec.decode(data),
    }
    times: dict[str, list[float]] = {name: [] for name in (*products, *own)}
    for _ in range(n_rounds):
        for name, call in products.items():
            times[name].append(min(seconds(call) for _ in range(3)))
        for name, call in own.items():
            times[name].append(seconds(call))
    return {name: times[name] for name in products}, {name: times[name] for name in own}


def seconds(call: Callable[[], object]) -> float:
    """Return the wall time of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def floor_ratio(times: list[float], products: list[float], flop: float) -> float:
    """Return the median over the rounds of time / (time that ``flop`` takes as a product)."""
    scale = FLOP_OF_PRODUCT / flop
    return median(scale * own / product for own, product in zip(times, products, strict=True))


def make_image(height: int, width: int) -> Image:
    """Return a shaded image with noise."""
    y, x = np.mgrid[:height, :width]
    shading = 128 + 60 * np.sin(x / 37) * np.cos(y / 23)
    noise = np.random.default_rng(0).normal(0, 12, (height, width, 3))
    return np.clip(shading[..., None] + noise, 0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()
