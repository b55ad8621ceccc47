"""High-Throughput JPEG 2000, lossy, through OpenJPH; decoded by OpenJPEG.

Library: imagecodecs. OpenJPH quantises with one step for the whole image and has no rate control,
so the step is the rate parameter. Irreversible colour transform (ICT, 4:4:4) and 9/7 wavelet, one
tile, one quality layer, bare codestream. The block coder takes more bytes than that of JPEG 2000
and is several times as fast.

OpenJPH, as imagecodecs calls it, lets samples below 0 or above 255 wrap around when it decodes,
which costs up to 20 dB. OpenJPEG reads the same files and clips, so it decodes here; times of
decoding are OpenJPEG's.

Source: ITU-T T.814; https://github.com/aous72/OpenJPH.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import imagecodecs

from rdbench.types import Image
from rdbench_codecs.conventional import headers
from rdbench_codecs.conventional.library import ImagecodecsCodec
from rdbench_codecs.conventional.limits import Ranges, require_size


@dataclass(frozen=True)
class Htj2k(ImagecodecsCodec):
    """High-Throughput JPEG 2000, irreversible.

    Attributes:
        step: quantisation step as a share of the range of samples, 0.0001 to 1.
    """

    name: ClassVar[str] = "htj2k"
    title: ClassVar[str] = "HTJ2K, lossy (OpenJPH, OpenJPEG)"
    rate_parameters: ClassVar[tuple[str, ...]] = ("step",)
    ladder_values: ClassVar[tuple[float, ...]] = (
        *(0.4, 0.3, 0.2, 0.12, 0.07, 0.04, 0.025, 0.015, 0.011),
    )
    ranges: ClassVar[Ranges] = {"step": (0.0001, 1.0)}
    library: ClassVar[tuple[str, str]] = ("openjph", "htj2k")

    step: float = 0.07

    def compress(self, image: Image) -> Any:
        return imagecodecs.htj2k_encode(image, self.step, reversible=False)

    def decompress(self, data: bytes) -> Any:
        require_size(*headers.jpeg2000(data))
        return imagecodecs.jpeg2k_decode(data, numthreads=1)

    def versions(self) -> Mapping[str, str]:
        """Of the binding, the encoder and the decoder."""
        return {**super().versions(), "openjpeg": imagecodecs.jpeg2k_version()}
