"""The tables of a comparison: BD-rates by data set, operating points, times."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from rdbench.analysis.bd import BdRate, bd_rate
from rdbench.analysis.comparison import compare, is_own
from rdbench.analysis.delta import Method
from rdbench.analysis.lossless import LOSSLESS, lossless_rows
from rdbench.analysis.selection import select
from rdbench.analysis.summary import POINTS, summarize
from rdbench.columns import CODEC, DATASET, Column, Row, side_by_side
from rdbench.errors import DataError, UsageError
from rdbench.store import Store
from rdbench.timing import TIMES, timings

Rows = list[dict[str, Any]]
Shown = tuple[Sequence[Column], Sequence[Row]]


@dataclass(frozen=True, slots=True)
class Request:
    """What the tables show.

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
        """Return whether the tables show a codec on a data set."""
        return self.dataset in (None, dataset) and (not self.codecs or codec in self.codecs)


@dataclass(frozen=True)
class BdRates:
    """A table of BD-rates.

    Attributes:
        rows: one for each codec and data set.
        notes: (curve, line) for every own curve without a figure, and every warning.
        choices: a line for each anchor whose name matches several curves.
        own_is_compared: False where there are own curves but none has a figure.
    """

    rows: Rows
    notes: tuple[tuple[str, str], ...]
    choices: tuple[str, ...]
    own_is_compared: bool


def bd_rates(request: Request) -> BdRates:
    """Compute the BD-rate of every codec on every data set, and the average over all of them.

    Own codecs come first, then the best. What cannot be compared is None; an average needs all
    data sets.

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
    groups = sorted((_bd_rows(label, row, datasets) for label, row in figures.items()), key=_order)
    rows = [row for group in groups for row in group]
    return BdRates(rows, tuple(notes), found.notes, own_is_compared)


def _order(group: Rows) -> tuple[bool, float]:
    """Own ones first, then by the average, or behind those that have one by the first figure."""
    average = group[0]["average_percent"]
    first = next(r["bd_rate_percent"] for r in group if r["bd_rate_percent"] is not None)
    return group[0]["source"] == "published", 1e6 + first if average is None else average


def _bd_rows(label: str, figures: Mapping[str, BdRate], datasets: Sequence[str]) -> Rows:
    complete = len(figures) == len(datasets) > 1
    average = fmean(f.bd_rate_percent for f in figures.values()) if complete else None
    sources = ", ".join(dict.fromkeys(f.source for f in figures.values()))
    return [
        {
            "codec": label,
            "dataset": dataset,
            "bd_rate_percent": figures[dataset].bd_rate_percent if dataset in figures else None,
            "average_percent": average,
            "source": sources,
        }
        for dataset in datasets
    ]


def bd_table(rows: Rows) -> Shown:
    """BD-rates for people: a row for each codec, a column for each data set."""
    average, source = Column("average_percent", "average", "%", 3), Column("source")
    value = Column("bd_rate_percent", unit="%", digits=3)
    columns, wide = side_by_side(rows, [CODEC, average, source], "dataset", value)
    return [CODEC, *columns, average, source], wide


def points(request: Request) -> Rows:
    """Return every measured operating point: rate, scores, times.

    ``scored`` is None where all points were scored on 8-bit images.
    """
    with Store(request.folder, create=False) as store:
        records = [r for r in store.records() if request.wants(r.dataset, r.codec)]
        scored = {f: str(p.get("scored", f)) for f, p in store.protocols().items()}
        differs = {scored.get(r.protocol, r.protocol) for r in records} - {"8-bit"}
        return summarize(records, store.datasets(), scored if differs else {})


def lossless(request: Request) -> Rows:
    """Return rate and speed of every point at which all samples of all images came back."""
    with Store(request.folder, create=False) as store:
        records = [r for r in store.records() if request.wants(r.dataset, r.codec)]
        return lossless_rows(records, store.datasets())


def times(request: Request) -> Rows:
    """Return the results of ``rdbench timing``."""
    found = timings(request.folder)
    return [t.row() for t in found if request.wants(t.dataset, t.codec)]


TABLES: Mapping[str, tuple[str, Callable[[Request], Rows], Callable[[Rows], Shown]]] = {
    "bdrate": ("BD-rate in percent", lambda request: bd_rates(request).rows, bd_table),
    "points": ("Operating points, means over the images", points, lambda rows: (POINTS, rows)),
    "lossless": ("Lossless coding", lossless, lambda rows: (LOSSLESS, rows)),
    "timing": (
        "Latency in seconds, median and quartiles over the images",
        times,
        lambda rows: ((DATASET, *TIMES), rows),
    ),
}
"""Tables by name: caption, the function that makes the rows, how people see them."""
