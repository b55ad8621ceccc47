"""The contract of engine and codecs: Image, Segment, Bitstream, Check, Codec, CurveKey, Record."""

import collections.abc
import dataclasses
from abc import ABC, ABCMeta, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from math import ceil
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, ClassVar, Literal, Self, Union, get_args, get_origin, get_type_hints

import numpy as np
import numpy.typing as npt

from rdbench.errors import UsageError

Image = npt.NDArray[np.uint8]
"""An 8-bit sRGB image, shape (height, width, 3)."""

Reconstruction = npt.NDArray[np.uint8] | npt.NDArray[np.float32]
"""A decoded image, shape (height, width, 3): uint8, or float32 in [0, 1]."""


WeightsKind = Literal["", "published", "reduced", "random", "other"]
"""What the weights of a codec are.

    ""          the codec has none
    published   those of a published checkpoint, by their hash
    reduced     of a network smaller than the published one
    random      random numbers
    other       of a network of full size, but not of a published file
"""

WEIGHTS_TITLES: Mapping[WeightsKind, str] = {
    "random": "random weights",
    "reduced": "reduced network",
    "other": "other weights",
}
"""What labels say of weights that are not the published ones."""


def with_weights(name: str, kind: WeightsKind, estimated: bool = False) -> str:
    """Return ``name``, with the kind of other weights than the published ones, and an estimate."""
    said = [WEIGHTS_TITLES[kind]] if kind in WEIGHTS_TITLES else []
    said += ["estimated rate"] if estimated else []
    return f"{name} ({', '.join(said)})" if said else name


@dataclass(frozen=True, slots=True)
class Weights:
    """Identity of the weights that an operating point uses.

    Attributes:
        kind: decided by the hash and the network, never by the name of a file.
        sha256: hash of the file, or of the configuration of random weights.
        configuration: what tells the network from others of its codec, such as ``N=128 M=192``.
    """

    kind: WeightsKind
    sha256: str
    configuration: str = ""


@dataclass(frozen=True, slots=True)
class Segment:
    """A named share of a bitstream, such as ``header``, ``z1`` or ``y``.

    Attributes:
        n_bytes: bytes it takes in the bitstream.
        ideal_bits: its code length under the codec's own probability model, in bits;
            None where the share is not entropy-coded.
    """

    name: str
    n_bytes: int
    ideal_bits: float | None = None


@dataclass(frozen=True, slots=True)
class Bitstream:
    """What an encoder made of one image; every byte of ``data`` is counted as rate.

    Attributes:
        data: all that the decoder gets.
        segments: shares of ``data`` in file order, or () where the codec does not tell.
        estimated_bits: rate in bits of a codec that only estimates it (`Codec.estimated`), where
            the size of ``data`` means nothing; None for a codec that writes what it counts.
    """

    data: bytes
    segments: tuple[Segment, ...] = ()
    estimated_bits: float | None = None

    @property
    def n_bytes(self) -> int:
        """The rate: the size of ``data``, or the estimate, rounded up to whole bytes."""
        return len(self.data) if self.estimated_bits is None else ceil(self.estimated_bits / 8)

    def __repr__(self) -> str:
        parts = ", ".join(f"{s.name} {s.n_bytes}" for s in self.segments)
        how = "" if self.estimated_bits is None else ", estimated"
        return f"<Bitstream: {self.n_bytes} bytes{how}{f' ({parts})' if parts else ''}>"


@dataclass(frozen=True, slots=True)
class Check:
    """Something a codec verified of itself: what, whether it holds, and what was seen."""

    name: str
    ok: bool
    detail: str


@cache
def kinds_of(cls: type) -> Mapping[str, tuple[Any, ...]]:
    """Return the types that each field of a codec may have, without None; a Literal is one."""
    parts = {
        name: get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
        for name, hint in get_type_hints(cls).items()
    }
    return {name: tuple(k for k in kinds if k is not NoneType) for name, kinds in parts.items()}


def wrong_value(codec: str, setting: str, value: Any, kinds: Iterable[Any]) -> UsageError:
    """Return the error that says what a setting can be."""
    words = {int: "a whole number", float: "a number", bool: "true or false"}
    options = (
        f"one of {', '.join(map(str, get_args(kind)))}"
        if get_args(kind)
        else words.get(kind, "text")
        for kind in kinds
    )
    return UsageError(f"codec {codec!r}: {setting}={value!r} is not {' or '.join(options)}")


class _CodecType(ABCMeta):
    """Refuses a value that is not among the Literals of a field, however a codec is made."""

    def __call__(cls, *args: Any, **settings: Any) -> Any:
        codec = super().__call__(*args, **settings)
        for name, kinds in kinds_of(cls).items():
            if kinds and all(get_origin(kind) is Literal for kind in kinds):
                value = getattr(codec, name)
                if value is not None and all(value not in get_args(kind) for kind in kinds):
                    raise wrong_value(codec.name, name.rstrip("_"), value, kinds)
        return codec


class Codec(metaclass=_CodecType):
    """One operating point of a codec.

    A codec is a frozen dataclass; its fields are all it takes to rebuild it. Fields with
    ``compare=False`` (a device, a folder of programs) say how to run it and do not belong to its
    identity: they are left out of equality, of the spec and of the record's key. A field named
    ``lambda_`` is written ``lambda`` in a spec.

    Attributes:
        rate_parameters: fields that set the rate; the first is the one a sweep varies.
        ladder_values: default values of that field, lowest rate first.
        search_range: rate parameter that a search for a size or a quality varies, its least and
            largest value; None for the first rate parameter and the ends of the ladder.
        variable_rate: True where one program or one set of weights covers the whole curve,
            False where every point has weights of its own.
        lossless: True where every sample comes back; a sweep fails an image where one does not.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    rate_parameters: ClassVar[tuple[str, ...]] = ()
    ladder_values: ClassVar[tuple[Any, ...]] = ()
    search_range: ClassVar[tuple[str, float, float] | None] = None
    variable_rate: ClassVar[bool] = True
    lossless: ClassVar[bool] = False

    @abstractmethod
    def encode(self, image: Image) -> Bitstream:
        """Encode ``image``.

        Raises:
            EncoderError: this image cannot be encoded.
            Unavailable: a program, weights or a device are missing.
        """

    @abstractmethod
    def decode(self, data: bytes) -> Reconstruction:
        """Decode ``data``, seeing nothing but it and the codec's own fields.

        Returns:
            The image at the height and width that was encoded.

        Raises:
            BitstreamError: ``data`` cannot be decoded.
            Unavailable: a program, weights or a device are missing.
        """

    def decode_partial(self, data: bytes) -> Reconstruction:
        """Decode what is whole of a file that was cut; what is missing costs quality.

        Raises:
            BitstreamError: not even a part of ``data`` can be decoded.
            UsageError: this codec decodes whole files only.
        """
        raise UsageError(f"codec {self.name!r} decodes whole files only")

    def decoded_part(self, data: bytes) -> str:
        """Say what `decode_partial` takes from ``data``, such as ``3 of 9 latents``."""
        return ""

    def ladder(self) -> tuple[Self, ...]:
        """The default sweep, lowest rate first, with every other setting kept."""
        if not self.ladder_values:
            return (self,)
        name = self.rate_parameters[0]
        return tuple(dataclasses.replace(self, **{name: v}) for v in self.ladder_values)  # type: ignore[type-var]

    def check(self) -> None:
        """Raise Unavailable, with how to fix it, if this codec cannot run on this machine."""
        return

    def prepare(self) -> None:
        """Load and compile what encode and decode need.

        A process that measures calls it once for each operating point before its clock starts.
        """
        return

    def self_checks(self) -> Iterable[Check]:
        """What can be verified of an installation without an image (version, configuration)."""
        return ()

    def bit_maps(self, image: Image) -> Mapping[str, npt.NDArray[np.float32]]:
        """Where the bits go: name of a latent -> ideal bits at each of its positions, (h, w).

        {} where the codec cannot tell.
        """
        return {}

    def colour_ceiling(self, image: Image) -> float | None:
        """PSNR in dB of this codec's colour conversion alone, there and back.

        None where it is not known, or where nothing is lost.
        """
        return None

    @property
    def on_gpu(self) -> bool:
        """Whether a GPU does the work, so that times wait for it."""
        return False

    @property
    def estimated(self) -> bool:
        """Whether the rate is an estimate, so that encoding makes no file and has no time."""
        return False

    @property
    def trained_for(self) -> str:
        """Distortion that a network was trained for, such as ``mse``; "" where not applicable."""
        return ""

    def remark(self) -> str:
        """A line for people about what this codec works with here (which weights), or ""."""
        return ""

    def versions(self) -> Mapping[str, str]:
        """Versions of the programs and libraries that make the bits, for the record."""
        return {}

    def description(self) -> tuple[str, str] | None:
        """Path and text of the file that describes this codec; None for one of a package.

        A report folder keeps both. The reader of such files decides whether the text alone makes
        the codec again, or only names the file that must be there.
        """
        return None

    def identify_weights(self) -> Weights | None:
        """Identity of the weights, or None for a codec without weights.

        Raises:
            Unavailable: the weights are missing.
        """
        return None

    def fingerprint(self) -> str:
        """Return a hash of what affects results in addition to the fields, such as weights."""
        weights = self.identify_weights()
        return weights.sha256 if weights else ""


@dataclass(frozen=True, slots=True, order=True)
class CurveKey:
    """What the points of one measured curve share.

    Attributes:
        settings: (name, value) of every setting but the rate parameters, as a spec writes them.
        weights_sha256: the codec's fingerprint where one set of weights, or one configuration,
            serves the whole curve; "" where every point has weights of its own.
    """

    codec: str
    settings: tuple[tuple[str, str], ...] = ()
    weights_sha256: str = ""

    @property
    def spec(self) -> str:
        """The codec with its settings, as a spec."""
        return join_spec(self.codec, self.settings)

    def __str__(self) -> str:
        return f"{self.spec}@{self.weights_sha256[:12]}" if self.weights_sha256 else self.spec


def join_spec(codec: str, settings: Iterable[tuple[str, str]]) -> str:
    """Return the spec text of a codec and its settings."""
    text = ",".join(f"{name}={value}" for name, value in settings)
    return f"{codec}:{text}" if text else codec


@dataclass(frozen=True, slots=True)
class Progress:
    """What a training reports from time to time, as means since its last report.

    Attributes:
        loss, bpp, psnr: of the training crops; PSNR in dB of the mean squared error.
        images_per_s: crops per second over all processes.
    """

    step: int
    loss: float
    bpp: float
    psnr: float
    learning_rate: float
    images_per_s: float
    seconds_left: float


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """What to train on, and where; the recipe decides everything else.

    Attributes:
        recipe: name of a recipe of the codec, or path of a ``.toml`` file.
        out: folder of ``checkpoint.pt``, ``log.csv`` (columns: fields of Progress) and
            ``weights.safetensors``.
        start: file of weights to start from instead of the recipe's, or "".
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        threads: CPU threads per process, or None for the default.
        eager: on a GPU, use neither a CUDA graph nor torch.compile.
        minutes: wall time that the recipe's stages share instead of counting steps, or 0.
    """

    recipe: str
    images: Sequence[Path]
    read: Callable[[Path], Image]
    out: Path
    start: str = ""
    device: str = "cpu"
    threads: int | None = None
    eager: bool = False
    minutes: float = 0.0


class Training(ABC):
    """A training that is ready to run.

    Attributes:
        steps: number of updates in all.
        n_parameters: of the network.
        reports: False in all processes of a distributed training but the first.
    """

    steps: int
    n_parameters: int
    reports: bool

    @abstractmethod
    def run(self, on_progress: Callable[[Progress], None]) -> bool:
        """Train, or resume, until the recipe ends or SIGTERM or Ctrl-C asks to stop.

        Returns:
            True where the recipe is done, False where it was stopped and saved.

        Raises:
            DataError: ``out`` holds other files, a file cannot be written, or the loss diverged.
        """


class Trainable(Codec):
    """A codec that can be trained."""

    @classmethod
    @abstractmethod
    def recipe_names(cls) -> list[str]:
        """Return the names of the codec's recipes, sorted."""

    @classmethod
    @abstractmethod
    def training(cls, options: TrainingOptions) -> Training:
        """Make a training.

        Raises:
            UsageError: no recipe has that name.
            DataError: a recipe that is wrong.
        """


@dataclass(frozen=True, slots=True)
class Record:
    """One image through one operating point, verified, or the reason why not. Never a mean.

    Attributes:
        spec: the operating point, every setting written out (``jpeg:quality=85,subsampling=444``).
        rate_parameter: name of the setting that a sweep varies, or "".
        rate_value: its value here, or None.
        fingerprint: the codec's fingerprint (weights, configuration files), or "".
        settings: (name, value) of the settings that do not set the rate.
        variable_rate: whether one set of weights serves the whole curve.
        width, height: size in pixels.
        n_bytes: size of the whole bitstream in bytes, or the estimate of it, rounded up; None
            where encoding failed.
        estimated: True where the rate is an estimate and no file was written.
        scores: metric name -> value (``psnr_rgb`` in dB, ``ms_ssim`` in [0, 1]).
        encode_s, decode_s: wall time of the two calls in seconds; None where not measured, and
            for estimates.
        timed_alone: True where nothing else of this sweep ran meanwhile.
        bitstream_sha256: names the kept bitstream.
        provenance: versions, machine, command, settings of the run; ``transport_s``, what of
            encode_s and decode_s went to moving data to the process of the codec and back.
        created: when, ISO 8601, UTC.
        error: None, or why this record failed.
    """

    codec: str
    spec: str
    rate_parameter: str
    rate_value: float | None
    fingerprint: str
    dataset: str
    image: str
    image_sha256: str
    width: int
    height: int
    protocol: str
    created: str
    n_bytes: int | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    segments: tuple[Segment, ...] = ()
    encode_s: float | None = None
    decode_s: float | None = None
    timed_alone: bool = False
    bitstream_sha256: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    settings: tuple[tuple[str, str], ...] = ()
    variable_rate: bool = True
    weights: Weights | None = None
    estimated: bool = False

    @property
    def curve(self) -> CurveKey:
        """The curve that this point belongs to."""
        return CurveKey(self.codec, self.settings, self.fingerprint if self.variable_rate else "")

    @property
    def stored_bytes(self) -> int | None:
        """Size of the kept bitstream; None where that is not the rate."""
        return None if self.estimated else self.n_bytes

    @property
    def weights_kind(self) -> WeightsKind:
        """Kind of the weights, see WeightsKind."""
        return self.weights.kind if self.weights else ""

    @property
    def exact(self) -> bool | None:
        """Whether every sample came back: PSNR was computed and is infinite; None if not known."""
        if self.error is not None or "psnr_rgb" not in self.provenance.get("metrics", ()):
            return None
        return "psnr_rgb" not in self.scores

    def __repr__(self) -> str:
        bpp = [] if self.bpp is None else [f"{self.bpp:.3f} bpp"]
        result = ", ".join([*bpp, *(f"{name}={v:.4g}" for name, v in self.scores.items())])
        failed = f"failed: {self.error}" if self.error else ""
        return f"<Record {self.spec} on {self.dataset}/{self.image}: {failed or result}>"

    @property
    def bpp(self) -> float | None:
        """Rate in bits per pixel, or None."""
        return None if self.n_bytes is None else 8 * self.n_bytes / (self.width * self.height)


def from_json(kind: Any, value: Any) -> Any:
    """Return a value of JSON as the type ``kind``: what ``dataclasses.asdict`` gave, back.

    Raises:
        ValueError: it does not fit.
    """
    try:
        return _reader(kind)(value)
    except (AttributeError, LookupError, TypeError) as error:
        raise ValueError(f"{error}") from None


@cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    """The function that reads a type: a dataclass, tuple, mapping, optional, literal or scalar."""
    origin, args = get_origin(kind) or kind, get_args(kind)
    if dataclasses.is_dataclass(kind):
        of = {name: _reader(hint) for name, hint in get_type_hints(kind).items()}
        make: Any = kind
        return lambda body: make(**{name: of[name](item) for name, item in body.items()})
    if origin in (UnionType, Union):
        reads = _reader(args[0])
        return lambda value: None if value is None else reads(value)
    if origin is tuple and args[-1] is ...:
        read = _reader(args[0])
        return lambda values: tuple(map(read, values))
    if origin is tuple:
        each = [_reader(arg) for arg in args]
        return lambda values: tuple(r(v) for r, v in zip(each, values, strict=True))
    if origin in (dict, collections.abc.Mapping):
        item = _reader(args[1])
        return lambda body: {name: item(value) for name, value in body.items()}
    if origin is Literal:
        return lambda value: args[args.index(value)]
    return partial(_scalar, object if kind is Any else kind)


def _scalar(kind: type, value: Any) -> Any:
    accepted = (int, float) if kind is float else kind
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind in (int, float)):
        raise TypeError(f"{value!r:.40} cannot be")
    return value
