"""JPEG 2000 through OpenJPEG.

Library: Pillow, the only well-kept binding with OpenJPEG's rate control (imagecodecs controls by
PSNR alone). The rate is asked for directly, as in CompressAI's published curve, and hit to a few
bytes.
Two defaults of Pillow would be a handicap, so they are set: the irreversible 9/7 wavelet (the
reversible 5/3 needs 13 % more on Kodak) and the transform to luma and chroma (Pillow
leaves RGB as it is: over twice the rate). One tile, one quality layer, bare codestream.

Source: ITU-T T.800; https://www.openjpeg.org.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from rdbench_codecs.conventional.library import PillowCodec
from rdbench_codecs.conventional.limits import Ranges

CODESTREAM = {
    "no_jp2": True,
    "comment": " ",  # the least there can be; else OpenJPEG signs with 37 bytes
    "mct": 1,
}
"""What Pillow must be told to write a J2K file in luma and chroma."""


@dataclass(frozen=True)
class Jpeg2000(PillowCodec):
    """JPEG 2000, irreversible.

    Attributes:
        bpp: rate to reach, in bits per pixel.
    """

    name: ClassVar[str] = "jpeg2000"
    title: ClassVar[str] = "JPEG 2000 (OpenJPEG)"
    rate_parameters: ClassVar[tuple[str, ...]] = ("bpp",)
    ladder_values: ClassVar[tuple[float, ...]] = (0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0)
    ranges: ClassVar[Ranges] = {"bpp": (0.001, 24.0)}
    format: ClassVar[str] = "JPEG2000"
    library: ClassVar[tuple[str, str]] = ("openjpeg", "jpg_2000")

    bpp: float = 1.0

    def options(self) -> Mapping[str, Any]:
        layers = [24 / self.bpp]
        return CODESTREAM | {
            "irreversible": True, "quality_mode": "rates", "quality_layers": layers
        }  # fmt: skip
