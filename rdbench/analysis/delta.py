"""The numbers behind a Bjontegaard delta: curves through points, and the area between them."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import numpy as np
import numpy.typing as npt

from rdbench.analysis.measured import MIN_POINTS
from rdbench.curve import Curve, metric_name
from rdbench.decibel import Averaging, FloatArray
from rdbench.errors import DataError

Method = Literal["poly3", "pchip", "akima"]
"""``poly3``: third-order polynomial by least squares. ``pchip``, ``akima``: piecewise cubic
interpolation through all points."""

Range = Literal["overlap", "cut", "inner"]
"""``overlap``: fit all points, integrate where both curves have points. ``cut``: fit only points in
that range and one more on either side. ``inner``: ``overlap`` less a tenth at each end."""

Ends = tuple[float, float]
"""A part of the common range, from one value of x to another."""

METHODS: tuple[Method, ...] = get_args(Method)
RANGES: tuple[Range, ...] = get_args(Range)

Points = tuple[FloatArray, FloatArray]
"""Rates in bits per pixel and qualities in dB, both (n,)."""


@dataclass(frozen=True)
class Overlap:
    """The range over which two curves are compared: qualities for a BD-rate, rates for a BD-PSNR.

    Attributes:
        low, high: its ends, in dB or bits per pixel.
        of_union, of_test: its share of the range of either curve, and of the test curve; rates are
            taken as logs.
    """

    low: float
    high: float
    of_union: float
    of_test: float


@dataclass(frozen=True)
class Kind:
    """What tells a BD-rate from a BD-PSNR; both integrate y over a common range of x.

    Attributes:
        common: what is common to both curves, for people.
        to_xy: points to (x, y).
        to_figure: mean difference of y to the figure.
        from_x, to_x: x to quality or rate, and back.
        better_sign: sign of a figure that is better.
        agreement: mean differences of y by two methods agree up to this.
    """

    title: str
    common: str
    to_xy: Callable[[Points], Points]
    to_figure: Callable[[float], float]
    from_x: Callable[[float], float]
    to_x: Callable[[float], float]
    better_sign: int
    agreement: float
    agreement_text: str


RATE = Kind(
    title="BD-rate",
    common="quality",
    to_xy=lambda points: (points[1], np.log(points[0])),
    to_figure=lambda mean: 100 * math.expm1(mean) if mean < 700 else math.inf,  # of doubles' range
    from_x=float,
    to_x=float,
    better_sign=-1,
    agreement=math.log(1.05),
    agreement_text="5 % of the rate",
)
PSNR = Kind(
    title="BD-PSNR",
    common="rate",
    to_xy=lambda points: (np.log(points[0]), points[1]),
    to_figure=float,
    from_x=math.exp,
    to_x=math.log,
    better_sign=1,
    agreement=0.2,
    agreement_text="0.2 dB",
)

_LOST = ("incomplete", "conflict", "undefined")
"""Kinds of notes that a point was lost to."""


def points_of(kind: Kind, curve: Curve, metric: str, averaging: Averaging | None) -> Points:
    """The points of a curve that a figure can be computed from.

    Raises:
        UsageError: the curve has no such metric or averaging.
        DataError: fewer than four points of different quality (BD-rate) or rate (BD-PSNR).
    """
    points = curve.points(metric, averaging)
    n_points, n_distinct = len(points[0]), n_distinct_points(kind, points)
    if n_distinct < MIN_POINTS:
        of = "" if n_distinct == n_points else f" of different {kind.common}"
        about = ("", metric_name(metric))
        lost = [a for a in curve.notes if a.kind in _LOST and a.metric in about]
        why = f" ({lost[0].message})" if lost else ""
        raise DataError(
            f"{curve.label} ({curve.source}) has {n_distinct} points{of} on {curve.dataset}; "
            f"a {kind.title} needs {MIN_POINTS}{why}"
        )
    return points


def n_distinct_points(kind: Kind, points: Points) -> int:
    """Points that differ in what a curve is fitted over; a cubic through three is not defined."""
    return len(np.unique(kind.to_xy(points)[0]))


def _limits(kind: Kind, anchor: Points, test: Points) -> tuple[float, float]:
    """Ends of the common range of x."""
    (x_anchor, _), (x_test, _) = kind.to_xy(anchor), kind.to_xy(test)
    low, high = max(x_anchor.min(), x_test.min()), min(x_anchor.max(), x_test.max())
    if low >= high:
        raise DataError(f"the curves have no common range of {kind.common}, so no {kind.title}")
    return float(low), float(high)


def overlap_of(kind: Kind, anchor: Points, test: Points) -> Overlap:
    """The common range of two curves and its share of either."""
    low, high = _limits(kind, anchor, test)
    (x_anchor, _), (x_test, _) = kind.to_xy(anchor), kind.to_xy(test)
    union = np.concatenate([x_anchor, x_test])
    of_union, of_test = (float((high - low) / np.ptp(x)) for x in (union, x_test))
    return Overlap(kind.from_x(low), kind.from_x(high), of_union, of_test)


def delta(
    kind: Kind, anchor: Points, test: Points, method: Method, span: Range | Ends = "overlap"
) -> float:
    """The figure for two curves of at least four points."""
    return kind.to_figure(mean_difference(kind, anchor, test, method, span))


def mean_difference(
    kind: Kind, anchor: Points, test: Points, method: Method, span: Range | Ends = "overlap"
) -> float:
    """Mean difference of y, test less anchor: of log rates, or of qualities in dB."""
    low, high = _limits(kind, anchor, test) if isinstance(span, str) else span
    a, t = kind.to_xy(anchor), kind.to_xy(test)
    if span == "cut":
        a, t = _cut(*a, low, high), _cut(*t, low, high)
    if span == "inner":
        low, high = low + (high - low) / 10, high - (high - low) / 10
    return (_integral(*t, low, high, method) - _integral(*a, low, high, method)) / (high - low)


def rises(kind: Kind, points: Points, low: float, high: float, method: Method) -> bool:
    """Whether the curve that a method puts through the points rises from ``low`` to ``high``.

    Args:
        low, high: ends of a range, as an ``Overlap`` has them.
        method: ``poly3`` may swing between its points, ``akima`` overshoot; ``pchip`` does not.
    """
    x, y = kind.to_xy(points)
    ends = np.array([kind.to_x(low), kind.to_x(high)])
    if method == "poly3":
        return bool(Cubics.through(x[None], y[None]).rise(ends[:1], ends[1:])[0])
    joined = _joined(x, y, method)
    # The slope is quadratic in each piece: lowest at an end, where pieces meet or where it turns.
    turns = joined.derivative(2).roots(discontinuity=False, extrapolate=False)
    at = np.concatenate([joined.x, turns[np.isfinite(turns)]])
    return bool(_is_rise(joined.derivative()(np.append(ends, at[(at > ends[0]) & (at < ends[1])]))))


def _is_rise(slopes: FloatArray) -> npt.NDArray[np.bool_]:
    """Whether no slope along the first axis is negative; a curve may start and end flat."""
    return np.asarray(slopes.min(axis=0) >= -1e-9 * slopes.max(axis=0))


def _cut(x: FloatArray, y: FloatArray, low: float, high: float) -> Points:
    """The points between ``low`` and ``high`` and the next one on either side."""
    order = np.argsort(x)
    x, y = x[order], y[order]
    first = max(0, int(np.searchsorted(x, low, side="right")) - 1)
    last = int(np.searchsorted(x, high, side="left")) + 1
    if len(np.unique(x[first:last])) < MIN_POINTS:
        raise DataError(f"fewer than {MIN_POINTS} points in the common range")
    return x[first:last], y[first:last]


def _integral(x: FloatArray, y: FloatArray, low: float, high: float, method: Method) -> float:
    """Integrate y over x from ``low`` to ``high``, both inside the range of the points."""
    if method == "poly3":
        cubic = Cubics.through(x[None], y[None])
        return float(cubic.integrals(np.array([low]), np.array([high]))[0])
    return float(_joined(x, y, method).integrate(low, high))


def _joined(x: FloatArray, y: FloatArray, method: Method) -> Any:
    """Piecewise cubics through all points."""
    from scipy.interpolate import Akima1DInterpolator, PchipInterpolator

    order = np.argsort(x)
    x, y = x[order], y[order]
    if (np.diff(x) <= 0).any():
        raise DataError(f"two points coincide, which {method} cannot join; poly3 can")
    return (PchipInterpolator if method == "pchip" else Akima1DInterpolator)(x, y)


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
        """Integrals from ``low`` to ``high``, one per curve, all (n_curves,)."""
        half = (self.high - self.low) / 2
        at_low, at_high = np.polyval(self.primitives.T[:, None], self._scaled(low, high))
        return np.asarray(half * (at_high - at_low))

    def rise(self, low: FloatArray, high: FloatArray) -> npt.NDArray[np.bool_]:
        """Which curves rise all the way from ``low`` to ``high``, all (n_curves,)."""
        ends = self._scaled(low, high)
        # Of the cubic: the primitive's coefficients times 4, 3, 2; its slope is a parabola, lowest
        # at an end of the range or where it turns.
        third, second, first = self.primitives.T[:3] * [[4], [3], [2]]
        slope = np.stack([3 * third, 2 * second, first])
        with np.errstate(divide="ignore", invalid="ignore"):
            turn = np.nan_to_num(-second / (3 * third)).clip(*ends)
        return _is_rise(np.polyval(slope[:, None], np.stack([*ends, turn])))

    def values(self, x: FloatArray) -> FloatArray:
        """Values at ``x``, (n,), of each curve, (n_curves, n)."""
        ends = np.broadcast_to(x[:, None], (len(x), len(self.low)))
        scaled = self._scaled(ends, ends)[0]
        cubic = self.primitives.T[:4] * [[4], [3], [2], [1]]
        return np.asarray(np.polyval(cubic[:, None], scaled).T)

    def _scaled(self, low: FloatArray, high: FloatArray) -> FloatArray:
        """``low`` and ``high`` where the points of each curve lie from -1 to 1, (2, n_curves)."""
        centre, half = (self.high + self.low) / 2, (self.high - self.low) / 2
        return np.asarray((np.stack([low, high]) - centre) / half)


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
    return Cubics.through(*kind.to_xy((stack.bpp, stack.quality)))


def values_at(kind: Kind, stack: Stack, at: FloatArray, method: Method) -> FloatArray:
    """Return y of each curve at ``at``, (n,), as a method joins its points; (n_curves, n)."""
    if method == "poly3":
        return _cubics(kind, stack).values(at)
    pairs = (kind.to_xy(points) for points in zip(stack.bpp, stack.quality, strict=True))
    return np.stack([_joined(x, y, method)(at) for x, y in pairs])


def deltas(kind: Kind, anchor: Stack, test: Stack, method: Method) -> list[float | None]:
    """The figures of several pairs of curves; None where a pair gives none.

    What ``poly3`` fits to a stack is kept, so that a stack may be compared with many others.
    """
    if method != "poly3":
        pairs = zip(anchor.bpp, anchor.quality, test.bpp, test.quality, strict=True)
        return [delta_or_none(kind, (ra, qa), (rt, qt), method) for ra, qa, rt, qt in pairs]
    if min(anchor.bpp.shape[1], test.bpp.shape[1]) < MIN_POINTS:
        return [None] * len(anchor.bpp)
    # All pairs at once: each cubic is integrated over the range that its pair has in common.
    # Pairs without such a range divide by zero or less and are sorted out below.
    a, t = _cubics(kind, anchor), _cubics(kind, test)
    low, high = np.maximum(a.low, t.low), np.minimum(a.high, t.high)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = (t.integrals(low, high) - a.integrals(low, high)) / (high - low)
    enough = (low < high) & _has_enough(kind, anchor) & _has_enough(kind, test)
    return [kind.to_figure(m) if good else None for m, good in zip(means, enough, strict=True)]


def swinging(kind: Kind, anchor: Stack, test: Stack) -> npt.NDArray[np.bool_]:
    """Pairs of curves of which one has a ``poly3`` that does not rise all over the common range."""
    a, t = _cubics(kind, anchor), _cubics(kind, test)
    low, high = np.maximum(a.low, t.low), np.minimum(a.high, t.high)
    return ~(a.rise(low, high) & t.rise(low, high))


def _has_enough(kind: Kind, stack: Stack) -> npt.NDArray[np.bool_]:
    """Which curves of a stack have four points that differ in what they are fitted over."""
    x = np.sort(kind.to_xy((stack.bpp, stack.quality))[0], axis=1)
    return np.asarray((np.diff(x, axis=1) > 0).sum(axis=1) + 1 >= MIN_POINTS)


def delta_or_none(
    kind: Kind, anchor: Points, test: Points, method: Method, span: Range = "overlap"
) -> float | None:
    try:
        return delta(kind, anchor, test, method, span)
    except DataError:
        return None
