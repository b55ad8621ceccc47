"""Load a class from a Python file, and adapt its objects: images to bytes and back.

Three kinds of objects are known:

- ``compress(image) -> bytes`` and ``decompress(data) -> image`` of arrays, (height, width, 3);
- CompressAI's: ``compress(x) -> {"strings", "shape"}`` and ``decompress(strings, shape) ->
  {"x_hat"}`` of tensors, (1, 3, height, width) in [0, 1];
- ``forward(x) -> {"x_hat", "likelihoods"}`` alone: its rate is an estimate.

The first two may also be called ``encode`` and ``decode``. A decoder that takes two arguments is of
the second kind.

The bytes of the second kind are one container. A number is stored as LEB128: seven bits per byte,
lowest first, the high bit set in all bytes but the last. An item is a number whose two lowest bits
are its type; the others are its value::

    0    a list of so many items, which follow
    1    a string of so many bytes, which are in the second part
    2    a whole number

    first part     four items: height, width, ``shape``, ``strings``
    second part    the bytes of all strings, in order

This file is copied into the environments of other programs: it needs Python 3.7 and numpy, and
torch where the class does.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import inspect
import math
import modulefinder
import operator
import re
import sys
import traceback
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

REQUIRED: Any = inspect.Parameter.empty
"""Default of a parameter that has none."""

_KINDS = ("float", "int", "bool", "str")  # `Union[int, float]` is a float
_PAIRS = (("compress", "decompress"), ("encode", "decode"))
_MULTIPLE = 64
_MAX_DEPTH = 16
_MAX_BITS = 42
_LIST, _BYTES, _NUMBER = range(3)

_loaded: dict[tuple[str, str], Any] = {}
_imported: dict[str, str] = {}


class CodecFileError(Exception):
    """A Python file, or its class, cannot be used; one line that says why and what to do."""


# The file


def load_class(path: str, name: str = "") -> Callable[..., Any]:
    """Import a file and return its class or factory function ``name``.

    The folder of the file comes first on the module path while it is imported, and stays at the
    end of it afterwards. The same content is imported once per process.

    Args:
        path: the Python file.
        name: the class; "" for the only one that is a codec.

    Raises:
        CodecFileError: the file cannot be imported, or has no such class.
    """
    path = str(Path(path).resolve())
    module = _module(path, source_sha256(path))
    if not name:
        return _only_codec(path, module)
    found = getattr(module, name, None)
    if callable(found):
        return found  # type: ignore[no-any-return]
    known = ", ".join(_classes(module)) or "none"
    raise CodecFileError(f"{path} has no class {name!r}; its classes are: {known}")


def source_sha256(path: str) -> str:
    """Return a hash of a Python file and of the modules in its folder that it imports.

    Without such modules it is the SHA-256 of the file.

    Raises:
        CodecFileError: the file cannot be read, or is not Python.
    """
    try:
        digests = [hashlib.sha256(Path(path).read_bytes()).hexdigest()]
        for name, file in sorted(_siblings(path).items()):
            digests += [name, hashlib.sha256(Path(file).read_bytes()).hexdigest()]
    except OSError as error:
        raise CodecFileError(f"{path}: {error.strerror}") from None
    return hashlib.sha256(" ".join(digests).encode()).hexdigest() if digests[1:] else digests[0]


def packages(path: str) -> list[str]:
    """Return the top-level modules that a file, or its siblings, import from elsewhere, sorted."""
    return sorted({name.partition(".")[0] for name in _imports(path).badmodules})


def _siblings(path: str) -> dict[str, str]:
    """Modules in the folder of a file that it imports, directly or not: name -> file."""
    modules = _imports(path).modules.items()
    return {name: m.__file__ for name, m in modules if name != "__main__" and m.__file__}


def _imports(path: str) -> Any:
    """What a file imports: ``modules`` of its folder, and ``badmodules``, not found there."""
    path = str(Path(path).resolve())
    finder = modulefinder.ModuleFinder([str(Path(path).parent)], excludes=["rdbench"])
    try:
        finder.run_script(path)
    except (SyntaxError, ValueError) as error:
        raise failed(path, error) from None
    return finder


def _module(path: str, sha256: str) -> Any:
    """The module of a file, under a name that no other module has."""
    if (path, sha256) in _loaded:
        return _loaded[path, sha256]
    _forget_siblings(path)
    _imported.update((n, f) for n, f in _siblings(path).items() if n not in sys.modules)
    name = f"codec_file_{sha256}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and typing look their classes' module up
    try:
        # Compiled here, so that no stale cache is executed.
        code = compile(Path(path).read_bytes(), path, "exec")
        with _first_on_path(str(Path(path).parent)), contextlib.redirect_stdout(sys.stderr):
            exec(code, module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise failed(path, error) from None
    _loaded[path, sha256] = module
    return module


def _forget_siblings(path: str) -> None:
    """Have the modules next to a file imported again: they may have changed since."""
    for name, file in _siblings(path).items():
        module = sys.modules.get(name)
        if module is None:
            continue
        there = getattr(module, "__file__", None)
        if there != file:
            raise CodecFileError(
                f"{path} imports {file}, but another module {name!r} is loaded already "
                f"({there or 'built in'}); rename {Path(file).name}"
            )
        if _imported.get(name) == file:
            del sys.modules[name]


@contextlib.contextmanager
def _first_on_path(folder: str) -> Iterator[None]:
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
        if folder not in sys.path:
            sys.path.append(folder)  # for what is imported later; it hides nothing there


def failed(path: str, error: BaseException) -> CodecFileError:
    """Return what went wrong in a file or a function of it, and in which line: one line."""
    if isinstance(error, CodecFileError):
        return error
    steps = traceback.extract_tb(error.__traceback__)
    lines = [step.lineno for step in steps if step.filename == path]
    line, text = (lines or [None])[-1], str(error)
    if isinstance(error, SyntaxError):  # maybe of a module next to the file
        path, line, text = error.filename or path, error.lineno, error.msg
    where = f"{path}, line {line}" if line else path
    text = " ".join(text.split())[:300] or "no reason given"
    return CodecFileError(f"{where}: {type(error).__name__}: {text}")


def _classes(module: Any) -> list[str]:
    """Public classes that a module defines."""
    return [
        name
        for name, value in vars(module).items()
        if inspect.isclass(value) and value.__module__ == module.__name__ and name[0] != "_"
    ]


def _only_codec(path: str, module: Any) -> Callable[..., Any]:
    classes = {name: getattr(module, name) for name in _classes(module)}
    coding = {n: c for n, c in classes.items() if _pair(c) and not inspect.isabstract(c)}
    found = coding or {n: c for n, c in classes.items() if hasattr(c, "forward")}
    if len(found) == 1:
        return next(iter(found.values()))  # type: ignore[no-any-return]
    if not found:
        raise CodecFileError(
            f"{path} defines no class with compress and decompress, encode and decode, or forward; "
            "add one, or name a function that returns such an object (FILE:FUNCTION)"
        )
    raise CodecFileError(
        f"{path} defines several codecs ({', '.join(found)}); choose one, such as "
        f"{Path(path).name}:{next(iter(found))}"
    )


# Its settings


def parameters(factory: Callable[..., Any]) -> list[tuple[str, str, Any]]:
    """Return name, kind (int, float, bool or str) and default of the keyword arguments.

    The annotation decides the kind; without one, the type of the default. An argument of another
    type keeps its default and is left out.

    Raises:
        CodecFileError: the type of an argument without a default is not known.
    """
    found = []
    for p in inspect.signature(factory).parameters.values():
        if p.kind not in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY):
            continue
        kind = _kind(p)
        if kind:
            found.append((p.name, kind, p.default))
        elif p.default is REQUIRED:
            raise CodecFileError(
                f"the argument {p.name!r} of {factory.__name__} has no default, and its annotation "
                "is not int, float, bool or str; give it one of these"
            )
    return found


def _kind(parameter: inspect.Parameter) -> str:
    """The kind of an argument, or ""; annotations may be text (`from __future__`)."""
    annotation = parameter.annotation
    text = annotation.__name__ if inspect.isclass(annotation) else str(annotation)
    words = set(re.findall(r"\w+", text)) - {"typing", "Optional", "Union", "None", "NoneType"}
    if words and words <= set(_KINDS):
        return next(kind for kind in _KINDS if kind in words)
    kind = type(parameter.default).__name__
    return kind if kind in _KINDS else ""


# Its objects


class Encoded(NamedTuple):
    """What an object made of an image.

    Attributes:
        data: what the decoder gets. It is the rate, unless that is estimated.
        segments: (name, bytes, ideal bits or None) of the shares of the rate.
        estimated_bits: the rate in bits where it is an estimate, else None.
    """

    data: bytes
    segments: list[tuple[str, int, float | None]]
    estimated_bits: float | None = None


def is_estimate(codec: Any) -> bool:
    """Return whether a class, or an object, only estimates its rate.

    Raises:
        CodecFileError: it is not a codec.
    """
    if _pair(codec):
        return False
    if callable(getattr(codec, "forward", None)):
        return True
    kind = codec if inspect.isclass(codec) else type(codec)
    raise CodecFileError(
        f"{kind.__name__} has neither compress and decompress, nor encode and decode, nor forward; "
        "add them"
    )


def adapt(codec: Any) -> Adapted:
    """Return ``codec`` as something that turns images into bytes and bytes into images.

    A torch module is put into evaluation mode, and its tables are made by its ``update()`` where
    it has them not yet.

    Raises:
        CodecFileError: it has none of the interfaces above.
    """
    kind = _Estimate if is_estimate(codec) else _Tensors if _takes_two(codec) else _Arrays
    if _is_module(codec):
        codec.eval()
        tables = [m._quantized_cdf for m in codec.modules() if hasattr(m, "_quantized_cdf")]
        if hasattr(codec, "update") and not (tables and all(t.numel() for t in tables)):
            codec.update()
    return kind(codec)


def _pair(codec: Any) -> tuple[str, str] | None:
    """Names of the methods that encode and decode."""
    for names in _PAIRS:
        if all(callable(getattr(codec, name, None)) for name in names):
            return names
    return None


def _takes_two(codec: Any) -> bool:
    """Whether the decoder takes strings and a shape."""
    _, decode = _pair(codec) or ("", "")
    kinds = [p.kind for p in inspect.signature(getattr(codec, decode)).parameters.values()]
    positional = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
    return sum(kind in positional for kind in kinds) >= 2


def _is_module(codec: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(codec, torch.nn.Module)


class Adapted:
    """An object as a codec.

    Attributes:
        estimated: whether the rate is an estimate.
        on_gpu: whether the object is on a GPU.
    """

    estimated = False

    def __init__(self, codec: Any) -> None:
        self._codec = codec
        self._pair = _pair(codec) or ("forward", "")
        first = next(codec.parameters(), None) if _is_module(codec) else None
        self._device = getattr(first, "device", None)
        self.on_gpu = getattr(self._device, "type", "cpu") == "cuda"

    def encode(self, image: Any) -> Encoded:
        """Encode an image, uint8 of shape (height, width, 3).

        Raises:
            CodecFileError: the object returned something else than it should.
        """
        raise NotImplementedError

    def decode(self, data: bytes) -> Any:
        """Return the image of ``data``, (height, width, 3): uint8, or float32 in [0, 1].

        Raises:
            ValueError: ``data`` is not what ``encode`` returned.
            CodecFileError: the object returned something else than it should.
        """
        raise NotImplementedError

    def synchronize(self) -> None:
        """Wait for the GPU, where the object is on one."""
        if self.on_gpu:
            import torch

            torch.cuda.synchronize()

    def _call(self, which: int, *values: Any) -> Any:
        torch = sys.modules.get("torch")
        with torch.no_grad() if torch else contextlib.nullcontext():
            return getattr(self._codec, self._pair[which])(*values)


class _Arrays(Adapted):
    """``compress(image) -> bytes``, ``decompress(data) -> image``."""

    def encode(self, image: Any) -> Encoded:
        data = self._call(0, np.array(image))  # a copy: ours cannot be written to
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise _wrong(self._pair[0], data, "bytes")
        return Encoded(bytes(data), [])

    def decode(self, data: bytes) -> Any:
        image = self._call(1, data)
        name = self._pair[1]
        if not isinstance(image, np.ndarray) or image.ndim != 3 or image.shape[2] != 3:
            raise _wrong(name, image, "an array of shape (height, width, 3)")
        if image.dtype != np.uint8 and image.dtype.kind != "f":
            raise _wrong(name, image, "an array of uint8, or of floats in [0, 1]")
        return image if image.dtype == np.uint8 else image.astype(np.float32)


class _Tensors(Adapted):
    """``compress(x) -> {"strings", "shape"}``, ``decompress(strings, shape) -> {"x_hat"}``."""

    def encode(self, image: Any) -> Encoded:
        found = self._call(0, _padded(image, self._codec, self._device))
        name = self._pair[0]
        if not isinstance(found, dict) or not found.keys() >= {"strings", "shape"}:
            raise _wrong(name, found, "a dict with strings and shape")
        height, width = image.shape[:2]
        size = {"height": height, "width": width}
        shares: list[tuple[str, bytes]] = []
        try:
            items = {**size, "shape": found["shape"], "strings": found["strings"]}.items()
            header = b"".join(_item(value, share, shares) for share, value in items)
        except TypeError:
            raise CodecFileError(
                f"the shape and the strings that {name} returned must be whole numbers and bytes, "
                "in lists or tuples"
            ) from None
        segments: dict[str, int] = {"header": len(header)}
        for share, data in shares:
            segments[share] = segments.get(share, 0) + len(data)
        data = header + b"".join(data for _, data in shares)
        return Encoded(data, [(share, n_bytes, None) for share, n_bytes in segments.items()])

    def decode(self, data: bytes) -> Any:
        height, width, shape, strings = _read_container(data)
        found = self._call(1, strings, _shape(shape))
        return _cropped(_x_hat(found, self._pair[1]), height, width)


class _Estimate(Adapted):
    """``forward(x) -> {"x_hat", "likelihoods"}``; the data are the reconstruction itself."""

    estimated = True

    def encode(self, image: Any) -> Encoded:
        height, width = image.shape[:2]
        found = self._call(0, _padded(image, self._codec, self._device))
        pixels = _cropped(_x_hat(found, "forward"), height, width)
        likelihoods = found.get("likelihoods")
        if not isinstance(likelihoods, dict) or not likelihoods:
            raise _wrong("forward", likelihoods, "likelihoods, a dict of tensors")
        bits = {name: -float(p.double().log2().sum()) for name, p in likelihoods.items()}
        if not all(math.isfinite(n) and n >= 0 for n in bits.values()):
            raise CodecFileError("forward returned likelihoods that are not within (0, 1]")
        segments: list[tuple[str, int, float | None]] = []
        total, before = 0.0, 0
        for name, n_bits in bits.items():  # whole bytes whose sum is the total, rounded up
            total += n_bits
            n_bytes = math.ceil(total / 8)
            segments.append((str(name), n_bytes - before, n_bits))
            before = n_bytes
        planes = pixels.reshape(-1, 1).view(np.uint8).T  # bytes of like weight side by side
        data = _number(height) + _number(width) + zlib.compress(planes.tobytes(), 1)
        return Encoded(data, segments, total)

    def decode(self, data: bytes) -> Any:
        reader = _Reader(data)
        height, width = reader.number(), reader.number()
        unpack = zlib.decompressobj()
        try:
            planes = unpack.decompress(data[reader.at :], 12 * height * width + 1)
        except zlib.error as error:
            raise ValueError(str(error)) from None
        if len(planes) != 12 * height * width:
            raise ValueError("the reconstruction is cut short or too long")
        pixels = np.frombuffer(planes, np.uint8).reshape(4, -1).T.copy().view(np.float32)
        return pixels.reshape(height, width, 3)


# Tensors


def _padded(image: Any, codec: Any, device: Any) -> Any:
    """An image as a tensor (1, 3, height, width) in [0, 1], both sides multiples of 64.

    Pixels of the right and the lower edge are repeated. A class may ask for a multiple of its own
    by CompressAI's ``downsampling_factor``.
    """
    import torch

    factor = int(getattr(codec, "downsampling_factor", 1))
    multiple = _MULTIPLE * factor // math.gcd(_MULTIPLE, factor)
    height, width = (-n % multiple for n in image.shape[:2])
    pixels = np.pad(image, ((0, height), (0, width), (0, 0)), mode="edge")
    x = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
    return x.to(device or "cpu").float().div(255)[None]


def _x_hat(found: Any, method: str) -> Any:
    x = found.get("x_hat") if isinstance(found, dict) else None
    if x is None or getattr(x, "ndim", 0) != 4 or tuple(x.shape[:2]) != (1, 3):
        raise _wrong(method, found, "a dict with x_hat, a tensor (1, 3, height, width)")
    return x


def _cropped(x: Any, height: int, width: int) -> Any:
    """A tensor (1, 3, ...) as an image, float32 in [0, 1]."""
    if x.shape[2] < height or x.shape[3] < width:
        raise ValueError(f"x_hat is {x.shape[3]}x{x.shape[2]}, less than {width}x{height}")
    pixels = x[0, :, :height, :width].detach().float().clamp(0, 1).permute(1, 2, 0)
    return np.ascontiguousarray(pixels.cpu().numpy())


def _wrong(method: str, value: Any, wanted: str) -> CodecFileError:
    given = type(value).__name__
    if hasattr(value, "shape"):
        given += f" of shape {tuple(value.shape)}"
    elif isinstance(value, dict):
        given += f" of {', '.join(map(str, value))}"
    return CodecFileError(f"{method} returned {given}, not {wanted}")


# The container


def _number(value: int) -> bytes:
    """A whole number as LEB128."""
    low, rest = value & 127, value >> 7
    return bytes([low | 128]) + _number(rest) if rest else bytes([low])


def _item(value: Any, name: str, shares: list[tuple[str, bytes]]) -> bytes:
    """The first part of an item; its strings are added to ``shares``, with the name of each.

    Shares are named by their place in the outermost list. TypeError for other types.
    """
    if isinstance(value, bytes):
        shares.append((name, value))
        return _number(len(value) << 2 | _BYTES)
    if isinstance(value, (list, tuple)):
        names = (name if "[" in name else f"{name}[{n}]" for n in range(len(value)))
        items = [_item(part, next(names), shares) for part in value]
        return _number(len(value) << 2 | _LIST) + b"".join(items)
    number = operator.index(value)
    if number < 0:
        raise TypeError
    return _number(number << 2 | _NUMBER)


class _Reader:
    """Numbers and items of a container's first part; ValueError where it is damaged."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def number(self) -> int:
        """The next number."""
        value = 0
        for shift in range(0, _MAX_BITS, 7):
            if self.at == len(self._data):
                raise ValueError("the container is cut short")
            byte = self._data[self.at]
            self.at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise ValueError("a number of the container is too large")

    def item(self, depth: int = 0) -> Any:
        """The next item: a number, a list, or a string, as a slice without its start."""
        value, kind = divmod(self.number(), 4)
        if kind == _NUMBER:
            return value
        if kind == _BYTES:
            return slice(value)
        if kind != _LIST or depth > _MAX_DEPTH or value > len(self._data):
            raise ValueError("the container is damaged")
        return [self.item(depth + 1) for _ in range(value)]

    def strings(self, item: Any) -> Any:
        """An item with the bytes of its strings, which follow here in order."""
        if isinstance(item, list):
            return [self.strings(part) for part in item]
        if not isinstance(item, slice):
            return item
        start, self.at = self.at, self.at + item.stop
        if self.at > len(self._data):
            raise ValueError("the container is cut short")
        return self._data[start : self.at]


def _read_container(data: bytes) -> tuple[int, int, Any, Any]:
    """Height, width, shape and strings."""
    reader = _Reader(data)
    height, width, *others = (reader.item() for _ in range(4))
    if not isinstance(height, int) or not isinstance(width, int) or not height * width:
        raise ValueError("the container has no size")
    shape, strings = reader.strings(others)
    if reader.at != len(data):
        raise ValueError(f"the container has {len(data) - reader.at} bytes too many")
    return height, width, shape, strings


def _shape(value: Any) -> Any:
    """What ``compress`` gave as the shape: lists of numbers are torch.Size."""
    import torch

    if not isinstance(value, list):
        return value
    if all(isinstance(n, int) for n in value):
        return torch.Size(value)
    return [_shape(part) for part in value]
