"""PSNR-HVS-M: PSNR of block transforms, weighted by what the eye sees and less what hides it."""

import math

import numpy as np
import numpy.typing as npt

from rdbench.metrics.luma import Plane, luma
from rdbench.metrics.metric import Metric
from rdbench.types import Image, Reconstruction

_N = 8

# Table K.1 of ITU-T T.81 (JPEG): both weights of the published program are its inverse, scaled.
_JPEG_LUMINANCE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
_SENSITIVITY = 25.735088 / _JPEG_LUMINANCE
_MASKING = (10 / _JPEG_LUMINANCE) ** 2

Blocks = npt.NDArray[np.float64]


def psnr_hvs_m(image: Image, reconstruction: Reconstruction) -> float | None:
    """PSNR-HVS-M of the luma in dB, over the 8x8 blocks that lie wholly inside.

    Source: Ponomarenko et al., "On between-coefficient contrast masking of DCT basis functions",
    VPQM 2007.

    Returns:
        dB; None where no error is seen, for which it is infinite, or where no block fits.
    """
    from scipy.fft import dctn

    a, b = _blocks(luma(image)), _blocks(luma(reconstruction))
    if not a.size:
        return None
    a_dct, b_dct = (dctn(x, axes=(-2, -1), norm="ortho") for x in (a, b))
    mask = np.maximum(_mask(a, a_dct), _mask(b, b_dct))[:, None, None]
    hidden = mask / _MASKING
    hidden[:, 0, 0] = 0
    seen = np.maximum(np.abs(a_dct - b_dct) - hidden, 0) * _SENSITIVITY
    mse = float(np.mean(seen**2))
    return 10 * math.log10(255**2 / mse) if mse else None


def _blocks(plane: Plane) -> Blocks:
    """(number, 8, 8)."""
    rows, columns = (side // _N for side in plane.shape)
    cut = plane[: rows * _N, : columns * _N].reshape(rows, _N, columns, _N)
    return cut.swapaxes(1, 2).reshape(-1, _N, _N)


def _mask(blocks: Blocks, transformed: Blocks) -> npt.NDArray[np.float64]:
    """How much error a block hides: its activity, less where it is all in one quarter (an edge)."""
    energy = transformed**2 * _MASKING
    activity = energy.sum(axis=(1, 2)) - energy[:, 0, 0]
    whole = _scatter(blocks)
    half = _N // 2
    quarters = sum(
        _scatter(blocks[:, y : y + half, x : x + half]) for y in (0, half) for x in (0, half)
    )
    share = np.divide(quarters, whole, out=np.zeros_like(whole), where=whole > 0)
    return np.asarray(np.sqrt(activity * share) / 32)


def _scatter(blocks: Blocks) -> npt.NDArray[np.float64]:
    """Sample variance times the number of samples."""
    n = blocks.shape[1] * blocks.shape[2]
    return np.asarray(blocks.var(axis=(1, 2), ddof=1) * n)


METRIC = Metric(
    name="psnr_hvs_m",
    title="PSNR-HVS-M (luma)",
    unit="dB",
    source="Ponomarenko et al. 2007",
    function=psnr_hvs_m,
    worst=-math.inf,
    best=math.inf,
)
