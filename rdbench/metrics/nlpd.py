"""NLPD: distance in a Laplacian pyramid, normalized as the early visual system does."""

import math

import cv2
import numpy as np

from rdbench.metrics.luma import Plane, blur, luma
from rdbench.metrics.metric import Metric
from rdbench.types import Image, Reconstruction

_LOW_PASS = np.array([0.05, 0.25, 0.4, 0.25, 0.05])

# By level, finest first: constant, and weights of the neighbours above, left, right, below, fitted
# by the authors to natural images.
_NORMALIZATION = (
    (0.0248, (0.1011, 0.1493, 0.1460, 0.1015)),
    (0.0185, (0.0757, 0.1986, 0.1846, 0.0837)),
    (0.0179, (0.0477, 0.2138, 0.2243, 0.0467)),
    (0.0191, (0.0, 0.2503, 0.2616, 0.0)),
    (0.0220, (0.0, 0.2598, 0.2552, 0.0)),
    (0.2782, (0.0, 0.2215, 0.0717, 0.0)),
)
SMALLEST_SIDE = 2 ** len(_NORMALIZATION)


def nlpd(image: Image, reconstruction: Reconstruction) -> float | None:
    """Normalized Laplacian pyramid distance of the luma, over six levels.

    Source: Laparra, Balle, Berardino, Simoncelli, "Perceptual image quality assessment using a
    normalized Laplacian pyramid", Human Vision and Electronic Imaging 2016.

    Returns:
        0 for equal images, more for worse ones; None where a side has fewer than 64 pixels.
    """
    if min(image.shape[:2]) < SMALLEST_SIDE:
        return None
    a, b = (_normalized_pyramid(luma(x) / 255) for x in (image, reconstruction))
    return float(np.mean([np.sqrt(np.mean((x - y) ** 2)) for x, y in zip(a, b, strict=True)]))


def _normalized_pyramid(plane: Plane) -> list[Plane]:
    levels = []
    for sigma, weights in _NORMALIZATION[:-1]:
        smaller = blur(plane, _LOW_PASS)[::2, ::2]
        levels.append(_normalize(plane - _enlarge(smaller, plane.shape), sigma, weights))
        plane = smaller
    sigma, weights = _NORMALIZATION[-1]
    return [*levels, _normalize(plane, sigma, weights)]


def _enlarge(plane: Plane, shape: tuple[int, ...]) -> Plane:
    """Twice the size: zeros in between, blurred, and scaled to keep the mean."""
    spread = np.zeros(shape)
    spread[::2, ::2] = plane
    return 4 * blur(spread, _LOW_PASS)


def _normalize(plane: Plane, sigma: float, weights: tuple[float, ...]) -> Plane:
    """Each value over a constant and the weighted amplitudes of its neighbours."""
    above, left, right, below = weights
    kernel = np.array([[0, above, 0], [left, 0, right], [0, below, 0]])
    neighbours = cv2.filter2D(np.abs(plane), cv2.CV_64F, kernel, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(plane / (sigma + neighbours))


METRIC = Metric(
    name="nlpd",
    title="NLPD (luma)",
    source="Laparra et al. 2016",
    function=nlpd,
    worst=math.inf,
    best=0,
)
