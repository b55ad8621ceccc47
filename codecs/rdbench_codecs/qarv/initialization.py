"""A QARV network that is a transform codec before its first step of training."""

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from rdbench.errors import DataError
from rdbench_codecs.learned.base import STRIDE
from rdbench_codecs.qarv.network import (
    PIXEL_MEAN,
    PIXEL_SCALE,
    LatentBlock,
    PatchEmbedding,
    QarvNetwork,
    Tap,
    Upsampling,
)
from rdbench_codecs.training.principal_components import (
    blocks,
    least_cost_step,
    principal_components,
)

_LEAST_SCALE = 0.11


@torch.no_grad()
def start_from_components(network: QarvNetwork, images: Tensor) -> None:
    """Set a freshly initialized network to nested principal components.

    The bottom-up path becomes orthonormal transforms of transforms, the top-down path their
    transposes, and each latent the main components of what the tap of its scale has and the feature
    lacks, in steps that suit the middle of the range of lambda. Residual blocks stay near the
    identity, as their initial layer scale makes them.

    Args:
        network: with the same width bottom-up and top-down at every scale.
        images: (batch, 3, height, width) in [0, 1], sides multiples of 64.

    Raises:
        DataError: the network has other widths, or other latent blocks than C.
    """
    config = network.config
    if config.encoder_widths != config.decoder_widths[::-1] or config.latent_block != "C":
        raise DataError("principal components need like widths on both paths, and latent blocks C")
    # From coarse to fine, as the top-down path runs: a latent carries what its tap has and the
    # feature, made of the latents before it with the noise of quantization, lacks.
    taps = _set_paths(network, images)
    middle = math.sqrt(config.lambda_range[0] * config.lambda_range[1])
    step = least_cost_step(middle) * PIXEL_SCALE / 2
    batch, _, height, width = images.shape
    condition = network.condition(images.new_full((batch,), middle))
    feature = network.start(height // STRIDE, width // STRIDE, batch)
    for i in range(network.n_latents):
        feature, prior = network.to_prior(i, feature, condition)
        _set_latent(network.latent(i), network.tap(i, taps) - feature, step)
        mu = network.posterior_mean(i, feature, taps, condition)
        noisy = prior.value(mu + torch.rand_like(mu) - 0.5)
        feature = network.add_latent(i, feature, noisy, condition)


def _set_paths(network: QarvNetwork, images: Tensor) -> list[Tensor]:
    """Set every down-sampling and the up-sampling that undoes it; the taps, coarsest first."""
    ups = [block for block in network.dec_blocks if isinstance(block, Upsampling)]
    to_output = ups[-1]
    x = (images - PIXEL_MEAN) * PIXEL_SCALE
    taps: list[Tensor] = []
    for block in network.encoder.enc_blocks:
        if isinstance(block, PatchEmbedding):
            found = principal_components(blocks(x, block.kernel_size[0]), block.out_channels)
            _set(block, found.basis, -found.basis @ found.mean)
            _set(cast(nn.Conv2d, ups.pop()[0]), found.basis.T, found.mean)
            x = functional.conv2d(x, block.weight, block.bias, block.stride)
        elif isinstance(block, Tap):
            taps.insert(0, x)
    last = cast(nn.Conv2d, to_output[0])  # from normalized pixels to the [-1, 1] scale
    last.weight.mul_(2 / PIXEL_SCALE)
    cast(Tensor, last.bias).mul_(2 / PIXEL_SCALE).add_(2 * PIXEL_MEAN - 1)
    return taps


def _set_latent(latent: LatentBlock, lacking: Tensor, step: float) -> None:
    """Set a latent to the components of what is lacking, (batch, width, height, width)."""
    width = lacking.shape[1]
    found = principal_components(blocks(lacking, 1), latent.posterior.out_channels)
    # The posterior sees (feature, tap) merged: (-1, 1) makes that tap - feature.
    identity = torch.eye(width, device=lacking.device)
    _set(latent.post_merge, torch.cat([-identity, identity], dim=1), torch.zeros(width))
    latent.posterior.weight.zero_()
    latent.posterior.weight[:, :, 1, 1] = found.basis / step
    cast(Tensor, latent.posterior.bias).copy_(-found.basis @ found.mean / step)
    _set(latent.z_proj, found.basis.T * step, found.mean)
    log_scale = (found.std / step).clamp(min=_LEAST_SCALE).log() + 2.3
    raw = log_scale.expm1().log() - 2.3  # undoes the softplus of `LatentBlock.to_prior`
    latent.prior.weight.zero_()
    cast(Tensor, latent.prior.bias).copy_(torch.cat([torch.zeros_like(raw), raw]))


def _set(convolution: nn.Conv2d, matrix: Tensor, bias: Tensor) -> None:
    """Set a layer to a matrix, (outputs, inputs of one block).

    A layer can be wider than there are components (a width of 96 over 48 values of a 4x4 block).
    Outputs beyond the matrix keep their random numbers: zeros would have no gradient. Inputs beyond
    it get zeros, so that the feature stays what the components make of it.
    """
    weight = convolution.weight
    rows, columns = matrix.shape[0], matrix.shape[1] // weight[0, 0].numel()
    weight[:, columns:] = 0
    weight[:rows, :columns] = matrix.reshape(rows, columns, *weight.shape[2:])
    cast(Tensor, convolution.bias)[:rows] = bias
