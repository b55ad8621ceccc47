"""A latent that is coded with the factorized prior."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rdbench.errors import BitstreamError, EncoderError
from rdbench.stages import stage
from rdbench_codecs.hyperprior.networks import Network
from rdbench_codecs.learned.base import Latent
from rdbench_codecs.learned.entropy import (
    CategoricalTables,
    SymbolDecoder,
    SymbolEncoder,
    Symbols,
)
from rdbench_codecs.learned.runtime import MAX_SYMBOL, UNCODABLE

_CODER_STATE_BITS = 128  # that the entropy coder may hold beyond its bytes


class Rounded(NamedTuple):
    """A latent after rounding; every tensor is (1, channels, height, width).

    Attributes:
        symbols: the integers.
        bits: ideal code length of each.
        value: the latent as the decoder sees it.
    """

    symbols: Tensor
    bits: Tensor
    value: Tensor


def is_codable(*rounded: Tensor) -> Tensor:
    """Return whether no integer is NaN or too large."""
    result: Tensor = rounded[0].new_ones((), dtype=torch.bool)
    for tensor in rounded:
        result = result & (tensor.abs() <= MAX_SYMBOL).all()
    return result


class FactorizedLatent:
    """A latent coded with the factorized prior, rounded around its medians."""

    def __init__(self, network: Network, name: str) -> None:
        self._prior, self._name = network.entropy_bottleneck, name
        self._medians = self._prior.medians
        self._tables: CategoricalTables = self._prior.tables()
        self._least_bits = float(self._tables.least_bits().sum())  # of one position

    def quantize(self, latent: Tensor) -> Rounded:
        """Return the latent's integers."""
        rounded = (latent - self._medians).round()
        value = rounded + self._medians
        return Rounded(rounded, -self._prior.likelihood(value).log2(), value)

    def value(self, symbols: Tensor) -> Tensor:
        """Return the latent, (1, channels, height, width), of its integers."""
        return symbols[None].to(self._medians) + self._medians

    def code(
        self,
        rounded: npt.NDArray[np.float32],
        bits: npt.NDArray[np.float32],
        value: npt.NDArray[np.float32],
        codable: npt.NDArray[np.bool_],
    ) -> Latent:
        """Return the code of what `quantize` gave, (channels, height, width) each.

        Args:
            rounded, bits, value: as in `Rounded`.
            codable: what `is_codable` says of the integers.

        Raises:
            EncoderError: it says no.
        """
        if not codable:
            raise EncoderError(UNCODABLE)
        symbols = rounded.astype(np.int32)
        with stage("entropy coding"):
            encoder = SymbolEncoder(self._tables)
            encoder.put(symbols.ravel(), self._indexes(*symbols.shape))
            data = encoder.finish()
        return Latent(self._name, data, symbols, bits, value)

    def symbols(self, data: bytes, height: int, width: int) -> Symbols:
        """Return the integers in a segment, (channels, height, width)."""
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
        return symbols.reshape(n_channels, height, width)

    @staticmethod
    def _indexes(n_channels: int, height: int, width: int) -> npt.NDArray[np.int64]:
        return np.repeat(np.arange(n_channels), height * width)
