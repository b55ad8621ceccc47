"""JPEG through jpegli, Google's encoder and decoder, in the extra ``codecs``.

Library: pyjpegli, the one wheel with jpegli. It offers the quality and nothing else: YCbCr 4:2:0,
baseline sequential, adaptive quantisation, Huffman tables made for the image, no metadata. jpegli's
own decoder is used, which keeps more than 8 bits between its steps. Other decoders read the files
too; libjpeg-turbo's pixels have 0.1 to 0.2 dB more below 1 bit per pixel and 0.2 dB less at 3 on
Kodak. It does not go below about 0.27 bits per pixel there.

Source: ITU-T T.81; https://github.com/google/jpegli.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from rdbench.errors import Unavailable
from rdbench.types import Image
from rdbench_codecs.conventional import headers
from rdbench_codecs.conventional.library import LibraryCodec
from rdbench_codecs.conventional.limits import Ranges, require_size


@dataclass(frozen=True)
class Jpegli(LibraryCodec):
    """JPEG by jpegli.

    Attributes:
        quality: jpegli's quality, 1 to 100.
    """

    name: ClassVar[str] = "jpegli"
    title: ClassVar[str] = "JPEG (jpegli)"
    rate_parameters: ClassVar[tuple[str, ...]] = ("quality",)
    ladder_values: ClassVar[tuple[int, ...]] = (1, 15, 40, 55, 70, 80, 88, 93, 96)
    ranges: ClassVar[Ranges] = {"quality": (1, 100)}

    quality: int = 75

    def check(self) -> None:
        """Unavailable where pyjpegli is not installed."""
        _pyjpegli()

    def compress(self, image: Image) -> bytes:
        height, width = image.shape[:2]
        data: bytes = _pyjpegli().encode(image.tobytes(), width, height, quality=self.quality)
        return data

    def decompress(self, data: bytes) -> Image:
        require_size(*headers.jpeg(data))
        pixels, width, height = _pyjpegli().decode(data)
        return np.frombuffer(pixels, np.uint8).reshape(height, width, 3)

    def versions(self) -> Mapping[str, str]:
        """Of the binding, which holds the library."""
        return {"pyjpegli": _pyjpegli().__version__}


def _pyjpegli() -> Any:
    try:
        import pyjpegli
    except ImportError:
        raise Unavailable("jpegli needs pyjpegli: pip install 'rdbench[codecs]'") from None
    return pyjpegli
