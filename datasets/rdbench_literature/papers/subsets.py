"""QARV's Figure 11: images decoded from subsets of their latents."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from rdbench.datasets import load_dataset
from rdbench.images import read_image
from rdbench.report.style import PAGE_IN
from rdbench.types import Image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from rdbench_codecs.qarv.codec import Qarv

LAMBDAS = (16.0, 2048.0)
IMAGES = ("astronaut", "chelsea")
"""Images of the data set ``sample``, which is bundled."""

_SIDE = 256


def subsets_figure(codec: "Qarv") -> "Figure":
    """Draw images decoded from the first latents of QARV, from all but one, and from only one.

    The codec's lambda is replaced by each of LAMBDAS.
    """
    from matplotlib.figure import Figure

    from rdbench_codecs.qarv.explore import KINDS, subsets

    n_latents = codec.config().n_latents
    groups = [(name, lambda_) for name in IMAGES for lambda_ in LAMBDAS]
    n_rows = len(KINDS) * len(groups)
    figure = Figure(figsize=(PAGE_IN, PAGE_IN / (n_latents + 1) * n_rows), layout="constrained")
    # A block of rows per kind of subset, in it a row per image and lambda: the original, then one
    # column per latent.
    axes = figure.subplots(n_rows, n_latents + 1)
    for number, (name, lambda_) in enumerate(groups):
        image = _crop(name)
        for subset in subsets(replace(codec, lambda_=lambda_), image):
            row = list(KINDS).index(subset.kind) * len(groups) + number
            axes[row, 0].imshow(image)
            axes[row, subset.latent].imshow(np.clip(subset.image, 0, 1))
            axes[row, 0].set_ylabel(f"λ = {lambda_:g}", fontsize=6)
    for kind, first in zip(KINDS.values(), range(0, n_rows, len(groups)), strict=True):
        for latent in range(1, n_latents + 1):
            axes[first, latent].set_title(kind.format(latent), fontsize=6)
        axes[first, 0].set_title("original", fontsize=6)
    for one in axes.ravel():
        one.set(xticks=[], yticks=[])
        one.spines[:].set_visible(False)
    return figure


def _crop(name: str) -> Image:
    """Read the central 256x256 pixels of an image."""
    (image_file,) = load_dataset("sample").subset([name]).files
    image = read_image(image_file.path)
    y, x = ((side - _SIDE) // 2 for side in image.shape[:2])
    return np.ascontiguousarray(image[y : y + _SIDE, x : x + _SIDE])
