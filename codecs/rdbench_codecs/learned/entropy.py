"""Entropy coding of integer symbols with tables of probabilities; any int32 is coded exactly.

A table holds a probability mass function over a finite range of integers and gives what is left to
an escape symbol; what falls outside the range follows as plain bytes. Symbols that use the same
table are coded together, so one call of the coder (asymmetric numeral systems of the library
``constriction``) serves many symbols.

An empty coder loses 24 bits to its first symbol. Those bits hold a check instead: 24 bits of the
CRC-32 of all integers of the stream, with which the decoder proves what it has decoded.
"""

import zlib
from collections.abc import Iterator, Sequence

import constriction
import numpy as np
import numpy.typing as npt

from rdbench.errors import BitstreamError

Symbols = npt.NDArray[np.int32]

_MIN_PROBABILITY = 2.0**-24  # resolution of the coder
_TAIL_MASS = 2.0**-22  # left outside the range of a Gaussian table, both sides together
_CHECK = constriction.stream.model.Uniform(2**24)
_BYTE = constriction.stream.model.Uniform(256)
_N_BYTES = constriction.stream.model.Uniform(4)


class CategoricalTables:
    """Probability tables over integers, one for each index.

    Args:
        pmfs: pmfs[i][k] is the probability of the symbol offsets[i] + k under table i. What is
            missing to a sum of 1 is the probability of the escape symbol.
        offsets: the least symbol of each table.
    """

    def __init__(
        self, pmfs: Sequence[npt.NDArray[np.float64]], offsets: Sequence[int] | npt.NDArray[np.int_]
    ) -> None:
        self.offsets = np.asarray(offsets, np.int32)
        self.sizes = np.array([len(pmf) for pmf in pmfs], np.int32)
        if len(self.offsets) != len(self.sizes) or len(self.sizes) > 2**16:
            raise ValueError("as many offsets as tables are needed, and at most 65536 of them")
        complete = [_with_escape(np.asarray(pmf, np.float64)) for pmf in pmfs]
        self._bits = [-np.log2(pmf) for pmf in complete]
        self._models = [
            constriction.stream.model.Categorical(pmf, perfect=False) for pmf in complete
        ]

    def __len__(self) -> int:
        return len(self._models)

    def bits(self, symbols: Symbols, indexes: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
        """Code length of each symbol in bits under its table, escapes with the bytes they take.

        Args:
            symbols: int32, any shape.
            indexes: table of each symbol, same shape.
        """
        flat, which = symbols.ravel(), indexes.ravel()
        category, escaped = self._categories(flat, which)
        starts = np.concatenate([[0], np.cumsum(self.sizes[:-1].astype(np.int64) + 1)])
        bits: npt.NDArray[np.float64] = np.concatenate(self._bits)[starts[which] + category]
        bits[escaped] += 2 + 8 * _n_bytes(_zigzag(flat[escaped]))
        return bits.reshape(symbols.shape)

    def least_bits(self) -> npt.NDArray[np.float64]:
        """Code length of the cheapest symbol of each table, (n_tables,)."""
        return np.array([bits.min() for bits in self._bits])

    def _categories(
        self, symbols: Symbols, indexes: npt.NDArray[np.integer]
    ) -> tuple[Symbols, npt.NDArray[np.bool_]]:
        """Position of each symbol in its table, the position past the end for an escape."""
        sizes = self.sizes[indexes].view(np.uint32)
        # Modulo 2**32 a symbol before the first one lies far past the last.
        position = (symbols - self.offsets[indexes]).view(np.uint32)
        return np.minimum(position, sizes).view(np.int32), position >= sizes

    def _compact(
        self, indexes: npt.NDArray[np.integer]
    ) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
        """Indexes in the type that is fastest to sort."""
        if len(self) <= 2**8:
            return indexes.astype(np.uint8, copy=False)
        return indexes.astype(np.uint16, copy=False)

    def _groups(
        self, indexes: npt.NDArray[np.integer]
    ) -> tuple[npt.NDArray[np.intp], list[tuple[int, slice]]]:
        """An order that brings equal indexes together, and the (index, slice) of each group."""
        if indexes.size and indexes.max() >= len(self):
            raise ValueError(f"index {indexes.max()}, but there are {len(self)} tables")
        compact = self._compact(indexes)
        order = np.argsort(compact, kind="stable")
        counts = np.bincount(compact, minlength=len(self))
        ends = np.cumsum(counts)
        used = np.flatnonzero(counts)
        return order, [(int(i), slice(int(ends[i] - counts[i]), int(ends[i]))) for i in used]


class GaussianTables(CategoricalTables):
    """Zero-mean Gaussians integrated over [k - 1/2, k + 1/2], one table for each range of scales.

    Table i serves the scales above scales[i - 1] and up to scales[i]. Its Gaussian has their
    geometric mean as its scale, so that rounding a scale to a table is right on average. (Coders
    that take scales[i] itself spend 2 % more where symbols spread less than their priors.)

    Args:
        scales: standard deviations, increasing; table 0 has the first one itself.
    """

    def __init__(self, scales: npt.NDArray[np.float64]) -> None:
        scales = np.asarray(scales, np.float64)
        if np.any(np.diff(scales) <= 0) or scales[0] <= 0:
            raise ValueError("scales must be positive and increasing")
        middles = np.sqrt(scales * np.concatenate([scales[:1], scales[:-1]]))
        pmfs = [_gaussian_pmf(float(scale)) for scale in middles]
        super().__init__(pmfs, [-(len(pmf) // 2) for pmf in pmfs])
        self.scales = scales.astype(np.float32)

    def index(
        self, scale: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
        """The first table whose range reaches up to each scale; the last for larger scales."""
        return self._compact(np.searchsorted(self.scales[:-1], scale))


class SymbolEncoder:
    """Codes symbols in the order in which they are put.

    Args:
        tables: the probability tables.
    """

    def __init__(self, tables: CategoricalTables) -> None:
        self._tables = tables
        self._runs: list[tuple[object, Symbols]] = []
        self._crc = 0

    def put(self, symbols: Symbols, indexes: npt.NDArray[np.integer]) -> None:
        """Append symbols.

        Args:
            symbols: int32, (n,).
            indexes: table of each symbol, (n,).
        """
        symbols = np.ascontiguousarray(symbols, np.int32)
        order, groups = self._tables._groups(indexes)
        in_order = symbols[order]
        category, escaped = self._tables._categories(in_order, indexes[order])
        self._runs += [(self._tables._models[i], category[part]) for i, part in groups]
        self._runs += _escape_runs(_zigzag(in_order[escaped]))
        self._crc = zlib.crc32(symbols.data, self._crc)

    def finish(self) -> bytes:
        """The bytes that SymbolDecoder takes."""
        coder = constriction.stream.stack.AnsCoder()
        coder.encode_reverse(self._crc & 0xFFFFFF, _CHECK)
        for model, symbols in reversed(self._runs):
            coder.encode_reverse(symbols, model)
        # The last word is never 0, so its high zero bytes need not be kept.
        return bytes(coder.get_compressed().astype("<u4").tobytes().rstrip(b"\0"))


class SymbolDecoder:
    """Decodes what SymbolEncoder made, by the same sequence of calls.

    Args:
        data: the encoder's bytes. Corrupt bytes give wrong symbols, of which `finish` tells.
        tables: the encoder's tables.
    """

    def __init__(self, data: bytes, tables: CategoricalTables) -> None:
        words = np.frombuffer(data + bytes(-len(data) % 4), "<u4").astype(np.uint32)
        if data.endswith(b"\0"):
            raise BitstreamError(
                "the entropy-coded data ends in zero bytes, which no encoder writes"
            )
        self._tables = tables
        self._coder = constriction.stream.stack.AnsCoder(words)
        self._crc = 0

    def get(self, indexes: npt.NDArray[np.integer]) -> Symbols:
        """The next symbols, int32, (n,), given the table of each."""
        order, groups = self._tables._groups(indexes)
        category = np.empty(len(order), np.int32)
        for i, part in groups:
            category[part] = self._coder.decode(self._tables._models[i], part.stop - part.start)
        sorted_indexes = indexes[order]
        symbols: Symbols = category + self._tables.offsets[sorted_indexes]
        escaped = np.flatnonzero(category == self._tables.sizes[sorted_indexes])
        symbols[escaped] = self._escaped_values(len(escaped))
        result: Symbols = np.empty_like(symbols)
        result[order] = symbols
        self._crc = zlib.crc32(result.data, self._crc)
        return result

    def finish(self) -> None:
        """Raise BitstreamError unless exactly the encoder's integers have been decoded."""
        check = int(self._coder.decode(_CHECK))
        if check != self._crc & 0xFFFFFF or not self._coder.is_empty():
            raise BitstreamError("the decoded integers are not the encoder's (CRC mismatch)")

    def _escaped_values(self, n: int) -> Symbols:
        if n == 0:
            return np.empty(0, np.int32)
        n_bytes = 1 + self._coder.decode(_N_BYTES, n)
        value = np.zeros(n, np.uint32)
        for position in range(4):
            longer = np.flatnonzero(n_bytes > position)
            if longer.size:
                byte = self._coder.decode(_BYTE, longer.size).astype(np.uint32)
                value[longer] |= byte << np.uint32(8 * position)
        return _unzigzag(value)


def _with_escape(pmf: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The probabilities that the coder uses: none under its resolution, the escape's appended."""
    if pmf.ndim != 1 or not np.all(pmf >= 0):
        raise ValueError("a probability table is one row of numbers that are not negative")
    complete = np.maximum(np.append(pmf, 1 - pmf.sum()), _MIN_PROBABILITY)
    normalized: npt.NDArray[np.float64] = complete / complete.sum()
    return normalized


def _gaussian_pmf(scale: float) -> npt.NDArray[np.float64]:
    from scipy.special import ndtr, ndtri

    radius = max(1, int(np.ceil(-scale * ndtri(_TAIL_MASS / 2) - 0.5)))
    distance = np.abs(np.arange(-radius, radius + 1))
    pmf: npt.NDArray[np.float64] = ndtr((0.5 - distance) / scale) - ndtr((-0.5 - distance) / scale)
    return pmf


def _zigzag(symbols: Symbols) -> npt.NDArray[np.uint32]:
    """0, -1, 1, -2, ... as 0, 1, 2, 3, ..."""
    folded: npt.NDArray[np.uint32] = ((symbols << 1) ^ (symbols >> 31)).view(np.uint32)
    return folded


def _unzigzag(value: npt.NDArray[np.uint32]) -> Symbols:
    unfolded: Symbols = ((value >> np.uint32(1)) ^ -(value & np.uint32(1))).view(np.int32)
    return unfolded


def _n_bytes(value: npt.NDArray[np.uint32]) -> Symbols:
    """Bytes that hold each value, 1 to 4."""
    limits = np.array([1 << 8, 1 << 16, 1 << 24])
    return 1 + np.searchsorted(limits, value, side="right").astype(np.int32)


def _escape_runs(value: npt.NDArray[np.uint32]) -> Iterator[tuple[object, Symbols]]:
    """What codes escaped values: how many bytes each takes, then all first bytes, and so on."""
    if value.size == 0:
        return
    n_bytes = _n_bytes(value)
    yield _N_BYTES, n_bytes - 1
    for position in range(4):
        rest = value[n_bytes > position] >> np.uint32(8 * position)
        if rest.size:
            yield _BYTE, (rest & np.uint32(255)).astype(np.int32)
