"""Images to latents and back, with one of the networks.

What encoder and decoder must agree on, the scales of the Gaussians of y, is computed on one thread:
matrix products round differently when they are shared out differently. Other machines round
differently all the same; entropy.py leaves a margin for that.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rdbench.errors import BitstreamError
from rdbench.stages import stage
from rdbench.types import Image
from rdbench_codecs.hyperprior.layers import times
from rdbench_codecs.hyperprior.networks import FactorizedPrior, Network, RatePoint, ScaleHyperprior
from rdbench_codecs.hyperprior.priors import (
    gaussian_likelihood,
    gaussian_tables,
    ideal_bits,
)
from rdbench_codecs.hyperprior.rates import POINTS
from rdbench_codecs.learned.base import FloatImage, Latent
from rdbench_codecs.learned.entropy import (
    CategoricalTables,
    ScaleDecoder,
    ScaleEncoder,
    SymbolDecoder,
    SymbolEncoder,
)
from rdbench_codecs.learned.runtime import integers, threads

_CODER_STATE_BITS = 128  # that the entropy coder may hold beyond its bytes


class Model(ABC):
    """A network ready for coding.

    Args:
        network: in evaluation mode, on its device.
        method: what makes its rate variable, a key of POINTS.
        device: where the network is.
    """

    n_latents: int

    def __init__(self, network: Network, method: str, device: str) -> None:
        self.network, self._method, self._device = network, method, device

    def encode(self, image: Image, parameter: float) -> list[Latent]:
        """Return the latents of an image, sides multiples of 64, at a rate parameter."""
        with stage("copies"):
            pixels = torch.from_numpy(image).to(self._device)
            x = pixels.permute(2, 0, 1)[None].float().div_(255)
        return self.encode_at(x, POINTS[self._method](self.network, parameter))

    def decode(
        self, segments: Sequence[bytes | None], height: int, width: int, parameter: float
    ) -> FloatImage:
        """Return the image, (height, width, 3), of the segments of a file."""
        point = POINTS[self._method](self.network, parameter)
        whole = cast(Sequence[bytes], segments)
        x_hat = self.decode_at(whole, height, width, point).clamp_(0, 1)
        with stage("copies"):
            pixels: FloatImage = x_hat[0].permute(1, 2, 0).cpu().numpy()
        return pixels

    def regulators(self) -> list[float]:
        """Return QVRF's regulators, none where the weights are of a fixed rate."""
        gain: Tensor = getattr(self.network, "Gain", torch.empty(0))
        regulators: list[float] = gain.tolist()
        return regulators

    @abstractmethod
    def encode_at(self, x: Tensor, point: RatePoint) -> list[Latent]:
        """Return the latents in file order.

        Args:
            x: (1, 3, height, width), 1 is white.
            point: the rate.

        Raises:
            EncoderError: the latents contain NaN or values that are too large.
        """

    @abstractmethod
    def decode_at(
        self, segments: Sequence[bytes], height: int, width: int, point: RatePoint
    ) -> Tensor:
        """Return the image, (1, 3, height, width), not clamped.

        Raises:
            BitstreamError: the latents are not what the encoder wrote.
        """


def make_model(network: Network, method: str, device: str) -> Model:
    """Return the model of a network, which is on its device and in evaluation mode."""
    kind = FactorizedModel if isinstance(network, FactorizedPrior) else HyperpriorModel
    return kind(network, method, device)


class FactorizedModel(Model):
    """y alone, with the factorized prior."""

    n_latents = 1

    def __init__(self, network: Network, method: str, device: str) -> None:
        super().__init__(network, method, device)
        self._latent = _FactorizedLatent(network, "y")

    def encode_at(self, x: Tensor, point: RatePoint) -> list[Latent]:
        with stage("transform"):
            y = self.network.analysis(x, point)
        return [self._latent.encode(y)[1]]

    def decode_at(
        self, segments: Sequence[bytes], height: int, width: int, point: RatePoint
    ) -> Tensor:
        y_hat = self._latent.decode(segments[0], height // 16, width // 16)
        with stage("transform"):
            return self.network.synthesis(y_hat, y_hat, point)


class HyperpriorModel(Model):
    """z with the factorized prior, then y with the Gaussians that z and the network give."""

    n_latents = 2
    network: ScaleHyperprior

    def __init__(self, network: Network, method: str, device: str) -> None:
        super().__init__(network, method, device)
        self._z = _FactorizedLatent(network, "z")
        self._y_tables = gaussian_tables()

    def encode_at(self, x: Tensor, point: RatePoint) -> list[Latent]:
        network = self.network
        with stage("transform"):
            y = network.analysis(x, point)
            z = network.hyper_analysis(y, point)
        z_hat, coded_z = self._z.encode(z)

        # The decoder asks for y position by position; here the answer is taken from y itself, and
        # kept with its scale to count the ideal bits.
        targets = y.flatten(2).transpose(1, 2)
        all_rounded, all_scales = torch.empty_like(targets), torch.empty_like(targets)
        encoder = ScaleEncoder("y", self._y_tables)

        def quantize(positions: slice, mean: Tensor, scale: Tensor) -> Tensor:
            rounded = times(targets[:, positions] - mean, point.regulator).round()
            with stage("entropy coding"):
                encoder.put(integers(rounded).ravel(), _flat(scale))
            all_rounded[:, positions], all_scales[:, positions] = rounded, scale
            return rounded

        with threads(1), stage("entropy parameters"):
            y_hat = network.decode_y(network.hyper_synthesis(z_hat, point), point, quantize)
        bits = ideal_bits(gaussian_likelihood(all_rounded, all_scales))
        shape = y.shape[1:]
        symbols = integers(all_rounded)[0].T.reshape(shape)
        with stage("entropy coding"):
            data = encoder.finish()
        return [coded_z, Latent("y", data, symbols, bits[0].T.reshape(shape), _array(y_hat))]

    def decode_at(
        self, segments: Sequence[bytes], height: int, width: int, point: RatePoint
    ) -> Tensor:
        z_data, y_data = segments
        z_hat = self._z.decode(z_data, height // 64, width // 64)
        n_symbols = self.network.m * (height // 16) * (width // 16)
        decoder = ScaleDecoder("y", y_data, self._y_tables, n_symbols)

        def quantize(positions: slice, mean: Tensor, scale: Tensor) -> Tensor:
            with stage("entropy coding"):
                symbols = decoder.get_scaled(_flat(scale))
            return torch.from_numpy(symbols).to(mean).reshape(mean.shape)

        with threads(1), stage("entropy parameters"):
            features = self.network.hyper_synthesis(z_hat, point)
            y_hat = self.network.decode_y(features, point, quantize)
        decoder.finish()
        with stage("transform"):
            return self.network.synthesis(y_hat, z_hat, point)


class _FactorizedLatent:
    """A latent coded with the factorized prior, rounded around its medians."""

    def __init__(self, network: Network, name: str) -> None:
        self._prior, self._name = network.entropy_bottleneck, name
        self._medians = self._prior.medians
        self._tables: CategoricalTables = self._prior.tables()
        self._least_bits = float(self._tables.least_bits().sum())  # of one position

    def encode(self, latent: Tensor) -> tuple[Tensor, Latent]:
        """The decoded latent, and its code."""
        rounded = (latent - self._medians).round()
        symbols = integers(rounded)[0]
        with stage("entropy coding"):
            encoder = SymbolEncoder(self._tables)
            encoder.put(symbols.ravel(), self._indexes(*symbols.shape))
            data = encoder.finish()
        decoded = rounded + self._medians
        bits = ideal_bits(self._prior.likelihood(decoded))
        return decoded, Latent(self._name, data, symbols, bits[0], _array(decoded))

    def decode(self, data: bytes, height: int, width: int) -> Tensor:
        """The latent, (1, channels, height, width)."""
        n_channels = len(self._medians)
        # A forged header may claim a huge image: refuse it before arrays are made.
        if self._least_bits * height * width > 1.01 * 8 * len(data) + _CODER_STATE_BITS:
            raise BitstreamError(
                f"latent {self._name} has {len(data)} bytes, too few for an image of the size "
                "that the header claims"
            )
        with stage("entropy coding"):
            decoder = SymbolDecoder(data, self._tables)
            symbols = decoder.get(self._indexes(n_channels, height, width))
            decoder.finish()
        return (
            torch.from_numpy(symbols).to(self._medians).reshape(1, n_channels, height, width)
            + self._medians
        )

    @staticmethod
    def _indexes(n_channels: int, height: int, width: int) -> npt.NDArray[np.int64]:
        return np.repeat(np.arange(n_channels), height * width)


def _flat(scale: Tensor) -> npt.NDArray[np.float32]:
    scales: npt.NDArray[np.float32] = scale.reshape(-1).cpu().numpy()
    return scales


def _array(tensor: Tensor) -> npt.NDArray[Any]:
    """A batch of one as (channels, height, width)."""
    array: npt.NDArray[Any] = tensor[0].cpu().numpy()
    return array
