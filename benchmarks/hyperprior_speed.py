"""How fast the hyperprior codecs code one image on this machine's CPU.

    python benchmarks/hyperprior_speed.py [--codec mbt2018:quality=8 ...] [--rounds 9]

Every round measures the rate of a large matrix product, then each codec. A time multiplied by the
rate is the work that the product would do meanwhile, in GFLOP, which compares between machines and
between rounds; beside it stands the work that the networks really do.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

import numpy as np
import torch

from rdbench.analysis.complexity import complexity
from rdbench.registry import codec_from_spec
from rdbench.types import Codec, Image

_SIDE = 2048
_CODECS = (
    "bmshj2018-hyperprior:quality=8",
    "mbt2018-mean:quality=8",
    "mbt2018:quality=8",
    "cheng2020-attn:quality=6",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--codec", nargs="+", default=_CODECS)
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
        report(codec_from_spec(f"{spec},weights={args.weights}"), spec, image, args.rounds)


def report(codec: Codec, name: str, image: Image, n_rounds: int) -> None:
    """Print what one codec takes."""
    a, b = torch.randn(2, _SIDE, _SIDE)
    data = codec.encode(image).data
    codec.decode(data)
    rates, encode_s, decode_s = [], [], []
    for _ in range(n_rounds):
        product_s = min(seconds(lambda: a @ b) for _ in range(3))
        rates.append(2 * _SIDE**3 / product_s / 1e9)
        encode_s.append(seconds(lambda: codec.encode(image)))
        decode_s.append(seconds(lambda: codec.decode(data)))
    work = complexity(codec)
    n_pixels = image.shape[0] * image.shape[1]
    print(f"{name}: {len(data)} bytes; product: {statistics.median(rates):.0f} GFLOP/s")
    for what, times, macs in (
        ("encode", encode_s, work.encoder.macs_per_pixel),
        ("decode", decode_s, work.decoder.macs_per_pixel),
    ):
        products = [rate * time_s for rate, time_s in zip(rates, times, strict=True)]
        print(
            f"  {what}: median {statistics.median(times):.3f} s, least {min(times):.3f} s; "
            f"meanwhile the product does {statistics.median(products):.0f} GFLOP "
            f"(least {min(products):.0f}), the network {2 * macs * n_pixels / 1e9:.0f}"
        )


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def make_image(height: int, width: int) -> Image:
    """Shading and noise."""
    y, x = np.mgrid[:height, :width]
    shading = 128 + 60 * np.sin(x / 37) * np.cos(y / 23)
    noise = np.random.default_rng(0).normal(0, 12, (height, width, 3))
    return np.clip(shading[..., None] + noise, 0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()
