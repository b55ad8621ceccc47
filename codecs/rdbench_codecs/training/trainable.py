"""The contract of codecs that can be trained; it loads without torch."""

from abc import abstractmethod
from collections.abc import Mapping
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rdbench.errors import UsageError
from rdbench.types import Codec

if TYPE_CHECKING:
    from rdbench_codecs.training.objective import Objective
    from rdbench_codecs.training.recipe import Recipe


_MOST_THREADS = 4096


def require_threads(threads: int | None) -> None:
    """ValueError where torch cannot use that many threads."""
    if threads is not None and not 1 <= threads <= _MOST_THREADS:
        raise ValueError(f"threads is {threads}, it must be 1 to {_MOST_THREADS}")


class Trainable(Codec):
    """A codec that can be trained.

    Class attributes:
        recipes: package whose ``.toml`` files are recipes.
    """

    recipes: ClassVar[str]

    def prepare(self) -> None:
        """Load the weights and compile the entropy coder, by a small image there and back."""
        self.decode(self.encode(np.full((64, 64, 3), 128, np.uint8)).data)

    @classmethod
    def recipe_names(cls) -> list[str]:
        """Names of the recipes that come along, sorted."""
        names = (entry.name for entry in files(cls.recipes).iterdir())
        return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))

    @classmethod
    def recipe(cls, config: str) -> "Recipe":
        """A recipe by its name, or the one in a ``.toml`` file.

        Raises:
            UsageError: no recipe has that name.
            DataError: the file is no recipe.
        """
        from rdbench_codecs.training.recipe import load_recipe

        if config.endswith(".toml"):
            return load_recipe(Path(config))
        names = cls.recipe_names()
        if config not in names:
            raise UsageError(f"no recipe is named {config!r}; there are {', '.join(names)}")
        with as_file(files(cls.recipes) / f"{config}.toml") as path:
            return load_recipe(path)

    @classmethod
    @abstractmethod
    def new_objective(cls, network: Mapping[str, Any]) -> "Objective":
        """A freshly initialized network and its loss.

        Args:
            network: settings of the network from a recipe; DataError for impossible ones.
        """
