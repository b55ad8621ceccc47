"""PSNR on RGB: 10 log10(peak^2 / MSE) with the error of all three channels."""

import math

import cv2
import numpy as np

from rdbench.metrics.metric import Metric
from rdbench.types import Image, Reconstruction

PEAK = 255.0


def mse_rgb(image: Image, reconstruction: Reconstruction) -> float:
    """Mean squared error over height, width and channels, in squared 8-bit levels.

    Args:
        image: original, uint8, (height, width, 3).
        reconstruction: same shape; uint8, for which the sum of squares is exact, or float32 in
            [0, 1], which is compared with ``image / 255`` without rounding.
    """
    if reconstruction.dtype == np.uint8:
        return round(cv2.norm(image, reconstruction, cv2.NORM_L2SQR)) / image.size
    error = image.astype(np.float32) / np.float32(PEAK) - reconstruction
    return PEAK**2 * float(np.mean(np.square(error, out=error), dtype=np.float64))


def psnr_rgb(image: Image, reconstruction: Reconstruction) -> float | None:
    """Peak signal-to-noise ratio, ``10 log10(255^2 / MSE)``, in dB.

    The mean squared error is taken over R, G and B together, as CompressAI and papers on learned
    codecs do; it is not the mean of the PSNR of three channels.

    Returns:
        The PSNR, or None where the reconstruction equals the original: the ratio is infinite, which
        no mean survives. A verified record without ``psnr_rgb`` is a lossless one.
    """
    mse = mse_rgb(image, reconstruction)
    return 10 * math.log10(PEAK**2 / mse) if mse else None


METRIC = Metric(
    name="psnr_rgb",
    title="PSNR (RGB)",
    unit="dB",
    source="10 log10(255^2 / MSE), MSE over R, G and B together",
    function=psnr_rgb,
)
