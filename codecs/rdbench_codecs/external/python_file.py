"""A codec that is a class in a Python file: benchmark your own code without a package.

``rdbench run --codec mine.py:MyCodec:quality=1,2,3``. The class derives from `rdbench.Codec`, or
has one of the interfaces that :mod:`rdbench_codecs.external.worker.interfaces` adapts; a function
that returns such an object will do. docs/python_codecs.md has examples.

The settings are the keyword arguments of the class. ``device`` and ``threads`` say how to run it
and do not belong to its identity. The class attributes ``name``, ``title``, ``rate_parameters`` and
``ladder_values`` mean the same as in `rdbench.Codec`. Without ``rate_parameters`` the first setting
called one of RATE_NAMES sets the rate.

The fingerprint covers the file, the modules in its folder that it imports, the name of the class,
and the files that settings name. A report folder keeps the file's text, but never runs it: records
are decoded by the file itself, at its path, with the same content.
"""

import dataclasses
import functools
import hashlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from rdbench.errors import (
    BitstreamError,
    DataError,
    EncoderError,
    RdbenchError,
    Unavailable,
    UsageError,
)
from rdbench.types import Bitstream, Codec, Image, Reconstruction, Segment
from rdbench_codecs.conventional.limits import MAX_PIXELS
from rdbench_codecs.external.worker import interfaces
from rdbench_codecs.external.worker.interfaces import REQUIRED, Adapted, CodecFileError

RATE_NAMES = ("quality", "q", "qp", "lambda_", "lmbda", "step", "rate")
"""Settings that are taken for the rate parameter of a class that names none."""

_RESERVED = ("name", "title", "source", "factory")
_HOW_TO_RUN = ("device", "threads")
_KINDS = {"int": int, "float": float, "bool": bool, "str": str}
_N_OBJECTS = 4  # those of two operating points: an encoder and a decoder each


class Source(NamedTuple):
    """Where a class comes from.

    Attributes:
        path: the file, absolute.
        member: name of the class or function in it.
        sha256: of the file and the modules in its folder that it imports.
        text: content of the file.
    """

    path: str
    member: str
    sha256: str
    text: str

    @property
    def address(self) -> str:
        """The file and the class, as a spec names them."""
        return f"{self.path}:{self.member}"


class FileCodec(Codec):
    """What all classes of Python files share: their identity is their file."""

    source: ClassVar[Source]

    def description(self) -> tuple[str, str]:
        """The file with the class, and its content."""
        return self.source.address, self.source.text

    def fingerprint(self) -> str:
        """SHA-256 of the source, the name of the class, and the files that settings name."""
        files = (getattr(self, field.name) for field in _fields(self) if field.compare)
        digests = [_sha256_of(Path(file)) for file in files if _is_file(file)]
        source = self.source
        parts = (source.sha256, source.member, super().fingerprint(), *digests)
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()

    def versions(self) -> Mapping[str, str]:
        """Versions of the packages that the file imports."""
        return {**super().versions(), **_versions(self.source)}

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (self.source, {f.name: getattr(self, f.name) for f in _fields(self)})


class AdaptedCodec(FileCodec):
    """A class that knows nothing of rdbench; its settings are the fields.

    Encoder and decoder are objects of their own, so that nothing reaches a decoder but the bytes.
    """

    factory: ClassVar[Callable[..., Any]]

    @property
    def estimated(self) -> bool:
        """Whether the class has a ``forward`` alone."""
        if inspect.isclass(self.factory):
            return interfaces.is_estimate(self.factory)
        return self._object("encoder").estimated

    @property
    def on_gpu(self) -> bool:
        """Whether the object is on a GPU."""
        return self._object("encoder").on_gpu

    def check(self) -> None:
        """Make an object, whose constructor may refuse its settings."""
        self._object("encoder")

    def prepare(self) -> None:
        """Make an encoder and a decoder."""
        self._object("encoder")
        self._object("decoder")

    def encode(self, image: Image) -> Bitstream:
        """What the class compressed, in a container where it returns strings."""
        height, width = image.shape[:2]
        if height * width > MAX_PIXELS:
            raise EncoderError(f"{width}x{height} pixels are over the limit of {MAX_PIXELS:,}")
        adapted = self._object("encoder")
        with self._errors(EncoderError):
            found = adapted.encode(image)
        segments = tuple(Segment(*segment) for segment in found.segments)
        return Bitstream(found.data, segments, found.estimated_bits)

    def decode(self, data: bytes) -> Reconstruction:
        """What the class decompressed."""
        adapted = self._object("decoder")
        with self._errors(BitstreamError):
            image: Reconstruction = adapted.decode(data)
        return image

    def _object(self, role: str) -> Adapted:
        settings = tuple((field.name, getattr(self, field.name)) for field in _fields(self))
        with self._errors(UsageError):
            return _made(type(self), settings, role)

    @contextmanager
    def _errors(self, kind: type[RdbenchError]) -> Iterator[None]:
        """Turn whatever the class raises into one line that names the line of the file."""
        try:
            yield
        except RdbenchError:
            raise
        except (Exception, SystemExit) as error:
            reason = interfaces.failed(self.source.path, error)
            raise kind(f"{self.name}: {reason}") from error


@functools.lru_cache(maxsize=_N_OBJECTS)
def _made(cls: type[AdaptedCodec], settings: tuple[tuple[str, Any], ...], role: str) -> Adapted:
    """An object with these settings for encoding or for decoding."""
    return interfaces.adapt(cls.factory(**dict(settings)))


def load(address: Path | str, text: str | None = None) -> type[FileCodec]:
    """Return the codec class in a Python file.

    Args:
        address: the file, with the name of a class behind a colon where it has several.
        text: its content as a report folder kept it; None to take the file as it is.

    Raises:
        DataError: the file or the class cannot be used, or is not the one that was kept.
    """
    file, _, member = str(address).partition(":")
    path = Path(file).expanduser().resolve()
    if text is not None:
        _require_kept(path, text)
    try:
        sha256 = interfaces.source_sha256(str(path))
        factory = interfaces.load_class(str(path), member)
        source = Source(str(path), member or factory.__name__, sha256, _text_of(path))
        return _class_of(source, factory)
    except CodecFileError as error:
        raise DataError(str(error)) from None


def _require_kept(path: Path, text: str) -> None:
    """DataError where a file is not there, or not the one whose text was kept."""
    if path.is_file() and _text_of(path) == text:
        return
    happened = "was changed since" if path.is_file() else "is missing"
    raise DataError(
        f"measured with {path}, which {happened}; code that a report folder keeps is never run: "
        "restore the file, or measure again"
    )


def _text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _rebuilt(source: Source, values: Mapping[str, Any]) -> FileCodec:
    """An operating point in another process."""
    return _loaded(source)(**values)


@functools.cache
def _loaded(source: Source) -> type[FileCodec]:
    cls = load(source.address)
    if cls.source.sha256 != source.sha256:
        raise DataError(f"{source.path} was changed meanwhile; run the same command again")
    return cls


@functools.cache
def _class_of(source: Source, factory: Callable[..., Any]) -> type[FileCodec]:
    """The same class for the same source, so that its objects are equal."""
    documented = (inspect.getdoc(factory) or "").strip().partition("\n")[0]
    name = _name_of(factory, source)
    names = {
        "__doc__": documented,
        "source": source,
        "name": name,
        "title": getattr(factory, "title", None) or documented or name,
    }
    if inspect.isclass(factory) and issubclass(factory, Codec):
        if not dataclasses.is_dataclass(factory):
            raise CodecFileError(f"{source.path}: decorate {name} with @dataclass(frozen=True)")
        return type(Codec)(factory.__name__, (FileCodec, factory), names)
    fields = [_field(*setting, source) for setting in interfaces.parameters(factory)]
    names |= {"factory": staticmethod(factory), **_rate(factory, [name for name, *_ in fields])}
    return dataclasses.make_dataclass(
        source.member, fields, bases=(AdaptedCodec,), namespace=names, frozen=True, kw_only=True
    )


def _name_of(factory: Callable[..., Any], source: Source) -> str:
    """The name of a class in specs and records."""
    name = getattr(factory, "name", None)
    name = name if isinstance(name, str) else source.member
    if not re.fullmatch(r"[\w.+-]+", name):
        raise CodecFileError(
            f"{source.path}: the name {name!r} may have letters, digits and . + - _ only"
        )
    return name


def _field(
    name: str, kind: str, default: Any, source: Source
) -> tuple[str, Any, dataclasses.Field[Any]]:
    if hasattr(AdaptedCodec, name) or name in _RESERVED:
        raise CodecFileError(
            f"{source.path}: {source.member} cannot have a setting {name!r}; rename the argument"
        )
    compare = name not in _HOW_TO_RUN
    given: dict[str, Any] = {} if default is REQUIRED else {"default": default}
    hint = _KINDS[kind] | None if default is None else _KINDS[kind]
    return name, hint, dataclasses.field(compare=compare, **given)


def _rate(factory: Callable[..., Any], settings: list[str]) -> dict[str, tuple[Any, ...]]:
    """The rate parameter and its default ladder."""
    known = [name for name in RATE_NAMES if name in settings][:1]
    found = getattr(factory, "rate_parameters", known)
    parameters = (found,) if isinstance(found, str) else tuple(found)
    if unknown := set(parameters) - set(settings):
        raise CodecFileError(f"rate_parameters: there is no argument {unknown.pop()!r}; add it")
    ladder = tuple(getattr(factory, "ladder_values", ())) if parameters else ()
    return {"rate_parameters": parameters, "ladder_values": ladder}


def _fields(codec: Codec) -> list[dataclasses.Field[Any]]:
    return [field for field in dataclasses.fields(codec) if field.init]  # type: ignore[arg-type]


def _is_file(value: Any) -> bool:
    return isinstance(value, str) and bool(value) and Path(value).expanduser().is_file()


def _sha256_of(path: Path) -> str:
    """Hash of a file that a setting names, computed once as long as the file does not change."""
    try:
        path = path.expanduser().resolve()
        state = path.stat()
        return _hashed(path, state.st_mtime_ns, state.st_size)
    except OSError as error:
        raise Unavailable(f"cannot read {path}: {error.strerror}") from None


@functools.lru_cache(maxsize=64)
def _hashed(path: Path, mtime_ns: int, n_bytes: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@functools.cache
def _versions(source: Source) -> dict[str, str]:
    found = {}
    for name in interfaces.packages(source.path):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # the standard library, or named unlike its package
            continue
    return found
