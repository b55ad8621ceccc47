"""Luma of an image, which metrics made for grey images see, and filters of planes."""

import cv2
import numpy as np
import numpy.typing as npt

from rdbench.types import Reconstruction

Plane = npt.NDArray[np.float64]

KR, KG, KB = 0.2126, 0.7152, 0.0722
"""Weights of R, G and B in luma: ITU-R BT.709-6, section 3.2, as in JPEG AI's conditions."""


def luma(image: Reconstruction) -> Plane:
    """Luma by BT.709 of the gamma-coded samples, full range, not rounded.

    Args:
        image: (height, width, 3), uint8, or float32 in [0, 1].

    Returns:
        (height, width) in [0, 255].
    """
    scale = 1.0 if image.dtype == np.uint8 else 255.0
    return np.asarray(image @ (scale * np.array([KR, KG, KB])), np.float64)


def gaussian(size: int, sigma: float) -> npt.NDArray[np.float64]:
    """A row of Gaussian weights with sum 1."""
    return np.asarray(cv2.getGaussianKernel(size, sigma, cv2.CV_64F)[:, 0])


def blur(plane: Plane, row: npt.NDArray[np.float64]) -> Plane:
    """The separable filter ``row``; the plane is mirrored at its border."""
    return np.asarray(
        cv2.sepFilter2D(plane, cv2.CV_64F, row, row, borderType=cv2.BORDER_REFLECT_101)
    )
