"""Entropy coding of integer symbols with tables of probabilities; any int32 is coded exactly.

A table holds a probability mass function over a finite range of integers and gives what is left to
an escape symbol; what falls outside the range follows as plain bytes. Symbols that use the same
table are coded together, so one call of the coder (asymmetric numeral systems of the library
``constriction``) serves many symbols.

An empty coder loses 24 bits to its first symbol. Those bits hold a check instead: 24 bits of the
CRC-32 of all integers of the stream, with which the decoder proves what it has decoded.

Where a network gives the scale of each symbol, the scale chooses the table (`ScaleTables`). Another
machine computes scales that differ in their last bits, and one scale on the other side of a
boundary between two tables would make the rest of the stream unreadable. So the encoder moves the
boundaries, block by block, until no scale lies near one (`ScaleEncoder`): every decoder whose
scales differ by less than the margin chooses the same tables. The wider the margin, the longer the
list of moves.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Self

import constriction
import numpy as np
import numpy.typing as npt

from rdbench.errors import BitstreamError
from rdbench.stages import collects_entropy_parameters, tell_entropy_parameters

Symbols = npt.NDArray[np.int32]

_MIN_PROBABILITY = 2.0**-24  # resolution of the coder
_TAIL_MASS = 2.0**-22  # left outside the range of a Gaussian table, both sides together
_CHECK = constriction.stream.model.Uniform(2**24)
_BYTE = constriction.stream.model.Uniform(256)
_N_BYTES = constriction.stream.model.Uniform(4)

_BLOCK_GROWTH = 4
_BLOCK_SIZES: tuple[int, ...] = tuple(512 * _BLOCK_GROWTH**i for i in range(4))
SMALLEST_BLOCK = _BLOCK_SIZES[0]
_N_STEPS = 513  # between boundaries: one more than the symbols of the smallest block, see below
_WIDER = (0.45, 0.3)  # margins that are tried first, in steps; less than half a step
_RATIOS = (0.01, 0.05, 0.15, 0.3, 0.5, 0.7, 0.85, 0.95)  # of the geometric models of steps
_ERROR = 0.01  # of positions, in steps
_TINY = np.float32(
    1e-30
)  # least scale that is told from others: linear layers give negative ones, too
_LAYOUT = constriction.stream.model.Uniform(len(_BLOCK_SIZES) * len(_RATIOS))


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
    ) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """An order that brings equal indexes together, and where each group ends, (n_tables,)."""
        if indexes.size and indexes.max() >= len(self):
            raise ValueError(f"index {indexes.max()}, but there are {len(self)} tables")
        compact = self._compact(indexes)
        order = np.argsort(compact, kind="stable")
        counts = np.bincount(compact, minlength=len(self))
        return order, np.cumsum(counts)


class ScaleTables(CategoricalTables):
    """Probability tables for ranges of scales, whose boundaries are equal steps of log scale apart.

    Args:
        pmfs, offsets: as in CategoricalTables, by increasing scale.
        boundaries: largest scale of every table but the last.

    Boundaries can move up by 0 to 512 steps, all together; 513 steps are the distance to the next
    boundary. A scale is within less than half a step of a boundary at one number of steps at most.
    So a block of 512 symbols always has a number of steps that keeps the boundaries away from all
    its scales.
    """

    def __init__(
        self,
        pmfs: Sequence[npt.NDArray[np.float64]],
        offsets: Sequence[int] | npt.NDArray[np.int_],
        boundaries: npt.NDArray[np.float64],
    ) -> None:
        super().__init__(pmfs, offsets)
        self.boundaries = boundaries.astype(np.float32)
        logs = np.log(boundaries)
        spacing = (logs[-1] - logs[0]) / (len(logs) - 1)
        if not np.allclose(np.diff(logs), spacing) or spacing <= 0:
            raise ValueError("boundaries must increase by equal steps of their logarithm")
        if len(boundaries) != len(self) - 1:
            raise ValueError("one boundary is needed between any two tables")
        self._first, self.step = float(logs[0]), float(spacing / _N_STEPS)

    def positions(self, scales: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return how many steps each scale lies above the first boundary, within _ERROR."""
        positions: npt.NDArray[np.float32] = np.log(np.clip(scales, _TINY, 1 / _TINY))
        positions -= np.float32(self._first)
        positions *= np.float32(1 / self.step)
        return positions

    def tell(
        self,
        latent: str,
        symbols: Symbols,
        scales: npt.NDArray[np.float32],
        indexes: npt.NDArray[np.integer],
    ) -> None:
        """Tell listeners what was coded, all (n,).

        Scales are told within the range that boundaries can have: beyond it, any drift is harmless.
        """
        if collects_entropy_parameters():
            lowest, highest = self.boundaries[0], self.boundaries[-1] ** 2 / self.boundaries[-2]
            tell_entropy_parameters(latent, symbols, np.clip(scales, lowest, highest), indexes)

    def indexes(
        self, positions: npt.NDArray[np.float32], steps: npt.ArrayLike = 0
    ) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
        """Return the first table whose range reaches up to each scale, same shape.

        Args:
            positions: of the scales.
            steps: by which the boundaries are moved up, for all or for each.
        """
        above = np.ceil((positions - np.asarray(steps, np.float32)) * np.float32(1 / _N_STEPS))
        # NaN becomes 0, on every machine.
        return self._compact(np.fmin(np.fmax(above, 0), len(self) - 1))

    def factors(self, steps: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return what scales are multiplied by where the boundaries move up by some steps."""
        factors: npt.NDArray[np.float32] = np.exp(-self.step * steps).astype(np.float32)
        return factors

    def forbidden_steps(
        self, positions: npt.NDArray[np.float32], margin: float
    ) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Return which numbers of steps put a boundary within the margin of a scale.

        Args:
            positions: of the scales, (n,).
            margin: distance between logarithms.

        Returns:
            Indexes of scales, the number of steps that each rules out, and the least margin that
            does so.

        Raises:
            ValueError: the margin is not less than half a step.
        """
        # Boundary j lies j * _N_STEPS steps above the first, and as many steps higher as it moves.
        # The error of the positions is added to the margin.
        reach = margin / self.step + _ERROR
        if not _ERROR < reach < 0.5:
            raise ValueError(f"the margin is {margin:g}, it must be less than half a step")
        nearest = np.rint(positions)
        distances = np.abs(positions - nearest)
        is_near = distances <= reach
        is_near &= (nearest >= 0) & (nearest < _N_STEPS * len(self.boundaries))
        where = np.flatnonzero(is_near)
        steps = nearest[where].astype(np.int32)
        steps -= _N_STEPS * (steps // _N_STEPS)  # four times as fast as %
        return where, steps, (distances[where] - np.float32(_ERROR)) * np.float32(self.step)


class GaussianTables(ScaleTables):
    """Zero-mean Gaussians integrated over [k - 1/2, k + 1/2], one table for each range of scales.

    Table i serves the scales above scales[i - 1] and up to scales[i]. Its Gaussian has their
    geometric mean as its scale, so that rounding a scale to a table is right on average. (Coders
    that take scales[i] itself spend 2 % more where symbols spread less than their priors.)

    Args:
        scales: standard deviations, increasing by equal steps of their logarithm; table 0 has the
            first one itself.
    """

    def __init__(self, scales: npt.NDArray[np.float64]) -> None:
        scales = np.asarray(scales, np.float64)
        if np.any(np.diff(scales) <= 0) or scales[0] <= 0:
            raise ValueError("scales must be positive and increasing")
        middles = np.sqrt(scales * np.concatenate([scales[:1], scales[:-1]]))
        pmfs = [_gaussian_pmf(float(scale)) for scale in middles]
        super().__init__(pmfs, [-(len(pmf) // 2) for pmf in pmfs], scales[:-1])


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
        order, ends = self._tables._groups(indexes)
        in_order = symbols[order]
        category, escaped = self._tables._categories(in_order, indexes[order])
        self._runs += [(self._tables._models[i], category[part]) for i, part in _parts(ends)]
        self._runs += _escape_runs(_zigzag(in_order[escaped]))
        self._crc = zlib.crc32(symbols.data, self._crc)

    def finish(self) -> bytes:
        """Return the bytes that SymbolDecoder takes."""
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
        order, ends = self._tables._groups(indexes)
        result: Symbols = np.empty(len(order), np.int32)
        result[order] = self.get_by_table(ends)
        self.check(result)
        return result

    def get_by_table(self, ends: npt.NDArray[np.integer]) -> Symbols:
        """Return the next symbols, int32, (n,), those of each table together.

        `check` must be told them in the order in which they were put.

        Args:
            ends: number of symbols that use table 0 ... i at most, (n_tables,).
        """
        symbols: Symbols = np.empty(ends[-1], np.int32)
        escaped = []
        for i, part in _parts(ends):
            category = self._coder.decode(self._tables._models[i], part.stop - part.start)
            escaped.append(part.start + np.flatnonzero(category == self._tables.sizes[i]))
            np.add(category, self._tables.offsets[i], out=symbols[part])
        where = np.concatenate(escaped) if escaped else np.empty(0, np.intp)
        symbols[where] = self._escaped_values(len(where))
        return symbols

    def check(self, symbols: Symbols) -> None:
        """Take decoded symbols, in the order in which they were put, into account for `finish`."""
        self._crc = zlib.crc32(symbols.data, self._crc)

    def finish(self) -> None:
        """Raise BitstreamError unless exactly the encoder's integers have been decoded."""
        check = int(self._coder.decode(_CHECK))
        if check != self._crc & 0xFFFFFF or not self._coder.is_empty():
            raise BitstreamError(
                "the decoded integers are not the encoder's (CRC mismatch): the file is damaged, "
                "or this machine's entropy parameters differ from the encoder's by more than the "
                "format allows; `rdbench consistency` measures by how much"
            )

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


@dataclass(frozen=True)
class BoundarySteps:
    """How far the boundaries of each block of symbols are moved up.

    Attributes:
        layout: index of the block size in _BLOCK_SIZES, times the number of ratios, plus the index
            of the ratio in _RATIOS by which ``steps`` are coded.
        steps: of each block, in the order of coding.
    """

    layout: int
    steps: Symbols

    @property
    def block_size(self) -> int:
        """Symbols per block; the last one may have fewer."""
        return _BLOCK_SIZES[self.layout // len(_RATIOS)]

    def per_symbol(self, n: int) -> npt.NDArray[np.float32]:
        """Return the steps of each of n symbols, (n,)."""
        return np.repeat(self.steps.astype(np.float32), self.block_size)[:n]

    def runs(self) -> list[tuple[object, Symbols]]:
        """Return what codes them."""
        layout = np.array([self.layout], np.int32)
        return [(_LAYOUT, layout), (_step_models()[self.layout % len(_RATIOS)], self.steps)]

    def crc(self) -> int:
        """Return the CRC-32 of all integers that code them."""
        crc: int = zlib.crc32(self.steps.data, zlib.crc32(np.int32(self.layout).tobytes()))
        return crc

    @classmethod
    def decode(cls, coder: "constriction.stream.stack.AnsCoder", n: int) -> Self:
        """Return those of a stream of n symbols, which begins with them."""
        layout = int(coder.decode(_LAYOUT))
        n_blocks = -(-n // _BLOCK_SIZES[layout // len(_RATIOS)])
        return cls(layout, coder.decode(_step_models()[layout % len(_RATIOS)], n_blocks))

    def n_bits(self) -> float:
        """Return what coding them takes."""
        bits = _step_bits()[self.layout % len(_RATIOS)]
        return float(bits[self.steps].sum() + np.log2(len(_BLOCK_SIZES) * len(_RATIOS)))

    @classmethod
    def choose(
        cls,
        tables: ScaleTables,
        positions: npt.NDArray[np.float32],
        margin: float,
        spare_bits: float = 0.0,
    ) -> Self:
        """Return those that keep all boundaries away from all scales by the widest margin.

        Args:
            tables: whose boundaries move.
            positions: of the scales of all symbols, in the order of coding, (n,).
            margin: least distance between logarithms of a scale and a boundary.
            spare_bits: what a wider margin may take.
        """
        wider = [part * tables.step for part in _WIDER if part * tables.step > margin]
        margins = [*(wider if spare_bits else ()), margin]
        where, steps, least = tables.forbidden_steps(positions, margins[0])
        n_blocks = -(-len(positions) // SMALLEST_BLOCK)
        cells = (where // SMALLEST_BLOCK) * (_N_STEPS + 1) + steps
        for each in margins:
            taken = np.zeros(n_blocks * (_N_STEPS + 1), bool)
            taken[cells[np.flatnonzero(least <= each)]] = True
            chosen = cls._cheapest(taken.reshape(n_blocks, -1))
            if chosen.n_bits() <= spare_bits:
                break
        return chosen

    @classmethod
    def _cheapest(cls, taken: npt.NDArray[np.bool_]) -> Self:
        """Return the cheapest, given the numbers of steps that each smallest block must not have.

        Args:
            taken: (n_blocks, _N_STEPS + 1); the last number is never taken.
        """
        options = []
        for size in range(len(_BLOCK_SIZES)):
            least = taken.argmin(axis=1).astype(np.int32)
            if least.max(initial=0) < _N_STEPS:
                costs = _step_bits()[:, least].sum(axis=1)
                ratio = int(costs.argmin())
                options.append((costs[ratio], size * len(_RATIOS) + ratio, least))
            whole = np.pad(taken, ((0, -len(taken) % _BLOCK_GROWTH), (0, 0)))
            taken = np.logical_or.reduce(whole.reshape(-1, _BLOCK_GROWTH, _N_STEPS + 1), axis=1)
        _, layout, chosen = min(options, key=lambda option: option[:2])
        return cls(layout, chosen)


@cache
def _step_pmfs() -> npt.NDArray[np.float64]:
    """Geometric distributions of numbers of steps, (ratio, _N_STEPS)."""
    powers = np.array(_RATIOS)[:, None] ** np.arange(_N_STEPS)
    pmfs = np.maximum(powers * (1 - np.array(_RATIOS))[:, None], _MIN_PROBABILITY)
    normalized: npt.NDArray[np.float64] = pmfs / pmfs.sum(axis=1, keepdims=True)
    return normalized


@cache
def _step_models() -> list[object]:
    return [constriction.stream.model.Categorical(pmf, perfect=False) for pmf in _step_pmfs()]


@cache
def _step_bits() -> npt.NDArray[np.float64]:
    bits: npt.NDArray[np.float64] = -np.log2(_step_pmfs())
    return bits


class ScaleEncoder:
    """Codes symbols by their scales, so that decoders with slightly other scales read them.

    Args:
        latent: name, for listeners to entropy parameters.
        tables: the probability tables.
        margin: largest difference between a decoder's logarithm of a scale and the one given here.
            Decoders do not need it.
        spare_bits: what a wider margin may take.
    """

    def __init__(
        self, latent: str, tables: ScaleTables, margin: float, spare_bits: float = 0.0
    ) -> None:
        self._latent, self._tables = latent, tables
        self._margin, self._spare_bits = margin, spare_bits
        self._calls: list[tuple[Symbols, npt.NDArray[np.float32]]] = []

    def put(self, symbols: Symbols, scales: npt.NDArray[np.float32]) -> None:
        """Append symbols, int32, and their scales, both (n,)."""
        self._calls.append((symbols, scales))

    def finish(self) -> bytes:
        """Return the bytes that ScaleDecoder takes."""
        scales = np.concatenate([scales for _, scales in self._calls])
        positions = self._tables.positions(scales)
        chosen = BoundarySteps.choose(self._tables, positions, self._margin, self._spare_bits)
        indexes: npt.NDArray[np.integer] = self._tables.indexes(
            positions, chosen.per_symbol(len(scales))
        )
        encoder = SymbolEncoder(self._tables)
        encoder._runs += chosen.runs()
        encoder._crc = chosen.crc()
        ends = np.cumsum([len(symbols) for symbols, _ in self._calls])
        for (symbols, _), part in zip(self._calls, np.split(indexes, ends[:-1]), strict=True):
            encoder.put(symbols, part)
        symbols = np.concatenate([symbols for symbols, _ in self._calls])
        self._tables.tell(self._latent, symbols, scales, indexes)
        return encoder.finish()


class ScaleDecoder(SymbolDecoder):
    """Decodes what ScaleEncoder made, by the same sequence of calls.

    Args:
        latent: name, for listeners and errors.
        data: the encoder's bytes.
        tables: the encoder's tables.
        n: number of symbols in all.
    """

    def __init__(self, latent: str, data: bytes, tables: ScaleTables, n: int) -> None:
        super().__init__(data, tables)
        self._latent, self._scale_tables = latent, tables
        self.steps = BoundarySteps.decode(self._coder, n)
        self._crc = self.steps.crc()
        self._steps = self.steps.per_symbol(n)
        self._n_done = 0

    def get_scaled(self, scales: npt.NDArray[np.float32]) -> Symbols:
        """Return the next symbols, int32, (n,), given the scale of each."""
        part = slice(self._n_done, self._n_done + len(scales))
        self._n_done = part.stop
        indexes = self._scale_tables.indexes(
            self._scale_tables.positions(scales), self._steps[part]
        )
        symbols = self.get(indexes)
        self._scale_tables.tell(self._latent, symbols, scales, indexes)
        return symbols

    def factors_of_blocks(self) -> npt.NDArray[np.float32]:
        """Return what the scales of each SMALLEST_BLOCK of symbols are multiplied by."""
        return self._scale_tables.factors(self._steps[::SMALLEST_BLOCK])

    def tell(self, symbols: Symbols, scales: npt.NDArray[np.float32]) -> None:
        """Tell listeners all symbols and their scales, where not `get_scaled` decoded them."""
        indexes = self._scale_tables.indexes(self._scale_tables.positions(scales), self._steps)
        self._scale_tables.tell(self._latent, symbols, scales, indexes)


def _parts(ends: npt.NDArray[np.integer]) -> Iterator[tuple[int, slice]]:
    """Index and slice of each group that is not empty, given where they end."""
    start = 0
    for i, end in enumerate(ends.tolist()):
        if end > start:
            yield i, slice(start, end)
        start = end


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
