"""Compute what a variable-rate codec loses against the fixed-rate models that it replaces.

QVRF's Table 1: the BD-rate of one variable-rate model against the envelope of the fixed-rate ones,
over the whole range and in intervals of rate. (The paper averages figures of four points each at
low, medium and high rates, and does not say which points.)
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from rdbench.analysis.bd import BdRate, bd_rate
from rdbench.analysis.delta import RATE, Method, delta
from rdbench.curve import Curve, metric_name
from rdbench.decibel import FloatArray
from rdbench.errors import DataError, UsageError


@dataclass(frozen=True, slots=True)
class Interval:
    """The penalty within an interval of rate, of which the envelope has the ends."""

    bpp_low: float
    bpp_high: float
    quality_low: float
    quality_high: float
    bd_rate_percent: float


@dataclass(frozen=True, slots=True)
class VariableRatePenalty:
    """A variable-rate curve against the envelope of the curves with the labels ``fixed``."""

    fixed: tuple[str, ...]
    overall: BdRate
    intervals: tuple[Interval, ...]

    @property
    def mean_of_intervals_percent(self) -> float:
        """Mean of the intervals' figures, which all weigh the same."""
        return float(np.mean([interval.bd_rate_percent for interval in self.intervals]))

    def row(self) -> dict[str, Any]:
        """One line of a table, ready for JSON."""
        return {
            **self.overall.row(),
            "fixed": list(self.fixed),
            "mean_of_intervals_percent": self.mean_of_intervals_percent,
            "intervals": [dataclasses.asdict(interval) for interval in self.intervals],
        }


def variable_rate_penalty(
    variable: Curve,
    fixed: Curve | Sequence[Curve],
    metric: str = "psnr",
    method: Method = "poly3",
    edges_bpp: Sequence[float] | None = None,
) -> VariableRatePenalty:
    """Compare a variable-rate curve with the envelope of its fixed-rate models.

    Args:
        fixed: a curve whose every point has weights of its own, or one curve for each model.
        metric: ``psnr`` or ``ms_ssim``.
        edges_bpp: ends of the intervals of rate, rising; those outside the common range are cut
            off. None for thirds (low, medium, high) of the common range of log rate.

    Raises:
        UsageError: other data sets, unknown metric, edges that do not rise.
        DataError: fewer than four points on either side, or no common range.

    Examples:
        >>> from rdbench.published import load_curve
        >>> qvrf = load_curve("kodak", "qvrf-cheng2020-attn")
        >>> retrained = load_curve("kodak", "cheng2020-attn-retrained")
        >>> round(variable_rate_penalty(qvrf, retrained).overall.bd_rate_percent, 2)
        -2.01
    """
    curves = [fixed] if isinstance(fixed, Curve) else list(fixed)
    front = envelope(curves, metric)
    overall = bd_rate(front, variable, metric, method)
    points = front.points(metric)
    low, high = _rate_at(points, overall.overlap.low), _rate_at(points, overall.overlap.high)
    if edges_bpp is None:
        edges = np.geomspace(low, high, 4)
    else:
        edges = np.asarray(edges_bpp, np.float64)
        if len(edges) < 2 or not (np.diff(edges) > 0).all():
            raise UsageError("edges of rate intervals must rise, and there must be two at least")
        edges = np.unique(edges.clip(low, high))
    if len(edges) < 2:
        raise DataError(f"no rate interval overlaps the range {low:.4g} to {high:.4g} bpp")
    intervals = []
    for bpp_low, bpp_high in pairwise(edges):
        ends = _quality_at(points, bpp_low), _quality_at(points, bpp_high)
        ends = max(ends[0], overall.overlap.low), min(ends[1], overall.overlap.high)
        change = delta(RATE, points, variable.points(metric), method, ends)
        intervals.append(Interval(float(bpp_low), float(bpp_high), *ends, change))
    return VariableRatePenalty(tuple(c.label for c in curves), overall, tuple(intervals))


def envelope(curves: Sequence[Curve], metric: str = "psnr") -> Curve:
    """The points of all curves that no other point beats in both rate and quality, as one curve.

    A single curve without such points is returned as it is, with the scores of each image.

    Raises:
        UsageError: no curve, or curves on different data sets.
    """
    if not curves or len({curve.dataset for curve in curves}) > 1:
        raise UsageError("an envelope needs curves, all on the same data set")
    name = metric_name(metric)
    for curve in curves:
        curve.points(metric)  # raises where the curve has no such metric
    scores = np.concatenate([curve.scores[name] for curve in curves])
    rates = np.concatenate([curve.bpp for curve in curves])[np.isfinite(scores)]
    scores = scores[np.isfinite(scores)]
    order = np.lexsort((-scores, rates))
    best_before = np.maximum.accumulate(np.concatenate([[-np.inf], scores[order][:-1]]))
    kept = order[scores[order] > best_before]
    if len(curves) == 1 and len(kept) == len(curves[0].bpp):
        return curves[0]
    scored = dict.fromkeys(str(curve.protocol.get("scored")) for curve in curves)
    return dataclasses.replace(
        curves[0],
        protocol={**curves[0].protocol, "scored": " and ".join(scored)},  # a BD-rate warns of it
        codec=" + ".join(dict.fromkeys(curve.codec for curve in curves)),
        estimated=any(curve.estimated for curve in curves),
        label="envelope of " + ", ".join(curve.label for curve in curves),
        bpp=rates[kept],
        scores={name: scores[kept]},
        rate_values=(),
        specs=(),
        per_image=None,
    )


def _rate_at(points: tuple[FloatArray, FloatArray], quality: float) -> float:
    """Rate of a rising curve at a quality, log rate linear between points."""
    return float(np.exp(np.interp(quality, points[1], np.log(points[0]))))


def _quality_at(points: tuple[FloatArray, FloatArray], rate: float) -> float:
    return float(np.interp(np.log(rate), np.log(points[0]), points[1]))
