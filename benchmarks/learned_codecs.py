"""Time learned codecs on this CPU, next to the products that they consist of.

    python benchmarks/learned_codecs.py [--codec qarv:lambda=2048 ...] [--threads 2] [--rounds 9]

The floor of an encode or decode is the time of its convolutions and matrix products alone: the
first one is recorded and its products are repeated in the same order, with operands of the same
shapes. Every round times the floor, then the codec; the ratio is the median over the rounds. The
floor's own rate is compared with that of a large matrix product by oneDNN, for which the operations
of the published network count: this ratio can be compared between machines.
"""

import argparse
import os
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # must be set before torch is imported

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from rdbench.analysis.complexity import complexity
from rdbench.spec import get_codec
from rdbench.types import Codec, Image

SIDE = 2048
FLOP_OF_PRODUCT = 2 * SIDE**3
CODECS = (
    "qarv:lambda=2048",
    "bmshj2018-factorized:quality=8",
    "bmshj2018-hyperprior:quality=8",
    "mbt2018-mean:quality=8",
    "mbt2018:quality=8",
    "cheng2020-anchor:quality=6",
    "cheng2020-attn:quality=6",
)
PRODUCTS = {
    "aten::addmm", "aten::bmm", "aten::conv2d", "aten::convolution", "aten::linear",
    "aten::matmul", "aten::mkldnn_convolution", "aten::mm",
    "mkldnn::_convolution_pointwise", "mkldnn::_linear_pointwise",
}  # fmt: skip


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
    print(f"{args.width}x{args.height}, {args.threads} threads, median of {args.rounds} rounds")
    for spec in args.codec:
        report(get_codec(f"{spec},weights={args.weights}"), spec, image, args.rounds)


def report(codec: Codec, name: str, image: Image, n_rounds: int) -> None:
    """Print the times of one codec."""
    data = codec.encode(image).data
    work = complexity(codec)
    macs = {"encode": work.encoder.macs_per_pixel, "decode": work.decoder.macs_per_pixel}
    calls = {"encode": lambda: codec.encode(image), "decode": lambda: codec.decode(data)}
    for what, call in calls.items():
        large, floor, own = measure(call, n_rounds)
        flop = 2 * macs[what] * image.shape[0] * image.shape[1]
        scaled = [flop / FLOP_OF_PRODUCT * seconds for seconds in large]
        print(f"{name} {what}: {median(own):.3f} s, floor {median(floor):.3f} s, ratio "
              f"{ratio(own, floor):.2f}; {flop / 1e9:.0f} GFLOP, floor "
              f"{ratio(floor, scaled):.2f} x large product", flush=True)  # fmt: skip


def measure(
    call: Callable[[], object], n_rounds: int
) -> tuple[list[float], list[float], list[float]]:
    """Return the seconds of each round: of the large product, of the floor, and of the call."""
    a, b = torch.randn(2, SIDE, SIDE)
    packed = torch.ops.mkldnn._reorder_linear_weight(b, SIDE)
    with Recorder() as recorder:
        call()
    timed: Sequence[Callable[[], object]] = (
        lambda: torch.ops.mkldnn._linear_pointwise(a, packed, None, "none", [], ""),
        recorder.repeat,
        call,
    )
    rounds = [[seconds(function) for function in timed] for _ in range(n_rounds)]
    large, floor, own = ([*times] for times in zip(*rounds, strict=True))
    return large, floor, own


class Recorder(TorchDispatchMode):
    """Records convolutions and matrix products, with operands that have only their layout."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: list[tuple[Callable[..., object], int, Sequence[Any], Mapping[str, Any]]] = []
        self._operands: dict[object, Tensor] = {}

    def __torch_dispatch__(
        self,
        func: Any,
        types: object,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        kwargs = kwargs or {}
        if func.overloadpacket._qualified_op_name in PRODUCTS:
            alike = tree_map_only(Tensor, self._like, (args, kwargs))
            self._calls.append((func, torch.get_num_threads(), *alike))
        return func(*args, **kwargs)

    def repeat(self) -> None:
        """Compute the products again, on as many threads."""
        before = torch.get_num_threads()
        with torch.inference_mode():
            for func, n_threads, args, kwargs in self._calls:
                if n_threads != torch.get_num_threads():
                    torch.set_num_threads(n_threads)
                func(*args, **kwargs)
        torch.set_num_threads(before)

    def _like(self, x: Tensor) -> Tensor:
        """The same tensor for all of a layout; packed weights are kept."""
        if x.is_mkldnn:
            return x
        layout = x.shape, x.stride(), x.dtype
        if layout not in self._operands:
            self._operands[layout] = torch.empty_strided(*layout[:2], dtype=x.dtype).fill_(0.01)
        return self._operands[layout]


def seconds(call: Callable[[], object]) -> float:
    """Return the wall time of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def ratio(times: Sequence[float], others: Sequence[float]) -> float:
    """Return the median ratio over the rounds."""
    return median(own / other for own, other in zip(times, others, strict=True))


def make_image(height: int, width: int) -> Image:
    """Return a shaded image with noise."""
    y, x = np.mgrid[:height, :width]
    shading = 128 + 60 * np.sin(x / 37) * np.cos(y / 23)
    noise = np.random.default_rng(0).normal(0, 12, (height, width, 3))
    return np.clip(shading[..., None] + noise, 0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()
