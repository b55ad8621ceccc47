"""Writing files: whole or not at all, and never over a file that the user did not mean.

========================================  ========================================================
a default name                            refused where something has that name, without --force
a file named with --out                   replaced, unless it is a folder
files in a folder named with --out        refused where one exists, without --force
FOLDER/figures, report.html, reproduce-*  the report's own: replaced
a published folder                        what ``published.json`` names, unchanged: replaced
========================================  ========================================================

An input of the command is never replaced, with --force neither, and nothing is put among what a
report folder keeps (its journals, its bitstreams).
"""

import io
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rdbench.errors import DataError, UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary file next to ``path``; rename it to ``path`` when the block ends.

    The temporary file has the suffix of ``path``. After an error it is deleted and ``path`` is as
    it was. A new file gets the mode that the umask gives, a replaced one keeps its mode. Missing
    folders are made. A symbolic link is followed; a device or a pipe is written directly.

    Raises:
        DataError: the file cannot be written; the message names ``path``.
    """
    try:
        if path.exists() and not path.is_file():
            yield path
            return
        target = Path(os.path.realpath(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".partial-{secrets.token_hex(8)}{target.suffix}")
        mode = _created(partial)
        try:
            yield partial
            # Some writers put a file of their own in its place, with a mode of their own.
            partial.chmod(target.stat().st_mode if target.exists() else mode)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}") from None


def _created(path: Path) -> int:
    """Create an empty file; its mode, which the umask decided."""
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        return os.fstat(handle).st_mode
    finally:
        os.close(handle)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all; DataError where it cannot be written."""
    with replacing(path) as partial:
        partial.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file, whole or not at all; DataError where it cannot be written."""
    write_bytes(path, text.encode("utf-8", "surrogateescape"))


def write_figure(path: Path, figure: "Figure", **options: Any) -> None:
    """Write a figure, whole or not at all, in the format of the suffix of ``path``.

    Raises:
        UsageError: the suffix is not a figure format.
        DataError: the file cannot be written.
    """
    # In memory first: matplotlib answers a full disk with whatever error its PDF writer ends in.
    drawn = io.BytesIO()
    try:
        figure.savefig(drawn, format=path.suffix.removeprefix(".") or "png", **options)
    except ValueError as error:
        raise UsageError(f"cannot draw {path}: {error}") from None
    write_bytes(path, drawn.getvalue())


def output_file(
    given: Path | None, default: Path, inputs: Iterable[Path] = (), force: bool = False
) -> Path:
    """Return the file that a command writes, after the checks at the top of this module.

    Args:
        default: the file where nothing is named.
        inputs: files that the command reads, and folders all of whose files it reads.

    Raises:
        UsageError: that file must not be replaced.
    """
    path = given or default
    if path.is_dir():
        raise UsageError(f"{path} is a folder; name a file with --out")
    if given is None:
        output_files([path], inputs, force)
    else:
        _refuse_inputs(path, inputs)
    return path


def output_files(paths: Iterable[Path], inputs: Iterable[Path] = (), force: bool = False) -> None:
    """Check the files that a command writes into a folder, before it writes the first.

    Raises:
        UsageError: one exists and ``force`` is not given, or one is an input.
    """
    paths, inputs = list(paths), list(inputs)
    for path in paths:
        _refuse_inputs(path, inputs)
    for path in paths:  # not through a link with a default name: its target may be anything
        if path.is_symlink() and path.exists() and not path.is_dir():
            raise UsageError(f"{path} is a link; remove it, or name a file with --out")
    existing = [path for path in paths if os.path.lexists(path)]
    if existing and not force:
        more = f" (and {len(existing) - 1} more)" if existing[1:] else ""
        raise UsageError(f"{existing[0]} exists{more}; add --force to replace it, or choose --out")


def files_of_spec(spec: str) -> list[Path]:
    """Files that a codec spec names: a description, weights, configurations."""
    return [path for word in re.split("[:=,]", spec) if (path := Path(word).expanduser()).is_file()]


def _refuse_inputs(path: Path, inputs: Iterable[Path]) -> None:
    real = path.resolve()
    for one in inputs:
        same = path.exists() and one.exists() and path.samefile(one)
        inside = one.is_dir() and real.is_relative_to(one.resolve())
        if same or inside or real == one.resolve():
            doing = "would be replaced, which is" if path.exists() else "would be among what is"
            raise UsageError(f"{path} {doing} read here; name another file with --out")
