"""8-bit YUV 4:4:4 as the published VTM runs made it: OpenCV's RGB2YUV, rounded both ways.

It is not exact: rounding alone limits a photograph to about 53 dB, and strongly coloured pixels
saturate (pure red comes back as 221, 17, 1). :func:`colour_ceiling` says what an image loses.

Source: https://docs.opencv.org/4.x/de/d25/imgproc_color_conversions.html (RGB <-> YUV).
"""

import math

import cv2
import numpy as np
import numpy.typing as npt

from rdbench.types import Image


def to_yuv444(image: Image) -> npt.NDArray[np.uint8]:
    """Planes Y, U, V of an RGB image, uint8 of shape (3, height, width)."""
    yuv = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2YUV)
    return np.ascontiguousarray(yuv.transpose(2, 0, 1)).astype(np.uint8, copy=False)


def from_yuv444(planes: npt.NDArray[np.uint8]) -> Image:
    """The RGB image, uint8 of shape (height, width, 3), of planes (3, height, width)."""
    yuv = np.ascontiguousarray(planes.transpose(1, 2, 0))
    return cv2.cvtColor(yuv, cv2.COLOR_YUV2RGB).astype(np.uint8, copy=False)


def colour_ceiling(image: Image) -> float:
    """PSNR in dB on 8-bit RGB that the colour round trip alone leaves, without any codec.

    Infinite where the image comes back exactly.
    """
    returned = from_yuv444(to_yuv444(image))
    mse = float(np.mean((returned.astype(np.float64) - image) ** 2))
    return math.inf if mse == 0 else 10 * math.log10(255**2 / mse)
