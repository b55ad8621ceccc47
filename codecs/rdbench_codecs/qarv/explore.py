"""What each latent of QARV carries: parts of files, pictures in between (Section 5.5)."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from rdbench.errors import UsageError
from rdbench.types import Image
from rdbench_codecs.qarv.codec import Picture, Qarv


@dataclass(frozen=True, eq=False)
class Step:
    """A file cut after one of its segments.

    Attributes:
        n_latents: latents that are left.
        n_bytes: size of the cut file.
        picture: what it decodes to, (height, width, 3) in [0, 1].
    """

    n_latents: int
    n_bytes: int
    picture: Picture


def scalable_curve(codec: Qarv, image: Image) -> list[Step]:
    """A picture's file cut after its header, after z1, and so on to the whole file (Figure 15)."""
    stream = codec.encode(image)
    ends = np.cumsum([segment.n_bytes for segment in stream.segments])
    return [
        Step(n, int(end), codec.decode_available(stream.data[:end])) for n, end in enumerate(ends)
    ]


def keep(codec: Qarv, image: Image, kept: Collection[int]) -> Picture:
    """A picture from some of its latents, the prior mean for the others (Figure 11).

    Args:
        codec: the operating point.
        image: the picture.
        kept: numbers of the latents to keep, from 1. ``range(1, i + 1)`` is progressive decoding,
            all but one is leave-one-out, ``[i]`` is one latent alone.
    """
    values = [latent.value for latent in codec.latents(image)]
    unknown = set(kept) - set(range(1, len(values) + 1))
    if unknown:
        raise UsageError(f"there is no latent z{min(unknown)}; there are z1 to z{len(values)}")
    chosen = [value if i + 1 in kept else None for i, value in enumerate(values)]
    return codec.reconstruct(chosen, *image.shape[:2])


def interpolate(codec: Qarv, first: Image, second: Image, weight: float) -> Picture:
    """A picture between two of the same size: their latents mixed.

    Args:
        codec: the operating point.
        first, second: the pictures.
        weight: share of the second, 0 to 1.
    """
    if first.shape != second.shape:
        raise UsageError("pictures of different sizes have no latents in between")
    pairs = zip(codec.latents(first), codec.latents(second), strict=True)
    mixed = [(1 - weight) * a.value + np.float32(weight) * b.value for a, b in pairs]
    return codec.reconstruct(mixed, *first.shape[:2])
