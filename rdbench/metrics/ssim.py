"""SSIM of the luma, at the size of the image."""

import cv2
import numpy as np

from rdbench.metrics.luma import Plane, gaussian, luma
from rdbench.metrics.metric import Metric
from rdbench.types import Image, Reconstruction

_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_WINDOW = gaussian(11, 1.5)
SMALLEST_SIDE = len(_WINDOW)


def ssim(image: Image, reconstruction: Reconstruction) -> float | None:
    """Structural similarity of the luma, over all places where the whole window lies inside.

    The image is not shrunk first, as some programs do, and variances are those of the window.

    Source: Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to
    structural similarity", IEEE Trans. Image Processing 13(4), 2004, equation 13.

    Returns:
        A value in [-1, 1], 1 for equal images; None where a side has fewer than 11 pixels.
    """
    if min(image.shape[:2]) < SMALLEST_SIDE:
        return None
    x, y = luma(image), luma(reconstruction)
    mean_x, mean_y = _means(x), _means(y)
    product = mean_x * mean_y
    squares = mean_x**2 + mean_y**2
    similar = (2 * product + _C1) * (2 * (_means(x * y) - product) + _C2)
    return float(np.mean(similar / ((squares + _C1) * (_means(x * x + y * y) - squares + _C2))))


def _means(plane: Plane) -> Plane:
    """Weighted means under the window, where it lies wholly inside."""
    edge = len(_WINDOW) // 2
    filtered = cv2.sepFilter2D(plane, cv2.CV_64F, _WINDOW, _WINDOW)
    return np.asarray(filtered[edge : plane.shape[0] - edge, edge : plane.shape[1] - edge])


METRIC = Metric(
    name="ssim",
    title="SSIM (luma)",
    source="Wang, Bovik, Sheikh, Simoncelli 2004; Gaussian window of 11, BT.709 luma",
    function=ssim,
    worst=-1,
    best=1,
)
