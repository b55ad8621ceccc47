"""Layers of the hyperprior networks, with the parameter names of the published checkpoints.

The names and shapes are those of CompressAI (https://github.com/InterDigitalInc/CompressAI), from
which the published weights come.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional


class _LowerBound(torch.autograd.Function):
    """max(x, bound), whose gradient also passes where it moves x up to the bound."""

    @staticmethod
    def forward(ctx, x: Tensor, bound: float) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x)
        ctx.bound = bound
        return x.clamp(min=bound)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[no-untyped-def]
        (x,) = ctx.saved_tensors
        return gradient * ((x >= ctx.bound) | (gradient < 0)), None


def lower_bound(x: Tensor, bound: float) -> Tensor:
    """max(x, bound) that can still be trained where x is below the bound."""
    bounded: Tensor = _LowerBound.apply(x, bound)  # type: ignore[no-untyped-call]
    return bounded


def times(x: Tensor, factor: float | Tensor) -> Tensor:
    """x * factor; x itself where the factor is the number 1."""
    return x if isinstance(factor, float) and factor == 1 else x * factor


class GDN(nn.Module):
    """Generalized divisive normalization: x_i / sqrt(beta_i + sum_j gamma_ij x_j^2), or times it.

    Balle et al. 2016, https://arxiv.org/abs/1511.06281. ``beta`` and ``gamma`` are stored as square
    roots of the sum of their value and a pedestal, which keeps them positive in training.

    Args:
        channels: of the input and the output.
        inverse: multiply instead of divide.
    """

    _PEDESTAL = 2.0**-36
    _BETA_FLOOR = 1e-6

    def __init__(self, channels: int, inverse: bool = False) -> None:
        super().__init__()
        self.inverse = inverse
        self.beta = nn.Parameter(torch.full((channels,), (1 + self._PEDESTAL) ** 0.5))
        self.gamma = nn.Parameter((0.1 * torch.eye(channels) + self._PEDESTAL).sqrt())

    def effective(self) -> tuple[Tensor, Tensor]:
        """gamma, (channels, channels), and beta, (channels,), as the formula uses them."""
        beta = lower_bound(self.beta, (self._BETA_FLOOR + self._PEDESTAL) ** 0.5) ** 2
        gamma = lower_bound(self.gamma, self._PEDESTAL**0.5) ** 2
        return gamma - self._PEDESTAL, beta - self._PEDESTAL

    def forward(self, x: Tensor) -> Tensor:
        gamma, beta = self.effective()
        norm = functional.conv2d(x * x, gamma[:, :, None, None], beta)
        return x * (norm.sqrt_() if self.inverse else norm.rsqrt_())


class MaskedConv2d(nn.Conv2d):
    """A 5x5 convolution that sees what raster order has visited before the centre (type A).

    van den Oord et al. 2016, https://arxiv.org/abs/1606.05328.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 5, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        two_rows_above, left = self.weight[:, :, :2], self.weight[:, :, 2:3, :2]
        context = functional.conv2d(functional.pad(x, (2, 2, 2, -1)), two_rows_above, self.bias)
        return context + functional.conv2d(functional.pad(x, (2, -1, 0, 0)), left)


def conv5x5(in_channels: int, out_channels: int, stride: int = 2) -> nn.Conv2d:
    """5x5 convolution that divides the resolution by ``stride``."""
    return nn.Conv2d(in_channels, out_channels, 5, stride, padding=2)


def deconv5x5(in_channels: int, out_channels: int) -> nn.ConvTranspose2d:
    """5x5 transposed convolution that doubles the resolution."""
    return nn.ConvTranspose2d(in_channels, out_channels, 5, 2, padding=2, output_padding=1)


def conv3x3(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    """3x3 convolution that divides the resolution by ``stride``."""
    return nn.Conv2d(in_channels, out_channels, 3, stride, padding=1)


def subpixel_conv3x3(in_channels: int, out_channels: int) -> nn.Sequential:
    """3x3 convolution to four times the channels, which become twice the resolution."""
    return nn.Sequential(conv3x3(in_channels, 4 * out_channels), nn.PixelShuffle(2))


def conv1x1(in_channels: int, out_channels: int) -> nn.Conv2d:
    """1x1 convolution."""
    return nn.Conv2d(in_channels, out_channels, 1)


def relu() -> nn.ReLU:
    """ReLU that overwrites its input."""
    return nn.ReLU(inplace=True)


def leaky_relu() -> nn.LeakyReLU:
    """Leaky ReLU that overwrites its input."""
    return nn.LeakyReLU(inplace=True)


def stack(between: Callable[[], nn.Module], *layers: nn.Module) -> nn.Sequential:
    """Layers one after the other, with a new activation between each two."""
    first, *rest = layers
    return nn.Sequential(first, *(x for layer in rest for x in (between(), layer)))


class Subsample(nn.Conv2d):
    """1x1 convolution of every second position of every second row."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 1, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        # oneDNN's weight gradient with stride 2 and 3 channels writes past its memory (torch 2.13).
        return functional.conv2d(x[:, :, ::2, ::2], self.weight, self.bias)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, each with a leaky ReLU, around a shortcut."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1, self.activation1 = conv3x3(in_channels, out_channels), leaky_relu()
        self.conv2, self.activation2 = conv3x3(out_channels, out_channels), leaky_relu()
        same = in_channels == out_channels
        self.skip = nn.Identity() if same else conv1x1(in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        inner: Tensor = self.activation2(self.conv2(self.activation1(self.conv1(x))))
        shortcut: Tensor = self.skip(x)
        return inner + shortcut


class ResidualBlockWithStride(nn.Module):
    """Residual block that halves the resolution and ends in a GDN."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(in_channels, out_channels, stride=2)
        self.activation = leaky_relu()
        self.conv2 = conv3x3(out_channels, out_channels)
        self.gdn = GDN(out_channels)
        self.skip = Subsample(in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.conv2(self.activation(self.conv1(x)))
        normalized: Tensor = self.gdn(inner)
        return normalized.add_(self.skip(x))


class ResidualBlockUpsample(nn.Module):
    """Residual block that doubles the resolution and ends in an inverse GDN."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.subpel_conv = subpixel_conv3x3(in_channels, out_channels)
        self.activation = leaky_relu()
        self.conv = conv3x3(out_channels, out_channels)
        self.igdn = GDN(out_channels, inverse=True)
        self.upsample = subpixel_conv3x3(in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.conv(self.activation(self.subpel_conv(x)))
        scaled: Tensor = self.igdn(inner)
        return scaled.add_(self.upsample(x))


class _AttentionUnit(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.conv = stack(
            relu, conv1x1(channels, half), conv3x3(half, half), conv1x1(half, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        inner: Tensor = self.conv(x)
        return functional.relu(inner.add_(x), inplace=True)


class AttentionBlock(nn.Module):
    """x + a(x) * sigmoid(b(x)) with convolutional a and b (Cheng et al. 2020, section 3.3)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_a = nn.Sequential(*(_AttentionUnit(channels) for _ in range(3)))
        self.conv_b = nn.Sequential(
            *(_AttentionUnit(channels) for _ in range(3)), nn.Conv2d(channels, channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        a: Tensor = self.conv_a(x)
        b: Tensor = self.conv_b(x)
        return torch.addcmul(x, a, b.sigmoid_())
