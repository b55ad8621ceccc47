"""Count what a learned codec computes and stores.

A MAC is one multiply-accumulate of a convolution or a matrix product, as counted by torch's flop
counter (two flops) while the codec encodes and decodes an image. Work that both sides do counts for
both; kernel taps that are never used do not count. Element-wise products and quotients
(normalization, gates, the scaling of variable-rate methods) are counted separately, one per
element. Entropy coding is not counted.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from rdbench.errors import UsageError
from rdbench.types import Codec

_SIDE = 256  # of the image; a multiple of the padding, so that every pixel costs the same
_ELEMENTWISE = ("mul", "mul_", "div", "div_", "addcmul", "addcmul_")


@runtime_checkable
class Countable(Protocol):
    """A codec with a network."""

    def parameter_counts(self) -> Mapping[str, int]:
        """Parameters of this operating point's network.

        Returns:
            ``total``: all of them; ``encoder`` and ``decoder``: those that encoding and decoding
            need, what both need in both.
        """


@dataclass(frozen=True, slots=True)
class Work:
    """What one direction computes."""

    macs_per_pixel: float
    products_per_pixel: float


@dataclass(frozen=True, slots=True)
class Complexity:
    """What a codec costs.

    Attributes:
        parameters: of this operating point's network; see Countable.
    """

    n_models: int
    ladder_parameters: int
    parameters: Mapping[str, int]
    encoder: Work
    decoder: Work

    def row(self) -> dict[str, float]:
        """Return the values that published curves have, too, ready for JSON."""
        return {
            "parameters": self.parameters["total"],
            "encoder_macs_per_pixel": self.encoder.macs_per_pixel,
            "decoder_macs_per_pixel": self.decoder.macs_per_pixel,
        }

    def extra(self, reference: "Complexity") -> dict[str, float]:
        """Return what this codec costs more than another, in percent of that (QVRF's Table 2).

        MACs are those of both directions. Every element-wise product that one codec has more than
        the other counts as one.
        """
        ours, theirs = ((c.encoder, c.decoder) for c in (self, reference))
        macs = [sum(work.macs_per_pixel for work in works) for works in (ours, theirs)]
        products = [sum(work.products_per_pixel for work in works) for works in (ours, theirs)]
        more_macs = macs[0] - macs[1] + products[0] - products[1]
        parameters = [c.parameters["total"] for c in (self, reference)]
        return {
            "extra_parameters_percent": 100 * (parameters[0] - parameters[1]) / parameters[1],
            "extra_macs_percent": 100 * more_macs / macs[1],
        }


def complexity(codec: Codec) -> Complexity:
    """Count what a codec costs while it encodes and decodes an image.

    Args:
        codec: a learned codec. The numbers do not depend on the weights: use ``weights=random``.

    Raises:
        UsageError: the codec has no network.
        Unavailable: its weights are missing.
    """
    parameters = _parameters(codec)
    ladder = codec.ladder() if not codec.variable_rate else (codec,)
    image = np.random.default_rng(0).integers(0, 256, (_SIDE, _SIDE, 3), np.uint8)
    codec.encode(image)  # what is done once, such as making tables, is not counted
    encoder, data = _count(lambda: codec.encode(image).data)
    decoder, _ = _count(lambda: codec.decode(data))
    total = sum(_parameters(point)["total"] for point in ladder)
    return Complexity(len(ladder), total, parameters, encoder, decoder)


def _parameters(codec: Codec) -> Mapping[str, int]:
    if not isinstance(codec, Countable):
        raise UsageError(f"codec {codec.name!r} has no network whose complexity could be counted")
    return codec.parameter_counts()


def _count(run: Callable[[], Any]) -> tuple[Work, Any]:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    aten, onednn = torch.ops.aten, torch.ops.mkldnn
    mapping: dict[Any, Any] = {getattr(aten, name): _n_elements for name in _ELEMENTWISE}
    # Layers that call oneDNN themselves, which the counter does not know.
    mapping[aten.mkldnn_convolution] = _convolution_flops
    mapping[onednn._convolution_pointwise] = _convolution_flops
    mapping[onednn._linear_pointwise] = _linear_flops
    with FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        result = run()
    counts = {str(op).split(".")[-1]: n for op, n in counter.get_flop_counts()["Global"].items()}
    products = sum(counts.pop(name, 0) for name in _ELEMENTWISE)
    n_pixels = _SIDE * _SIDE
    return Work(sum(counts.values()) / 2 / n_pixels, products / n_pixels), result


def _n_elements(*args: Any, out_shape: Any = None, **kwargs: Any) -> int:
    n: int = math.prod(out_shape)
    return n


def _convolution_flops(
    x_shape: Any, weight_shape: Any, *args: Any, out_shape: Any = None, **kwargs: Any
) -> int:
    return 2 * _n_elements(out_shape=out_shape) * int(math.prod(weight_shape[1:]))


def _linear_flops(x_shape: Any, *args: Any, out_shape: Any = None, **kwargs: Any) -> int:
    return 2 * _n_elements(out_shape=out_shape) * int(x_shape[-1])
