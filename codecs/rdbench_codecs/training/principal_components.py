"""Principal components: the linear transforms that networks can begin with instead of noise.

A convolution whose stride is its block, set to the principal components of the blocks it sees, and
its transpose in the decoder are a transform codec before the first step of training.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Components:
    """Orthonormal components of vectors, by falling variance.

    Attributes:
        basis: (components, dimensions).
        mean: of the vectors, (dimensions,).
        std: standard deviation along each component, (components,).
    """

    basis: Tensor
    mean: Tensor
    std: Tensor


def principal_components(vectors: Tensor, n: int) -> Components:
    """The n components of largest variance, all of them if there are fewer.

    Args:
        vectors: (samples, dimensions).
        n: number of components.
    """
    mean = vectors.mean(0)
    covariance = torch.cov((vectors - mean).T.double())
    variances, basis = torch.linalg.eigh(covariance)
    chosen = basis.flip(1)[:, :n].T.float()
    std = variances.flip(0)[:n].clamp(min=0).sqrt().float()
    return Components(chosen.contiguous(), mean, std)


def blocks(x: Tensor, side: int) -> Tensor:
    """Blocks of side x side positions as vectors, channels first.

    Args:
        x: (batch, channels, height, width), sides multiples of ``side``.

    Returns:
        (batch * blocks, channels * side * side).
    """
    unfolded = torch.nn.functional.unfold(x, side, stride=side)
    return unfolded.transpose(1, 2).reshape(-1, unfolded.shape[1])


def least_cost_step(lambda_: float) -> float:
    """Step of a scalar quantizer for which nats + lambda * squared error are least.

    At high rates the error is step^2 / 12 and the rate falls by log(step): the step is
    sqrt(6 / lambda).
    """
    return math.sqrt(6 / lambda_)
