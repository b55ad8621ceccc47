"""FLIP and ColorVideoVDP: what a person in front of a given display sees.

Both are those of their authors' libraries, which are optional.
"""

import functools
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from rdbench.metrics.metric import Metric, importing, needs
from rdbench.types import Image, Reconstruction


def flip(image: Image, reconstruction: Reconstruction) -> float:
    """Mean of the FLIP map at 67 pixels per degree: what flickers when two images alternate.

    Source: Andersson, Nilsson, Akenine-Möller, Oskarsson, Åström, Fairchild, "FLIP: a difference
    evaluator for alternating images", Proc. ACM Computer Graphics and Interactive Techniques 3(2),
    2020. The default distance: 0.7 m from a display 0.7 m and 3840 pixels wide.

    Returns:
        0 for equal images, at most 1.
    """
    FLIP.check()
    pair = _unit(image), _unit(reconstruction)
    with importing("flip_evaluator"):
        import flip_evaluator
    error, _, _ = flip_evaluator.evaluate(*pair, "LDR", applyMagma=False, computeMeanError=False)
    return float(np.mean(error, dtype=np.float64))


def cvvdp(image: Image, reconstruction: Reconstruction) -> float | None:
    """ColorVideoVDP for the display ``standard_4k``, in just objectionable differences (JOD).

    Source: Mantiuk, Hanji, Ashraf, Asano, Chapiro, "ColorVideoVDP: a visual difference predictor
    for image, video and display distortions", ACM Trans. Graphics 43(4), 2024.

    Returns:
        10 for equal images; a JOD lower means that 75 % of people prefer the original. None where a
        side has fewer than 2 pixels.
    """
    CVVDP.check()
    if min(image.shape[:2]) < 2:
        return None
    import torch

    with torch.inference_mode():
        value, _ = _predictor().predict(_unit(reconstruction), _unit(image), dim_order="HWC")
    return float(value)


@functools.cache
def _predictor() -> Any:
    import torch

    with importing("pycvvdp"):
        import pycvvdp
    return pycvvdp.cvvdp(display_name="standard_4k", device=torch.device("cpu"), quiet=True)


def _unit(image: Reconstruction) -> npt.NDArray[np.float32]:
    """(height, width, 3) in [0, 1], contiguous."""
    scaled = image / np.float32(255) if image.dtype == np.uint8 else np.clip(image, 0, 1)
    return np.ascontiguousarray(scaled, np.float32)


FLIP = Metric(
    name="flip",
    title="FLIP (67 pixels per degree)",
    source="Andersson et al. 2020; flip-evaluator",
    function=flip,
    worst=1,
    best=0,
    check=functools.partial(needs, "FLIP", "metrics", "flip_evaluator"),
    libraries=("flip-evaluator",),
)
CVVDP = Metric(
    name="cvvdp",
    title="ColorVideoVDP (standard_4k)",
    source="Mantiuk et al. 2024; cvvdp, display standard_4k",
    function=cvvdp,
    unit="JOD",
    worst=-math.inf,
    best=10,
    check=functools.partial(needs, "ColorVideoVDP", "metrics", "pycvvdp", "torchvision"),
    libraries=("cvvdp",),
)
