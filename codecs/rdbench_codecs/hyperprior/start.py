"""A hyperprior network that is a transform codec before its first step of training."""

import math
from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn

from rdbench.errors import DataError
from rdbench_codecs.hyperprior.networks import ScaleHyperprior
from rdbench_codecs.hyperprior.qvrf import LAMBDAS
from rdbench_codecs.training.components import blocks, least_cost_step, principal_components

_GAIN = 0.5  # of every stage but the last: values stay where normalization hardly bends them


@torch.no_grad()
def start_from_components(network: ScaleHyperprior, images: Tensor) -> None:
    """Set a freshly initialized network to nested principal components of 2x2 blocks.

    The decoder's transforms become the transposes of the encoder's, y has the step that suits the
    first Lagrange multiplier, and its scales start as the spread of each channel. Channels that
    have no component keep random numbers, and no influence on those that have one.

    Args:
        network: of 5x5 convolutions and divisive normalization.
        images: (batch, 3, height, width), 1 is white, sides multiples of 64.

    Raises:
        DataError: the network has other transforms.
    """
    down = [layer for layer in network.g_a if isinstance(layer, nn.Conv2d)]
    up = [layer for layer in network.g_s if isinstance(layer, nn.ConvTranspose2d)][::-1]
    if len(down) != 4 or len(up) != 4:
        raise DataError("principal components are for transforms of four 5x5 convolutions")
    used = 3
    for layer, x in _inputs(network.g_a, images):
        last = layer is down[-1]
        gain = 1 / (_GAIN**3 * _step()) if last else _GAIN
        used, std = _set_stage(layer, up[down.index(layer)], x[:, :used], gain)
    cast(Tensor, network.gaussian_layer().bias)[: network.m].copy_(std)


def _step() -> float:
    """Step of y: three samples a pixel, rate in bits, lambda * 255^2 on their mean error."""
    return least_cost_step(math.log(2) * LAMBDAS[0] * 255**2 / 3)


def _inputs(transform: nn.Sequential, x: Tensor) -> Iterator[tuple[nn.Conv2d, Tensor]]:
    """Each convolution with its input; the caller sets it before the next is asked for."""
    for layer in transform:
        if isinstance(layer, nn.Conv2d):
            yield layer, x
        x = layer(x)


def _set_stage(
    down: nn.Conv2d, up: nn.ConvTranspose2d, x: Tensor, gain: float
) -> tuple[int, Tensor]:
    """Set a convolution and its transpose; the number of components, and their spread after it.

    Output i of ``down`` sees input 2i at tap 2 of its kernel, and ``up`` likewise.
    """
    found = principal_components(blocks(x, 2), down.out_channels)
    n, n_in = len(found.basis), x.shape[1]
    kernel = found.basis.view(n, n_in, 2, 2)
    down.weight[:n] = 0
    down.weight[:n, :n_in, 2:4, 2:4] = gain * kernel
    cast(Tensor, down.bias)[:n] = -gain * found.basis @ found.mean
    up.weight[:, :n_in] = 0
    up.weight[:n, :n_in, 2:4, 2:4] = kernel / gain
    cast(Tensor, up.bias)[:n_in] = found.mean.view(n_in, 4).mean(1)
    return n, gain * found.std
