"""Lossless codecs: every sample comes back, and a file is all there is to compare.

They have no rate parameter and no PSNR, so no curve. ``rdbench tables --table lossless`` shows
their rates and speeds. A setting such as ``effort`` may have several values, with one row for each:
``jxl-lossless:effort=1,3,5,7,9``.

Library: imagecodecs for all but JPEG 2000, for the reasons given in the modules of the lossy codecs
of these formats. 8-bit RGB, one thread, no metadata. What the formats do to decorrelate colours:

- png, qoi: predict from neighbours; no colour transform (QOI codes differences of R and B to G).
- webp-lossless, jxl-lossless: choose reversible colour transforms for the image.
- jpeg2000-lossless, htj2k-lossless: RCT, then the 5/3 wavelet; the latter with the block coder of
  High-Throughput JPEG 2000, which is faster and takes more bytes.
- jpegls: none, CharLS's default.
- jpegxr-lossless: YCoCg-R, then the lapped transform.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import imagecodecs

from rdbench.types import Codec, Image
from rdbench_codecs.conventional import headers
from rdbench_codecs.conventional.jpeg2000 import CODESTREAM
from rdbench_codecs.conventional.library import ImagecodecsCodec, PillowCodec
from rdbench_codecs.conventional.limits import Ranges, require_size


@dataclass(frozen=True)
class Png(ImagecodecsCodec):
    """PNG, filters chosen by libpng's heuristic.

    Attributes:
        level: effort of Deflate, 0 (none) to 9 (slow).
    """

    name: ClassVar[str] = "png"
    title: ClassVar[str] = "PNG, lossless (libpng)"
    lossless: ClassVar[bool] = True
    ranges: ClassVar[Ranges] = {"level": (0, 9)}
    library: ClassVar[tuple[str, str]] = ("libpng", "png")

    level: int = 9

    def compress(self, image: Image) -> Any:
        return imagecodecs.png_encode(image, self.level)

    def decompress(self, data: bytes) -> Any:
        require_size(*headers.png(data))
        return imagecodecs.png_decode(data)


@dataclass(frozen=True)
class Qoi(ImagecodecsCodec):
    """The Quite OK Image format. Source: https://qoiformat.org."""

    name: ClassVar[str] = "qoi"
    title: ClassVar[str] = "QOI, lossless (qoi.h)"
    lossless: ClassVar[bool] = True
    library: ClassVar[tuple[str, str]] = ("qoi", "qoi")

    def compress(self, image: Image) -> Any:
        return imagecodecs.qoi_encode(image)

    def decompress(self, data: bytes) -> Any:
        require_size(*headers.qoi(data))
        return imagecodecs.qoi_decode(data)


@dataclass(frozen=True)
class WebpLossless(ImagecodecsCodec):
    """WebP, lossless (VP8L).

    Attributes:
        effort: libwebp's quality, 0 (fast) to 100 (slow).
        method: what is tried, 0 (little) to 6 (all).
    """

    name: ClassVar[str] = "webp-lossless"
    title: ClassVar[str] = "WebP, lossless (libwebp)"
    lossless: ClassVar[bool] = True
    ranges: ClassVar[Ranges] = {"effort": (0, 100), "method": (0, 6)}
    library: ClassVar[tuple[str, str]] = ("libwebp", "webp")

    effort: int = 75
    method: int = 4

    def compress(self, image: Image) -> Any:
        return imagecodecs.webp_encode(image, self.effort, lossless=True, method=self.method)

    def decompress(self, data: bytes) -> Any:
        require_size(*headers.webp_lossless(data))
        return imagecodecs.webp_decode(data)


@dataclass(frozen=True)
class JxlLossless(ImagecodecsCodec):
    """JPEG XL, lossless (modular mode).

    Attributes:
        effort: 1 (fast) to 9 (slow).
    """

    name: ClassVar[str] = "jxl-lossless"
    title: ClassVar[str] = "JPEG XL, lossless (libjxl)"
    lossless: ClassVar[bool] = True
    ranges: ClassVar[Ranges] = {"effort": (1, 9)}
    library: ClassVar[tuple[str, str]] = ("libjxl", "jpegxl")

    effort: int = 7

    def compress(self, image: Image) -> Any:
        return imagecodecs.jpegxl_encode(
            image, effort=self.effort, lossless=True, usecontainer=False, numthreads=1
        )

    def decompress(self, data: bytes) -> Any:
        require_size(*headers.jxl(data))
        return imagecodecs.jpegxl_decode(data, numthreads=1)


@dataclass(frozen=True)
class Jpeg2000Lossless(PillowCodec):
    """JPEG 2000, reversible; one quality layer, bare codestream."""

    name: ClassVar[str] = "jpeg2000-lossless"
    title: ClassVar[str] = "JPEG 2000, lossless (OpenJPEG)"
    lossless: ClassVar[bool] = True
    format: ClassVar[str] = "JPEG2000"
    library: ClassVar[tuple[str, str]] = ("openjpeg", "jpg_2000")

    def options(self) -> Mapping[str, Any]:
        return CODESTREAM


@dataclass(frozen=True)
class Htj2kLossless(ImagecodecsCodec):
    """High-Throughput JPEG 2000, reversible; decoded by OpenJPH too, for its speed."""

    name: ClassVar[str] = "htj2k-lossless"
    title: ClassVar[str] = "HTJ2K, lossless (OpenJPH)"
    lossless: ClassVar[bool] = True
    library: ClassVar[tuple[str, str]] = ("openjph", "htj2k")

    def compress(self, image: Image) -> Any:
        return imagecodecs.htj2k_encode(image, reversible=True)

    def decompress(self, data: bytes) -> Any:
        require_size(*headers.jpeg2000(data))
        return imagecodecs.htj2k_decode(data)


@dataclass(frozen=True)
class JpegLs(ImagecodecsCodec):
    """JPEG-LS, lossless (ITU-T T.87)."""

    name: ClassVar[str] = "jpegls"
    title: ClassVar[str] = "JPEG-LS, lossless (CharLS)"
    lossless: ClassVar[bool] = True
    library: ClassVar[tuple[str, str]] = ("charls", "jpegls")

    def compress(self, image: Image) -> Any:
        # Noise grows by 6 %, which the library's own guess does not allow for.
        return imagecodecs.jpegls_encode(image, out=2 * image.nbytes + 1024)

    def decompress(self, data: bytes) -> Any:
        require_size(*headers.jpeg(data))
        return imagecodecs.jpegls_decode(data)


@dataclass(frozen=True)
class JpegXrLossless(ImagecodecsCodec):
    """JPEG XR, lossless (ITU-T T.832)."""

    name: ClassVar[str] = "jpegxr-lossless"
    title: ClassVar[str] = "JPEG XR, lossless (jxrlib)"
    lossless: ClassVar[bool] = True
    library: ClassVar[tuple[str, str]] = ("jxrlib", "jpegxr")

    def compress(self, image: Image) -> Any:
        return imagecodecs.jpegxr_encode(image, 1.0)

    def decompress(self, data: bytes) -> Any:
        require_size(*headers.jpegxr(data))
        return imagecodecs.jpegxr_decode(data)


CODECS: Mapping[str, type[Codec]] = {
    codec.name: codec
    for codec in (
        *(Png, Qoi, WebpLossless, JxlLossless),
        *(Jpeg2000Lossless, Htj2kLossless, JpegLs, JpegXrLossless),
    )
}
"""The family, by name."""
