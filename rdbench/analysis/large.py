"""Curves on data sets that are too large for a record of each image: read in columns."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from rdbench.analysis.measured import curve_of_table, with_labels
from rdbench.curve import Curve, Note, PerImage
from rdbench.metrics import METRICS
from rdbench.store import Point, Store
from rdbench.types import CurveKey

MOST_IMAGES = 1000
"""Images of the largest data set that is not large."""


def large_curves(
    store: Store,
    dataset: str,
    images: Mapping[str, str],
    protocols: Mapping[str, Mapping[str, Any]],
) -> list[tuple[Curve, list[Point]]]:
    """Return the curves on a data set as `measured_curves` does, each with all of its points.

    Failed images are counted, not named, and a point without a verified image is left out.
    """
    groups: dict[tuple[CurveKey, str], list[Point]] = defaultdict(list)
    for point in store.points(dataset):
        groups[point.records[0].curve, point.records[0].protocol].append(point)
    chosen = sorted(groups.items(), key=lambda item: item[0])
    curves = with_labels(
        [
            _curve(key, points, images, {"fingerprint": name, **protocols.get(name, {})})
            for (key, name), points in chosen
        ]
    )
    return [(curve, points) for curve, (_, points) in zip(curves, chosen, strict=True)]


def _curve(
    key: CurveKey, points: Sequence[Point], images: Mapping[str, str], protocol: Mapping[str, Any]
) -> Curve:
    by_spec: dict[str, list[Point]] = defaultdict(list)
    for point in points:
        by_spec[point.records[0].spec].append(point)
    notes: list[Note] = []
    complete: dict[str, Point] = {}
    for spec, (point, *others) in by_spec.items():
        n_good = sum(map(set(point.image_sha256).__contains__, images.values()))
        if others:
            text = f"no mean for {spec}: measured with {1 + len(others)} fingerprints"
            notes.append(Note("conflict", text))
        elif n_good < len(images):
            text = f"no mean for {spec}: {n_good} of {len(images)} images"
            notes.append(Note("incomplete", text))
        else:
            complete[spec] = point
    return curve_of_table(
        key,
        [record for point in points for record in point.records],
        {spec: point.records for spec, point in complete.items()},
        _table(complete.values(), images),
        notes,
        protocol,
    )


def _table(points: Iterable[Point], images: Mapping[str, str]) -> PerImage:
    """Return rates and scores, one row per point; a missing score is NaN."""
    points = list(points)
    shape = (len(points), len(images))
    bpp, present = np.empty(shape), {name for point in points for name in point.scores}
    scores = {name: np.full(shape, np.nan) for name in METRICS if name in present}
    for row, point in enumerate(points):
        place = {sha256: number for number, sha256 in enumerate(point.image_sha256)}
        order = [place[sha256] for sha256 in images.values()]
        bpp[row] = (8 * np.array(point.n_bytes, np.float64) / np.array(point.n_pixels))[order]
        for name in scores.keys() & point.scores.keys():
            scores[name][row] = np.array(point.scores[name], np.float64)[order]
    return PerImage(tuple(images), bpp, scores)
