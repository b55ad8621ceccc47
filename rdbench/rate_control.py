"""Meeting a target: the value of the rate parameter that gives a size or a quality.

A continuous parameter meets it within 1 %. A parameter of whole numbers, such as JPEG's quality,
comes as near as its steps allow.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import numpy as np

from rdbench.errors import EncoderError, UsageError
from rdbench.metrics import METRICS, Metric
from rdbench.types import Bitstream, Codec, Image

TOLERANCE = 0.01
"""How near is near enough: 1 % of the size, or of the error of a metric.

The error is the distance to the best score; for a metric in dB, what the dB is the logarithm of.
"""


@dataclass(frozen=True)
class Found:
    """An image coded to a target.

    Attributes:
        codec: the operating point that meets it, or comes nearest.
        value: what was reached, in the unit of the target.
        met: whether it is met within 1 %; False where the steps of the parameter are too large.
    """

    codec: Codec
    bitstream: Bitstream
    value: float
    n_encodes: int
    met: bool = True


@dataclass(frozen=True, slots=True)
class Target:
    """Something that an encode can be made to meet.

    Attributes:
        low, end: the least value, and the end of what is below it.
        refusal: what to say of other values.
        measure: what an encode reached.
        to_log: its logarithm, of which 1 % is the same everywhere; see `Metric.log_quality`.
    """

    unit: str
    low: float
    end: float
    refusal: str
    measure: Callable[[Codec, Image, Bitstream], float]
    to_log: Callable[[float], float] = math.log

    def check(self, value: float) -> None:
        """Raise UsageError for a value that no image can meet."""
        if not self.low <= value < self.end:
            raise UsageError(f"{self.refusal}, not {value:g}")


def encode_to(
    target: str, codec: Codec, image: Image, value: float, max_encodes: int = 10
) -> Found:
    """Code an image to a size or a quality, met within 1 %.

    Args:
        target: a key of TARGETS. Qualities are those of the reconstruction as the codec gives it.
        codec: any operating point of a codec with a rate parameter.

    Raises:
        UsageError: the codec has no rate parameter, no image can meet the target, or the metric is
            not defined for this one.
        Unavailable: the metric is not available.
        EncoderError: the target lies outside what the codec covers, or takes more encodes.
    """
    TARGETS[target].check(value)
    return _search(codec, image, TARGETS[target], value, max_encodes)


@dataclass(frozen=True, slots=True)
class _Range:
    """What a search varies: the parameter's name and ends, and whether it is a whole number."""

    name: str
    low: float
    high: float
    whole: bool

    def position(self, value: float) -> float:
        """Where the search sees a value: continuous parameters by their logarithm."""
        return value if self.whole else math.log(value)

    def value(self, position: float) -> float:
        """The value at a position; what is continuous is rounded as a file keeps it."""
        return round(position) if self.whole else float(np.float32(math.exp(position)))


@dataclass(frozen=True, slots=True)
class _Trial:
    """A value tried: its position, and how far the logarithm of what it gave is from the goal."""

    position: float
    error: float
    found: Found


def _search(codec: Codec, image: Image, target: Target, value: float, max_encodes: int) -> Found:
    """Regula falsi with the Illinois rule, on the logarithm of the measured value.

    Source: Dowell and Jarratt, "A modified regula falsi method", BIT 11, 1971.
    """
    span = _range(codec)
    goal, tolerance = target.to_log(value), math.log1p(TOLERANCE)
    trials: list[_Trial] = []

    def attempt(position: float) -> _Trial:
        setting = span.value(position)
        point = replace(codec, **{span.name: setting})  # type: ignore[type-var]
        bitstream = point.encode(image)
        reached = target.measure(point, image, bitstream)
        error = target.to_log(reached) - goal
        found = Found(point, bitstream, reached, len(trials) + 1, abs(error) <= tolerance)
        trials.append(_Trial(span.position(setting), error, found))
        return trials[-1]

    a = attempt(span.position(span.low))
    if a.found.met:
        return a.found
    b = attempt(span.position(span.high))
    unit = target.unit
    if (a.error > 0) == (b.error > 0) and not b.found.met:
        raise EncoderError(
            f"{value:g} {unit} cannot be met: {span.name.rstrip('_')} from {span.low:g} to "
            f"{span.high:g} gives {a.found.value:.4g} to {b.found.value:.4g} {unit}"
        )
    # The goal lies between a and b, the latest trial: their errors have opposite signs.
    while not trials[-1].found.met:
        if span.whole and abs(a.position - b.position) <= 1:
            nearest = min(trials, key=lambda trial: abs(trial.error)).found
            return replace(nearest, n_encodes=len(trials))
        if len(trials) == max_encodes:
            raise EncoderError(
                f"{value:g} {unit} was not met in {max_encodes} encodes; the last gave "
                f"{trials[-1].found.value:.4g} {unit}"
            )
        c = attempt(_between(a, b, span.whole))
        if (c.error > 0) == (b.error > 0):
            # Illinois: an end that stays for a second time counts half, or steps would shrink.
            a, b = replace(a, error=a.error / 2), c
        else:
            a, b = b, c
    return trials[-1].found


def _between(a: _Trial, b: _Trial, whole: bool) -> float:
    """Where the line through two trials meets the goal; a whole number strictly in between.

    The middle where one of them is lossless: its distance from the goal is infinite.
    """
    if isfinite(a.error) and isfinite(b.error):
        x = (a.position * b.error - b.position * a.error) / (b.error - a.error)
    else:
        x = (a.position + b.position) / 2
    low, high = sorted((a.position, b.position))
    return min(max(round(x), low + 1), high - 1) if whole else x


def _range(codec: Codec) -> _Range:
    """What a codec says, or else the ends of its ladder."""
    if codec.search_range:
        name, low, high = codec.search_range
    else:
        if not codec.rate_parameters:
            raise UsageError(f"codec {codec.name!r} has no rate parameter to search")
        name = codec.rate_parameters[0]
        values: list[Any] = [getattr(point, name) for point in codec.ladder()]
        if len(values) < 2 or not all(isinstance(value, int | float) for value in values):
            raise UsageError(f"codec {codec.name!r} has no rate parameter to search")
        low, high = min(values), max(values)
    return _Range(name, low, high, isinstance(low, int) and isinstance(high, int))


def _n_bytes(codec: Codec, image: Image, bitstream: Bitstream) -> float:
    return bitstream.n_bytes


def _bpp(codec: Codec, image: Image, bitstream: Bitstream) -> float:
    return float(8 * bitstream.n_bytes / (image.shape[0] * image.shape[1]))


def _quality(metric: Metric) -> Target:
    """The target that a metric is."""
    low, high = sorted((metric.worst, metric.best))
    ends = [f"{word} {end:g}" for word, end in (("above", low), ("below", high)) if isfinite(end)]
    number = "a number of dB" if metric.unit == "dB" else "a number"
    name = metric.title.partition(" (")[0]

    def measure(codec: Codec, image: Image, bitstream: Bitstream) -> float:
        value = metric.function(image, codec.decode(bitstream.data))
        if value is None and isfinite(metric.best):
            raise UsageError(f"{name} is not defined for this image; it may be too small")
        return metric.best if value is None else value  # nothing differs

    return Target(
        "dB" if metric.unit == "dB" else name,
        math.nextafter(low, math.inf),
        high,
        f"the {name} to meet is {number} {' and '.join(ends)}".rstrip(),
        measure,
        metric.log_quality,
    )


TARGETS: Mapping[str, Target] = {
    "bytes": Target("bytes", 1, math.inf, "a size to meet is a number of bytes from 1", _n_bytes),
    "bpp": Target("bpp", math.ulp(0), math.inf,
                  "a rate to meet is a number of bits per pixel above 0", _bpp),
    **{name: _quality(metric) for name, metric in METRICS.items()},
}  # fmt: skip
"""What can be met: a size, a rate, or any metric."""
