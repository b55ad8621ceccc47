"""How much rate a codec saves at each quality, and how sure that is."""

from dataclasses import dataclass

import numpy as np

from rdbench.analysis.bd import averagings
from rdbench.analysis.bootstrap import CONFIDENCE, paired, resampled
from rdbench.analysis.delta import RATE, Method, Stack, overlap_of, points_of, values_at
from rdbench.curve import Curve
from rdbench.decibel import Averaging, FloatArray


@dataclass(frozen=True, eq=False)
class Saving:
    """Rate saved against an anchor over the qualities that both curves reach.

    Attributes:
        quality: (n,).
        percent: of the anchor's rate at equal quality, (n,); positive is less rate.
        band: ends of the 95 % interval by paired bootstrap over the images, both (n,), NaN where
            not all draws reach the quality; None where either side lacks the scores of each image.
    """

    anchor: Curve
    test: Curve
    metric: str
    quality: FloatArray
    percent: FloatArray
    band: tuple[FloatArray, FloatArray] | None = None


def rate_saving(
    anchor: Curve,
    test: Curve,
    metric: str = "psnr",
    method: Method = "poly3",
    n_resamples: int = 1000,
    seed: int = 0,
    n: int = 101,
) -> Saving:
    """Compute the rate saved at ``n`` qualities, by the curves that a BD-rate integrates.

    Raises:
        UsageError: no such metric.
        DataError: too few points or no common range.
    """
    of_anchor, of_test = averagings(anchor, test, metric, None)
    points = points_of(RATE, anchor, metric, of_anchor), points_of(RATE, test, metric, of_test)
    overlap = overlap_of(RATE, *points)
    quality = np.linspace(overlap.low, overlap.high, n)
    stacks = [Stack(bpp[None], q[None]) for bpp, q in points]
    (percent,) = _percent(stacks[0], stacks[1], quality, method)
    band = _interval(anchor, test, metric, of_anchor, quality, method, n_resamples, seed)
    return Saving(anchor, test, metric, quality, percent, band)


def _percent(anchor: Stack, test: Stack, quality: FloatArray, method: Method) -> FloatArray:
    """Rate saved, (n_curves, n); NaN where a curve does not reach the quality."""
    difference = values_at(RATE, test, quality, method) - values_at(RATE, anchor, quality, method)
    reached = np.ones(difference.shape, bool)
    for stack in (anchor, test):
        low, high = stack.quality.min(axis=1), stack.quality.max(axis=1)
        reached &= (quality >= low[:, None] - 1e-9) & (quality <= high[:, None] + 1e-9)
    return np.where(reached, -100 * np.expm1(difference), np.nan)


def _interval(
    anchor: Curve,
    test: Curve,
    metric: str,
    averaging: Averaging,
    quality: FloatArray,
    method: Method,
    n_resamples: int,
    seed: int,
) -> tuple[FloatArray, FloatArray] | None:
    images = paired(anchor, test, metric)
    if images is None or len(images.images) < 2 or n_resamples < 1:
        return None
    stacks = [
        resampled(table, images.images, images.metric, averaging, n_resamples, seed)
        for table in (images.anchor, images.test)
    ]
    percent = _percent(stacks[0], stacks[1], quality, method)
    reached = np.isfinite(percent).all(axis=0)
    ends = np.full((2, len(quality)), np.nan)
    shares = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)
    ends[:, reached] = np.quantile(percent[:, reached], shares, axis=0)
    return ends[0], ends[1]
