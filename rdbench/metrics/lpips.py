"""LPIPS: distance of two images in the features of AlexNet, as torchmetrics computes it."""

import functools
from typing import Any

from rdbench.metrics._networks import batch, require
from rdbench.metrics.metric import Metric
from rdbench.types import Image, Reconstruction


def check() -> None:
    """Unavailable, with the way out, where libraries or weights are missing."""
    require("LPIPS", "alexnet-owt-7be5be79.pth")


def lpips(image: Image, reconstruction: Reconstruction) -> float | None:
    """Learned perceptual image patch similarity, AlexNet, version 0.1: 0 for equal images.

    Source: Zhang, Isola, Efros, Shechtman, Wang, "The unreasonable effectiveness of deep features
    as a perceptual metric", CVPR 2018.

    Raises:
        Unavailable: libraries or weights are missing.
    """
    check()
    import torch

    with torch.inference_mode():
        return float(_network()(batch(reconstruction), batch(image)))


@functools.cache
def _network() -> Any:
    from torchmetrics.image import LearnedPerceptualImagePatchSimilarity

    return LearnedPerceptualImagePatchSimilarity("alex", normalize=True).eval()


METRIC = Metric(
    name="lpips",
    title="LPIPS (AlexNet)",
    unit="1",
    version=1,
    source="Zhang et al. 2018, as torchmetrics has it",
    function=lpips,
    better="lower",
    check=check,
)
