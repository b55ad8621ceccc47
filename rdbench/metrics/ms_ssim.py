"""MS-SSIM on RGB and on luma, equal to the package pytorch-msssim, many times as fast.

With ``s = x + y`` and ``d = x - y`` for samples x, y of the two images, the SSIM index needs two
local means m and two local variances:

    contrast and structure   (2 cov(x, y) + C2) / (var x + var y + C2)
                           = 1 - 2 var d / (var s + var d + 2 C2)
    luminance                (2 m(x) m(y) + C1) / (m(x)^2 + m(y)^2 + C1)
                           = (m(s)^2 - m(d)^2 + 2 C1) / (m(s)^2 + m(d)^2 + 2 C1)

So four planes are blurred instead of five, the next scale halves s and d themselves, and images
that are nearly equal lose no digits, for var d is not a difference of large numbers.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from rdbench.metrics.luma import luma
from rdbench.metrics.metric import Metric
from rdbench.types import Image, Reconstruction

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the five scales, finest first (Wang et al. 2003, section 3.2)."""

SMALLEST_SIDE = 161
"""Pixels a side that it takes for a window of 11 samples to fit into the coarsest scale."""

C1 = (0.01 * 255) ** 2

_Plane = npt.NDArray[np.float32]


def ms_ssim(image: Image, reconstruction: Reconstruction) -> float | None:
    """Multi-scale structural similarity: the mean of the values of the three RGB channels.

    Works in as many threads as ``cv2.setNumThreads`` allows, three at most. The first call on a
    machine compiles the inner loops, which takes some seconds.

    Sources: Wang, Simoncelli, Bovik, "Multi-scale structural similarity for image quality
    assessment", Asilomar 2003, equation 7; the Gaussian window of 11 samples without borders, the
    halving with zero padding of odd sizes and the clipping at 0 are those of pytorch-msssim 1.0.0.

    Args:
        image: original, uint8, (height, width, 3).
        reconstruction: same shape; uint8, or float32 in [0, 1].

    Returns:
        A value in [0, 1], 1 for equal images; None where a side has fewer than 161 pixels, for
        which MS-SSIM does not exist.
    """
    if min(image.shape[:2]) < SMALLEST_SIDE:
        return None
    with ThreadPoolExecutor(min(3, cv2.getNumThreads())) as threads:
        values = list(threads.map(_channel, cv2.split(image), cv2.split(reconstruction)))
    return min(1.0, math.fsum(values) / len(values))


def ms_ssim_y(image: Image, reconstruction: Reconstruction) -> float | None:
    """MS-SSIM of the luma (BT.709, full range); see `ms_ssim`."""
    if min(image.shape[:2]) < SMALLEST_SIDE:
        return None
    a, b = luma(image), luma(reconstruction)
    return min(1.0, _multi_scale((a + b).astype(np.float32), (a - b).astype(np.float32)))


def _channel(original: npt.NDArray[Any], decoded: npt.NDArray[Any]) -> float:
    """MS-SSIM of one colour channel."""
    from rdbench.metrics._ms_ssim_kernel import sum_and_difference

    s, d = np.empty((2, *original.shape), np.float32)
    scale = np.float32(1 if decoded.dtype == np.uint8 else 255)
    sum_and_difference(original, decoded, scale, s, d)
    return _multi_scale(s, d)


def _multi_scale(s: _Plane, d: _Plane) -> float:
    """Product over the scales, luminance on the coarsest alone."""
    value: float = 1.0
    for weight in WEIGHTS[:-1]:
        value *= max(0.0, _contrast_structure(s, d)) ** weight
        s, d = _halve(s), _halve(d)
    return float(value * max(0.0, _ssim(s, d)) ** WEIGHTS[-1])


def _contrast_structure(s: _Plane, d: _Plane) -> float:
    """Mean of the contrast-structure index over all windows."""
    from rdbench.metrics._ms_ssim_kernel import WINDOW, contrast_loss

    n_windows = (s.shape[0] - WINDOW + 1) * (s.shape[1] - WINDOW + 1)
    return float(1 - 2 * contrast_loss(s, d) / n_windows)


def _ssim(s: _Plane, d: _Plane) -> float:
    """Mean of the whole SSIM index over all windows."""
    from rdbench.metrics._ms_ssim_kernel import C2

    ms, md = _blur(s) ** 2, _blur(d) ** 2
    var_s, var_d = _blur(s * s) - ms, _blur(d * d) - md
    contrast_structure = 1 - 2 * var_d / (var_s + var_d + 2 * C2)
    luminance = (ms - md + 2 * C1) / (ms + md + 2 * C1)
    return float(np.mean(luminance * contrast_structure, dtype=np.float64))


def _blur(plane: _Plane) -> _Plane:
    """Means under the window, where the whole window lies inside."""
    from rdbench.metrics._ms_ssim_kernel import GAUSSIAN, WINDOW

    edge = WINDOW // 2
    blurred = cv2.sepFilter2D(plane, -1, GAUSSIAN, GAUSSIAN)
    return np.asarray(blurred[edge:-edge, edge:-edge], np.float32)


def _halve(plane: _Plane) -> _Plane:
    """Means of 2x2 samples; an odd side gets a zero in front, which counts in the mean."""
    odd_rows, odd_columns = plane.shape[0] % 2, plane.shape[1] % 2
    if odd_rows or odd_columns:
        plane = np.pad(plane, ((odd_rows, 0), (odd_columns, 0)))
    size = plane.shape[1] // 2, plane.shape[0] // 2
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32)


METRIC = Metric(
    name="ms_ssim",
    title="MS-SSIM (RGB)",
    source="Wang, Simoncelli, Bovik 2003; as pytorch-msssim 1.0.0, mean over R, G and B",
    function=ms_ssim,
    worst=0,
    best=1,
    shown_in_db=True,
)
MS_SSIM_Y = Metric(
    name="ms_ssim_y",
    title="MS-SSIM-Y (BT.709)",
    source="Wang, Simoncelli, Bovik 2003; as pytorch-msssim 1.0.0, on luma",
    function=ms_ssim_y,
    worst=0,
    best=1,
    shown_in_db=True,
)
