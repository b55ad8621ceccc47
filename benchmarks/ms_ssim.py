"""Compare the speed of our MS-SSIM with pytorch-msssim: medians of alternating calls.

    python benchmarks/ms_ssim.py

Both use the number of threads shown: pytorch-msssim through torch, ours through OpenCV.
"""

import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np
import torch
from pytorch_msssim import ms_ssim as reference_ms_ssim

from rdbench.metrics.ms_ssim import ms_ssim
from rdbench.types import Image

SIZES = ((768, 512), (2048, 1365))
REPEATS = 9


def images(width: int, height: int) -> tuple[Image, Image]:
    """Return smooth noise, and the same image with a little noise added."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    original = np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))
    noisy = np.clip(original + rng.normal(0, 5, original.shape), 0, 255)
    return original.astype(np.uint8), noisy.astype(np.uint8)


def tensor(image: Image) -> torch.Tensor:
    """Return the image as (1, 3, height, width), float32, contiguous."""
    return torch.from_numpy(image).permute(2, 0, 1)[None].float().contiguous()


def seconds(call: Callable[[], object]) -> float:
    """Return the wall time of one call."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def main() -> None:
    """Print one line per size and number of threads."""
    print("     size threads  pytorch-msssim    rdbench  ratio  difference")
    for width, height in SIZES:
        x, y = images(width, height)
        tx, ty = tensor(x), tensor(y)
        for threads in (1, 2):
            torch.set_num_threads(threads)
            cv2.setNumThreads(threads)
            difference = (ms_ssim(x, y) or 0.0) - float(reference_ms_ssim(tx, ty))
            pairs = [
                (seconds(lambda: reference_ms_ssim(tx, ty)), seconds(lambda: ms_ssim(x, y)))  # noqa: B023
                for _ in range(REPEATS)
            ]
            theirs, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
            times = f"{1e3 * theirs:>12.1f} ms {1e3 * ours:>7.1f} ms {theirs / ours:>6.1f}"
            print(f"{width:>5}x{height:<4} {threads:>6} {times}  {difference:+.1e}")


if __name__ == "__main__":
    main()
