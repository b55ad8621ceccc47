"""How torch computes while an image is coded: threads, exact results, device."""

import contextlib
from collections.abc import Iterator

import torch

from rdbench.errors import Unavailable

MAX_SYMBOL = 2.0**30
"""Largest magnitude of an integer that is coded."""

UNCODABLE = "the latents contain NaN or values that are too large to encode"


@contextlib.contextmanager
def threads(number: int | None) -> Iterator[None]:
    """Let torch use that many CPU threads inside; None changes nothing."""
    before = torch.get_num_threads()
    if number is not None and number != before:
        torch.set_num_threads(number)
    try:
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)


@contextlib.contextmanager
def coding(n_threads: int | None) -> Iterator[None]:
    """Compute without gradients and, on a GPU, with the same result every time.

    cuDNN would otherwise try several algorithms, and either library might use TF32: the entropy
    models of encoder and decoder would differ by more than entropy coding allows.
    """
    flags = torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    )
    products = torch.backends.cuda.matmul
    before = products.allow_tf32
    products.allow_tf32 = False
    try:
        with torch.inference_mode(), threads(n_threads), flags:
            yield
    finally:
        products.allow_tf32 = before


def check_device(device: str) -> None:
    """Raise Unavailable where torch does not find a device, ``cpu``, ``cuda`` or ``cuda:N``."""
    index = torch.device(device).index or 0
    if device != "cpu" and index >= torch.cuda.device_count():
        raise Unavailable(f"device {device!r} not found; use device=cpu")
