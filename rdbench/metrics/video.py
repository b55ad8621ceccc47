"""VMAF, VMAF-NEG, CAMBI and XPSNR, as the ffmpeg of the package imageio-ffmpeg computes them.

The package is optional. Images are given to ffmpeg as YUV 4:2:0 of 8 bits, BT.709, limited range,
which these models were made for, and which `yuv420` makes: ffmpeg converts nothing.
"""

import functools
import json
import math
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from rdbench.errors import DataError, Unavailable
from rdbench.metrics.colour import yuv420
from rdbench.metrics.metric import Metric, needs
from rdbench.types import Image, Reconstruction

SMALLEST_SIDE = 17
"""Pixels a side that VMAF takes."""

_CAMBI_SIDE = 216
_BT709 = "setparams=range=tv:colorspace=bt709"


def check(title: str, name: str) -> None:
    """Raise Unavailable unless there is an ffmpeg with a filter.

    Args:
        title: of the metric.
        name: of the filter.
    """
    needs(title, "metrics", "imageio_ffmpeg")
    if name not in _filters(program()):
        raise Unavailable(f"{title} needs an ffmpeg with the filter {name}: {program()} has none")


def program() -> str:
    """Path of ffmpeg; that of ``IMAGEIO_FFMPEG_EXE`` where it is set."""
    import imageio_ffmpeg

    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise Unavailable(str(error)) from None


@functools.cache
def _filters(ffmpeg: str) -> frozenset[str]:
    """Names of the filters that a program has."""
    try:
        text = subprocess.run(
            [ffmpeg, "-hide_banner", "-filters"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise Unavailable(f"{ffmpeg} does not run: {error}") from None
    return frozenset(line.split()[1] for line in text.splitlines() if "->" in line)


def vmaf(image: Image, reconstruction: Reconstruction) -> float | None:
    """VMAF v0.6.1 of the luma.

    Source: Li et al., "Toward a practical perceptual video quality metric", Netflix, 2016;
    libvmaf, integer version.

    Returns:
        A value in [0, 100]; equal images have 97.43, for nothing moves. None where a side has fewer
        than 17 pixels.
    """
    return _libvmaf(image, reconstruction, "model=version=vmaf_v0.6.1", "vmaf")


def vmaf_neg(image: Image, reconstruction: Reconstruction) -> float | None:
    """VMAF v0.6.1 without the gain that sharpening brings; see `vmaf`."""
    return _libvmaf(image, reconstruction, "model=version=vmaf_v0.6.1neg", "vmaf")


def cambi(image: Image, reconstruction: Reconstruction) -> float | None:
    """Contrast aware multiscale banding index of the reconstruction; the original is not looked at.

    Source: Tandon et al., "CAMBI: contrast-aware multiscale banding index", PCS 2021.

    Returns:
        0 where there is no banding, about 5 where it annoys; None where both sides have fewer than
        216 pixels.
    """
    if max(image.shape[:2]) < _CAMBI_SIDE:
        return None
    return _libvmaf(image, reconstruction, "feature=name=cambi", "cambi")


def xpsnr(image: Image, reconstruction: Reconstruction) -> float | None:
    """XPSNR of the luma: PSNR whose errors weigh less where the original is busy.

    An odd last row or column is left out: the program gives a block that is one sample wide the
    weight of a whole one, which costs up to 7 dB.

    Source: Helmrich, Bosse, Schwarz, Marpe, Wiegand, "A study of the extended perceptually weighted
    peak signal-to-noise ratio (XPSNR) for video compression with different resolutions and bit
    depths", ITU Journal 3(1), 2020.

    Returns:
        dB; None where no luma differs, or where a side has fewer than 17 pixels.
    """
    height, width = (side // 2 * 2 for side in image.shape[:2])
    if min(height, width) < SMALLEST_SIDE:
        return None
    printed = _ffmpeg(image[:height, :width], reconstruction[:height, :width], "xpsnr").stderr
    found = re.search(r"XPSNR +y: *(\S+)", printed)
    if not found:
        raise DataError(f"ffmpeg gave no XPSNR: {printed[-200:]}")
    return value if math.isfinite(value := float(found[1])) else None


def _libvmaf(
    image: Image, reconstruction: Reconstruction, option: str, feature: str
) -> float | None:
    """One value of libvmaf's log."""
    if min(image.shape[:2]) < SMALLEST_SIDE:
        return None
    chain = f"libvmaf=n_threads=1:log_fmt=json:log_path=/dev/stdout:{option}"
    done = _ffmpeg(image, reconstruction, chain)
    try:
        return float(json.loads(done.stdout)["frames"][0]["metrics"][feature])
    except (ValueError, LookupError):
        raise DataError(f"libvmaf gave no {feature}: {done.stderr[-200:]}") from None


def _ffmpeg(
    image: Image, reconstruction: Reconstruction, chain: str
) -> subprocess.CompletedProcess[str]:
    """Run a filter of two inputs, the reconstruction first.

    Raises:
        DataError: it failed.
    """
    height, width = image.shape[:2]
    frame = f"-f rawvideo -pixel_format yuv420p -video_size {width}x{height} -i".split()
    graph = f"[0:v]{_BT709}[d];[1:v]{_BT709}[r];[d][r]{chain}"
    with tempfile.TemporaryDirectory(prefix="rdbench-") as folder:
        for name, pixels in (("d.yuv", reconstruction), ("r.yuv", image)):
            Path(folder, name).write_bytes(b"".join(plane.tobytes() for plane in yuv420(pixels)))
        done = subprocess.run(
            [program(), "-hide_banner", "-nostdin", *frame, "d.yuv", *frame, "r.yuv",
             "-lavfi", graph, "-threads", "1", "-f", "null", "-"],
            cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        raise DataError(f"ffmpeg failed: {' '.join(done.stderr.split())[-200:]}")
    return done


def _metric(
    name: str, title: str, source: str, function: Any, filter_: str, **about: Any
) -> Metric:
    return Metric(
        name=name,
        title=title,
        source=source,
        function=function,
        **({"worst": 0, "best": 100} | about),
        check=functools.partial(check, title.partition(" (")[0], filter_),
        libraries=("imageio-ffmpeg",),
    )


VMAF = _metric("vmaf", "VMAF", "libvmaf, v0.6.1; 97.43 for equal images", vmaf, "libvmaf")
VMAF_NEG = _metric(
    "vmaf_neg", "VMAF-NEG", "libvmaf, v0.6.1neg; 97.42 for equal images", vmaf_neg, "libvmaf"
)
CAMBI = _metric(
    "cambi", "CAMBI", "libvmaf; of the reconstruction alone", cambi, "libvmaf", worst=24, best=0
)
XPSNR = _metric(
    "xpsnr",
    "XPSNR (luma)",
    "Helmrich et al. 2020; ffmpeg",
    xpsnr,
    "xpsnr",
    unit="dB",
    best=math.inf,
)
