"""The baseline networks, with the parameter names of the published checkpoints.

    bmshj2018-factorized    Balle et al. 2018, https://arxiv.org/abs/1802.01436, without hyperprior
    bmshj2018-hyperprior    the same, with it
    mbt2018-mean, mbt2018   Minnen et al. 2018, https://arxiv.org/abs/1809.02736, without and with
                            the autoregressive context model
    cheng2020-anchor, -attn Cheng et al. 2020, https://arxiv.org/abs/2001.01568, with one Gaussian,
                            without and with attention

A network is used in two ways. ``forward`` is for training: rounding is replaced by noise or by its
straight-through estimate, and the likelihoods of the latents come with the image. The coder
(coder.py) calls the transforms and ``decode_y`` and works on the integers themselves.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise, starmap
from typing import ClassVar

import torch
from torch import Tensor, nn

from rdbench_codecs.hyperprior.layers import (
    GDN,
    AttentionBlock,
    MaskedConv2d,
    ResidualBlock,
    ResidualBlockUpsample,
    ResidualBlockWithStride,
    conv1x1,
    conv3x3,
    conv5x5,
    deconv5x5,
    leaky_relu,
    relu,
    stack,
    subpixel_conv3x3,
    times,
)
from rdbench_codecs.hyperprior.priors import EntropyBottleneck, gaussian_likelihood
from rdbench_codecs.hyperprior.wavefront import (
    Asked,
    DecodingOfY,
    answer,
    decode_in_wavefronts,
    n_steps,
)


@dataclass(frozen=True)
class RatePoint:
    """What sets the rate of a variable-rate network; the default is a fixed-rate one.

    Attributes:
        regulator: QVRF's a; y - mean and its scale are multiplied by it around rounding.
        y_gain, y_inverse_gain: y before and after its entropy model is multiplied by these.
        z_gain, z_inverse_gain: the same of z.
        quality: uniform quality map in [0, 1], for spatial feature transforms.

    Each is a number or a tensor that broadcasts to (batch, channels, height, width).
    """

    regulator: float | Tensor = 1.0
    y_gain: float | Tensor = 1.0
    y_inverse_gain: float | Tensor = 1.0
    z_gain: float | Tensor = 1.0
    z_inverse_gain: float | Tensor = 1.0
    quality: float | Tensor = 1.0


FIXED_RATE = RatePoint()


@dataclass(frozen=True)
class Estimate:
    """What a network gives in training.

    Attributes:
        x_hat: reconstruction, not clamped, (batch, 3, height, width), 1 is white.
        likelihoods: of the elements of each latent, by its name.
    """

    x_hat: Tensor
    likelihoods: dict[str, Tensor]


class Network(nn.Module):
    """What the baselines share: transforms g_a, g_s and a factorized prior.

    Attributes:
        n, m: channels of the transforms and of y.
    """

    entropy_bottleneck: EntropyBottleneck

    def __init__(self, n: int, m: int) -> None:
        super().__init__()
        self.n, self.m = n, m
        self.g_a = self._make_g_a()
        self.g_s = self._make_g_s()

    def analysis(self, x: Tensor, point: RatePoint) -> Tensor:
        """y, (batch, m, height / 16, width / 16), of images (batch, 3, height, width)."""
        return times(self.g_a(x), point.y_gain)

    def synthesis(self, y_hat: Tensor, z_hat: Tensor, point: RatePoint) -> Tensor:
        """Images, not clamped, of the decoded latents."""
        x_hat: Tensor = self.g_s(times(y_hat, point.y_inverse_gain))
        return x_hat

    def quantile_loss(self) -> Tensor:
        """Auxiliary loss of the factorized prior's quantiles."""
        return self.entropy_bottleneck.quantile_loss()

    def is_encoder_only(self, name: str) -> bool:
        """Return whether decoding does not need a parameter."""
        return name.startswith(("g_a.", "h_a.", "encoder_transforms."))

    def is_decoder_only(self, name: str) -> bool:
        """Return whether encoding does not need a parameter."""
        return name.startswith(("g_s.", "decoder_transforms."))

    def _make_g_a(self) -> nn.Sequential:
        n, m = self.n, self.m
        return stack(lambda: GDN(n), conv5x5(3, n), conv5x5(n, n), conv5x5(n, n), conv5x5(n, m))

    def _make_g_s(self) -> nn.Sequential:
        n, m = self.n, self.m
        convolutions = deconv5x5(m, n), deconv5x5(n, n), deconv5x5(n, n), deconv5x5(n, 3)
        return stack(lambda: GDN(n, inverse=True), *convolutions)


class FactorizedPrior(Network):
    """bmshj2018-factorized: y is coded with a factorized prior."""

    def __init__(self, n: int = 128, m: int = 192) -> None:
        super().__init__(n, m)
        self.entropy_bottleneck = EntropyBottleneck(m)

    def forward(
        self, x: Tensor, point: RatePoint = FIXED_RATE, straight_through: bool = False
    ) -> Estimate:
        """Image and likelihood of y in training."""
        y = self.analysis(x, point).float()
        noisy = add_noise(y)
        y_hat = round_around(y, self.entropy_bottleneck.medians) if straight_through else noisy
        likelihood = self.entropy_bottleneck.likelihood(noisy)
        return Estimate(self.synthesis(y_hat, y_hat, point), {"y": likelihood})


class ScaleHyperprior(Network):
    """bmshj2018-hyperprior: zero-mean Gaussians whose scale comes from the side information z."""

    drift_margin: ClassVar[float] = 4.5e-5
    """Least margin for the drift of log scale; see docs/format.md."""

    def __init__(self, n: int = 128, m: int = 192) -> None:
        super().__init__(n, m)
        self.entropy_bottleneck = EntropyBottleneck(n)
        self.h_a = self._make_h_a()
        self.h_s = self._make_h_s()

    def hyper_analysis(self, y: Tensor, point: RatePoint) -> Tensor:
        """z, (batch, n, height / 64, width / 64)."""
        return times(self.h_a(y.abs()), point.z_gain)

    def hyper_synthesis(self, z_hat: Tensor, point: RatePoint) -> Tensor:
        """Features at the resolution of y, from which the parameters of its Gaussians come."""
        features: Tensor = self.h_s(times(z_hat, point.z_inverse_gain))
        return features

    def gaussian_layer(self) -> nn.Conv2d:
        """The last layer before the Gaussians of y, its first m outputs their scales."""
        return _last_convolution(self.h_s)

    def gaussians(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and mean of y, each of y's shape."""
        return features, torch.zeros_like(features)

    def n_questions(self, height: int, width: int) -> int:
        """Return how many times `decode_y` asks for integers of a latent grid."""
        return 1

    def decode_y(self, features: Tensor, point: RatePoint) -> DecodingOfY:
        """Decode y_hat of one image from integers that it asks for; see wavefront.py.

        Args:
            features: of `hyper_synthesis`, (1, channels, height, width).
            point: the regulator is used.
        """
        a = point.regulator
        scale, mean = (_positions_first(t) for t in self.gaussians(features))
        everywhere = slice(0, scale.shape[1])
        integers = yield Asked(everywhere, mean, times(scale, a))
        return _channels_first(times(integers, 1 / a) + mean, features.shape)

    def forward(
        self, x: Tensor, point: RatePoint = FIXED_RATE, straight_through: bool = False
    ) -> Estimate:
        """Image and likelihoods in training.

        Args:
            x: images, (batch, 3, height, width), 1 is white; sides multiples of 64.
            point: the rate.
            straight_through: decode from rounded latents, whose gradient is that of the latents
                themselves, instead of latents with additive noise. Likelihoods are of noisy
                latents either way, as in the published recipe.
        """
        y = self.analysis(x, point).float()
        z = self.hyper_analysis(y, point).float()
        noisy_z = add_noise(z)
        z_hat = round_around(z, self.entropy_bottleneck.medians) if straight_through else noisy_z
        features = self.hyper_synthesis(z_hat, point)
        if straight_through:
            y_hat, scale, mean = self._straight_through(y, features, point)
        else:
            y_hat, scale, mean = self._noisy(y, features, point)
        a = point.regulator
        likelihoods = {
            "y": gaussian_likelihood(add_noise((y - mean.float()) * a), scale.float() * a),
            "z": self.entropy_bottleneck.likelihood(noisy_z),
        }
        return Estimate(self.synthesis(y_hat, z_hat, point), likelihoods)

    def _noisy(
        self, y: Tensor, features: Tensor, point: RatePoint
    ) -> tuple[Tensor, Tensor, Tensor]:
        """y_hat, scale, mean."""
        return add_noise(y * point.regulator) / _value(point.regulator), *self.gaussians(features)

    def _straight_through(
        self, y: Tensor, features: Tensor, point: RatePoint
    ) -> tuple[Tensor, Tensor, Tensor]:
        """y_hat, scale, mean."""
        scale, mean = self.gaussians(features)
        return _round_regulated(y, mean, point.regulator), scale, mean

    def _make_h_a(self) -> nn.Sequential:
        n, m = self.n, self.m
        return stack(relu, conv3x3(m, n), conv5x5(n, n), conv5x5(n, n))

    def _make_h_s(self) -> nn.Sequential:
        n, m = self.n, self.m
        return nn.Sequential(*stack(relu, deconv5x5(n, n), deconv5x5(n, n), conv3x3(n, m)), relu())


class MeanScaleHyperprior(ScaleHyperprior):
    """mbt2018-mean: scale and mean of y come from z."""

    def hyper_analysis(self, y: Tensor, point: RatePoint) -> Tensor:
        return times(self.h_a(y), point.z_gain)

    def gaussians(self, features: Tensor) -> tuple[Tensor, Tensor]:
        scale, mean = features.chunk(2, 1)
        return scale, mean

    def _make_h_a(self) -> nn.Sequential:
        n, m = self.n, self.m
        return stack(leaky_relu, conv3x3(m, n), conv5x5(n, n), conv5x5(n, n))

    def _make_h_s(self) -> nn.Sequential:
        n, m = self.n, self.m
        wide = m * 3 // 2
        return stack(leaky_relu, deconv5x5(n, m), deconv5x5(m, wide), conv3x3(wide, 2 * m))


class JointAutoregressive(MeanScaleHyperprior):
    """mbt2018: scale and mean of y come from z and from the y decoded before."""

    def __init__(self, n: int = 192, m: int = 192) -> None:
        super().__init__(n, m)
        widths = 4 * m, m * 10 // 3, m * 8 // 3, 2 * m
        self.entropy_parameters = stack(leaky_relu, *starmap(conv1x1, pairwise(widths)))
        self.context_prediction = MaskedConv2d(m, 2 * m)

    def gaussian_layer(self) -> nn.Conv2d:
        return _last_convolution(self.entropy_parameters)

    def gaussians_given(self, features: Tensor, y_hat: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and mean of every element of y where all of y_hat is known."""
        context = self.context_prediction(y_hat)
        scale, mean = self.entropy_parameters(torch.cat((features, context), 1)).chunk(2, 1)
        return scale, mean

    def n_questions(self, height: int, width: int) -> int:
        return n_steps(height, width)

    def decode_y(self, features: Tensor, point: RatePoint) -> DecodingOfY:
        return decode_in_wavefronts(
            self.context_prediction, self.entropy_parameters, features, point.regulator
        )

    def _noisy(
        self, y: Tensor, features: Tensor, point: RatePoint
    ) -> tuple[Tensor, Tensor, Tensor]:
        y_hat = add_noise(y * point.regulator) / _value(point.regulator)
        return y_hat, *self.gaussians_given(features, y_hat)

    def _straight_through(
        self, y: Tensor, features: Tensor, point: RatePoint
    ) -> tuple[Tensor, Tensor, Tensor]:
        # First pass: means as the decoder computes them. Second pass: all positions in parallel.
        targets = _positions_first(y.detach())
        decoded_means = torch.empty_like(targets)
        regulator = torch.as_tensor(point.regulator).reshape(-1, 1, 1)

        def quantize(where: slice, mean: Tensor, scale: Tensor) -> Tensor:
            decoded_means[:, where] = mean
            return ((targets[:, where] - mean) * regulator).round()

        with torch.no_grad():
            answer(self.decode_y(features, replace(point, regulator=regulator)), quantize)
        decoded_mean = _channels_first(decoded_means, y.shape)
        y_hat = _round_regulated(y, decoded_mean, point.regulator)
        return y_hat, *self.gaussians_given(features, y_hat)


class Cheng2020Anchor(JointAutoregressive):
    """cheng2020-anchor: residual blocks of 3x3 convolutions and sub-pixel upsampling."""

    # Where an image is smooth, its context model amplifies differences from symbol to symbol: to
    # 5.1e-5 at the lowest rate of the bundled network on kodim15.
    drift_margin = 1.1e-4

    def _make_g_a(self) -> nn.Sequential:
        n, m = self.n, self.m
        return nn.Sequential(
            ResidualBlockWithStride(3, n),
            ResidualBlock(n, n),
            ResidualBlockWithStride(n, n),
            ResidualBlock(n, n),
            ResidualBlockWithStride(n, n),
            ResidualBlock(n, n),
            conv3x3(n, m, stride=2),
        )

    def _make_g_s(self) -> nn.Sequential:
        n, m = self.n, self.m
        return nn.Sequential(
            ResidualBlock(m, n),
            ResidualBlockUpsample(n, n),
            ResidualBlock(n, n),
            ResidualBlockUpsample(n, n),
            ResidualBlock(n, n),
            ResidualBlockUpsample(n, n),
            ResidualBlock(n, n),
            subpixel_conv3x3(n, 3),
        )

    def _make_h_a(self) -> nn.Sequential:
        n, m = self.n, self.m
        return stack(
            leaky_relu,
            conv3x3(m, n),
            conv3x3(n, n),
            conv3x3(n, n, stride=2),
            conv3x3(n, n),
            conv3x3(n, n, stride=2),
        )

    def _make_h_s(self) -> nn.Sequential:
        n, m = self.n, self.m
        wide = n * 3 // 2
        return stack(
            leaky_relu,
            conv3x3(n, n),
            subpixel_conv3x3(n, n),
            conv3x3(n, wide),
            subpixel_conv3x3(wide, wide),
            conv3x3(wide, 2 * m),
        )


class Cheng2020Attention(Cheng2020Anchor):
    """cheng2020-attn: the same with attention blocks."""

    def _make_g_a(self) -> nn.Sequential:
        n, m = self.n, self.m
        return nn.Sequential(
            ResidualBlockWithStride(3, n),
            ResidualBlock(n, n),
            ResidualBlockWithStride(n, n),
            AttentionBlock(n),
            ResidualBlock(n, n),
            ResidualBlockWithStride(n, n),
            ResidualBlock(n, n),
            conv3x3(n, m, stride=2),
            AttentionBlock(m),
        )

    def _make_g_s(self) -> nn.Sequential:
        n, m = self.n, self.m
        return nn.Sequential(
            AttentionBlock(m),
            ResidualBlock(m, n),
            ResidualBlockUpsample(n, n),
            ResidualBlock(n, n),
            ResidualBlockUpsample(n, n),
            AttentionBlock(n),
            ResidualBlock(n, n),
            ResidualBlockUpsample(n, n),
            ResidualBlock(n, n),
            subpixel_conv3x3(n, 3),
        )


NETWORKS: dict[str, Callable[[int, int], Network]] = {
    "bmshj2018-factorized": FactorizedPrior,
    "bmshj2018-hyperprior": ScaleHyperprior,
    "mbt2018-mean": MeanScaleHyperprior,
    "mbt2018": JointAutoregressive,
    "cheng2020-anchor": Cheng2020Anchor,
    "cheng2020-attn": Cheng2020Attention,
}
"""Constructors by name; they take the channels n and m."""


def _last_convolution(layers: nn.Sequential) -> nn.Conv2d:
    return [layer for layer in layers if isinstance(layer, nn.Conv2d)][-1]


def add_noise(x: Tensor) -> Tensor:
    """x + U(-1/2, 1/2)."""
    return x + torch.rand_like(x) - 0.5


def round_around(x: Tensor, offset: Tensor) -> Tensor:
    """x rounded to offset plus an integer, with the gradient of x."""
    return x + ((x - offset).round() + offset - x).detach()


def _round_regulated(y: Tensor, mean: Tensor, regulator: float | Tensor) -> Tensor:
    """round((y - mean) a) / a + mean, with the gradient of (y - mean) a over a constant a."""
    regulated = (y - mean.detach()) * regulator
    return round_around(regulated, torch.zeros_like(y)) / _value(regulator) + mean.detach()


def _value(regulator: float | Tensor) -> float | Tensor:
    """The regulator without its gradient: the published recipe stops it at the reciprocal."""
    return regulator.detach() if isinstance(regulator, Tensor) else regulator


def _positions_first(x: Tensor) -> Tensor:
    """(batch, channels, height, width) as (batch, height * width, channels)."""
    return x.flatten(2).transpose(1, 2)


def _channels_first(x: Tensor, shape: torch.Size) -> Tensor:
    """(batch, height * width, channels) as (batch, channels, height, width)."""
    return x.transpose(1, 2).reshape(len(x), -1, *shape[2:])
