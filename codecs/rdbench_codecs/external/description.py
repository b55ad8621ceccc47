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
_FILES = {"input", "output"}
_LARGEST = 10**12
"""Largest number of a ladder, and of seconds."""
_RESERVED = _FILES | {"width", "height", "here", "name", "title"}
_KEYS: dict[str, Any] = {
    **dict.fromkeys(("name", "encode", "decode", "format", "extension", "title", "version"), str),
    "ladder": dict,
    "timeout_s": (int, float),
}


@dataclasses.dataclass(frozen=True)
class Definition:
    """What a TOML file says; equal definitions make the same class.

    Attributes:
        here: folder of the file.
        file, text: the file and its content.
        parameter: name of the rate parameter, or "".
        values: its default ladder.

    The others are keys of the file.
    """

    name: str
    encode: str
    decode: str
    format: str
    here: str
    parameter: str = ""
    values: tuple[Any, ...] = ()
    extension: str = "bin"
    title: str = ""
    version: str = ""
    timeout_s: float = 3600.0
    file: str = dataclasses.field(default="", compare=False)
    text: str = dataclasses.field(default="", compare=False, repr=False)

    @property
    def parameters(self) -> tuple[str, ...]:
        """The rate parameter, or nothing."""
        return (self.parameter,) if self.parameter else ()


class CommandCodec(Codec):
    """What the classes made by :func:`load` do; their one field is the rate parameter."""

    definition: ClassVar[Definition]

    def encode(self, image: Image) -> Bitstream:
        """The file that the command wrote, behind a header of the size for ``yuv444``."""
        self.check()
        height, width = image.shape[:2]
        image_file, compressed = _file_names(self.definition)
        settings = {p: getattr(self, p) for p in self.rate_parameters}
        with encoding(image), private_folder() as folder:
            _write(folder.path / image_file, image, self.definition.format)
            command = _command(
                self.definition,
                self.definition.encode,
                {"input": image_file, "output": compressed, "width": width, "height": height}
                | settings,
            )
            folder.run(command, self.definition.timeout_s, limits_for(image.nbytes))
            payload = folder.output(compressed).read_bytes()
            if self.definition.format != "yuv444":
                return Bitstream(payload)
            header = _SIZE.pack(width, height)
            segments = (Segment("header", len(header)), Segment("payload", len(payload)))
            return Bitstream(header + payload, segments)

    def decode(self, data: bytes) -> Image:
        """The image that the command wrote."""
        self.check()
        image, compressed = _file_names(self.definition)
        size: dict[str, int] = {}
        if self.definition.format == "yuv444":
            size, data = _split(data)
        with decoding(), private_folder() as folder:
            (folder.path / compressed).write_bytes(data)
            names = {"input": compressed, "output": image}
            command = _command(self.definition, self.definition.decode, names | size)
            n_pixels = size["width"] * size["height"] if size else MAX_PIXELS
            folder.run(command, self.definition.timeout_s, limits_for(3 * n_pixels))
            path = folder.output(image)
            return _read_planes(path, **size) if size else _read_image(path)

    def check(self) -> None:
        """Unavailable where a program is missing."""
        for text in (self.definition.encode, self.definition.decode, self.definition.version):
            for program in shlex.split(text)[:1]:
                _program(self.definition, program)

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

    Args:
        path: of the file.
        text: its content where that was kept elsewhere; None to read the file.

    Raises:
        DataError: the file cannot be read, or a key is missing, unknown or wrong.
    """
    path = Path(path).absolute()
    try:
        if text is None:  # editors on Windows begin with a mark
            text = path.read_text(encoding="utf-8-sig")
        definition = _definition(tomllib.loads(text), str(path.parent))
        return _made(dataclasses.replace(definition, file=str(path), text=text))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: {error}") from None
    except RecursionError:
        raise DataError(f"{path}: it is nested too deeply") from None


@functools.cache
def _made(definition: Definition) -> type[CommandCodec]:
    """A frozen dataclass; the same one for equal definitions, so that its objects are equal."""
    fields = [
        (definition.parameter, type(value), dataclasses.field(default=value))
        for value in definition.values[len(definition.values) // 2 :][:1]
    ]
    namespace = {
        "__doc__": definition.title or definition.name,
        "definition": definition,
        "name": definition.name,
        "title": definition.title or definition.name,
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
    """The checked content of a file; ValueError says what is wrong with it."""
    for key in ("name", "encode", "decode", "format"):
        if key not in keys:
            raise ValueError(f"the key {key!r} is missing")
    for key, value in keys.items():
        if key not in _KEYS:
            raise ValueError(f"unknown key {key!r}; known are {', '.join(_KEYS)}")
        if not isinstance(value, _KEYS[key]) or not value or isinstance(value, bool):
            raise ValueError(f"{key}={value!r} is empty or of the wrong type")
        if key == "timeout_s" and not 0 < value <= _LARGEST:
            raise ValueError(f"{key} must be over 0 and at most {_LARGEST:g}")
    parameter, values = _ladder(keys.pop("ladder", {}))
    definition = Definition(here=here, parameter=parameter, values=values, **keys)
    if not re.fullmatch(r"[\w.+-]+", definition.name):
        raise ValueError(f"name {definition.name!r} may have letters, digits and . + - _ only")
    if not re.fullmatch(r"\w+", definition.extension):
        raise ValueError(f"extension {definition.extension!r} must be a word without a dot")
    if definition.format not in FORMATS:
        raise ValueError(f"format {definition.format!r} is not one of {', '.join(FORMATS)}")
    size = {"width", "height"}
    decoder_size = size if definition.format == "yuv444" else set()
    _check_command("encode", definition.encode, _FILES | set(definition.parameters), size)
    _check_command("decode", definition.decode, _FILES, decoder_size)
    _check_command("version", definition.version, set(), set())
    _try_commands(definition)
    return definition


def _ladder(table: dict[str, Any]) -> tuple[str, tuple[Any, ...]]:
    """Name and values of the rate parameter."""
    if not table:
        return "", ()
    (parameter, values), *more = table.items()
    numbers = isinstance(values, list) and all(type(v) in (int, float) for v in values)
    if more or not numbers or not values:
        raise ValueError("ladder must give one parameter numbers: ladder = {quality = [10, 50]}")
    taken = parameter in _RESERVED or hasattr(CommandCodec, parameter)
    is_word = parameter.isidentifier() and parameter.isascii() and not keyword.iskeyword(parameter)
    if taken or not is_word:
        raise ValueError(f"the rate parameter cannot be called {parameter!r}")
    if not all(abs(value) <= _LARGEST for value in values):  # nor NaN
        raise ValueError(f"a number of the ladder is not finite, or larger than {_LARGEST:g}")
    number = float if float in map(type, values) else int
    return parameter, tuple(number(v) for v in values)


def _check_command(key: str, text: str, needed: set[str], more: set[str]) -> None:
    """ValueError where a command cannot be split, or has not the placeholders it must have."""
    allowed = needed | more | {"here"}
    try:
        parsed = [part for word in shlex.split(text) for part in string.Formatter().parse(word)]
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None
    if "\0" in text:
        raise ValueError(f"{key} holds a zero byte, which no command can")
    for _, name, form, _ in parsed:
        if form and re.search(r"\{|\d{3}", form):
            raise ValueError(
                f"{key}: the format {form!r} of {{{name}}} is more than two digits wide"
            )
    used = {name for _, name, _, _ in parsed if name is not None}
    for name in sorted(used - allowed):
        raise ValueError(f"{key} cannot use {{{name}}}; it can use {_listed(allowed)}")
    for name in sorted(needed - used):
        raise ValueError(f"{key} does not use {{{name}}}")


def _try_commands(definition: Definition) -> None:
    """ValueError where placeholders cannot be filled: a format that does not fit, a program."""
    size = {"width": 1, "height": 1}
    files = {"input": "input", "output": "output", "here": definition.here}
    for key in ("encode", "decode", "version"):
        for i, word in enumerate(shlex.split(getattr(definition, key))):
            for value in definition.values or (0,):
                known = files | size | {definition.parameter: value}
                try:
                    word.format(**({"here": definition.here} if i == 0 else known))
                except KeyError as error:
                    raise ValueError(f"{key}: its program cannot be {{{error.args[0]}}}") from None
                except ValueError as error:
                    raise ValueError(f"{key}: {word!r}: {error}") from None


def _listed(names: set[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names))


def _file_names(definition: Definition) -> tuple[str, str]:
    return f"image.{definition.format}", f"compressed.{definition.extension}"


def _command(definition: Definition, text: str, values: Mapping[str, Any]) -> list[str | Path]:
    """The words of a command with its placeholders filled, its program found."""
    first, *words = (w.format(here=definition.here, **values) for w in shlex.split(text))
    return [_program(definition, first), *words]


def _program(definition: Definition, name: str) -> Path:
    remedy = f"install it, or give its path in the description of {definition.name!r}"
    return find_program([name.format(here=definition.here)], None, remedy)


@functools.cache
def _version(definition: Definition) -> str:
    try:
        with private_folder() as folder:
            _, printed = folder.outcome(_command(definition, definition.version, {}), 30)
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
