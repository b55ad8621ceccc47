"""AVIF through libavif and libaom.

Library: Pillow, because it alone hands options to libaom. libavif 1.4 tunes still images for the
eye (``tune=iq``), which costs 8 % of rate at equal PSNR on Kodak; here the default is
``tune=psnr``, and the other choices are a setting: ``ssim``, ``iq``, and ``ssimulacra2`` where
libaom knows it (that of Pillow 13 does).

4:4:4, full-range BT.601, 8 bit; one thread and one tile, so that the bytes do not depend on the
machine. Speed 6 is libavif's default (0 the slowest, 10 the fastest). The container takes about
275 bytes of every file, and they are counted. Quality 100 is nearly, 0 to 99 clearly lossy.

Source: https://aomediacodec.github.io/av1-avif/; https://github.com/AOMediaCodec/libavif.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from PIL import features

from rdbench.errors import Unavailable
from rdbench_codecs.conventional.library import PillowCodec
from rdbench_codecs.conventional.limits import Ranges


@dataclass(frozen=True)
class Avif(PillowCodec):
    """AVIF, AV1 intra.

    Attributes:
        quality: libavif's quality, 0 to 100.
        subsampling: chroma sampling.
        speed: 0 (slow) to 10 (fast).
        tune: what libaom optimises.
    """

    name: ClassVar[str] = "avif"
    title: ClassVar[str] = "AVIF (libavif, libaom)"
    rate_parameters: ClassVar[tuple[str, ...]] = ("quality",)
    ladder_values: ClassVar[tuple[int, ...]] = (5, 10, 20, 30, 40, 50, 60, 70, 80, 90)
    ranges: ClassVar[Ranges] = {"quality": (0, 100), "speed": (0, 10)}
    format: ClassVar[str] = "AVIF"
    library: ClassVar[tuple[str, str]] = ("libavif", "avif")

    quality: int = 60
    subsampling: Literal["420", "422", "444"] = "444"
    speed: int = 6
    tune: Literal["psnr", "ssim", "iq", "ssimulacra2"] = "psnr"

    def check(self) -> None:
        """Unavailable where Pillow was built without AVIF."""
        if not features.check("avif"):
            raise Unavailable("this Pillow has no AVIF: pip install 'pillow>=11.3' from PyPI")

    def options(self) -> Mapping[str, Any]:
        return {
            "codec": "aom",
            "quality": self.quality,
            "subsampling": ":".join(self.subsampling),
            "speed": self.speed,
            "autotiling": False,
            "max_threads": 1,
            "advanced": {"tune": self.tune},
        }
