"""A paper as a list of its tables and figures, and the evidence that each is held against.

Papers come from the entry-point group ``rdbench.papers``: a name, and a `Paper` whose items are
functions from `Evidence` to `Finding`. The engine knows none of them.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rdbench.analysis.bd import bd_rate
from rdbench.analysis.curves import is_random, is_reduced
from rdbench.analysis.gather import is_enough, measured
from rdbench.curve import Curve
from rdbench.errors import DataError, UsageError
from rdbench.published import list_curves
from rdbench.registry import closest, load_plugin
from rdbench.store import Store
from rdbench.timing import Timing, timings
from rdbench.types import Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GROUP = "rdbench.papers"


@dataclass(frozen=True, slots=True)
class Value:
    """A number of a paper, and what it is without the paper's word for it.

    Attributes:
        row: whose number it is, such as a codec.
        quantity: what it says, with its unit.
        published: the number as printed; None where it cannot be read.
        recomputed: from published curves.
        here: measured with what the report folder holds, or counted in the code that is here.
    """

    row: str
    quantity: str
    published: float | None
    recomputed: float | None = None
    here: float | None = None

    @property
    def difference(self) -> float | None:
        """What was found here, else recomputed, less what is published."""
        found = self.recomputed if self.here is None else self.here
        return None if found is None or self.published is None else found - self.published


@dataclass(frozen=True, slots=True)
class Missing:
    """What cannot be shown, and how to get it: steps, commands as they are typed."""

    what: str
    way_out: str

    @property
    def steps(self) -> list[str]:
        """The way out, step by step."""
        return self.way_out.split("; ")


@dataclass(frozen=True, slots=True)
class Plot:
    """A figure that can be drawn: its file's name without suffix, and the function that does it."""

    name: str
    draw: "Callable[[], Figure]"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about one item of a paper."""

    values: tuple[Value, ...] = ()
    plots: tuple[Plot, ...] = ()
    notes: tuple[str, ...] = ()
    missing: tuple[Missing, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """A table or a figure of a paper.

    Attributes:
        name: as the paper calls it, ``Table 1``.
        caption: what it shows.
        find: holds it against the evidence.
    """

    name: str
    caption: str
    find: "Callable[[Evidence], Finding]"


@dataclass(frozen=True, slots=True)
class Paper:
    """A paper: its name on the command line, title, where to read it, tables and figures."""

    name: str
    title: str
    url: str
    items: tuple[Item, ...]


def load_paper(name: str) -> Paper:
    """The registered paper of that name.

    Raises:
        UsageError: there is none; the message names those that there are.
    """
    points = {point.name: point for point in entry_points(group=GROUP)}
    if name not in points:
        there = ", ".join(sorted(points)) or "none"
        raise UsageError(f"no paper is named {name!r}{closest(name, points)} (there are: {there})")
    paper: Paper = load_plugin(points[name])
    return paper


class Evidence:
    """Published curves, and what a report folder holds.

    Args:
        folder: the report folder; it need not exist.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._published = {(c.dataset, c.codec): c for c in list_curves()}

    @functools.cached_property
    def _measured(self) -> list[Curve]:
        return measured(self.folder)

    @functools.cached_property
    def _complexities(self) -> dict[tuple[str, ...], dict[str, Any]]:
        if not (self.folder / "records.sqlite").is_file():
            return {}
        with Store(self.folder, create=False) as store:
            return store.results("complexity")

    @functools.cached_property
    def _timings(self) -> list[Timing]:
        return timings(self.folder)

    def published(self, dataset: str, codec: str) -> Curve | None:
        """The published curve, where there is one."""
        return self._published.get((dataset, codec))

    def measured(self, dataset: str, codec: str) -> list[Curve]:
        """Measured curves of a codec that have the points that a BD-rate needs.

        Those with most points first; several have other settings or weights. Random and reduced
        weights are no evidence.
        """
        return [c for c in self._own(dataset, codec) if not (is_random(c) or is_reduced(c))]

    def drawable(self, dataset: str, codec: str) -> list[Curve]:
        """`measured`, or where there is none the curves of reduced weights.

        Figures show these under their weights' name; no table takes their numbers.
        """
        reduced = [c for c in self._own(dataset, codec) if is_reduced(c)]
        return self.measured(dataset, codec) or reduced

    def _own(self, dataset: str, codec: str) -> list[Curve]:
        found = [c for c in self._measured if (c.dataset, c.codec) == (dataset, codec)]
        return sorted(filter(is_enough, found), key=lambda c: -len(c.bpp))

    def best(self, dataset: str, codec: str) -> Curve | None:
        """The measured curve where there is one, else the published one, else None."""
        return next(iter(self.measured(dataset, codec)), self.published(dataset, codec))

    def curves(self, dataset: str, *codecs: str) -> list[Curve]:
        """Published and `drawable` curves of these codecs, in their order."""
        return [
            curve
            for codec in codecs
            for curve in (self.published(dataset, codec), *self.drawable(dataset, codec))
            if curve is not None
        ]

    def bd_rates(
        self, dataset: str, codec: str, anchor: str = "vtm18"
    ) -> tuple[float | None, float | None]:
        """BD-rate in percent between published curves, and of the measured curve.

        The measured curve is compared with the measured anchor where there is one, else with the
        published one. None where a curve is missing or the two cannot be compared.
        """
        own = next(iter(self.measured(dataset, codec)), None)
        return (
            bd_rate_or_none(self.published(dataset, anchor), self.published(dataset, codec)),
            bd_rate_or_none(self.best(dataset, anchor), own),
        )

    def records(self, curve: Curve) -> list[Record]:
        """The records behind a measured curve."""
        with Store(self.folder, create=False) as store:
            return [
                r
                for r in store.records(dataset=curve.dataset, curve=curve.provenance["curve"])
                if r.error is None and r.protocol == curve.protocol["fingerprint"]
            ]

    def timings(self, codec: str, dataset: str) -> list[Timing]:
        """Timings of a codec, highest rate first; random weights are as fast as others."""
        found = [t for t in self._timings if (t.codec, t.dataset) == (codec, dataset)]
        return sorted(found, key=lambda t: -t.encode_s.median)

    def extra_macs(self, codec: str, reference: str) -> float | None:
        """What ``rdbench complexity --out`` kept: MACs that a codec takes more, in percent."""
        row = self._complexities.get((codec, reference), {})
        return row.get("extra_macs_percent")

    def images(self, dataset: str) -> dict[str, str]:
        """Pictures of a data set of the folder, name -> SHA-256."""
        with Store(self.folder, create=False) as store:
            return store.datasets()[dataset]


def bd_rate_or_none(anchor: Curve | None, test: Curve | None) -> float | None:
    """BD-rate in percent; None where a curve is missing or the two have no range in common."""
    if anchor is None or test is None:
        return None
    try:
        return bd_rate(anchor, test, n_resamples=0).bd_rate_percent
    except DataError:
        return None
