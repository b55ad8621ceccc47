"""BD-rates image by image: a strip for each codec, a point for each image."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rdbench.analysis.bd import BdRate
from rdbench.curve import Curve
from rdbench.errors import printable
from rdbench.report.diagrams import Design
from rdbench.report.labels import free_place
from rdbench.report.names import name_of
from rdbench.report.style import pair

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW_IN = 0.42
_NAME = 5.5  # points: of the names of images
_RADIUS = 2.5  # points: of an image

Found = tuple[Curve, BdRate]


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
    labels = list(dict.fromkeys(curve.label for curve, _ in found))
    for row, (curve, figures) in enumerate(found):
        colour, _ = pair(labels.index(curve.label))
        known = np.array([value for _, value in figures.per_image if value is not None])
        axes.plot(known, np.full(len(known), row), "o", color=colour, alpha=0.45,
                  markersize=2 * _RADIUS, markeredgewidth=0)  # fmt: skip
        if figures.ci_low is not None and figures.ci_high is not None:
            axes.plot([figures.ci_low, figures.ci_high], [row, row], color="black", linewidth=1.4)
        axes.plot([figures.bd_rate_percent], [row], "D", color="black", markersize=4)
    axes.set_yticks(range(len(found)), [design.name(curve) for curve, _ in found])
    axes.set_ylim(-0.6, len(found) - 0.4)
    axes.margins(x=0.06)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(f"BD-rate against {printable(name_of(anchor))} (%)")
    text = design.names.get(title, title) if design.title is None else design.title
    axes.set_title(printable(text), loc="left", fontweight="bold")
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    _name_images(axes, found)
    return figure


def _name_images(axes: "Axes", found: Sequence[Found]) -> None:
    """Name the best and the worst image of each strip where there is room."""
    pixels = axes.figure.dpi / 72
    spots = [
        axes.transData.transform((value, row))
        for row, (_, figures) in enumerate(found)
        for _, value in figures.per_image
        if value is not None
    ]
    taken = np.vstack([np.hstack([s - _RADIUS * pixels, s + _RADIUS * pixels]) for s in spots])
    frame = np.array(axes.bbox.extents)
    for row, (_, figures) in enumerate(found):
        known = [(value, name) for name, value in figures.per_image if value is not None]
        for value, name in {min(known), max(known)} if len(known) > 1 else ():
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
