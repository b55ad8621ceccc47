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
from torch import nn

from rdbench.errors import DataError, RdbenchWarning
from rdbench.files import replacing, write_text
from rdbench.types import Progress, Training, TrainingOptions
from rdbench_codecs.learned.base import require_device
from rdbench_codecs.learned.runtime import check_device
from rdbench_codecs.learned.weights import read, write
from rdbench_codecs.training.data import Crops
from rdbench_codecs.training.objective import Objective
from rdbench_codecs.training.recipe import PRINCIPAL_COMPONENTS, Recipe
from rdbench_codecs.training.step import Step, compile_parts, training_on

_START_CROPS = 128
_CHECKPOINT_EVERY_S = 300
_WAIT_EVERY = 20
"""Updates between two waits for a GPU."""


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

    def largest(self, value: float, device: torch.device) -> float:
        """Return the largest of the processes' values, so that all do the same."""
        if self.world_size == 1:
            return value
        values = torch.tensor([value], dtype=torch.float64).to(device)
        torch.distributed.all_reduce(values, torch.distributed.ReduceOp.MAX)
        return float(values)


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
        self._recipe = replace(
            recipe,
            start=options.start or recipe.start,
            minutes=options.minutes or recipe.minutes,
        )
        self._processes = Processes.from_environment()
        self.steps = recipe.steps
        self.n_parameters = sum(p.numel() for p in objective.parameters())
        self.reports = self._processes.rank == 0

    def run(self, on_progress: Callable[[Progress], None] = lambda progress: None) -> bool:
        processes, options = self._processes, self._options
        if options.threads:
            torch.set_num_threads(options.threads)
        device = processes.device(options.device)
        _check_stages(self._objective, self._recipe)
        with (
            _process_group(processes, options.device),
            _stop_on_signal() as must_stop,
            training_on(device),
        ):
            run = _Run(self._objective, self._recipe, options, processes, device)
            report = _Report(options.out, run, on_progress if self.reports else None)
            saved = time.monotonic()
            stop = False
            while run.share < 1 and not stop:
                run.update()
                is_last = run.share == 1
                if is_last or run.step % self._log_every == 0:
                    self._objective.check()
                    self.steps = max(run.step, round(run.step / run.share))
                    report.write()
                stop = bool(processes.largest(must_stop(), device))
                if stop or is_last or time.monotonic() - saved > _CHECKPOINT_EVERY_S:
                    run.save()
                    saved = time.monotonic()
            return run.share == 1


class _Run:
    """Network, moving average and optimizer at some step.

    Attributes:
        step: updates done.
        elapsed_s: wall time of training, that of earlier runs included, seconds.
        share: completed share of the recipe.
        learning_rate: of the last update.
        n_images: on which it was trained since this object was made.
    """

    def __init__(
        self,
        objective: Objective,
        recipe: Recipe,
        options: TrainingOptions,
        processes: Processes,
        device: torch.device,
    ) -> None:
        self.step, self.n_images = 0, 0
        self.elapsed_s = self.share = self.learning_rate = 0.0
        self._objective, self._recipe, self._device = objective, recipe, device
        self._out, self._processes = options.out, processes
        objective.to(device)
        self._crops = Crops(options.images, options.read, recipe, device)
        self._update = Step(
            objective, recipe, self._crops, device,
            (processes.rank, processes.world_size), graphs=not options.eager,
        )  # fmt: skip
        self._begin()
        if device.type == "cuda" and not options.eager:
            compile_parts(objective, device)
        self._started = time.monotonic() - self.elapsed_s

    def update(self) -> None:
        """Make one update."""
        recipe = self._recipe
        self._crops.hold(self.step)
        stage, learning_rate = recipe.at(recipe.steps_done(self.step, self.elapsed_s))
        self.learning_rate = learning_rate * min(1, (self.step + 1) / (recipe.warmup_steps or 1))
        rng = np.random.default_rng([recipe.seed, self.step, self._processes.rank])
        self.step += 1
        self.n_images += stage.batch
        weight = 1 - min(recipe.ema_decay, self.step / (9 + self.step))
        self._update(stage, int(rng.integers(2**63)), self.learning_rate, weight)
        if self._device.type == "cuda" and self.step % _WAIT_EVERY == 0:
            torch.cuda.synchronize(self._device)  # or the clock would be ahead of the updates
        elapsed_s = time.monotonic() - self._started
        self.elapsed_s = self._processes.largest(elapsed_s, self._device)
        self.share = recipe.steps_done(self.step, self.elapsed_s) / recipe.steps

    def losses(self) -> tuple[float, float, float]:
        """Return loss, bpp and mse, means since the last call."""
        return self._update.losses()

    def save(self) -> None:
        """Write checkpoint and weights; an older one stays whole until the new one is."""
        if self._processes.rank > 0:
            return
        network = self._objective.network
        content = {
            "step": self.step,
            "elapsed_s": self.elapsed_s,
            "recipe": _canonical(self._recipe),
            "network": network.state_dict(),
            "average": self._update.average,
            "optimizers": self._update.optimizers.state_dict(),
        }
        with replacing(self._out / "checkpoint.pt") as partial:
            try:
                torch.save(content, partial)
            except RuntimeError as error:  # torch's word for a write that failed
                raise OSError("not all of it could be written; is the disk full?") from error
        path = self._out / "weights.safetensors"
        write(self._update.average, self._objective.config(), path, torch.float16)

    def _begin(self) -> None:
        """Resume from the checkpoint; where there is none, begin with the recipe's start."""
        path = self._out / "checkpoint.pt"
        if path.is_file():
            self._restore(path)
            return
        self._refuse_other_files()
        self._crops.hold(0)
        if self._recipe.start == PRINCIPAL_COMPONENTS:
            torch.manual_seed(self._recipe.seed)
            images = self._crops.cut(_START_CROPS, self._recipe.stages[0].crop)
            self._objective.start_from_components(images)
        elif self._recipe.start:
            path = Path(self._recipe.start).expanduser()
            load_start(self._objective.network, path, self._recipe.start_parts)
        self._update.begin_average()
        self.save()  # from now on, what is in the folder is known to be of this training

    def _refuse_other_files(self) -> None:
        """Raise DataError if the folder has files of these names but no checkpoint."""
        for name in ("weights.safetensors", "log.csv", "log.png"):
            if self._processes.rank == 0 and os.path.lexists(self._out / name):
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
        """Resume from the content of a checkpoint; an error of some kind where it does not fit."""
        step, elapsed_s = content["step"], content.get("elapsed_s", 0.0)
        average, own = content["average"], self._update.average
        last = math.inf if self._recipe.minutes else self._recipe.steps
        if type(step) is not int or not 0 <= step <= last:
            raise ValueError(f"no step is {step!r}")
        if {k: v.shape for k, v in average.items()} != {k: v.shape for k, v in own.items()}:
            raise ValueError("the average is of another network")
        self._objective.network.load_state_dict(content["network"])
        self._update.optimizers.load_state_dict(content["optimizers"])
        self._update.average = average
        self.step, self.elapsed_s = step, float(elapsed_s)
        self.share = self._recipe.steps_done(step, self.elapsed_s) / self._recipe.steps


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
    """What a run did since the last report, the log file, and who is told.

    Args:
        out: folder of ``log.csv``.
        run: lines of steps that it will do again are dropped.
        on_progress: who is told; None in a process that does not report.
    """

    def __init__(
        self, out: Path, run: _Run, on_progress: Callable[[Progress], None] | None
    ) -> None:
        self._path, self._run, self._on_progress = out / "log.csv", run, on_progress
        self._begin()
        if on_progress:
            self._keep_lines(run.step)

    def _begin(self) -> None:
        self._since, self._n_images = time.monotonic(), self._run.n_images
        self._share = self._run.share

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

    def write(self) -> None:
        """Report what happened since the last report; DataError where training diverged."""
        run = self._run
        loss, bpp, mse = run.losses()
        if not math.isfinite(loss):
            raise DataError(f"training diverged before step {run.step}; try a lower learning rate")
        seconds = time.monotonic() - self._since
        progress = Progress(
            step=run.step,
            loss=loss,
            bpp=bpp,
            psnr=-10 * math.log10(max(mse, 1e-10)),
            learning_rate=run.learning_rate,
            images_per_s=(run.n_images - self._n_images) / seconds,
            seconds_left=seconds / (run.share - self._share) * (1 - run.share),
        )
        self._begin()
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
