"""Work on a GPU that is recorded once per image size and then replayed: CUDA graphs.

Coding one image launches hundreds of kernels, most of them shorter than the launch itself. A graph
launches all of them at once. It works at fixed addresses, so its functions take their inputs from
tensors that stay and leave their results where the next function finds them:

    class Doubling:
        def __init__(self, device):
            self.x = Input((4,), torch.float32, device)
            (self.run,) = record([self.double], device)

        def double(self):
            self.result = 2 * self.x.device

On a CPU the functions run as they are.
"""

import gc
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, Generic, TypeVar

import numpy.typing as npt
import torch
from torch import Tensor

Step = Callable[[], None]
T = TypeVar("T")

N_SIZES = 4
"""Image sizes whose recorded work is kept."""

_MAX_PIXELS = 2**22
_N_WARM_UPS = 2


def is_worthwhile(device: torch.device, height: int, width: int) -> bool:
    """Return whether to record the work for an image.

    Launches take little of the time of larger ones, and what is recorded keeps the memory of all
    its layers.
    """
    return device.type == "cuda" and height * width <= _MAX_PIXELS


def record(steps: Sequence[Step], device: torch.device) -> list[Step]:
    """Return what repeats each step.

    Args:
        steps: functions without synchronization with the host. They may read what earlier ones
            have left in attributes, so that the results must be called in the same order.
        device: a CPU returns the functions themselves.
    """
    if device.type != "cuda":
        return list(steps)
    # Libraries choose algorithms, compile and take workspaces in the first calls. Warm-up and
    # recording use one stream, because a workspace belongs to a stream.
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        for _ in range(_N_WARM_UPS):
            for step in steps:
                step()
    torch.cuda.synchronize(device)
    # Objects freed while a graph is recorded could free memory of the GPU, which ends in an error.
    gc.collect()
    pool = torch.cuda.graph_pool_handle()
    graphs = []
    with torch.cuda.stream(stream):
        for step in steps:
            graph = torch.cuda.CUDAGraph()
            graph.capture_begin(pool, "thread_local")  # other threads may use the GPU
            try:
                step()
            finally:
                graph.capture_end()
            graphs.append(graph)
    torch.cuda.current_stream(device).wait_stream(stream)
    return [graph.replay for graph in graphs]


class PerSize(Generic[T]):
    """What codes images, one object per size: recorded and kept where that is worthwhile.

    Args:
        make: told height, width, and whether to record.
        device: of the work.
    """

    def __init__(self, make: Callable[[int, int, bool], T], device: torch.device) -> None:
        self._make, self._device = make, device
        self._kept = lru_cache(maxsize=N_SIZES)(lambda height, width: make(height, width, True))

    def __call__(self, height: int, width: int) -> T:
        """Return what codes images of a size."""
        if is_worthwhile(self._device, height, width):
            return self._kept(height, width)
        return self._make(height, width, False)

    def forget(self) -> None:
        """Free what is kept."""
        self._kept.cache_clear()


class Input:
    """A tensor at a fixed address on the device that the host fills.

    Attributes:
        device: the tensor, zeros at first.
    """

    def __init__(self, shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> None:
        self.device = torch.zeros(*shape, dtype=dtype, device=device)
        # Page-locked memory is copied in the background.
        self._host = torch.zeros(*shape, dtype=dtype, pin_memory=device.type == "cuda")
        self._array: npt.NDArray[Any] = self._host.numpy()

    def put(self, array: npt.ArrayLike, part: slice = slice(None)) -> None:
        """Start to copy values to the device, which must have used the values before.

        Args:
            array: the values.
            part: where they belong in the first dimension.
        """
        self._array[part] = array
        self.device[part].copy_(self._host[part], non_blocking=True)


def fetch(tensor: Tensor) -> Tensor:
    """Start to copy a tensor into new memory of the host; `wait` before you read it."""
    return tensor.to("cpu", non_blocking=True)


def fetch_all(tensors: Iterable[Tensor], device: torch.device) -> list[npt.NDArray[Any]]:
    """Return tensors as arrays, batches of one image as (channels, height, width)."""
    fetched = [fetch(tensor) for tensor in tensors]
    wait(device)
    return [(tensor[0] if tensor.ndim == 4 else tensor).numpy() for tensor in fetched]


def wait(device: torch.device) -> None:
    """Wait for all that the device was given."""
    if device.type == "cuda":
        torch.cuda.current_stream(device).synchronize()
