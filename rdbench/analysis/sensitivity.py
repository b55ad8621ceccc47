"""How far a BD-rate moves with choices that papers leave open."""

from collections.abc import Sequence
from dataclasses import dataclass

from rdbench.analysis.delta import METHODS, RANGES, RATE, Method, Range, delta_or_none, points_of
from rdbench.curve import Curve, is_in_db, metric_name
from rdbench.decibel import AVERAGINGS, Averaging
from rdbench.errors import DataError


@dataclass(frozen=True)
class Variant:
    """A BD-rate under one choice of everything that papers leave open; None where it has none."""

    anchor: str
    method: Method
    averaging: Averaging
    range: Range
    bd_rate_percent: float | None


@dataclass(frozen=True)
class Sensitivity:
    """How far a BD-rate moves over all variants: from ``low`` to ``high``, in percent."""

    variants: tuple[Variant, ...]
    low: float
    high: float

    @property
    def spread(self) -> float:
        """Highest less lowest, in percentage points."""
        return self.high - self.low


def sensitivity(
    anchor: Curve, test: Curve, metric: str = "psnr", other_anchors: Sequence[Curve] = ()
) -> Sensitivity:
    """The BD-rate under every method, averaging over images and range of integration.

    Other anchors, such as VTM as others measured it, are tried with the usual choices. Averagings
    other than the usual one are tried where both sides have the scores of each image.

    Raises:
        UsageError: a curve has no such metric.
        DataError: fewer than four points, or not a single variant gives a figure.
    """
    both = is_in_db(metric_name(metric)) and None not in (anchor.per_image, test.per_image)
    variants = []
    for averaging in AVERAGINGS if both else (None,):
        a = points_of(RATE, anchor, metric, averaging)
        t = points_of(RATE, test, metric, averaging)
        used = averaging or anchor.averaging(metric)
        variants += [
            Variant(anchor.label, method, used, span, delta_or_none(RATE, a, t, method, span))
            for method in METHODS
            for span in RANGES
        ]
    for other in other_anchors:
        used = other.averaging(metric)
        points = points_of(RATE, other, metric, None), points_of(RATE, test, metric, None)
        figure = delta_or_none(RATE, *points, "poly3")
        variants.append(Variant(other.label, "poly3", used, "overlap", figure))
    known = [v.bd_rate_percent for v in variants if v.bd_rate_percent is not None]
    if not known:
        raise DataError(f"{test.label} and {anchor.label} have no common range of quality")
    return Sensitivity(tuple(variants), min(known), max(known))
