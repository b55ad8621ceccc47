"""VIF in the pixel domain: how much of what an eye would learn from an image is still there."""

import numpy as np

from rdbench.metrics.luma import Plane, gaussian, inside, luma, moments
from rdbench.metrics.metric import Metric
from rdbench.types import Image, Reconstruction

SMALLEST_SIDE = 41
"""Pixels a side that it takes for the window of the coarsest of four scales to fit."""

_EYE_NOISE = 2.0  # variance of the noise in the eye
_TINY = 1e-10
_WINDOWS = (17, 9, 5, 3)


def vif(image: Image, reconstruction: Reconstruction) -> float | None:
    """Visual information fidelity of the luma, in the pixel domain over four scales.

    Source: Sheikh, Bovik, "Image information and visual quality", IEEE Trans. Image Processing
    15(2), 2006, in the form of the authors' program ``vifp_mscale``.

    Returns:
        1 for equal images, 0 where all information is lost, more than 1 where contrast was
        raised; None where a side has fewer than 41 pixels, or where the original tells nothing.
    """
    if min(image.shape[:2]) < SMALLEST_SIDE:
        return None
    original, decoded = luma(image), luma(reconstruction)
    kept = there = 0.0
    for number, size in enumerate(_WINDOWS):
        window = gaussian(size, size / 5)
        if number:
            original, decoded = (inside(x, window)[::2, ::2] for x in (original, decoded))
        of_decoded, of_original = _information(original, decoded, window)
        kept, there = kept + of_decoded, there + of_original
    return kept / there if there else None


def _information(original: Plane, decoded: Plane, window: Plane) -> tuple[float, float]:
    """Information about one scale, in nats, that decoded and original image give an eye."""
    _, _, var_x, var_y, covariance = moments(original, decoded, window)
    # decoded = gain * original + noise
    gain = covariance / (var_x + _TINY)
    noise = var_y - gain * covariance
    lost = (var_x < _TINY) | (gain < 0)
    noise = np.where(lost, var_y, noise)
    gain = np.where(lost | (var_y < _TINY), 0, gain)
    noise = np.maximum(np.where(var_y < _TINY, 0, noise), _TINY)
    var_x = np.where(var_x < _TINY, 0, var_x)
    kept = np.log1p(gain**2 * var_x / (noise + _EYE_NOISE)).sum()
    return float(kept), float(np.log1p(var_x / _EYE_NOISE).sum())


METRIC = Metric(
    name="vif", title="VIF (luma)", source="Sheikh, Bovik 2006, vifp_mscale", function=vif
)
