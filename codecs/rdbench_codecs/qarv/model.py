"""A loaded QARV network that turns images into integers, and integers into images."""

import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rdbench.errors import BitstreamError, DataError
from rdbench.stages import stage
from rdbench.types import Image
from rdbench_codecs.learned.base import STRIDE, FloatImage, Latent
from rdbench_codecs.learned.entropy import GaussianTables, ScaleDecoder, ScaleEncoder, Symbols
from rdbench_codecs.learned.runtime import integers, threads
from rdbench_codecs.learned.weights import check_shapes, read
from rdbench_codecs.qarv.config import QarvConfig
from rdbench_codecs.qarv.cpu import accelerate
from rdbench_codecs.qarv.network import (
    Condition,
    Prior,
    QarvNetwork,
    gaussian_mass,
    to_pixels,
)

_MARGIN = 2e-5  # of log scale; at least twice what was measured between machines

TABLES = GaussianTables(np.exp(np.linspace(np.log(0.11), np.log(20), 64)), _MARGIN)
"""The published scales."""

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
        network.eval().requires_grad_(False)
        network.to(torch.device(device))
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        accelerate(network)
        self.n_latents = network.n_latents
        self._network = network
        self._device = torch.device(device)
        self._half = half
        self._condition = lru_cache(maxsize=32)(self._new_condition)

    def encode(self, image: Image, parameter: float) -> list[Latent]:
        """Return the latents of an image, sides multiples of STRIDE; the parameter is lambda."""
        latents = []
        with stage("transform"):
            condition = self._condition(parameter)
            pixels = torch.from_numpy(image).to(self._device).permute(2, 0, 1)[None].float() / 255
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
                    latents.append(self._latent(f"z{i + 1}", symbols, prior))
                if i < self.n_latents - 1:
                    value = prior.value(symbols)
                    feature = self._network.add_latent(i, feature, value, condition)
        return latents

    def decode(
        self, segments: Sequence[bytes | None], height: int, width: int, parameter: float
    ) -> FloatImage:
        """Return the image of some latents; the prior mean replaces those that are None."""

        def choose(i: int, prior: Prior) -> Tensor:
            segment = segments[i]
            if segment is None:
                return prior.mean
            try:
                return prior.value(self._symbols(f"z{i + 1}", segment, prior))
            except BitstreamError as error:
                raise BitstreamError(f"latent z{i + 1}: {error}") from None

        return self.top_down(height, width, parameter, choose)

    def top_down(self, height: int, width: int, lambda_: float, choose: Choice) -> FloatImage:
        """Return an image of (height, width) from latents that ``choose`` gives."""
        with stage("transform"):
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

    def _symbols(self, name: str, segment: bytes, prior: Prior) -> Tensor:
        """The symbols in a segment, (1, channels, height, width)."""
        with stage("entropy parameters"):
            scales = _positions_first(_array(prior.scale))
        with stage("entropy coding"):
            decoder = ScaleDecoder(name, segment, TABLES, scales.size)
            symbols = decoder.get_scaled(scales.ravel()).reshape(scales.shape)
            decoder.finish()
        return self.tensor(np.moveaxis(symbols, -1, 0))

    def tensor(self, array: npt.NDArray[np.float32] | Symbols) -> Tensor:
        """(channels, height, width) as a batch of one on the network's device."""
        return torch.from_numpy(array).to(self._device, torch.float32)[None]

    def _latent(self, name: str, rounded: Tensor, prior: Prior) -> Latent:
        bits = -torch.log2(gaussian_mass(rounded, prior.scale).clamp(min=2.0**-100))
        symbols, scales = integers(rounded)[0], _array(prior.scale)
        with stage("entropy coding"):
            encoder = ScaleEncoder(name, TABLES)
            encoder.put(_positions_first(symbols).ravel(), _positions_first(scales).ravel())
            data = encoder.finish()
        return Latent(name, data, symbols, _array(bits), _array(prior.value(rounded)))

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


@lru_cache(maxsize=4)
def load_model(source: Path | QarvConfig, sha256: str, device: str, half: bool) -> Model:
    """Return a network in a file, or the random one of a configuration, ready for coding.

    Args:
        source: file or configuration.
        sha256: of the file, so that another file under the same name is loaded.
        device, half: as in `Model`.
    """
    network = load_network(source) if isinstance(source, Path) else random_network(source)
    return Model(network, device, half)


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
    network = shapes_of(parsed, path)
    check_shapes(network, tensors, path)  # before any memory is taken
    network = network.to_empty(device="cpu")
    network.load_state_dict(tensors)
    return network


def shapes_of(config: QarvConfig, source: object) -> QarvNetwork:
    """Return a network of shapes alone; DataError where the configuration makes none."""
    try:
        with torch.device("meta"):
            return QarvNetwork(config)
    except (TypeError, ValueError, RuntimeError, ArithmeticError, LookupError) as error:
        raise DataError(f"{source}: its config makes no network ({error})") from None


def random_network(config: QarvConfig) -> QarvNetwork:
    """A network of random numbers that depend on nothing but the parameters' names and shapes."""
    network = shapes_of(config, "random").to_empty(device="cpu")
    values = {}
    for name, old in network.state_dict().items():
        rng = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
        values[name] = torch.from_numpy(_random_parameter(rng, name, tuple(old.shape)))
    network.load_state_dict(values)
    return network


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


def _positions_first(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(channels, height, width) as (height, width, channels): the order in which symbols are coded.

    It is that of the channels-last layout.
    """
    return np.moveaxis(array, 0, -1)


def _array(tensor: Tensor) -> npt.NDArray[Any]:
    """A batch of one as (channels, height, width), in the memory layout it has."""
    array: npt.NDArray[Any] = tensor[0].cpu().numpy()
    return array
