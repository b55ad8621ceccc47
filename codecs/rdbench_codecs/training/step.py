"""One update of a network: eager on a CPU, on a GPU one CUDA graph per stage."""

import contextlib
import warnings
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from rdbench.errors import RdbenchWarning, Unavailable
from rdbench_codecs.training.data import Crops
from rdbench_codecs.training.objective import Losses, Objective
from rdbench_codecs.training.optimizers import Optimizers
from rdbench_codecs.training.recipe import Recipe, Stage

_EAGER_UPDATES = 2
"""Of a stage, before its graph is captured."""


class Step:
    """An update: crops, losses, gradients, clipping, optimizer, moving average.

    All of it runs on the device. What changes between two updates (learning rate, weight of the
    average, random numbers) is in tensors or in torch's generators, so a CUDA graph can replay it.
    Without a graph it runs the same function.

    Args:
        objective: network and loss, on the device.
        recipe: optimizer, clipping.
        crops: what to train on.
        device: where all of it is.
        batch_share: which process this is, and how many share a batch.
        graphs: capture CUDA graphs.

    Attributes:
        optimizers: their state.
        average: moving average of the network's parameters.
    """

    def __init__(
        self,
        objective: Objective,
        recipe: Recipe,
        crops: Crops,
        device: torch.device,
        batch_share: tuple[int, int] = (0, 1),
        graphs: bool = True,
    ) -> None:
        self._objective, self._recipe, self._crops, self._device = objective, recipe, crops, device
        self._rank, self._world_size = batch_share
        self._learning_rate = torch.zeros((), device=device)
        self._average_weight = torch.zeros((), device=device)
        self._sums = torch.zeros(4, device=device)  # loss, bpp, mse, updates
        self._one = torch.ones((), device=device)
        self.optimizers = Optimizers(
            objective.network, objective.auxiliary_parameters(), recipe, self._learning_rate
        )
        self.average: dict[str, Tensor] = {}
        self.begin_average()
        self._forward: nn.Module = objective
        if self._world_size > 1:
            self._forward = DistributedDataParallel(objective, find_unused_parameters=True)
        self._graphs = graphs and device.type == "cuda" and self._world_size == 1
        self._stage: Stage | None = None
        self._seed = 0

    def begin_average(self) -> None:
        """Begin the moving average with the network's parameters."""
        self.average = {k: v.clone() for k, v in self._objective.network.state_dict().items()}

    def __call__(
        self, stage: Stage, seed: int, learning_rate: float, average_weight: float
    ) -> None:
        """Update the network.

        Args:
            stage: of the recipe.
            seed: of all random numbers.
            learning_rate: of the optimizer.
            average_weight: of the updated parameters in the moving average.
        """
        if stage is not self._stage:
            self._stage, self._updates = stage, self._updates_of(stage)
        self._learning_rate.fill_(learning_rate)
        self._average_weight.fill_(average_weight)
        self._seed = seed
        torch.manual_seed(seed)
        next(self._updates)

    def losses(self) -> tuple[float, float, float]:
        """Return loss, bpp and mse, means since the last call; this waits for the device."""
        loss, bpp, mse, n = self._sums.tolist()
        self._sums.zero_()
        return loss / n, bpp / n, mse / n

    def _updates_of(self, stage: Stage) -> Iterator[None]:
        """Make one update per item."""
        for name, parameter in self._objective.network.named_parameters():
            parameter.requires_grad_(not name.startswith(tuple(stage.frozen)))
        for _ in range(_EAGER_UPDATES):  # they allocate states and choose algorithms
            self._update(stage)
            yield
        if self._graphs and self._update_without_waiting(stage):
            yield
            graph = self._captured(stage)
            while True:
                graph.replay()
                yield
        while True:
            self._update(stage)
            yield

    def _update(self, stage: Stage) -> None:
        batch = len(range(self._rank, stage.batch, self._world_size))
        images = self._crops.cut(batch, stage.crop)
        mixed = stage.precision == "bfloat16"
        with torch.autocast(self._device.type, torch.bfloat16, mixed, cache_enabled=False):
            losses: Losses = self._forward(images, stage.settings)
        self.optimizers.zero_grad()
        (losses.loss + losses.auxiliary).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.optimizers.main, self._recipe.clip_norm)
        self.optimizers.step()
        with torch.no_grad():
            self._sums += torch.stack([losses.loss, losses.bpp, losses.mse, self._one])
            average = list(self.average.values())
            network = list(self._objective.network.state_dict().values())
            change = torch._foreach_sub(network, average)
            torch._foreach_mul_(change, self._average_weight)
            torch._foreach_add_(average, change)

    def _update_without_waiting(self, stage: Stage) -> bool:
        """Update unless the CPU has to wait for the GPU, which no graph can contain; whether it
        was done."""
        try:
            with _no_waiting():
                self._update(stage)
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            warnings.warn(f"a stage trains without a CUDA graph: {reason}", RdbenchWarning, 2)
            torch.manual_seed(self._seed)
            return False
        return True

    def _captured(self, stage: Stage) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=torch.cuda.current_stream()):
                self._update(stage)
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise Unavailable(f"no CUDA graph can be made; use --eager: {reason}") from error
        return graph


@contextlib.contextmanager
def training_on(device: torch.device) -> Iterator[None]:
    """Within, use a stream that graphs can be captured from, and the fastest convolutions."""
    if device.type != "cuda":
        yield
        return
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    with torch.cuda.stream(stream), torch.backends.cudnn.flags(enabled=True, benchmark=True):
        yield
        stream.synchronize()


def compile_parts(objective: Objective, device: torch.device) -> None:
    """Compile what gains from it, or warn where no compiler works on this machine."""
    try:
        probe = torch.compile(torch.nn.functional.gelu)
        probe(torch.ones(8, device=device, requires_grad=True)).sum().backward()  # type: ignore[no-untyped-call]
    except Exception as error:  # of Dynamo, Inductor, Triton or the C compiler
        lines = str(error).splitlines() or [type(error).__name__]
        warnings.warn(f"training without torch.compile: {lines[0]}", RdbenchWarning, 2)
        return
    objective.compile_parts()


@contextlib.contextmanager
def _no_waiting() -> Iterator[None]:
    """Within, an operation that makes the CPU wait for the GPU raises RuntimeError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # says that the mode is a prototype
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")
