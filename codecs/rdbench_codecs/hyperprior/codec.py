"""Codecs of the hyperprior family: fixed-rate networks, QVRF, and the methods it is compared with.

A file holds a header (size of the image, rate parameter, fingerprint of the weights) and the
latents: z, then y. The rate parameter is QVRF's regulator a, a rival's level, or 1.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from rdbench.errors import BitstreamError, Unavailable, UsageError
from rdbench.types import Bitstream, Image, Segment, Weights, WeightsKind
from rdbench_codecs.hyperprior.checkpoints import CHECKPOINTS, checkpoint_name
from rdbench_codecs.hyperprior.qvrf import (
    LAMBDAS,
    REGULATOR_RANGE,
    RegulatorFit,
    fit_regulators,
)
from rdbench_codecs.learned import weights as weights_files
from rdbench_codecs.learned.container import Header, pack, unpack
from rdbench_codecs.training.trainable import Trainable, require_threads

if TYPE_CHECKING:
    from rdbench_codecs.hyperprior.coder import CodedLatent
    from rdbench_codecs.hyperprior.loading import Loaded
    from rdbench_codecs.training.objective import Objective

_CONTAINER = "hyperprior"
_MULTIPLE = 64  # that height and width of an image are padded to
_MAX_LEVEL = 7.0
_RANDOM = ("random", "random-tiny")
_TINY = (16, 24)  # channels n and m


@dataclass(frozen=True, slots=True)
class Baseline:
    """A published network.

    Attributes:
        title: one line for people.
        n_qualities: released rates.
        n_small: so many of them, from the lowest on, have the small channels.
        small, large: channels n and m.
    """

    title: str
    n_qualities: int
    n_small: int
    small: tuple[int, int]
    large: tuple[int, int]


BASELINES = {
    "bmshj2018-factorized": Baseline(
        "Balle et al. 2018, factorized prior", 8, 5, (128, 192), (192, 320)
    ),
    "bmshj2018-hyperprior": Baseline(
        "Balle et al. 2018, scale hyperprior", 8, 5, (128, 192), (192, 320)
    ),
    "mbt2018-mean": Baseline(
        "Minnen et al. 2018, mean and scale hyperprior", 8, 4, (128, 192), (192, 320)
    ),
    "mbt2018": Baseline("Minnen et al. 2018, autoregressive", 8, 4, (192, 192), (192, 320)),
    "cheng2020-anchor": Baseline(
        "Cheng et al. 2020, autoregressive, without attention", 6, 3, (128, 128), (192, 192)
    ),
    "cheng2020-attn": Baseline(
        "Cheng et al. 2020, autoregressive, with attention", 6, 3, (128, 128), (192, 192)
    ),
}


@dataclass(frozen=True)
class HyperpriorCodec(Trainable):
    """What the codecs of the family share.

    Attributes:
        weights: ``released`` (`rdbench weights list` shows them), ``lite``: the reduced network
            that comes along with some, ``default``: which becomes the first of these that is here,
            the path of a file, ``random``: a network that shows how fast a codec is and nothing
            else, or ``random-tiny``: one that shows that it works.
        padding: how an image is brought to multiples of 64 pixels, at the right and at the
            bottom: with zeros, as the published programs do, or with copies of its edge.
        device: where the network runs, ``cpu`` or ``cuda``. A file is decoded on the kind of device
            that made it: others compute the parameters of its symbols with other last bits.
        threads: of the CPU; None for torch's choice. The bytes do not depend on it.
    """

    baseline: ClassVar[str]
    method: ClassVar[str]
    recipes: ClassVar[str] = "rdbench_codecs.hyperprior.recipes"

    weights: str = "default"
    padding: Literal["zeros", "edge"] = "zeros"
    device: str = field(default="cpu", compare=False)
    threads: int | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        require_threads(self.threads)
        if self.weights == "default":
            chosen = weights_files.best(self.name, self._released_name(), CHECKPOINTS)
            chosen = chosen if chosen == weights_files.LITE else "released"
            object.__setattr__(self, "weights", chosen)

    @classmethod
    def new_objective(cls, network: Mapping[str, Any]) -> "Objective":
        from rdbench_codecs.hyperprior.objective import HyperpriorObjective

        n, m = BASELINES[cls.baseline].large
        default = {"baseline": cls.baseline, "method": cls.method, "n": n, "m": m}
        return HyperpriorObjective({**default, **network})

    def encode(self, image: Image) -> Bitstream:
        header, latents = self._code(image)
        data = pack(header, [latent.data for latent in latents])
        n_header_bytes = len(data) - sum(len(latent.data) for latent in latents)
        segments = [Segment("header", n_header_bytes)]
        for latent in latents:
            ideal_bits = float(latent.ideal_bits.sum(dtype=np.float64))
            segments.append(Segment(latent.name, len(latent.data), ideal_bits))
        return Bitstream(data, tuple(segments))

    def decode(self, data: bytes) -> npt.NDArray[np.float32]:
        loaded = self.load()
        header, latents = unpack(data, _CONTAINER, loaded.fingerprint)
        self._check_parameter(header.parameter)
        height, width = (
            -(-side // _MULTIPLE) * _MULTIPLE for side in (header.height, header.width)
        )
        padded = loaded.decode(latents, height, width, header.parameter, self.threads)
        return np.ascontiguousarray(padded[: header.height, : header.width])

    def bit_maps(self, image: Image) -> Mapping[str, npt.NDArray[np.float32]]:
        _, latents = self._code(image)
        return {latent.name: latent.ideal_bits.sum(axis=0) for latent in latents}

    def check(self) -> None:
        if self.weights not in _RANDOM:
            self._path()
        if self.device != "cpu":
            import torch

            if not torch.cuda.is_available():
                raise Unavailable(f"device {self.device!r} is not here; use device=cpu")

    def remark(self) -> str:
        kind, fingerprint = self.weights_kind(), self.fingerprint()
        return weights_files.remark(self.name, self.weights, kind, fingerprint)

    def versions(self) -> Mapping[str, str]:
        return {name: version(name) for name in ("torch", "constriction")}

    def fingerprint(self) -> str:
        if self.weights in _RANDOM:
            return self.load().fingerprint
        return weights_files.sha256(self._path())

    @property
    def on_gpu(self) -> bool:
        return self.device != "cpu"

    def identify_weights(self) -> Weights:
        return Weights(self.weights_kind(), self.fingerprint())

    def weights_kind(self) -> WeightsKind:
        from rdbench_codecs.hyperprior.loading import dimensions

        if self.weights in _RANDOM:
            return "random"
        path = self._path()
        sizes = dimensions(path, weights_files.sha256(path), self.method)
        published = (*self._published_channels(), self._published_levels())
        is_reduced = any(a < b for a, b in zip(sizes, published, strict=True))
        return weights_files.kind_of(path, CHECKPOINTS, is_reduced)

    def load(self) -> "Loaded":
        """The network with its weights; Unavailable where they are not here."""
        from rdbench_codecs.hyperprior.loading import load_file, load_random

        self.check()
        if self.weights in _RANDOM:
            n, m = self._channels()
            return load_random(self.baseline, self.method, n, m, self.device)
        path = self._path()
        sha256 = weights_files.sha256(path)
        loaded = load_file(self.baseline, self.method, path, sha256, self.device)
        if self.weights == "released":
            weights_files.pin_used(self._released_name(), CHECKPOINTS)
        return loaded

    def parameter_counts(self) -> Mapping[str, int]:
        """Parameters of the network: ``total``, and what ``encoder`` and ``decoder`` need."""
        from rdbench_codecs.hyperprior.loading import count_parameters, without_values

        if self.weights in _RANDOM:
            return count_parameters(without_values(self.baseline, self.method, *self._channels()))
        return count_parameters(self.load().network)

    @abstractmethod
    def _parameter(self, loaded: "Loaded") -> float:
        """What the header says about the rate."""

    @abstractmethod
    def _check_parameter(self, parameter: float) -> None:
        """Raise BitstreamError where no header says ``parameter``."""

    def _code(self, image: Image) -> tuple[Header, "list[CodedLatent]"]:
        loaded = self.load()
        parameter = float(np.float32(self._parameter(loaded)))
        latents = loaded.encode(self._pad(image), parameter, self.threads)
        height, width = image.shape[:2]
        return Header(_CONTAINER, height, width, parameter, loaded.fingerprint), latents

    def _channels(self) -> tuple[int, int]:
        """Channels n and m of random networks."""
        return _TINY if self.weights == "random-tiny" else self._published_channels()

    def _published_channels(self) -> tuple[int, int]:
        return BASELINES[self.baseline].large

    def _published_levels(self) -> int:
        """Rates that the parameters of the published method are for."""
        return 0

    def _released_name(self) -> str:
        """Name of the released weights in CHECKPOINTS, where there are any."""
        return self.name

    def _path(self) -> Path:
        """The file of weights; Unavailable where it is not here."""
        way_out = ", or ask for weights=random"
        if self.weights != "released":
            return weights_files.locate(self.name, self._file(), (), way_out)
        name = self._released_name()
        if not any(checkpoint.name == name for checkpoint in CHECKPOINTS):
            raise Unavailable(f"no weights of {name} were released; give weights=PATH{way_out}")
        return weights_files.locate(self.name, name, CHECKPOINTS, way_out)

    def _file(self) -> str:
        """The path that ``weights`` stands for."""
        return self.weights

    def _pad(self, image: Image) -> Image:
        rows, columns = (-side % _MULTIPLE for side in image.shape[:2])
        mode: Literal["constant", "edge"] = "constant" if self.padding == "zeros" else "edge"
        return np.pad(image, ((0, rows), (0, columns), (0, 0)), mode=mode)


@dataclass(frozen=True)
class FixedRate(HyperpriorCodec):
    """One network a rate.

    Attributes:
        quality: 1 (lowest) to 8, or to 6 for cheng2020. A ``{quality}`` in the path of ``weights``
            stands for it.
        metric: what the released network was trained for.
    """

    rate_parameters: ClassVar[tuple[str, ...]] = ("quality",)
    variable_rate: ClassVar[bool] = False
    method: ClassVar[str] = "fixed"

    quality: int = 4
    metric: Literal["mse", "ms-ssim"] = "mse"

    def __init_subclass__(cls, baseline: str) -> None:
        cls.baseline = cls.name = baseline
        cls.title = BASELINES[baseline].title
        cls.ladder_values = tuple(range(1, BASELINES[baseline].n_qualities + 1))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.quality not in self.ladder_values:
            raise UsageError(f"{self.name} has quality 1 to {self.ladder_values[-1]}")

    def ladder(self) -> tuple[Self, ...]:
        """The default sweep: all qualities, or this one where one file of weights was named."""
        every = self.weights in ("released", *_RANDOM) or "{quality}" in self.weights
        return super().ladder() if every else (self,)

    @property
    def trained_for(self) -> str:
        return self.metric

    def _published_channels(self) -> tuple[int, int]:
        baseline = BASELINES[self.baseline]
        return baseline.small if self.quality <= baseline.n_small else baseline.large

    def _released_name(self) -> str:
        return checkpoint_name(self.name, self.quality, self.metric)

    def _file(self) -> str:
        return self.weights.replace("{quality}", str(self.quality))

    def _parameter(self, loaded: "Loaded") -> float:
        return 1.0

    def _check_parameter(self, parameter: float) -> None:
        if parameter != 1:
            raise BitstreamError(f"a file of a fixed rate does not say {parameter}")


@dataclass(frozen=True)
class _VariableRate(HyperpriorCodec):
    """One network for all rates."""

    def __init_subclass__(cls, method: str = "", baseline: str = "") -> None:
        if baseline:
            cls.method, cls.baseline = method, baseline
            cls.name = f"{method}-{baseline}"
            cls.title = f"{_METHOD_TITLES[method]} on {baseline}"

    def _published_levels(self) -> int:
        return 0 if self.method == "song2021" else len(LAMBDAS)


_METHOD_TITLES = {
    "qvrf": "QVRF (Tong et al. 2023)",
    "theis2017": "scales per channel (Theis et al. 2017)",
    "cui2021": "gain units (Cui et al. 2021)",
    "song2021": "spatial feature transforms (Song et al. 2021)",
}


@dataclass(frozen=True)
class Qvrf(_VariableRate):
    """QVRF: the rate by one of three settings; a = 1 where none is given.

    Attributes:
        index: of a regulator of the weights, 0 (lowest rate) to 7.
        a: the regulator itself, 0.5 to 12.
        lambda_: Lagrange multiplier, through the fit of equation 7 on the weights' regulators.
    """

    rate_parameters: ClassVar[tuple[str, ...]] = ("index", "a", "lambda_")
    ladder_values: ClassVar[tuple[int, ...]] = tuple(range(8))
    search_range: ClassVar[tuple[str, float, float]] = ("a", *REGULATOR_RANGE)

    index: int | None = None
    a: float | None = None
    lambda_: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        settings = {"index": self.index, "a": self.a, "lambda": self.lambda_}
        given = [name for name, value in settings.items() if value is not None]
        if len(given) > 1:
            raise UsageError(f"{self.name}: give one of {' and '.join(given)}, not both")
        if self.a is not None:
            self._check_regulator(self.a, "a")

    def regulator_fit(self) -> RegulatorFit:
        """Equation 7's line through the regulators of the weights (Figure 3).

        Raises:
            UsageError: the weights are of a fixed rate.
        """
        regulators = self._regulators(self.load())
        return fit_regulators(LAMBDAS[: len(regulators)], regulators)

    def write_fixed(self, path: Path) -> None:
        """Write the fixed-rate network that this one is at this rate, see `fold_regulator`."""
        import torch

        from rdbench_codecs.hyperprior.loading import network_of
        from rdbench_codecs.hyperprior.rates import fold_regulator
        from rdbench_codecs.training.loop import export

        source = self._path()
        tensors, _ = weights_files.read(source)
        network = network_of(self.baseline, "qvrf", tensors, source)
        fold_regulator(network, self._parameter(self.load()))
        state = {name: t for name, t in network.state_dict().items() if name != "Gain"}
        config = {"baseline": self.baseline, "method": "fixed", "n": network.n, "m": network.m}
        export(state, config, path, torch.float32)

    def _parameter(self, loaded: "Loaded") -> float:
        if self.index is not None:
            regulators = self._regulators(loaded)
            if not 0 <= self.index < len(regulators):
                raise UsageError(f"{self.name} has index 0 to {len(regulators) - 1}")
            return regulators[self.index]
        if self.lambda_ is not None:
            a = self.regulator_fit().regulator(self.lambda_)
            self._check_regulator(a, f"lambda={self.lambda_:g} means a")
            return a
        return 1.0 if self.a is None else self.a

    def _check_parameter(self, parameter: float) -> None:
        if not 0 < parameter < np.inf:
            raise BitstreamError(f"no regulator is {parameter}")

    def _regulators(self, loaded: "Loaded") -> list[float]:
        regulators = loaded.regulators()
        if not regulators:
            raise UsageError(f"{self.name}: these weights are of a fixed rate; give a= instead")
        return regulators

    def _check_regulator(self, a: float, what: str) -> None:
        low, high = REGULATOR_RANGE
        if not low <= a <= high:
            raise UsageError(f"{self.name}: {what}={a:g}, which is not within {low:g} to {high:g}")


@dataclass(frozen=True)
class Leveled(_VariableRate):
    """A method whose rate is a level.

    Attributes:
        level: 0 (lowest rate) to 7; between two whole levels it is interpolated.
    """

    rate_parameters: ClassVar[tuple[str, ...]] = ("level",)
    ladder_values: ClassVar[tuple[float, ...]] = tuple(float(level) for level in range(8))

    level: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.level <= _MAX_LEVEL:
            raise UsageError(f"{self.name} has level 0 to {_MAX_LEVEL:g}")

    def _parameter(self, loaded: "Loaded") -> float:
        return self.level

    def _check_parameter(self, parameter: float) -> None:
        if not 0 <= parameter <= _MAX_LEVEL:
            raise BitstreamError(f"no level is {parameter}")
