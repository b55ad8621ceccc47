"""What the conventional codecs share: limits on images, and the errors of foreign libraries."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import PIL

from rdbench.errors import BitstreamError, EncoderError, RdbenchError, UsageError
from rdbench.types import Codec, Image

MAX_PIXELS = 89_478_485
"""Largest image that is encoded or decoded: a quarter of a GiB as RGB, the limit of Pillow."""


Ranges = Mapping[str, tuple[float, float]]
"""Setting -> its least and largest value."""


class RangedCodec(Codec):
    """A codec that refuses settings out of their ranges with UsageError.

    Class attributes:
        ranges: of its settings.
    """

    ranges: ClassVar[Ranges] = {}

    def __post_init__(self) -> None:
        for name, (low, high) in self.ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise UsageError(f"{self.name}: {name}={value} is not between {low} and {high}")


@contextmanager
def encoding(image: Image) -> Iterator[None]:
    """Turn whatever a library raises into EncoderError, and refuse images over the limit."""
    height, width = image.shape[:2]
    if height * width > MAX_PIXELS:
        raise EncoderError(f"{width}x{height} pixels are over the limit of {MAX_PIXELS:,}")
    try:
        yield
    except RdbenchError:
        raise
    except Exception as error:
        raise EncoderError(f"cannot encode {width}x{height} pixels: {_line(error)}") from error


@contextmanager
def decoding() -> Iterator[None]:
    """Turn whatever a library raises into BitstreamError."""
    try:
        yield
    except RdbenchError:
        raise
    except Exception as error:
        raise BitstreamError(f"cannot decode: {_line(error)}") from error


def require_size(width: int, height: int) -> None:
    """Raise BitstreamError for an image that is empty or over the limit, before it is decoded."""
    if not 0 < width * height <= MAX_PIXELS:
        raise BitstreamError(
            f"the header claims {width}x{height} pixels; the limit is {MAX_PIXELS:,}"
        )


def require_rgb(pixels: Any) -> Image:
    """The decoded pixels; BitstreamError where they are not 8-bit RGB (grey, alpha, 16 bit)."""
    array = np.asarray(pixels)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        raise BitstreamError(f"holds {array.dtype} of shape {array.shape}, not 8-bit RGB")
    return array


def _line(error: Exception) -> str:
    if isinstance(error, PIL.UnidentifiedImageError):  # its own message has a memory address
        return "Pillow does not recognize the image format, or the header is damaged"
    return " ".join(str(error).split()) or type(error).__name__
