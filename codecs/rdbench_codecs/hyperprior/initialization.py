"""A hyperprior network that is a transform codec before its first step of training."""

import math
from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn

from rdbench_codecs.hyperprior.layers import (
    AttentionBlock,
    ResidualBlock,
    ResidualBlockUpsample,
    ResidualBlockWithStride,
)
from rdbench_codecs.hyperprior.networks import ScaleHyperprior
from rdbench_codecs.hyperprior.qvrf import LAMBDAS
from rdbench_codecs.training.principal_components import (
    Components,
    blocks,
    least_cost_step,
    principal_components,
)

_GAIN = 0.5  # of every stage but the last: values stay where normalization hardly bends them
# Added ahead of a leaky ReLU and taken off behind it: values stay on its straight part.
_OFFSET = 2.0
_FAINT = 0.01  # of what is added to a shortcut at the start
_CLOSED = -6.0  # input of an attention block's sigmoid at the start


@torch.no_grad()
def start_from_components(network: ScaleHyperprior, images: Tensor) -> None:
    """Set a freshly initialized network to nested principal components of 2x2 blocks.

    The decoder's transforms become the transposes of the encoder's, y has the step that suits the
    first Lagrange multiplier, and its scales start as the spread of each channel. Channels that
    have no component keep random numbers, and no influence on those that have one. Residual and
    attention blocks start as their shortcuts.

    Args:
        network: its transforms halve the resolution four times and double it as often.
        images: (batch, 3, height, width), 1 is white, sides multiples of 64.
    """
    # Layer by layer: each halving layer of the encoder becomes the principal components of what
    # the layers before it give, and its mirror image in the decoder the transpose. The gain of the
    # last one turns those of all stages into the step of y.
    for layer in (*network.g_a, *network.g_s):
        _pass_through(layer)
    doubling = [layer for layer in network.g_s if isinstance(layer, _DOUBLING)]
    used = 3
    for layer, x in _inputs(network.g_a, images):
        opposite = doubling.pop()
        gain = _GAIN if doubling else 1 / (_GAIN**3 * _step())
        n = min(_last(layer).out_channels, _first(opposite).in_channels)
        found = principal_components(blocks(x[:, :used], 2), n)
        _set_halving(layer, found, gain)
        _set_doubling(opposite, found, gain)
        used, std = len(found.basis), gain * found.std
    cast(Tensor, network.gaussian_layer().bias)[:used].copy_(std)


def _step() -> float:
    """Step of y: three samples a pixel, rate in bits, lambda * 255^2 on their mean error."""
    return least_cost_step(math.log(2) * LAMBDAS[0] * 255**2 / 3)


_HALVING = (nn.Conv2d, ResidualBlockWithStride)
_DOUBLING = (nn.ConvTranspose2d, nn.Sequential, ResidualBlockUpsample)


def _inputs(transform: nn.Sequential, x: Tensor) -> Iterator[tuple[nn.Module, Tensor]]:
    """Each layer that halves, with its input; the caller sets it before the next is asked for."""
    for layer in transform:
        if isinstance(layer, _HALVING):
            yield layer, x
        x = layer(x)


def _last(halving: nn.Module) -> nn.Conv2d:
    convolution = halving.conv2 if isinstance(halving, ResidualBlockWithStride) else halving
    return cast(nn.Conv2d, convolution)


def _first(doubling: nn.Module) -> nn.Conv2d | nn.ConvTranspose2d:
    layers = doubling.modules()
    return next(x for x in layers if isinstance(x, nn.Conv2d | nn.ConvTranspose2d))


def _set_halving(layer: nn.Module, found: Components, gain: float) -> None:
    """Make a layer the components of 2x2 blocks, times a gain."""
    if isinstance(layer, ResidualBlockWithStride):
        _set_halving(layer.conv1, found, gain)
        _straighten(layer.conv1, layer.conv2, len(found.basis))
        _scale(layer.skip, 0)
        return
    # Output i sees input 2i at the centre of the kernel.
    convolution = cast(nn.Conv2d, layer)
    n, n_in, centre = len(found.basis), len(found.mean) // 4, convolution.kernel_size[0] // 2
    taps = slice(centre, centre + 2)
    convolution.weight[:n] = 0
    convolution.weight[:n, :n_in, taps, taps] = gain * found.basis.view(n, n_in, 2, 2)
    cast(Tensor, convolution.bias)[:n] = -gain * found.basis @ found.mean


def _set_doubling(layer: nn.Module, found: Components, gain: float) -> None:
    """Make a layer the 2x2 blocks of components that have a gain."""
    n, n_out = found.basis.shape
    n_in = n_out // 4
    if isinstance(layer, ResidualBlockUpsample):
        _set_doubling(layer.subpel_conv, found, gain)
        _straighten(layer.subpel_conv[0], layer.conv, n_in)
        _scale(layer.upsample[0], 0)
    elif isinstance(layer, nn.ConvTranspose2d):
        # Of the 5x5 kernel, taps 2 and 3 of each axis write the 2x2 block of an input.
        layer.weight[:, :n_in] = 0
        layer.weight[:n, :n_in, 2:4, 2:4] = found.basis.view(n, n_in, 2, 2) / gain
        cast(Tensor, layer.bias)[:n_in] = found.mean.view(n_in, 4).mean(1)
    else:
        # A convolution whose outputs, four a channel, PixelShuffle lays out as 2x2 blocks.
        convolution = cast(nn.Conv2d, cast(nn.Sequential, layer)[0])
        convolution.weight[:n_out] = 0
        convolution.weight[:n_out, :n, 1, 1] = found.basis.T / gain
        cast(Tensor, convolution.bias)[:n_out] = found.mean


def _straighten(first: nn.Module, second: nn.Conv2d, n: int) -> None:
    """Give two layers with a leaky ReLU between them n channels that pass it unbent."""
    # leaky_relu(x + offset) - offset = x as long as x > -offset.
    bias = cast(Tensor, first.bias)
    bias[: n * bias.numel() // second.in_channels] += _OFFSET
    second.weight[:n] = 0
    for i in range(n):
        second.weight[i, i, 1, 1] = 1
    cast(Tensor, second.bias)[:n] = -_OFFSET


def _pass_through(layer: nn.Module) -> None:
    """Make a residual or attention block its shortcut, nearly; other layers stay as they are."""
    if isinstance(layer, ResidualBlock):
        _scale(layer.conv2, _FAINT)
        if isinstance(layer.skip, nn.Conv2d):
            _scale(layer.skip, 0)
            nn.init.dirac_(layer.skip.weight)
    elif isinstance(layer, AttentionBlock):
        gate = cast(nn.Conv2d, layer.conv_b[-1])
        _scale(gate, 0)
        cast(Tensor, gate.bias).fill_(_CLOSED)


def _scale(layer: nn.Module, factor: float) -> None:
    for parameter in layer.parameters():
        parameter.mul_(factor)
