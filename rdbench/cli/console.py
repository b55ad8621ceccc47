"""Printing: results to stdout as tables or JSON, everything else to stderr.

--quiet silences remarks (`say`) and `progress`, never results, errors and problems (`warn`).
--verbose adds a line for each step of `progress`, for logs.
"""

import json
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, Protocol, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from rdbench.printable import printable
from rdbench.report.tables import cell, columns, is_numeric

# Names are printed as they are: rich would take [a] for markup and :smile: for an image.
_PLAIN: Any = {"markup": False, "emoji": False, "highlight": False}
_WIDTH = 100_000  # tables keep their width: a number or a name cut short is none
_stdout = Console(width=_WIDTH, **_PLAIN)
_stderr = Console(stderr=True, soft_wrap=True, **_PLAIN)

Row = Mapping[str, Any]
T = TypeVar("T")


class Verbosity:
    """What is printed beside results and errors; the program's options set it."""

    quiet = False
    verbose = False


def say(*lines: str) -> None:
    """Print remarks on stderr, unless --quiet is given; control characters are escaped."""
    if not Verbosity.quiet:
        warn(*lines)


def warn(*lines: str) -> None:
    """Print lines that nobody should miss on stderr; control characters are escaped."""
    for line in lines:
        _stderr.print(printable(line))


def grouped(warnings: Sequence[tuple[str, str]]) -> list[str]:
    """(curve, text) -> one line a text, and one below with the curves that it is about."""
    about: dict[str, list[str]] = {}
    for curve, text in warnings:
        shared = text.replace(f" ({curve})", "").replace(f" of {curve}:", ":")
        about.setdefault(shared, []).append(curve)
    return [
        line
        for text, curves in about.items()
        for line in (text, f"    {', '.join(dict.fromkeys(curves))}")
    ]


def print_json(value: Any) -> None:
    """``value`` as JSON on stdout; a number that is not finite becomes null."""
    json.dump(_finite(value), sys.stdout, indent=1, allow_nan=False)
    sys.stdout.write("\n")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value


def print_rows(rows: Sequence[Row], as_json: bool, title: str = "") -> None:
    """Rows as a table whose columns are the keys of all rows, or as JSON.

    None, or what a row lacks, is printed as a dash; a column of nothing but None is left out.
    """
    if as_json:
        print_json(list(rows))
        return
    if not rows:
        return
    table = Table(title=printable(title) or None, title_justify="left", box=None, pad_edge=False)
    names = columns(rows)
    for name in names:
        justify: Literal["left", "right"] = "right" if is_numeric(rows, name) else "left"
        table.add_column(printable(name).replace("_", " "), justify=justify, no_wrap=True)
    for row in rows:
        table.add_row(*(printable(cell(name, row.get(name))) for name in names))
    _stdout.print(table)


class Advance(Protocol):
    """Say how far a command is; the bar shows ``note``, the log also what the ``step`` was."""

    def __call__(self, done: int, total: int, note: str = "", step: str = "") -> None: ...


def _text(form: str) -> TextColumn:
    return TextColumn(form, markup=False)


@contextmanager
def progress(what: str) -> Iterator[Advance]:
    """Show on stderr that a command works, and how far it is; see the top of this module.

    Example:
        with progress("rescoring") as advance:
            rescore(folder, on_progress=advance)
    """
    with Progress(
        _text("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _text("{task.fields[note]}"),
        TimeElapsedColumn(),
        _text("left"),
        TimeRemainingColumn(),
        console=_stderr,
        transient=True,
        disable=Verbosity.quiet or not _stderr.is_terminal,
    ) as bar:
        task = bar.add_task(printable(what), total=None, note="")

        def advance(done: int, total: int, note: str = "", step: str = "") -> None:
            bar.update(task, completed=done, total=total, note=printable(note))
            if Verbosity.verbose:
                say(", ".join(filter(None, (f"{what}: {done} of {total}", step, note))))

        yield advance


def track(what: str, items: Collection[T]) -> Iterator[T]:
    """Yield the items of a loop, and show `progress`."""
    with progress(what) as advance:
        for done, item in enumerate(items):
            advance(done, len(items))
            yield item
