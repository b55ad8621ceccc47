"""The figure of a board: BD-rate over the year of publication and over complexity."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rdbench.analysis.comparison import Rows
from rdbench.columns import Row
from rdbench.curve import VARIABLE_RATE
from rdbench.errors import printable
from rdbench.report.labels import DISC, free_place
from rdbench.report.names import printed_name
from rdbench.report.plots import FORMATS, save
from rdbench.report.style import COLOURS, PAGE_IN, STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SPAN_PERCENT = 50.0
"""How far behind the best a codec is still drawn, in percentage points of BD-rate."""

_PANELS = {
    "year": ("Year of publication", 4.4),
    "decoder_macs_per_pixel": ("Decoder complexity (kMAC per pixel)", 2.8),
}
"""Key of what a panel has on its horizontal axis -> title of the axis, height in inches."""

_COLOURS = dict(zip(VARIABLE_RATE, (COLOURS[i] for i in (6, 1, 2, 0, 3)), strict=True))
"""Kind of a codec -> its colour."""
_SHAPES = dict(zip(VARIABLE_RATE, "so^Dv", strict=True))
"""Kind of a codec -> its marker, for print in grey."""

_OTHER = "#777777"
_SIZE = 5.5  # points: of the names
_STAR = 4.5  # points: radius of the star of an own codec
_WIDE = 20  # complexities that differ by more have fewer ticks per decade


def write_board(
    rows: Rows, path: Path, formats: Sequence[str] = FORMATS, width_in: float = PAGE_IN
) -> tuple[list[Path], list[str]]:
    """Write the figure of `board_figure` as ``PATH.FORMAT``.

    Returns:
        The files, and lines on what the figure does not show.

    Raises:
        DataError: a file cannot be written.
    """
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        figure, lines = board_figure(rows, width_in)
        return save(figure, path, formats), lines


def board_figure(rows: Rows, width_in: float = PAGE_IN) -> "tuple[Figure, list[str]]":
    """Draw BD-rate over year, and below it over complexity where any is known.

    Own codecs are stars with bold names, published ones discs. Names do not overlap: one that finds
    no place is left out, that of a worse codec first.

    Args:
        rows: of a `rdbench.analysis.board.Board`, the best first.

    Returns:
        The figure, and lines on what it does not show.
    """
    from matplotlib.figure import Figure

    limit = rows[0]["bd_rate_percent"] + SPAN_PERCENT
    drawn = [row for row in rows if row["bd_rate_percent"] <= limit]
    panels = {k: panel for k, panel in _PANELS.items() if any(row[k] for row in drawn)}
    heights = [height for _, height in panels.values()]
    figure = Figure(figsize=(width_in, sum(heights) + 0.3), layout="constrained")
    grid = figure.subplots(
        len(panels), 1, squeeze=False, sharey=True, height_ratios=heights
    ).ravel()
    for axes, (key, (title, _)) in zip(grid, panels.items(), strict=True):
        _draw_points(axes, drawn, key, title)
    _add_legend(figure, drawn)
    figure.draw_without_rendering()  # decides where the axes are
    figure.set_layout_engine("none")
    nameless = [_name_points(axes, drawn, key) for axes, key in zip(grid, panels, strict=True)]
    return figure, _left_out(rows, drawn, limit, dict(zip(panels, nameless, strict=True)))


def _left_out(
    rows: Rows, drawn: Rows, limit: float, nameless: dict[str, Sequence[str]]
) -> list[str]:
    lines = []
    if far := rows[len(drawn) :]:
        own = ", ".join(row["label"] for row in far if _is_own(row))
        among = f", of your own: {own}" if own else ""
        lines.append(f"figure: not drawn, beyond {limit:+.0f} %: {len(far)} of {len(rows)}{among}")
    lines += [
        f"figure: no place for the names over {key.replace('_', ' ')}: {', '.join(names)}"
        for key, names in nameless.items()
        if names
    ]
    return lines


def _place(row: Row, key: str) -> tuple[float, float]:
    """Where a codec is in a panel."""
    x = row[key] if key == "year" else row[key] / 1000
    return float(x), float(row["bd_rate_percent"])


def _name(row: Row) -> str:
    return printable(printed_name(row.get("codec", ""), row["label"]))


def _is_own(row: Row) -> bool:
    return bool(row["source"] != "published")


def _style(kind: str | None, own: bool) -> dict[str, Any]:
    colour = _COLOURS.get(kind or "", _OTHER)
    if own:
        return {"marker": "*", "s": 70, "color": colour, "edgecolor": "black", "linewidth": 0.6,
                "zorder": 4}  # fmt: skip
    shape = _SHAPES.get(kind or "", "o")
    return {"marker": shape, "s": 13, "color": colour, "edgecolor": "white", "linewidth": 0.4,
            "zorder": 3}  # fmt: skip


def _draw_points(axes: "Axes", rows: Rows, key: str, title: str) -> None:
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    groups: dict[tuple[str | None, bool], list[tuple[float, float]]] = defaultdict(list)
    for row in rows:
        if row[key] is not None:
            groups[row["kind"], _is_own(row)].append(_place(row, key))
    if rows[-1]["bd_rate_percent"] >= 0:  # the anchor is drawn
        axes.axhline(0, color="#555555", linewidth=0.8, zorder=1)
    for (kind, own), places in groups.items():
        axes.scatter(*zip(*places, strict=True), **_style(kind, own))
    anchor = rows[0]["anchor"]
    axes.set_xlabel(title)
    axes.set_ylabel(f"BD-rate against {printable(printed_name(anchor, anchor))} (%)")
    axes.yaxis.set_major_formatter(lambda y, _: f"{y:+.3g}".replace("-", "\u2212") if y else "0")
    if key == "year":
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=20))
        axes.margins(x=0.05, y=0.04)
    else:
        axes.set_xscale("log")
        low, high = axes.get_xlim()
        subs = (1.0, 2.0, 5.0) if high > _WIDE * low else (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)
        axes.xaxis.set_major_locator(LogLocator(subs=subs))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.margins(x=0.08, y=0.04)


def _add_legend(figure: "Figure", rows: Rows) -> None:
    from matplotlib.lines import Line2D

    def entry(name: str, colour: str, marker: str = "o", size: float = 4) -> Line2D:
        return Line2D([], [], linestyle="", marker=marker, color=colour, markersize=size,
                      label=name)  # fmt: skip

    kinds = dict.fromkeys(row["kind"] for row in rows)
    entries = [entry(kind, _COLOURS[kind], _SHAPES[kind]) for kind in _COLOURS if kind in kinds]
    entries += [entry("kind unknown", _OTHER)] if None in kinds else []
    if any(map(_is_own, rows)):
        entries += [entry("published", _OTHER), entry("measured", _OTHER, "*", 7)]
    figure.legend(handles=entries, loc="outside lower center", ncols=len(entries), fontsize=7,
                  handletextpad=0.1, columnspacing=1.4)  # fmt: skip


def _name_points(axes: "Axes", rows: Rows, key: str) -> list[str]:
    """Write the names of codecs, own ones first, then the best; return those without a place.

    Each name takes the nearest place that is free of points, names and the lines to them.
    """
    from matplotlib.text import Text

    here = sorted((row for row in rows if row[key] is not None), key=lambda r: not _is_own(r))
    pixels = axes.figure.dpi / 72  # per point
    spots = axes.transData.transform([_place(row, key) for row in here])
    radii = pixels * np.array([[_STAR if _is_own(row) else DISC] for row in here])
    taken = np.hstack([spots - radii, spots + radii])
    zero, frame = axes.get_yaxis_transform().transform((0, 0))[1], np.array(axes.bbox.extents)
    taken = np.vstack([taken, [frame[0], zero, frame[2], zero]])  # the anchor's line
    nameless = []
    for row, spot in zip(here, spots, strict=True):
        name = axes.annotate(
            _name(row), _place(row, key), (0, 0), textcoords="offset points",
            fontsize=_SIZE, ha="center", va="center", color="#222222", zorder=5,
            fontweight="bold" if _is_own(row) else "normal",
            arrowprops={"arrowstyle": "-", "linewidth": 0.4, "color": "#999999", "shrinkA": 0.5,
                        "shrinkB": 1.5},
        )  # fmt: skip
        extent = Text.get_window_extent(name)
        size = np.array([extent.width, extent.height])
        found = free_place(spot, size, taken, frame, pixels)
        if found is None:
            name.remove()
            nameless.append(row["label"])
            continue
        offset, boxes = found
        name.set_position(tuple(offset / pixels))
        if name.arrow_patch is not None:
            name.arrow_patch.set_visible(len(boxes) > 1)
        taken = np.vstack([taken, boxes])
    return nameless
