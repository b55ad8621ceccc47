"""LPIPS and DISTS: distances of two images in the features of trained networks.

Both are those of torchmetrics. That library is optional, and the networks' weights must be on disk:
nothing is downloaded without being asked for.
"""

import functools
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rdbench.errors import Unavailable
from rdbench.metrics.metric import Metric, needs
from rdbench.types import Image, Reconstruction

if TYPE_CHECKING:
    import torch


def check(title: str, weights: str) -> None:
    """Raise Unavailable unless the libraries and the weights of a network are installed.

    Args:
        title: of the metric.
        weights: name of torchvision's file in torch's cache.
    """
    needs(title, "perceptual", "torchmetrics", "torchvision")
    import torch

    folder = Path(torch.hub.get_dir()) / "checkpoints"
    if not (folder / weights).is_file():
        raise Unavailable(
            f"{title} needs https://download.pytorch.org/models/{weights} in {folder}"
        )


def lpips(image: Image, reconstruction: Reconstruction) -> float:
    """Learned perceptual image patch similarity, AlexNet, version 0.1: 0 for equal images.

    Source: Zhang, Isola, Efros, Shechtman, Wang, "The unreasonable effectiveness of deep features
    as a perceptual metric", CVPR 2018.

    Raises:
        Unavailable: libraries or weights are missing.
    """
    LPIPS.check()
    return _distance(_alexnet(), image, reconstruction)


def dists(image: Image, reconstruction: Reconstruction) -> float:
    """Deep image structure and texture similarity: 0 for equal images.

    Source: Ding, Ma, Wang, Simoncelli, "Image quality assessment: unifying structure and texture
    similarity", IEEE Trans. Pattern Analysis and Machine Intelligence 44(5), 2022.

    Raises:
        Unavailable: libraries or weights are missing.
    """
    DISTS.check()
    return _distance(_vgg(), image, reconstruction)


@functools.cache
def _alexnet() -> Any:
    from torchmetrics.image import LearnedPerceptualImagePatchSimilarity

    return LearnedPerceptualImagePatchSimilarity("alex", normalize=True).eval()


@functools.cache
def _vgg() -> Any:
    from torchmetrics.functional.image.dists import DISTSNetwork

    return DISTSNetwork().eval()


def _distance(network: Any, image: Image, reconstruction: Reconstruction) -> float:
    import torch

    with torch.inference_mode():
        return float(network(_batch(reconstruction), _batch(image)))


def _batch(image: Reconstruction) -> "torch.Tensor":
    """A batch of one, (1, 3, height, width), float32 in [0, 1]."""
    import torch

    scaled = image / np.float32(255) if image.dtype == np.uint8 else image
    return torch.from_numpy(np.ascontiguousarray(scaled, np.float32)).permute(2, 0, 1)[None]


LPIPS = Metric(
    name="lpips",
    title="LPIPS (AlexNet)",
    source="Zhang et al. 2018; torchmetrics",
    function=lpips,
    worst=math.inf,
    best=0,
    check=functools.partial(check, "LPIPS", "alexnet-owt-7be5be79.pth"),
    libraries=("torchmetrics", "torchvision"),
)
DISTS = Metric(
    name="dists",
    title="DISTS (VGG16)",
    source="Ding et al. 2022; torchmetrics",
    function=dists,
    worst=1,
    best=0,
    check=functools.partial(check, "DISTS", "vgg16-397923af.pth"),
    libraries=("torchmetrics", "torchvision"),
)
