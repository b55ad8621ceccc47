"""JPEG through MozJPEG, in the extra ``codecs``.

Library: pyvips with pyvips-binary, the wheel whose libvips holds MozJPEG. Progressive, scans
optimised, trellis quantisation, overshoot deringing; no metadata. Quantisation table 2 has the
highest PSNR on Kodak of those tried (0, 2, 3); MozJPEG's own default is 3. Decoded by libjpeg-turbo
as codec ``jpeg``.

Source: ITU-T T.81; https://github.com/mozilla/mozjpeg; https://www.libvips.org.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar, Literal

import imagecodecs
import numpy as np

from rdbench.errors import Unavailable
from rdbench.types import Image
from rdbench_codecs.conventional import headers
from rdbench_codecs.conventional.library import LibraryCodec
from rdbench_codecs.conventional.limits import Ranges, require_size

_SUBSAMPLE = {"420": "on", "444": "off"}  # libvips's "auto" is 4:4:4 from quality 90 up


@dataclass(frozen=True)
class MozJpeg(LibraryCodec):
    """JPEG by MozJPEG.

    Attributes:
        quality: libjpeg's quality, 1 to 100.
        subsampling: chroma sampling.
        table: MozJPEG's number of a base quantisation table, 0 to 8.
    """

    name: ClassVar[str] = "mozjpeg"
    title: ClassVar[str] = "JPEG (MozJPEG)"
    rate_parameters: ClassVar[tuple[str, ...]] = ("quality",)
    ladder_values: ClassVar[tuple[int, ...]] = (5, 15, 25, 45, 65, 75, 85, 92, 95, 97)
    ranges: ClassVar[Ranges] = {"quality": (1, 100), "table": (0, 8)}

    quality: int = 75
    subsampling: Literal["420", "444"] = "420"
    table: int = 2

    def check(self) -> None:
        """Unavailable where pyvips or MozJPEG are missing."""
        _pyvips()

    def compress(self, image: Image) -> bytes:
        return _save(_pyvips(), image, self.quality, _SUBSAMPLE[self.subsampling], self.table)

    def decompress(self, data: bytes) -> Any:
        require_size(*headers.jpeg(data))
        return imagecodecs.jpeg8_decode(data)

    def versions(self) -> Mapping[str, str]:
        """Of the binding, of the library, of the wheel that holds MozJPEG, and of the decoder."""
        pyvips = _pyvips()
        libvips = ".".join(str(pyvips.version(part)) for part in range(3))
        return {
            "pyvips": pyvips.__version__,
            "libvips": libvips,
            "pyvips-binary": _version("pyvips-binary"),
            "libjpeg-turbo": imagecodecs.jpeg8_version(),
        }


def _save(pyvips: Any, image: Image, quality: int, subsample: str, table: int) -> bytes:
    height, width = image.shape[:2]
    source = pyvips.Image.new_from_memory(image.tobytes(), width, height, 3, "uchar")
    data: bytes = source.copy(interpretation="srgb").jpegsave_buffer(
        Q=quality,
        optimize_coding=True,
        interlace=True,
        trellis_quant=True,
        overshoot_deringing=True,
        optimize_scans=True,
        quant_table=table,
        subsample_mode=subsample,
        keep="none",
    )
    return data


@cache
def _pyvips() -> Any:
    """The binding, whose libvips was found to hold MozJPEG: other tables give other files."""
    try:
        import pyvips
    except (ImportError, OSError) as error:  # OSError: pyvips without a libvips
        reason = " ".join(str(error).split())[:200]
        raise Unavailable(
            f"MozJPEG needs pyvips and pyvips-binary ({reason}): pip install 'rdbench[codecs]'"
        ) from None
    grey = np.full((8, 8, 3), 99, np.uint8)
    if _save(pyvips, grey, 50, "on", 0) == _save(pyvips, grey, 50, "on", 2):
        raise Unavailable("this libvips has no MozJPEG: pip install 'rdbench[codecs]'")
    return pyvips


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
