"""The training loop: goes on from its last checkpoint, and stops when it is told to.

Every step draws its crops, noise and rates from numbers that depend on the seed and the step alone,
so that a run that was stopped and went on makes the same weights, bit for bit, as one that was not.
"""

import contextlib
import json
import math
import os
import signal
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from rdbench.errors import DataError, RdbenchWarning, Unavailable, UsageError
from rdbench.files import replacing, write_bytes, write_text
from rdbench_codecs.learned.weights import read
from rdbench_codecs.training.data import Crops, image_files
from rdbench_codecs.training.objective import Losses, Objective
from rdbench_codecs.training.optimizers import Optimizers
from rdbench_codecs.training.recipe import PRINCIPAL_COMPONENTS, Recipe

_START_CROPS = 128
_CHECKPOINT_EVERY_S = 300


@dataclass(frozen=True)
class Machine:
    """Where and how training runs; none of it is part of the recipe.

    Attributes:
        device: ``cpu`` or ``cuda``; with torchrun, each process takes a GPU of its own.
        loaders: processes that read images; 0 reads them between the steps.
        compile: let torch.compile make programs for the network: minutes at the start, then faster.
        rank, world_size: of this process and among how many, as torchrun tells.
    """

    device: str = "cpu"
    loaders: int = 0
    compile: bool = False
    rank: int = int(os.environ.get("RANK", "0"))
    world_size: int = int(os.environ.get("WORLD_SIZE", "1"))

    def torch_device(self) -> torch.device:
        """The device of this process; Unavailable where it is not here, UsageError for others."""
        if self.device not in ("cpu", "cuda"):
            raise UsageError(
                f"no device is named {self.device!r}; there are cpu and cuda (another GPU than the "
                "first: set CUDA_VISIBLE_DEVICES)"
            )
        if self.device == "cpu":
            return torch.device("cpu")
        if not torch.cuda.is_available():
            raise Unavailable("no CUDA device is here; use --device cpu")
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


@dataclass(frozen=True)
class Progress:
    """What a log line tells, means since the last.

    Attributes:
        step: updates done.
        loss, bpp, psnr: of the training crops; PSNR in dB of the mean squared error.
        learning_rate: of the last step.
        images_per_s: crops a second over all processes.
        seconds_left: until the last step at this speed.
    """

    step: int
    loss: float
    bpp: float
    psnr: float
    learning_rate: float
    images_per_s: float
    seconds_left: float


def train(
    objective: Objective,
    recipe: Recipe,
    data: Path,
    out: Path,
    machine: Machine | None = None,
    log_every: int = 50,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> bool:
    """Train until the recipe ends, or SIGTERM or Ctrl-C asks to stop.

    ``out`` gets ``checkpoint.pt`` (at the start, every five minutes and at the end), ``log.csv``
    and ``weights.safetensors`` (the moving average).

    Returns:
        True when the recipe is done, False when it was stopped.

    Raises:
        DataError: ``out`` holds the checkpoint of another recipe or files of another origin, a file
            cannot be written, or training went wrong.
    """
    machine = machine or Machine()
    files = image_files(data)
    with _process_group(machine), _stop_on_signal() as must_stop:
        run = _Run(objective, recipe, machine, out)
        crops = Crops(files, recipe, machine.rank, machine.world_size)
        run.begin(Crops(files, recipe))
        means = _Means(recipe, run.step)
        log = _Log(out / "log.csv", run.step) if machine.rank == 0 else None
        saved = time.monotonic()
        for images in _batches(crops, run.step, machine.loaders):
            means.add(run.update(images), len(images) * machine.world_size)
            if run.step % log_every == 0 or run.step == recipe.steps:
                objective.check()
                progress = means.line(run.step, run.learning_rate)
                if log is not None:
                    log.add(progress)
                    on_progress(progress)
            stop = _any_process(must_stop(), machine)
            if stop or run.step == recipe.steps or time.monotonic() - saved > _CHECKPOINT_EVERY_S:
                run.save()
                saved = time.monotonic()
            if stop:
                break
        return run.step == recipe.steps


class _Run:
    """Network, moving average and optimizer at some step."""

    def __init__(self, objective: Objective, recipe: Recipe, machine: Machine, out: Path) -> None:
        self.step = 0
        self.learning_rate = 0.0
        self._objective, self._recipe, self._machine, self._out = objective, recipe, machine, out
        self._device = machine.torch_device()
        _check_stages(objective, recipe)
        objective.to(self._device)
        self._optimizers = Optimizers(
            objective.network, objective.auxiliary_parameters(), recipe.optimizer
        )
        self._average = self._copy()
        if machine.compile:
            objective.network.compile()
        self._forward: nn.Module = objective
        if machine.world_size > 1:
            self._forward = DistributedDataParallel(objective, find_unused_parameters=True)

    def update(self, images: Tensor) -> Losses:
        """One step on crops, (batch, 3, crop, crop), uint8."""
        stage, behind = self._recipe.at(self.step)
        self.learning_rate = _cosine(stage.learning_rate, stage.final_learning_rate, behind)
        for name, parameter in self._objective.network.named_parameters():
            parameter.requires_grad_(not name.startswith(tuple(stage.frozen)))
        rng = np.random.default_rng([self._recipe.seed, self.step, self._machine.rank])
        torch.manual_seed(int(rng.integers(2**63)))
        pixels = images.to(self._device, non_blocking=True).float() / 255
        mixed = torch.autocast(
            self._device.type, torch.bfloat16, enabled=stage.precision == "bfloat16"
        )
        self._optimizers.zero_grad()
        with mixed:
            losses: Losses = self._forward(pixels, stage.settings)
        (losses.loss + losses.auxiliary).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._optimizers.main, self._recipe.clip_norm)
        self._optimizers.step(self.learning_rate)
        self.step += 1
        self._update_average()
        return losses

    def save(self) -> None:
        """Write checkpoint and weights; an older one stays whole until the new one is."""
        if self._machine.rank > 0:
            return
        network = self._objective.network
        content = {
            "step": self.step,
            "recipe": _canonical(self._recipe),
            "network": network.state_dict(),
            "average": self._average,
            "optimizers": self._optimizers.state_dict(),
        }
        with replacing(self._out / "checkpoint.pt") as partial:
            try:
                torch.save(content, partial)
            except RuntimeError as error:  # torch's word for a write that failed
                raise OSError("not all of it could be written; is the disk full?") from error
        export(self._average, self._objective.config(), self._out / "weights.safetensors")

    def begin(self, crops: Crops) -> None:
        """Go on from the checkpoint; where there is none, begin with the recipe's start."""
        path = self._out / "checkpoint.pt"
        if path.is_file():
            self._restore(path)
            return
        self._refuse_other_files()
        if self._recipe.start == PRINCIPAL_COMPONENTS:
            n_batches = min(self._recipe.stages[0].steps, -(-_START_CROPS // len(crops[0])))
            images = torch.cat([crops[i] for i in range(n_batches)])
            self._objective.start_from_components(images.to(self._device).float() / 255)
        elif self._recipe.start:
            path = Path(self._recipe.start).expanduser()
            load_start(self._objective.network, path, self._recipe.start_parts)
        self._average = self._copy()
        self.save()  # from now on, what is in the folder is known to be of this training

    def _refuse_other_files(self) -> None:
        """DataError where the folder has files of these names without a checkpoint beside them."""
        for name in ("weights.safetensors", "log.csv", "log.png"):
            if self._machine.rank == 0 and os.path.lexists(self._out / name):
                raise DataError(
                    f"{self._out} has a {name} but no checkpoint.pt to resume from; "
                    "choose another folder with --out"
                )

    def _restore(self, path: Path) -> None:
        try:
            content = torch.load(path, map_location=self._device, weights_only=True)
            made_by = Recipe.from_dict(json.loads(content["recipe"]))  # newer settings: default
            is_same = _canonical(made_by) == _canonical(self._recipe)
            if is_same:
                self._take(content)
        except Exception as error:  # unpickling raises whatever the file asks for
            raise DataError(
                f"{path} was cut, or another version made it; choose another folder with --out"
            ) from error
        if not is_same:
            raise DataError(f"{path} was made by another recipe; choose another folder with --out")

    def _take(self, content: dict[str, Any]) -> None:
        """Go on from the content of a checkpoint; an error of some kind where it does not fit."""
        step, average = content["step"], content["average"]
        own = {name: value.shape for name, value in self._average.items()}
        if type(step) is not int or not 0 <= step <= self._recipe.steps:
            raise ValueError(f"no step is {step!r}")
        if {name: value.shape for name, value in average.items()} != own:
            raise ValueError("the average is of another network")
        self._objective.network.load_state_dict(content["network"])
        self._optimizers.load_state_dict(content["optimizers"])
        self.step, self._average = step, average

    def _copy(self) -> dict[str, Tensor]:
        return {k: v.clone() for k, v in self._objective.network.state_dict().items()}

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self._recipe.ema_decay, self.step / (9 + self.step))
        new = self._objective.network.state_dict()
        torch._foreach_lerp_(list(self._average.values()), list(new.values()), 1 - decay)


def _check_stages(objective: Objective, recipe: Recipe) -> None:
    """DataError where a stage cannot be trained; a warning where it freezes what is not there."""
    names = [name for name, _ in objective.network.named_parameters()]
    for stage in recipe.stages:
        objective.check_settings(stage.settings)
        if all(name.startswith(tuple(stage.frozen)) for name in names):
            raise DataError(f"frozen = {list(stage.frozen)} leaves a stage nothing to train")
        for start in stage.frozen:
            if not any(name.startswith(start) for name in names):
                text = f"frozen: no parameter of this network has a name that begins {start!r}"
                warnings.warn(text, RdbenchWarning, 2)


class _Log:
    """A CSV file with a row a line; rows of steps that will be done again are dropped."""

    def __init__(self, path: Path, step: int) -> None:
        self._path = path
        lines = path.read_text(errors="replace").splitlines() if path.is_file() else []
        names = [field.name for field in fields(Progress)]
        rows = [line for line in lines[1:] if _is_row(line, len(names))]
        if n_damaged := len(lines[1:]) - len(rows):
            text = f"{path}: {n_damaged} damaged lines are left out"
            warnings.warn(text, RdbenchWarning, 2)
        kept = [line for line in rows if int(line.split(",")[0]) <= step]
        write_text(path, "\n".join([",".join(names), *kept]) + "\n")

    def add(self, progress: Progress) -> None:
        try:
            with self._path.open("a") as file:
                file.write(",".join(map(str, vars(progress).values())) + "\n")
        except OSError as error:
            raise DataError(f"cannot write {self._path}: {error.strerror}") from None


def _is_row(line: str, n_columns: int) -> bool:
    """Whether a line of the log is whole."""
    first, *others = line.split(",")
    try:
        return first.isdecimal() and len(list(map(float, others))) == n_columns - 1
    except ValueError:
        return False


class _Means:
    """Means of the losses since the last line of the log."""

    def __init__(self, recipe: Recipe, step: int) -> None:
        self._recipe = recipe
        self._losses: list[Losses] = []
        self._n_images = 0
        self._since, self._step = time.monotonic(), step

    def add(self, losses: Losses, n_images: int) -> None:
        self._losses.append(Losses(*(value.detach() for value in losses)))
        self._n_images += n_images

    def line(self, step: int, learning_rate: float) -> Progress:
        """What happened since the last line; DataError where training diverged."""
        loss, _, bpp, mse = (
            float(torch.stack(values).mean()) for values in zip(*self._losses, strict=True)
        )
        if not math.isfinite(loss):
            raise DataError(f"training diverged before step {step}; try a lower learning rate")
        seconds = time.monotonic() - self._since
        progress = Progress(
            step=step,
            loss=loss,
            bpp=bpp,
            psnr=-10 * math.log10(max(mse, 1e-10)),
            learning_rate=learning_rate,
            images_per_s=self._n_images / seconds,
            seconds_left=seconds / (step - self._step) * (self._recipe.steps - step),
        )
        self._losses, self._n_images = [], 0
        self._since, self._step = time.monotonic(), step
        return progress


def export(
    state: dict[str, Tensor], config: dict[str, Any], path: Path, dtype: torch.dtype = torch.float16
) -> None:
    """Write a file of weights with its configuration.

    Args:
        state: name -> parameter.
        config: what the codec needs to rebuild the network.
        path: a ``.safetensors`` file.
        dtype: of the numbers.
    """
    from safetensors.torch import save

    tensors = {name: value.detach().to("cpu", dtype).contiguous() for name, value in state.items()}
    write_bytes(path, save(tensors, {"config": json.dumps(config)}))


def load_start(network: nn.Module, path: Path, parts: Sequence[str] = ("",)) -> None:
    """Copy the parameters of a file of weights that the network has, too.

    What only one of them has (the regulators of a network that was trained at a fixed rate) is
    named in a warning.

    Args:
        network: it changes in place.
        path: the file.
        parts: beginnings of the names of what is copied.

    Raises:
        DataError: a parameter has another shape, or none is shared.
    """
    begins = tuple(parts)
    tensors = {k: v for k, v in read(path)[0].items() if k.startswith(begins)}
    own = {k: v for k, v in network.state_dict().items() if k.startswith(begins)}
    shared = own.keys() & tensors.keys()
    for name in sorted(shared):
        if own[name].shape != tensors[name].shape:
            raise DataError(f"{path} is of another network: {name} has another shape")
    if not shared:
        raise DataError(f"{path} is of another network: no parameter has a name of this one's")
    if alone := sorted(own.keys() ^ tensors.keys()):
        names = ", ".join(alone[:6]) + (f" and {len(alone) - 6} more" if len(alone) > 6 else "")
        warnings.warn(f"{path}: not in both networks: {names}", RdbenchWarning, 2)
    network.load_state_dict({name: tensors[name] for name in shared}, strict=False)


def _cosine(first: float, last: float | None, share: float) -> float:
    if last is None:
        return first
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2


def _batches(crops: Crops, first: int, loaders: int) -> Iterator[Tensor]:
    steps = range(first, len(crops))
    return iter(DataLoader(crops, batch_size=None, sampler=steps, num_workers=loaders))


@contextlib.contextmanager
def _process_group(machine: Machine) -> Iterator[None]:
    if machine.world_size == 1:
        yield
        return
    torch.distributed.init_process_group("nccl" if machine.device == "cuda" else "gloo")
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()


def _any_process(flag: bool, machine: Machine) -> bool:
    """Whether the flag is set in any process, so that all stop after the same step."""
    if machine.world_size == 1:
        return flag
    flags = torch.tensor(int(flag), device=machine.torch_device())
    torch.distributed.all_reduce(flags, torch.distributed.ReduceOp.MAX)
    return bool(flags)


@contextlib.contextmanager
def _stop_on_signal() -> Iterator[Callable[[], bool]]:
    """Within, SIGTERM and Ctrl-C are noted, not raised: a step is never cut in half."""
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _canonical(recipe: Recipe) -> str:
    """One text for equal recipes, whichever of list and tuple they hold."""
    return json.dumps(recipe.to_dict(), sort_keys=True)
