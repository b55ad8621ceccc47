"""Coding of images of one size in steps that a GPU can record, see learned/graphs.py.

The network of the encoder is one step: it gives the integers of all latents before the first is
coded. The decoder takes one step per latent, because each latent decides the scales of the next.
Symbols are in the order of coding: position by position, all channels of each.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from rdbench.types import Image
from rdbench_codecs.learned import graphs
from rdbench_codecs.learned.base import STRIDE
from rdbench_codecs.learned.device import ScaledSymbols
from rdbench_codecs.learned.entropy import ScaleTables
from rdbench_codecs.learned.graphs import Input, Step
from rdbench_codecs.learned.runtime import MAX_SYMBOL
from rdbench_codecs.qarv.config import QarvConfig
from rdbench_codecs.qarv.network import (
    Affine,
    Condition,
    Prior,
    QarvNetwork,
    gaussian_mass,
    to_pixels,
)


class Setting(NamedTuple):
    """What coding needs apart from the size.

    Attributes:
        network: ready for coding, on the device.
        condition: the lambda of the moment, at fixed addresses.
        tables: probability tables.
        device: of the network.
        relaxed: context for what does not decide the entropy parameters.
    """

    network: QarvNetwork
    condition: "FixedCondition"
    tables: ScaleTables
    device: torch.device
    relaxed: Callable[[], AbstractContextManager[object]]


class FixedCondition(Condition):
    """A condition at fixed addresses.

    Args:
        values: its first values.
    """

    def __init__(self, values: Condition) -> None:
        super().__init__(values.lambda_.clone(), values.embedding.clone())
        self._affines = {
            layer: Affine(affine.shift.clone(), affine.scale.clone())
            for layer, affine in values._affines.items()
        }
        self._values = values

    def assign(self, values: Condition) -> None:
        """Take the values of another condition of the same network."""
        if values is self._values:
            return
        for own, new in zip(self._tensors(), FixedCondition._tensors(values), strict=True):
            own.copy_(new)
        self._values = values

    def _tensors(self: Condition) -> Iterator[Tensor]:
        yield self.lambda_
        yield self.embedding
        for affine in self._affines.values():
            yield from affine


class LatentShape(NamedTuple):
    """Height, width and channels of a latent."""

    height: int
    width: int
    channels: int

    @property
    def n(self) -> int:
        """Number of symbols."""
        return self.height * self.width * self.channels


def latent_shapes(config: QarvConfig, height: int, width: int) -> list[LatentShape]:
    """Return the shapes of z1 ... zN of an image, sides multiples of STRIDE."""
    rows, columns = height // STRIDE, width // STRIDE
    return [
        LatentShape(rows << scale, columns << scale, channels)
        for scale, (n, channels) in enumerate(
            zip(config.latents, config.latent_channels, strict=True)
        )
        for _ in range(n)
    ]


class Encoding:
    """The network of the encoder.

    Attributes:
        shapes: of the latents.
        symbols: integers of all latents in file order, (n,) int32.
        scales, bits, values: of each symbol, its ideal code length and its latent's value, float32.
        codable: whether no integer is NaN or too large.
    """

    symbols: Tensor
    scales: Tensor
    bits: Tensor
    values: Tensor
    codable: Tensor

    def __init__(self, setting: Setting, height: int, width: int, recorded: bool) -> None:
        self.shapes = latent_shapes(setting.network.config, height, width)
        self._setting, self._size = setting, (height, width)
        self._image = Input((height, width, 3), torch.uint8, setting.device)
        (self._run,) = graphs.record([self._step], setting.device) if recorded else [self._step]

    def start(self, image: Image) -> None:
        """Start to set the attributes for an image."""
        self._image.put(image)
        self._run()

    def _step(self) -> None:
        network, condition, _, _, relaxed = self._setting
        pixels = self._image.device.permute(2, 0, 1)[None].float() / 255
        with relaxed():
            taps = network.analyse(pixels, condition)
        feature = network.start(self._size[0] // STRIDE, self._size[1] // STRIDE)
        parts = []
        for i in range(network.n_latents):
            feature, prior = network.to_prior(i, feature, condition)
            with relaxed():
                mu = network.posterior_mean(i, feature, taps, condition).float()
            rounded = prior.residual(mu).round()
            value = prior.value(rounded)
            bits = -torch.log2(gaussian_mass(rounded, prior.scale).clamp(min=2.0**-100))
            parts.append([_in_order(t) for t in (rounded, prior.scale, bits, value)])
            if i < network.n_latents - 1:
                feature = network.add_latent(i, feature, value, condition)
        rounded, self.scales, self.bits, self.values = map(torch.cat, zip(*parts, strict=True))
        self.codable = (rounded.abs() <= MAX_SYMBOL).all()
        self.symbols = rounded.int()


class Decoding:
    """The network of the decoder: a step per latent, which chooses tables, and one for the image.

    Attributes:
        shapes: of the latents.
        streams: their symbols.
        run: the steps.
        pixels: the image, (height, width, 3) in [0, 1].
    """

    pixels: Tensor
    _feature: Tensor
    _prior: Prior

    def __init__(self, setting: Setting, height: int, width: int, recorded: bool) -> None:
        self.shapes = latent_shapes(setting.network.config, height, width)
        self._setting, self._size = setting, (height, width)
        self.streams = [
            ScaledSymbols(setting.tables, shape.n, setting.device) for shape in self.shapes
        ]
        steps: list[Step] = [self._first]
        steps += [partial(self._next, i) for i in range(1, len(self.shapes))]
        steps.append(self._last)
        self.run = graphs.record(steps, setting.device) if recorded else steps

    def _first(self) -> None:
        height, width = self._size
        self._to_tables(0, self._setting.network.start(height // STRIDE, width // STRIDE))

    def _next(self, i: int) -> None:
        self._to_tables(i, self._with_latent(i - 1))

    def _last(self) -> None:
        network, condition, _, _, relaxed = self._setting
        feature = self._with_latent(network.n_latents - 1)
        with relaxed():
            output = network.synthesize(feature, condition)
        self.pixels = to_pixels(output.float())[0].permute(1, 2, 0).contiguous()

    def _to_tables(self, i: int, feature: Tensor) -> None:
        network, condition = self._setting[:2]
        self._feature, self._prior = network.to_prior(i, feature, condition)
        self.streams[i].choose_tables(0, _in_order(self._prior.scale))

    def _with_latent(self, i: int) -> Tensor:
        """The feature that knows latent i."""
        network, condition = self._setting[:2]
        height, width, channels = self.shapes[i]
        residual = (
            self.streams[i].symbols.view(1, height, width, channels).permute(0, 3, 1, 2).float()
        )
        return network.add_latent(i, self._feature, self._prior.value(residual), condition)


def _in_order(x: Tensor) -> Tensor:
    """(1, channels, height, width) as (n,) in the order of coding."""
    return x.permute(0, 2, 3, 1).reshape(-1)
