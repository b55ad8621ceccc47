"""VIF, FSIM, IW-SSIM, HaarPSI and GMSD, as the library piq computes them.

piq is optional. Single precision, which is what piq is used with, costs up to 3e-5.
"""

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rdbench.metrics.luma import luma
from rdbench.metrics.metric import Metric, importing, needs
from rdbench.types import Image, Reconstruction

if TYPE_CHECKING:
    import torch


def vif(image: Image, reconstruction: Reconstruction) -> float | None:
    """Visual information fidelity of the luma, in the pixel domain over four scales.

    Source: Sheikh, Bovik, "Image information and visual quality", IEEE Trans. Image Processing
    15(2), 2006.

    Returns:
        1 for equal images, 0 where all information is lost, more than 1 where contrast was raised;
        None where a side has fewer than 41 pixels.
    """
    return _compute(VIF, 41, "vif_p", _luma, image, reconstruction)


def fsim(image: Image, reconstruction: Reconstruction) -> float | None:
    """Feature similarity of the luma: phase congruency and gradient.

    Source: Zhang, Zhang, Mou, Zhang, "FSIM: a feature similarity index for image quality
    assessment", IEEE Trans. Image Processing 20(8), 2011.

    Returns:
        A value in [0, 1], 1 for equal images; None where a side has fewer than 16 pixels.
    """
    return _compute(FSIM, 16, "fsim", _luma, image, reconstruction, chromatic=False)


def iw_ssim(image: Image, reconstruction: Reconstruction) -> float | None:
    """Information content weighted SSIM of the luma.

    Source: Wang, Li, "Information content weighting for perceptual image quality assessment", IEEE
    Trans. Image Processing 20(5), 2011.

    Returns:
        A value in [0, 1], 1 for equal images; None where a side has fewer than 161 pixels or the
        original has too little content to weigh.
    """
    return _compute(IW_SSIM, 161, "information_weighted_ssim", _luma, image, reconstruction)


def haarpsi(image: Image, reconstruction: Reconstruction) -> float | None:
    """Haar wavelet-based perceptual similarity index, with colour.

    Source: Reisenhofer, Bosse, Kutyniok, Wiegand, "A Haar wavelet-based perceptual similarity index
    for image quality assessment", Signal Processing: Image Communication 61, 2018.

    Returns:
        A value in [0, 1], 1 for equal images; None where a side has fewer than 16 pixels.
    """
    return _compute(HAARPSI, 16, "haarpsi", _rgb, image, reconstruction)


def gmsd(image: Image, reconstruction: Reconstruction) -> float | None:
    """Gradient magnitude similarity deviation of the luma (BT.601).

    Source: Xue, Zhang, Mou, Bovik, "Gradient magnitude similarity deviation: a highly efficient
    perceptual image quality index", IEEE Trans. Image Processing 23(2), 2014.

    Returns:
        0 for equal images, at most 0.5; None where a side has fewer than 16 pixels.
    """
    return _compute(GMSD, 16, "gmsd", _rgb, image, reconstruction)


def _compute(
    metric: Metric,
    smallest_side: int,
    function: str,
    planes: Callable[[Reconstruction], "torch.Tensor"],
    image: Image,
    reconstruction: Reconstruction,
    **options: Any,
) -> float | None:
    """What a function of piq says of two images, or None where it is not defined for them."""
    metric.check()
    if min(image.shape[:2]) < smallest_side:
        return None
    import torch

    with importing("piq"):
        import piq
    call = getattr(piq, function)
    try:
        with torch.inference_mode():
            value = float(call(planes(reconstruction), planes(image), data_range=1.0, **options))
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]  # IW-SSIM of flat images
        return None
    return value if math.isfinite(value) else None


def _luma(image: Reconstruction) -> "torch.Tensor":
    """(1, 1, height, width), float32 in [0, 1]."""
    return _tensor(luma(image)[..., None] / 255)


def _rgb(image: Reconstruction) -> "torch.Tensor":
    """(1, 3, height, width), float32 in [0, 1]."""
    return _tensor(image / np.float32(255) if image.dtype == np.uint8 else image)


def _tensor(pixels: npt.NDArray[Any]) -> "torch.Tensor":
    import torch

    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32)
    return torch.from_numpy(planes).clamp(0, 1)


def _metric(
    name: str,
    title: str,
    source: str,
    function: Any,
    worst: float = 0,
    best: float = 1,
    version: int = 1,
) -> Metric:
    return Metric(
        name=name,
        title=title,
        source=f"{source}; piq",
        function=function,
        worst=worst,
        best=best,
        version=version,
        check=functools.partial(needs, title.partition(" ")[0], "metrics", "piq", "torchvision"),
        libraries=("piq",),
    )


VIF = _metric("vif", "VIF (luma)", "Sheikh, Bovik 2006, pixel domain", vif, version=2)
FSIM = _metric("fsim", "FSIM (luma)", "Zhang et al. 2011", fsim, version=2)
IW_SSIM = _metric("iw_ssim", "IW-SSIM (luma)", "Wang, Li 2011", iw_ssim, version=2)
HAARPSI = _metric("haarpsi", "HaarPSI (colour)", "Reisenhofer et al. 2018", haarpsi)
GMSD = _metric("gmsd", "GMSD (luma)", "Xue et al. 2014", gmsd, 0.5, 0)
