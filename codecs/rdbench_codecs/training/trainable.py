"""The contract of codecs that can be trained; it loads without torch."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from rdbench.types import Codec

if TYPE_CHECKING:
    from rdbench_codecs.training.objective import Objective


class Trainable(Codec):
    """A codec that can be trained.

    Class attributes:
        recipes: package whose ``.toml`` files are recipes.
    """

    recipes: ClassVar[str]

    @classmethod
    @abstractmethod
    def new_objective(cls, network: Mapping[str, Any]) -> "Objective":
        """A freshly initialized network and its loss.

        Args:
            network: settings of the network from a recipe; DataError for impossible ones.
        """
