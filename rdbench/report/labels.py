"""Places for names in a figure: near what they name, and free of everything else."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rdbench.decibel import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DISC = 2.0
"""Radius of a point that is named, in points."""

_DISTANCES = (4.0, 7.0, 11.0, 16.0, 22.0, 29.0)  # points: from what is named to its name
_ANGLES = (0, 180, 30, -30, 150, -150, 60, -60, 120, -120, 90, -90)  # degrees, the best first
_LEADER = 9.0  # points: from here on, a line leads to the name
_NEAR = 12.0  # points: how far the name of a line may be from it
_PLACES = 60  # along a line


def free_place(
    spot: FloatArray, size: FloatArray, taken: FloatArray, frame: FloatArray, pixels: float
) -> tuple[FloatArray, FloatArray] | None:
    """Find the nearest free place of a name.

    Args:
        spot, size: where its point is, and its width and height, in pixels.
        taken: boxes (left, bottom, right, top) that it must not touch, (n, 4).
        frame: the box that it must not leave.
        pixels: per point.

    Returns:
        How far the middle of the name is from the point, and the boxes of the name and of the line
        to it, if there is one; None where no place is free.
    """
    others = taken[~touching(taken, np.hstack([spot, spot])[None])]
    for distance in _DISTANCES:
        for angle in np.deg2rad(_ANGLES):
            way = np.array([np.cos(angle), np.sin(angle)])
            offset = way * (distance * pixels + size / 2 * np.abs(np.round(way)))
            box = np.hstack([spot + offset - size / 2, spot + offset + size / 2])
            steps = np.arange(DISC, distance, 1.5)[:, None] * pixels * way
            line = np.hstack([spot + steps, spot + steps]) if distance >= _LEADER else steps[:0]
            boxes = np.vstack([box[None], line.reshape(-1, 4)])
            inside = (box[:2] >= frame[:2]).all() and (box[2:] <= frame[2:]).all()
            if inside and not touching(taken, box[None]).any() and not _hit(others, line):
                return offset, boxes
    return None


def _hit(boxes: FloatArray, line: FloatArray) -> bool:
    return any(touching(boxes, step[None]).any() for step in line)


def touching(boxes: FloatArray, box: FloatArray) -> Any:
    """Whether each of the boxes and one box have a point in common, (n,)."""
    return ((boxes[:, :2] <= box[:, 2:]) & (boxes[:, 2:] >= box[:, :2])).all(axis=1)


def name_lines(
    axes: "Axes", lines: Sequence[tuple[FloatArray, FloatArray]], names: Sequence[str],
    colours: Sequence[Any], levels: Sequence[float] = (), size: float = 7.0,
) -> bool:  # fmt: skip
    """Write the name of each line next to it, where it is nearer to it than to any other.

    Args:
        lines: x and y of each, in data.
        levels: heights of horizontal lines, in pixels.
        size: of the letters, in points.

    Returns:
        Whether every name found a place; where one does not, none is written.
    """
    from matplotlib.text import Text

    pixels = axes.figure.dpi / 72
    frame = np.array(axes.bbox.extents) + pixels * np.array([2, 2, -2, -2])
    paths = [_path(axes, x, y) for x, y in lines]
    radius = 3 * pixels
    taken = np.vstack([np.hstack([path - radius / 2, path + radius / 2]) for path in paths])
    across = [np.array([[frame[0], level - 1, frame[2], level + 1]]) for level in levels]
    taken = np.vstack([taken, *_marker_boxes(axes, lines, radius), *across])
    written: list[Text] = []
    for path, name, colour in zip(paths, names, colours, strict=True):
        text = axes.text(0, 0, name, fontsize=size, color=colour, ha="center", va="center",
                         transform=None, zorder=6)  # fmt: skip
        written.append(text)
        extent = text.get_window_extent()
        found = _near_line(path, paths, np.array([extent.width, extent.height]), taken, frame,
                           pixels)  # fmt: skip
        if found is None:
            for one in written:
                one.remove()
            return False
        text.set_transform(axes.transAxes)
        text.set_position(tuple(axes.transAxes.inverted().transform((found[:2] + found[2:]) / 2)))
        taken = np.vstack([taken, found + radius * np.array([-1, -1, 1, 1])])
    return True


def place_for_axes(
    axes: "Axes", lines: Sequence[tuple[FloatArray, FloatArray]]
) -> tuple[float, float, float, float]:
    """Find a place within axes where smaller ones, with the numbers next to them, hide least.

    Args:
        lines: x and y of each, in data.

    Returns:
        Left, bottom, width and height in parts of the axes: as large as is free, else as hides
        least; to the right and below where there is a choice, as rate-distortion curves rise.
    """
    paths = np.vstack([_path(axes, x, y) for x, y in lines])
    spots = axes.transAxes.inverted().transform(paths)
    places = [
        (float(left), float(bottom), width, height)
        for width, height in ((0.42, 0.4), (0.34, 0.32), (0.28, 0.26))
        for bottom in np.linspace(0.1, 0.97 - height, 5)
        for left in np.linspace(0.98 - width, 0.12, 5)
    ]
    return min(places, key=lambda place: _n_hidden(spots, *place))


def _n_hidden(spots: FloatArray, left: float, bottom: float, width: float, height: float) -> int:
    box = np.array([left - 0.09, bottom - 0.08, left + width, bottom + height])
    return int(touching(np.hstack([spots, spots]), box[None]).sum())


def _path(axes: "Axes", x: FloatArray, y: FloatArray) -> FloatArray:
    """A line as dense pixels inside the axes, (n, 2)."""
    corners = axes.transData.transform(np.column_stack([x, y]))
    at = np.linspace(0, len(corners) - 1, 60 * len(corners))
    dense = np.column_stack([np.interp(at, range(len(corners)), corners[:, i]) for i in (0, 1)])
    left, bottom, right, top = axes.bbox.extents
    inside = (dense >= [left, bottom]).all(axis=1) & (dense <= [right, top]).all(axis=1)
    return np.asarray(dense[inside])


def _marker_boxes(
    axes: "Axes", lines: Sequence[tuple[FloatArray, FloatArray]], radius: float
) -> Iterator[FloatArray]:
    for x, y in lines:
        spots = axes.transData.transform(np.column_stack([x, y]))
        yield np.hstack([spots - radius, spots + radius])


def _near_line(
    path: FloatArray, paths: Sequence[FloatArray], size: FloatArray, taken: FloatArray,
    frame: FloatArray, pixels: float,
) -> FloatArray | None:  # fmt: skip
    """The box of a name next to its line: nearest to the line's end, not in doubt; or None."""
    if not len(path):
        return None
    others = [p for p in paths if p is not path and len(p)]
    for place in path[:: -max(1, len(path) // _PLACES)]:
        for distance in (4.0, 7.0, _NEAR):
            for angle in np.deg2rad((135, -45, 90, -90, 180, 0)):
                way = np.array([np.cos(angle), np.sin(angle)])
                middle = place + way * (distance * pixels) + size / 2 * np.sign(np.round(way, 3))
                box = np.hstack([middle - size / 2, middle + size / 2])
                inside = (box[:2] >= frame[:2]).all() and (box[2:] <= frame[2:]).all()
                if not inside or touching(taken, box[None]).any():
                    continue
                own = _distance(path, box)
                if all(_distance(other, box) > 1.7 * own for other in others):
                    return box
    return None


def _distance(path: FloatArray, box: FloatArray) -> float:
    """From a box to the nearest point of a path."""
    beyond = np.maximum(np.maximum(box[:2] - path, path - box[2:]), 0)
    return float(np.hypot(*beyond.T).min())
