"""What each latent of QARV carries, and images in between (Section 5.5)."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rdbench.errors import UsageError
from rdbench.types import Image
from rdbench_codecs.learned.base import FloatImage, Latent
from rdbench_codecs.qarv.codec import Qarv

KINDS = {"first": "z1 to z{}", "without": "all but z{}", "alone": "z{} alone"}
"""Rows of Figure 11: progressive, leave-one-out and independent decoding; what is kept in each."""


@dataclass(frozen=True, eq=False)
class Subset:
    """An image from some of its latents.

    Attributes:
        kind: key of KINDS.
        latent: i, from 1.
        ideal_bits: code length of the latents that were kept.
        image: (height, width, 3) in [0, 1].
    """

    kind: str
    latent: int
    ideal_bits: float
    image: FloatImage


def subsets(codec: Qarv, image: Image) -> Iterator[Subset]:
    """An image from its first latents, from all but one, from one alone (Figure 11)."""
    latents = codec.latents(image)
    everything = range(1, len(latents) + 1)
    for kind in KINDS:
        for i in everything:
            kept = {"first": {*range(1, i + 1)}, "without": {*everything} - {i}, "alone": {i}}[kind]
            bits = sum(latents[k - 1].n_ideal_bits for k in kept)
            yield Subset(kind, i, bits, from_kept(codec, image, latents, kept))


def interpolate(
    codec: Qarv, first: Image, second: Image, weights: Sequence[float]
) -> list[FloatImage]:
    """Images between two: their latents mixed, the second with each of ``weights``, 0 to 1.

    Raises:
        UsageError: the images are of different sizes.
    """
    if first.shape != second.shape:
        raise UsageError("images of different sizes have no latents in between")
    pairs = [
        (a.value, b.value) for a, b in zip(codec.latents(first), codec.latents(second), strict=True)
    ]
    return [
        codec.reconstruct(
            [np.float32(1 - w) * a + np.float32(w) * b for a, b in pairs], *first.shape[:2]
        )
        for w in weights
    ]


def from_kept(
    codec: Qarv, image: Image, latents: Sequence[Latent], kept: Collection[int]
) -> FloatImage:
    """Return an image from the latents of these numbers (from 1), the prior mean for the others."""
    values = [latent.value if i + 1 in kept else None for i, latent in enumerate(latents)]
    return codec.reconstruct(values, *image.shape[:2])
