"""What metrics made of trained networks need: libraries that are optional, and weights on disk."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rdbench.errors import Unavailable
from rdbench.types import Reconstruction

if TYPE_CHECKING:
    import torch


def require(metric: str, *weights: str) -> None:
    """Raise Unavailable, with the way out, unless the libraries and torchvision's files are here.

    Args:
        metric: its title.
        weights: names of files in torch's cache; nothing is downloaded behind anybody's back.
    """
    for library in ("torchmetrics", "torchvision"):
        if find_spec(library) is None:
            raise Unavailable(f"{metric} needs {library}: pip install 'rdbench[perceptual]'")
    import torch

    folder = Path(torch.hub.get_dir()) / "checkpoints"
    for name in weights:
        if not (folder / name).is_file():
            raise Unavailable(
                f"{metric} needs https://download.pytorch.org/models/{name} in {folder}"
            )


def batch(image: Reconstruction) -> "torch.Tensor":
    """A batch of one, (1, 3, height, width), float32 in [0, 1]."""
    import torch

    scaled = image / np.float32(255) if image.dtype == np.uint8 else image
    return torch.from_numpy(np.ascontiguousarray(scaled, np.float32)).permute(2, 0, 1)[None]
