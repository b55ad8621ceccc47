"""Bjontegaard deltas: how two rate-distortion curves differ on average, and how sure that is.

Sources: Bjontegaard, "Calculation of average PSNR differences between RD-curves", ITU-T SG16/Q6
VCEG-M33, 2001 (third-order polynomials); Bjontegaard, VCEG-AI11, 2008 (piecewise cubic); Herglotz et
al., "The Bjontegaard bible: why your way of comparing video codecs may be wrong", IEEE TIP 2024
(Akima, and why overlap and monotonicity matter).
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.polynomial import Polynomial

from rdbench.analysis.curves import MIN_POINTS, anomalies
from rdbench.curve import Curve, PerPicture, metric_name
from rdbench.decibel import AVERAGINGS, Averaging, FloatArray, mean_db
from rdbench.errors import DataError, UsageError

Method = Literal["poly3", "pchip", "akima"]
METHODS: tuple[Method, ...] = get_args(Method)

Range = Literal["overlap", "cut", "inner"]
"""``overlap``: fit all points, integrate where both curves have points. ``cut``: fit only the points
in that range and the next one on either side. ``inner``: as overlap, without a tenth at each end."""

RANGES: tuple[Range, ...] = get_args(Range)

SMALL_OVERLAP = 0.75
CONFIDENCE = 0.95


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


@dataclass(frozen=True, kw_only=True)
class Delta:
    """How a test curve differs from an anchor, and all it takes to judge that figure.

    Attributes:
        codec, label, dataset, source: the test curve's.
        anchor, anchor_source: the anchor's codec and source.
        metric, method, averaging: what was compared, how points were joined, how pictures averaged.
        overlap: the range compared.
        n_points, n_anchor_points: points of the test curve and of the anchor.
        monotonic: whether quality rises with rate at every point of both curves.
        warnings: why the figure must be read with care; one line each.
        ci_low, ci_high: 95 % confidence interval by paired bootstrap over the pictures; None where
            either side lacks the scores of each picture.
        per_picture: (picture, delta) for every picture, None where a picture's points do not allow
            one; () where either side lacks the scores of each picture.
        wins, losses: pictures on which the test curve is better, worse.
    """

    codec: str
    label: str
    dataset: str
    source: str
    anchor: str
    anchor_source: str
    metric: str
    method: Method
    averaging: Averaging
    overlap: Overlap
    n_points: int
    n_anchor_points: int
    monotonic: bool
    warnings: tuple[str, ...]
    ci_low: float | None
    ci_high: float | None
    per_picture: tuple[tuple[str, float | None], ...]
    wins: tuple[str, ...]
    losses: tuple[str, ...]

    def _row(self, name: str, value: float) -> dict[str, Any]:
        return {
            "codec": self.codec,
            "dataset": self.dataset,
            "metric": self.metric,
            "method": self.method,
            name: value,
            "ci_low": self.ci_low,
            "ci_high": self.ci_high,
            "overlap": self.overlap.of_union,
            "overlap_low": self.overlap.low,
            "overlap_high": self.overlap.high,
            "n_points": self.n_points,
            "source": self.source,
            "label": self.label,
            "anchor": self.anchor,
            "anchor_n_points": self.n_anchor_points,
            "anchor_source": self.anchor_source,
            "averaging": self.averaging,
            "n_wins": len(self.wins) if self.per_picture else None,
            "n_losses": len(self.losses) if self.per_picture else None,
            "monotonic": self.monotonic,
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True, kw_only=True)
class BdRate(Delta):
    """A BD-rate: the mean change of rate at equal quality, in percent; negative is better."""

    bd_rate_percent: float

    def row(self) -> dict[str, Any]:
        """One line of a table, ready for JSON."""
        return self._row("bd_rate_percent", self.bd_rate_percent)


@dataclass(frozen=True, kw_only=True)
class BdPsnr(Delta):
    """A BD-PSNR: the mean change of quality at equal rate, in dB; positive is better."""

    bd_psnr_db: float

    def row(self) -> dict[str, Any]:
        """One line of a table, ready for JSON."""
        return self._row("bd_psnr_db", self.bd_psnr_db)


@dataclass(frozen=True)
class _Kind:
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


_RATE = _Kind(
    what="BD-rate",
    axis="quality",
    swap=lambda points: (points[1], np.log(points[0])),
    unit=lambda mean_log_ratio: 100 * math.expm1(mean_log_ratio),
    end=float,
    better=-1,
)
_PSNR = _Kind(
    what="BD-PSNR",
    axis="rate",
    swap=lambda points: (np.log(points[0]), points[1]),
    unit=float,
    end=math.exp,
    better=1,
)


def bd_rate(
    anchor: Curve,
    test: Curve,
    metric: str = "psnr",
    method: Method = "poly3",
    averaging: Averaging | None = None,
    n_resamples: int = 1000,
    seed: int = 0,
) -> BdRate:
    """Mean difference of rate at equal quality, over the qualities that both curves reach.

    Log rate as a function of quality is fitted or interpolated for each curve, both are integrated
    over the common range, and the mean difference of log rates is turned into percent.

    Args:
        anchor: the curve compared with.
        test: the curve judged.
        metric: ``psnr``, or ``ms_ssim``, which is compared in its dB form.
        method: ``poly3``, least-squares third-order polynomial, as in VCEG-M33 and most papers;
            ``pchip`` or ``akima``, interpolation through all points.
        averaging: of qualities over pictures; None for the usual one of the metric.
        n_resamples: bootstrap resamples for the confidence interval.
        seed: of the bootstrap.

    Raises:
        UsageError: other data sets, unknown metric or method, no such scores.
        DataError: fewer than four points, no common range, or a quality that two points share.

    Example:
        >>> from rdbench.published import load_curve
        >>> vtm, qarv = load_curve("kodak", "vtm18"), load_curve("kodak", "qarv")
        >>> round(bd_rate(vtm, qarv).bd_rate_percent, 3)
        -5.899
    """
    value, context = _compare(_RATE, anchor, test, metric, method, averaging, n_resamples, seed)
    return BdRate(bd_rate_percent=value, **context)


def bd_psnr(
    anchor: Curve,
    test: Curve,
    metric: str = "psnr",
    method: Method = "poly3",
    averaging: Averaging | None = None,
    n_resamples: int = 1000,
    seed: int = 0,
) -> BdPsnr:
    """Mean difference of quality in dB at equal rate, over the log rates that both curves cover.

    Arguments and errors are those of ``bd_rate``.
    """
    value, context = _compare(_PSNR, anchor, test, metric, method, averaging, n_resamples, seed)
    return BdPsnr(bd_psnr_db=value, **context)


def _compare(
    kind: _Kind,
    anchor: Curve,
    test: Curve,
    metric: str,
    method: Method,
    averaging: Averaging | None,
    n_resamples: int,
    seed: int,
) -> tuple[float, dict[str, Any]]:
    """The figure, and the fields of its ``Delta``."""
    if anchor.dataset != test.dataset:
        raise UsageError(
            f"{test.codec} on {test.dataset} cannot be compared with {anchor.codec} on "
            f"{anchor.dataset}: the pictures differ"
        )
    if method not in METHODS:
        raise UsageError(f"no method {method!r}; there are {', '.join(METHODS)}")
    averaging = averaging or anchor.averaging(metric)
    points = _points(kind, anchor, metric, averaging), _points(kind, test, metric, averaging)
    value = _delta(kind, *points, method)
    overlap = _overlap(kind, *points)
    pictures = _paired(anchor, test, metric)
    interval = _bootstrap(kind, pictures, method, averaging, n_resamples, seed)
    per_picture = _each_picture(kind, pictures, method)
    scored = [(name, kind.better * v) for name, v in per_picture if v is not None]
    return value, {
        "codec": test.codec,
        "label": test.label,
        "dataset": test.dataset,
        "source": test.source,
        "anchor": anchor.codec,
        "anchor_source": anchor.source,
        "metric": "psnr" if metric_name(metric) == "psnr_rgb" else metric,
        "method": method,
        "averaging": averaging,
        "overlap": overlap,
        "n_anchor_points": len(points[0][0]),
        "n_points": len(points[1][0]),
        "monotonic": all(bool((np.diff(quality) > 0).all()) for _, quality in points),
        "warnings": tuple(_warnings(anchor, test, overlap)),
        "ci_low": interval[0],
        "ci_high": interval[1],
        "per_picture": per_picture,
        "wins": tuple(name for name, v in scored if v > 0),
        "losses": tuple(name for name, v in scored if v < 0),
    }


def _points(kind: _Kind, curve: Curve, metric: str, averaging: Averaging | None) -> Points:
    points = curve.points(metric, averaging)
    if len(points[0]) < MIN_POINTS:
        raise DataError(
            f"{curve.codec} ({curve.source}) has {len(points[0])} points on {curve.dataset}; "
            f"a {kind.what} needs {MIN_POINTS}"
        )
    return points


def _warnings(anchor: Curve, test: Curve, overlap: Overlap) -> list[str]:
    found = [f"{curve.label}: {a.message}" for curve in (anchor, test) for a in anomalies(curve)]
    for key, what in (("scored", "scored as"), ("rate", "rate is")):
        of_test, of_anchor = test.protocol.get(key), anchor.protocol.get(key)
        if of_test != of_anchor:
            texts = (of_test or "not known", of_anchor or "not known")
            found.append(f"{what}: {texts[0]} ({test.label}), {texts[1]} ({anchor.label})")
    if overlap.of_test < SMALL_OVERLAP:
        found.append(f"covers only {overlap.of_test:.0%} of the range of {test.label}")
    return found


def _limits(kind: _Kind, anchor: Points, test: Points) -> tuple[float, float]:
    """Ends of the common range of x."""
    (x_anchor, _), (x_test, _) = kind.swap(anchor), kind.swap(test)
    low, high = max(x_anchor.min(), x_test.min()), min(x_anchor.max(), x_test.max())
    if low >= high:
        raise DataError(f"the curves have no common range of {kind.axis}, so no {kind.what}")
    return float(low), float(high)


def _overlap(kind: _Kind, anchor: Points, test: Points) -> Overlap:
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


def _delta(
    kind: _Kind, anchor: Points, test: Points, method: Method, span: Range = "overlap"
) -> float:
    """The figure for two curves of at least four points."""
    low, high = _limits(kind, anchor, test)
    (x_anchor, y_anchor), (x_test, y_test) = kind.swap(anchor), kind.swap(test)
    if span == "cut":
        x_anchor, y_anchor = _cut(x_anchor, y_anchor, low, high)
        x_test, y_test = _cut(x_test, y_test, low, high)
    if span == "inner":
        low, high = low + (high - low) / 10, high - (high - low) / 10
    difference = _integral(x_test, y_test, low, high, method) - _integral(
        x_anchor, y_anchor, low, high, method
    )
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
        primitive = Polynomial.fit(x, y, 3).integ()
        return float(primitive(high) - primitive(low))
    from scipy.interpolate import Akima1DInterpolator, PchipInterpolator

    order = np.argsort(x)
    x, y = x[order], y[order]
    if (np.diff(x) <= 0).any():
        raise DataError(f"two points coincide, which {method} cannot join; poly3 can")
    join = PchipInterpolator if method == "pchip" else Akima1DInterpolator
    return float(join(x, y).integrate(low, high))


@dataclass(frozen=True)
class _Pictures:
    """Scores of the same pictures, in the same order, of points that have means.

    Attributes:
        images: names, (n_pictures,).
        anchor, test: bits per pixel and dB, each (n_points, n_pictures).
    """

    images: tuple[str, ...]
    anchor: Points
    test: Points


def _paired(anchor: Curve, test: Curve, metric: str) -> _Pictures | None:
    """The scores behind both curves, or None where one has none or they are of other pictures."""
    a, t = anchor.per_picture, test.per_picture
    if a is None or t is None or set(a.images) != set(t.images):
        return None
    order = [t.images.index(name) for name in a.images]
    return _Pictures(a.images, _finite(a, metric), _finite(t, metric, order))


def _finite(table: PerPicture, metric: str, order: list[int] | None = None) -> Points:
    """Rows in which every picture has a score."""
    quality = table.quality_db(metric_name(metric))
    rows = np.isfinite(quality).all(axis=1)
    columns = slice(None) if order is None else order
    return table.bpp[rows][:, columns], quality[rows][:, columns]


def _each_picture(
    kind: _Kind, pictures: _Pictures | None, method: Method
) -> tuple[tuple[str, float | None], ...]:
    """The figure of each picture alone."""
    if pictures is None:
        return ()
    (bpp_anchor, db_anchor), (bpp_test, db_test) = pictures.anchor, pictures.test
    return tuple(
        (name, _delta_or_none(kind, (bpp_a, db_a), (bpp_t, db_t), method))
        for name, bpp_a, db_a, bpp_t, db_t in zip(
            pictures.images, bpp_anchor.T, db_anchor.T, bpp_test.T, db_test.T, strict=True
        )
    )


def _delta_or_none(
    kind: _Kind, anchor: Points, test: Points, method: Method, span: Range = "overlap"
) -> float | None:
    try:
        return _delta(kind, anchor, test, method, span)
    except DataError:
        return None


def _bootstrap(
    kind: _Kind,
    pictures: _Pictures | None,
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
        _delta_or_none(kind, (bpp_a, db_a), (bpp_t, db_t), method)
        for bpp_a, db_a, bpp_t, db_t in zip(*anchors, *tests, strict=True)
    ]
    known = [figure for figure in figures if figure is not None]
    if len(known) < n_resamples:
        return None, None
    low, high = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


@dataclass(frozen=True)
class Variant:
    """A BD-rate under one choice of everything that papers leave open; None where it has none."""

    method: Method
    averaging: Averaging
    range: Range
    bd_rate_percent: float | None


@dataclass(frozen=True)
class Sensitivity:
    """How far a BD-rate moves with choices that papers leave open.

    Attributes:
        variants: one for every method, averaging and range.
    """

    variants: tuple[Variant, ...]

    @property
    def low(self) -> float:
        """The lowest of the figures, in percent."""
        return min(v.bd_rate_percent for v in self.variants if v.bd_rate_percent is not None)

    @property
    def high(self) -> float:
        """The highest of the figures, in percent."""
        return max(v.bd_rate_percent for v in self.variants if v.bd_rate_percent is not None)

    @property
    def spread(self) -> float:
        """Highest less lowest, in percentage points."""
        return self.high - self.low

    def rows(self) -> list[dict[str, Any]]:
        """A line a variant, ready for JSON."""
        return [asdict(variant) for variant in self.variants]


def sensitivity(anchor: Curve, test: Curve, metric: str = "psnr") -> Sensitivity:
    """The BD-rate under every method, averaging over pictures and range of integration.

    Averagings other than the curves' own are tried where both sides have the scores of each picture.

    Raises:
        UsageError, DataError: as ``bd_rate``, for the usual choices.
    """
    usual = bd_rate(anchor, test, metric, n_resamples=0)
    both = anchor.per_picture is not None and test.per_picture is not None
    variants = []
    for averaging in AVERAGINGS if both else (usual.averaging,):
        points = anchor.points(metric, averaging), test.points(metric, averaging)
        variants += [
            Variant(method, averaging, span, _delta_or_none(_RATE, *points, method, span))
            for method in METHODS
            for span in RANGES
        ]
    return Sensitivity(tuple(variants))
