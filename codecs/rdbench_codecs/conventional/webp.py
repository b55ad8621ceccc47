"""WebP, lossy, through libwebp.

Library: imagecodecs; it writes the same bytes as Pillow (both call libwebp's own encoder) with
less around them. ``method=4`` is libwebp's default and that of CompressAI's published curve; 6, the
slowest, saves about 2 % on Kodak for twice the time. Always 4:2:0: the format has nothing else.
At quality 100 it is still lossy.

Source: RFC 9649; https://developers.google.com/speed/webp.
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


@dataclass(frozen=True)
class Webp(Codec):
    """Lossy WebP.

    Attributes:
        quality: libwebp's quality, 0 to 100.
        method: effort, 0 (fast) to 6 (slow).
    """

    name: ClassVar[str] = "webp"
    title: ClassVar[str] = "WebP, lossy (libwebp)"
    rate_parameters: ClassVar[tuple[str, ...]] = ("quality",)
    ladder_values: ClassVar[tuple[int, ...]] = (0, 5, 15, 30, 45, 60, 75, 85, 90, 95)

    quality: int = 75
    method: int = 4

    def __post_init__(self) -> None:
        require_range(self, "quality", 0, 100)
        require_range(self, "method", 0, 6)

    def encode(self, image: Image) -> Bitstream:
        """One WebP file of a single VP8 chunk; at most 16383 pixels a side."""
        with encoding(image):
            data = imagecodecs.webp_encode(image, self.quality, lossless=False, method=self.method)
        return Bitstream(bytes(data))

    def decode(self, data: bytes) -> Image:
        """The pixels, with the library's smooth ("fancy") chroma upsampling."""
        require_size(*_size(data))
        with decoding():
            return require_rgb(imagecodecs.webp_decode(data))

    def versions(self) -> Mapping[str, str]:
        """Of the binding and the library."""
        return {"imagecodecs": imagecodecs.__version__, "libwebp": imagecodecs.webp_version()}


def _size(data: bytes) -> tuple[int, int]:
    """Width and height of a simple lossy file (RFC 9649, 2.5; RFC 6386, 9.1)."""
    if data[:4] != b"RIFF" or data[8:16] != b"WEBPVP8 " or data[23:26] != b"\x9d\x01\x2a":
        raise BitstreamError("not a lossy WebP file")
    width, height = data[26:28], data[28:30]
    return int.from_bytes(width, "little") & 0x3FFF, int.from_bytes(height, "little") & 0x3FFF
