"""QARV as a codec: images to bytes and back, one segment a latent."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from rdbench.errors import BitstreamError, DataError, EncoderError, Unavailable, UsageError
from rdbench.stages import stage
from rdbench.types import Bitstream, Image, Segment, Weights, WeightsKind
from rdbench_codecs.learned import container
from rdbench_codecs.learned.weights import (
    best,
    configuration,
    kind_of,
    locate,
    pin_used,
    remark,
    sha256,
)
from rdbench_codecs.qarv.checkpoints import CHECKPOINTS
from rdbench_codecs.qarv.config import (
    BASE,
    CONFIGS,
    LAMBDAS,
    QarvConfig,
    cube_root_spaced_lambdas,
    log_spaced_lambdas,
)
from rdbench_codecs.training.trainable import Trainable, require_threads

if TYPE_CHECKING:
    from torch import Tensor

    from rdbench_codecs.qarv.model import Latent, Model
    from rdbench_codecs.qarv.network import Prior
    from rdbench_codecs.training.objective import Objective

_LEAST_LAMBDA, _LARGEST_LAMBDA = LAMBDAS

FloatImage = npt.NDArray[np.float32]
"""(height, width, 3) in [0, 1]."""


@dataclass(frozen=True)
class Qarv(Trainable):
    """QARV (Duan et al. 2023), one network for every rate.

    Attributes:
        lambda_: weight of the distortion, from 16 (small files; 4 with ``lite``) to 2048; any value
            in between.
        weights: ``qarv``, the published checkpoint (`rdbench weights list`); ``lite``, the reduced
            network that comes along; ``default``, which becomes the first of these that is here;
            path of a file; ``random`` for the published network with random numbers, or
            ``random-NAME`` for a configuration of rdbench_codecs.qarv.config.CONFIGS.
        precision: ``half`` computes what does not decide the entropy model in half precision, on a
            GPU only.
        device: ``cpu``, ``cuda`` or ``cuda:N``. Files are decoded on the kind of device that made
            them: entropy models of different devices differ in their last bits.
        threads: threads of torch, or None for as many as it has.
    """

    name: ClassVar[str] = "qarv"
    title: ClassVar[str] = "QARV, quantization-aware ResNet VAE"
    rate_parameters: ClassVar[tuple[str, ...]] = ("lambda_",)
    ladder_values: ClassVar[tuple[float, ...]] = log_spaced_lambdas(16)
    recipes: ClassVar[str] = "rdbench_codecs.qarv.recipes"

    lambda_: float = 512.0
    weights: str = "default"
    precision: Literal["float32", "half"] = "float32"
    device: str = field(default="cpu", compare=False)
    threads: int | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not _LEAST_LAMBDA <= self.lambda_ <= _LARGEST_LAMBDA:
            raise ValueError(
                f"lambda is {self.lambda_:g}, it must be {_LEAST_LAMBDA:g} to {_LARGEST_LAMBDA:g}"
            )
        require_threads(self.threads)
        if self.weights == "default":
            object.__setattr__(self, "weights", best(Qarv.name, "qarv", CHECKPOINTS))

    @classmethod
    def new_objective(cls, network: Mapping[str, Any]) -> "Objective":
        from rdbench_codecs.qarv.objective import QarvObjective

        return QarvObjective(network)

    def ladder(self) -> tuple[Self, ...]:
        """Equal steps of log lambda over the range that these weights were trained for."""
        low, high = self._trained_config().lambda_range
        values = log_spaced_lambdas(len(self.ladder_values), low, high)
        return tuple(replace(self, lambda_=value) for value in values)

    def cube_root_ladder(self, n: int = 16) -> tuple[Self, ...]:
        """Operating points at equal steps of the cube root of lambda (equation 24)."""
        return tuple(replace(self, lambda_=value) for value in cube_root_spaced_lambdas(n))

    def check(self) -> None:
        """Unavailable, with the way out, where the weights or the device are missing."""
        self.fingerprint()
        if not re.fullmatch(r"cpu|cuda(:\d+)?", self.device):
            raise UsageError(f"no device is named {self.device!r}; there are cpu, cuda and cuda:N")
        if self.device == "cpu" and self.precision == "half":
            raise Unavailable("half precision needs a GPU; use device=cuda or precision=float32")
        if self.device != "cpu":
            import torch

            if not torch.cuda.is_available():
                raise Unavailable(f"device {self.device!r} is not here; use device=cpu")

    def fingerprint(self) -> str:
        """SHA-256 of the weights' file, or of the configuration of random weights."""
        config = _random_config(self.weights)
        if config is not None:
            return hashlib.sha256(config.to_json().encode()).hexdigest()
        return sha256(_weights_path(self.weights))

    @property
    def on_gpu(self) -> bool:
        return self.device != "cpu"

    def identify_weights(self) -> Weights:
        return Weights(self.weights_kind(), self.fingerprint())

    def weights_kind(self) -> WeightsKind:
        if _random_config(self.weights) is not None:
            return "random"
        is_reduced = self._trained_config().is_reduced
        return kind_of(_weights_path(self.weights), CHECKPOINTS, is_reduced)

    def remark(self) -> str:
        return remark(Qarv.name, self.weights, self.weights_kind(), self.fingerprint())

    def versions(self) -> Mapping[str, str]:
        """Versions of the libraries that make the bits."""
        return {name: version(name) for name in ("torch", "constriction", "numpy")}

    def encode(self, image: Image) -> Bitstream:
        """A header of at most 40 bytes, then one segment a latent, z1 first."""
        latents = self.latents(image)
        with stage("entropy coding"):
            coded = [latent.to_bytes() for latent in latents]
        height, width = image.shape[:2]
        header = container.Header(Qarv.name, height, width, self._lambda(), self.fingerprint())
        data = container.pack(header, coded)
        n_header = len(data) - sum(map(len, coded))
        segments = [
            Segment(f"z{i + 1}", len(part), float(latent.ideal_bits.sum(dtype=np.float64)))
            for i, (part, latent) in enumerate(zip(coded, latents, strict=True))
        ]
        return Bitstream(data, (Segment("header", n_header), *segments))

    def decode(self, data: bytes) -> FloatImage:
        """The image; lambda is read from the file."""
        header, segments = self._unpack(data)
        if None in segments:
            raise BitstreamError(
                f"the file is cut after {segments.index(None)} of its {len(segments)} latents; "
                "`rdbench decode --partial` decodes those"
            )
        return self._decode(header, segments)

    def decode_partial(self, data: bytes) -> FloatImage:
        """The image from the latents that are whole; the prior mean stands for the rest.

        A file cut after any segment is a file of lower quality (Figure 15).

        Raises:
            BitstreamError: the header is cut, or what is there is corrupt.
        """
        return self._decode(*self._unpack(data))

    def latents(self, image: Image) -> list["Latent"]:
        """The latents of an image: integers, code length of each, values."""
        from rdbench_codecs.qarv.model import threads

        if image.shape[0] * image.shape[1] > container.MAX_PIXELS:
            raise EncoderError(f"the image has more than {container.MAX_PIXELS} pixels")
        with threads(self.threads):
            return self._model().encode(image, self._lambda())

    def bit_maps(self, image: Image) -> Mapping[str, npt.NDArray[np.float32]]:
        """Ideal bits at each position of each latent, z1 first."""
        return {f"z{i + 1}": z.ideal_bits.sum(axis=0) for i, z in enumerate(self.latents(image))}

    def parameter_counts(self) -> Mapping[str, int]:
        """Parameters of the network: ``total``, and what ``encoder`` and ``decoder`` need."""
        from rdbench_codecs.qarv.model import empty_network

        config = _random_config(self.weights)
        if config is not None:
            return empty_network(config).parameter_counts()
        return self._model().parameter_counts

    def reconstruct(
        self, values: Sequence[npt.NDArray[np.float32] | None], height: int, width: int
    ) -> FloatImage:
        """An image from values of the latents.

        Args:
            values: z1 ... zN, (channels, height, width) each; None for the mean of the prior.
            height, width: size of the image in pixels.
        """
        from rdbench_codecs.qarv.model import threads

        model = self._model()

        def choose(i: int, prior: "Prior") -> "Tensor":
            value = values[i]
            return prior.mean if value is None else model.tensor(value)

        with threads(self.threads):
            return model.top_down(height, width, self._lambda(), choose)

    def sample(
        self, height: int, width: int, seed: int = 0, temperature: float = 1.0
    ) -> FloatImage:
        """An unconditional sample: every latent drawn from its prior.

        Args:
            height, width: size of the image in pixels.
            seed: of the random numbers.
            temperature: factor on the spread; 0 gives the mean of every prior.
        """
        import torch

        from rdbench_codecs.qarv.model import threads

        generator = torch.Generator().manual_seed(seed)

        def choose(i: int, prior: "Prior") -> "Tensor":
            shape = prior.mean.shape
            normal = torch.randn(shape, generator=generator).to(prior.mean.device)
            uniform = torch.rand(shape, generator=generator).to(prior.mean.device) - 0.5
            return prior.value(temperature * (prior.scale * normal + uniform))

        with threads(self.threads):
            return self._model().top_down(height, width, self._lambda(), choose)

    def config(self) -> QarvConfig:
        """What the network of these weights is made of."""
        return self._model().config

    def _trained_config(self) -> QarvConfig:
        """`config` as far as it can be known without loading weights."""
        config = _random_config(self.weights)
        if config is not None:
            return config
        try:
            path = _weights_path(self.weights)
        except Unavailable:
            return BASE
        try:
            return QarvConfig.from_mapping(configuration(path))
        except DataError as error:
            raise DataError(f"{path}: {str(error).removeprefix(f'{path} ')}") from None

    def _unpack(self, data: bytes) -> tuple[container.Header, list[bytes | None]]:
        return container.unpack_partial(data, Qarv.name, self.fingerprint())

    def _decode(self, header: container.Header, segments: Sequence[bytes | None]) -> FloatImage:
        from rdbench_codecs.qarv.model import threads

        model = self._model()
        if not _LEAST_LAMBDA <= header.parameter <= _LARGEST_LAMBDA:
            raise BitstreamError(f"no file is made with lambda {header.parameter:g}")
        if len(segments) != model.n_latents:
            raise BitstreamError(
                f"the file has {len(segments)} latents, these weights have {model.n_latents}"
            )

        def choose(i: int, prior: "Prior") -> "Tensor":
            segment = segments[i]
            if segment is None:
                return prior.mean
            try:
                return prior.value(model.decode_symbols(segment, prior))
            except BitstreamError as error:
                raise BitstreamError(f"latent z{i + 1}: {error}") from None

        with threads(self.threads):
            return model.top_down(header.height, header.width, header.parameter, choose)

    def _model(self) -> "Model":
        self.check()
        model = _load(self.weights, self.fingerprint(), self.device, self.precision == "half")
        pin_used(self.weights, CHECKPOINTS)
        return model

    def _lambda(self) -> float:
        """Lambda as the header keeps it."""
        return float(np.float32(self.lambda_))


@lru_cache(maxsize=2)
def _load(weights: str, fingerprint: str, device: str, half: bool) -> "Model":
    """The network in memory; the fingerprint is there to notice another file of the same name."""
    from rdbench_codecs.qarv.model import Model, load_network, random_network

    config = _random_config(weights)
    network = random_network(config) if config else load_network(_weights_path(weights))
    return Model(network, device, half)


def _random_config(weights: str) -> QarvConfig | None:
    """Configuration that ``random`` or ``random-NAME`` stands for; None for other weights."""
    start, _, name = weights.partition("-")
    if start != "random":
        return None
    if (name or "base") not in CONFIGS:
        raise UsageError(f"no configuration is named {name!r}; there are: {', '.join(CONFIGS)}")
    return CONFIGS[name or "base"]


def _weights_path(weights: str) -> Path:
    return locate("qarv", weights, CHECKPOINTS, "; or weights=random, whose images are noise")
