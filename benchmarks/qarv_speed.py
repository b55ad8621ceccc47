"""How fast QARV codes one image on this machine's CPU, against the rate of a matrix product.

    python benchmarks/qarv_speed.py [--height 512] [--width 768] [--threads 2] [--weights random]

Every round measures the rates of a large matrix product, by torch and by oneDNN on packed weights
(several times faster where torch's own library does not use all of the CPU), then the codec. The
time that the network's operations would take at such a rate is a floor; time over floor compares
between machines.
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
LIBRARIES = ("torch", "oneDNN")


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
    image = make_image(args.height, args.width)
    data = codec.encode(image).data
    codec.decode(data)
    a, b = torch.randn(2, _SIDE, _SIDE)
    packed = torch.ops.mkldnn._reorder_linear_weight(b, _SIDE)
    calls: dict[str, Callable[[], object]] = {
        "torch": lambda: a @ b,
        "oneDNN": lambda: torch.ops.mkldnn._linear_pointwise(a, packed, None, "none", [], ""),
        "encode": lambda: codec.encode(image),
        "decode": lambda: codec.decode(data),
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(args.rounds):
        for name, call in calls.items():
            repeats = 3 if name in LIBRARIES else 1
            times[name].append(min(seconds(call) for _ in range(repeats)))
    rates = {name: [2 * _SIDE**3 / t for t in times[name]] for name in LIBRARIES}
    print(f"{args.width}x{args.height}, {args.threads} threads, {len(data)} bytes")
    for name in LIBRARIES:
        print(f"matrix product, {name}: {statistics.median(rates[name]) / 1e9:.0f} GFLOP/s")
    flops = operations(codec, args.height, args.width)
    for name, flop in zip(("encode", "decode"), flops, strict=True):
        floors = ", ".join(
            f"{floor_ratio(times[name], rates[by], flop):.2f} x {by} floor" for by in LIBRARIES
        )
        print(
            f"{name}: median {statistics.median(times[name]):.3f} s, least "
            f"{min(times[name]):.3f} s, {flop / 1e9:.0f} GFLOP, {floors}"
        )


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def floor_ratio(times: list[float], rates: list[float], flop: int) -> float:
    """Median over the rounds of the time in units of what ``flop`` operations take at the rate."""
    return statistics.median(t * rate / flop for t, rate in zip(times, rates, strict=True))


def make_image(height: int, width: int) -> np.ndarray:
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
