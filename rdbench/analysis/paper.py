"""A paper as a list of its tables and figures, and the evidence that each is held against.

Papers come from the entry-point group ``rdbench.papers``: a name, and a `Paper` whose items are
functions from `Evidence` to `Finding`. The engine knows none of them.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rdbench.analysis.bd import bd_rate
from rdbench.analysis.measured import MIN_POINTS
from rdbench.analysis.selection import is_enough, measured
from rdbench.curve import ESTIMATED, Curve
from rdbench.errors import DataError, UsageError, closest
from rdbench.plugins import plugin, plugin_names
from rdbench.published import list_curves
from rdbench.spec import get_codec
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
        published: the number as printed, with its digits; None where it cannot be read.
        recomputed: from published curves.
        here: measured from the records in the report folder, or counted in the installed code.
        note: what ``here`` was measured with, where that differs from the paper.
    """

    row: str
    quantity: str
    published: Decimal | None
    recomputed: float | None = None
    here: float | None = None
    note: str = ""

    @property
    def difference(self) -> float | None:
        """What was found here, else recomputed, less what is published."""
        found = self.recomputed if self.here is None else self.here
        return None if found is None or self.published is None else found - float(self.published)


@dataclass(frozen=True, slots=True)
class Missing:
    """What cannot be shown, and how to get it: steps, commands as they are typed."""

    what: str
    way_out: str

    @property
    def steps(self) -> list[str]:
        """Return the steps that fix it."""
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
    """A table or a figure of a paper."""

    name: str
    caption: str
    find: "Callable[[Evidence], Finding]"


@dataclass(frozen=True, slots=True)
class Paper:
    """A paper.

    Attributes:
        scored: how it scores reconstructions, ``float`` or ``8-bit``.
    """

    name: str
    title: str
    url: str
    items: tuple[Item, ...]
    scored: str = "float"


def load_paper(name: str) -> Paper:
    """The registered paper of that name.

    Raises:
        UsageError: there is none; the message names those that there are.
    """
    paper: Paper | None = plugin(GROUP, name)
    if paper is None:
        names = plugin_names(GROUP)
        there = ", ".join(names) or "none"
        raise UsageError(f"no paper is named {name!r}{closest(name, names)} (there are: {there})")
    return paper


_NOT_OF_THE_PAPER = {"reduced": "a reduced network", "random": "random weights"}
"""Kinds of weights whose rates and qualities say nothing about a paper's network."""


class Evidence:
    """Published curves, and what a report folder holds."""

    def __init__(self, folder: str | Path, scored: str = "float") -> None:
        self.folder = Path(folder)
        self.scored = scored
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
        """Measured curves of a codec that can be compared with the paper's.

        Those without `objection`: curves of published weights first, then those with most points.
        Full-size networks of other weights are among them; outputs name their weights.
        """
        found = [c for c in self.own(dataset, codec) if self.objection(c) is None]
        return sorted(found, key=lambda c: (c.weights_kind == "other", -len(c.bpp)))

    def objection(self, curve: Curve) -> str | None:
        """Why a measured curve cannot be compared with the paper's; None where it can."""
        if curve.estimated:
            return ESTIMATED.message
        if curve.weights_kind in _NOT_OF_THE_PAPER:
            return _NOT_OF_THE_PAPER[curve.weights_kind]
        if curve.specs and get_codec(curve.specs[0]).trained_for == "ms-ssim":
            return "trained for MS-SSIM"
        if not is_enough(curve):
            return f"{len(curve.bpp)} points, a BD-rate needs {MIN_POINTS}"
        return self.other_scores(curve)

    def other_scores(self, curve: Curve) -> str | None:
        """How a curve was scored, where the paper scores its network otherwise.

        A codec without weights gives 8-bit images, which score the same either way.
        """
        scored = curve.protocol.get("scored")
        if not curve.weights_kind or scored == self.scored:
            return None
        return f"scored as {scored}, the paper scores as {self.scored}"

    def drawable(self, dataset: str, codec: str) -> list[Curve]:
        """Curves that figures may show: those of full-size networks, else those of reduced ones.

        Labels and notes name their weights and scores; no table takes their numbers.
        """
        own = (c for c in self.own(dataset, codec) if not c.estimated and is_enough(c))
        found = [c for c in own if c.weights_kind != "random"]
        full = [c for c in found if c.weights_kind != "reduced"]
        return sorted(full or found, key=lambda c: -len(c.bpp))

    def own(self, dataset: str, codec: str) -> list[Curve]:
        """Every measured curve of a codec, whatever its weights."""
        return [c for c in self._measured if (c.dataset, c.codec) == (dataset, codec)]

    def best(self, dataset: str, codec: str) -> Curve | None:
        """The measured curve of the paper's codec where there is one, else the published one."""
        own = (c for c in self.measured(dataset, codec) if c.weights_kind != "other")
        return next(own, self.published(dataset, codec))

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
                for r in store.records(dataset=curve.dataset, codec=curve.codec)
                if r.error is None
                and (r.curve, r.protocol) == (curve.key, curve.protocol["fingerprint"])
            ]

    def timings(self, codec: str, dataset: str) -> list[Timing]:
        """Every timing of a codec, latest first."""
        found = [t for t in self._timings if (t.codec, t.dataset) == (codec, dataset)]
        return sorted(found, key=lambda t: t.created, reverse=True)

    def extra_macs(self, codec: str, reference: str) -> float | None:
        """What ``rdbench complexity --out`` kept: MACs that a codec takes more, in percent."""
        row = self._complexities.get((codec, reference), {})
        return row.get("extra_macs_percent")

    def images(self, dataset: str) -> dict[str, str]:
        """Images of a data set of the folder, name -> SHA-256."""
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
