"""A loaded QARV network that turns images into integers, and integers into images."""

import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rdbench.errors import BitstreamError, DataError, EncoderError
from rdbench.stages import stage
from rdbench.types import Image
from rdbench_codecs.learned.base import STRIDE, FloatImage, Latent
from rdbench_codecs.learned.entropy import GaussianTables, ScaleDecoder, ScaleEncoder, Symbols
from rdbench_codecs.learned.graphs import PerSize, fetch, fetch_all, wait
from rdbench_codecs.learned.runtime import UNCODABLE, threads
from rdbench_codecs.learned.weights import check_shapes, read
from rdbench_codecs.qarv import cpu, gpu
from rdbench_codecs.qarv.config import QarvConfig
from rdbench_codecs.qarv.network import Condition, Prior, QarvNetwork, to_pixels
from rdbench_codecs.qarv.steps import (
    Decoding,
    Encoding,
    FixedCondition,
    LatentShape,
    Setting,
)

TABLES = GaussianTables(np.exp(np.linspace(np.log(0.11), np.log(20), 64)))
"""The published scales."""

MARGIN = 2e-5
"""Of log scale between encoder and decoder; docs/format.md says what was measured."""

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
        self._device = torch.device(device)
        (cpu if self._device.type == "cpu" else gpu).accelerate(network)
        self.n_latents = network.n_latents
        self._network = network
        self._half = half
        self._condition = lru_cache(maxsize=32)(self._new_condition)
        self._names = [f"z{i + 1}" for i in range(self.n_latents)]
        self._fixed = FixedCondition(self._new_condition(1.0))
        self._setting = Setting(network, self._fixed, TABLES, self._device, self._relaxed)
        self._encodings = PerSize(partial(Encoding, self._setting), self._device)
        self._decodings = PerSize(partial(Decoding, self._setting), self._device)
        self._lock = Lock()  # steps work at fixed addresses

    def encode(self, image: Image, parameter: float) -> list[Latent]:
        """Return the latents of an image, sides multiples of STRIDE; the parameter is lambda."""
        with self._lock:
            with stage("transform"):
                steps = self._encodings(*image.shape[:2])
                self._fixed.assign(self._condition(parameter))
                steps.start(image)
            with stage("copies"):
                results = steps.symbols, steps.scales, steps.bits, steps.values
                *fetched, codable = fetch_all([*results, steps.codable], self._device)
        if not codable:
            raise EncoderError(UNCODABLE)
        ends = np.cumsum([shape.n for shape in steps.shapes])[:-1]
        parts = zip(*(np.split(array, ends) for array in fetched), strict=True)
        return [
            self._latent(name, shape, *part)
            for name, shape, part in zip(self._names, steps.shapes, parts, strict=True)
        ]

    def decode(
        self, segments: Sequence[bytes | None], height: int, width: int, parameter: float
    ) -> FloatImage:
        """Return the image of some latents; the prior mean replaces those that are None."""
        with self._lock:
            with stage("transform"):
                steps = self._decodings(height, width)
                self._fixed.assign(self._condition(parameter))
            for i, segment in enumerate(segments):
                try:
                    self._decode_latent(steps, i, segment)
                except BitstreamError as error:
                    raise BitstreamError(f"latent {self._names[i]}: {error}") from None
            with stage("transform"):
                steps.run[-1]()
            with stage("copies"):
                pixels = fetch(steps.pixels)
                wait(self._device)
            return pixels.numpy()

    def _decode_latent(self, steps: Decoding, i: int, segment: bytes | None) -> None:
        stream, decoder = steps.streams[i], None
        if segment is not None:
            with stage("entropy coding"):
                decoder = ScaleDecoder(self._names[i], segment, TABLES, steps.shapes[i].n)
            with stage("copies"):
                stream.begin(decoder)
        with stage("entropy parameters"):
            steps.run[i]()
        if decoder is None:
            stream.symbols.zero_()
        else:
            stream.decode(0, decoder)
            stream.finish(decoder)

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

    def tensor(self, array: npt.NDArray[np.float32] | Symbols) -> Tensor:
        """(channels, height, width) as a batch of one on the network's device."""
        return torch.from_numpy(array).to(self._device, torch.float32)[None]

    def _latent(
        self,
        name: str,
        shape: LatentShape,
        symbols: Symbols,
        scales: npt.NDArray[np.float32],
        bits: npt.NDArray[np.float32],
        values: npt.NDArray[np.float32],
    ) -> Latent:
        with stage("entropy coding"):
            encoder = ScaleEncoder(name, TABLES, MARGIN)
            encoder.put(symbols, scales)
            data = encoder.finish()
        arrays: Any = (
            np.moveaxis(array.reshape(shape), -1, 0) for array in (symbols, bits, values)
        )
        return Latent(name, data, *arrays)

    def _start(self, height: int, width: int) -> Tensor:
        return self._network.start(-(-height // STRIDE), -(-width // STRIDE))

    def _new_condition(self, lambda_: float) -> Condition:
        """Made by one thread, because the sums of its small products depend on the number."""
        with threads(1):
            condition = self._network.condition(torch.tensor([lambda_]))
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


def _array(tensor: Tensor) -> npt.NDArray[Any]:
    """A batch of one as (channels, height, width), in the memory layout it has."""
    array: npt.NDArray[Any] = tensor[0].cpu().numpy()
    return array
