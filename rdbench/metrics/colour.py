"""Conversions of colour that metrics share; sources are given with each."""

import numpy as np
import numpy.typing as npt

from rdbench.metrics.luma import KB, KR, luma
from rdbench.types import Reconstruction

Pixels = npt.NDArray[np.float64]
Yuv = tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], npt.NDArray[np.uint8]]


def linear_rgb(image: Reconstruction) -> Pixels:
    """Linear light of sRGB samples, by the inverse transfer function of IEC 61966-2-1.

    Args:
        image: (height, width, 3), uint8, or float32 in [0, 1].

    Returns:
        Same shape, in [0, 1].
    """
    if image.dtype == np.uint8:
        return _to_linear(np.arange(256) / 255)[image]
    return _to_linear(np.clip(image.astype(np.float64), 0, 1))


def _to_linear(samples: Pixels) -> Pixels:
    return np.where(samples <= 0.04045, samples / 12.92, ((samples + 0.055) / 1.055) ** 2.4)


def yuv444(image: Reconstruction) -> Yuv:
    """Y, Cb and Cr by BT.709, full range, each (height, width), rounded to 8 bits."""
    y, cb, cr = _components(image)
    return _rounded(y), _rounded(128 + cb), _rounded(128 + cr)


def yuv420(image: Reconstruction) -> Yuv:
    """Y, Cb and Cr by BT.709, limited range, rounded to 8 bits; what video metrics expect.

    A chroma sample is the mean of 2x2 pixels; an odd last column or row is repeated for it.
    """
    y, cb, cr = _components(image)
    scale = 224 / 255
    return (
        _rounded(16 + y * (219 / 255)),
        _rounded(128 + scale * _halve(cb)),
        _rounded(128 + scale * _halve(cr)),
    )


def _components(image: Reconstruction) -> tuple[Pixels, Pixels, Pixels]:
    """Luma in [0, 255], and colour differences in [-127.5, 127.5]."""
    y = luma(image)
    scale = 1.0 if image.dtype == np.uint8 else 255.0
    return (
        y,
        (scale * image[..., 2] - y) / (2 * (1 - KB)),
        (scale * image[..., 0] - y) / (2 * (1 - KR)),
    )


def _halve(plane: Pixels) -> Pixels:
    height, width = plane.shape
    even = np.pad(plane, ((0, height % 2), (0, width % 2)), mode="edge")
    blocks = even.reshape((height + 1) // 2, 2, (width + 1) // 2, 2)
    return np.asarray(blocks.mean(axis=(1, 3)))


def _rounded(plane: Pixels) -> npt.NDArray[np.uint8]:
    return np.clip(np.floor(plane + 0.5), 0, 255).astype(np.uint8)
