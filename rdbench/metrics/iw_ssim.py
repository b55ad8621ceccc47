"""IW-SSIM: multi-scale SSIM pooled by how much each place tells an eye."""

import math

import cv2
import numpy as np
import numpy.typing as npt

from rdbench.metrics.luma import Plane, blur, gaussian, luma, moments
from rdbench.metrics.metric import Metric
from rdbench.metrics.ms_ssim import SMALLEST_SIDE, WEIGHTS
from rdbench.types import Image, Reconstruction

_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_WINDOW = gaussian(11, 1.5)
_LOW_PASS = np.array([1, 4, 6, 4, 1]) / 16 * math.sqrt(2)
_EYE_NOISE = 0.4  # variance of the noise in the eye
_SIDE = 3  # of the neighbourhoods whose information is taken
_CUT = len(_WINDOW) // 2 - _SIDE // 2
_TINY = np.finfo(np.float64).eps


def iw_ssim(image: Image, reconstruction: Reconstruction) -> float | None:
    """Information content weighted SSIM of the luma.

    Source: Wang, Li, "Information content weighting for perceptual image quality assessment", IEEE
    Trans. Image Processing 20(5), 2011.

    Returns:
        A value in [0, 1], 1 for equal images; None where a side has fewer than 161 pixels or the
        original has too little content to weigh.
    """
    if min(image.shape[:2]) < SMALLEST_SIDE:
        return None
    originals, decoded = _pyramid(luma(image)), _pyramid(luma(reconstruction))
    value = 1.0
    for level, weight in enumerate(WEIGHTS):
        x, y = originals[level], decoded[level]
        last = level == len(WEIGHTS) - 1
        luminance, contrast = _similarity(x, y)
        quality = luminance * contrast if last else contrast
        # The coarsest band-pass level has no band-pass parent.
        parent = originals[level + 1] if level < len(WEIGHTS) - 2 else None
        try:
            pooled = np.mean(quality) if last else _pooled(quality, _information(x, y, parent))
        except np.linalg.LinAlgError:
            return None
        value *= abs(float(pooled)) ** (weight / sum(WEIGHTS))
    return value if math.isfinite(value) else None


def _pyramid(plane: Plane) -> list[Plane]:
    """Band-pass levels, finest first, and the low-pass rest; each step doubles the gain."""
    levels = []
    for _ in WEIGHTS[1:]:
        smaller = blur(plane, _LOW_PASS)[::2, ::2]
        spread = np.zeros_like(plane)
        spread[::2, ::2] = smaller
        levels.append(plane - blur(spread, _LOW_PASS))
        plane = smaller
    return [*levels, plane]


def _similarity(x: Plane, y: Plane) -> tuple[Plane, Plane]:
    """The terms of SSIM at each place: luminance, and contrast with structure."""
    mean_x, mean_y, var_x, var_y, covariance = moments(x, y, _WINDOW)
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
    return luminance, (2 * covariance + _C2) / (var_x + var_y + _C2)


def _pooled(quality: Plane, information: Plane) -> float:
    weight = information[_CUT:-_CUT, _CUT:-_CUT]
    return float((quality * weight).sum() / weight.sum())


def _information(original: Plane, decoded: Plane, parent: Plane | None) -> Plane:
    """Information in bits that both images together give about each neighbourhood (equation 27).

    The original is a Gaussian scale mixture: a multiplier at each place times neighbourhoods of one
    covariance. The decoded image is a gain times the original, and noise.
    """
    gain, noise = _distortion(original, decoded)
    neighbourhoods = _neighbourhoods(original, parent)
    n_samples = neighbourhoods.shape[-1]
    flat = neighbourhoods.reshape(-1, n_samples)
    eigenvalues, vectors = np.linalg.eigh(flat.T @ flat / len(flat))
    positive = np.maximum(eigenvalues, 0)
    if not positive.any():
        raise np.linalg.LinAlgError("no content")
    eigenvalues = positive * eigenvalues.sum() / positive.sum()
    inverse = np.linalg.inv((vectors * eigenvalues) @ vectors.T)
    multiplier = ((flat @ inverse) * flat).sum(axis=1).reshape(gain.shape) / n_samples
    spread = (noise + (1 + gain**2) * _EYE_NOISE) * multiplier
    ratios = (1 + (spread * v + _EYE_NOISE * noise) / _EYE_NOISE**2 for v in eigenvalues)
    information = np.asarray(sum(np.log2(ratio) for ratio in ratios))
    return np.where(information < _TINY, 0, information)


def _distortion(original: Plane, decoded: Plane) -> tuple[Plane, Plane]:
    """Gain and variance of the noise in each neighbourhood."""
    _, _, var_x, var_y, covariance = moments(original, decoded, np.full(_SIDE, 1 / _SIDE))
    gain = covariance / (var_x + _TINY)
    noise = np.where(var_x < _TINY, var_y, var_y - gain * covariance)
    nothing = (var_x < _TINY) | (var_y < _TINY)
    return np.where(nothing, 0, gain), np.where(var_y < _TINY, 0, noise)


def _neighbourhoods(plane: Plane, parent: Plane | None) -> npt.NDArray[np.float64]:
    """(height - 2, width - 2, samples): every 3x3 square, and the sample of the next level."""
    squares = np.lib.stride_tricks.sliding_window_view(plane, (_SIDE, _SIDE))
    flat = squares.reshape(*squares.shape[:2], -1)
    if parent is None:
        return flat
    height, width = plane.shape
    edge = _SIDE // 2
    above = _enlarge(parent)[:height, :width][edge:-edge, edge:-edge, None]
    return np.concatenate([flat, above], axis=-1)


def _enlarge(plane: Plane) -> Plane:
    """Twice the size: bilinear to four times, the border extrapolated, then every other sample."""
    height, width = plane.shape
    size = (4 * width - 3, 4 * height - 3)
    fine = cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR)
    rows = np.concatenate([2 * fine[:1] - fine[1:2], fine, 2 * fine[-1:] - fine[-2:-1]])
    left, right = 2 * rows[:, :1] - rows[:, 1:2], 2 * rows[:, -1:] - rows[:, -2:-1]
    return np.asarray(np.concatenate([left, rows, right], axis=1)[::2, ::2])


METRIC = Metric(name="iw_ssim", title="IW-SSIM (luma)", source="Wang, Li 2011", function=iw_ssim)
