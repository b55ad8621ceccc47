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
import keyword
import re
import shlex
import string
import struct
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image as PilImage

from rdbench.errors import BitstreamError, DataError, Unavailable
from rdbench.images import read_image
from rdbench.types import Bitstream, Codec, Image, Segment
from rdbench_codecs.conventional.colour import from_yuv444, to_yuv444
from rdbench_codecs.conventional.limits import MAX_PIXELS, decoding, encoding, require_size
from rdbench_codecs.external.programs import ProgramError, find_program, limits_for, private_folder

FORMATS = ("png", "ppm", "yuv444")
_SIZE = struct.Struct("<HH")
_LARGEST = 10**12
"""Largest number of a ladder, and of seconds."""
_FILES, _SIDES = {"input", "output"}, {"width", "height"}
_RESERVED = {*_FILES, *_SIDES, "here", "name", "title"}
_NEEDED = ("name", "encode", "decode", "format")
_KEYS: dict[str, Any] = {
    **dict.fromkeys((*_NEEDED, "extension", "title", "version"), str),
    "ladder": dict,
    "timeout_s": (int, float),
}


@dataclasses.dataclass(frozen=True)
class Definition:
    """What a TOML file says; equal definitions make the same class.

    Attributes:
        here: folder of the file.
        file, text: the file and its content.
        parameters: name of the rate parameter, or ().
        values: its default ladder.

    The others are keys of the file.
    """

    name: str
    encode: str
    decode: str
    format: str
    here: str
    parameters: tuple[str, ...] = ()
    values: tuple[Any, ...] = ()
    extension: str = "bin"
    title: str = ""
    version: str = ""
    timeout_s: float = 3600.0
    file: str = dataclasses.field(default="", compare=False)
    text: str = dataclasses.field(default="", compare=False, repr=False)

    def command(self, text: str, **values: Any) -> list[str | Path]:
        """The words of a command with its placeholders filled, its program found."""
        first, *words = (word.format(here=self.here, **values) for word in shlex.split(text))
        return [self.program(first), *words]

    def program(self, name: str) -> Path:
        """Find a program of a command; Unavailable where it is missing."""
        remedy = f"install it, or give its path in the description of {self.name!r}"
        return find_program([name.format(here=self.here)], None, remedy)


class CommandCodec(Codec):
    """What the classes made by :func:`load` do; their one field is the rate parameter."""

    definition: ClassVar[Definition]

    def encode(self, image: Image) -> Bitstream:
        """The file that the command wrote, behind a header of the size for ``yuv444``."""
        d, (height, width) = self.definition, image.shape[:2]
        files = {"input": f"image.{d.format}", "output": f"compressed.{d.extension}"}
        settings = {name: getattr(self, name) for name in self.rate_parameters}
        command = d.command(d.encode, width=width, height=height, **files, **settings)
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

    def description(self) -> tuple[str, str]:
        """The file and its content."""
        return self.definition.file, self.definition.text

    def fingerprint(self) -> str:
        """SHA-256 of what the file says of the bits: commands, format, extension."""
        d = self.definition
        text = repr((d.encode, d.decode, d.format, d.extension))
        return hashlib.sha256(text.encode()).hexdigest()

    def __reduce__(self) -> tuple[Any, ...]:
        values = {p: getattr(self, p) for p in self.rate_parameters}
        return _rebuilt, (self.definition, values)


def load(path: Path | str, text: str | None = None) -> type[CommandCodec]:
    """The codec class that a TOML file describes.

    ``text`` is its content where that was kept elsewhere; None to read the file.

    Raises:
        DataError: the file cannot be read, or a key is missing, unknown or wrong.
    """
    path = Path(path).absolute()
    try:
        if text is None:  # editors on Windows begin with a mark
            text = path.read_text(encoding="utf-8-sig")
        definition = _definition(tomllib.loads(text), str(path.parent))
    except (OSError, ValueError, DataError) as error:
        raise DataError(f"{path}: {error}") from None
    except RecursionError:
        raise DataError(f"{path}: it is nested too deeply; write plain keys") from None
    return _made(dataclasses.replace(definition, file=str(path), text=text))


@functools.cache
def _made(definition: Definition) -> type[CommandCodec]:
    """A frozen dataclass; the same one for equal definitions, so that its objects are equal."""
    middle = definition.values[len(definition.values) // 2 :]
    fields = [
        (name, type(middle[0]), dataclasses.field(default=middle[0]))
        for name in definition.parameters
    ]
    title = definition.title or definition.name
    namespace = {
        "__doc__": title,
        "definition": definition,
        "name": definition.name,
        "title": title,
        "rate_parameters": definition.parameters,
        "ladder_values": definition.values,
    }
    name = re.sub(r"\W", "_", definition.name.title())
    return dataclasses.make_dataclass(
        name, fields, bases=(CommandCodec,), namespace=namespace, frozen=True
    )


def _rebuilt(definition: Definition, values: Mapping[str, Any]) -> CommandCodec:
    return _made(definition)(**values)


def _definition(keys: dict[str, Any], here: str) -> Definition:
    """The checked content of a file; DataError says what is wrong with it, and what to do."""
    for key in _NEEDED:
        _require(key in keys, f"the key {key!r} is missing; add it")
    for key, value in keys.items():
        _require(key in _KEYS, f"unknown key {key!r}; known are {', '.join(_KEYS)}")
        fits = isinstance(value, _KEYS[key]) and value and not isinstance(value, bool)
        _require(fits, f"{key}={value!r} is empty or of the wrong type; give {_words(_KEYS[key])}")
    limit = f"timeout_s must be over 0 and at most {_LARGEST:g}"
    _require(0 < keys.get("timeout_s", 1) <= _LARGEST, limit)
    parameters, values = _ladder(keys.pop("ladder", {}))
    d = Definition(here=here, parameters=parameters, values=values, **keys)
    is_name = re.fullmatch(r"[\w.+-]+", d.name)
    _require(is_name, f"name {d.name!r} may have letters, digits and . + - _ only")
    is_word = re.fullmatch(r"\w+", d.extension)
    _require(is_word, f"extension {d.extension!r} must be a word without a dot")
    _require(d.format in FORMATS, f"format {d.format!r} is not one of {', '.join(FORMATS)}")
    _check_command(d, "encode", {*_FILES, *parameters}, _SIDES)
    _check_command(d, "decode", _FILES, _SIDES if d.format == "yuv444" else set())
    _check_command(d, "version", set(), set())
    return d


def _require(condition: Any, failure: str) -> None:
    if not condition:
        raise DataError(failure)


def _words(kind: Any) -> str:
    return {str: "a text", dict: "a table"}.get(kind, "a number")


def _ladder(table: dict[str, Any]) -> tuple[tuple[str, ...], tuple[Any, ...]]:
    """Name and values of the rate parameter, where there is one."""
    if not table:
        return (), ()
    (parameter, values), *more = table.items()
    are_numbers = isinstance(values, list) and all(type(v) in (int, float) for v in values)
    _require(
        values and are_numbers and not more,
        "ladder must give one parameter numbers: ladder = {quality = [10, 50]}",
    )
    taken = parameter in _RESERVED or hasattr(CommandCodec, parameter)
    is_word = parameter.isidentifier() and parameter.isascii() and not keyword.iskeyword(parameter)
    _require(
        is_word and not taken,
        f"the rate parameter cannot be called {parameter!r}; give it another name",
    )
    _require(
        all(abs(value) <= _LARGEST for value in values),  # False for NaN
        f"a number of the ladder is not finite, or larger than {_LARGEST:g}",
    )
    number = float if float in map(type, values) else int
    return (parameter,), tuple(map(number, values))


def _check_command(d: Definition, key: str, needed: set[str], optional: set[str]) -> None:
    """DataError where a command cannot be split or filled, or lacks a placeholder it must have."""
    text, allowed = getattr(d, key), {*needed, *optional, "here"}
    _require("\0" not in text, f"{key} holds a zero byte, which no command can; remove it")
    try:
        words = shlex.split(text)
        parts = [[*string.Formatter().parse(word)] for word in words]
        used = [
            (name, form or "") for word in parts for _, name, form, _ in word if name is not None
        ]
        names = {name for name, _ in used}
        for name in sorted(names - allowed):
            raise DataError(f"{key} cannot use {{{name}}}; it can use {_listed(allowed)}")
        for name in sorted(needed - names):
            raise DataError(f"{key} does not use {{{name}}}; add it")
        for name, form in used:
            is_short = not re.search(r"\{|\d{3}", form)
            _require(is_short, f"{key}: the format {form!r} of {{{name}}} is over two digits wide")
        for _, program, _, _ in parts[0] if parts else ():
            is_known = program in (None, "here")
            _require(is_known, f"{key}: its program cannot be {{{program}}}; name a program")
        for value in d.values or (0,):
            known = {**dict.fromkeys(_FILES, ""), **dict.fromkeys(_SIDES, 1), "here": d.here}
            for word in words:
                word.format(**known, **dict.fromkeys(d.parameters, value))
    except ValueError as error:
        raise DataError(f"{key}: {error}; correct the command") from None


def _listed(names: set[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names))


@functools.cache
def _version(definition: Definition) -> str:
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
