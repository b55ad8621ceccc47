"""JPEG XR, lossy, through jxrlib.

Library: imagecodecs, the one wheel with jxrlib. Its ``level`` is jxrlib's image quality as a
fraction. Below 0.5 jxrlib codes 4:2:0 with two passes of overlap and refuses images that are not
wider than 16 pixels; from 0.5 up 4:4:4 with one pass. It does not go below about 0.35 bits per
pixel on Kodak. The container, like that of TIFF, is counted.

jxrlib is no longer developed and can crash on damaged files: decode only files that you trust.

Source: ITU-T T.832; https://github.com/cgohlke/imagecodecs (jxrlib 1.1).
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import imagecodecs

from rdbench.errors import EncoderError
from rdbench.types import Image
from rdbench_codecs.conventional import headers
from rdbench_codecs.conventional.library import ImagecodecsCodec
from rdbench_codecs.conventional.limits import Ranges, require_size

_FULL_CHROMA = 0.5
_MACROBLOCK = 16


@dataclass(frozen=True)
class JpegXr(ImagecodecsCodec):
    """Lossy JPEG XR.

    Attributes:
        quality: jxrlib's image quality, 0.001 to 0.999.
    """

    name: ClassVar[str] = "jpegxr"
    title: ClassVar[str] = "JPEG XR, lossy (jxrlib)"
    rate_parameters: ClassVar[tuple[str, ...]] = ("quality",)
    ladder_values: ClassVar[tuple[float, ...]] = (
        *(0.01, 0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.75, 0.82),
    )
    ranges: ClassVar[Ranges] = {"quality": (0.001, 0.999)}
    library: ClassVar[tuple[str, str]] = ("jxrlib", "jpegxr")

    quality: float = 0.3

    def compress(self, image: Image) -> Any:
        if self.quality < _FULL_CHROMA and image.shape[1] <= _MACROBLOCK:  # else jxrlib prints it
            raise EncoderError(f"jxrlib codes 4:2:0 only if wider than {_MACROBLOCK} pixels")
        return imagecodecs.jpegxr_encode(image, self.quality)

    def decompress(self, data: bytes) -> Any:
        require_size(*headers.jpegxr(data))
        return imagecodecs.jpegxr_decode(data)
