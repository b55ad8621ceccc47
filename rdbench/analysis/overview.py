"""The tables of a comparison: BD-rates by data set, operating points, times."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from rdbench.analysis.bd import BdRate, bd_rate
from rdbench.analysis.comparison import compare, is_own
from rdbench.analysis.delta import Method
from rdbench.analysis.selection import select
from rdbench.analysis.summary import summarize
from rdbench.errors import DataError, UsageError
from rdbench.store import Store
from rdbench.timing import timings

Rows = list[dict[str, Any]]

_AVERAGE = "average (%)"


@dataclass(frozen=True, slots=True)
class Request:
    """What tables are wanted of.

    Attributes:
        folder: the report folder.
        anchor: codec that BD-rates refer to.
        dataset: only this data set, or None.
        metric, method: of BD-rates.
        codecs: only these, by name or label; () for all.
    """

    folder: Path
    anchor: str = "vtm18"
    dataset: str | None = None
    metric: str = "psnr"
    method: Method = "poly3"
    codecs: Sequence[str] = ()

    def wants(self, dataset: str, codec: str) -> bool:
        """Whether results of a codec on a data set are asked for."""
        return self.dataset in (None, dataset) and (not self.codecs or codec in self.codecs)


@dataclass(frozen=True)
class BdRates:
    """A table of BD-rates.

    Attributes:
        rows: of the table.
        notes: (curve, line) for every own curve that has no figure, and for whatever a figure must
            be read with.
        choices: a line for every anchor whose name stands for several curves.
        own_is_compared: False where there are own curves, and not one of them has a figure.
    """

    rows: Rows
    notes: tuple[tuple[str, str], ...]
    choices: tuple[str, ...]
    own_is_compared: bool


def bd_rates(request: Request) -> Rows:
    """BD-rate in percent of every codec on every data set, and the average over all of them.

    Own codecs come first. A dash stands for what cannot be compared; an average needs all data
    sets.
    """
    return compared(request).rows


def compared(request: Request) -> BdRates:
    """The rows of ``bd_rates``, and what must be known of them.

    Raises:
        UsageError: a name that no curve has, no such metric, or nothing at all to compare.
    """
    selection = select(request.folder, request.dataset)
    found = compare(selection, request.anchor, request.codecs, request.metric)
    notes = [(r.curve.label, f"no figure on {r.curve.dataset}: {r.text}") for r in found.reasons]
    figures: dict[str, dict[str, BdRate]] = {}
    own_is_compared = not found.own
    for anchor, test in found.pairs:
        try:
            figure = bd_rate(anchor, test, request.metric, request.method, n_resamples=0)
        except (DataError, UsageError) as error:
            notes += [(test.label, f"no figure on {test.dataset}: {error}")] if is_own(test) else []
            continue
        figures.setdefault(test.label, {}).setdefault(test.dataset, figure)
        notes += [(test.label, text.removeprefix(f"{test.label}: ")) for text in figure.warnings]
        own_is_compared |= is_own(test) or is_own(anchor)
    datasets = sorted({dataset for row in figures.values() for dataset in row})
    rows = [_bd_row(label, row, datasets) for label, row in figures.items()]
    return BdRates(sorted(rows, key=_order), tuple(notes), found.notes, own_is_compared)


def _order(row: Mapping[str, Any]) -> tuple[bool, float]:
    """Own ones first, then by the average, or behind those that have one by the first figure."""
    published = row["source"] == "published"
    if row[_AVERAGE] is not None:
        return published, float(row[_AVERAGE])
    first = next(float(v) for name, v in row.items() if name.endswith("(%)") and v is not None)
    return published, 1e6 + first


def _bd_row(label: str, figures: Mapping[str, BdRate], datasets: Sequence[str]) -> dict[str, Any]:
    values = {d: figures[d].bd_rate_percent if d in figures else None for d in datasets}
    complete = len(figures) == len(datasets) > 1
    average = fmean(f.bd_rate_percent for f in figures.values()) if complete else None
    columns = {f"{d} (%)": value for d, value in values.items()}
    sources = dict.fromkeys(f.source for f in figures.values())
    return {"codec": label, **columns, _AVERAGE: average, "source": ", ".join(sources)}


def points(request: Request) -> Rows:
    """Every measured operating point: rate, scores, times.

    Where not all were scored on 8-bit images, each says how it was.
    """
    with Store(request.folder, create=False) as store:
        records = [r for r in store.records() if request.wants(r.dataset, r.codec)]
        scored = {f: str(p.get("scored", f)) for f, p in store.protocols().items()}
        differs = {scored.get(r.protocol, r.protocol) for r in records} - {"8-bit"}
        return summarize(records, store.datasets(), scored if differs else {})


def times(request: Request) -> Rows:
    """What ``rdbench timing`` measured."""
    found = [t for t in timings(request.folder) if request.wants(t.dataset, t.codec)]
    return [{"dataset": t.dataset, **t.row()} for t in found]


TABLES: Mapping[str, tuple[str, Callable[[Request], Rows]]] = {
    "bdrate": ("BD-rate in percent", bd_rates),
    "points": ("Operating points, means over the images", points),
    "timing": ("Latency in seconds, median and quartiles over the images", times),
}
"""Tables by name: caption, and the function that makes the rows."""
