"""A codec of your own: check that it keeps the contract, then compare it with JPEG."""

import struct
import zlib
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

import rdbench
from rdbench.testing import check_codec

HEADER = struct.Struct("<4sHHB")


@dataclass(frozen=True)
class Steps(rdbench.Codec):
    """Pixels rounded to multiples of a step, compressed with zlib."""

    name: ClassVar[str] = "steps"
    title: ClassVar[str] = "rounded pixels, zlib"
    rate_parameters: ClassVar[tuple[str, ...]] = ("step",)
    ladder_values: ClassVar[tuple[int, ...]] = (96, 64, 48, 32, 16)

    step: int = 48

    def __post_init__(self) -> None:
        if not 1 <= self.step <= 128:
            raise ValueError(f"step={self.step} is not between 1 and 128")

    def encode(self, image: rdbench.Image) -> rdbench.Bitstream:
        levels = zlib.compress((image // self.step).tobytes(), level=9)
        return rdbench.Bitstream(HEADER.pack(b"step", *image.shape[:2], self.step) + levels)

    def decode(self, data: bytes) -> rdbench.Image:
        try:
            mark, height, width, step = HEADER.unpack_from(data)
            levels = np.frombuffer(zlib.decompress(data[HEADER.size :]), np.uint8)
            pixels = levels.reshape(height, width, 3) * float(step) + step / 2
        except (struct.error, zlib.error, ValueError) as error:
            raise rdbench.BitstreamError(f"not a steps file, or cut short: {error}") from None
        if mark != b"step":
            raise rdbench.BitstreamError("not a steps file")
        return pixels.clip(0, 255).astype(np.uint8)


if __name__ == "__main__":
    for result in check_codec(Steps()):
        print(result.status, result.check, result.reason)
    rdbench.run([*Steps().ladder(), "jpeg"], "sample", "reports")
    curves = rdbench.load_curves("reports", "sample")
    print(rdbench.bd_rate(curves["jpeg"], curves["steps"]))
