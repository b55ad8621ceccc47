"""How fast QARV codes one picture on this machine's CPU, against the rate of a matrix product.

    python benchmarks/qarv_speed.py [--height 512] [--width 768] [--threads 2] [--weights random]

Every round measures the rate of a large matrix product, then the codec. The time that the network's
own operations would take at that rate is the floor; time over floor compares between machines.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from rdbench_codecs.qarv import Qarv
from rdbench_codecs.qarv.network import STRIDE, QarvNetwork

_SIDE = 2048


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--height", type=int, default=512)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--weights", default="random")
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    codec = Qarv(lambda_=2048.0, weights=args.weights)
    image = picture(args.height, args.width)
    data = codec.encode(image).data
    codec.decode(data)
    a, b = torch.randn(2, _SIDE, _SIDE)
    rounds = []
    for _ in range(args.rounds):
        product_s = min(seconds(lambda: a @ b) for _ in range(3))
        rate = 2 * _SIDE**3 / product_s
        rounds.append(
            (rate, seconds(lambda: codec.encode(image)), seconds(lambda: codec.decode(data)))
        )
    encode_flop, decode_flop = operations(codec, args.height, args.width)
    print(f"{args.width}x{args.height}, {args.threads} threads, {len(data)} bytes")
    print(f"matrix product: {statistics.median(r[0] for r in rounds) / 1e9:.0f} GFLOP/s")
    for name, flop, column in (("encode", encode_flop, 1), ("decode", decode_flop, 2)):
        times = [r[column] for r in rounds]
        ratios = [r[column] / (flop / r[0]) for r in rounds]
        print(
            f"{name}: median {statistics.median(times):.3f} s, least {min(times):.3f} s, "
            f"{flop / 1e9:.0f} GFLOP, {statistics.median(ratios):.2f} x floor "
            f"(least {min(ratios):.2f})"
        )


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def picture(height: int, width: int) -> np.ndarray:
    """Shading and noise."""
    y, x = np.mgrid[:height, :width]
    shading = 128 + 60 * np.sin(x / 37) * np.cos(y / 23)
    noise = np.random.default_rng(0).normal(0, 12, (height, width, 3))
    return np.clip(shading[..., None] + noise, 0, 255).astype(np.uint8)


def operations(codec: Qarv, height: int, width: int) -> tuple[int, int]:
    """Floating-point operations of the network to encode and to decode, none of them executed."""
    with torch.device("meta"), torch.no_grad():
        network = QarvNetwork(codec.config())
        rows, columns = -(-height // STRIDE), -(-width // STRIDE)
        condition = network.condition(torch.ones(1))
        image = torch.empty(1, 3, rows * STRIDE, columns * STRIDE)
        with FlopCounterMode(display=False) as encode:
            taps = network.analyse(image, condition)
            feature = network.start(rows, columns)
            for i in range(network.n_latents):
                feature, _ = network.to_prior(i, feature, condition)
                z = network.posterior_mean(i, feature, taps, condition)
                if i < network.n_latents - 1:
                    feature = network.add_latent(i, feature, z, condition)
        with FlopCounterMode(display=False) as decode:
            feature = network.start(rows, columns)
            for i in range(network.n_latents):
                feature, prior = network.to_prior(i, feature, condition)
                feature = network.add_latent(i, feature, prior.mean, condition)
            network.synthesize(feature, condition)
    return encode.get_total_flops(), decode.get_total_flops()


if __name__ == "__main__":
    main()
