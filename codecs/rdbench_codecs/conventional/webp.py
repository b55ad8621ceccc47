"""WebP, lossy, through libwebp.

Library: imagecodecs; it writes the same bytes as Pillow (both call libwebp's own encoder) with
less around them. ``method=4`` is libwebp's default and that of CompressAI's published curve; 6, the
slowest, saves about 2 % on Kodak for twice the time. Always 4:2:0: the format has nothing else.
At quality 100 it is still lossy.

Source: RFC 9649; https://developers.google.com/speed/webp.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import imagecodecs

from rdbench.types import Image
from rdbench_codecs.conventional import headers
from rdbench_codecs.conventional.library import ImagecodecsCodec
from rdbench_codecs.conventional.limits import Ranges, require_size


@dataclass(frozen=True)
class Webp(ImagecodecsCodec):
    """Lossy WebP.

    Attributes:
        quality: libwebp's quality, 0 to 100.
        method: effort, 0 (fast) to 6 (slow).
    """

    name: ClassVar[str] = "webp"
    title: ClassVar[str] = "WebP, lossy (libwebp)"
    rate_parameters: ClassVar[tuple[str, ...]] = ("quality",)
    ladder_values: ClassVar[tuple[int, ...]] = (0, 5, 15, 30, 45, 60, 75, 85, 90, 95)
    ranges: ClassVar[Ranges] = {"quality": (0, 100), "method": (0, 6)}
    library: ClassVar[tuple[str, str]] = ("libwebp", "webp")

    quality: int = 75
    method: int = 4

    def compress(self, image: Image) -> Any:
        return imagecodecs.webp_encode(image, self.quality, lossless=False, method=self.method)

    def decompress(self, data: bytes) -> Any:
        require_size(*headers.webp(data))
        return imagecodecs.webp_decode(data)
