"""Bjontegaard deltas image by image, and how sure their mean is.

What is made of one curve alone (its resampled means, their fits) is kept for a while: a table of
BD-rates against every anchor asks for it again and again.
"""

import functools
from dataclasses import dataclass

import numpy as np

from rdbench.analysis.delta import Kind, Method, Stack, deltas, swinging
from rdbench.curve import Curve, PerImage, metric_name
from rdbench.decibel import Averaging, FloatArray, mean_db

CONFIDENCE = 0.95

_keep = functools.lru_cache(maxsize=256)


@dataclass(frozen=True)
class Images:
    """The scores of the same images behind two curves."""

    images: tuple[str, ...]
    anchor: PerImage
    test: PerImage
    metric: str


def paired(anchor: Curve, test: Curve, metric: str) -> Images | None:
    """The scores behind both curves, or None where one has none or they are of other images."""
    a, t = anchor.per_image, test.per_image
    if a is None or t is None or set(a.images) != set(t.images):
        return None
    return Images(a.images, a, t, metric_name(metric))


def each_image(
    kind: Kind, images: Images | None, method: Method
) -> tuple[tuple[tuple[str, float | None], ...], list[str]]:
    """The figure of each image alone, and the images where it rests on a cubic that falls."""
    if images is None:
        return (), []
    anchor, test = (
        _single(table, images.images, images.metric) for table in (images.anchor, images.test)
    )
    figures = deltas(kind, anchor, test, method)
    per_image = tuple(zip(images.images, figures, strict=True))
    known = [figure is not None for figure in figures]
    if method != "poly3" or not any(known):
        return per_image, []
    swings = known & swinging(kind, anchor, test)
    return per_image, [name for name, swung in zip(images.images, swings, strict=True) if swung]


def bootstrap(
    kind: Kind,
    images: Images | None,
    method: Method,
    averaging: Averaging,
    n_resamples: int,
    seed: int,
) -> tuple[float, float] | tuple[None, None]:
    """95 % percentile interval of the figure over draws of the images with replacement.

    Both curves are averaged over the same draws (paired), so that images that are hard for both
    do not widen the interval. None where there are fewer than two images, or where a draw gives no
    figure. Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993.
    """
    if images is None or len(images.images) < 2 or n_resamples < 1:
        return None, None
    anchor, test = (
        resampled(table, images.images, images.metric, averaging, n_resamples, seed)
        for table in (images.anchor, images.test)
    )
    figures = deltas(kind, anchor, test, method)
    known = [figure for figure in figures if figure is not None]
    if len(known) < n_resamples:
        return None, None
    low, high = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


@_keep
def _single(table: PerImage, images: tuple[str, ...], metric: str) -> Stack:
    """A curve for each image, of the points of which every image has a score."""
    order = [table.images.index(name) for name in images]
    quality = table.quality_db(metric)[:, order]
    good = np.isfinite(quality).all(axis=1)
    return Stack(table.bpp[:, order][good].T, quality[good].T)


@_keep
def resampled(
    table: PerImage,
    images: tuple[str, ...],
    metric: str,
    averaging: Averaging,
    n_resamples: int,
    seed: int,
) -> Stack:
    """A curve of means for each draw of images; a draw is a row of weights with sum 1."""
    single = _single(table, images, metric)
    weights = _draws(len(images), n_resamples, seed)
    return Stack(weights @ single.bpp, mean_db(single.quality.T, averaging, weights))


@_keep
def _draws(n_images: int, n_resamples: int, seed: int) -> FloatArray:
    """How often each image is drawn, as a share of the draw, (n_resamples, n_images)."""
    even = np.full(n_images, 1 / n_images)
    draws = np.random.default_rng(seed).multinomial(n_images, even, n_resamples)
    return np.asarray(draws / n_images)
