"""How reconstructions are scored, and the fingerprint that tells one way from another."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from rdbench.errors import DataError, Unavailable, UsageError
from rdbench.metrics import (
    butteraugli,
    ciede2000,
    ms_ssim,
    nlpd,
    perceptual,
    psnr,
    psnr_hvs,
    sets,
    ssim,
    ssimulacra2,
    structure,
    video,
    viewing,
)
from rdbench.metrics.metric import Metric
from rdbench.types import Image, Reconstruction

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        psnr.METRIC,
        ms_ssim.METRIC,
        psnr.PSNR_Y,
        psnr.PSNR_YUV,
        ms_ssim.MS_SSIM_Y,
        ssim.METRIC,
        ssimulacra2.METRIC,
        butteraugli.BUTTERAUGLI,
        butteraugli.BUTTERAUGLI_MAX,
        video.VMAF,
        video.VMAF_NEG,
        video.XPSNR,
        video.CAMBI,
        ciede2000.METRIC,
        psnr_hvs.METRIC,
        structure.VIF,
        structure.FSIM,
        structure.IW_SSIM,
        structure.HAARPSI,
        structure.GMSD,
        nlpd.METRIC,
        viewing.FLIP,
        viewing.CVVDP,
        perceptual.LPIPS,
        perceptual.DISTS,
        sets.FID_256,
        sets.KID,
    )
}
"""All metrics by name. To add one, write a module with a `Metric` and add it to this list."""

AGGREGATION = "mean of per-image values"


@dataclass(frozen=True, slots=True)
class Protocol:
    """A way of scoring.

    Attributes:
        scored: ``8-bit`` rounds a float reconstruction to the 8 bits a file would hold; ``float``
            scores it as it is. A codec that gives 8 bits is scored the same under both.
        metrics: names of the metrics computed with the record. The fingerprint does not include
            them: other metrics can be computed later, from the kept bitstreams.
    """

    scored: Literal["8-bit", "float"] = "8-bit"
    metrics: tuple[str, ...] = ("psnr_rgb", "ms_ssim")

    def __post_init__(self) -> None:
        if self.scored not in ("8-bit", "float"):
            raise UsageError(f"images are scored as '8-bit' or 'float', not {self.scored!r}")
        if unknown := set(self.metrics) - METRICS.keys():
            raise UsageError(f"no metric {sorted(unknown)}; there are {', '.join(METRICS)}")

    @property
    def description(self) -> dict[str, Any]:
        """What decides a score; JSON, with the keys of the published curves."""
        return {
            "scored": self.scored,
            "rate": "bytes of the whole bitstream, over the pixels of the unpadded image",
            "aggregation": AGGREGATION,
        }

    @property
    def fingerprint(self) -> str:
        """First 12 hexadecimal digits of the SHA-256 of the description's canonical JSON."""
        text = json.dumps(self.description, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]


DEFAULT_PROTOCOL = Protocol()


def available() -> list[str]:
    """Return the names of the available metrics."""
    return [name for name, metric in METRICS.items() if why_not(metric) is None]


def why_not(metric: Metric) -> str | None:
    """Return why a metric is not available and how to fix it; None if it is available."""
    try:
        metric.check()
    except Unavailable as error:
        return str(error)
    return None


def to_8bit(reconstruction: Reconstruction) -> Image:
    """``reconstruction`` clipped to [0, 1] and rounded to 8 bits, ties to even.

    Raises:
        DataError: it holds values that are not finite.
    """
    if reconstruction.dtype == np.uint8:
        return reconstruction.astype(np.uint8, copy=False)
    if not np.isfinite(reconstruction).all():
        raise DataError("the reconstruction holds values that are not finite")
    return np.asarray(np.rint(np.clip(reconstruction, 0, 1) * 255), np.uint8)


def score(
    image: Image, reconstruction: Reconstruction, protocol: Protocol = DEFAULT_PROTOCOL
) -> dict[str, float]:
    """Score a reconstruction with every metric of ``protocol``.

    Args:
        image: original, uint8, (height, width, 3).
        reconstruction: same shape; uint8, or float32 in [0, 1].
        protocol: how to score; PSNR and MS-SSIM on 8-bit RGB unless given.

    Returns:
        Metric name -> value. A metric that is not defined here is left out: PSNR of a lossless
        image, MS-SSIM of one with a side below 161 pixels. Never NaN, never infinite.

    Raises:
        DataError: shapes or types do not fit, or the reconstruction is not finite.
    """
    _check(image, reconstruction)
    if protocol.scored == "8-bit":
        reconstruction = to_8bit(reconstruction)
    values = {name: METRICS[name].function(image, reconstruction) for name in protocol.metrics}
    return {n: value for n, value in values.items() if value is not None and np.isfinite(value)}


def _check(image: Image, reconstruction: Reconstruction) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise DataError(f"an original is uint8 (height, width, 3), not {image.dtype} {image.shape}")
    if reconstruction.shape != image.shape:
        raise DataError(
            f"a reconstruction of {reconstruction.shape} for an original of {image.shape}"
        )
    if reconstruction.dtype not in (np.uint8, np.float32):
        raise DataError(f"a reconstruction is uint8 or float32, not {reconstruction.dtype}")
    if reconstruction.dtype == np.float32 and not np.isfinite(reconstruction).all():
        raise DataError("the reconstruction holds values that are not finite")
