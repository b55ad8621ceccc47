"""The QARV network (Duan et al., IEEE TPAMI 2023, https://arxiv.org/abs/2302.08899).

One module serves the published model and the variants of the paper; `QarvConfig` tells them apart.
Parameters carry the published names. Features are (batch, channels, height, width).

A bottom-up path takes features of the image at s64, s32, s16, s8 (pixels a side of one position).
A top-down path starts from a constant and takes in one latent after the other, z1 ... zN:

    feature = network.start(rows, columns)
    for i in range(network.n_latents):
        feature, prior = network.to_prior(i, feature, condition)
        z = ...  # decoded, quantized, sampled, or just the prior's mean
        feature = network.add_latent(i, feature, z, condition)
    output = network.synthesize(feature, condition)

Training, coding, progressive decoding and sampling differ only in where z comes from.
"""

import math
from collections.abc import Callable
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from rdbench_codecs.learned.base import STRIDE
from rdbench_codecs.qarv.config import QarvConfig

DISCRETE_LAMBDAS = (16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0)
"""What CConv and QSF are trained for (equation 23); in between they interpolate in log lambda."""

PIXEL_MEAN = 0.4546259594901961
PIXEL_SCALE = 3.67572653978347
_SINE_PERIOD = 64
_LAMBDA_UNIT = 8192
_HEAD_CHANNELS = 32
_EPS = 1e-6


class Affine(NamedTuple):
    """y * scale + shift; both (batch, channels)."""

    shift: Tensor
    scale: Tensor

    def __call__(self, y: Tensor) -> Tensor:
        return y * self.scale[:, :, None, None] + self.shift[:, :, None, None]


class Condition:
    """What the layers know of lambda: its embedding, and what each makes of it, computed once.

    Args:
        lambda_: (batch,).
        embedding: (batch, channels).
    """

    def __init__(self, lambda_: Tensor, embedding: Tensor) -> None:
        self.lambda_ = lambda_
        self.embedding = embedding
        self._affines: dict[nn.Module, Affine] = {}

    def affine(self, layer: nn.Module) -> Affine:
        """What ``layer`` makes of the embedding."""
        if layer not in self._affines:
            self._affines[layer] = layer(self.embedding)
        return self._affines[layer]


class AdaptiveAffine(nn.Sequential):
    """Continuous rate control: scale and shift from the embedding of lambda (Section 4.4)."""

    def __init__(self, embedding_channels: int, width: int) -> None:
        super().__init__(nn.GELU(), nn.Linear(embedding_channels, 2 * width))

    def forward(self, embedding: Tensor) -> Affine:
        """Affine from (batch, embedding_channels)."""
        both = cast(Tensor, super().forward(embedding))  # type: ignore[no-untyped-call]
        shift, scale = both.chunk(2, dim=1)
        return Affine(shift, 1 + scale)


class ConditionalAffine(nn.Linear):
    """CConv: scale and shift from the weights of the discrete lambdas (Choi et al. 2019)."""

    def __init__(self, width: int) -> None:
        super().__init__(len(DISCRETE_LAMBDAS), 2 * width)

    def forward(self, weights: Tensor) -> Affine:  # type: ignore[override]
        """Affine from (batch, discrete lambdas)."""
        shift, scale = super().forward(weights).chunk(2, dim=1)
        return Affine(shift, functional.softplus(scale))


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each position."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalized, same shape."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class GroupNorm(nn.GroupNorm):
    """Norm over groups of channels; zero where a group has one value (PyTorch's own refuses)."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalized, same shape."""
        return torch.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)


class Mlp(nn.Module):
    """Two linear layers over the channels of each position."""

    def __init__(self, width: int, ratio: float) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, int(width * ratio))
        self.fc2 = nn.Linear(int(width * ratio), width)


class ConvNextBlock(nn.Module):
    """ConvNeXt block with an affine transform decided by lambda (Figures 5d and 8).

    Depth-wise convolution, norm, linear, exact GELU, linear, layer scale, shortcut.
    """

    def __init__(self, config: QarvConfig, width: int, kernel: int, ratio: float) -> None:
        super().__init__()
        self.affine_position = 1 if config.rate_control == "cconv" else config.affine_position
        self.gamma = nn.Parameter(torch.full((1, width, 1, 1), 1e-6))
        self.conv_dw = nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = _norm(config, width)
        self.mlp = Mlp(width, ratio)
        affine_width = self.mlp.fc1.out_features if self.affine_position == 3 else width
        self.embedding_layer = _affine_layer(config, affine_width)

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        """Same shape as x, (batch, width, height, width)."""
        layer = self.embedding_layer
        return self.compute(x, None if layer is None else condition.affine(layer))

    def compute(self, x: Tensor, affine: Affine | None) -> Tensor:
        """`forward` with what the condition is to this block; training may compile it."""
        y = self._adapt(0, x, affine)
        y = self._adapt(1, self.conv_dw(y), affine)
        y = self._adapt(2, self.norm(y), affine)
        y = self._adapt(3, functional.gelu(_pointwise(self.mlp.fc1, y)), affine)
        y = self._adapt(4, _pointwise(self.mlp.fc2, y), affine)
        return x + self.gamma * y

    def _adapt(self, position: int, y: Tensor, affine: Affine | None) -> Tensor:
        return y if affine is None or position != self.affine_position else affine(y)


class NeighbourhoodAttention(nn.Module):
    """Attention of each position over the kernel x kernel positions around it, kept inside.

    Hassani et al. 2022, https://arxiv.org/abs/2204.07143, with relative positional bias. Heads have
    32 channels. At the borders the window is shifted, not cut.
    """

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.heads = max(1, width // _HEAD_CHANNELS)
        self.kernel = kernel
        self.qkv = nn.Linear(width, 3 * width)
        self.rpb = nn.Parameter(torch.zeros(self.heads, 2 * kernel - 1, 2 * kernel - 1))
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, height, width, channels) to the same."""
        batch, height, width, channels = x.shape
        head_channels = channels // self.heads
        split = self.qkv(x).view(batch, height, width, 3, self.heads, head_channels)
        query, key, value = split.unbind(3)
        rows = self._neighbours(height, x.device)
        columns = self._neighbours(width, x.device)
        offsets = [(row, column) for row in rows for column in columns]
        here = torch.arange(height, device=x.device), torch.arange(width, device=x.device)
        logits = []
        for row, column in offsets:
            dot = (query * key[:, row][:, :, column]).sum(-1) / math.sqrt(head_channels)
            vertical = row - here[0] + self.kernel - 1
            horizontal = column - here[1] + self.kernel - 1
            logits.append(dot + self.rpb[:, vertical][:, :, horizontal].permute(1, 2, 0))
        weights = torch.stack(logits).softmax(0)
        mixed = torch.zeros_like(query)
        for weight, (row, column) in zip(weights, offsets, strict=True):
            mixed = mixed + weight[..., None] * value[:, row][:, :, column]
        return cast(Tensor, self.proj(mixed.reshape(batch, height, width, channels)))

    def _neighbours(self, length: int, device: torch.device) -> Tensor:
        """Positions of the window's entries along one axis, (kernel, length)."""
        size = min(self.kernel, length)
        start = (torch.arange(length, device=device) - size // 2).clamp(0, length - size)
        return start + torch.arange(size, device=device)[:, None]


class NeighbourhoodBlock(nn.Module):
    """Neighbourhood attention transformer block, adaptive in front of its MLP (Section 5.3)."""

    def __init__(self, config: QarvConfig, width: int, kernel: int, ratio: float) -> None:
        super().__init__()
        self.norm1 = ChannelNorm(width, _EPS)
        self.attn = NeighbourhoodAttention(width, kernel)
        self.norm2 = _norm(config, width)
        self.mlp = Mlp(width, ratio)
        self.embedding_layer = _affine_layer(config, width)

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        """Same shape as x, (batch, width, height, width)."""
        x = x + self.attn(self.norm1(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        y = self.norm2(x)
        if self.embedding_layer is not None:
            y = condition.affine(self.embedding_layer)(y)
        return x + _pointwise(self.mlp.fc2, functional.gelu(_pointwise(self.mlp.fc1, y)))


class PatchEmbedding(nn.Conv2d):
    """Down-sampling: a convolution whose stride is its kernel."""

    def __init__(self, in_channels: int, out_channels: int, factor: int) -> None:
        super().__init__(in_channels, out_channels, factor, stride=factor)

    def forward(self, x: Tensor, condition: Condition) -> Tensor:  # type: ignore[override]
        """(batch, out_channels, height / factor, width / factor)."""
        return super().forward(x)


class Upsampling(nn.Sequential):
    """Sub-pixel convolution: 1x1 convolution and pixel shuffle."""

    def __init__(self, in_channels: int, out_channels: int, factor: int) -> None:
        convolution = nn.Conv2d(in_channels, out_channels * factor**2, 1)
        super().__init__(convolution, nn.PixelShuffle(factor))

    def forward(self, x: Tensor, condition: Condition) -> Tensor:  # type: ignore[override]
        """(batch, out_channels, height * factor, width * factor)."""
        return cast(Tensor, super().forward(x))  # type: ignore[no-untyped-call]


class Mark(nn.Module):
    """Holds a place in a published list of blocks; does nothing."""

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        """x."""
        return x


class Tap(Mark):
    """Place on the bottom-up path where the feature of one scale is taken."""


class Prior(NamedTuple):
    """Prior of one latent: a Gaussian, and the step of its quantization.

    Attributes:
        mean: (batch, channels, height, width).
        scale: standard deviation in quantization steps, same shape.
        step: quantization step of QSF; None for 1.
    """

    mean: Tensor
    scale: Tensor
    step: Tensor | None

    def residual(self, z: Tensor) -> Tensor:
        """How far z lies from the mean, in steps; rounded, it is what is coded (equation 17)."""
        return z - self.mean if self.step is None else (z - self.mean) / self.step

    def value(self, residual: Tensor) -> Tensor:
        """The latent that lies that many steps from the mean."""
        return self.mean + (residual if self.step is None else self.step * residual)


class LatentBlock(nn.Module):
    """A latent variable with its prior and posterior (Figures 5b and 10)."""

    def __init__(
        self,
        config: QarvConfig,
        width: int,
        latent_channels: int,
        tap_width: int,
        kernel: int,
        ratio: float,
    ) -> None:
        super().__init__()
        block = _residual_block(config)
        self.bidirectional = config.latent_block != "A"
        self.residual = config.latent_block == "C"
        self.resnet_front = block(config, width, kernel, ratio)
        self.resnet_end = block(config, width, kernel, ratio)
        self.posterior0 = block(config, tap_width, kernel, 2.0)
        if self.bidirectional:
            self.posterior1 = block(config, width, kernel, 2.0)
        self.posterior2 = block(config, width, kernel, 2.0)
        merged = tap_width + width if self.bidirectional else tap_width
        self.post_merge = nn.Conv2d(merged, width, 1)
        self.posterior = nn.Conv2d(width, latent_channels, 3, padding=1)
        self.z_proj = nn.Conv2d(latent_channels, width, 1)
        self.prior = nn.Conv2d(width, 2 * latent_channels, 1)

    def to_prior(self, feature: Tensor, condition: Condition) -> tuple[Tensor, Tensor, Tensor]:
        """Feature, and mean and scale of the prior given it."""
        feature = self.resnet_front(feature, condition)
        mean, raw = self.prior(feature).float().chunk(2, dim=1)
        return feature, mean, torch.exp(functional.softplus(raw + 2.3) - 2.3)

    def posterior_mean(self, feature: Tensor, tap: Tensor, condition: Condition) -> Tensor:
        """Mean mu of the posterior given the feature of `to_prior` and that of the image."""
        merged = self.posterior0(tap, condition)
        if self.bidirectional:
            merged = torch.cat([self.posterior1(feature, condition), merged], dim=1)
        merged = self.posterior2(self.post_merge(merged), condition)
        return cast(Tensor, self.posterior(merged)).float()

    def add(self, feature: Tensor, z: Tensor, condition: Condition) -> Tensor:
        """Feature that knows z."""
        projected = self.z_proj(z)
        feature = feature + projected if self.residual else projected
        return cast(Tensor, self.resnet_end(feature, condition))


class Encoder(nn.Module):
    """Bottom-up path."""

    def __init__(self, config: QarvConfig) -> None:
        super().__init__()
        block = _residual_block(config)
        widths, kernels = config.encoder_widths, config.encoder_kernels
        blocks: list[nn.Module] = [PatchEmbedding(3, widths[0], 4)]
        tapped = (0, *reversed(config.latents))
        for scale, width in enumerate(widths):
            if scale > 0:
                blocks.append(block(config, widths[scale - 1], config.join_kernel, 2.0))
                blocks.append(PatchEmbedding(widths[scale - 1], width, 2))
            depth = config.encoder_depths[scale]
            blocks += [block(config, width, kernels[scale], 2.0) for _ in range(depth)]
            if tapped[scale]:
                blocks.append(Tap())
        self.enc_blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor, condition: Condition) -> list[Tensor]:
        """Features of the scales that have latents, coarsest first."""
        taps: list[Tensor] = []
        for block in self.enc_blocks:
            x = block(x, condition)
            if isinstance(block, Tap):
                taps.insert(0, x)
        return taps


class TrainingOutput(NamedTuple):
    """What the loss is made of.

    Attributes:
        nats: code length of each latent with additive noise, (batch, latents).
        output: reconstruction on the [-1, 1] scale, not clamped, (batch, 3, height, width).
    """

    nats: Tensor
    output: Tensor


class QarvNetwork(nn.Module):
    """The whole network, freshly initialized.

    Args:
        config: what it is made of.
    """

    def __init__(self, config: QarvConfig) -> None:
        super().__init__()
        self.config = config
        self.n_latents = config.n_latents
        self.code_length: Callable[[Tensor, Tensor], Tensor] = gaussian_nats
        self.bias = nn.Parameter(torch.zeros(1, config.decoder_widths[0], 1, 1))
        self.encoder = Encoder(config)
        self.dec_blocks = nn.ModuleList(_top_down_blocks(config))
        if config.rate_control == "continuous":
            channels = config.embedding_channels
            self.lmb_embedding = nn.Sequential(
                nn.Linear(256, channels), nn.GELU(), nn.Linear(channels, channels)
            )
        if config.rate_control == "qsf":
            shape = len(DISCRETE_LAMBDAS), self.n_latents
            self.log_quality_scale = nn.Parameter(torch.zeros(shape))
        self._latent_positions = [
            i for i, block in enumerate(self.dec_blocks) if isinstance(block, LatentBlock)
        ]
        used = [scale for scale, n in enumerate(config.latents) if n]
        self._tap_of_latent = [
            tap for tap, scale in enumerate(used) for _ in range(config.latents[scale])
        ]

    def condition(self, lambda_: Tensor) -> Condition:
        """What lambda, (batch,), is to the layers.

        Its sines are computed where it is: on a CPU for coding, because they differ between
        devices.
        """
        known = _discrete_weights(lambda_)
        if self.config.rate_control == "continuous":
            known = self.lmb_embedding(_sine_embedding(lambda_).to(self.bias.device))
        return Condition(lambda_, known.to(self.bias.device))

    def analyse(self, image: Tensor, condition: Condition) -> list[Tensor]:
        """Features of an image.

        Args:
            image: (batch, 3, height, width) in [0, 1], sides multiples of 64.
            condition: lambda.
        """
        taps: list[Tensor] = self.encoder((image - PIXEL_MEAN) * PIXEL_SCALE, condition)
        return taps

    def start(self, rows: int, columns: int, batch: int = 1) -> Tensor:
        """First feature of the top-down path, for rows x columns positions of 64x64 pixels."""
        repeated = self.bias.expand(batch, -1, rows, columns)
        return repeated.contiguous(memory_format=torch.channels_last)

    def to_prior(self, i: int, feature: Tensor, condition: Condition) -> tuple[Tensor, Prior]:
        """Run the decoder on to latent i (from 0); return its input feature and its prior."""
        begin = self._latent_positions[i - 1] + 1 if i else 0
        for position in range(begin, self._latent_positions[i]):
            feature = self.dec_blocks[position](feature, condition)
        feature, mean, scale = self.latent(i).to_prior(feature, condition)
        if self.config.rate_control != "qsf":
            return feature, Prior(mean, scale, None)
        log_scale = condition.embedding @ self.log_quality_scale[:, i]
        step = torch.exp(-log_scale)[:, None, None, None]
        return feature, Prior(mean, scale / step, step)

    def posterior_mean(
        self, i: int, feature: Tensor, taps: list[Tensor], condition: Condition
    ) -> Tensor:
        """Mean of the posterior of latent i, given the features of `to_prior` and `analyse`."""
        return self.latent(i).posterior_mean(feature, self.tap(i, taps), condition)

    def add_latent(self, i: int, feature: Tensor, z: Tensor, condition: Condition) -> Tensor:
        """The feature of `to_prior` after latent i has become z."""
        return self.latent(i).add(feature, z, condition)

    def synthesize(self, feature: Tensor, condition: Condition) -> Tensor:
        """Output on the [-1, 1] scale, not clamped, from the feature after the last latent."""
        for position in range(self._latent_positions[-1] + 1, len(self.dec_blocks)):
            feature = self.dec_blocks[position](feature, condition)
        return feature

    def forward(self, image: Tensor, lambda_: Tensor) -> TrainingOutput:
        """Code length and reconstruction with noise in the place of quantization (Section 3.1).

        Args:
            image: (batch, 3, height, width) in [0, 1], sides multiples of 64.
            lambda_: (batch,).
        """
        condition = self.condition(lambda_)
        taps = self.analyse(image, condition)
        batch, _, height, width = image.shape
        feature = self.start(height // STRIDE, width // STRIDE, batch)
        nats = []
        for i in range(self.n_latents):
            feature, prior = self.to_prior(i, feature, condition)
            mu = self.posterior_mean(i, feature, taps, condition)
            noisy = prior.residual(mu) + (torch.rand_like(mu) - 0.5)
            nats.append(self.code_length(noisy, prior.scale).sum((1, 2, 3)))
            feature = self.add_latent(i, feature, prior.value(noisy), condition)
        return TrainingOutput(torch.stack(nats, dim=1), self.synthesize(feature, condition))

    def is_encoder_only(self, name: str) -> bool:
        """Return whether decoding does not need a parameter: bottom-up path, posteriors."""
        parts = name.split(".")
        return parts[0] == "encoder" or any(
            p.startswith(("posterior", "post_merge")) for p in parts
        )

    def is_decoder_only(self, name: str) -> bool:
        """Return whether encoding, which stops at the last posterior, does not need a parameter."""
        if not name.startswith("dec_blocks."):
            return False
        last, place = self._latent_positions[-1], int(name.split(".")[1])
        after_posterior = f"dec_blocks.{last}.z_proj", f"dec_blocks.{last}.resnet_end"
        return place > last or name.startswith(after_posterior)

    def latent(self, i: int) -> LatentBlock:
        """The block of latent i."""
        return cast(LatentBlock, self.dec_blocks[self._latent_positions[i]])

    def tap(self, i: int, taps: list[Tensor]) -> Tensor:
        """The tap, of those that `analyse` gives, that latent i is made from."""
        return taps[self._tap_of_latent[i]]


def gaussian_mass(residual: Tensor, scale: Tensor) -> Tensor:
    """Mass of a zero-mean Gaussian on [residual - 1/2, residual + 1/2] (equation 9)."""
    distance = residual.abs()
    return _ndtr((0.5 - distance) / scale) - _ndtr((-0.5 - distance) / scale)


def gaussian_nats(residual: Tensor, scale: Tensor) -> Tensor:
    """Code length for training: -log of the mass, or of the density where the mass is under 1e-6.

    There the gradient of the mass would vanish.
    """
    mass = gaussian_mass(residual, scale)
    log_density = -0.5 * (residual / scale) ** 2 - torch.log(scale) - 0.5 * math.log(2 * math.pi)
    return -torch.where(mass < 1e-6, log_density, torch.log(mass.clamp(min=1e-6)))


def to_pixels(output: Tensor) -> Tensor:
    """Pixels in [0, 1] from an output on the [-1, 1] scale."""
    return output.clamp(-1, 1) / 2 + 0.5


def _ndtr(x: Tensor) -> Tensor:
    return 0.5 * torch.erfc(-x / math.sqrt(2))


def _pointwise(linear: nn.Linear, x: Tensor) -> Tensor:
    return cast(Tensor, linear(x.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)


def _norm(config: QarvConfig, width: int) -> nn.Module:
    """Norm of a residual block; its affine is learned only where lambda does not decide it."""
    learned = config.rate_control != "continuous"
    if config.norm == "layer":
        return ChannelNorm(width, _EPS, elementwise_affine=learned)
    groups = width if config.norm == "instance" else max(1, width // 32)
    return GroupNorm(groups, width, _EPS, affine=learned)


def _affine_layer(config: QarvConfig, width: int) -> nn.Module | None:
    if config.rate_control == "continuous":
        return AdaptiveAffine(config.embedding_channels, width)
    return ConditionalAffine(width) if config.rate_control == "cconv" else None


def _residual_block(config: QarvConfig) -> type[ConvNextBlock] | type[NeighbourhoodBlock]:
    return ConvNextBlock if config.block == "convnext" else NeighbourhoodBlock


def _top_down_blocks(config: QarvConfig) -> list[nn.Module]:
    block = _residual_block(config)
    blocks: list[nn.Module] = []
    last = max(scale for scale, n in enumerate(config.latents) if n)
    for scale, width in enumerate(config.decoder_widths):
        kernel, ratio = config.decoder_kernels[scale], config.decoder_ratios[scale]
        before, after = config.blocks_before[scale], config.blocks_after[scale]
        blocks += [block(config, width, kernel, ratio) for _ in range(before)]
        if scale <= last:
            channels = config.latent_channels[scale]
            tap_width = config.encoder_widths[-1 - scale]
            blocks += [
                LatentBlock(config, width, channels, tap_width, kernel, ratio)
                for _ in range(config.latents[scale])
            ]
        if scale == last:
            blocks.append(Mark())
        blocks += [block(config, width, kernel, ratio) for _ in range(after)]
        is_output = scale == len(config.decoder_widths) - 1
        next_width = 3 if is_output else config.decoder_widths[scale + 1]
        blocks.append(Upsampling(width, next_width, 4 if is_output else 2))
    return blocks


def _sine_embedding(lambda_: Tensor) -> Tensor:
    """Cosines and sines of log lambda at 128 frequencies, (batch, 256)."""
    position = torch.log(lambda_) * _SINE_PERIOD / math.log(_LAMBDA_UNIT)
    exponents = torch.linspace(0, 1, 128, device=lambda_.device)
    angles = position[:, None] * torch.pow(float(_SINE_PERIOD), -exponents)
    return torch.cat([torch.cos(angles), torch.sin(angles)], dim=1)


def _discrete_weights(lambda_: Tensor) -> Tensor:
    """Weights of the discrete lambdas, linear in log lambda; (batch, discrete lambdas)."""
    # Powers of two, made on the device: a CUDA graph allows no copy from the CPU.
    powers = torch.arange(len(DISCRETE_LAMBDAS), device=lambda_.device)
    known = torch.log((int(DISCRETE_LAMBDAS[0]) << powers).float())
    position = (torch.log(lambda_)[:, None] - known[0]) / (known[1] - known[0])
    position = position.clamp(0, len(known) - 1)
    return (1 - (position - torch.arange(len(known), device=lambda_.device)).abs()).clamp(min=0)
