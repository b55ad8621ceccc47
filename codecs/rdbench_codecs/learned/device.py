"""Decoding of symbols whose scales are on a device, without their way to the host and back.

The device chooses the tables and sorts the symbols by them. The host is told only how many symbols
use each table, decodes these one table after the other, and sends them in this order.
"""

import torch
from torch import Tensor

from rdbench_codecs.learned.entropy import SMALLEST_BLOCK, ScaleDecoder, ScaleTables
from rdbench_codecs.learned.graphs import Input


class ScaledSymbols:
    """Symbols of one stream, by a sequence of calls as in `ScaleDecoder`.

    Call k is `choose_tables` and then `in_order` on the device, in steps that can be recorded; in
    between, the host fetches ``ends[k]`` and calls `decode`.

    Args:
        tables: probability tables, 256 at most.
        n: number of symbols in all.
        device: where the scales are.

    Attributes:
        ends: of each call, how many symbols use table 0 ... i at most, (tables,) int32.
        scales: of each call, (n,) float32.
    """

    def __init__(self, tables: ScaleTables, n: int, device: torch.device) -> None:
        # A recorded step always leaves its results in the same tensors, hence one for each call.
        self.ends: dict[int, Tensor] = {}
        self.scales: dict[int, Tensor] = {}
        self._orders: dict[int, Tensor] = {}
        self._parts: dict[int, slice] = {}
        self._decoder: ScaleDecoder | None = None
        self._factors = Input((-(-n // SMALLEST_BLOCK),), torch.float32, device)
        self._symbols = Input((n,), torch.int32, device)
        self._boundaries = torch.from_numpy(tables.boundaries).to(device)
        self._numbers = torch.arange(len(tables), device=device).to(torch.uint8)

    def begin(self, decoder: ScaleDecoder | None) -> None:
        """Begin a stream; without a decoder all symbols are 0."""
        self._decoder = decoder
        self._factors.put(1 if decoder is None else decoder.factors_of_blocks())

    def choose_tables(self, k: int, scales: Tensor) -> None:
        """Choose the tables of call k for its scales, (n,)."""
        start = self._parts[k - 1].stop if k else 0
        self._parts[k] = slice(start, start + len(scales))
        self.scales[k] = scales
        # A factor belongs to SMALLEST_BLOCK symbols of the stream.
        first = start // SMALLEST_BLOCK
        last = -(-self._parts[k].stop // SMALLEST_BLOCK)
        factors = self._factors.device[first:last, None].expand(-1, SMALLEST_BLOCK).reshape(-1)
        scaled = scales * factors[start - first * SMALLEST_BLOCK :][: len(scales)]
        tables = torch.bucketize(scaled, self._boundaries, out_int32=True).to(torch.uint8)
        by_table, self._orders[k] = torch.sort(tables, stable=True)
        self.ends[k] = torch.searchsorted(by_table, self._numbers, right=True, out_int32=True)

    def decode(self, k: int, ends: Tensor) -> None:
        """Decode the symbols of call k and start to send them, given its ``ends`` on the host."""
        symbols = 0 if self._decoder is None else self._decoder.get_by_table(ends.numpy())
        self._symbols.put(symbols, self._parts[k])

    def in_order(self, k: int) -> Tensor:
        """Return the symbols of call k in the order of its scales, (n,) int32."""
        symbols = self._symbols.device[self._parts[k]]
        return torch.empty_like(symbols).scatter_(0, self._orders[k], symbols)
