"""Bjontegaard deltas picture by picture, and how sure their mean is."""

from dataclasses import dataclass

import numpy as np

from rdbench.analysis.delta import Kind, Method, Points, delta_or_none
from rdbench.curve import Curve, PerPicture, metric_name
from rdbench.decibel import Averaging, mean_db

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Pictures:
    """Scores of the same pictures, in the same order, of points that have means.

    Attributes:
        images: names, (n_pictures,).
        anchor, test: bits per pixel and dB, each (n_points, n_pictures).
    """

    images: tuple[str, ...]
    anchor: Points
    test: Points


def paired(anchor: Curve, test: Curve, metric: str) -> Pictures | None:
    """The scores behind both curves, or None where one has none or they are of other pictures."""
    a, t = anchor.per_picture, test.per_picture
    if a is None or t is None or set(a.images) != set(t.images):
        return None
    order = [t.images.index(name) for name in a.images]
    return Pictures(a.images, _finite(a, metric), _finite(t, metric, order))


def _finite(table: PerPicture, metric: str, order: list[int] | None = None) -> Points:
    """Rows in which every picture has a score."""
    quality = table.quality_db(metric_name(metric))
    rows = np.isfinite(quality).all(axis=1)
    columns = slice(None) if order is None else order
    return table.bpp[rows][:, columns], quality[rows][:, columns]


def each_picture(
    kind: Kind, pictures: Pictures | None, method: Method
) -> tuple[tuple[str, float | None], ...]:
    """The figure of each picture alone."""
    if pictures is None:
        return ()
    (bpp_anchor, db_anchor), (bpp_test, db_test) = pictures.anchor, pictures.test
    return tuple(
        (name, delta_or_none(kind, (bpp_a, db_a), (bpp_t, db_t), method))
        for name, bpp_a, db_a, bpp_t, db_t in zip(
            pictures.images, bpp_anchor.T, db_anchor.T, bpp_test.T, db_test.T, strict=True
        )
    )


def bootstrap(
    kind: Kind,
    pictures: Pictures | None,
    method: Method,
    averaging: Averaging,
    n_resamples: int,
    seed: int,
) -> tuple[float, float] | tuple[None, None]:
    """Percentile interval of the figure when the pictures are drawn again with replacement.

    Both curves are averaged over the same draws (paired). None where there are fewer than two
    pictures, or where some draw gives no figure.
    """
    if pictures is None or len(pictures.images) < 2 or n_resamples < 1:
        return None, None
    n = len(pictures.images)
    weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), n_resamples) / n
    anchors, tests = (
        (weights @ bpp.T, mean_db(quality, averaging, weights))
        for bpp, quality in (pictures.anchor, pictures.test)
    )
    figures = [
        delta_or_none(kind, (bpp_a, db_a), (bpp_t, db_t), method)
        for bpp_a, db_a, bpp_t, db_t in zip(*anchors, *tests, strict=True)
    ]
    known = [figure for figure in figures if figure is not None]
    if len(known) < n_resamples:
        return None, None
    low, high = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
