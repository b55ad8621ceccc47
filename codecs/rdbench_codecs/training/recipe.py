"""Recipes: everything that decides what training makes, as TOML.

start = "stage1.safetensors"       # optional: weights to begin with
seed = 0
optimizer = "muon"                 # optional: adam without it
clip_norm = 2.0
ema_decay = 0.9999
warmup_steps = 300                 # optional
scales = [1.0, 0.7]                # optional: each image is used at these sizes
minutes = 9.0                      # optional: wall time that the stages share
[network]                          # what the codec's objective is made of
config = "reduced"
[[stages]]                         # one after the other
steps = 12000
batch = 8
crop = 128
learning_rate = 1e-3
final_learning_rate = 1e-5         # along a cosine; without it the rate is constant
precision = "bfloat16"
[stages.settings]                  # what the objective is told in this stage
lambda_sampling = "cube root"
[[stages]]
steps = 4000
batch = 2
crop = 256                         # no learning_rate: the cosine of the stage before continues
"""

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from importlib.resources import as_file, files
from itertools import accumulate
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Self, TypeVar, get_args, get_origin, get_type_hints

from rdbench.errors import DataError, UsageError

_Class = TypeVar("_Class")

_LARGEST = 2**48
"""Largest number in a recipe."""

_MAX_BATCH = 2**16
_MAX_CROP = 2**14

PRINCIPAL_COMPONENTS = "principal components"
"""A `Recipe.start`."""


@dataclass(frozen=True)
class Stage:
    """A run of steps with the same settings.

    Attributes:
        steps: number of updates; in a recipe of so many minutes, its share of the time.
        batch: images a step, over all processes.
        crop: pixels a side of the square that is cut from each image, a multiple of 64.
        learning_rate: of the optimizer at the first step; None to continue the schedule of the
            stage before.
        final_learning_rate: at the last step of this schedule, reached along a cosine; None for a
            constant rate.
        precision: ``bfloat16`` for mixed precision.
        frozen: parameters whose names begin so (``g_a.``) stay as they are.
        settings: told to the codec's objective.
    """

    steps: int
    batch: int = 8
    crop: int = 256
    learning_rate: float | None = None
    final_learning_rate: float | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    frozen: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.steps < 1 or not 1 <= self.batch <= _MAX_BATCH:
            raise DataError(
                f"a stage has at least one step, and 1 to {_MAX_BATCH} images a step (batch)"
            )
        if not 64 <= self.crop <= _MAX_CROP or self.crop % 64:
            raise DataError(
                f"crops of {self.crop} pixels: it must be a multiple of 64, up to {_MAX_CROP}"
            )
        if self.precision not in ("float32", "bfloat16"):
            raise DataError(f"no precision is named {self.precision!r}; float32 or bfloat16")


@dataclass(frozen=True)
class Recipe:
    """How weights are made.

    Attributes:
        network: settings of the network, told to the codec's objective.
        stages: in order.
        start: file of weights to begin with; ``principal components`` for a transform codec made
            from the training images; "" for random numbers.
        start_parts: parameters whose names begin so (``g_a.``) are taken from that file; all of
            them by default.
        seed: of all random numbers; what step i draws depends on the seed and i alone.
        optimizer: ``adam``, or ``muon``: Muon for matrices, Adam for the rest.
        clip_norm: largest norm of the gradient of the network's parameters.
        ema_decay: of the exponential moving average of the weights, which is what is kept.
            It warms up: step i uses no more than (1 + i) / (10 + i).
        betas: of Adam.
        warmup_steps: over which the learning rate rises from 0.
        scales: sizes, in shares of its own, at which each image is used (by Lanczos).
        minutes: wall time of the training, which the stages share in proportion to their steps; 0
            to count steps.
    """

    network: Mapping[str, Any]
    stages: tuple[Stage, ...]
    start: str = ""
    start_parts: Sequence[str] = ("",)
    seed: int = 0
    optimizer: Literal["adam", "muon"] = "adam"
    clip_norm: float = 1.0
    ema_decay: float = 0.9999
    betas: Sequence[float] = (0.9, 0.999)
    warmup_steps: int = 0
    scales: Sequence[float] = (1.0,)
    minutes: float = 0.0

    def __post_init__(self) -> None:
        if not self.stages:
            raise DataError("a recipe has at least one [[stages]]")
        if self.optimizer not in ("adam", "muon"):
            raise DataError(f"no optimizer is named {self.optimizer!r}; adam or muon")
        if not self.clip_norm > 0 or not self.ema_decay <= 1:
            raise DataError("clip_norm must be over 0 and ema_decay between 0 and 1")
        if len(self.betas) != 2 or not all(beta < 1 for beta in self.betas):
            raise DataError("betas are two numbers below 1")
        if not self.scales or not all(0 < scale <= 1 for scale in self.scales):
            raise DataError("scales are one or more numbers over 0, up to 1")
        if self.stages[0].learning_rate is None:
            raise DataError("the first stage has a learning_rate")

    @property
    def steps(self) -> int:
        """Number of updates in all; a nominal one where the recipe has minutes."""
        return sum(stage.steps for stage in self.stages)

    def steps_done(self, step: int, elapsed_s: float) -> float:
        """Return how far training is, in steps of the recipe: 0 to `steps`.

        Args:
            step: updates done.
            elapsed_s: wall time of training, seconds.
        """
        done = self.steps * elapsed_s / (60 * self.minutes) if self.minutes else step
        return min(done, self.steps)

    def at(self, done: float) -> tuple[Stage, float]:
        """Return the stage and the learning rate, without warm-up, after so many `steps_done`."""
        begins = [0, *accumulate(stage.steps for stage in self.stages)]
        parts = list(zip(begins, self.stages, strict=False))
        stage = [stage for begin, stage in parts if begin <= done][-1]
        schedules = [part for part in parts if part[1].learning_rate is not None]
        begin, first = [part for part in schedules if part[0] <= done][-1]
        end = min((at for at, _ in schedules if at > done), default=self.steps)
        return stage, _cosine(first, (done - begin) / (end - begin))

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` takes."""
        values = asdict(self)
        values["stages"] = [
            {k: v for k, v in stage.items() if v is not None} for stage in values["stages"]
        ]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """DataError for an unknown, missing or impossible setting."""
        tables = values.get("stages", ())
        if not _fits(tables, Sequence[Mapping[str, Any]]):
            raise DataError("stages are written as tables: [[stages]] and its settings below")
        stages = tuple(_make(Stage, stage, "a stage") for stage in tables)
        return _make(cls, {"network": {}, **values, "stages": stages}, "a recipe")


def _cosine(stage: Stage, share: float) -> float:
    first, last = stage.learning_rate or 0.0, stage.final_learning_rate
    if last is None:
        return first
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2


def load_recipe(path: Path) -> Recipe:
    """Return the recipe in a TOML file; DataError where it is none."""
    try:
        with path.open("rb") as file:
            values = tomllib.load(file)
    except (OSError, ValueError, RecursionError) as error:  # ValueError: also not UTF-8
        raise DataError(f"{path} cannot be read as a recipe: {error}") from error
    try:
        return Recipe.from_dict(values)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def bundled_recipes(package: str) -> list[str]:
    """Return the names of the recipes in a package, sorted."""
    names = (entry.name for entry in files(package).iterdir())
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def find_recipe(name: str, package: str) -> Recipe:
    """Return the recipe in a ``.toml`` file, or the one of that name in a package.

    Raises:
        UsageError: no recipe has that name.
        DataError: the file is not a recipe.
    """
    if name.endswith(".toml"):
        return load_recipe(Path(name))
    if name not in (names := bundled_recipes(package)):
        raise UsageError(f"no recipe is named {name!r}; there are {', '.join(names)}")
    with as_file(files(package) / f"{name}.toml") as path:
        return load_recipe(path)


def _make(cls: type[_Class], values: Mapping[str, Any], what: str) -> _Class:
    names = {f.name for f in fields(cls)}  # type: ignore[arg-type]
    if unknown := values.keys() - names:
        raise DataError(f"{what} has no setting {min(unknown)!r}; there are {', '.join(names)}")
    for name, hint in get_type_hints(cls).items():
        if name in values and not _fits(values[name], hint):
            text = repr(values[name])
            text = text if len(text) <= 60 else f"{text[:57]}..."
            raise DataError(f"{what}: {name} = {text}, but it must be {_wanted(hint)}")
    try:
        return cls(**values)
    except TypeError as error:
        raise DataError(f"{what}: {error}") from error


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is what the type of a setting says, numbers from 0 to a limit."""
    kind, arguments = get_origin(hint), get_args(hint)
    if kind is Literal:
        return isinstance(value, str)  # which one is told with their names
    if kind is UnionType:
        return any(_fits(value, argument) for argument in arguments)
    if kind is Mapping:
        return isinstance(value, Mapping)
    if kind is not None:
        return isinstance(value, list | tuple) and all(_fits(v, arguments[0]) for v in value)
    if hint in (int, float):
        numbers = (int,) if hint is int else (int, float)
        return type(value) in numbers and 0 <= value <= _LARGEST  # False for NaN
    return isinstance(value, hint)


def _wanted(hint: Any) -> str:
    """What a setting of a type must be, for people."""
    kinds: dict[Any, str] = {
        int: "a whole number from 0 to 2^48",
        float: "a number from 0 to 2^48",
        str: "a text",
        Sequence[float]: "a list of numbers such as [1.0, 0.7]",
    }
    kind, arguments = get_origin(hint), get_args(hint)
    if kind is UnionType:
        return " or ".join(_wanted(a) for a in arguments if a is not NoneType)
    if kind is Mapping:
        return "a table"
    if kind is Literal:
        return " or ".join(map(repr, arguments))
    return kinds.get(hint, 'a list of texts such as ["g_a."]')
