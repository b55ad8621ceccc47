"""my-codec: means of 2x2 pixels, rounded and compressed with zlib.

It runs in the environment that FILE names, which may have another Python, 3.7 or newer.
"""

import struct
import zlib

import numpy as np

HEADER = struct.Struct("<HHB")  # height, width, step


class MyCodec:
    """One operating point; the arguments are its settings.

    A class with CompressAI's compress(x) and decompress(strings, shape) works in the same way.
    """

    def __init__(self, step: int = 16) -> None:
        if not 1 <= step <= 128:
            raise ValueError(f"step={step} is not between 1 and 128")
        self.step = step

    def compress(self, image: np.ndarray) -> bytes:
        """Encode (height, width, 3) of uint8. Every byte counts as rate."""
        height, width = image.shape[:2]
        padded = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
        means = padded.reshape(padded.shape[0] // 2, 2, -1, 2, 3).mean((1, 3))
        levels = (means // self.step).astype(np.uint8)
        return HEADER.pack(height, width, self.step) + zlib.compress(levels.tobytes(), 9)

    def decompress(self, data: bytes) -> np.ndarray:
        """Decode, using nothing but the bytes; an error of any kind means a damaged file."""
        height, width, step = HEADER.unpack_from(data)
        levels = np.frombuffer(zlib.decompress(data[HEADER.size :]), np.uint8)
        levels = levels.reshape((height + 1) // 2, (width + 1) // 2, 3)
        pixels = (levels * float(step) + step / 2).clip(0, 255).astype(np.uint8)
        enlarged: np.ndarray = pixels.repeat(2, 0).repeat(2, 1)
        return enlarged[:height, :width]
