"""The tables of a comparison: BD-rates by data set, operating points, times."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from rdbench.analysis.bd import bd_rate
from rdbench.analysis.delta import Method
from rdbench.analysis.gather import gather, named
from rdbench.analysis.summary import summarize
from rdbench.curve import Curve
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


def bd_rates(request: Request) -> Rows:
    """BD-rate in percent of every codec on every data set, and the average over all of them.

    A dash stands for what cannot be compared; an average needs all data sets.
    """
    curves = gather(request.folder, request.dataset)
    found = {c.dataset: c for c in reversed(named(curves, [request.anchor]))}
    anchors = dict(sorted(found.items()))
    tests = named(curves, request.codecs) if request.codecs else curves
    labels = dict.fromkeys(
        c.label for c in tests if c.dataset in anchors and c is not anchors[c.dataset]
    )
    rows = [_bd_row(label, curves, anchors, request) for label in labels]
    return sorted((row for row in rows if row["source"]), key=_order)


def _order(row: Mapping[str, Any]) -> float:
    """By the average where there is one, else behind those that have one, by the first figure."""
    if row[_AVERAGE] is not None:
        return float(row[_AVERAGE])
    return 1e6 + next(float(v) for name, v in row.items() if name.endswith("(%)") and v is not None)


def _bd_row(
    label: str, curves: list[Curve], anchors: Mapping[str, Curve], request: Request
) -> dict[str, Any]:
    own = {c.dataset: c for c in curves if c.label == label}
    values = {d: _bd_rate(anchors[d], own.get(d), request) for d in anchors}
    known = [value for value in values.values() if value is not None]
    average = fmean(known) if len(known) == len(values) > 1 else None
    sources = dict.fromkeys(c.source for d, c in own.items() if values.get(d) is not None)
    columns = {f"{d} (%)": value for d, value in values.items()}
    return {"codec": label, **columns, _AVERAGE: average, "source": ", ".join(sources) or None}


def _bd_rate(anchor: Curve, test: Curve | None, request: Request) -> float | None:
    if test is None:
        return None
    try:
        found = bd_rate(anchor, test, request.metric, request.method, n_resamples=0)
    except (DataError, UsageError):
        return None
    return found.bd_rate_percent


def points(request: Request) -> Rows:
    """Every measured operating point: rate, scores, times."""
    with Store(request.folder, create=False) as store:
        records = [r for r in store.records() if request.wants(r.dataset, r.codec)]
        return summarize(records, store.datasets())


def times(request: Request) -> Rows:
    """What ``rdbench timing`` measured."""
    found = [t for t in timings(request.folder) if request.wants(t.dataset, t.codec)]
    return [{"dataset": t.dataset, **t.row()} for t in found]


TABLES: Mapping[str, tuple[str, Callable[[Request], Rows]]] = {
    "bdrate": ("BD-rate in percent", bd_rates),
    "points": ("Operating points, means over the pictures", points),
    "timing": ("Latency in seconds, median and quartiles over the pictures", times),
}
"""Tables by name: caption, and the function that makes the rows."""
