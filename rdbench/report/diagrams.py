"""Diagrams of curves: what is in them, and how they are drawn.

Own curves have filled markers, published ones hollow markers. A solid line is one program or one
model for all rates, a dashed line a model for each rate.
"""

import math
import textwrap
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rdbench.curve import Curve
from rdbench.decibel import FloatArray
from rdbench.errors import printable
from rdbench.report.fonts import quiet_fonts
from rdbench.report.labels import name_lines, place_for_axes
from rdbench.report.names import name_of
from rdbench.report.style import PAGE_IN, pair

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

Range = tuple[float, float]

Key = tuple[str, bool]
"""Identity of a line in a figure: its label, and whether it is your own or published."""

LEGENDS = ("auto", "direct", "below", "right", "none")
"""Where names are: ``direct`` is next to the lines, ``auto`` that if all have room, else below."""

DASHES = (0, (4, 2))
_MOST_DIRECT = 6  # names next to lines, unless asked for more
_LETTER_IN = 0.056  # inches: width of a letter of a legend
_SPARSE = 1.4  # marker sizes: between the markers of a line at least
_SMALL_IN = 3.0  # inches: narrower diagrams have smaller markers
_EDGE = 1.5  # points between a marker and the edge of the axes


@dataclass(frozen=True, eq=False)
class Series:
    """A line of a diagram.

    Attributes:
        x, y: (n,).
        band: lower and upper end of an interval of y, both (n,).
        is_marked: whether all points have markers; a computed line has a few, to tell it in grey.
    """

    curve: Curve
    x: FloatArray
    y: FloatArray
    band: tuple[FloatArray, FloatArray] | None = None
    is_marked: bool = True

    @property
    def key(self) -> Key:
        return key_of(self.curve)


@dataclass(frozen=True, eq=False)
class Diagram:
    """One pair of axes.

    Attributes:
        xlim: of what is shown unless the design says otherwise; None for all.
        zero: a horizontal line at 0 is named like this; "" for no line.
    """

    title: str
    x_title: str
    y_title: str
    series: Sequence[Series]
    xlim: Range | None = None
    zero: str = ""


@dataclass(frozen=True)
class Design:
    """What people choose about a figure.

    Attributes:
        names: codec, label, or title of a diagram -> what is printed for it.
        title: of the diagrams; None for their own.
        xlim, ylim: None for where the curves end.
        log: whether the horizontal axis is logarithmic.
        legend: one of LEGENDS.
        inset: range of x, or of x and y, that is also shown enlarged; () for none.
        suffixes: line -> text that follows its name, such as a BD-rate.
        note: on what is printed there; above the legend.
        n_columns: of diagrams; 0 for three at most.
        keys: lines of all figures that are to share colours; () for those of the figure.
    """

    width_in: float = PAGE_IN
    names: Mapping[str, str] = field(default_factory=dict)
    title: str | None = None
    xlim: Range | None = None
    ylim: Range | None = None
    log: bool = False
    legend: str = "auto"
    inset: tuple[float, ...] = ()
    suffixes: Mapping[Key, str] = field(default_factory=dict)
    note: str = ""
    n_columns: int = 0
    keys: Sequence[Key] = ()

    def name(self, curve: Curve) -> str:
        """Return what a figure prints for a curve."""
        suffix = self.suffixes.get(key_of(curve))
        return self.plain_name(curve) + (printable(f" ({suffix})") if suffix else "")

    def plain_name(self, curve: Curve) -> str:
        """Return the name of a curve in an axis title or a note, where nothing follows it."""
        return printable(
            self.names.get(curve.label) or self.names.get(curve.codec) or name_of(curve)
        )

    def title_of(self, diagram: Diagram) -> str:
        """Return the title of a diagram."""
        own = self.names.get(diagram.title, diagram.title)
        return printable(own if self.title is None else self.title)


def draw(diagrams: Sequence[Diagram], design: Design) -> "Figure":
    """Draw diagrams with the same colour and marker for a label in all of them.

    Own curves come first in the legend, then the best.
    """
    with quiet_fonts():
        return _draw(diagrams, design)


def _draw(diagrams: Sequence[Diagram], design: Design) -> "Figure":
    n_lines = len(diagrams[0].series)
    is_plain = len(diagrams) == 1 and not design.inset and not design.note
    may_be_direct = is_plain and n_lines <= _MOST_DIRECT
    direct = design.legend == "direct" or (design.legend == "auto" and may_be_direct)
    figure = _drawn(diagrams, design, "none") if direct else None
    if figure is not None and _named_in_place(figure, diagrams, design):
        return figure
    legend = "below" if design.legend in ("auto", "direct") else design.legend
    return _drawn(diagrams, design, legend)


def keys_of(diagrams: Iterable[Diagram], design: Design) -> list[Key]:
    """Lines of diagrams in the order that decides colour and marker: own ones first, by label."""
    every = {*design.keys, *(series.key for diagram in diagrams for series in diagram.series)}
    return sorted(every, key=in_order)


def in_order(key: Key) -> tuple[bool, str]:
    """Sort lines: own ones first, then by label."""
    return not key[1], key[0]


def key_of(curve: Curve) -> Key:
    """Identity of a curve in a figure."""
    return curve.label, curve.source != "published"


def number_of(key: Key, keys: Sequence[Key]) -> int:
    """Place of a line's label; a measured and a published curve of one label share it."""
    return list(dict.fromkeys(label for label, _ in keys)).index(key[0])


def _drawn(diagrams: Sequence[Diagram], design: Design, legend: str) -> "Figure":
    from matplotlib.figure import Figure

    design = replace(design, n_columns=design.n_columns or min(3, len(diagrams)))
    n_columns = design.n_columns
    n_rows = math.ceil(len(diagrams) / n_columns)
    keys = keys_of(diagrams, design)
    handles = _handles(diagrams, keys, design) if legend in ("below", "right") else []
    longest = max([_width(str(handle.get_label())) for handle in handles] or [0])
    entry_in = 0.62 + _LETTER_IN * longest  # a line and a label
    per_line = max(1, int(design.width_in / entry_in))
    across = design.width_in - (entry_in if legend == "right" else 0)
    note = "; ".join([*explanations(diagrams), *filter(None, [printable(design.note)])])
    across_in = design.width_in if legend == "below" else entry_in
    notes = textwrap.wrap(note, max(10, int(across_in / _LETTER_IN)))
    n_lines = math.ceil(len(handles) / per_line) + len(notes) if legend == "below" else 0
    height_in = n_rows * min(0.78 * across / n_columns, 3.4) + 0.15 * n_lines + 0.2
    figure = Figure(figsize=(design.width_in, height_in), layout="constrained")
    every = list(figure.subplots(n_rows, n_columns, squeeze=False).ravel())
    for axes, diagram in zip(every, diagrams, strict=False):
        _draw_axes(axes, diagram, keys, design)
    for axes in every[len(diagrams) :]:
        axes.set_axis_off()
    _share_titles(every, n_columns)
    if handles:
        figure.legend(
            handles=handles,
            loc="outside lower center" if legend == "below" else "outside right upper",
            ncols=per_line if legend == "below" else 1,
            title="\n".join(notes) or None,
            title_fontsize="small",
            handlelength=2.6,
            columnspacing=1.2,
            labelspacing=0.35,
        )
    figure.draw_without_rendering()  # decides where the axes are
    for axes, diagram in zip(every, diagrams, strict=False):
        _limit(axes, diagram, design)
        if design.inset:
            _draw_inset(axes, diagram, keys, design)
    return figure


def _width(text: str) -> int:
    """Width of a text in Latin letters; East Asian ones take two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _share_titles(every: Sequence["Axes"], n_columns: int) -> None:
    """Leave out the title of a vertical axis that is also that of its neighbour to the left."""
    titles = [axes.get_ylabel() for axes in every]
    for place, axes in enumerate(every):
        if place % n_columns and titles[place] == titles[place - 1]:
            axes.set_ylabel("")


def _handles(diagrams: Sequence[Diagram], keys: Sequence[Key], design: Design) -> "list[Line2D]":
    """Entries of the legend: own curves first, then the best."""
    from matplotlib.lines import Line2D

    curves = {series.key: series for diagram in diagrams for series in diagram.series}
    size = marker_size(design.width_in / design.n_columns)
    return [
        Line2D(
            [], [], label=design.name(curves[key].curve), **look(curves[key], keys), markersize=size
        )
        for key in best_first(diagrams)
    ]  # fmt: skip


def explanations(diagrams: Sequence[Diagram]) -> list[str]:
    """What dashes, hollow markers and bands mean, where a figure has both kinds."""
    series = [one for diagram in diagrams for one in diagram.series]
    lines = []
    if {one.curve.variable_rate is False for one in series} == {True, False}:
        lines.append("dashed: a model for each rate")
    if len({one.key[1] for one in series}) > 1:
        lines.append("hollow: published")
    if any(one.band is not None for one in series):
        lines.append("band: 95 % interval")
    return lines


def look(series: Series, keys: Sequence[Key]) -> dict[str, Any]:
    """How a line is drawn."""
    colour, marker = pair(number_of(series.key, keys))
    return {
        "color": colour,
        "linestyle": DASHES if series.curve.variable_rate is False else "-",
        "marker": marker,
        "markerfacecolor": colour if series.key[1] or is_all_published(keys) else "white",
        "markeredgecolor": colour,
        "markeredgewidth": 0.9,
    }


def is_all_published(keys: Iterable[Key]) -> bool:
    """Whether a figure has no own curve, so that markers need not tell published ones."""
    return not any(is_own for _, is_own in keys)


def marker_size(width_in: float) -> float:
    """Size of markers in points, in a diagram of this width."""
    import matplotlib as mpl

    return float(mpl.rcParams["lines.markersize"]) * (0.8 if width_in < _SMALL_IN else 1.0)


def best_first(diagrams: Sequence[Diagram]) -> list[Key]:
    """Own lines first, then by mean height in the middle of each diagram."""
    heights: dict[Key, list[float]] = {}
    for diagram in diagrams:
        middle = np.median(np.concatenate([[0.0]] * (not diagram.series) +
                                          [one.x for one in diagram.series]))  # fmt: skip
        for one in diagram.series:
            height = float(np.interp(middle, one.x, one.y))
            heights.setdefault(one.key, []).append(height)
    return sorted(heights, key=lambda key: (not key[1], -float(np.mean(heights[key]))))


def _draw_axes(axes: "Axes", diagram: Diagram, keys: Sequence[Key], design: Design) -> None:
    from matplotlib.ticker import LogLocator, NullLocator

    if diagram.zero:
        axes.axhline(0, color="#555555", linewidth=0.8, zorder=1)
    size = marker_size(design.width_in / design.n_columns)
    for series in diagram.series:
        _draw_series(axes, series, keys, size)
    axes.set_xlabel(diagram.x_title)
    axes.set_ylabel(diagram.y_title)
    axes.set_title(design.title_of(diagram), loc="left", fontweight="bold")
    if design.log:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_locator(NullLocator())
    _set_limits(axes, *limits(diagram, design))


def _draw_series(axes: "Axes", series: Series, keys: Sequence[Key], size: float) -> None:
    """A line that ends at the axes, and markers that do not; `_limit` chooses which are shown."""
    style = look(series, keys)
    if series.band is not None:
        axes.fill_between(series.x, *series.band, color=style["color"], alpha=0.18, linewidth=0)
    axes.plot(series.x, series.y, **{**style, "marker": ""})
    style |= {"linestyle": "", "markersize": size, "clip_on": False, "zorder": 3}
    places = slice(None) if series.is_marked else _a_few(len(series.x))
    (markers,) = axes.plot(series.x[places], series.y[places], **style)
    markers.set_in_layout(False)  # some are outside of the axes, and not shown


def _a_few(n: int) -> slice:
    """Points of a computed line that have markers."""
    return slice(n // 8, None, max(1, n // 4))


def limits(diagram: Diagram, design: Design) -> tuple[Range, Range]:
    """What the axes show: x as asked for, or of the series; y of what is visible there."""
    xs = np.concatenate([one.x for one in diagram.series])
    own = [one.x for one in diagram.series if one.key[1]]
    if design.xlim:
        low, high = design.xlim
    else:
        top = diagram.xlim[1] if diagram.xlim else math.inf
        chosen = np.concatenate(own) if own else xs
        chosen = chosen[chosen <= top] if (chosen <= top).any() else xs
        low, high = float(chosen.min()), float(chosen.max())
    if design.ylim:
        return (low, high), design.ylim
    ys = np.concatenate([_visible(one, low, high) for one in diagram.series])
    if not len(ys):
        ys = np.concatenate([one.y for one in diagram.series])
    ys = np.append(ys, [0.0] if diagram.zero else [])
    return (low, high), (float(ys.min()), float(ys.max()))


def _visible(series: Series, low: float, high: float) -> FloatArray:
    """Heights of a line between two values of x, of its band too."""
    ends = np.array([x for x in (low, high) if series.x[0] <= x <= series.x[-1]])
    inside = (series.x >= low) & (series.x <= high)
    heights = [series.y, *(series.band or ())]
    parts = [part for h in heights for part in (h[inside], np.interp(ends, series.x, h))]
    every = np.concatenate(parts)
    return np.asarray(every[np.isfinite(every)])


def _set_limits(axes: "Axes", xlim: Range, ylim: Range) -> None:
    (x_low, x_high), (y_low, y_high) = xlim, ylim
    axes.set_xlim(x_low, x_high if x_high > x_low else x_low * 1.1 or 1.0)
    axes.set_ylim(y_low, y_high if y_high > y_low else y_low + 1.0)


def _limit(axes: "Axes", diagram: Diagram, design: Design) -> None:
    """Widen the axes so that no marker is cut; mark the points that they show."""
    size = max((line.get_markersize() for line in axes.get_lines()), default=0.0)
    radius = size * 0.75 + _EDGE  # the largest shapes are wider than the size says
    pixels = radius * axes.figure.dpi / 72
    if design.xlim is None:
        share = pixels / max(axes.bbox.width - 2 * pixels, 1.0)
        low, high = _widened(axes.get_xlim(), share, design.log)
        shown = min((float(one.x.min()) for one in diagram.series), default=0.0)
        axes.set_xlim(min(0.0, low) if low < 0 <= shown else low, high)
    if design.ylim is None:
        share = pixels / max(axes.bbox.height - 2 * pixels, 1.0)
        axes.set_ylim(*_widened(axes.get_ylim(), share, False))
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    for line in axes.get_lines():
        if line.get_linestyle() != "None":
            continue
        x, y = np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)
        inside = np.flatnonzero((x >= left) & (x <= right) & (y >= bottom) & (y <= top))
        if design.xlim is None:
            inside = inside[_whole(axes, x[inside], y[inside], pixels)]
        line.set_markevery(_sparse(axes, x, y, inside, _SPARSE * size))


def _sparse(
    axes: "Axes", x: FloatArray, y: FloatArray, places: Iterable[int], distance: float
) -> list[int]:
    """Points that are at least ``distance`` points apart; the last one is always among them."""
    spots = axes.transData.transform(np.column_stack([x, y])) * 72 / axes.figure.dpi
    kept: list[int] = []
    for place in reversed([int(place) for place in places]):
        if not kept or np.hypot(*(spots[place] - spots[kept[-1]])) >= distance:
            kept.append(place)
    return kept[::-1]


def _whole(axes: "Axes", x: FloatArray, y: FloatArray, radius: float) -> Any:
    """Which points are so far inside the axes that no marker is cut, (n,)."""
    spots = axes.transData.transform(np.column_stack([x, y])) if len(x) else np.empty((0, 2))
    left, bottom, right, top = axes.bbox.extents
    room = radius * 0.99
    return ((spots >= [left + room, bottom + room]) & (spots <= [right - room, top - room])).all(
        axis=1
    )


def _widened(limits: Range, share: float, log: bool) -> Range:
    low, high = np.log(limits) if log else limits
    margin = share * (high - low)
    low, high = low - margin, high + margin
    return (math.exp(low), math.exp(high)) if log else (float(low), float(high))


def _draw_inset(axes: "Axes", diagram: Diagram, keys: Sequence[Key], design: Design) -> None:
    """Show a part of a diagram enlarged where it hides least."""
    from matplotlib.ticker import MaxNLocator

    window: Range = (design.inset[0], design.inset[1])
    height: Range | None = (design.inset[2], design.inset[3]) if design.inset[2:] else None
    part = replace(design, xlim=window, ylim=height, inset=())
    inset = axes.inset_axes(place_for_axes(axes, [(one.x, one.y) for one in diagram.series]))
    for series in diagram.series:
        _draw_series(inset, series, keys, marker_size(0))
    (left, right), (bottom, top) = limits(diagram, part)
    margin = 0.06 * (top - bottom)
    _set_limits(inset, (left, right), (bottom - margin, top + margin))
    _limit(inset, diagram, replace(part, ylim=inset.get_ylim()))
    inset.xaxis.set_major_locator(MaxNLocator(4, prune="lower"))
    inset.yaxis.set_major_locator(MaxNLocator(4, prune="lower"))
    inset.spines[:].set_visible(True)
    inset.tick_params(labelsize=5.5, length=2, pad=1.5)
    inset.set_facecolor("white")
    axes.indicate_inset_zoom(inset, edgecolor="#555555", linewidth=0.7)


def _named_in_place(figure: "Figure", diagrams: Sequence[Diagram], design: Design) -> bool:
    """Write names next to the lines; False if one has no room."""
    keys = keys_of(diagrams, design)
    for axes, diagram in zip(figure.axes, diagrams, strict=False):
        series = sorted(diagram.series, key=lambda one: not one.key[1])
        lines = [(one.x, one.y) for one in series]
        names = [design.name(one.curve) for one in series]
        colours = [look(one, keys)["color"] for one in series]
        zero = [axes.transData.transform((0, 0))[1]] if diagram.zero else []
        if not name_lines(axes, lines, names, colours, zero):
            return False
    return True
