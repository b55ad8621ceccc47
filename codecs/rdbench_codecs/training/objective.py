"""What a codec brings to be trained."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn


class Losses(NamedTuple):
    """Of one batch, each a scalar.

    Attributes:
        loss: what is minimized.
        auxiliary: loss of the auxiliary parameters, minimized with it and told nowhere.
        bpp: estimated rate in bits a pixel.
        mse: mean squared error of the reconstruction, not rounded, 1 is white.
    """

    loss: Tensor
    auxiliary: Tensor
    bpp: Tensor
    mse: Tensor


class Objective(nn.Module, ABC):
    """A network and the loss that trains it.

    Attributes:
        network: what is trained and kept.
    """

    network: nn.Module

    @abstractmethod
    def forward(self, images: Tensor, settings: Mapping[str, Any]) -> Losses:
        """Losses of a batch.

        Args:
            images: (batch, 3, height, width) in [0, 1], sides multiples of 64.
            settings: those of the recipe's stage.
        """

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """What a file of weights says about the network beside its parameters."""

    @abstractmethod
    def start_from_components(self, images: Tensor) -> None:
        """Set the network to a transform codec of principal components, instead of noise.

        Args:
            images: (batch, 3, height, width) in [0, 1], sides multiples of 64.

        Raises:
            DataError: this network cannot be set so.
        """

    def check(self) -> None:
        """DataError where training went wrong in a way that the loss does not tell."""

    def auxiliary_parameters(self) -> list[nn.Parameter]:
        """Parameters with a loss of their own, trained at a rate of their own and never clipped."""
        return []
