"""Butteraugli, as the program of libjxl computes it."""

import math
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import cv2
import numpy as np

from rdbench.errors import DataError, Unavailable
from rdbench.metrics.metric import Metric
from rdbench.types import Image, Reconstruction

PROGRAM = "butteraugli_main"
SMALLEST_SIDE = 8


def check() -> None:
    """Raise Unavailable unless the program is installed."""
    if shutil.which(PROGRAM) is None:
        raise Unavailable(
            f"Butteraugli needs the program {PROGRAM} of libjxl: apt install libjxl-devtools"
        )


def butteraugli(image: Image, reconstruction: Reconstruction) -> float | None:
    """3-norm of the Butteraugli map at 80 nits; 0 for equal images, 1 is just noticeable.

    The program reads 8 bits, so a float reconstruction is rounded. Versions of libjxl differ by up
    to 5 %: compare scores of one version only.

    Source: Alakuijala et al., https://github.com/libjxl/libjxl, ``tools/butteraugli_main.cc``.

    Returns:
        None where a side has fewer than 8 pixels, for which the program prints 0.
    """
    return _run(image, reconstruction, r"3-norm: (\S+)")


def butteraugli_max(image: Image, reconstruction: Reconstruction) -> float | None:
    """Maximum of the Butteraugli map; see `butteraugli`."""
    return _run(image, reconstruction, r"^([\d.]+)$")


def _run(image: Image, reconstruction: Reconstruction, wanted: str) -> float | None:
    check()
    if min(image.shape[:2]) < SMALLEST_SIDE:
        return None
    with tempfile.TemporaryDirectory(prefix="rdbench-") as folder:
        for name, pixels in (("a.png", image), ("b.png", reconstruction)):
            _write(Path(folder, name), pixels)
        done = subprocess.run(
            [PROGRAM, "a.png", "b.png"], cwd=folder, capture_output=True, text=True, check=False
        )
    found = re.search(wanted, done.stdout, re.MULTILINE)
    if done.returncode or not found:
        raise DataError(f"{PROGRAM} failed: {' '.join(done.stderr.split())[-200:]}")
    return float(found[1])


def _write(path: Path, pixels: Reconstruction) -> None:
    """Write a PNG of 8 bits, quickly rather than small."""
    samples = pixels if pixels.dtype == np.uint8 else np.rint(np.clip(pixels, 0, 1) * 255)
    bgr = np.ascontiguousarray(samples[..., ::-1], np.uint8)
    path.write_bytes(cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes())


BUTTERAUGLI = Metric(
    name="butteraugli",
    title="Butteraugli (3-norm)",
    source="butteraugli_main of libjxl, 80 nits; versions differ",
    function=butteraugli,
    worst=math.inf,
    best=0,
    check=check,
)
BUTTERAUGLI_MAX = Metric(
    name="butteraugli_max",
    title="Butteraugli max",
    source="butteraugli_main of libjxl, 80 nits; versions differ",
    function=butteraugli_max,
    worst=math.inf,
    best=0,
    check=check,
)
