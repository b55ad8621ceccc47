"""What installed packages add to rdbench, found through their entry points.

Groups of entry points::

    rdbench.codecs        a Codec class, or a family: a mapping of codec names to Codec classes
    rdbench.codec_files   named like a suffix (".toml"): a function (path, text or None) -> class;
                          the path may end in the name of a class (mine.py:MyCodec)
    rdbench.datasets      a package that holds manifests, see `rdbench.datasets`
    rdbench.curves        a package that holds published curves, see `rdbench.published`
    rdbench.papers        a Paper, see `rdbench.analysis.paper`
    rdbench.commands      a function, or a `typer.Typer` with several

A package that cannot be loaded, or that takes the name of another's codec, is named with the
reason; everything else works on.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from rdbench.errors import DataError, RdbenchWarning, Unavailable, UsageError, closest
from rdbench.types import Codec

CODECS = "rdbench.codecs"
CODEC_FILES = "rdbench.codec_files"


def package_of(point: EntryPoint) -> str:
    """Name of the package that registers an entry point."""
    return point.dist.name if point.dist else point.module


def load_plugin(point: EntryPoint) -> Any:
    """Return what a package registered.

    Raises:
        Unavailable: its module does not import; the message names the package and the reason.
    """
    try:
        return point.load()
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise Unavailable(f"package {package_of(point)!r} cannot be loaded ({reason})") from error


def plugins(group: str) -> Iterator[tuple[str, Any]]:
    """Yield name and object of every entry point of a group, sorted by name.

    An entry that cannot be loaded, or whose name another package has taken, is left out with a
    warning.
    """
    taken: dict[str, EntryPoint] = {}
    for point in _points(group):
        try:
            if (first := taken.setdefault(point.name, point)) is not point:
                used = f"that of {package_of(first)!r} is used"
                raise Unavailable(f"{_both([first, point])}; {used}")
            yield point.name, load_plugin(point)
        except Unavailable as error:
            kind = group.removeprefix("rdbench.").removesuffix("s")
            warnings.warn(f"left out {kind} {point.name!r}: {error}", RdbenchWarning, stacklevel=2)


def plugin(group: str, name: str) -> Any:
    """Return what is registered as ``name`` in a group; None where nothing is.

    Raises:
        UsageError: two packages use that name.
        Unavailable: its package cannot be loaded.
    """
    points = _entries(group, name)
    return load_plugin(_only(name, points)) if points else None


def plugin_names(group: str) -> list[str]:
    """Return the names of a group's entries, sorted; nothing is loaded."""
    return list(dict.fromkeys(p.name for p in _points(group)))


def _entries(group: str, name: str) -> list[EntryPoint]:
    return [point for point in _points(group) if point.name == name]


def _only(name: str, points: Sequence[EntryPoint]) -> EntryPoint:
    if len(points) > 1:
        raise UsageError(f"{name!r}: {_both(points)}; uninstall one of them")
    return points[0]


def _both(points: Sequence[EntryPoint]) -> str:
    return f"packages {' and '.join(repr(package_of(p)) for p in points)} both register it"


@cache
def _points(group: str) -> tuple[EntryPoint, ...]:
    return tuple(sorted(entry_points(group=group), key=lambda p: (p.name, package_of(p))))


@cache
def _codecs_of(point: EntryPoint) -> Mapping[str, type[Codec]]:
    """Codecs of one entry: the class under the entry's name, or the members of a family."""
    found = load_plugin(point)
    codecs = found if isinstance(found, Mapping) else {point.name: found}
    if not all(isinstance(cls, type) and issubclass(cls, Codec) for cls in codecs.values()):
        raise Unavailable(
            f"package {package_of(point)!r}: {point.name} = {point.value} is neither a subclass of "
            "rdbench.Codec nor a mapping of codec names to such classes"
        )
    return codecs


@cache
def _registered() -> Mapping[str, tuple[EntryPoint, ...]]:
    """Codec name -> entries that register it. An entry that cannot be loaded stays as its name.

    This loads every entry: only then are the members of families known.
    """
    found: dict[str, tuple[EntryPoint, ...]] = {}
    for point in _points(CODECS):
        try:
            names = list(_codecs_of(point))
        except Unavailable:
            names = [point.name]
        for name in names:
            found[name] = (*found.get(name, ()), point)
    return dict(sorted(found.items()))


def codec_names() -> list[str]:
    """Return the names of all registered codecs, sorted."""
    return list(_registered())


def family_of(name: str) -> str:
    """Return the family of a registered codec: the entry or, of a single codec, its subpackage."""
    point = _registered()[name][0]
    return point.module.split(".")[1] if point.name == name and "." in point.module else point.name


def codec_class(name: str) -> type[Codec]:
    """Return the class registered as ``name``, or made from the description file ``name``.

    Raises:
        UsageError: no such codec, or packages that register different ones.
        DataError: no such description file, or it takes the name of a registered codec.
        Unavailable: its package cannot be loaded.
    """
    points = _entries(CODECS, name)
    if len(points) != 1 or name not in _codecs_of(points[0]):  # else that entry is all to load
        points = list(_registered().get(name, ()))
    if points:
        return _codecs_of(_only(name, points))[name]
    if codec_file(name):
        return _class_of_file(name)
    if members := [codec for codec in codec_names() if family_of(codec) == name]:
        raise UsageError(f"{name!r} is a family of codecs; choose one of {', '.join(members)}")
    hint = closest(name, codec_names())
    raise UsageError(f"no codec named {name!r}{hint} (`rdbench codecs list` shows all)")


def codec_file(name: str) -> Path | None:
    """Return the file that the name of a codec leads to (``mine.toml``, ``mine.py:MyCodec``).

    None for the name of a registered codec.
    """
    path = Path(name.partition(":")[0])
    return path if _entries(CODEC_FILES, path.suffix) else None


def _class_of_file(name: str) -> type[Codec]:
    path = codec_file(name)
    if path is None or not path.is_file():
        raise DataError(f"no codec description at {str(path)!r}; check the path")
    made = described_class(name, None)
    if made.name in _registered():
        raise DataError(
            f"{name}: the name {made.name!r} belongs to a registered codec; change `name` in the "
            "file"
        )
    return made


def described_class(path: str, text: str | None) -> type[Codec]:
    """Return the class that a description file makes; its suffix decides which package reads it.

    ``text`` is its content as it was kept; None to read the file.

    Raises:
        DataError: the description is wrong, or its text alone makes no codec.
        Unavailable: the package that reads such files is missing or cannot be loaded.
    """
    file = codec_file(path)
    read = plugin(CODEC_FILES, file.suffix) if file else None
    if read is None:
        raise Unavailable(f"no installed package reads codec descriptions such as {path}")
    made: type[Codec] = read(Path(path), text)
    return made
