"""Coding of images of one size in steps that a GPU can record, see learned/graphs.py.

The network of the encoder is one step. The decoder takes a step for each time that the network asks
for integers of y, and one for the image.
"""

from collections.abc import Sequence
from dataclasses import fields
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rdbench_codecs.hyperprior.factorized import FactorizedLatent, Rounded, is_codable
from rdbench_codecs.hyperprior.layers import times
from rdbench_codecs.hyperprior.networks import RatePoint, ScaleHyperprior
from rdbench_codecs.hyperprior.priors import gaussian_likelihood
from rdbench_codecs.hyperprior.wavefront import Asked, DecodingOfY, answer
from rdbench_codecs.learned import graphs
from rdbench_codecs.learned.base import STRIDE
from rdbench_codecs.learned.device import ScaledSymbols
from rdbench_codecs.learned.entropy import ScaleTables
from rdbench_codecs.learned.graphs import Input, Step
from rdbench_codecs.learned.runtime import threads


class Setting(NamedTuple):
    """What coding needs apart from the size.

    Attributes:
        network: ready for coding, on the device.
        point: the rate.
        z: the coder of z.
        tables: probability tables of y.
        device: of the network.
    """

    network: ScaleHyperprior
    point: RatePoint
    z: FactorizedLatent
    tables: ScaleTables
    device: torch.device


class FixedPoint:
    """A rate point at fixed addresses.

    Args:
        example: a point that differs from the default in all that the method can set.
        device: where its numbers are kept.

    Attributes:
        point: the point of the moment.
    """

    def __init__(self, example: RatePoint, device: torch.device) -> None:
        values = {field.name: getattr(example, field.name) for field in fields(RatePoint)}
        self._own = {
            name: torch.as_tensor(value, dtype=torch.float32, device=device).clone()
            for name, value in values.items()
            if isinstance(value, Tensor) or value != 1
        }
        self.point = RatePoint(**self._own)

    def assign(self, point: RatePoint) -> None:
        """Take the values of another point of the same method."""
        for name, own in self._own.items():
            value: Any = getattr(point, name)
            own.copy_(value) if isinstance(value, Tensor) else own.fill_(value)


class Encoding:
    """The network of the encoder.

    Attributes:
        z, y: the latents.
        symbols: integers of y in the order of coding, (n,) int32.
        scales: the scale of each, float32.
        sizes: how many of them the network asks for at a time.
        codable: whether no integer is NaN or too large.
    """

    z: Rounded
    y: Rounded
    symbols: Tensor
    scales: Tensor
    sizes: Sequence[int]
    codable: Tensor

    def __init__(self, setting: Setting, height: int, width: int, recorded: bool) -> None:
        self._setting = setting
        self._x = torch.zeros(1, 3, height, width, device=setting.device)
        self._x = self._x.contiguous(memory_format=torch.channels_last)
        (self._run,) = graphs.record([self._step], setting.device) if recorded else [self._step]

    def start(self, x: Tensor) -> None:
        """Start to set the attributes for an image, (1, 3, height, width), 1 is white."""
        self._x.copy_(x)
        self._run()

    def _step(self) -> None:
        network, point, z = self._setting[:3]
        y = network.analysis(self._x, point)
        self.z = z.quantize(network.hyper_analysis(y, point))
        # The decoder asks for y position by position; here the answer is taken from y itself, and
        # kept with its scale.
        targets = y.flatten(2).transpose(1, 2)
        all_rounded, all_scales = torch.empty_like(targets), torch.empty_like(targets)
        parts: list[tuple[Tensor, Tensor]] = []

        def quantize(positions: slice, mean: Tensor, scale: Tensor) -> Tensor:
            rounded = times(targets[:, positions] - mean, point.regulator).round()
            all_rounded[:, positions], all_scales[:, positions] = rounded, scale
            parts.append((rounded.flatten(), scale.flatten()))
            return rounded

        with threads(1):
            features = network.hyper_synthesis(self.z.value, point)
            y_hat = answer(network.decode_y(features, point), quantize)
        rounded, self.scales = map(torch.cat, zip(*parts, strict=True))
        self.symbols, self.sizes = rounded.int(), [len(symbols) for symbols, _ in parts]
        self.codable = is_codable(self.z.symbols, rounded)
        bits = -gaussian_likelihood(all_rounded, all_scales).log2()
        in_shape = [t.transpose(1, 2).reshape(y.shape) for t in (all_rounded, bits)]
        self.y = Rounded(in_shape[0], in_shape[1], y_hat)


class Decoding:
    """The network of the decoder.

    Attributes:
        z: integers of z, (channels, height, width).
        stream: the symbols of y.
        run: a step for each time that integers of y are asked for, and one for the image.
        image: (1, 3, height, width), not clamped.
    """

    image: Tensor
    _z_hat: Tensor
    _decoding: DecodingOfY
    _asked: Asked

    def __init__(self, setting: Setting, height: int, width: int, recorded: bool) -> None:
        network, self._setting = setting.network, setting
        rows, columns = height // 16, width // 16
        shape = network.n, height // STRIDE, width // STRIDE
        self.z = Input(shape, torch.int32, setting.device)
        self.stream = ScaledSymbols(setting.tables, network.m * rows * columns, setting.device)
        self._n = network.n_questions(rows, columns)
        steps: list[Step] = [self._first, *(partial(self._next, k) for k in range(1, self._n))]
        steps.append(self._last)
        self.run = graphs.record(steps, setting.device) if recorded else steps

    def _first(self) -> None:
        network, point, z = self._setting[:3]
        self._z_hat = z.value(self.z.device)
        self._decoding = network.decode_y(network.hyper_synthesis(self._z_hat, point), point)
        self._to_tables(0, next(self._decoding))

    def _next(self, k: int) -> None:
        self._to_tables(k, self._decoding.send(self._answer(k - 1)))

    def _last(self) -> None:
        network, point = self._setting[:2]
        try:
            self._decoding.send(self._answer(self._n - 1))
        except StopIteration as stop:
            self.image = network.synthesis(stop.value, self._z_hat, point)

    def _to_tables(self, k: int, asked: Asked) -> None:
        self._asked = asked
        self.stream.choose_tables(k, asked.scale.reshape(-1))

    def _answer(self, k: int) -> Tensor:
        mean = self._asked.mean
        return self.stream.symbols[self.stream.parts[k]].view(mean.shape).to(mean.dtype)
