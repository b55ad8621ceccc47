"""my-codec: a discrete cosine transform of 8x8 blocks, rounded and compressed with bz2.

Replace what encode and decode do with your own method. Then run

    rdbench check FILE
    rdbench run --codec FILE --codec jpeg --dataset sample
"""

import bz2
import struct
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.fft import dctn, idctn

from rdbench import Bitstream, BitstreamError, Codec, Image, Segment

HEADER = struct.Struct("<4sHHf")  # a marker, height, width, step
MARKER = b"mine"
BLOCK = 8


@dataclass(frozen=True)
class MyCodec(Codec):
    """One operating point. Its fields are its settings: ``FILE:step=20``."""

    name: ClassVar[str] = "my-codec"
    title: ClassVar[str] = "8x8 DCT, bz2"
    rate_parameters: ClassVar[tuple[str, ...]] = ("step",)
    ladder_values: ClassVar[tuple[float, ...]] = (160.0, 80.0, 40.0, 20.0, 10.0)  # rising rate

    step: float = 40.0

    def __post_init__(self) -> None:
        if not 0.5 <= self.step <= 1000:
            raise ValueError(f"step={self.step} is not between 0.5 and 1000")

    def encode(self, image: Image) -> Bitstream:
        """Encode (height, width, 3) of uint8. Every byte of Bitstream.data counts as rate."""
        height, width = image.shape[:2]
        padding = ((0, -height % BLOCK), (0, -width % BLOCK), (0, 0))
        blocks = to_blocks(np.pad(image, padding, "edge") - 128.0)
        coefficients = dctn(blocks, axes=(2, 3), norm="ortho")
        symbols = np.rint(coefficients / self.step).astype("<i2")
        header = HEADER.pack(MARKER, height, width, self.step)
        # One frequency after the other, so that bz2 finds runs of zeros.
        payload = bz2.compress(symbols.transpose(2, 3, 4, 0, 1).tobytes())
        segments = Segment("header", len(header)), Segment("coefficients", len(payload))
        return Bitstream(header + payload, segments)

    def decode(self, data: bytes) -> Image:
        """Decode, using nothing but the bytes: all that encode chose must be in them."""
        try:
            marker, height, width, step = HEADER.unpack_from(data)
            rows, columns = -(-height // BLOCK), -(-width // BLOCK)
            symbols = np.frombuffer(bz2.decompress(data[HEADER.size :]), "<i2")
            symbols = symbols.reshape(BLOCK, BLOCK, 3, rows, columns).transpose(3, 4, 0, 1, 2)
        except (struct.error, OSError, ValueError) as error:
            raise BitstreamError(f"not a my-codec file, or cut short: {error}") from None
        if marker != MARKER or not symbols.size or not 0.5 <= step <= 1000:
            raise BitstreamError("not a my-codec file")
        pixels = from_blocks(idctn(symbols * step, axes=(2, 3), norm="ortho")) + 128
        return pixels[:height, :width].round().clip(0, 255).astype(np.uint8)


def to_blocks(image: np.ndarray) -> np.ndarray:
    """(height, width, 3) as (rows, columns, 8, 8, 3)."""
    height, width = image.shape[:2]
    blocks = image.reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK, 3)
    return blocks.transpose(0, 2, 1, 3, 4)


def from_blocks(blocks: np.ndarray) -> np.ndarray:
    """The inverse of to_blocks."""
    rows, columns = blocks.shape[:2]
    return blocks.transpose(0, 2, 1, 3, 4).reshape(rows * BLOCK, columns * BLOCK, 3)
