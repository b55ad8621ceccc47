"""Spatially adaptive feature transforms on the baselines: Song et al. 2021.

"Variable-rate deep image compression through spatially-adaptive feature transform",
https://arxiv.org/abs/2108.09551. A quality map, here one value for the whole image, conditions
the encoder; the decoder's condition comes from the latents themselves.
"""

from itertools import pairwise, starmap

import torch
from torch import Tensor, nn
from torch.nn import functional

from rdbench_codecs.hyperprior.layers import (
    GDN,
    ResidualBlockUpsample,
    ResidualBlockWithStride,
    conv1x1,
    conv3x3,
    stack,
    subpixel_conv3x3,
)
from rdbench_codecs.hyperprior.networks import (
    Cheng2020Anchor,
    Cheng2020Attention,
    JointAutoregressive,
    MeanScaleHyperprior,
    RatePoint,
    ScaleHyperprior,
)

_CONDITION = 64  # channels of the condition that the transforms read
_HIDDEN = 128


class FeatureTransform(nn.Module):
    """x * (1 + gamma) + beta with gamma and beta from the condition, at every position."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shared = conv3x3(_CONDITION, _HIDDEN)
        self.gamma = conv3x3(_HIDDEN, channels)
        self.beta = conv3x3(_HIDDEN, channels)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        hidden = functional.relu(self.shared(condition))
        gamma: Tensor = self.gamma(hidden)
        beta: Tensor = self.beta(hidden)
        return beta.addcmul(x, gamma + 1)


class FeatureTransformBlock(nn.Module):
    """Residual block with a feature transform before each of its two convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.transform1, self.conv1 = FeatureTransform(channels), conv3x3(channels, channels)
        self.transform2, self.conv2 = FeatureTransform(channels), conv3x3(channels, channels)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        first: Tensor = self.conv1(functional.leaky_relu(self.transform1(x, condition), 0.2))
        inner: Tensor = self.conv2(functional.leaky_relu(self.transform2(first, condition), 0.2))
        return inner.add_(x)


class EncoderTransforms(nn.Module):
    """What Song 2021 adds to an encoder: transforms after each stage of g_a, at y and at z.

    Their conditions come from the quality map with the image or with y.

    Args:
        n, m: channels of the network.
    """

    def __init__(self, n: int, m: int) -> None:
        super().__init__()
        self.g_a_condition = _condition(3 + 1)
        self.g_a_down = nn.ModuleList(_halve() for _ in range(4))
        self.g_a = nn.ModuleList(FeatureTransform(n) for _ in range(3))
        self.y = nn.ModuleList(FeatureTransformBlock(m) for _ in range(2))
        self.h_a_condition = _condition(m + 1)
        self.h_a_down = nn.Sequential(_halve(), _halve())
        self.z = nn.ModuleList(FeatureTransformBlock(n) for _ in range(2))

    def analysis(self, g_a: nn.Sequential, x: Tensor, quality: Tensor) -> Tensor:
        """y of images, (batch, 3, height, width), and a quality map (batch, 1, height, width)."""
        condition = self.g_a_condition(torch.cat((x, quality), 1))
        down, transforms = iter(self.g_a_down), iter(self.g_a)
        for layer in g_a:
            x = layer(x)
            if isinstance(layer, GDN | ResidualBlockWithStride):
                condition = next(down)(condition)
                x = next(transforms)(x, condition)
        return _apply(self.y, x, next(down)(condition))

    def hyper_analysis(self, z: Tensor, y: Tensor, quality: Tensor) -> Tensor:
        """z after its transforms."""
        condition = self.h_a_condition(torch.cat((y, quality), 1))
        return _apply(self.z, z, self.h_a_down(condition))


class DecoderTransforms(nn.Module):
    """What Song 2021 adds to a decoder: transforms at y and after each stage of g_s.

    Their condition comes from y and z: no quality need be sent.

    Args:
        n, m: channels of the network.
    """

    def __init__(self, n: int, m: int) -> None:
        super().__init__()
        self.z_features = stack(
            _activation,
            subpixel_conv3x3(n, n // 2),
            subpixel_conv3x3(n // 2, n // 4),
            conv3x3(n // 4, n // 4),
        )
        self.condition = _condition(m + n // 4)
        self.y = nn.ModuleList(FeatureTransformBlock(m) for _ in range(2))
        self.g_s_up = nn.ModuleList(_double() for _ in range(3))
        self.g_s = nn.ModuleList(FeatureTransform(n) for _ in range(3))

    def synthesis(self, g_s: nn.Sequential, y_hat: Tensor, z_hat: Tensor) -> Tensor:
        """Images, not clamped."""
        condition = self.condition(torch.cat((y_hat, self.z_features(z_hat)), 1))
        x = _apply(self.y, y_hat, condition)
        up, transforms = iter(self.g_s_up), iter(self.g_s)
        for layer in g_s:
            x = layer(x)
            if isinstance(layer, GDN | ResidualBlockUpsample):
                condition = next(up)(condition)
                x = next(transforms)(x, condition)
        return x


class _SpatiallyAdaptive(ScaleHyperprior):
    """Mixed into a network, runs its transforms with feature transforms between them."""

    def __init__(self, n: int, m: int) -> None:
        super().__init__(n, m)
        self.encoder_transforms = EncoderTransforms(n, m)
        self.decoder_transforms = DecoderTransforms(n, m)

    def analysis(self, x: Tensor, point: RatePoint) -> Tensor:
        return self.encoder_transforms.analysis(self.g_a, x, _quality_map(point, x))

    def hyper_analysis(self, y: Tensor, point: RatePoint) -> Tensor:
        z = super().hyper_analysis(y, point)
        return self.encoder_transforms.hyper_analysis(z, y, _quality_map(point, y))

    def synthesis(self, y_hat: Tensor, z_hat: Tensor, point: RatePoint) -> Tensor:
        return self.decoder_transforms.synthesis(self.g_s, y_hat, z_hat)


class AdaptiveScaleHyperprior(_SpatiallyAdaptive, ScaleHyperprior):
    """Song 2021 on bmshj2018-hyperprior."""


class AdaptiveMeanScaleHyperprior(_SpatiallyAdaptive, MeanScaleHyperprior):
    """Song 2021 on mbt2018-mean."""


class AdaptiveJointAutoregressive(_SpatiallyAdaptive, JointAutoregressive):
    """Song 2021 on mbt2018."""


class AdaptiveCheng2020Anchor(_SpatiallyAdaptive, Cheng2020Anchor):
    """Song 2021 on cheng2020-anchor."""


class AdaptiveCheng2020Attention(_SpatiallyAdaptive, Cheng2020Attention):
    """Song 2021 on cheng2020-attn."""


ADAPTIVE_NETWORKS = {
    "bmshj2018-hyperprior": AdaptiveScaleHyperprior,
    "mbt2018-mean": AdaptiveMeanScaleHyperprior,
    "mbt2018": AdaptiveJointAutoregressive,
    "cheng2020-anchor": AdaptiveCheng2020Anchor,
    "cheng2020-attn": AdaptiveCheng2020Attention,
}
"""Song 2021: constructors by the name of the baseline; they take the channels n and m."""


def _apply(blocks: nn.ModuleList, x: Tensor, condition: Tensor) -> Tensor:
    for block in blocks:
        x = block(x, condition)
    return x


def _quality_map(point: RatePoint, x: Tensor) -> Tensor:
    """(batch or 1, 1, height, width) of x."""
    quality = torch.as_tensor(point.quality, dtype=x.dtype, device=x.device)
    return quality.reshape(-1, 1, 1, 1).expand(len(x), 1, *x.shape[2:])


def _activation() -> nn.LeakyReLU:
    return nn.LeakyReLU(0.1)


def _condition(in_channels: int) -> nn.Sequential:
    widths = in_channels, 4 * _CONDITION, 2 * _CONDITION, _CONDITION
    return stack(_activation, *starmap(conv3x3, pairwise(widths)))


def _halve() -> nn.Sequential:
    down = conv3x3(_CONDITION, _CONDITION, stride=2)
    return stack(_activation, down, conv1x1(_CONDITION, _CONDITION))


def _double() -> nn.Sequential:
    up = subpixel_conv3x3(_CONDITION, _CONDITION)
    return stack(_activation, up, conv1x1(_CONDITION, _CONDITION))
