"""JPEG XL, lossy (VarDCT), through libjxl.

Library: imagecodecs, the best-kept binding with wheels everywhere; it sets Butteraugli distance and
effort and writes the bare codestream. Effort 7 is libjxl's default. libjxl optimises for the eye
(XYB colour, adaptive quantisation), so PSNR is not what it is best at, and a lower effort can have
the higher PSNR at equal rate. ``jxl:effort=3,5,7,9`` measures one curve per effort. From distance
20 up it codes the image at half the size. One thread.

Source: ISO/IEC 18181-1; https://github.com/libjxl/libjxl.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import imagecodecs

from rdbench.types import Image
from rdbench_codecs.conventional import headers
from rdbench_codecs.conventional.library import ImagecodecsCodec
from rdbench_codecs.conventional.limits import Ranges, require_size


@dataclass(frozen=True)
class Jxl(ImagecodecsCodec):
    """Lossy JPEG XL.

    Attributes:
        distance: Butteraugli distance, 0.01 (near lossless) to 25; 1 is visually lossless.
        effort: 1 (fast) to 9 (slow).
    """

    name: ClassVar[str] = "jxl"
    title: ClassVar[str] = "JPEG XL, lossy (libjxl)"
    rate_parameters: ClassVar[tuple[str, ...]] = ("distance",)
    ladder_values: ClassVar[tuple[float, ...]] = (
        *(25.0, 15.0, 10.0, 7.0, 5.0, 3.0),
        *(2.0, 1.5, 1.0, 0.7, 0.5),
    )
    ranges: ClassVar[Ranges] = {"distance": (0.01, 25.0), "effort": (1, 9)}
    library: ClassVar[tuple[str, str]] = ("libjxl", "jpegxl")

    distance: float = 1.0
    effort: int = 7

    def compress(self, image: Image) -> Any:
        return imagecodecs.jpegxl_encode(
            image,
            distance=self.distance,
            effort=self.effort,
            lossless=False,
            usecontainer=False,
            numthreads=1,
        )

    def decompress(self, data: bytes) -> Any:
        require_size(*headers.jxl(data))
        return imagecodecs.jpegxl_decode(data, numthreads=1)
