"""Images to latents and back, with one of the networks.

What encoder and decoder must agree on, the scales of the Gaussians of y, is computed on one thread:
matrix products round differently when they are shared out differently. Other machines round
differently all the same; entropy.py leaves a margin for that.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from threading import Lock
from typing import cast

import numpy as np
import torch
from torch import Tensor

from rdbench.stages import stage
from rdbench.types import Image
from rdbench_codecs.hyperprior.factorized import FactorizedLatent, is_codable
from rdbench_codecs.hyperprior.networks import FactorizedPrior, Network, RatePoint, ScaleHyperprior
from rdbench_codecs.hyperprior.priors import gaussian_tables
from rdbench_codecs.hyperprior.rates import POINTS
from rdbench_codecs.hyperprior.steps import Decoding, Encoding, FixedPoint, Setting
from rdbench_codecs.learned.base import STRIDE, FloatImage, Latent
from rdbench_codecs.learned.entropy import ScaleDecoder, ScaleEncoder, Symbols
from rdbench_codecs.learned.graphs import PerSize, fetch, fetch_all, wait
from rdbench_codecs.learned.runtime import threads

_SPARE = 0.004
"""Part of the bits of y that a wider margin may take.

Networks drift more at higher rates, where the moves of boundaries are a smaller part of the file.
"""


class Model(ABC):
    """A network ready for coding.

    Args:
        network: in evaluation mode, on its device.
        method: what makes its rate variable, a key of POINTS.
        device: where the network is.
    """

    n_latents: int

    def __init__(self, network: Network, method: str, device: str) -> None:
        self.network, self._method, self._device = network, method, torch.device(device)

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
            pixels = fetch(x_hat[0].permute(1, 2, 0))
            wait(self._device)
        return pixels.numpy()

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
        self._latent = FactorizedLatent(network, "y")

    def encode_at(self, x: Tensor, point: RatePoint) -> list[Latent]:
        with stage("transform"):
            rounded = self._latent.quantize(self.network.analysis(x, point))
            codable = is_codable(rounded.symbols)
        with stage("copies"):
            arrays = fetch_all([*rounded, codable], self._device)
        return [self._latent.code(*arrays)]

    def decode_at(
        self, segments: Sequence[bytes], height: int, width: int, point: RatePoint
    ) -> Tensor:
        symbols = self._latent.symbols(segments[0], height // 16, width // 16)
        with stage("copies"):
            y_hat = self._latent.value(torch.from_numpy(symbols).to(self._device))
        with stage("transform"):
            return self.network.synthesis(y_hat, y_hat, point)


class HyperpriorModel(Model):
    """z with the factorized prior, then y with the Gaussians that z and the network give."""

    n_latents = 2
    network: ScaleHyperprior

    def __init__(self, network: Network, method: str, device: str) -> None:
        super().__init__(network, method, device)
        self._z = FactorizedLatent(network, "z")
        self._y_tables = gaussian_tables()
        # A point at which every setting of the method differs from its default.
        self._fixed = FixedPoint(POINTS[method](network, 0.5), self._device)
        self._encodings = PerSize(self._new_encoding, self._device)
        self._decodings = PerSize(self._new_decoding, self._device)
        self._lock = Lock()  # steps work at fixed addresses

    def encode_at(self, x: Tensor, point: RatePoint) -> list[Latent]:
        with self._lock:
            with stage("transform"):
                self._set(point)
                steps = self._encodings(x.shape[2], x.shape[3])
                steps.start(x)
            with stage("copies"):
                z = fetch_all([*steps.z, steps.codable], self._device)
                y = fetch_all([*steps.y, steps.symbols, steps.scales], self._device)
        coded_z, (rounded, bits, values, symbols, scales) = self._z.code(*z), y
        with stage("entropy coding"):
            spare_bits = _SPARE * float(bits.sum())
            encoder = ScaleEncoder("y", self._y_tables, self.network.drift_margin, spare_bits)
            ends = np.cumsum(steps.sizes)[:-1]
            for part in zip(np.split(symbols, ends), np.split(scales, ends), strict=True):
                encoder.put(*part)
            data = encoder.finish()
        return [coded_z, Latent("y", data, rounded.astype(np.int32), bits, values)]

    def decode_at(
        self, segments: Sequence[bytes], height: int, width: int, point: RatePoint
    ) -> Tensor:
        z_data, y_data = segments
        z = self._z.symbols(z_data, height // STRIDE, width // STRIDE)
        n_symbols = self.network.m * (height // 16) * (width // 16)
        with stage("entropy coding"):
            decoder = ScaleDecoder("y", y_data, self._y_tables, n_symbols)
        with self._lock:
            with stage("transform"):
                self._set(point)
                steps = self._decodings(height, width)
            with threads(1):
                self._decode_y(steps, z, decoder)
            with stage("transform"):
                steps.run[-1]()
            return steps.image.clone()

    def _decode_y(self, steps: Decoding, z: Symbols, decoder: ScaleDecoder) -> None:
        with stage("copies"):
            steps.z.put(z)
            steps.stream.begin(decoder)
        for k, run in enumerate(steps.run[:-1]):
            with stage("entropy parameters"):
                run()
            steps.stream.decode(k, decoder)
        steps.stream.finish(decoder)

    def _set(self, point: RatePoint) -> None:
        self._point = point
        self._fixed.assign(point)

    def _setting(self, recorded: bool) -> Setting:
        """What is recorded works at the fixed point, whose numbers change."""
        point = self._fixed.point if recorded else self._point
        return Setting(self.network, point, self._z, self._y_tables, self._device)

    def _new_encoding(self, height: int, width: int, recorded: bool) -> Encoding:
        return Encoding(self._setting(recorded), height, width, recorded)

    def _new_decoding(self, height: int, width: int, recorded: bool) -> Decoding:
        return Decoding(self._setting(recorded), height, width, recorded)
