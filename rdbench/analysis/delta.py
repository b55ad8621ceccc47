"""The numbers behind a Bjontegaard delta: curves through points, and the area between them."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self, get_args

import numpy as np

from rdbench.analysis.curves import MIN_POINTS
from rdbench.curve import Curve
from rdbench.decibel import Averaging, FloatArray
from rdbench.errors import DataError

Method = Literal["poly3", "pchip", "akima"]
"""``poly3``: third-order polynomial by least squares. ``pchip``, ``akima``: piecewise cubic
interpolation through all points."""

Range = Literal["overlap", "cut", "inner"]
"""``overlap``: fit all points, integrate where both curves have points. ``cut``: fit only points in
that range and one more on either side. ``inner``: ``overlap`` less a tenth at each end."""

METHODS: tuple[Method, ...] = get_args(Method)
RANGES: tuple[Range, ...] = get_args(Range)

Points = tuple[FloatArray, FloatArray]
"""Rates in bits per pixel and qualities in dB, both (n,)."""


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """The range over which two curves are compared: qualities for a BD-rate, rates for a BD-PSNR.

    Attributes:
        low, high: its ends, in dB or bits per pixel.
        of_union: its share of the range that either curve covers (rates are taken as log rates).
        of_anchor, of_test: its share of the range of each curve.
    """

    low: float
    high: float
    of_union: float
    of_anchor: float
    of_test: float


@dataclass(frozen=True)
class Kind:
    """What tells a BD-rate from a BD-PSNR.

    Attributes:
        what: name of the figure.
        axis: name of what is common to both curves.
        swap: points to (x, y), where y is integrated over x.
        unit: mean difference of y to the figure.
        end: x to an end of the overlap.
        better: sign of a figure that is better.
    """

    what: str
    axis: str
    swap: Callable[[Points], Points]
    unit: Callable[[float], float]
    end: Callable[[float], float]
    better: int


RATE = Kind(
    what="BD-rate",
    axis="quality",
    swap=lambda points: (points[1], np.log(points[0])),
    unit=lambda mean_log_ratio: 100 * math.expm1(mean_log_ratio),
    end=float,
    better=-1,
)
PSNR = Kind(
    what="BD-PSNR",
    axis="rate",
    swap=lambda points: (np.log(points[0]), points[1]),
    unit=float,
    end=math.exp,
    better=1,
)


def points_of(kind: Kind, curve: Curve, metric: str, averaging: Averaging | None) -> Points:
    """The points of a curve that a figure can be computed from.

    Raises:
        UsageError: the curve has no such metric or averaging.
        DataError: fewer than four points.
    """
    points = curve.points(metric, averaging)
    if len(points[0]) < MIN_POINTS:
        raise DataError(
            f"{curve.label} ({curve.source}) has {len(points[0])} points on {curve.dataset}; "
            f"a {kind.what} needs {MIN_POINTS}"
        )
    return points


def _limits(kind: Kind, anchor: Points, test: Points) -> tuple[float, float]:
    """Ends of the common range of x."""
    (x_anchor, _), (x_test, _) = kind.swap(anchor), kind.swap(test)
    low, high = max(x_anchor.min(), x_test.min()), min(x_anchor.max(), x_test.max())
    if low >= high:
        raise DataError(f"the curves have no common range of {kind.axis}, so no {kind.what}")
    return float(low), float(high)


def overlap_of(kind: Kind, anchor: Points, test: Points) -> Overlap:
    """The common range of two curves and its share of either."""
    low, high = _limits(kind, anchor, test)
    (x_anchor, _), (x_test, _) = kind.swap(anchor), kind.swap(test)
    union = np.concatenate([x_anchor, x_test])
    of_union, of_anchor, of_test = (
        float((high - low) / np.ptp(x)) for x in (union, x_anchor, x_test)
    )
    return Overlap(
        low=kind.end(low),
        high=kind.end(high),
        of_union=of_union,
        of_anchor=of_anchor,
        of_test=of_test,
    )


def delta(
    kind: Kind, anchor: Points, test: Points, method: Method, span: Range = "overlap"
) -> float:
    """The figure for two curves of at least four points."""
    low, high = _limits(kind, anchor, test)
    (x_anchor, y_anchor), (x_test, y_test) = kind.swap(anchor), kind.swap(test)
    if span == "cut":
        x_anchor, y_anchor = _cut(x_anchor, y_anchor, low, high)
        x_test, y_test = _cut(x_test, y_test, low, high)
    if span == "inner":
        low, high = low + (high - low) / 10, high - (high - low) / 10
    return _mean_difference(kind, (x_anchor, y_anchor), (x_test, y_test), low, high, method)


def delta_between(
    kind: Kind, anchor: Points, test: Points, method: Method, low: float, high: float
) -> float:
    """The figure over a part of the common range, from ``low`` to ``high`` on the axis of kind."""
    return _mean_difference(kind, kind.swap(anchor), kind.swap(test), low, high, method)


def _mean_difference(
    kind: Kind, anchor: Points, test: Points, low: float, high: float, method: Method
) -> float:
    """The figure for curves of points (x, y)."""
    difference = _integral(*test, low, high, method) - _integral(*anchor, low, high, method)
    return kind.unit(difference / (high - low))


def _cut(x: FloatArray, y: FloatArray, low: float, high: float) -> Points:
    """The points between ``low`` and ``high`` and the next one on either side."""
    order = np.argsort(x)
    x, y = x[order], y[order]
    first = max(0, int(np.searchsorted(x, low, side="right")) - 1)
    last = int(np.searchsorted(x, high, side="left")) + 1
    if len(x[first:last]) < MIN_POINTS:
        raise DataError(f"fewer than {MIN_POINTS} points in the common range")
    return x[first:last], y[first:last]


def _integral(x: FloatArray, y: FloatArray, low: float, high: float, method: Method) -> float:
    """Integral of y over x from ``low`` to ``high``, which lie within the points."""
    if method == "poly3":
        cubic = Cubics.through(x[None], y[None])
        return float(cubic.integrals(np.array([low]), np.array([high]))[0])
    from scipy.interpolate import Akima1DInterpolator, PchipInterpolator

    order = np.argsort(x)
    x, y = x[order], y[order]
    if (np.diff(x) <= 0).any():
        raise DataError(f"two points coincide, which {method} cannot join; poly3 can")
    join = PchipInterpolator if method == "pchip" else Akima1DInterpolator
    return float(join(x, y).integrate(low, high))


@dataclass(frozen=True, eq=False)
class Cubics:
    """Least-squares cubics y(x) through the points of several curves.

    Attributes:
        low, high: range of x that the points of each curve cover, (n_curves,).
        primitives: coefficients of their primitives, highest power first, in x scaled to [-1, 1] by
            that range, where the fit is well posed, (n_curves, 5).
    """

    low: FloatArray
    high: FloatArray
    primitives: FloatArray

    @classmethod
    def through(cls, x: FloatArray, y: FloatArray) -> Self:
        """The cubics through points of coordinates (n_curves, n_points)."""
        low, high = x.min(axis=1), x.max(axis=1)
        centre, half = (high + low)[:, None] / 2, (high - low)[:, None] / 2
        powers = ((x - centre) / half)[..., None] ** (3, 2, 1, 0)
        coefficients = np.linalg.pinv(powers) @ y[..., None]
        constants = np.zeros((len(x), 1))
        return cls(low, high, np.hstack([coefficients[..., 0] / (4, 3, 2, 1), constants]))

    def integrals(self, low: FloatArray, high: FloatArray) -> FloatArray:
        """Integrals from ``low`` to ``high``, one a curve, all (n_curves,)."""
        centre, half = (self.high + self.low) / 2, (self.high - self.low) / 2
        ends = (np.stack([low, high]) - centre) / half
        at_low, at_high = np.polyval(self.primitives.T[:, None], ends)
        return np.asarray(half * (at_high - at_low))


@dataclass(frozen=True, eq=False)
class Stack:
    """Points of several curves with as many points each.

    Attributes:
        bpp, quality: bits per pixel and dB, (n_curves, n_points).
    """

    bpp: FloatArray
    quality: FloatArray


@functools.lru_cache(maxsize=256)
def _cubics(kind: Kind, stack: Stack) -> Cubics:
    return Cubics.through(*kind.swap((stack.bpp, stack.quality)))


def deltas(kind: Kind, anchor: Stack, test: Stack, method: Method) -> list[float | None]:
    """The figures of several pairs of curves; None where a pair gives none.

    What ``poly3`` fits to a stack is kept, so that a stack may be compared with many others.
    """
    if method != "poly3":
        pairs = zip(anchor.bpp, anchor.quality, test.bpp, test.quality, strict=True)
        return [delta_or_none(kind, (ra, qa), (rt, qt), method) for ra, qa, rt, qt in pairs]
    if min(anchor.bpp.shape[1], test.bpp.shape[1]) < MIN_POINTS:
        return [None] * len(anchor.bpp)
    a, t = _cubics(kind, anchor), _cubics(kind, test)
    low, high = np.maximum(a.low, t.low), np.minimum(a.high, t.high)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = (t.integrals(low, high) - a.integrals(low, high)) / (high - low)
    return [kind.unit(m) if common else None for m, common in zip(means, low < high, strict=True)]


def delta_or_none(
    kind: Kind, anchor: Points, test: Points, method: Method, span: Range = "overlap"
) -> float | None:
    try:
        return delta(kind, anchor, test, method, span)
    except DataError:
        return None
