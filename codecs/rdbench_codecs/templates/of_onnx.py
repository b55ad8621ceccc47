"""my-codec: an encoder and a decoder as ONNX networks; their latent is compressed with bz2.

    rdbench check FILE
    rdbench run --codec 'FILE:encoder=enc.onnx,decoder=dec.onnx' --dataset sample

The encoder maps (1, 3, height, width) in [0, 1] to a latent, the decoder a latent to an image.
Without the settings encoder and decoder two functions of NumPy take their place, so that the file
works before you have networks. ONNX files need `pip install onnxruntime`.
"""

import bz2
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from rdbench import Bitstream, BitstreamError, Codec, Image, Segment, Unavailable

HEADER = struct.Struct("<4s5Hf")  # a marker, height, width, shape of the latent, step
MARKER = b"onnx"
STRIDE = 64  # both sides of an image are padded to multiples of it


@dataclass(frozen=True)
class MyCodec(Codec):
    """One operating point. Its fields are its settings."""

    name: ClassVar[str] = "my-codec"
    title: ClassVar[str] = "ONNX networks, bz2"
    rate_parameters: ClassVar[tuple[str, ...]] = ("step",)
    ladder_values: ClassVar[tuple[float, ...]] = (0.32, 0.16, 0.08, 0.04, 0.02)  # rising rate

    step: float = 0.08
    encoder: str | None = None
    decoder: str | None = None

    def __post_init__(self) -> None:
        if not 0.001 <= self.step <= 10:
            raise ValueError(f"step={self.step} is not between 0.001 and 10")

    def check(self) -> None:
        """Raise Unavailable where onnxruntime or a network is missing."""
        for path in filter(None, (self.encoder, self.decoder)):
            session(path)

    def prepare(self) -> None:
        """Load the networks before any time is measured."""
        self.check()

    def encode(self, image: Image) -> Bitstream:
        """Encode (height, width, 3) of uint8. Every byte of Bitstream.data counts as rate."""
        height, width = image.shape[:2]
        padded = np.pad(image, ((0, -height % STRIDE), (0, -width % STRIDE), (0, 0)), "edge")
        x = (padded.transpose(2, 0, 1)[None] / 255).astype(np.float32)
        latent = run(self.encoder, x) if self.encoder else averages(x)
        symbols = np.rint(latent / self.step).clip(-32768, 32767).astype("<i2")
        header = HEADER.pack(MARKER, height, width, *symbols.shape[1:], self.step)
        payload = bz2.compress(symbols.tobytes())  # replace it with your entropy coder
        segments = Segment("header", len(header)), Segment("latent", len(payload))
        return Bitstream(header + payload, segments)

    def decode(self, data: bytes) -> np.ndarray:
        """Decode, using nothing but the bytes: all that encode chose must be in them."""
        try:
            marker, height, width, *shape, step = HEADER.unpack_from(data)
            symbols = np.frombuffer(bz2.decompress(data[HEADER.size :]), "<i2").reshape(1, *shape)
        except (struct.error, OSError, ValueError) as error:
            raise BitstreamError(f"not a my-codec file, or cut short: {error}") from None
        if marker != MARKER or not symbols.size:
            raise BitstreamError("not a my-codec file")
        latent = (symbols * step).astype(np.float32)
        x_hat = run(self.decoder, latent) if self.decoder else enlarged(latent)
        image: np.ndarray = x_hat[0].transpose(1, 2, 0)[:height, :width]
        return image.clip(0, 1).astype(np.float32)


def run(path: str, x: np.ndarray) -> np.ndarray:
    """The first output of a network for its only input."""
    network = session(path)
    return np.asarray(network.run(None, {network.get_inputs()[0].name: x})[0])


@lru_cache
def session(path: str) -> Any:
    """A network, loaded once per process."""
    try:
        import onnxruntime
    except ImportError:
        raise Unavailable("my-codec needs onnxruntime: pip install onnxruntime") from None
    if not Path(path).is_file():
        raise Unavailable(f"{path} not found; give encoder=PATH and decoder=PATH")
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def averages(x: np.ndarray) -> np.ndarray:
    """In place of an encoder: means of 2x2 pixels, around zero."""
    _, channels, height, width = x.shape
    means = x.reshape(1, channels, height // 2, 2, width // 2, 2).mean((3, 5)) - 0.5
    return np.asarray(means, np.float32)


def enlarged(latent: np.ndarray) -> np.ndarray:
    """In place of a decoder: each value four times."""
    return latent.repeat(2, 2).repeat(2, 3) + 0.5
