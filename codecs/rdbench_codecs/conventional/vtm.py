"""VVC intra by the reference software VTM 18.0: the anchor of the literature.

The recipe of the published curves, argument by argument: RGB to planar 8-bit YUV 4:4:4 with OpenCV;
``EncoderApp -c encoder_intra_vtm.cfg --InputChromaFormat=444 --FrameRate=1 --FramesToBeEncoded=1``;
``DecoderApp -d 8``; back to RGB with OpenCV. The rate is the VVC bitstream and nothing else. The
decoder is asked for a Y4M file, whose first line says the width and height it found in the
bitstream; the samples are the same as in its plain YUV file. Images whose sides are not multiples
of 8, the smallest coding unit, are padded by VTM itself (``--ConformanceWindowMode=1``).

The programs are built by the user from https://vcgit.hhi.fraunhofer.de/jvet/VVCSoftware_VTM, tag
VTM-18.0, and found through the variable RDBENCH_VTM (their folder) or PATH. One thread each.

Source: Duan et al., "QARV: Quantization-Aware ResNet VAE for Lossy Image Compression", appendix B;
ITU-T H.266.
"""

import functools
import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from rdbench.errors import RdbenchError, Unavailable
from rdbench.types import Bitstream, Check, Image
from rdbench_codecs.conventional.colour import colour_ceiling, from_yuv444, to_yuv444
from rdbench_codecs.conventional.limits import (
    MAX_PIXELS,
    RangedCodec,
    Ranges,
    decoding,
    encoding,
)
from rdbench_codecs.conventional.y4m import read_y4m
from rdbench_codecs.external.programs import (
    Limits,
    ProgramError,
    find_program,
    limits_for,
    private_folder,
)

CONFIG = "encoder_intra_vtm.cfg"
CONFIG_SHA256 = "5647353c1d7a5a64c4180afee1f7f5f902ada9198c08839baa972395a3dc1e34"
"""SHA-256 of ``cfg/encoder_intra_vtm.cfg`` at tag VTM-18.0."""

_REMEDY = (
    "build VTM 18.0 (https://vcgit.hhi.fraunhofer.de/jvet/VVCSoftware_VTM, tag VTM-18.0) "
    "and set RDBENCH_VTM to the folder of its programs"
)
# VTM's decoder takes about 330 bytes per pixel: enough memory for 50 megapixels.
_DECODER_LIMITS = Limits(memory_bytes=16 << 30, file_bytes=7 * MAX_PIXELS)


class _Vtm(NamedTuple):
    encoder: Path
    decoder: Path
    config: Path


@dataclass(frozen=True)
class Vtm18(RangedCodec):
    """VVC intra 4:4:4 by VTM.

    Attributes:
        qp: quantisation parameter, 0 to 63.
        version: version that the programs must say they are.
        programs: folder of the two programs; RDBENCH_VTM or PATH where None.
        config: path of the encoder's configuration; if None, ``encoder_intra_vtm.cfg`` next to
            the encoder or in ``cfg/`` of its source tree.
        encode_timeout_s, decode_timeout_s: seconds after which a program is stopped.
    """

    name: ClassVar[str] = "vtm18"
    title: ClassVar[str] = "VVC intra 4:4:4 (VTM 18.0)"
    rate_parameters: ClassVar[tuple[str, ...]] = ("qp",)
    ladder_values: ClassVar[tuple[int, ...]] = tuple(range(50, 14, -1))
    ranges: ClassVar[Ranges] = {"qp": (0, 63)}

    qp: int = 32
    version: str = "18.0"
    programs: str | None = field(default=None, compare=False)
    config: str | None = field(default=None, compare=False)
    encode_timeout_s: float = field(default=14400.0, compare=False)
    decode_timeout_s: float = field(default=600.0, compare=False)

    def encode(self, image: Image) -> Bitstream:
        """One VVC bitstream."""
        vtm = self._vtm()
        height, width = image.shape[:2]
        arguments = [
            *("-c", str(vtm.config)),
            "--InputFile=input.yuv",
            "--BitstreamFile=output.vvc",
            f"--SourceWidth={width}",
            f"--SourceHeight={height}",
            "--InputChromaFormat=444",
            "--FrameRate=1",
            "--FramesToBeEncoded=1",
            f"--QP={self.qp}",
        ]
        if width % 8 or height % 8:
            arguments.append("--ConformanceWindowMode=1")
        with encoding(image), private_folder() as folder:
            (folder.path / "input.yuv").write_bytes(to_yuv444(image).tobytes())
            folder.run([vtm.encoder, *arguments], self.encode_timeout_s, limits_for(image.nbytes))
            return Bitstream(folder.output("output.vvc").read_bytes())

    def decode(self, data: bytes) -> Image:
        """The pixels, at 8 bit."""
        _, planes = self._decoded(data, bit_depth=8)
        return from_yuv444(planes)

    def _decoded(self, data: bytes, bit_depth: int) -> tuple[str, npt.NDArray[np.uint8]]:
        """Y4M's word for the sample format, and the planes; ``bit_depth=0`` keeps the codec's."""
        vtm = self._vtm()
        command: list[str | Path] = [vtm.decoder]
        command += ["-b", "input.vvc", "-o", "output.y4m", "-d", str(bit_depth)]
        with decoding(), private_folder() as folder:
            (folder.path / "input.vvc").write_bytes(data)
            folder.run(command, self.decode_timeout_s, _DECODER_LIMITS)
            found = read_y4m(folder.output("output.y4m").read_bytes(), "444")
            samples = np.frombuffer(found.samples, np.uint8)
            return found.sample_format, samples.reshape(3, found.height, -1)

    def check(self) -> None:
        """Unavailable where a program or the configuration is missing or of another version."""
        self._vtm()

    def versions(self) -> Mapping[str, str]:
        """Of the programs, as they print it, and of OpenCV, which converts the colours."""
        return {"vtm": self.version, "opencv": cv2.__version__}

    def fingerprint(self) -> str:
        """SHA-256 of the encoder's configuration file."""
        return hashlib.sha256(self._vtm().config.read_bytes()).hexdigest()

    def self_checks(self) -> Iterator[Check]:
        """Version, configuration, colour conversion, and bit depths of a small coded image."""
        vtm, seen = self._vtm(), self.fingerprint()
        yield Check(
            "program version", self.version == "18.0", f"{vtm.encoder} is VTM {self.version}"
        )
        yield Check(
            "configuration file",
            seen == CONFIG_SHA256,
            f"{vtm.config}: SHA-256 {seen[:12]}, VTM-18.0's is {CONFIG_SHA256[:12]}",
        )
        pattern = _pattern()
        ceiling_db = colour_ceiling(pattern)
        yield Check(
            "colour conversion rounds",
            ceiling_db > 50,
            f"{ceiling_db:.2f} dB round trip of a test pattern (44 dB where it truncates)",
        )
        try:
            data = replace(self, qp=22).encode(pattern).data
            native, _ = self._decoded(data, bit_depth=0)
            output, planes = self._decoded(data, bit_depth=8)
        except RdbenchError as error:
            yield Check("bit depth", False, str(error))
            return
        yield Check(
            "bit depth",
            (native, output) == ("444p10", "444") and planes.shape == (3, *pattern.shape[:2]),
            f"coded as {native}, decoded as {output}",
        )

    def colour_ceiling(self, image: Image) -> float | None:
        """PSNR of the 8-bit YUV round trip; saturated colours are what it loses."""
        return colour_ceiling(image)

    def _vtm(self) -> _Vtm:
        folder = self.programs or os.environ.get("RDBENCH_VTM") or None
        encoder = find_program(("EncoderAppStatic", "EncoderApp"), folder, _REMEDY)
        decoder = find_program(("DecoderAppStatic", "DecoderApp"), folder, _REMEDY)
        for program in (encoder, decoder):
            found = _version(program, program.stat().st_mtime_ns)
            if found != self.version:
                raise Unavailable(
                    f"{program} is VTM {found}, not {self.version}; {_REMEDY}, "
                    f"or measure this one as vtm18:version={found}"
                )
        return _Vtm(encoder, decoder, self._config(encoder))

    def _config(self, encoder: Path) -> Path:
        candidates = [encoder.parent / CONFIG, *(p / "cfg" / CONFIG for p in encoder.parents)]
        for path in [Path(self.config).absolute()] if self.config else candidates:
            if path.is_file():
                return path
        raise Unavailable(
            f"no {self.config or CONFIG} (looked next to {encoder} and in cfg/ above it); "
            "give its path: vtm18:config=PATH"
        )


@functools.cache
def _version(program: Path, mtime_ns: int) -> str:
    """The version that a program prints when it is started without arguments."""
    try:
        with private_folder() as folder:
            _, printed = folder.outcome([program], timeout_s=30)
    except (OSError, ProgramError) as error:
        raise Unavailable(f"{program} does not start: {error}; {_REMEDY}") from None
    found = re.search(r"VTM (?:En|De)coder Version (\S+)", printed)
    if not found:
        raise Unavailable(f"{program} does not say which version of VTM it is; {_REMEDY}")
    return found[1]


def _pattern() -> Image:
    """A smooth 40x72 image of moderate colours."""
    y, x = np.mgrid[0:40, 0:72]
    waves = [np.sin(x / 9), np.cos(y / 7), np.sin((x + y) / 11)]
    return np.stack([128 + 60 * w for w in waves], axis=-1).round().astype(np.uint8)
