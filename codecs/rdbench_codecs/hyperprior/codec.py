"""Codecs of the hyperprior family: fixed-rate networks, QVRF, and the methods it is compared with.

A file holds z, then y. The rate parameter in its header is QVRF's regulator a, the level of another
method, or 1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self

import numpy as np

from rdbench.errors import UsageError
from rdbench_codecs.hyperprior.checkpoints import CHECKPOINTS, checkpoint_name
from rdbench_codecs.hyperprior.dimensions import N_LEVELS, Dimensions, dimensions, rename
from rdbench_codecs.hyperprior.qvrf import (
    LAMBDA_RANGE,
    LAMBDAS,
    REGULATOR_RANGE,
    RegulatorFit,
    fit_regulators,
)
from rdbench_codecs.learned import weights
from rdbench_codecs.learned.base import LearnedCodec

if TYPE_CHECKING:
    from rdbench_codecs.hyperprior.model import Model
    from rdbench_codecs.hyperprior.networks import Network
    from rdbench_codecs.training.objective import Objective

_TINY = (16, 24)  # channels n and m
_OWN = (0, 1_000_000)  # qualities that files of one's own may be numbered with


class Baseline(NamedTuple):
    """A published network.

    Attributes:
        title: one line for people.
        n_qualities: published rates.
        n_small: how many of them, from the lowest on, have the small channels.
        small, large: channels n and m.
    """

    title: str
    n_qualities: int
    n_small: int
    small: tuple[int, int]
    large: tuple[int, int]


BASELINES = {
    "bmshj2018-factorized": Baseline(
        "Ballé et al. 2018, factorized prior", 8, 5, (128, 192), (192, 320)
    ),
    "bmshj2018-hyperprior": Baseline(
        "Ballé et al. 2018, scale hyperprior", 8, 5, (128, 192), (192, 320)
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
class HyperpriorCodec(LearnedCodec):
    """What the codecs of the family share.

    Class attributes:
        baseline: a key of BASELINES.
        method: what makes its rate variable, a key of rates.POINTS.

    Attributes:
        padding: how an image is extended to multiples of 64 pixels, at the right and at the bottom:
            with zeros, as the published programs do, or with copies of its edge.
    """

    family: ClassVar[str] = "hyperprior"
    checkpoints: ClassVar[Sequence[weights.Checkpoint]] = CHECKPOINTS
    random_networks: ClassVar[Sequence[str]] = ("tiny",)
    recipes: ClassVar[str] = "rdbench_codecs.hyperprior.recipes"
    baseline: ClassVar[str]
    method: ClassVar[str]

    padding: Literal["zeros", "edge"] = "zeros"

    @classmethod
    def new_objective(cls, network: Mapping[str, Any]) -> "Objective":
        from rdbench_codecs.hyperprior.objective import HyperpriorObjective

        n, m = BASELINES[cls.baseline].large
        default = {"baseline": cls.baseline, "method": cls.method, "n": n, "m": m}
        return HyperpriorObjective({**default, **network})

    def padding_mode(self) -> Literal["edge", "constant"]:
        return "constant" if self.padding == "zeros" else "edge"

    def checkpoint_name(self) -> str:
        return self.name

    def published(self) -> Dimensions:
        """Return the dimensions of the published network."""
        n_levels = len(LAMBDAS) if self.method not in ("fixed", "song2021") else 0
        return Dimensions(*BASELINES[self.baseline].large, n_levels)

    def dimensions(self, path: Path | None) -> Dimensions:
        """Return the dimensions of the network in a file (None: the random one)."""
        if path is not None:
            return dimensions(rename(weights.describe(path)[0]), self.method, path)
        is_tiny = weights.random_network(self.weights) == "tiny"
        n, m = _TINY if is_tiny else self.published()[:2]
        return Dimensions(n, m, N_LEVELS)

    def configuration(self, path: Path | None) -> str:
        n, m, _ = self.dimensions(path)
        return f"{self.name} N={n} M={m}"

    def check(self) -> None:
        super().check()
        path = self.weights_file()
        if path is not None and self.names_a_file:  # published and bundled files are known to fit
            from rdbench_codecs.hyperprior.loading import check_file

            check_file(self.baseline, self.method, path)

    def is_reduced(self, path: Path) -> bool:
        sizes = zip(self.dimensions(path), self.published(), strict=True)
        return any(own < published for own, published in sizes)

    def empty_network(self, path: Path | None) -> "Network":
        from rdbench_codecs.hyperprior.loading import shapes_of

        return shapes_of(self.baseline, self.method, self.dimensions(path))

    def load_model(self, path: Path | None, sha256: str) -> "Model":
        from rdbench_codecs.hyperprior.loading import load_model

        source = path or self.dimensions(None)
        return load_model(self.baseline, self.method, source, sha256, self.device)


@dataclass(frozen=True)
class FixedRate(HyperpriorCodec):
    """One network per rate.

    Attributes:
        quality: of a published network, 1 (lowest) to 8, or to 6 for cheng2020. Files of your own
            may be numbered as you like: ``weights=q{quality}.pth.tar,quality=18,67,250``.
        metric: what the published network was trained for.
    """

    rate_parameters: ClassVar[tuple[str, ...]] = ("quality",)
    variable_rate: ClassVar[bool] = False

    quality: int = 4
    metric: Literal["mse", "ms-ssim"] = "mse"

    def __post_init__(self) -> None:
        super().__post_init__()
        published = (1, BASELINES[self.baseline].n_qualities)
        self.require_range("quality", self.quality, *(_OWN if self.names_a_file else published))

    def ladder(self) -> tuple[Self, ...]:
        """The default sweep: all qualities, or this one where one file of weights was named."""
        names_one = self.names_a_file and "{quality}" not in self.weights
        return (self,) if names_one else super().ladder()

    @property
    def trained_for(self) -> str:
        return self.metric

    def published(self) -> Dimensions:
        baseline = BASELINES[self.baseline]
        channels = baseline.small if self.quality <= baseline.n_small else baseline.large
        return Dimensions(*channels, 0)

    def checkpoint_name(self) -> str:
        return checkpoint_name(self.name, self.quality, self.metric)

    def parameter(self, model: "Model") -> float:
        return 1.0

    def is_possible(self, parameter: float) -> bool:
        return parameter == 1


@dataclass(frozen=True)
class Qvrf(HyperpriorCodec):
    """QVRF: one of three settings chooses the rate; the default is a = 1.

    Attributes:
        index: of a regulator of the weights, 0 (lowest rate) to 7.
        a: the regulator itself, the paper's letter, 0.5 to 12.
        lambda_: Lagrange multiplier, through the fit of equation 7 on the weights' regulators.
    """

    rate_parameters: ClassVar[tuple[str, ...]] = ("index", "a", "lambda_")
    ladder_values: ClassVar[tuple[int, ...]] = tuple(range(N_LEVELS))
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
            self.require_range("a", self.a, *REGULATOR_RANGE)
        if self.lambda_ is not None:
            self.require_range("lambda", self.lambda_, *LAMBDA_RANGE)

    def regulator_fit(self) -> RegulatorFit:
        """Equation 7's line through the regulators of the weights (Figure 3).

        Raises:
            UsageError: the weights are of a fixed rate.
        """
        return self._fit(self.load())

    def write_fixed(self, path: Path) -> None:
        """Write the fixed-rate network that this one is at this rate, see `fold_regulator`.

        Raises:
            UsageError: the weights are random numbers, or y is not made by one convolution.
        """
        import torch

        from rdbench_codecs.hyperprior.loading import network_of
        from rdbench_codecs.hyperprior.rates import fold_regulator

        source = self.weights_file()
        if source is None:
            raise UsageError(f"{self.name}: random weights have no fixed rate; give weights=PATH")
        network = network_of(self.baseline, "qvrf", weights.read(source)[0], source)
        fold_regulator(network, self.parameter(self.load()))
        state = {name: t for name, t in network.state_dict().items() if name != "Gain"}
        config = {"baseline": self.baseline, "method": "fixed", "n": network.n, "m": network.m}
        weights.write(state, config, path, torch.float32)

    def parameter(self, model: "Model") -> float:
        if self.index is not None:
            regulators = self._regulators(model)
            self.require_range("index", self.index, 0, len(regulators) - 1)
            return regulators[self.index]
        if self.lambda_ is not None:
            a = self._fit(model).regulator(self.lambda_)
            self.require_range(f"the regulator of lambda={self.lambda_:g}", a, *REGULATOR_RANGE)
            return a
        return 1.0 if self.a is None else self.a

    def is_possible(self, parameter: float) -> bool:
        return 0 < parameter < np.inf

    def _fit(self, model: "Model") -> RegulatorFit:
        regulators = self._regulators(model)
        return fit_regulators(LAMBDAS[: len(regulators)], regulators)

    def _regulators(self, model: "Model") -> list[float]:
        regulators = model.regulators()
        if not regulators:
            raise UsageError(f"{self.name}: these weights are of a fixed rate; give a= instead")
        return regulators


@dataclass(frozen=True)
class Leveled(HyperpriorCodec):
    """A method whose rate is a level.

    Attributes:
        level: 0 (lowest rate) to 7; between two whole levels it is interpolated.
    """

    rate_parameters: ClassVar[tuple[str, ...]] = ("level",)
    ladder_values: ClassVar[tuple[float, ...]] = tuple(float(level) for level in range(N_LEVELS))

    level: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_range("level", self.level, 0, N_LEVELS - 1)

    def parameter(self, model: "Model") -> float:
        return self.level

    def is_possible(self, parameter: float) -> bool:
        return 0 <= parameter <= N_LEVELS - 1


_METHODS: dict[str, tuple[type[HyperpriorCodec], str]] = {
    "qvrf": (Qvrf, "QVRF (Tong et al. 2023)"),
    "theis2017": (Leveled, "scales per channel (Theis et al. 2017)"),
    "cui2021": (Leveled, "gain units (Cui et al. 2021)"),
    "song2021": (Leveled, "spatial feature transforms (Song et al. 2021)"),
}
"""Class and title of each variable-rate method."""


def _codec(base: type[HyperpriorCodec], name: str, **attributes: Any) -> type[HyperpriorCodec]:
    """Make the class of one codec, such as ``QvrfMbt2018Mean`` for ``qvrf-mbt2018-mean``."""
    attributes |= {"name": name, "__doc__": attributes["title"], "__module__": __name__}
    return type(name.title().replace("-", ""), (base,), attributes)


def _family() -> list[type[HyperpriorCodec]]:
    """Every baseline at fixed rates, and all but the factorized prior by every method."""
    fixed = [
        _codec(
            FixedRate, name, title=baseline.title, baseline=name, method="fixed",
            ladder_values=tuple(range(1, baseline.n_qualities + 1)),
        )
        for name, baseline in BASELINES.items()
    ]  # fmt: skip
    variable = [
        _codec(base, f"{method}-{name}", title=f"{title} on {name}", baseline=name, method=method)
        for method, (base, title) in _METHODS.items()
        for name in BASELINES
        if name != "bmshj2018-factorized"
    ]
    return fixed + variable


CODECS = {codec.name: codec for codec in _family()}
"""The codecs of the family by name."""

globals().update({codec.__name__: codec for codec in CODECS.values()})  # where pickle looks
