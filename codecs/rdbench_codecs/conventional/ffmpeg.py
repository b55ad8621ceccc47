"""VVC by VVenC and AV1 by SVT-AV1, run as programs of one ffmpeg, in the extra ``ffmpeg``.

Program: that of the package imageio-ffmpeg, or of its variable IMAGEIO_FFMPEG_EXE. Its builds for
Linux and for macOS on arm64 have both encoders, that for macOS on x86-64 has neither. The program
is GPL-3.0-or-later. rdbench starts it as a separate program.

Both encoders are given YUV 4:2:0, 10 bit, full range, the most that they take. The conversion alone
limits Kodak to about 47 dB; 4:4:4 codecs such as vtm18 have no such ceiling. Colours are converted
here (see ``colour``); ffmpeg gets planes and converts nothing. Images are extended to even sides of
at least 16 pixels by copies of their edges. A file begins with the size of the image (2 x uint16,
little-endian: width, height), to which the decoder crops; then comes the raw stream: VVC in
Annex B, or AV1 OBUs.

- vvenc: constant QP, no perceptual QP adaptation, one IDR frame. The intra anchor for those who
  cannot build VTM. Decoded by ffmpeg's own decoder of VVC. The stream does not say that its range
  is full (ffmpeg does not pass that on), so players show it with less contrast.
- svt-av1: constant QP, no adaptive quantisation, tuned for PSNR, a still image. Decoded by the
  first decoder of AV1 that ffmpeg has, dav1d or libaom.

One thread each; both encoders give the same bytes with several. Times include starting the program
and its files.

Source: ITU-T H.266, https://github.com/fraunhoferhhi/vvenc; https://aomediacodec.github.io/av1-spec,
https://gitlab.com/AOMediaCodec/SVT-AV1; https://ffmpeg.org.
"""

import functools
import re
import struct
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from rdbench.errors import BitstreamError, EncoderError, Unavailable
from rdbench.types import Bitstream, Codec, Image, Segment
from rdbench_codecs.conventional.colour import ceiling_db, from_yuv420p10, to_yuv420p10
from rdbench_codecs.conventional.limits import (
    MAX_PIXELS,
    RangedCodec,
    Ranges,
    decoding,
    encoding,
    require_size,
)
from rdbench_codecs.conventional.y4m import read_y4m
from rdbench_codecs.external.programs import ProgramError, limits_for, private_folder

_SIZE = struct.Struct("<HH")
_LEAST_SIDE = 16
_LARGEST_SIDE = 65535
_TIMEOUT_S = 3600.0
_INSTALL = "pip install 'rdbench[ffmpeg]'"
_QUIET = ("-hide_banner", "-nostdin", "-loglevel", "error")
_PLANES = ("-pix_fmt", "yuv420p10le")


class FfmpegCodec(RangedCodec):
    """An encoder of ffmpeg, and a decoder of what it writes.

    Class attributes:
        encoder: ffmpeg's name of it.
        stream: ffmpeg's name of the format of the raw stream.
        said: how the encoder names its version when it starts.
    """

    encoder: ClassVar[str]
    stream: ClassVar[str]
    said: ClassVar[str]

    @abstractmethod
    def arguments(self) -> Sequence[str]:
        """Return the encoder's options."""

    def encode(self, image: Image) -> Bitstream:
        """The size of the image, and a raw stream of one frame."""
        program, (height, width) = _ffmpeg(), image.shape[:2]
        if max(width, height) > _LARGEST_SIDE:
            raise EncoderError(f"{width}x{height} pixels: sides over {_LARGEST_SIDE} do not fit")
        with encoding(image), private_folder() as folder:
            padded = _padded(image)
            (folder.path / "input.yuv").write_bytes(to_yuv420p10(padded))
            command: list[str | Path] = [
                *(program, *_QUIET, "-f", "rawvideo", *_PLANES, "-r", "1"),
                *("-s", f"{padded.shape[1]}x{padded.shape[0]}"),
                *("-color_range", "pc", "-colorspace", "smpte170m", "-i", "input.yuv"),
                *("-frames:v", "1", "-threads", "1", "-c:v", self.encoder, *self.arguments()),
                *(*_PLANES, "-f", self.stream, "output"),
            ]
            folder.run(command, _TIMEOUT_S, limits_for(padded.nbytes))
            payload = folder.output("output").read_bytes()
        header = _SIZE.pack(width, height)
        segments = (Segment("header", len(header)), Segment("payload", len(payload)))
        return Bitstream(header + payload, segments)

    def decode(self, data: bytes) -> Image:
        """The pixels."""
        program = _ffmpeg()
        if len(data) <= _SIZE.size:
            raise BitstreamError(f"{len(data)} bytes are too few for a header and a stream")
        width, height = _SIZE.unpack_from(data)
        require_size(width, height)
        with decoding(), private_folder() as folder:
            (folder.path / "input").write_bytes(data[_SIZE.size :])
            command: list[str | Path] = [
                *(program, *_QUIET, "-threads", "1", "-f", self.stream, "-i", "input"),
                *("-frames:v", "1", "-f", "yuv4mpegpipe", "-strict", "-1", "output.y4m"),
            ]
            folder.run(command, _TIMEOUT_S, limits_for(3 * MAX_PIXELS))
            found = read_y4m(folder.output("output.y4m").read_bytes(), "420")
        size = _padded_side(width), _padded_side(height)
        if (found.width, found.height) != size or found.sample_format != "420p10":
            raise BitstreamError(
                f"the stream holds {found.width}x{found.height} pixels of {found.sample_format}, "
                f"not the {size[0]}x{size[1]} of 420p10 that its header asks for"
            )
        return np.ascontiguousarray(from_yuv420p10(found.samples, *size)[:height, :width])

    def check(self) -> None:
        """Unavailable where ffmpeg or the encoder are missing."""
        self.versions()

    def versions(self) -> Mapping[str, str]:
        """Of ffmpeg and of the encoder."""
        program = _ffmpeg()
        return _versions(program, program.stat().st_mtime_ns, self.encoder, self.said)

    def colour_ceiling(self, image: Image) -> float:
        """PSNR of the way to 10-bit 4:2:0 and back."""
        height, width = image.shape[:2]

        def there_and_back(pixels: Image) -> Image:
            padded = _padded(pixels)
            size = padded.shape[1], padded.shape[0]
            return from_yuv420p10(to_yuv420p10(padded), *size)[:height, :width]

        return ceiling_db(image, there_and_back)


@dataclass(frozen=True)
class Vvenc(FfmpegCodec):
    """VVC intra 4:2:0 by VVenC.

    Attributes:
        qp: quantisation parameter, 0 to 63.
        preset: effort.
    """

    name: ClassVar[str] = "vvenc"
    title: ClassVar[str] = "VVC intra 4:2:0, 10 bit (VVenC)"
    rate_parameters: ClassVar[tuple[str, ...]] = ("qp",)
    ladder_values: ClassVar[tuple[int, ...]] = (46, 42, 38, 34, 30, 26, 22, 18, 14)
    ranges: ClassVar[Ranges] = {"qp": (0, 63)}
    encoder: ClassVar[str] = "libvvenc"
    stream: ClassVar[str] = "vvc"
    said: ClassVar[str] = r"libvvenc version: (\S+)"

    qp: int = 32
    preset: Literal["faster", "fast", "medium", "slow", "slower"] = "medium"

    def arguments(self) -> Sequence[str]:
        parameters = "threads=1:intraperiod=1:decodingrefreshtype=idr"
        return [
            *("-preset", self.preset, "-qp", str(self.qp), "-qpa", "0"),
            *("-vvenc-params", parameters),
        ]


@dataclass(frozen=True)
class SvtAv1(FfmpegCodec):
    """AV1 intra 4:2:0 by SVT-AV1.

    Attributes:
        qp: quantisation parameter, 1 to 63.
        preset: 0 (slow) to 10 (fast).
    """

    name: ClassVar[str] = "svt-av1"
    title: ClassVar[str] = "AV1 intra 4:2:0, 10 bit (SVT-AV1)"
    rate_parameters: ClassVar[tuple[str, ...]] = ("qp",)
    ladder_values: ClassVar[tuple[int, ...]] = (52, 47, 41, 36, 29, 22, 15, 8, 5)
    ranges: ClassVar[Ranges] = {"qp": (1, 63), "preset": (0, 10)}
    encoder: ClassVar[str] = "libsvtav1"
    stream: ClassVar[str] = "obu"
    said: ClassVar[str] = r"SVT-AV1 Encoder Lib (\S+)"

    qp: int = 32
    preset: int = 4

    def arguments(self) -> Sequence[str]:
        parameters = f"rc=0:aq-mode=0:qp={self.qp}:keyint=1:lp=1:avif=1:tune=1"
        return ["-preset", str(self.preset), "-svtav1-params", parameters]


CODECS: Mapping[str, type[Codec]] = {codec.name: codec for codec in (Vvenc, SvtAv1)}
"""The family, by name."""


def _padded_side(side: int) -> int:
    """A side as it is coded: even, and no shorter than the encoders take."""
    return max(_LEAST_SIDE, side + side % 2)


def _padded(image: Image) -> Image:
    """The image, extended at the right and at the bottom by copies of its edge."""
    after = [(0, _padded_side(side) - side) for side in image.shape[:2]]
    return np.pad(image, (*after, (0, 0)), mode="edge")


def _ffmpeg() -> Path:
    """The program."""
    try:
        import imageio_ffmpeg

        return Path(imageio_ffmpeg.get_ffmpeg_exe()).absolute()
    except (ImportError, RuntimeError):  # the latter: a package without its program
        raise Unavailable(f"VVenC and SVT-AV1 need imageio-ffmpeg: {_INSTALL}") from None


@functools.cache
def _versions(program: Path, mtime_ns: int, encoder: str, said: str) -> dict[str, str]:
    """What ffmpeg and an encoder say they are when a small image is coded."""
    source = ("-f", "lavfi", "-i", "color=s=64x64", "-frames:v", "1")
    rest = (*source, *_PLANES, "-c:v", encoder, "-f", "null", "-")
    try:
        with private_folder() as folder:
            _, printed = folder.outcome([program, "-nostdin", *rest], timeout_s=30)
    except (OSError, ProgramError) as error:
        raise Unavailable(f"{program} does not start: {error}; {_INSTALL}") from None
    found = re.search(rf"ffmpeg version (\S+).*{said}", printed, re.DOTALL)
    if not found:
        raise Unavailable(f"{program} has no {encoder}, or it does not run; {_INSTALL} on Linux")
    return {"ffmpeg": found[1], encoder: found[2]}
