"""Images to coded latents and back, with one of the networks.

What encoder and decoder must agree on to the last bit, the parameters of the Gaussians of y, is
computed on one thread: matrix products round differently when they are shared out differently.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rdbench.errors import BitstreamError, EncoderError
from rdbench.stages import stage
from rdbench_codecs.hyperprior.layers import times
from rdbench_codecs.hyperprior.networks import FactorizedPrior, Network, RatePoint, ScaleHyperprior
from rdbench_codecs.hyperprior.priors import (
    gaussian_likelihood,
    gaussian_tables,
    ideal_bits,
    nearest_table,
)
from rdbench_codecs.learned.entropy import CategoricalTables, SymbolDecoder, SymbolEncoder

_MAX_SYMBOL = 2.0**30
_CODER_STATE_BITS = 128  # that the entropy coder may hold beyond its bytes


@dataclass(frozen=True, eq=False)
class CodedLatent:
    """One latent of an image.

    Attributes:
        name: ``z`` or ``y``.
        data: its bytes in the file.
        symbols: the integers, (channels, height, width).
        ideal_bits: code length of each under the network's own densities, same shape.
    """

    name: str
    data: bytes
    symbols: npt.NDArray[np.int32]
    ideal_bits: npt.NDArray[np.float32]


class Coder(ABC):
    """Codes images whose sides are multiples of 64."""

    @abstractmethod
    def encode(self, x: Tensor, point: RatePoint) -> list[CodedLatent]:
        """Latents of an image in the order of the file.

        Args:
            x: (1, 3, height, width), 1 is white.
            point: the rate.

        Raises:
            EncoderError: the network gives values that are no numbers or too large.
        """

    @abstractmethod
    def decode(self, latents: Sequence[bytes], height: int, width: int, point: RatePoint) -> Tensor:
        """The image, (1, 3, height, width), not clamped.

        Raises:
            BitstreamError: the latents are not what the encoder wrote.
        """


def make_coder(network: Network) -> Coder:
    """The coder of a network, which is on its device and in evaluation mode."""
    if isinstance(network, FactorizedPrior):
        return FactorizedCoder(network)
    return HyperpriorCoder(cast(ScaleHyperprior, network))


class FactorizedCoder(Coder):
    """y alone, with the factorized prior."""

    def __init__(self, network: FactorizedPrior) -> None:
        self._network = network
        self._latent = _FactorizedLatent(network, "y")

    def encode(self, x: Tensor, point: RatePoint) -> list[CodedLatent]:
        with stage("transform"):
            y = self._network.analysis(x, point)
        _, coded = self._latent.encode(y)
        return [coded]

    def decode(self, latents: Sequence[bytes], height: int, width: int, point: RatePoint) -> Tensor:
        (data,) = _expect(latents, 1)
        y_hat = self._latent.decode(data, height // 16, width // 16)
        with stage("transform"):
            return self._network.synthesis(y_hat, y_hat, point)


class HyperpriorCoder(Coder):
    """z with the factorized prior, then y with the Gaussians that z and the network give."""

    def __init__(self, network: ScaleHyperprior) -> None:
        self._network = network
        self._z = _FactorizedLatent(network, "z")
        self._y_tables = gaussian_tables()

    def encode(self, x: Tensor, point: RatePoint) -> list[CodedLatent]:
        network = self._network
        with stage("transform"):
            y = network.analysis(x, point)
            z = network.hyper_analysis(y, point)
        z_hat, coded_z = self._z.encode(z)

        targets = y.flatten(2).transpose(1, 2)
        all_integers, all_scales = torch.empty_like(targets), torch.empty_like(targets)
        encoder = SymbolEncoder(self._y_tables)

        def quantize(positions: slice, mean: Tensor, scale: Tensor) -> Tensor:
            integers = times(targets[:, positions] - mean, point.regulator).round()
            with stage("entropy coding"):
                encoder.put(_symbols(integers).ravel(), nearest_table(scale))
            all_integers[:, positions], all_scales[:, positions] = integers, scale
            return integers

        with n_threads(1), stage("entropy parameters"):
            network.decode_y(network.hyper_synthesis(z_hat, point), point, quantize)
        bits = ideal_bits(gaussian_likelihood(all_integers, all_scales))
        shape = y.shape[1:]
        symbols = _symbols(all_integers)[0].T.reshape(shape)
        with stage("entropy coding"):
            data = encoder.finish()
        coded_y = CodedLatent("y", data, symbols, bits[0].T.reshape(shape))
        return [coded_z, coded_y]

    def decode(self, latents: Sequence[bytes], height: int, width: int, point: RatePoint) -> Tensor:
        z_data, y_data = _expect(latents, 2)
        z_hat = self._z.decode(z_data, height // 64, width // 64)
        decoder = SymbolDecoder(y_data, self._y_tables)

        def quantize(positions: slice, mean: Tensor, scale: Tensor) -> Tensor:
            with stage("entropy coding"):
                symbols = decoder.get(nearest_table(scale))
            return torch.from_numpy(symbols).to(mean).reshape(mean.shape)

        with n_threads(1), stage("entropy parameters"):
            features = self._network.hyper_synthesis(z_hat, point)
            y_hat = self._network.decode_y(features, point, quantize)
        decoder.finish()
        with stage("transform"):
            return self._network.synthesis(y_hat, z_hat, point)


class _FactorizedLatent:
    """A latent coded with the factorized prior, rounded around its medians."""

    def __init__(self, network: Network, name: str) -> None:
        self._prior, self._name = network.entropy_bottleneck, name
        self._medians = self._prior.medians
        self._tables: CategoricalTables = self._prior.tables()
        self._least_bits = float(self._tables.least_bits().sum())  # of one position

    def encode(self, latent: Tensor) -> tuple[Tensor, CodedLatent]:
        """The decoded latent, and its code."""
        integers = (latent - self._medians).round()
        symbols = _symbols(integers)[0]
        with stage("entropy coding"):
            encoder = SymbolEncoder(self._tables)
            encoder.put(symbols.ravel(), self._indexes(*symbols.shape))
            data = encoder.finish()
        decoded = integers + self._medians
        bits = ideal_bits(self._prior.likelihood(decoded))
        return decoded, CodedLatent(self._name, data, symbols, bits[0])

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


@contextmanager
def n_threads(n: int | None) -> Iterator[None]:
    """Let torch use n threads inside; None leaves it as it is."""
    before = torch.get_num_threads()
    torch.set_num_threads(n or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _symbols(integers: Tensor) -> npt.NDArray[np.int32]:
    """Rounded values as integers for the entropy coder."""
    if not bool((integers.abs() <= _MAX_SYMBOL).all()):
        raise EncoderError("the network's latents are no numbers or too large to code")
    symbols: npt.NDArray[np.int32] = integers.to(torch.int32).cpu().numpy()
    return symbols


def _expect(latents: Sequence[bytes], n: int) -> Sequence[bytes]:
    if len(latents) != n:
        raise BitstreamError(f"the file has {len(latents)} latents, this network has {n}")
    return latents
