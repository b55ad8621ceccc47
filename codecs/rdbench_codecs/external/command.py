"""A codec made of two commands, described in a TOML file: benchmark a program without Python.

::

    name = "cjxl"
    encode = "cjxl {input} {output} -q {quality}"
    decode = "djxl {input} {output}"
    format = "png"                # of the images the commands read and write: png, ppm, yuv444
    ladder = {quality = [10, 30, 50, 70, 90]}     # the rate parameter; lowest rate first
    extension = "jxl"             # of the compressed file (default: bin)
    title = "JPEG XL, cjxl"       # for people (default: the name)
    version = "cjxl --version"    # the first line it prints goes into every record (default: none)
    timeout_s = 600               # for one encoding or decoding (default: 3600)

``rdbench run --codec cjxl.toml`` measures the ladder, ``--codec cjxl.toml:quality=20,40`` two
points. A codec without ``ladder`` has one point.

Commands are split into words as a shell would, but no shell runs them. ``{input}`` and ``{output}``
are files in a private folder in which the command runs; ``{width}`` and ``{height}`` are the
image's size; ``{here}`` is the folder of the TOML file, for programs stored next to it. The rate
parameter may stand in ``encode`` only: a decoder must not need what its file does not carry.

``yuv444`` is planar 8-bit YUV as :mod:`rdbench_codecs.conventional.colour` makes it, without a
header. As its decoder cannot see the size of the image, the bitstream begins with four bytes of
width and height (2 x uint16, little-endian), counted as rate (segment ``header``); so ``decode``
may use ``{width}`` and ``{height}`` with this format alone.

The rules of images (:mod:`rdbench.images`) hold for what the decoder writes: grey and palettes
are converted, opaque alpha is dropped; transparency and more than 8 bits per sample are refused,
because how to come down to 8 bits is the codec's choice and not ours.

A command may write files of eight times the uncompressed image (at least 64 MiB each; where the
decoder alone knows the size, of the largest image allowed), four times that in all, and print
64 MiB. Whatever it left running is killed.

Times include starting the program and reading and writing its files.
"""

import dataclasses
import functools
import hashlib
import re
import shlex
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image as PilImage

from rdbench.errors import BitstreamError, DataError, Unavailable
from rdbench.images import read_image
from rdbench.types import Bitstream, Image, Segment
from rdbench_codecs.conventional.colour import from_yuv444, to_yuv444
from rdbench_codecs.conventional.limits import MAX_PIXELS, decoding, encoding, require_size
from rdbench_codecs.external.described import (
    KEYS,
    Definition,
    DescribedCodec,
    check_command,
    check_keys,
    ladder_of,
    require,
)
from rdbench_codecs.external.programs import ProgramError, limits_for, private_folder

FORMATS = ("png", "ppm", "yuv444")
_SIZE = struct.Struct("<HH")
_FILES, _SIDES = dict.fromkeys(("input", "output"), ""), dict.fromkeys(("width", "height"), 1)
_NEEDED = ("name", "encode", "decode", "format")
_KEYS = {**dict.fromkeys((*_NEEDED, "extension", "title", "version"), str), **KEYS}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Commands(Definition):
    """What a TOML file says of a codec made of two commands."""

    encode: str
    decode: str
    format: str
    extension: str = "bin"
    version: str = ""


class CommandCodec(DescribedCodec):
    """A codec made of two commands."""

    definition: ClassVar[Commands]

    def encode(self, image: Image) -> Bitstream:
        """The file that the command wrote, behind a header of the size for ``yuv444``."""
        d, (height, width) = self.definition, image.shape[:2]
        files = {"input": f"image.{d.format}", "output": f"compressed.{d.extension}"}
        command = d.command(d.encode, width=width, height=height, **files, **self.settings())
        with encoding(image), private_folder() as folder:
            _write(folder.path / files["input"], image, d.format)
            folder.run(command, d.timeout_s, limits_for(image.nbytes))
            payload = folder.output(files["output"]).read_bytes()
        if d.format != "yuv444":
            return Bitstream(payload)
        header = _SIZE.pack(width, height)
        segments = (Segment("header", len(header)), Segment("payload", len(payload)))
        return Bitstream(header + payload, segments)

    def decode(self, data: bytes) -> Image:
        """The image that the command wrote."""
        d = self.definition
        size: dict[str, int] = {}
        files = {"input": f"compressed.{d.extension}", "output": f"image.{d.format}"}
        if d.format == "yuv444":
            size, data = _split(data)
        command = d.command(d.decode, **files, **size)
        with decoding(), private_folder() as folder:
            (folder.path / files["input"]).write_bytes(data)
            n_pixels = size["width"] * size["height"] if size else MAX_PIXELS
            folder.run(command, d.timeout_s, limits_for(3 * n_pixels))
            path = folder.output(files["output"])
            return _read_planes(path, **size) if size else _read_image(path)

    def check(self) -> None:
        """Unavailable where a program is missing."""
        for text in (self.definition.encode, self.definition.decode, self.definition.version):
            for program in shlex.split(text)[:1]:
                self.definition.program(program)

    def versions(self) -> Mapping[str, str]:
        """The first line that the version command prints, where there is one."""
        return {self.name: _version(self.definition)} if self.definition.version else {}

    def fingerprint(self) -> str:
        """SHA-256 of what the file says of the bits: commands, format, extension."""
        d = self.definition
        text = repr((d.encode, d.decode, d.format, d.extension))
        return hashlib.sha256(text.encode()).hexdigest()


def commands(keys: dict[str, Any], here: str) -> Commands:
    """The checked content of a file; DataError says what is wrong with it, and what to do."""
    check_keys(keys, _NEEDED, _KEYS)
    taken = (*_FILES, *_SIDES, "here", *dir(CommandCodec))
    parameters, values = ladder_of(keys.pop("ladder", {}), taken)
    d = Commands(here=here, parameters=parameters, values=values, **keys)
    is_word = re.fullmatch(r"\w+", d.extension)
    require(is_word, f"extension {d.extension!r} must be a word without a dot")
    require(d.format in FORMATS, f"format {d.format!r} is not one of {', '.join(FORMATS)}")
    folder = {"here": here}
    for value in values or (0,):
        rate = dict.fromkeys(parameters, value)
        check_command("encode", d.encode, {**_FILES, **rate}, {**_SIDES, **folder})
    sides = _SIDES if d.format == "yuv444" else {}
    check_command("decode", d.decode, _FILES, {**sides, **folder})
    check_command("version", d.version, {}, folder)
    return d


@functools.cache
def _version(definition: Commands) -> str:
    try:
        with private_folder() as folder:
            _, printed = folder.outcome(definition.command(definition.version), 30)
    except (OSError, ProgramError) as error:
        raise Unavailable(f"{definition.name}: {error}") from None
    return next((line.strip() for line in printed.splitlines() if line.strip()), "")


def _write(path: Path, image: Image, file_format: str) -> None:
    if file_format == "yuv444":
        path.write_bytes(to_yuv444(image).tobytes())
    else:
        PilImage.fromarray(image).save(path, file_format, compress_level=1)


def _read_image(path: Path) -> Image:
    with PilImage.open(path, formats=("PNG", "PPM")) as image:
        require_size(*image.size)
    try:
        return read_image(path)
    except DataError as error:
        reason = str(error).replace(str(path), path.name)
        raise BitstreamError(f"the decoder's image is refused: {reason}") from None


def _split(data: bytes) -> tuple[dict[str, int], bytes]:
    """Width and height from our header, and the command's own bytes."""
    if len(data) < _SIZE.size:
        raise BitstreamError(f"{len(data)} bytes are too few for a header")
    width, height = _SIZE.unpack_from(data)
    require_size(width, height)
    return {"width": width, "height": height}, data[_SIZE.size :]


def _read_planes(path: Path, width: int, height: int) -> Image:
    if path.stat().st_size != 3 * width * height:
        raise BitstreamError(
            f"the program wrote {path.stat().st_size} bytes, not {width}x{height} pixels of YUV444"
        )
    return from_yuv444(np.fromfile(path, np.uint8).reshape(3, height, width))
