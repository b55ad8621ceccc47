"""The training loop: it resumes from its last checkpoint and stops on a signal.

Every step draws its crops, noise and rates from numbers that depend on the seed and the step alone,
so that a run that was stopped and resumed makes the same weights, bit for bit, as one that was not.
"""

import contextlib
import json
import math
import os
import signal
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from rdbench.errors import DataError, RdbenchWarning
from rdbench.files import replacing, write_text
from rdbench.types import Progress, Training, TrainingOptions
from rdbench_codecs.learned.base import require_device
from rdbench_codecs.learned.runtime import check_device
from rdbench_codecs.learned.weights import read, write
from rdbench_codecs.training.data import Crops
from rdbench_codecs.training.objective import Losses, Objective
from rdbench_codecs.training.optimizers import Optimizers
from rdbench_codecs.training.recipe import PRINCIPAL_COMPONENTS, Recipe

_START_CROPS = 128
_CHECKPOINT_EVERY_S = 300


@dataclass(frozen=True)
class Processes:
    """Which process this is of those that train together, as torchrun says.

    Attributes:
        rank: of this process; the first one reports and writes files.
        world_size: how many there are.
        local_rank: of this process on its machine: the GPU that it takes.
    """

    rank: int
    world_size: int
    local_rank: int

    @classmethod
    def from_environment(cls) -> "Processes":
        defaults = {"RANK": 0, "WORLD_SIZE": 1, "LOCAL_RANK": 0}
        return cls(*(int(os.environ.get(name, value)) for name, value in defaults.items()))

    def device(self, name: str) -> torch.device:
        """Return the device of this process: its own GPU for ``cuda``.

        Raises:
            UsageError: no device has such a name.
            Unavailable: the device is missing.
        """
        require_device(name)
        check_device(name)
        return torch.device("cuda", self.local_rank) if name == "cuda" else torch.device(name)


class RecipeTraining(Training):
    """A training by a recipe.

    Args:
        objective: network and loss, freshly initialized.
        recipe: how to train.
        options: images, folder and machine.
        log_every: steps between two reports.
    """

    def __init__(
        self, objective: Objective, recipe: Recipe, options: TrainingOptions, log_every: int = 50
    ) -> None:
        self._objective, self._options, self._log_every = objective, options, log_every
        self._recipe = replace(recipe, start=options.start or recipe.start)
        self._processes = Processes.from_environment()
        self.steps = recipe.steps
        self.n_parameters = sum(p.numel() for p in objective.parameters())
        self.reports = self._processes.rank == 0

    def run(self, on_progress: Callable[[Progress], None] = lambda progress: None) -> bool:
        processes, options, recipe = self._processes, self._options, self._recipe
        if options.threads:
            torch.set_num_threads(options.threads)
        with _process_group(processes, options.device), _stop_on_signal() as must_stop:
            run = _Run(self._objective, recipe, options, processes)
            images = options.images, options.read, recipe
            run.begin(Crops(*images))
            crops = Crops(*images, processes.rank, processes.world_size)
            report = _Report(recipe, options.out, run.step, on_progress if self.reports else None)
            saved = time.monotonic()
            for batch in _batches(crops, run.step, options.loaders):
                report.add(run.update(batch), len(batch) * processes.world_size)
                is_last = run.step == self.steps
                if is_last or run.step % self._log_every == 0:
                    self._objective.check()
                    report.write(run.step, run.learning_rate)
                stop = _any_process(must_stop(), processes, run.device)
                if stop or is_last or time.monotonic() - saved > _CHECKPOINT_EVERY_S:
                    run.save()
                    saved = time.monotonic()
                if stop:
                    break
            return run.step == self.steps


class _Run:
    """Network, moving average and optimizer at some step."""

    def __init__(
        self,
        objective: Objective,
        recipe: Recipe,
        options: TrainingOptions,
        processes: Processes,
    ) -> None:
        self.step = 0
        self.learning_rate = 0.0
        self._objective, self._recipe = objective, recipe
        self._out, self._rank = options.out, processes.rank
        self.device = processes.device(options.device)
        _check_stages(objective, recipe)
        objective.to(self.device)
        self._optimizers = Optimizers(
            objective.network, objective.auxiliary_parameters(), recipe.optimizer
        )
        self._average = self._copy()
        if options.compile:
            objective.network.compile()
        self._forward: nn.Module = objective
        if processes.world_size > 1:
            self._forward = DistributedDataParallel(objective, find_unused_parameters=True)

    def update(self, images: Tensor) -> Losses:
        """One step on crops, (batch, 3, crop, crop), uint8."""
        stage, behind = self._recipe.at(self.step)
        self.learning_rate = _cosine(stage.learning_rate, stage.final_learning_rate, behind)
        for name, parameter in self._objective.network.named_parameters():
            parameter.requires_grad_(not name.startswith(tuple(stage.frozen)))
        rng = np.random.default_rng([self._recipe.seed, self.step, self._rank])
        torch.manual_seed(int(rng.integers(2**63)))
        pixels = images.to(self.device, non_blocking=True).float() / 255
        mixed = torch.autocast(
            self.device.type, torch.bfloat16, enabled=stage.precision == "bfloat16"
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
        if self._rank > 0:
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
        path = self._out / "weights.safetensors"
        write(self._average, self._objective.config(), path, torch.float16)

    def begin(self, crops: Crops) -> None:
        """Resume from the checkpoint; where there is none, begin with the recipe's start."""
        path = self._out / "checkpoint.pt"
        if path.is_file():
            self._restore(path)
            return
        self._refuse_other_files()
        if self._recipe.start == PRINCIPAL_COMPONENTS:
            n_batches = min(self._recipe.stages[0].steps, -(-_START_CROPS // len(crops[0])))
            images = torch.cat([crops[i] for i in range(n_batches)])
            self._objective.start_from_components(images.to(self.device).float() / 255)
        elif self._recipe.start:
            path = Path(self._recipe.start).expanduser()
            load_start(self._objective.network, path, self._recipe.start_parts)
        self._average = self._copy()
        self.save()  # from now on, what is in the folder is known to be of this training

    def _refuse_other_files(self) -> None:
        """Raise DataError if the folder has files of these names but no checkpoint."""
        for name in ("weights.safetensors", "log.csv", "log.png"):
            if self._rank == 0 and os.path.lexists(self._out / name):
                raise DataError(
                    f"{self._out} has a {name} but no checkpoint.pt to resume from; "
                    "choose another folder with --out"
                )

    def _restore(self, path: Path) -> None:
        try:
            content = torch.load(path, map_location=self.device, weights_only=True)
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
        """Resume from the content of a checkpoint; an error of some kind where it does not fit."""
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


class _Report:
    """Means of the losses since the last report, the log file, and who is told.

    Args:
        recipe: the recipe.
        out: folder of ``log.csv``.
        step: done so far; lines of later steps, which will be done again, are dropped.
        on_progress: who is told; None in a process that does not report.
    """

    def __init__(
        self,
        recipe: Recipe,
        out: Path,
        step: int,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self._recipe, self._path, self._on_progress = recipe, out / "log.csv", on_progress
        self._begin(step)
        if on_progress:
            self._keep_lines(step)

    def _begin(self, step: int) -> None:
        self._losses: list[Losses] = []
        self._n_images = 0
        self._since, self._step = time.monotonic(), step

    def _keep_lines(self, step: int) -> None:
        text = self._path.read_text(errors="replace") if self._path.is_file() else ""
        names = [field.name for field in fields(Progress)]
        lines = text.splitlines()[1:]
        rows = [line for line in lines if _is_row(line, len(names))]
        if n_damaged := len(lines) - len(rows):
            note = f"{self._path}: {n_damaged} damaged lines are left out"
            warnings.warn(note, RdbenchWarning, 2)
        kept = [line for line in rows if int(line.split(",")[0]) <= step]
        write_text(self._path, "\n".join([",".join(names), *kept]) + "\n")

    def add(self, losses: Losses, n_images: int) -> None:
        """Take in the losses of one step."""
        self._losses.append(Losses(*(value.detach() for value in losses)))
        self._n_images += n_images

    def write(self, step: int, learning_rate: float) -> None:
        """Report what happened since the last report; DataError where training diverged."""
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
        self._begin(step)
        if self._on_progress:
            self._append(progress)
            self._on_progress(progress)

    def _append(self, progress: Progress) -> None:
        try:
            with self._path.open("a") as file:
                file.write(",".join(map(str, astuple(progress))) + "\n")
        except OSError as error:
            raise DataError(f"cannot write {self._path}: {error.strerror}") from None


def _is_row(line: str, n_columns: int) -> bool:
    """Whether a line of the log is whole."""
    first, *others = line.split(",")
    try:
        return first.isdecimal() and len(list(map(float, others))) == n_columns - 1
    except ValueError:
        return False


def load_start(network: nn.Module, path: Path, parts: Sequence[str] = ("",)) -> None:
    """Copy those parameters of a file of weights that the network also has.

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
def _process_group(processes: Processes, device: str) -> Iterator[None]:
    if processes.world_size == 1:
        yield
        return
    torch.distributed.init_process_group("gloo" if device == "cpu" else "nccl")
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()


def _any_process(flag: bool, processes: Processes, device: torch.device) -> bool:
    """Whether the flag is set in any process, so that all stop after the same step."""
    if processes.world_size == 1:
        return flag
    flags = torch.tensor(int(flag), device=device)
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
