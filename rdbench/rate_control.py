"""Meeting a target: the value of a continuous rate parameter that gives a size or a quality."""

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
    """A picture coded to a target.

    Attributes:
        codec: the operating point that meets it.
        bitstream: what it made of the picture.
        value: what was reached, in the unit of the target.
        n_encodes: how many times the picture was encoded.
    """

    codec: Codec
    bitstream: Bitstream
    value: float
    n_encodes: int


def encode_to_bytes(codec: Codec, image: Image, n_bytes: float, max_encodes: int = 10) -> Found:
    """Code a picture to a file of ``n_bytes`` bytes, give or take 1 %.

    Args:
        codec: any operating point of a codec with a continuous rate parameter.
        image: the picture.
        n_bytes: size wanted.
        max_encodes: encodes at most.

    Raises:
        UsageError: the codec has no continuous rate parameter.
        EncoderError: the size lies outside what the codec's ladder covers, or cannot be met.
    """
    return _search(codec, image, n_bytes, "bytes", _n_bytes, math.log, max_encodes)


def encode_to_bpp(codec: Codec, image: Image, bpp: float, max_encodes: int = 10) -> Found:
    """Code a picture to ``bpp`` bits per pixel, give or take 1 %; see `encode_to_bytes`."""
    n_pixels = image.shape[0] * image.shape[1]

    def rate(codec: Codec, image: Image, bitstream: Bitstream) -> float:
        return float(8 * len(bitstream.data) / n_pixels)

    return _search(codec, image, bpp, "bpp", rate, math.log, max_encodes)


def encode_to_psnr(codec: Codec, image: Image, psnr_db: float, max_encodes: int = 10) -> Found:
    """Code a picture to a PSNR in dB, its mean squared error met within 1 %; see `encode_to_bytes`.

    The PSNR is that of the reconstruction as the codec gives it, over all samples.
    """
    return _search(codec, image, psnr_db, "dB", _psnr_db, _log_of_db, max_encodes)


Measure = Callable[[Codec, Image, Bitstream], float]


def _search(
    codec: Codec,
    image: Image,
    target: float,
    unit: str,
    measure: Measure,
    to_log: Callable[[float], float],
    max_encodes: int,
) -> Found:
    """Regula falsi (Illinois) on the logarithm of the parameter and of the measured value."""
    name, low, high = _range(codec)
    goal, tolerance = to_log(target), math.log1p(TOLERANCE)
    n_encodes = 0

    def error_at(x: float) -> tuple[float, Found]:
        nonlocal n_encodes
        n_encodes += 1
        value_in_file = float(np.float32(math.exp(x)))
        point = replace(codec, **{name: value_in_file})  # type: ignore[type-var]
        bitstream = point.encode(image)
        value = measure(point, image, bitstream)
        return to_log(value) - goal, Found(point, bitstream, value, n_encodes)

    a, b = math.log(low), math.log(high)
    error_a, found_a = error_at(a)
    if abs(error_a) <= tolerance:
        return found_a
    error_b, found = error_at(b)
    if (error_a > 0) == (error_b > 0) and abs(error_b) > tolerance:
        raise EncoderError(
            f"{target:g} {unit} cannot be met: {name.rstrip('_')} from {low:g} to {high:g} "
            f"gives {found_a.value:.4g} to {found.value:.4g} {unit}"
        )
    error = error_b
    while abs(error) > tolerance:
        if n_encodes == max_encodes:
            raise EncoderError(
                f"{target:g} {unit} was not met in {max_encodes} encodes; the last gave "
                f"{found.value:.4g} {unit}"
            )
        x = (a * error_b - b * error_a) / (error_b - error_a)
        error, found = error_at(x)
        if (error > 0) == (error_b > 0):
            b, error_b, error_a = x, error, error_a / 2
        else:
            a, error_a, b, error_b = b, error_b, x, error
    return found


def _range(codec: Codec) -> tuple[str, float, float]:
    """Name, least and largest value of the continuous rate parameter."""
    name = next(iter(codec.rate_parameters), "")
    values: tuple[Any, ...] = codec.ladder_values
    if not name or not all(isinstance(value, float) for value in values) or len(values) < 2:
        raise UsageError(f"codec {codec.name!r} has no continuous rate parameter to search")
    return name, min(values), max(values)


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
