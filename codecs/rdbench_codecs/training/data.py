"""Training images, held on the device that trains, and random crops of them."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL.Image
import torch
from torch import Tensor

from rdbench.errors import DataError, RdbenchError
from rdbench.types import Image
from rdbench_codecs.training.recipe import Recipe

_Packed = npt.NDArray[np.int32]
"""An image, (height, width): red + 256 green + 65536 blue."""

_NONE: _Packed = np.empty(0, np.int32)
_MAX_PIXELS = 2**30
_STEPS_OF_A_SET = 2000


class Crops:
    """Crops, cut on the device by index arithmetic alone: nothing waits for the CPU.

    All pixels are in one flat tensor, red, green and blue in one integer. Images that do not fit
    are used in turn: every 2,000 steps another random set of them is read. Which ones depends on
    the seed and the step alone; which crops, on torch's random numbers.

    Args:
        files: images; those smaller than a crop are skipped.
        read: reads an image.
        recipe: seed, sizes of crops, and scales at which each image is used.
        device: where the images are held.
        max_pixels: how many pixels are held, of 4 bytes each.
    """

    def __init__(
        self,
        files: Sequence[Path],
        read: Callable[[Path], Image],
        recipe: Recipe,
        device: torch.device,
        max_pixels: int = _MAX_PIXELS,
    ) -> None:
        self._files, self._read, self._recipe = files, read, recipe
        self._max_pixels = max_pixels
        self._set = -1
        self._is_complete = False
        self._pixels = torch.empty(0, dtype=torch.int32, device=device)
        n_images = len(files) * len(recipe.scales)
        self._table = torch.zeros(3, n_images, dtype=torch.int64, device=device)
        self._cumulative = {
            stage.crop: torch.zeros(n_images, device=device) for stage in recipe.stages
        }

    def hold(self, step: int) -> None:
        """Hold the images of a step.

        Raises:
            DataError: an image cannot be read, or all are smaller than a crop.
        """
        number = step // _STEPS_OF_A_SET
        if self._is_complete or number == self._set:
            return
        self._set = number
        images = self._load(np.random.default_rng([self._recipe.seed, number]))
        shapes = np.array([image.shape for image in images])
        ends = np.cumsum(shapes.prod(1))
        if self._pixels.numel() < ends[-1]:  # the first set; later ones keep its addresses
            n = ends[-1] if self._is_complete else self._max_pixels
            self._pixels = self._pixels.new_empty(int(n))
        for i, end in enumerate(ends):
            image, images[i] = images[i], _NONE  # freed as soon as it is copied
            self._pixels[end - image.size : end].copy_(torch.from_numpy(image.ravel()))
        table = np.stack([ends - shapes.prod(1), *shapes.T])
        self._table[:, : len(images)].copy_(torch.from_numpy(table))
        for side, cumulative in self._cumulative.items():
            cumulative.fill_(1)[: len(images)].copy_(_cumulative(shapes, side))

    def cut(self, n: int, side: int) -> Tensor:
        """Return n crops of the images held, (n, 3, side, side) in [0, 1].

        An image is drawn with a probability proportional to the square root of its area, a crop
        uniformly, and mirrored or not.
        """
        device = self._pixels.device
        draws = torch.rand(4, n, device=device)
        image = torch.searchsorted(self._cumulative[side], draws[0], right=True)
        offset, height, width = self._table[:, image]
        top, left = (
            torch.minimum((draw * (size - side + 1)).long(), size - side)
            for draw, size in ((draws[1], height), (draws[2], width))
        )
        positions = torch.arange(side, device=device)
        columns = torch.where(draws[3, :, None] < 0.5, positions, side - 1 - positions)
        rows = (top[:, None] + positions) * width[:, None]
        pixels = self._pixels[(offset + left)[:, None, None] + rows[:, :, None] + columns[:, None]]
        return torch.stack([pixels >> shift & 255 for shift in (0, 8, 16)], dim=1) / 255

    def _load(self, rng: np.random.Generator) -> list[_Packed]:
        """Images of a random set at all their scales, in the order of the files."""
        found: dict[int, list[_Packed]] = {}
        n_pixels = 0
        order = rng.permutation(len(self._files)).tolist()
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as readers:
            loaded = readers.map(self._packed, (self._files[i] for i in order))
            for i, scales in zip(order, loaded, strict=True):
                n_pixels += sum(image.size for image in scales)
                if n_pixels > self._max_pixels:
                    readers.shutdown(wait=False, cancel_futures=True)
                    break
                found[i] = scales
            else:
                self._is_complete = True
        images = [image for i in sorted(found) for image in found[i]]
        if not images:
            side = min(self._cumulative)
            raise DataError(f"no image has {side} x {side} pixels, the size of a crop")
        return images

    def _packed(self, path: Path) -> list[_Packed]:
        """The image at every scale that a crop fits in, (height, width)."""
        try:
            image = self._read(path)
        except RdbenchError as error:
            raise DataError(f"training image {error}") from error
        found = [_pack(scaled) for scaled in _scaled(image, self._recipe.scales)]
        return [scaled for scaled in found if min(scaled.shape) >= min(self._cumulative)]


def _scaled(image: Image, scales: Sequence[float]) -> Iterator[Image]:
    height, width = image.shape[:2]
    for scale in scales:
        size = max(1, int(width * scale)), max(1, int(height * scale))
        if scale == 1:
            yield image
        else:
            lanczos = PIL.Image.Resampling.LANCZOS
            yield np.asarray(PIL.Image.fromarray(image).resize(size, lanczos))


def _pack(image: Image) -> _Packed:
    red, green, blue = np.moveaxis(image.astype(np.int32), -1, 0)
    packed: _Packed = red | green << 8 | blue << 16
    return packed


def _cumulative(shapes: npt.NDArray[np.int64], side: int) -> Tensor:
    """Cumulative probability of images of these heights and widths; none of one that is smaller
    than a crop."""
    fits = shapes.min(1) >= side
    if not fits.any():
        raise DataError(f"no image has {side} x {side} pixels, the size of a crop")
    sums = np.cumsum(np.where(fits, np.sqrt(shapes.prod(1)), 0))
    return torch.from_numpy(sums / sums[-1]).float()
