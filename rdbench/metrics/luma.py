"""Luma of an image, which metrics made for grey images see."""

import cv2
import numpy as np
import numpy.typing as npt

from rdbench.types import Reconstruction

Plane = npt.NDArray[np.float64]

# ITU-R BT.709-6, section 3.2, as JPEG AI's common test conditions have it.
_WEIGHTS = np.array([0.2126, 0.7152, 0.0722])


def luma(image: Reconstruction) -> Plane:
    """Luma by BT.709 of the gamma-coded samples, full range, not rounded.

    Args:
        image: (height, width, 3), uint8, or float32 in [0, 1].

    Returns:
        (height, width) in [0, 255].
    """
    scale = 1.0 if image.dtype == np.uint8 else 255.0
    return np.asarray(image @ (scale * _WEIGHTS), np.float64)


def gaussian(size: int, sigma: float) -> npt.NDArray[np.float64]:
    """A row of Gaussian weights with sum 1."""
    return np.asarray(cv2.getGaussianKernel(size, sigma, cv2.CV_64F)[:, 0])


def blur(plane: Plane, row: npt.NDArray[np.float64]) -> Plane:
    """The separable filter ``row``; the plane is mirrored at its border."""
    return np.asarray(
        cv2.sepFilter2D(plane, cv2.CV_64F, row, row, borderType=cv2.BORDER_REFLECT_101)
    )


def moments(
    x: Plane, y: Plane, window: npt.NDArray[np.float64]
) -> tuple[Plane, Plane, Plane, Plane, Plane]:
    """Means, variances and covariance of two planes under a window: m(x), m(y), v(x), v(y), cov."""
    mean_x, mean_y = inside(x, window), inside(y, window)
    var_x = np.maximum(inside(x * x, window) - mean_x**2, 0)
    var_y = np.maximum(inside(y * y, window) - mean_y**2, 0)
    return mean_x, mean_y, var_x, var_y, inside(x * y, window) - mean_x * mean_y


def inside(plane: Plane, row: npt.NDArray[np.float64]) -> Plane:
    """The separable filter ``row`` wherever it lies wholly inside the plane."""
    edge = len(row) // 2
    filtered = cv2.sepFilter2D(plane, cv2.CV_64F, row, row)
    height, width = plane.shape
    return np.asarray(filtered[edge : height - edge, edge : width - edge])
