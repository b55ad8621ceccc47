"""What a codec brings to be trained."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from rdbench.errors import DataError


class Losses(NamedTuple):
    """Of one batch, each a scalar.

    Attributes:
        loss: what is minimized.
        auxiliary: loss of the auxiliary parameters, minimized with it and not logged.
        bpp: estimated rate in bits per pixel.
        mse: mean squared error of the reconstruction, not rounded, 1 is white.
    """

    loss: Tensor
    auxiliary: Tensor
    bpp: Tensor
    mse: Tensor


class Objective(nn.Module, ABC):
    """A network and the loss that trains it.

    Class attributes:
        stage_settings: what a stage's settings may be called, and whether a value is possible.

    Attributes:
        network: what is trained and kept.
    """

    stage_settings: ClassVar[Mapping[str, Callable[[Any], bool]]]
    network: nn.Module

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """Raise DataError if a setting of a stage is unknown or its value is invalid."""
        for name, value in settings.items():
            if name not in self.stage_settings:
                raise DataError(
                    f"[stages.settings] has no {name!r}; there are "
                    f"{', '.join(self.stage_settings)} (settings of the stage itself, such as "
                    "steps, are written above it)"
                )
            if not self.stage_settings[name](value):
                raise DataError(f"[stages.settings]: {name} = {str(value)[:60]!r} is not possible")

    @abstractmethod
    def forward(self, images: Tensor, settings: Mapping[str, Any]) -> Losses:
        """Losses of a batch.

        On a GPU it is captured as a CUDA graph, unless it waits for the device: all random numbers
        are drawn there, and fixed values come from `constant`.

        Args:
            images: (batch, 3, height, width) in [0, 1], sides multiples of 64.
            settings: those of the recipe's stage.
        """

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Return the configuration that a file of weights stores with the parameters."""

    @abstractmethod
    def start_from_components(self, images: Tensor) -> None:
        """Set the network to a transform codec of principal components, instead of noise.

        Args:
            images: (batch, 3, height, width) in [0, 1], sides multiples of 64.

        Raises:
            DataError: this network cannot be set so.
        """

    def compile_parts(self) -> None:
        """Compile what gains from it, each size on its first use."""

    def check(self) -> None:
        """DataError where training went wrong in a way that the loss does not tell."""

    def auxiliary_parameters(self) -> list[nn.Parameter]:
        """Parameters with a loss of their own, trained at a rate of their own and never clipped."""
        return []


def stratified(n: int, device: torch.device) -> Tensor:
    """n numbers uniform in [0, 1), one from each n-th of it, so that a batch spans the range."""
    numbers = (torch.arange(n, device=device) + torch.rand(n, device=device)) / n
    return numbers.clamp(max=1 - 2**-24)  # a sum may have been rounded up to n


@lru_cache
def constant(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Return a tensor of fixed values, float32; it is copied to the device only once."""
    return torch.tensor(values, dtype=torch.float32, device=device)


def is_number(low: float, high: float) -> Callable[[Any], bool]:
    """Whether a value is a number between two."""
    return lambda value: type(value) in (int, float) and low <= value <= high


def is_one_of(*values: Any) -> Callable[[Any], bool]:
    """Whether a value is one of these, and of its type."""
    return lambda value: any(type(value) is type(v) and value == v for v in values)
