"""Decoding of symbols whose scales are on a device, without their way to the host and back.

The device chooses the tables and sorts the symbols by them. The host is told only how many symbols
use each table, decodes these one table after the other, and sends them in this order.
"""

from functools import cached_property

import torch
from torch import Tensor

from rdbench.stages import collects_entropy_parameters, stage
from rdbench_codecs.learned.entropy import SMALLEST_BLOCK, ScaleDecoder, ScaleTables
from rdbench_codecs.learned.graphs import Input, fetch, wait


class ScaledSymbols:
    """Symbols of one stream, by a sequence of calls as in `ScaleDecoder`.

    Call k is `choose_tables` in a step that can be recorded, and then `decode`, which puts the
    symbols where the next step can read them.

    Args:
        tables: probability tables, 256 at most.
        n: number of symbols in all.
        device: where the scales are.

    Attributes:
        ends: of each call, how many symbols use table 0 ... i at most, (tables,) int32.
        scales: of each call, (n,) float32.
        parts: of each call, where its symbols are in the stream.
    """

    def __init__(self, tables: ScaleTables, n: int, device: torch.device) -> None:
        # A recorded step always leaves its results in the same tensors, hence one for each call.
        self.ends: dict[int, Tensor] = {}
        self.scales: dict[int, Tensor] = {}
        self._orders: dict[int, Tensor] = {}
        self.parts: dict[int, slice] = {}
        self._n, self._device = n, device
        self._boundaries = torch.from_numpy(tables.boundaries).to(device)
        self._numbers = torch.arange(len(tables), device=device).to(torch.uint8)

    @cached_property
    def symbols(self) -> Tensor:
        """The symbols in the order of coding, (n,) int32."""
        return torch.zeros(self._n, dtype=torch.int32, device=self._device)

    @cached_property
    def _by_table(self) -> Input:
        return Input((self._n,), torch.int32, self._device)

    @cached_property
    def _factors(self) -> Input:
        return Input((-(-self._n // SMALLEST_BLOCK),), torch.float32, self._device)

    def begin(self, decoder: ScaleDecoder) -> None:
        """Begin to decode a stream."""
        self._factors.put(decoder.factors_of_blocks())

    def choose_tables(self, k: int, scales: Tensor) -> None:
        """Choose the tables of call k for its scales, (n,)."""
        start = self.parts[k - 1].stop if k else 0
        self.parts[k] = slice(start, start + len(scales))
        self.scales[k] = scales
        # A factor belongs to SMALLEST_BLOCK symbols of the stream.
        first = start // SMALLEST_BLOCK
        last = -(-self.parts[k].stop // SMALLEST_BLOCK)
        factors = self._factors.device[first:last, None].expand(-1, SMALLEST_BLOCK).reshape(-1)
        scaled = scales * factors[start - first * SMALLEST_BLOCK :][: len(scales)]
        tables = torch.bucketize(scaled, self._boundaries, out_int32=True).to(torch.uint8)
        by_table, self._orders[k] = torch.sort(tables, stable=True)
        self.ends[k] = torch.searchsorted(by_table, self._numbers, right=True, out_int32=True)

    def decode(self, k: int, decoder: ScaleDecoder) -> None:
        """Decode the symbols of call k and start to set them."""
        with stage("copies"):
            ends = fetch(self.ends[k])
            wait(self._device)
        with stage("entropy coding"):
            symbols = decoder.get_by_table(ends.numpy())
        with stage("copies"):
            part, by_table = self.parts[k], self._by_table
            by_table.put(symbols, part)
            self.symbols[part].scatter_(0, self._orders[k], by_table.device[part])

    def finish(self, decoder: ScaleDecoder) -> None:
        """Raise BitstreamError unless the symbols are the encoder's."""
        with stage("copies"):
            symbols = fetch(self.symbols)
            wait(self._device)
        if collects_entropy_parameters():
            scales = torch.cat([self.scales[k] for k in range(len(self.scales))])
            decoder.tell(symbols.numpy(), scales.cpu().numpy())
        with stage("entropy coding"):
            decoder.check(symbols.numpy())
            decoder.finish()
