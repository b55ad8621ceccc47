"""The codec that does nothing: raw pixels. What it costs is what the harness costs."""

import struct
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rdbench.errors import BitstreamError
from rdbench.types import Bitstream, Codec, Image, Segment

_HEADER = struct.Struct("<HH")


@dataclass(frozen=True)
class Null(Codec):
    """Raw 8-bit RGB behind a header of height and width (2 x uint16, little-endian)."""

    name: ClassVar[str] = "null"
    title: ClassVar[str] = "raw pixels (weighs the harness)"
    lossless: ClassVar[bool] = True

    def encode(self, image: Image) -> Bitstream:
        """Pixels as they are; 24 bits per pixel and a header of four bytes."""
        header = _HEADER.pack(*image.shape[:2])
        pixels = image.tobytes()
        return Bitstream(
            header + pixels, (Segment("header", len(header)), Segment("pixels", len(pixels)))
        )

    def decode(self, data: bytes) -> Image:
        """The pixels; BitstreamError where their number is not what the header says."""
        if len(data) < _HEADER.size:
            raise BitstreamError(f"{len(data)} bytes are too few for a header")
        height, width = _HEADER.unpack_from(data)
        if len(data) - _HEADER.size != 3 * height * width:
            raise BitstreamError(f"{len(data)} bytes do not hold {width}x{height} RGB pixels")
        return np.frombuffer(data, np.uint8, offset=_HEADER.size).reshape(height, width, 3)
