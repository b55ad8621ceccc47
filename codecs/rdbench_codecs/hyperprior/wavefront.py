"""The autoregressive context model, decoded in wavefronts.

The 5x5 type-A mask lets a position of the latent grid see two positions to its left and the two
rows above up to two columns to its right. All positions with equal ``column + 3 * row`` are
therefore independent, and W + 3 (H - 1) steps visit the grid where raster order takes H W. Each
step is one batch:

    columns   0  1  2  3  4  5  6  7
    row 0     0  1  2  3  4  5  6  7
    row 1     3  4  5  6  7  8  9 10
    row 2     6  7  8  9 10 11 12 13

Encoder and decoder run this same code, so that they see the same parameters to the last bit.
"""

from collections.abc import Callable, Generator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from rdbench_codecs.hyperprior.layers import MaskedConv2d, times


class Asked(NamedTuple):
    """What the integers of some positions are asked for with.

    Attributes:
        positions: of the grid in raster order.
        mean: (batch, positions, channels).
        scale: regulated, same shape.
    """

    positions: slice
    mean: Tensor
    scale: Tensor


DecodingOfY = Generator[Asked, Tensor, Tensor]
"""Asks for the integers of all positions, step by step, and returns y_hat.

It is sent the integers of each step as floats, (batch, positions, channels).
"""

Quantize = Callable[[slice, Tensor, Tensor], Tensor]
"""Gives the integers that are asked for."""


def answer(decoding: DecodingOfY, quantize: Quantize) -> Tensor:
    """Return y_hat of a decoding whose questions ``quantize`` answers."""
    asked = next(decoding)
    while True:
        try:
            asked = decoding.send(quantize(*asked))
        except StopIteration as stop:
            y_hat: Tensor = stop.value
            return y_hat


_TAPS = 12  # of the 5x5 mask, all before its centre


def n_steps(height: int, width: int) -> int:
    """Steps that visit a grid."""
    return width + 3 * (height - 1)


def decode_in_wavefronts(
    context_prediction: MaskedConv2d,
    entropy_parameters: nn.Sequential,
    features: Tensor,
    regulator: float | Tensor,
) -> DecodingOfY:
    """Decode y_hat, (batch, m, height, width), step by step.

    Args:
        context_prediction: the masked convolution, m to 2m channels.
        entropy_parameters: three 1x1 layers on (features, context), 4m to 2m channels.
        features: what comes from the hyperprior, (batch, 2m, height, width); width at least 4.
        regulator: QVRF's a.
    """
    batch, _, height, width = features.shape
    if width < 4:
        raise ValueError(f"the latent grid must be at least 4 wide, this one is {width}")
    n_channels = context_prediction.in_channels
    layers = _Layers(context_prediction, entropy_parameters, features)
    # y_hat has two rows of padding above and two columns of padding on each side, so that the
    # mask never reads outside the array. One row of it takes `stride` positions.
    stride = width + 4
    y_hat = features.new_zeros(batch, (height + 2) * stride, n_channels)
    for step in range(n_steps(height, width)):
        # Rows whose column step - 3 * row is inside the grid.
        first_row = max(0, (step - width + 3) // 3)
        last_row = min(height - 1, step // 3)
        n_rows = last_row - first_row + 1
        # One row down and three columns left is a constant distance in memory, width - 3 in the
        # grid and stride - 3 in the frame: the positions of a step are a slice of either.
        start = first_row * width + step - 3 * first_row
        positions = slice(start, start + (n_rows - 1) * (width - 3) + 1, width - 3)
        start = (first_row + 2) * stride + step - 3 * first_row + 2
        padded = slice(start, start + (n_rows - 1) * (stride - 3) + 1, stride - 3)
        scale, mean = layers(positions, _neighbours(y_hat, start, n_rows, stride)).chunk(2, -1)
        integers = yield Asked(positions, mean, times(scale, regulator))
        y_hat[:, padded] = times(integers, 1 / regulator) + mean
    grid = y_hat.view(batch, height + 2, stride, n_channels)[:, 2:, 2:-2]
    return grid.permute(0, 3, 1, 2).contiguous()


def _neighbours(y_hat: Tensor, start: int, n: int, stride: int) -> Tensor:
    """What the mask sees at n positions from ``start`` on: (batch, n, 12 channels)."""
    # Overlapping views, nothing is copied before cat: per position 5, 5 and 2 adjacent columns that
    # begin two columns to the left, two rows above, one row above and in the row itself.
    batch, _, channels = y_hat.shape
    rows = [
        y_hat.as_strided(
            (batch, n, columns * channels),
            (y_hat.stride(0), (stride - 3) * channels, 1),
            (start - above * stride - 2) * channels,
        )
        for above, columns in ((2, 5), (1, 5), (0, 2))
    ]
    return torch.cat(rows, -1)


class _Layers:
    """Context and parameter networks at some positions, (batch, positions, channels).

    The first layer of the parameter network adds a part that reads the hyperprior, which is
    computed once for the whole grid, and a part that reads the context.
    """

    def __init__(
        self,
        context_prediction: MaskedConv2d,
        entropy_parameters: nn.Sequential,
        features: Tensor,
    ) -> None:
        # W (features, context) = W_f features + W_c context: the first part and the biases do not
        # depend on y and are computed for all positions at once.
        kernel = context_prediction.weight.flatten(2)[:, :, :_TAPS]
        self._context = kernel.transpose(1, 2).flatten(1)
        first, *rest = (m for m in entropy_parameters if isinstance(m, nn.Conv2d))
        first_weight = first.weight.flatten(1)
        n_features = features.shape[1]
        self._first = first_weight[:, n_features:].contiguous()
        self._rest = [(m.weight.flatten(1), m.bias) for m in rest]
        bias = self._first @ context_prediction.bias + first.bias  # type: ignore[operator]
        flat = features.flatten(2).transpose(1, 2)
        self._from_hyperprior = functional.linear(flat, first_weight[:, :n_features], bias)

    def __call__(self, positions: slice, neighbours: Tensor) -> Tensor:
        context = functional.linear(neighbours, self._context)
        x = self._from_hyperprior[:, positions] + functional.linear(context, self._first)
        for weight, bias in self._rest:
            x = functional.linear(functional.leaky_relu(x), weight, bias)
        return x
