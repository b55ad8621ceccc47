"""Bjontegaard deltas: how two rate-distortion curves differ on average, and how sure that is.

Sources: Bjontegaard, "Calculation of average PSNR differences between RD-curves", ITU-T SG16/Q6
VCEG-M33, 2001 (third-order polynomials); Herglotz et al., "The Bjontegaard bible: why your way of
comparing video codecs may be wrong", IEEE TIP 2024 (PCHIP, Akima, overlap and monotonicity).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rdbench.analysis.bootstrap import bootstrap, each_image, paired
from rdbench.analysis.delta import (
    METHODS,
    PSNR,
    RATE,
    Kind,
    Method,
    Overlap,
    Points,
    delta,
    mean_difference,
    n_distinct_points,
    overlap_of,
    points_of,
    rises,
)
from rdbench.analysis.measured import notes_on
from rdbench.curve import Curve, metric_name
from rdbench.decibel import Averaging
from rdbench.errors import DataError, UsageError
from rdbench.metrics import METRICS

SMALL_OVERLAP = 0.75
_ENOUGH_IMAGES = 6  # with fewer, a percentile interval is little more than the images' range


@dataclass(frozen=True, kw_only=True)
class Delta:
    """How a test curve differs from an anchor, and all it takes to judge that figure.

    Attributes:
        metric, method, averaging: what was compared, how points were joined, how images averaged.
        n_points, n_anchor_points: points of the test curve and of the anchor; of those that share
            what is fitted over (the quality of a BD-rate), one counts.
        monotonic: whether quality rises with rate at every point of both curves, and whatever the
            method puts through the points rises all over the common range.
        warnings: why the figure must be read with care; one line each.
        fit_warnings: those of the warnings that say that the method does not follow the points.
        ci_low, ci_high: 95 % confidence interval by paired bootstrap over the images; None where
            either side lacks the scores of each image.
        per_image: (image, delta) for every image, None where an image's points do not allow
            one; () where either side lacks the scores of each image.
        wins, losses: images on which the test curve is better, worse.
        rank: a number that is lower the better the figure.
    """

    codec: str
    label: str
    dataset: str
    source: str
    anchor: str
    anchor_source: str
    anchor_origin: str
    metric: str
    method: Method
    averaging: Averaging
    overlap: Overlap
    n_points: int
    n_anchor_points: int
    monotonic: bool
    warnings: tuple[str, ...]
    fit_warnings: tuple[str, ...]
    ci_low: float | None
    ci_high: float | None
    per_image: tuple[tuple[str, float | None], ...]
    wins: tuple[str, ...]
    losses: tuple[str, ...]
    rank: float

    def _what(self) -> str:
        return f"of {self.label} to {self.anchor} on {self.dataset} ({self.metric})"

    def row(self) -> dict[str, Any]:
        """One row of a table, ready for JSON: all but the images, which are counted."""
        images = ("overlap", "per_image", "wins", "losses", "fit_warnings", "rank")
        row = {name: value for name, value in vars(self).items() if name not in images}
        return row | {
            "overlap": self.overlap.of_union,
            "overlap_low": self.overlap.low,
            "overlap_high": self.overlap.high,
            "n_wins": len(self.wins) if self.per_image else None,
            "n_losses": len(self.losses) if self.per_image else None,
        }


@dataclass(frozen=True, kw_only=True)
class BdRate(Delta):
    """A BD-rate: the mean change of rate at equal quality, in percent; negative is better."""

    bd_rate_percent: float

    def __repr__(self) -> str:
        return f"<BdRate {self._what()}: {self.bd_rate_percent:+.2f} %>"


@dataclass(frozen=True, kw_only=True)
class BdPsnr(Delta):
    """A BD-PSNR: the mean change of quality at equal rate, in dB; positive is better."""

    bd_psnr_db: float

    def __repr__(self) -> str:
        return f"<BdPsnr {self._what()}: {self.bd_psnr_db:+.2f} dB>"


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
        metric: ``psnr``, or ``ms_ssim``, which is compared in its dB form.
        method: ``poly3``, least-squares third-order polynomial, as in VCEG-M33 and most papers;
            ``pchip`` or ``akima``, interpolation through all points.
        averaging: of qualities over images; None for the usual one of the metric.
        n_resamples: bootstrap resamples for the confidence interval.

    Raises:
        UsageError: other data sets, unknown metric or method, no such scores.
        DataError: fewer than four points of different quality, no common range, or, where points
            are joined, a quality that two points share.

    Examples:
        >>> from rdbench.published import load_curve
        >>> vtm, qarv = load_curve("kodak", "vtm18"), load_curve("kodak", "qarv")
        >>> round(bd_rate(vtm, qarv).bd_rate_percent, 3)
        -5.899
    """
    value, context = _compare(RATE, anchor, test, metric, method, averaging, n_resamples, seed)
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

    Arguments and errors are those of ``bd_rate``; a metric that is not in dB is a UsageError.
    """
    if not METRICS[metric_name(metric)].in_db:
        raise UsageError(f"{metric} is not in dB, so it has no BD-PSNR; leave --bd-psnr out")
    value, context = _compare(PSNR, anchor, test, metric, method, averaging, n_resamples, seed)
    return BdPsnr(bd_psnr_db=value, **context)


def _compare(
    kind: Kind,
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
            f"{anchor.dataset}: the images differ"
        )
    if method not in METHODS:
        raise UsageError(f"no method {method!r}; there are {', '.join(METHODS)}")
    averaging, of_test = averagings(anchor, test, metric, averaging)
    points = points_of(kind, anchor, metric, averaging), points_of(kind, test, metric, of_test)
    value = delta(kind, *points, method)
    overlap = overlap_of(kind, *points)
    swings = [
        curve.label
        for curve, own in zip((anchor, test), points, strict=True)
        if not rises(kind, own, overlap.low, overlap.high, method)
    ]
    doubts = [_swing(label, method) for label in swings]
    doubts += _disagreement(kind, points, method, anchor.label)
    images = paired(anchor, test, metric)
    interval = bootstrap(kind, images, method, averaging, n_resamples, seed)
    per_image, image_swings = each_image(kind, images, method)
    scored = [(name, kind.better_sign * v) for name, v in per_image if v is not None]
    return value, {
        "rank": -kind.better_sign * value,
        "codec": test.codec,
        "label": test.label,
        "dataset": test.dataset,
        "source": test.source,
        "anchor": anchor.codec,
        "anchor_source": anchor.source,
        "anchor_origin": anchor.origin,
        "metric": "psnr" if metric_name(metric) == "psnr_rgb" else metric,
        "method": method,
        "averaging": averaging,
        "overlap": overlap,
        "n_anchor_points": n_distinct_points(kind, points[0]),
        "n_points": n_distinct_points(kind, points[1]),
        "monotonic": not swings and all((np.diff(quality) > 0).all() for _, quality in points),
        "warnings": (
            *doubts,
            *_swinging_images(image_swings),
            *_warnings(anchor, test, overlap, metric),
            *_narrow(per_image, interval[0]),
        ),
        "fit_warnings": tuple(doubts),
        "ci_low": interval[0],
        "ci_high": interval[1],
        "per_image": per_image,
        "wins": tuple(name for name, v in scored if v > 0),
        "losses": tuple(name for name, v in scored if v < 0),
    }


def averagings(
    anchor: Curve, test: Curve, metric: str, wanted: Averaging | None
) -> tuple[Averaging, Averaging]:
    """How the points of each curve are averaged: alike, where one has the scores of each image."""
    if wanted is not None:
        return wanted, wanted
    of_anchor, of_test = anchor.averaging(metric), test.averaging(metric)
    if anchor.per_image is not None:
        return of_test, of_test
    return of_anchor, of_anchor if test.per_image is not None else of_test


def _swing(label: str, method: Method) -> str:
    more = "see --sensitivity" if method == "pchip" else "see what --method pchip gives"
    return f"the {method} curve of {label} does not rise all over the common range; {more}"


def _swinging_images(names: Sequence[str]) -> list[str]:
    if not names:
        return []
    text = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return [f"the figures of these images rest on a poly3 that does not rise: {text}"]


def _narrow(per_image: Sequence[tuple[str, float | None]], ci_low: float | None) -> list[str]:
    """A line where so few images were drawn from that an interval of 95 % covers far less."""
    if ci_low is None or len(per_image) >= _ENOUGH_IMAGES:
        return []
    return [f"the interval is too narrow for 95 %: it rests on {len(per_image)} images"]


def _disagreement(
    kind: Kind, points: tuple[Points, Points], method: Method, anchor: str
) -> list[str]:
    """A line where a polynomial and an interpolation of the same points are far apart."""
    other: Method = "pchip" if method == "poly3" else "poly3"
    try:
        means = {name: mean_difference(kind, *points, name) for name in (method, other)}
    except DataError:  # pchip joins no two points of one quality
        return []
    if abs(means[method] - means[other]) <= kind.agreement:
        return []
    unit = "%" if kind.better_sign < 0 else "dB"
    figures = ", ".join(
        f"{name} {_number(kind.to_figure(mean))} {unit}" for name, mean in means.items()
    )
    return [f"the methods are more than {kind.agreement_text} apart against {anchor}: {figures}"]


def _number(value: float) -> str:
    return f"{value:+.3f}" if abs(value) < 1e9 else f"{value:+.3g}"


def _warnings(anchor: Curve, test: Curve, overlap: Overlap, metric: str) -> list[str]:
    found = [
        f"{curve.label}: {a.message}"
        for curve in (anchor, test)
        for a in notes_on(curve)
        if a.metric in ("", metric_name(metric))
    ]
    scored = [
        f"{curve.protocol.get('scored', 'unknown')} ({curve.label})" for curve in (test, anchor)
    ]
    if test.protocol.get("scored") != anchor.protocol.get("scored"):
        found.append(f"reconstructions scored differently: {', '.join(scored)}")
    for curve in (anchor, test):
        rate = curve.protocol.get("rate", "")
        if rate and "bytes" not in rate:
            found.append(f"rate of {curve.label}: {rate}")
    of_anchor, of_test = averagings(anchor, test, metric, None)
    if of_anchor != of_test:
        how = f"{of_test} ({test.label}), {of_anchor} ({anchor.label})"
        found.append(f"averaged over images differently: {how}")
    if overlap.of_test < SMALL_OVERLAP:
        found.append(f"covers only {overlap.of_test:.0%} of the range of {test.label}")
    return found
