"""HEVC intra 4:4:4 (HEIC files) through libheif, x265 and libde265.

Library: pillow-heif, the maintained binding of libheif, whose wheels include x265 and which
passes x265's own options through. Settings and reasons:

- ``chroma=444``: 4:4:4 is coded, as in BPG's published 4:4:4 curve. RGB to YCbCr by libheif: BT.601
  coefficients, full range, 8 bit, rounded; the round trip alone is worth 53 dB on Kodak.
- constant quantiser: ``qp`` is the QP of the one I slice (``ipratio=1`` takes x265's offset away).
- ``tune=psnr`` and no psycho-visual optimisation. In 4:4:4 x265 raises the chroma QP by 6 wherever
  that is on, and libheif switches it on: 11 % more rate at equal PSNR.
- preset ``slow``: slower ones gain 0.2 %.
- no thread pool, so that the bytes do not depend on the machine.

The HEIC container takes 375 bytes of every file, and they are counted.

Source: ITU-T H.265; https://github.com/strukturag/libheif, https://bitbucket.org/multicoreware/x265_git.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pillow_heif

from rdbench.errors import Unavailable
from rdbench.types import Image
from rdbench_codecs.conventional.library import LibraryCodec
from rdbench_codecs.conventional.limits import Ranges, require_size


@dataclass(frozen=True)
class Hevc(LibraryCodec):
    """HEVC intra, 4:4:4, 8 bit.

    Attributes:
        qp: quantisation parameter, 0 to 51.
        preset: x265's preset.
    """

    name: ClassVar[str] = "hevc"
    title: ClassVar[str] = "HEVC intra 4:4:4 (x265, HEIC)"
    rate_parameters: ClassVar[tuple[str, ...]] = ("qp",)
    ladder_values: ClassVar[tuple[int, ...]] = tuple(range(47, 11, -5))
    ranges: ClassVar[Ranges] = {"qp": (0, 51)}

    qp: int = 32
    preset: Literal["ultrafast", "fast", "medium", "slow", "veryslow", "placebo"] = "slow"

    def check(self) -> None:
        """Unavailable where pillow-heif was built without x265."""
        if "x265" not in pillow_heif.libheif_info()["encoders"]:
            raise Unavailable("this pillow-heif has no x265: pip install pillow-heif from PyPI")

    def compress(self, image: Image) -> bytes:
        """One HEIC file without metadata."""
        file = io.BytesIO()
        height, width = image.shape[:2]
        options = {
            "preset": self.preset,
            "tune": "psnr",
            "x265:psy-rd": "0",
            "x265:psy-rdoq": "0",
            "x265:qp": str(self.qp),
            "x265:ipratio": "1",
            "x265:pools": "none",
        }
        pillow_heif.encode(
            "RGB", (width, height), image.tobytes(), file, chroma=444, enc_params=options
        )
        return file.getvalue()

    def decompress(self, data: bytes) -> Image:
        image = pillow_heif.open_heif(data)
        require_size(*image.size)
        pillow_heif.options.DECODE_THREADS = 1
        return np.asarray(image)

    def versions(self) -> Mapping[str, str]:
        """Of the binding and the libraries."""
        info = pillow_heif.libheif_info()
        return {
            "pillow-heif": pillow_heif.__version__,
            "libheif": info["libheif"],
            "x265": info["encoders"].get("x265", ""),
            "libde265": info["decoders"].get("libde265", ""),
        }
