"""What all learned codecs share: weights, device, padding, header and segments of a file.

A family (QARV, the hyperprior codecs) supplies its network as a `Model`, the rate parameter that
goes into the header, and what a file of weights contains. This module loads without torch.
"""

import hashlib
import re
from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt

from rdbench.errors import BitstreamError, EncoderError, UsageError
from rdbench.types import (
    Bitstream,
    Image,
    Segment,
    Trainable,
    Training,
    TrainingOptions,
    Weights,
    WeightsKind,
)
from rdbench_codecs.learned import container, weights

if TYPE_CHECKING:
    from torch import nn

    from rdbench_codecs.training.objective import Objective
    from rdbench_codecs.training.recipe import Recipe

STRIDE = 64
"""Height and width of an image are padded to multiples of it."""

_MAX_THREADS = 4096

FloatImage = npt.NDArray[np.float32]
"""(height, width, 3) in [0, 1]."""


@dataclass(frozen=True, eq=False)
class Latent:
    """One latent variable of an image; every array is (channels, height, width).

    Attributes:
        name: of its segment, such as ``z1`` or ``y``.
        data: its segment of the file.
        symbols: the integers that are coded.
        ideal_bits: code length of each under the network's own densities, without tables.
        value: what the decoder makes of the integers.
    """

    name: str
    data: bytes
    symbols: npt.NDArray[np.int32]
    ideal_bits: npt.NDArray[np.float32]
    value: npt.NDArray[np.float32]

    @property
    def n_ideal_bits(self) -> float:
        """Sum of `ideal_bits`."""
        return float(self.ideal_bits.sum(dtype=np.float64))


class Model(Protocol):
    """A network with its weights, ready for coding on its device.

    Attributes:
        n_latents: number of segments of a file.
    """

    @property
    def n_latents(self) -> int: ...

    def encode(self, image: Image, parameter: float) -> list[Latent]:
        """Return the latents in file order.

        Args:
            image: (height, width, 3), sides multiples of STRIDE.
            parameter: the rate parameter, as the header keeps it.

        Raises:
            EncoderError: the network gives latents that cannot be coded.
        """

    def decode(
        self, segments: Sequence[bytes | None], height: int, width: int, parameter: float
    ) -> FloatImage:
        """Return the image of the latents.

        Args:
            segments: ``data`` of each latent; None for one that is missing, which only codecs with
                ``decodes_partially`` are given.
            height, width: of the padded image.
            parameter: the rate parameter.

        Raises:
            BitstreamError: a segment is not what the encoder wrote.
        """


@dataclass(frozen=True)
class LearnedCodec(Trainable):
    """A codec whose transform and entropy model are a network.

    Class attributes:
        family: name in the header of a file, see container.CODECS.
        checkpoints: published weights of the family.
        random_networks: names that ``random-NAME`` can have.
        recipes: package whose ``.toml`` files are recipes.
        decodes_partially: whether the first segments of a file are enough for an image.

    Attributes:
        weights: ``published``, the authors' checkpoint (`rdbench weights list`); ``bundled``, the
            trained, reduced network that the package includes for some codecs; ``default``, the
            first of these that is available; the path of a file; ``random``, the published network
            with random numbers, which codes noise at the right speed; ``random-tiny`` for tests.
            A path may be a pattern: ``q{quality}.pth`` is another file for each ``quality``.
        device: ``cpu``, ``cuda`` or ``cuda:N``. Files of one device decode on the others.
        threads: CPU threads, or None for torch's choice. The bytes do not depend on it.
    """

    family: ClassVar[str]
    checkpoints: ClassVar[Sequence[weights.Checkpoint]]
    random_networks: ClassVar[Collection[str]]
    recipes: ClassVar[str]
    decodes_partially: ClassVar[bool] = False

    weights: str = "default"
    device: str = field(default="cpu", compare=False)
    threads: int | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.threads is not None:
            self.require_range("threads", self.threads, 1, _MAX_THREADS)
        require_device(self.device)
        if self.weights == "default":
            chosen = weights.default(self.checkpoint_name(), self.checkpoints)
            object.__setattr__(self, "weights", chosen)
        name = weights.random_network(self.weights)
        if name and name not in self.random_networks:
            names = ", ".join(self.random_networks)
            raise UsageError(f"no random network is named {name!r}; there are: {names}")

    def require_range(self, setting: str, value: float, low: float, high: float) -> None:
        """Raise UsageError where a setting is not within its range."""
        if not low <= value <= high:  # also NaN
            raise UsageError(f"{self.name}: {setting} is {value:g}, it must be {low:g} to {high:g}")

    # What a family supplies.

    @abstractmethod
    def checkpoint_name(self) -> str:
        """Return the name of the published weights and of the bundled file."""

    @abstractmethod
    def configuration(self, path: Path | None) -> str:
        """Return what tells the network in a file (None: the random one) from others, as text."""

    @abstractmethod
    def is_reduced(self, path: Path) -> bool:
        """Return whether the network in a file is smaller than the published one."""

    @abstractmethod
    def empty_network(self, path: Path | None) -> "nn.Module":
        """Return the network in a file (None: the random one) as shapes without numbers.

        It tells by ``is_encoder_only(name)`` and ``is_decoder_only(name)`` which side needs a
        parameter.
        """

    @abstractmethod
    def load_model(self, path: Path | None, sha256: str) -> Model:
        """Return the network in a file, or the random one for None.

        Args:
            path: the file.
            sha256: its hash, by which a cache notices another file under the same name.
        """

    @abstractmethod
    def parameter(self, model: Any) -> float:
        """Return the rate parameter for the header."""

    @abstractmethod
    def is_possible(self, parameter: float) -> bool:
        """Return whether a header can have this rate parameter."""

    @classmethod
    @abstractmethod
    def new_objective(cls, network: Mapping[str, Any]) -> "Objective":
        """Return a freshly initialized network and its loss.

        Args:
            network: settings of the network from a recipe.

        Raises:
            DataError: a setting is impossible.
        """

    def padding_mode(self) -> Literal["edge", "constant"]:
        """Return how `numpy.pad` extends an image to multiples of STRIDE."""
        return "edge"

    @property
    def names_a_file(self) -> bool:
        """Whether ``weights`` is the path of a file, or a pattern of paths."""
        known = (weights.PUBLISHED, weights.BUNDLED)
        return self.weights not in known and weights.random_network(self.weights) is None

    def weights_path(self) -> str:
        """Return the setting ``weights`` with each ``{setting}`` replaced by its value.

        Raises:
            UsageError: the codec has no such setting, or it is not given.
        """
        own = [f for f in fields(self) if f.compare and f.name != "weights"]
        values = {f.name.rstrip("_"): getattr(self, f.name) for f in own}
        return weights.fill_pattern(self.weights, values)

    # Weights.

    def weights_file(self) -> Path | None:
        """Return the file of weights, None for random numbers.

        Raises:
            Unavailable: the file is missing.
        """
        if weights.random_network(self.weights) is not None:
            return None
        return weights.locate(self.weights_path(), self.checkpoint_name(), self.checkpoints)

    @property
    def on_gpu(self) -> bool:
        return self.device != "cpu"

    def identify_weights(self) -> Weights:
        return self._identify(self.weights_file())

    def _identify(self, path: Path | None) -> Weights:
        if path is None:
            text = self.configuration(None)
            return Weights("random", hashlib.sha256(text.encode()).hexdigest(), text)
        return _identify_file(self, path, weights.state(path))

    def check(self) -> None:
        self.identify_weights()
        self.check_device()

    def check_device(self) -> None:
        """Raise Unavailable where the device is missing."""
        if self.device != "cpu":
            from rdbench_codecs.learned.runtime import check_device

            check_device(self.device)

    def load(self) -> Any:
        """Return the `Model`; loaded once as long as its file does not change."""
        return self._load()[0]

    def _load(self) -> tuple[Model, str]:
        """The model and the hash of its weights."""
        path = self.weights_file()
        sha256 = self._identify(path).sha256
        self.check_device()
        model = self.load_model(path, sha256)
        if self.weights == weights.PUBLISHED:
            weights.pin_used(self.checkpoint_name(), self.checkpoints)
        return model, sha256

    def prepare(self) -> None:
        """Load the weights and compile the entropy coder: encode and decode a small image."""
        self.decode(self.encode(np.full((STRIDE, STRIDE, 3), 128, np.uint8)).data)

    def remark(self) -> str:
        return weights.remark(self.name, self.weights, self.identify_weights())

    def versions(self) -> Mapping[str, str]:
        return {name: version(name) for name in ("torch", "constriction", "numpy")}

    def parameter_counts(self) -> Mapping[str, int]:
        """Return the parameters in all (``total``), and what ``encoder`` and ``decoder`` need."""
        network: Any = self.empty_network(self.weights_file())
        counts = {name: parameter.numel() for name, parameter in network.named_parameters()}
        total = sum(counts.values())
        decoder_only = sum(n for name, n in counts.items() if network.is_decoder_only(name))
        encoder_only = sum(n for name, n in counts.items() if network.is_encoder_only(name))
        return {"total": total, "encoder": total - decoder_only, "decoder": total - encoder_only}

    # Images to bytes and back.

    def encode(self, image: Image) -> Bitstream:
        """Write a header of at most 40 bytes, then one segment per latent."""
        header, latents = self._code(image)
        data = container.pack(header, [latent.data for latent in latents])
        coded = [Segment(x.name, len(x.data), x.n_ideal_bits) for x in latents]
        n_header = len(data) - sum(segment.n_bytes for segment in coded)
        return Bitstream(data, (Segment("header", n_header), *coded))

    def latents(self, image: Image) -> list[Latent]:
        """Return the latents of an image in file order."""
        return self._code(image)[1]

    def bit_maps(self, image: Image) -> Mapping[str, npt.NDArray[np.float32]]:
        return {latent.name: latent.ideal_bits.sum(axis=0) for latent in self.latents(image)}

    def _code(self, image: Image) -> tuple[container.Header, list[Latent]]:
        height, width = image.shape[:2]
        if height * width > container.MAX_PIXELS:
            raise EncoderError(f"the image has more than {container.MAX_PIXELS} pixels")
        model, sha256 = self._load()
        parameter = float(np.float32(self.parameter(model)))  # as the header keeps it
        from rdbench_codecs.learned.runtime import coding

        with coding(self.threads):
            latents = model.encode(pad(image, self.padding_mode()), parameter)
        return container.Header(self.family, height, width, parameter, sha256), latents

    def decode(self, data: bytes) -> FloatImage:
        """Decode ``data``; the rate parameter is read from the file."""
        header, segments = self.unpack(data)
        if None in segments:
            hint = "; `rdbench decode --partial` decodes those" if self.decodes_partially else ""
            raise BitstreamError(
                f"the file is cut after {segments.index(None)} of its {len(segments)} latents{hint}"
            )
        return self.decode_segments(header, segments)

    def unpack(self, data: bytes) -> tuple[container.Header, list[bytes | None]]:
        """Return the header and the segments of a file, None for those that are cut."""
        return container.unpack_partial(data, self.family, self.fingerprint())

    def decode_segments(
        self, header: container.Header, segments: Sequence[bytes | None]
    ) -> FloatImage:
        """Return the image in the segments of a file; BitstreamError where there is none."""
        model, _ = self._load()
        if not self.is_possible(header.parameter):
            raise BitstreamError(f"no file has the rate parameter {header.parameter:g}")
        if len(segments) != model.n_latents:
            raise BitstreamError(
                f"the file has {len(segments)} latents, these weights have {model.n_latents}"
            )
        height, width = (-(-side // STRIDE) * STRIDE for side in (header.height, header.width))
        from rdbench_codecs.learned.runtime import coding

        with coding(self.threads):
            padded = model.decode(segments, height, width, header.parameter)
        return np.ascontiguousarray(padded[: header.height, : header.width])

    # Training.

    @classmethod
    def recipe_names(cls) -> list[str]:
        from rdbench_codecs.training.recipe import bundled_recipes

        return bundled_recipes(cls.recipes)

    @classmethod
    def recipe(cls, name: str) -> "Recipe":
        """Return a bundled recipe, or the one in a ``.toml`` file.

        Raises:
            UsageError: no recipe has that name.
            DataError: the file is not a recipe.
        """
        from rdbench_codecs.training.recipe import find_recipe

        return find_recipe(name, cls.recipes)

    @classmethod
    def training(cls, options: TrainingOptions) -> Training:
        import torch

        from rdbench_codecs.training.loop import RecipeTraining

        recipe = cls.recipe(options.recipe)
        torch.manual_seed(recipe.seed)
        return RecipeTraining(cls.new_objective(recipe.network), recipe, options)


@lru_cache(maxsize=256)
def _identify_file(codec: LearnedCodec, path: Path, state: weights.FileState) -> Weights:
    """Identify the weights in a file; ``state`` changes when the file is replaced."""
    kind: WeightsKind = "published"
    if not weights.is_published(path, codec.checkpoints):
        kind = "reduced" if codec.is_reduced(path) else "other"
    return Weights(kind, weights.sha256(path), codec.configuration(path))


def require_device(device: str) -> None:
    """Raise UsageError where no device can have that name."""
    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise UsageError(f"no device is named {device!r}; there are cpu, cuda and cuda:N")


def pad(image: Image, mode: Literal["edge", "constant"] = "edge") -> Image:
    """Extend an image at the right and at the bottom to multiples of STRIDE."""
    rows, columns = (-side % STRIDE for side in image.shape[:2])
    return np.pad(image, ((0, rows), (0, columns), (0, 0)), mode=mode)
