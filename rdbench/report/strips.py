"""BD-rates image by image: a strip for each codec, a point for each image."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rdbench.analysis.bd import BdRate
from rdbench.curve import Curve
from rdbench.decibel import FloatArray
from rdbench.errors import printable
from rdbench.report.diagrams import Design, in_order, key_of, number_of
from rdbench.report.fonts import quiet_fonts
from rdbench.report.labels import free_place
from rdbench.report.style import pair

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW_IN = 0.45
_NAME = 5.5  # points: of the names of images
_RADIUS = 2.5  # points: of an image

Found = tuple[Curve, BdRate]


@quiet_fonts()
def strips_figure(found: Sequence[Found], title: str, anchor: Curve, design: Design) -> "Figure":
    """Draw a strip for each codec: images as discs, the set's BD-rate and interval as a diamond.

    The best and the worst image of each are named.

    Args:
        found: curves and their BD-rates with those of each image, the best last.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(design.width_in, 0.75 + _ROW_IN * len(found)), layout="constrained")
    axes = figure.subplots()
    axes.axvline(0, color="#555555", linewidth=0.8, zorder=1)
    keys = sorted({*design.keys, *map(key_of, (curve for curve, _ in found))}, key=in_order)
    for row, (curve, figures) in enumerate(found):
        colour, _ = pair(number_of(key_of(curve), keys))
        known = np.array([value for _, value in figures.per_image if value is not None])
        axes.plot(known, np.full(len(known), row), "o", color=colour, alpha=0.45,
                  markersize=2 * _RADIUS, markeredgewidth=0)  # fmt: skip
        if figures.ci_low is not None and figures.ci_high is not None:
            axes.plot([figures.ci_low, figures.ci_high], [row, row], color="black", linewidth=1.4)
        axes.plot([figures.bd_rate_percent], [row], "D", color="black", markersize=4)
    axes.set_yticks([])
    axes.set_ylim(-0.5, len(found) - 0.3)
    axes.margins(x=0.06)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(f"BD-rate against {design.plain_name(anchor)} (%)")
    text = design.names.get(title, title) if design.title is None else design.title
    axes.set_title(printable(text), loc="left", fontweight="bold")
    names = [
        axes.text(0.005, row + 0.36, design.name(curve), transform=axes.get_yaxis_transform(),
                  fontsize=7, fontweight="bold", va="center")
        for row, (curve, _) in enumerate(found)
    ]  # fmt: skip
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    _name_images(axes, found, [np.array(name.get_window_extent().extents) for name in names])
    return figure


def _name_images(axes: "Axes", found: Sequence[Found], boxes: Sequence[FloatArray]) -> None:
    """Name the best and the worst image of each strip where ``boxes`` leave room."""
    pixels = axes.figure.dpi / 72
    spots = [
        axes.transData.transform((value, row))
        for row, (_, figures) in enumerate(found)
        for _, value in figures.per_image
        if value is not None
    ]
    discs = [np.hstack([spot - _RADIUS * pixels, spot + _RADIUS * pixels]) for spot in spots]
    spans = [
        axes.transData.transform([(f.ci_low, row), (f.ci_high, row)]).ravel()
        for row, (_, f) in enumerate(found)
        if f.ci_low is not None and f.ci_high is not None
    ]
    frame = np.array(axes.bbox.extents)
    zero = axes.transData.transform((0, 0))[0]
    line = np.array([zero - 1, frame[1], zero + 1, frame[3]])
    taken = np.vstack([*discs, *spans, *boxes, line])
    for row, (_, figures) in enumerate(found):
        known = [(value, name) for name, value in figures.per_image if value is not None]
        for value, name in (min(known), max(known)) if len(known) > 1 else ():
            text = axes.annotate(
                printable(name.rpartition(".")[0] or name), (value, row), (0, 0),
                textcoords="offset points", fontsize=_NAME, ha="center", va="center",
                color="#444444",
            )  # fmt: skip
            extent = text.get_window_extent()
            size = np.array([extent.width, extent.height])
            spot = axes.transData.transform((value, row))
            place = free_place(spot, size, taken, frame, pixels)
            if place is None:
                text.remove()
                continue
            text.set_position(tuple(place[0] / pixels))
            taken = np.vstack([taken, place[1]])
