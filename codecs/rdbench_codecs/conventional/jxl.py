"""JPEG XL, lossy (VarDCT), through libjxl.

Library: imagecodecs, the best-kept binding with wheels everywhere; it sets Butteraugli distance and
effort and writes the bare codestream. Effort 7 is libjxl's default. libjxl optimises for the eye
(XYB colour, adaptive quantisation), so PSNR is not what it is best at, and a lower effort can have
the higher PSNR at equal rate. From distance 20 up it codes the image at half the size.
One thread.

Source: ISO/IEC 18181-1; https://github.com/libjxl/libjxl.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import imagecodecs

from rdbench.errors import BitstreamError
from rdbench.types import Bitstream, Codec, Image
from rdbench_codecs.conventional.limits import (
    decoding,
    encoding,
    require_range,
    require_rgb,
    require_size,
)

_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


@dataclass(frozen=True)
class Jxl(Codec):
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

    distance: float = 1.0
    effort: int = 7

    def __post_init__(self) -> None:
        require_range(self, "distance", 0.01, 25.0)
        require_range(self, "effort", 1, 9)

    def encode(self, image: Image) -> Bitstream:
        """One JPEG XL codestream, without a container."""
        with encoding(image):
            data = imagecodecs.jpegxl_encode(
                image,
                distance=self.distance,
                effort=self.effort,
                lossless=False,
                usecontainer=False,
                numthreads=1,
            )
        return Bitstream(bytes(data))

    def decode(self, data: bytes) -> Image:
        """The pixels."""
        require_size(*_size(data))
        with decoding():
            return require_rgb(imagecodecs.jpegxl_decode(data, numthreads=1))

    def versions(self) -> Mapping[str, str]:
        """Of the binding and the library."""
        return {"imagecodecs": imagecodecs.__version__, "libjxl": imagecodecs.jpegxl_version()}


def _size(data: bytes) -> tuple[int, int]:
    """Width and height from the SizeHeader of a codestream (ISO/IEC 18181-1, annex D.2)."""
    if not data.startswith(b"\xff\x0a"):
        raise BitstreamError("not a JPEG XL codestream")
    bits = int.from_bytes(data[2:14], "little")

    def read(n_bits: int) -> int:
        nonlocal bits
        value, bits = bits & ((1 << n_bits) - 1), bits >> n_bits
        return value

    def side() -> int:
        return 8 * (1 + read(5)) if small else 1 + read((9, 13, 18, 30)[read(2)])

    small = read(1)
    height = side()
    ratio = read(3)
    if ratio == 0:
        return side(), height
    numerator, denominator = _RATIOS[ratio - 1]
    return height * numerator // denominator, height
