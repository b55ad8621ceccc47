"""DISTS: structure and texture of two images in the features of VGG, as torchmetrics has it."""

import functools
from typing import Any

from rdbench.metrics._networks import batch, require
from rdbench.metrics.metric import Metric
from rdbench.types import Image, Reconstruction


def check() -> None:
    """Unavailable, with the way out, where libraries or weights are missing."""
    require("DISTS", "vgg16-397923af.pth")


def dists(image: Image, reconstruction: Reconstruction) -> float | None:
    """Deep image structure and texture similarity: 0 for equal images.

    Source: Ding, Ma, Wang, Simoncelli, "Image quality assessment: unifying structure and texture
    similarity", IEEE Trans. Pattern Analysis and Machine Intelligence 44(5), 2022.

    Raises:
        Unavailable: libraries or weights are missing.
    """
    check()
    import torch

    with torch.inference_mode():
        return float(_network()(batch(reconstruction), batch(image)))


@functools.cache
def _network() -> Any:
    from torchmetrics.functional.image.dists import DISTSNetwork

    return DISTSNetwork().eval()


METRIC = Metric(
    name="dists",
    title="DISTS (VGG16)",
    unit="1",
    version=1,
    source="Ding et al. 2022, as torchmetrics has it",
    function=dists,
    better="lower",
    check=check,
)
