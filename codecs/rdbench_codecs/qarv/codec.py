"""QARV as a codec: images to bytes and back, one segment per latent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from rdbench.errors import DataError, Unavailable
from rdbench_codecs.learned import weights
from rdbench_codecs.learned.base import FloatImage, LearnedCodec
from rdbench_codecs.qarv.checkpoints import CHECKPOINTS
from rdbench_codecs.qarv.config import BASE, CONFIGS, LAMBDAS, QarvConfig, log_spaced_lambdas

if TYPE_CHECKING:
    from torch import Tensor

    from rdbench_codecs.qarv.model import Model
    from rdbench_codecs.qarv.network import Prior, QarvNetwork
    from rdbench_codecs.training.objective import Objective


@dataclass(frozen=True)
class Qarv(LearnedCodec):
    """QARV (Duan et al. 2023), one network for every rate.

    Attributes:
        lambda_: weight of the distortion, from 16 (small files; 4 for the bundled weights) to 2048;
            any value in between.
        precision: ``half`` computes what does not decide the entropy model in half precision, on a
            GPU only.

    ``weights=random-NAME`` takes any name of configs.toml.
    """

    name: ClassVar[str] = "qarv"
    title: ClassVar[str] = "QARV, quantization-aware ResNet VAE"
    rate_parameters: ClassVar[tuple[str, ...]] = ("lambda_",)
    ladder_values: ClassVar[tuple[float, ...]] = log_spaced_lambdas(16)
    family: ClassVar[str] = "qarv"
    checkpoints: ClassVar[Sequence[weights.Checkpoint]] = CHECKPOINTS
    random_networks: ClassVar[Mapping[str, QarvConfig]] = CONFIGS
    recipes: ClassVar[str] = "rdbench_codecs.qarv.recipes"
    decodes_partially: ClassVar[bool] = True

    lambda_: float = 512.0
    precision: Literal["float32", "half"] = "float32"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_range("lambda", self.lambda_, *LAMBDAS)

    @classmethod
    def new_objective(cls, network: Mapping[str, Any]) -> "Objective":
        from rdbench_codecs.qarv.objective import QarvObjective

        return QarvObjective(network)

    def ladder(self) -> tuple[Self, ...]:
        """Equal steps of log lambda over the range that these weights were trained for."""
        try:
            low, high = self.config().lambda_range
        except Unavailable:
            low, high = BASE.lambda_range
        values = log_spaced_lambdas(len(self.ladder_values), low, high)
        return tuple(replace(self, lambda_=value) for value in values)

    def config(self) -> QarvConfig:
        """Return what the network of these weights is made of, without loading them.

        Raises:
            Unavailable: the file is missing.
            DataError: its configuration is wrong.
        """
        return self._config(self.weights_file())

    def _config(self, path: Path | None) -> QarvConfig:
        if path is None:
            return CONFIGS[weights.random_network(self.weights) or "base"]
        if any(path == checkpoint.path for checkpoint in CHECKPOINTS):
            return BASE  # a fetched file was verified
        try:
            return QarvConfig.from_mapping(weights.describe(path)[1])
        except DataError as error:
            raise DataError(f"{path}: {str(error).removeprefix(f'{path} ')}") from None

    def checkpoint_name(self) -> str:
        return Qarv.name

    def configuration(self, path: Path | None) -> str:
        return self._config(path).to_json()

    def is_reduced(self, path: Path) -> bool:
        return self._config(path).is_reduced

    def empty_network(self, path: Path | None) -> "QarvNetwork":
        from rdbench_codecs.qarv.model import shapes_of

        return shapes_of(self._config(path), self.weights)

    def load_model(self, path: Path | None, sha256: str) -> "Model":
        from rdbench_codecs.qarv.model import load_model

        half = self.precision == "half"
        return load_model(path or self._config(None), sha256, self.device, half)

    def parameter(self, model: "Model") -> float:
        return self.lambda_

    def is_possible(self, parameter: float) -> bool:
        return LAMBDAS[0] <= parameter <= LAMBDAS[1]

    def check_device(self) -> None:
        if self.device == "cpu" and self.precision == "half":
            raise Unavailable("half precision needs a GPU; use device=cuda or precision=float32")
        super().check_device()

    def decode_partial(self, data: bytes) -> FloatImage:
        """Decode the latents that are whole; the prior mean replaces the others.

        A file cut after any segment is a file of lower quality (Figure 15).

        Raises:
            BitstreamError: the header is cut, or what remains is corrupt.
        """
        return self.decode_segments(*self.unpack(data))

    def decoded_part(self, data: bytes) -> str:
        _, segments = self.unpack(data)
        return f"{len(segments) - segments.count(None)} of {len(segments)} latents"

    def reconstruct(
        self, values: Sequence[npt.NDArray[np.float32] | None], height: int, width: int
    ) -> FloatImage:
        """Return an image from values of the latents.

        Args:
            values: z1 ... zN, (channels, height, width) each; None for the mean of the prior.
            height, width: size of the image in pixels.
        """
        model: Model = self.load()

        def choose(i: int, prior: "Prior") -> "Tensor":
            value = values[i]
            return prior.mean if value is None else model.tensor(value)

        return self._top_down(height, width, choose)

    def sample(
        self, height: int, width: int, seed: int = 0, temperature: float = 1.0
    ) -> FloatImage:
        """Return an unconditional sample: every latent drawn from its prior.

        Args:
            height, width: size of the image in pixels.
            seed: of the random numbers.
            temperature: factor on the spread; 0 gives the mean of every prior.
        """
        import torch

        generator = torch.Generator().manual_seed(seed)

        def choose(i: int, prior: "Prior") -> "Tensor":
            shape = prior.mean.shape
            normal = torch.randn(shape, generator=generator).to(prior.mean.device)
            uniform = torch.rand(shape, generator=generator).to(prior.mean.device) - 0.5
            return prior.value(temperature * (prior.scale * normal + uniform))

        return self._top_down(height, width, choose)

    def _top_down(self, height: int, width: int, choose: Any) -> FloatImage:
        from rdbench_codecs.learned.runtime import coding

        model: Model = self.load()
        with coding(self.threads):
            lambda_ = float(np.float32(self.lambda_))  # as in a file
            return model.top_down(height, width, lambda_, choose)
