"""PSNR on RGB, on luma and on YUV: ``10 log10(peak^2 / MSE)``."""

import math

import cv2
import numpy as np

from rdbench.metrics.colour import yuv444
from rdbench.metrics.luma import luma
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
    return _psnr(mse_rgb(image, reconstruction))


def psnr_y(image: Image, reconstruction: Reconstruction) -> float | None:
    """PSNR of the luma in dB; None where no luma differs.

    BT.709 full range, not rounded. Luma by BT.601 differs by several dB where the error is mostly
    chroma, and limited range raises every value by ``20 log10(255 / 219)``, 1.3 dB.
    """
    return _psnr(float(np.mean(np.square(luma(image) - luma(reconstruction)))))


def psnr_yuv(image: Image, reconstruction: Reconstruction) -> float | None:
    """``(6 PSNR_Y + PSNR_Cb + PSNR_Cr) / 8`` in dB; None where a component does not differ.

    The components are those of YUV 4:4:4 in 8 bits, BT.709 full range. The weighted mean is that
    of the dBs, as in JVET; the PSNR of the weighted error is up to 4 dB lower.
    """
    pairs = zip(yuv444(image), yuv444(reconstruction), strict=True)
    values = [_psnr(cv2.norm(a, b, cv2.NORM_L2SQR) / a.size) for a, b in pairs]
    y, cb, cr = values
    return (6 * y + cb + cr) / 8 if y and cb and cr else None


def _psnr(mse: float) -> float | None:
    return 10 * math.log10(PEAK**2 / mse) if mse else None


METRIC = Metric(
    name="psnr_rgb",
    title="PSNR (RGB)",
    unit="dB",
    source="10 log10(255^2 / MSE), MSE over R, G and B together",
    function=psnr_rgb,
    worst=0,
    best=math.inf,
)
PSNR_Y = Metric(
    name="psnr_y",
    title="PSNR-Y (BT.709)",
    unit="dB",
    source="10 log10(255^2 / MSE) of luma, BT.709 full range",
    function=psnr_y,
    worst=0,
    best=math.inf,
)
PSNR_YUV = Metric(
    name="psnr_yuv",
    title="PSNR-YUV (6:1:1)",
    unit="dB",
    source="(6 PSNR_Y + PSNR_Cb + PSNR_Cr) / 8 of YUV 4:4:4, 8 bits, BT.709 full range",
    function=psnr_yuv,
    worst=0,
    best=math.inf,
)
