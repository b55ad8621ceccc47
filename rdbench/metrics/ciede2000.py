"""CIEDE2000: the mean difference of colour as people see it."""

import math

import cv2
import numpy as np
import numpy.typing as npt

from rdbench.metrics.colour import Pixels, linear_rgb
from rdbench.metrics.metric import Metric
from rdbench.types import Image, Reconstruction

# IEC 61966-2-1: linear sRGB to CIE XYZ; rows divided by the white point D65, their sums.
_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
_TO_RELATIVE_XYZ = _TO_XYZ / _TO_XYZ.sum(axis=1, keepdims=True)

Values = npt.NDArray[np.float64]


def ciede2000(image: Image, reconstruction: Reconstruction) -> float:
    """Mean over the pixels of the colour difference CIEDE2000; 0 for equal images."""
    return float(np.mean(difference(to_lab(image), to_lab(reconstruction))))


def to_lab(image: Reconstruction) -> Pixels:
    """CIE L*a*b* under D65 of sRGB, (height, width, 3)."""
    xyz = cv2.transform(linear_rgb(image), _TO_RELATIVE_XYZ)
    dark = xyz / (3 * (6 / 29) ** 2) + 4 / 29
    x, y, z = cv2.split(np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), dark))
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def difference(lab1: Pixels, lab2: Pixels) -> Values:
    """Differences of colours, with kL = kC = kH = 1.

    Source: Sharma, Wu, Dalal, "The CIEDE2000 color-difference formula: implementation notes,
    supplementary test data, and mathematical observations", Color Research and Application 30(1),
    2005; the numbers are those of its equations.

    Args:
        lab1, lab2: (..., 3).
    """
    (l1, a1, b1), (l2, a2, b2) = np.moveaxis(lab1, -1, 0), np.moveaxis(lab2, -1, 0)
    a_scale = 1 + _less_than_vivid((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2)  # 3, 4
    a1, a2 = a_scale * a1, a_scale * a2  # 5
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)  # 6
    h1, h2 = np.arctan2(b1, a1) % (2 * np.pi), np.arctan2(b2, a2) % (2 * np.pi)  # 7
    grey = c1 * c2 == 0
    turn = h2 - h1 - 2 * np.pi * ((h2 - h1 > np.pi) - 1.0 * (h2 - h1 < -np.pi))
    turn = np.where(grey, 0, turn)  # 10
    d_lightness, d_chroma = l2 - l1, c2 - c1  # 8, 9
    d_hue = 2 * np.sqrt(c1 * c2) * np.sin(turn / 2)  # 11
    lightness, chroma = (l1 + l2) / 2, (c1 + c2) / 2  # 12, 13
    hue = np.where(grey, h1 + h2, h1 + turn / 2)  # 14
    t = (
        1 - 0.17 * np.cos(hue - np.pi / 6) + 0.24 * np.cos(2 * hue)
        + 0.32 * np.cos(3 * hue + np.pi / 30) - 0.20 * np.cos(4 * hue - 63 * np.pi / 180)
    )  # fmt: skip  # 15
    blue = np.exp(-(((np.degrees(hue) % 360 - 275) / 25) ** 2))  # 16
    s_lightness = 1 + 0.015 * (lightness - 50) ** 2 / np.sqrt(20 + (lightness - 50) ** 2)  # 18
    x, y = d_chroma / (1 + 0.045 * chroma), d_hue / (1 + 0.015 * chroma * t)  # 19, 20
    rotation = -4 * (0.5 - _less_than_vivid(chroma)) * np.sin(np.pi / 3 * blue)  # 17, 21
    return np.asarray(np.sqrt((d_lightness / s_lightness) ** 2 + x**2 + y**2 + rotation * x * y))


def _less_than_vivid(chroma: Values) -> Values:
    """``(1 - sqrt(C^7 / (C^7 + 25^7))) / 2``: 0.5 for greys, 0 for vivid colours."""
    return np.asarray((1 - np.sqrt(chroma**7 / (chroma**7 + 25.0**7))) / 2)


METRIC = Metric(
    name="ciede2000",
    title="CIEDE2000 (mean)",
    source="Sharma, Wu, Dalal 2005; mean over the pixels, sRGB under D65",
    function=ciede2000,
    worst=math.inf,
    best=0,
)
