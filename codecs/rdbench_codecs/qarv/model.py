"""A loaded QARV network that turns images into integers, and integers into images."""

import contextlib
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rdbench.errors import DataError
from rdbench.stages import stage
from rdbench.types import Image
from rdbench_codecs.learned.entropy import GaussianTables, SymbolDecoder, SymbolEncoder, Symbols
from rdbench_codecs.learned.weights import check_shapes, load_into, read
from rdbench_codecs.qarv.config import QarvConfig
from rdbench_codecs.qarv.cpu import accelerate
from rdbench_codecs.qarv.network import (
    STRIDE,
    Condition,
    Prior,
    QarvNetwork,
    gaussian_mass,
    to_pixels,
)

TABLES = GaussianTables(np.exp(np.linspace(np.log(0.11), np.log(20), 64)))
"""The published scales."""


@dataclass(frozen=True, eq=False)
class Latent:
    """One latent variable of one image; every array is (channels, height, width).

    Attributes:
        symbols: the integers that are coded.
        indexes: probability table of each.
        ideal_bits: code length of each under the prior itself, without tables.
        value: the latent: prior mean plus quantization step times symbol.
    """

    symbols: Symbols
    indexes: npt.NDArray[np.uint8]
    ideal_bits: npt.NDArray[np.float32]
    value: npt.NDArray[np.float32]

    def to_bytes(self) -> bytes:
        """The symbols as a segment of a file, position by position."""
        encoder = SymbolEncoder(TABLES)
        encoder.put(
            np.moveaxis(self.symbols, 0, -1).ravel(), np.moveaxis(self.indexes, 0, -1).ravel()
        )
        return encoder.finish()


Choice = Callable[[int, Prior], Tensor]
"""Gives the value of latent i, (1, channels, height, width), for its prior."""


class Model:
    """A QARV network ready for coding.

    Args:
        network: the network; it is changed and must not be used otherwise.
        device: "cpu" or a CUDA device.
        half: compute what does not decide the entropy parameters (the bottom-up path, the
            posteriors, everything after the last latent) in half precision.
    """

    def __init__(self, network: QarvNetwork, device: str = "cpu", half: bool = False) -> None:
        self.parameter_counts = network.parameter_counts()
        network.eval().requires_grad_(False)
        network.to(torch.device(device))
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        accelerate(network)
        self.config = network.config
        self.n_latents = network.n_latents
        self._network = network
        self._device = torch.device(device)
        self._half = half
        self._scales = torch.from_numpy(TABLES.scales[:-1].copy()).to(self._device)
        self._condition = lru_cache(maxsize=32)(self._new_condition)

    def encode(self, image: Image, lambda_: float) -> list[Latent]:
        """The latents of an image, in coding order.

        Args:
            image: (height, width, 3).
            lambda_: rate parameter; what is nearest in float32 is used.
        """
        latents = []
        with _exact(), stage("transform"):
            condition = self._condition(lambda_)
            padded = torch.from_numpy(pad(image)).to(self._device)
            pixels = padded.permute(2, 0, 1)[None].float() / 255
            with self._relaxed():
                taps = self._network.analyse(pixels, condition)
            feature = self._start(*image.shape[:2])
            for i in range(self.n_latents):
                with stage("entropy parameters"):
                    feature, prior = self._network.to_prior(i, feature, condition)
                with self._relaxed():
                    mu = self._network.posterior_mean(i, feature, taps, condition).float()
                symbols = prior.residual(mu).round()
                with stage("entropy parameters"):
                    latents.append(self._latent(symbols, prior))
                if i < self.n_latents - 1:
                    value = prior.value(symbols)
                    feature = self._network.add_latent(i, feature, value, condition)
        return latents

    def top_down(
        self, height: int, width: int, lambda_: float, choose: Choice
    ) -> npt.NDArray[np.float32]:
        """Image of (height, width, 3) in [0, 1] from latents that ``choose`` gives."""
        with _exact(), stage("transform"):
            condition = self._condition(lambda_)
            feature = self._start(height, width)
            for i in range(self.n_latents):
                with stage("entropy parameters"):
                    feature, prior = self._network.to_prior(i, feature, condition)
                feature = self._network.add_latent(i, feature, choose(i, prior), condition)
            with self._relaxed():
                output = self._network.synthesize(feature, condition)
            pixels = to_pixels(output.float())[0, :, :height, :width]
            with stage("copies"):
                return pixels.permute(1, 2, 0).contiguous().cpu().numpy()

    def decode_symbols(self, segment: bytes, prior: Prior) -> Tensor:
        """The symbols in a segment that `Latent.to_bytes` made, (1, channels, height, width).

        Raises:
            BitstreamError: they are not the encoder's.
        """
        with stage("entropy parameters"):
            indexes = np.moveaxis(self.indexes(prior), 0, -1)
        with stage("entropy coding"):
            decoder = SymbolDecoder(segment, TABLES)
            symbols = decoder.get(indexes.ravel()).reshape(indexes.shape)
            decoder.finish()
        return self.tensor(np.moveaxis(symbols, -1, 0))

    def indexes(self, prior: Prior) -> npt.NDArray[np.uint8]:
        """Probability table of every symbol, (channels, height, width)."""
        scale = prior.scale.permute(0, 2, 3, 1).contiguous()
        found = torch.bucketize(scale, self._scales, out_int32=True)
        return _array(found.to(torch.uint8).permute(0, 3, 1, 2))

    def tensor(self, array: npt.NDArray[np.float32] | Symbols) -> Tensor:
        """(channels, height, width) as a batch of one on the network's device."""
        return torch.from_numpy(array).to(self._device, torch.float32)[None]

    def _latent(self, symbols: Tensor, prior: Prior) -> Latent:
        bits = -torch.log2(gaussian_mass(symbols, prior.scale).clamp(min=2.0**-100))
        return Latent(
            _array(symbols).astype(np.int32),
            self.indexes(prior),
            _array(bits),
            _array(prior.value(symbols)),
        )

    def _start(self, height: int, width: int) -> Tensor:
        return self._network.start(-(-height // STRIDE), -(-width // STRIDE))

    def _new_condition(self, lambda_: float) -> Condition:
        """Made by one thread, because the sums of its small products depend on the number."""
        with threads(1):
            condition = self._network.condition(torch.tensor([lambda_], device=self._device))
            for module in self._network.modules():
                layer = getattr(module, "embedding_layer", None)
                if layer is not None:
                    condition.affine(layer)
        return condition

    def _relaxed(self) -> torch.autocast:
        dtype = torch.float16 if self._device.type == "cuda" else torch.bfloat16
        return torch.autocast(self._device.type, dtype, enabled=self._half)


@contextlib.contextmanager
def threads(number: int | None) -> Iterator[None]:
    """Let torch use that many threads for a while; None leaves it as it is."""
    before = torch.get_num_threads()
    if number is not None and number != before:
        torch.set_num_threads(number)
    try:
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)


@contextlib.contextmanager
def _exact() -> Iterator[None]:
    """No gradients, and on a GPU only programs that give the same numbers every time."""
    flags = torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    )
    with torch.inference_mode(), flags:
        yield


def pad(image: Image) -> Image:
    """Repeat the last row and column until both sides are multiples of 64."""
    height, width = image.shape[:2]
    return np.pad(image, ((0, -height % STRIDE), (0, -width % STRIDE), (0, 0)), mode="edge")


def load_network(path: Path) -> QarvNetwork:
    """The network in a file of weights; the published one unless the file holds a configuration.

    Raises:
        DataError: the file does not fit.
    """
    tensors, config = read(path)
    tensors = {k: v for k, v in tensors.items() if ".discrete_gaussian." not in k}
    try:
        parsed = QarvConfig.from_mapping(config)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    check_shapes(shapes_of(parsed, path), tensors, path)  # before any room is made
    network = empty_network(parsed)
    load_into(network, tensors, path)
    return network


def shapes_of(config: QarvConfig, source: Path) -> QarvNetwork:
    """A network of shapes alone; DataError where the configuration makes none."""
    try:
        with torch.device("meta"):
            return QarvNetwork(config)
    except (TypeError, ValueError, RuntimeError, ArithmeticError, LookupError) as error:
        raise DataError(f"{source}: its config makes no network ({error})") from None


def random_network(config: QarvConfig) -> QarvNetwork:
    """A network of random numbers that depend on nothing but the parameters' names and shapes."""
    network = empty_network(config)
    values = {}
    for name, old in network.state_dict().items():
        rng = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
        values[name] = torch.from_numpy(_random_parameter(rng, name, tuple(old.shape)))
    network.load_state_dict(values)
    return network


def empty_network(config: QarvConfig) -> QarvNetwork:
    """A network with room for its parameters, which hold no values yet."""
    with torch.device("meta"):
        network = QarvNetwork(config)
    return network.to_empty(device="cpu")


def _random_parameter(
    rng: np.random.Generator, name: str, shape: tuple[int, ...]
) -> npt.NDArray[np.float32]:
    normal = rng.standard_normal(shape, np.float32)
    if name.endswith("gamma"):
        return np.float32(0.1) + np.float32(0.02) * normal
    if name.endswith("weight") and len(shape) > 1:
        gain = 0.1 if ".z_proj." in name else 0.6  # keeps priors small on samples too
        return normal * np.float32(gain / np.sqrt(np.prod(shape[1:])))
    return normal * np.float32(0.1)


def _array(tensor: Tensor) -> npt.NDArray[Any]:
    """A batch of one as (channels, height, width), in the memory layout it has."""
    array: npt.NDArray[Any] = tensor[0].cpu().numpy()
    return array
