"""How much a learned codec computes and stores.

Definition. A MAC is one multiply-accumulate of a convolution or a matrix product, as torch's flop
counter sees them (two flops) while the codec really encodes and decodes an image: work that both
sides do counts on both, taps of a kernel that are never used count nowhere. Element-wise products
and quotients (normalization, gates, the scaling of variable-rate methods) are counted apart, one
for each element. Entropy coding itself is not counted.
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
    """What one direction computes.

    Attributes:
        macs_per_pixel: multiply-accumulates of convolutions and matrix products.
        products_per_pixel: element-wise products and quotients.
    """

    macs_per_pixel: float
    products_per_pixel: float


@dataclass(frozen=True, slots=True)
class Complexity:
    """What a codec costs.

    Attributes:
        n_models: networks that its default ladder needs.
        ladder_parameters: parameters of all of them.
        parameters: of this operating point's network; see Countable.
        encoder, decoder: work of the two directions.
    """

    n_models: int
    ladder_parameters: int
    parameters: Mapping[str, int]
    encoder: Work
    decoder: Work

    def row(self) -> dict[str, float]:
        """In short, ready for JSON: what published curves tell of their codec, too."""
        return {
            "parameters": self.parameters["total"],
            "encoder_macs_per_pixel": self.encoder.macs_per_pixel,
            "decoder_macs_per_pixel": self.decoder.macs_per_pixel,
        }


@dataclass(frozen=True, slots=True)
class Extra:
    """What a codec has more than another one, in percent of that one (QVRF's Table 2).

    Attributes:
        parameters_percent: parameters of the network.
        macs_percent: MACs of encoding and decoding together, to which every element-wise product
            that one codec has more than the other is added as one.
    """

    parameters_percent: float
    macs_percent: float


def complexity(codec: Codec) -> Complexity:
    """What ``codec`` costs, counted while it encodes and decodes an image.

    Args:
        codec: a learned codec. ``weights=random`` will do: the numbers do not depend on weights.

    Raises:
        UsageError: the codec has no network.
        Unavailable: it has no weights here.
    """
    parameters = _parameters(codec)
    ladder = codec.ladder() if not codec.variable_rate else (codec,)
    image = np.random.default_rng(0).integers(0, 256, (_SIDE, _SIDE, 3), np.uint8)
    codec.encode(image)  # what is done once, such as making tables, is not counted
    encoder, data = _count(lambda: codec.encode(image).data)
    decoder, _ = _count(lambda: codec.decode(data))
    total = sum(_parameters(point)["total"] for point in ladder)
    return Complexity(len(ladder), total, parameters, encoder, decoder)


def extra(codec: Codec, reference: Codec) -> Extra:
    """What ``codec`` costs more than ``reference``; both as in `complexity`."""
    ours, theirs = complexity(codec), complexity(reference)
    macs = [c.encoder.macs_per_pixel + c.decoder.macs_per_pixel for c in (ours, theirs)]
    products = [c.encoder.products_per_pixel + c.decoder.products_per_pixel for c in (ours, theirs)]
    more_macs = macs[0] - macs[1] + products[0] - products[1]
    more_parameters = ours.parameters["total"] - theirs.parameters["total"]
    return Extra(100 * more_parameters / theirs.parameters["total"], 100 * more_macs / macs[1])


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
