"""The tables of a comparison: BD-rates by data set, operating points, times."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from statistics import fmean

from rdbench.analysis.bd import BdRate, bd_rate
from rdbench.analysis.comparison import Figures, Rows, anchors_text, compare, figures
from rdbench.analysis.delta import Method
from rdbench.analysis.lossless import LOSSLESS, lossless_rows
from rdbench.analysis.selection import select, shown_by
from rdbench.analysis.summary import POINTS, summarize
from rdbench.columns import CODEC, DATASET, Column, Row, side_by_side
from rdbench.curve import Curve
from rdbench.plugins import codec_class, codec_file
from rdbench.spec import split
from rdbench.store import Store
from rdbench.timing import TIMES, timings

Shown = tuple[Sequence[Column], Sequence[Row]]


@dataclass(frozen=True, slots=True)
class Request:
    """What the tables show.

    Attributes:
        anchor: name of a curve; "" for the default of each data set.
        codecs: only these, by name, label or file; () for all.
        published: published curves that the BD-rates show, see `shown_by`.
        imported: curves from files.
    """

    folder: Path
    anchor: str = ""
    dataset: str | None = None
    metric: str = "psnr"
    method: Method = "poly3"
    codecs: Sequence[str] = ()
    published: Sequence[str] = ()
    imported: Sequence[Curve] = ()

    def wants(self, dataset: str, codec: str) -> bool:
        """Return whether the tables show a codec on a data set."""
        wanted = set(map(_recorded_name, self.codecs))
        return self.dataset in (None, dataset) and (not wanted or codec in wanted)


@cache
def _recorded_name(name: str) -> str:
    """What records call a codec that is given by name, or by its file."""
    return codec_class(split(name)[0]).name if codec_file(name) else name


def bd_rates(request: Request) -> tuple[Figures, tuple[str, ...], str]:
    """Compute the BD-rate of every codec on every data set, and the average over all of them.

    Own codecs come first, then the best. What cannot be compared is None; an average needs all
    data sets.

    Returns:
        The table, a line for each anchor that is not plain from its name, and the anchors' names.

    Raises:
        UsageError: a name that no curve has, no such metric, or nothing at all to compare.
    """
    selection = select(request.folder, request.dataset, request.imported)
    wanted = shown_by(request.published)
    comparison = compare(selection, request.anchor, request.codecs, request.metric, wanted)
    compute = partial(bd_rate, metric=request.metric, method=request.method)
    computed = figures(comparison, compute)
    by_label: dict[str, dict[str, BdRate]] = {}
    for test, figure in computed.found:
        by_label.setdefault(test.label, {}).setdefault(test.dataset, figure)
    datasets = sorted({dataset for row in by_label.values() for dataset in row})
    groups = sorted((_bd_rows(label, row, datasets) for label, row in by_label.items()), key=_order)
    rows = [row for group in groups for row in group]
    return replace(computed, rows=rows), comparison.notes, anchors_text(comparison.pairs)


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
            "ci_low": figures[dataset].ci_low if dataset in figures else None,
            "ci_high": figures[dataset].ci_high if dataset in figures else None,
            "average_percent": average,
            "source": sources,
        }
        for dataset in datasets
    ]


def bd_table(rows: Rows) -> Shown:
    """BD-rates for people: a row for each codec, a column for each data set, and for intervals."""
    source = Column("source")
    value = Column("bd_rate_percent", unit="%", digits=3, paper_digits=2, signed=True,
                   better="lower")  # fmt: skip
    average = replace(value, key="average_percent", title="average")
    columns, wide = side_by_side(rows, [CODEC, average, source], "dataset", value)
    ends = [
        row | {"dataset": f"{row['dataset']}, interval", "interval": _interval(row)} for row in rows
    ]
    interval = Column("interval", unit="%")
    found, more = side_by_side(ends, [CODEC, average, source], "dataset", interval)
    intervals = [replace(column, title="95 % interval") for column in found]
    pairs = [pair for pairs in zip(columns, _or_none(intervals, more), strict=True)
             for pair in pairs if pair is not None]  # fmt: skip
    joined = [{**one, **two} for one, two in zip(wide, more, strict=True)]
    return [CODEC, *pairs, average, source], joined


def _or_none(columns: Sequence[Column], rows: Sequence[Row]) -> list[Column | None]:
    """Columns, and None for those that hold nothing."""
    return [c if any(row.get(c.key) is not None for row in rows) else None for c in columns]


def _interval(row: Row) -> str | None:
    return None if row["ci_low"] is None else f"[{row['ci_low']:+.2f}, {row['ci_high']:+.2f}]"


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
    "bdrate": ("BD-rate in percent", lambda request: bd_rates(request)[0].rows, bd_table),
    "points": ("Operating points, means over the images", points, lambda rows: (POINTS, rows)),
    "lossless": ("Lossless coding", lossless, lambda rows: (LOSSLESS, rows)),
    "timing": (
        "Latency in seconds, median and quartiles over the images",
        times,
        lambda rows: ((DATASET, *TIMES), rows),
    ),
}
"""Tables by name: caption, the function that makes the rows, how people see them."""
