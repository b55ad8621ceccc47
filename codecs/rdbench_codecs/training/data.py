"""Training images: random crops, flipped at random."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from rdbench.errors import DataError, RdbenchError
from rdbench.types import Image
from rdbench_codecs.training.recipe import Recipe

_CACHE_BYTES = 4 << 30


class Crops(Dataset[Tensor]):
    """Batches of crops, one per step; which ones depends on the seed and the step alone.

    Args:
        files: images; those smaller than a crop are skipped.
        read: reads an image.
        recipe: seed, and size of crops and batch by step.
        rank, world_size: of this process among those that share a batch.
    """

    def __init__(
        self,
        files: Sequence[Path],
        read: Callable[[Path], Image],
        recipe: Recipe,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self._files, self._read_file, self._recipe = files, read, recipe
        self._rank, self._world_size = rank, world_size
        self._cache: dict[Path, Image] = {}
        self._cached_bytes = 0

    def __len__(self) -> int:
        return self._recipe.steps

    def __getitem__(self, step: int) -> Tensor:
        """(batch / processes, 3, crop, crop), uint8."""
        stage, _ = self._recipe.at(step)
        rng = np.random.default_rng([self._recipe.seed, step])
        seeds = rng.integers(2**63, size=stage.batch)[self._rank :: self._world_size]
        crops = [self._crop(np.random.default_rng(seed), stage.crop) for seed in seeds]
        return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)

    def _crop(self, rng: np.random.Generator, side: int) -> Image:
        for _ in range(100):
            image = self._read(self._files[int(rng.integers(len(self._files)))])
            rows, columns = image.shape[0] - side, image.shape[1] - side
            if rows < 0 or columns < 0:
                continue
            top, left = rng.integers(rows + 1), rng.integers(columns + 1)
            crop = image[top : top + side, left : left + side]
            return crop[:, ::-1] if rng.integers(2) else crop
        raise DataError(f"images of {side} x {side} pixels and more are too rare for such crops")

    def _read(self, path: Path) -> Image:
        if path in self._cache:
            return self._cache[path]
        try:
            image = self._read_file(path)
        except RdbenchError as error:
            raise DataError(f"training image {error}") from error
        if self._cached_bytes + image.nbytes <= _CACHE_BYTES:
            self._cache[path] = image
            self._cached_bytes += image.nbytes
        return image
