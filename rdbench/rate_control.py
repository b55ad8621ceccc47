"""Meeting a target: the value of the rate parameter that gives a size or a quality.

A continuous parameter meets it within 1 %. A parameter of whole numbers, such as JPEG's quality,
comes as near as its steps allow.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rdbench.errors import EncoderError, UsageError
from rdbench.types import Bitstream, Codec, Image

TOLERANCE = 0.01
"""How near is near enough: 1 % of the size, or 1 % of the mean squared error."""


@dataclass(frozen=True)
class Found:
    """An image coded to a target.

    Attributes:
        codec: the operating point that meets it, or comes nearest.
        bitstream: what it made of the image.
        value: what was reached, in the unit of the target.
        n_encodes: how many times the image was encoded.
        met: whether it is met within 1 %; False where the steps of the parameter are too large.
    """

    codec: Codec
    bitstream: Bitstream
    value: float
    n_encodes: int
    met: bool = True


def encode_to_bytes(codec: Codec, image: Image, n_bytes: float, max_encodes: int = 10) -> Found:
    """Code an image to a file of ``n_bytes`` bytes, give or take 1 %.

    Args:
        codec: any operating point of a codec with a rate parameter.
        image: the image.
        n_bytes: size wanted.
        max_encodes: encodes at most.

    Raises:
        UsageError: the codec has no rate parameter, or the target is not a size.
        EncoderError: the size lies outside what the codec covers, or is not met in so many encodes.
    """
    check_target("bytes", n_bytes)
    return _search(codec, image, n_bytes, "bytes", _n_bytes, math.log, max_encodes)


def encode_to_bpp(codec: Codec, image: Image, bpp: float, max_encodes: int = 10) -> Found:
    """Code an image to ``bpp`` bits per pixel, give or take 1 %; see `encode_to_bytes`."""
    check_target("bpp", bpp)
    n_pixels = image.shape[0] * image.shape[1]

    def rate(codec: Codec, image: Image, bitstream: Bitstream) -> float:
        return float(8 * len(bitstream.data) / n_pixels)

    return _search(codec, image, bpp, "bpp", rate, math.log, max_encodes)


def encode_to_psnr(codec: Codec, image: Image, psnr_db: float, max_encodes: int = 10) -> Found:
    """Code an image to a PSNR in dB, its mean squared error met within 1 %; see `encode_to_bytes`.

    The PSNR is that of the reconstruction as the codec gives it, over all samples.
    """
    check_target("psnr_rgb", psnr_db)
    return _search(codec, image, psnr_db, "dB", _psnr_db, _log_of_db, max_encodes)


def encode_to_ms_ssim(codec: Codec, image: Image, ms_ssim: float, max_encodes: int = 10) -> Found:
    """Code an image to an MS-SSIM, its distance to 1 met within 1 %; see `encode_to_bytes`.

    Raises:
        UsageError: the image is too small for MS-SSIM, or no value below 1 is asked for.
    """
    check_target("ms_ssim", ms_ssim)
    return _search(codec, image, ms_ssim, "MS-SSIM", _ms_ssim, _log_of_ms_ssim, max_encodes)


_TARGETS: dict[str, tuple[float, float, str]] = {
    "bytes": (1, math.inf, "a size to meet is a number of bytes from 1"),
    "bpp": (math.ulp(0), math.inf, "a rate to meet is a number of bits per pixel above 0"),
    "psnr_rgb": (math.ulp(0), math.inf, "a PSNR to meet is a number of dB above 0"),
    "ms_ssim": (0, 1, "an MS-SSIM to meet is a number from 0 to below 1"),
}
"""What can be met: the least value, the end of what is below, and what to say of others."""


def check_target(name: str, value: float) -> None:
    """Refuse a target that no image can meet.

    Args:
        name: ``bytes``, ``bpp``, ``psnr_rgb`` or ``ms_ssim``.
        value: what is asked for.

    Raises:
        UsageError: it is not a finite number of the kind.
    """
    low, high, text = _TARGETS[name]
    if not low <= value < high:
        raise UsageError(f"{text}, not {value:g}")


Measure = Callable[[Codec, Image, Bitstream], float]


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


def _search(
    codec: Codec,
    image: Image,
    target: float,
    unit: str,
    measure: Measure,
    to_log: Callable[[float], float],
    max_encodes: int,
) -> Found:
    """Regula falsi (Illinois) on the logarithm of the measured value."""
    span = _range(codec)
    goal, tolerance = to_log(target), math.log1p(TOLERANCE)
    trials: list[_Trial] = []

    def attempt(position: float) -> _Trial:
        value = span.value(position)
        point = replace(codec, **{span.name: value})  # type: ignore[type-var]
        bitstream = point.encode(image)
        measured = measure(point, image, bitstream)
        error = to_log(measured) - goal
        met = abs(error) <= tolerance
        found = Found(point, bitstream, measured, len(trials) + 1, met)
        trials.append(_Trial(span.position(value), error, found))
        return trials[-1]

    a = attempt(span.position(span.low))
    if a.found.met:
        return a.found
    b = attempt(span.position(span.high))
    if (a.error > 0) == (b.error > 0) and not b.found.met:
        raise EncoderError(
            f"{target:g} {unit} cannot be met: {span.name.rstrip('_')} from {span.low:g} to "
            f"{span.high:g} gives {a.found.value:.4g} to {b.found.value:.4g} {unit}"
        )
    while not trials[-1].found.met:
        if span.whole and abs(a.position - b.position) <= 1:
            nearest = min(trials, key=lambda trial: abs(trial.error)).found
            return replace(nearest, n_encodes=len(trials))
        if len(trials) == max_encodes:
            raise EncoderError(
                f"{target:g} {unit} was not met in {max_encodes} encodes; the last gave "
                f"{trials[-1].found.value:.4g} {unit}"
            )
        c = attempt(_between(a, b, span.whole))
        if (c.error > 0) == (b.error > 0):
            a, b = replace(a, error=a.error / 2), c
        else:
            a, b = b, c
    return trials[-1].found


def _between(a: _Trial, b: _Trial, whole: bool) -> float:
    """Where the line through two trials meets the goal; a whole number strictly in between.

    The middle where one of them is lossless: its distance from the goal is infinite.
    """
    if math.isfinite(a.error) and math.isfinite(b.error):
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
        if len(values) < 2 or not all(map(_is_number, values)):
            raise UsageError(f"codec {codec.name!r} has no rate parameter to search")
        low, high = min(values), max(values)
    return _Range(name, low, high, isinstance(low, int) and isinstance(high, int))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _n_bytes(codec: Codec, image: Image, bitstream: Bitstream) -> float:
    return len(bitstream.data)


def _psnr_db(codec: Codec, image: Image, bitstream: Bitstream) -> float:
    decoded = codec.decode(bitstream.data)
    pixels = decoded / 255 if decoded.dtype == np.uint8 else decoded
    mse = float(np.mean((pixels - image / 255) ** 2))
    return -10 * math.log10(mse) if mse else math.inf


def _log_of_db(psnr_db: float) -> float:
    """Logarithm of the inverse mean squared error."""
    return psnr_db * math.log(10) / 10


def _ms_ssim(codec: Codec, image: Image, bitstream: Bitstream) -> float:
    from rdbench.metrics.ms_ssim import ms_ssim

    value = ms_ssim(image, codec.decode(bitstream.data))
    if value is None:
        raise UsageError("the image is too small for MS-SSIM")
    return value


def _log_of_ms_ssim(ms_ssim: float) -> float:
    """Logarithm of the inverse distance to 1, which is infinite for equal images."""
    return -math.log(1 - ms_ssim) if ms_ssim < 1 else math.inf
