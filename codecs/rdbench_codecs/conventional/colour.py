"""RGB to YUV and back, for encoders that take planes.

8-bit YUV 4:4:4 as the published VTM runs made it: OpenCV's RGB2YUV, rounded both ways. It is not
exact: rounding alone limits a photograph to about 53 dB, and strongly coloured pixels saturate
(pure red comes back as 221, 17, 1).

10-bit YUV 4:2:0, full range, BT.601, rounded once; chroma at half the size, both ways by Pillow's
Lanczos filter. Photographs of Kodak come back with about 47 dB.

:func:`ceiling_db` says what an image loses.

Source: https://docs.opencv.org/4.x/de/d25/imgproc_color_conversions.html (RGB <-> YUV); ITU-R
BT.601-7, 2.5.
"""

import math
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as PilImage

from rdbench.types import Image


def to_yuv444(image: Image) -> npt.NDArray[np.uint8]:
    """Planes Y, U, V of an RGB image, uint8 of shape (3, height, width)."""
    yuv = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2YUV)
    return np.ascontiguousarray(yuv.transpose(2, 0, 1)).astype(np.uint8, copy=False)


def from_yuv444(planes: npt.NDArray[np.uint8]) -> Image:
    """The RGB image, uint8 of shape (height, width, 3), of planes (3, height, width)."""
    yuv = np.ascontiguousarray(planes.transpose(1, 2, 0))
    return cv2.cvtColor(yuv, cv2.COLOR_YUV2RGB).astype(np.uint8, copy=False)


def to_yuv420p10(image: Image) -> bytes:
    """Planes Y, U, V of an RGB image of even sides, one after the other, 10 bits in uint16."""
    height, width = image.shape[:2]
    luma, *chroma = np.moveaxis(image.astype(np.float32) @ _TO_YCBCR.T, -1, 0)
    halves = [_resized(plane, width // 2, height // 2) + 512 for plane in chroma]
    return b"".join(np.rint(p).clip(0, 1023).astype("<u2").tobytes() for p in (luma, *halves))


def from_yuv420p10(planes: bytes, width: int, height: int) -> Image:
    """The RGB image, uint8 of shape (height, width, 3), of planes as `to_yuv420p10` gives them."""
    samples = np.frombuffer(planes, "<u2").astype(np.float32)
    luma, chroma = np.split(samples, [width * height])
    halves = chroma.reshape(2, height // 2, width // 2) - 512
    full = [luma.reshape(height, width), *(_resized(half, width, height) for half in halves)]
    return np.rint(np.stack(full, axis=-1) @ _TO_RGB.T).clip(0, 255).astype(np.uint8)


# Y = 0.299 R + 0.587 G + 0.114 B, U = (B - Y) / 1.772, V = (R - Y) / 1.402, on a scale to 1023.
_WEIGHTS = np.array([0.299, 0.587, 0.114])
_TO_YCBCR = np.stack(
    [_WEIGHTS, ([0, 0, 1] - _WEIGHTS) / 1.772, ([1, 0, 0] - _WEIGHTS) / 1.402]
).astype(np.float32) * np.float32(1023 / 255)
_TO_RGB = np.linalg.inv(_TO_YCBCR.astype(np.float64)).astype(np.float32)


def _resized(plane: npt.NDArray[np.float32], width: int, height: int) -> npt.NDArray[np.float32]:
    """A plane at another size; samples are at the centres of their areas."""
    image = PilImage.fromarray(np.ascontiguousarray(plane))
    return np.asarray(image.resize((width, height), PilImage.Resampling.LANCZOS))


def colour_ceiling(image: Image) -> float:
    """PSNR in dB that the 8-bit 4:4:4 round trip alone leaves, see `ceiling_db`."""
    return ceiling_db(image, lambda pixels: from_yuv444(to_yuv444(pixels)))


def ceiling_db(image: Image, there_and_back: Callable[[Image], Image]) -> float:
    """PSNR in dB on 8-bit RGB that a colour round trip alone leaves, without any codec.

    Infinite where the image comes back exactly.
    """
    mse = float(np.mean((there_and_back(image).astype(np.float64) - image) ** 2))
    return math.inf if mse == 0 else 10 * math.log10(255**2 / mse)
