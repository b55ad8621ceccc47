"""Printing: results to stdout as tables or JSON, everything else to stderr.

--quiet silences remarks (`say`) and `progress`, never results, errors and problems (`warn`).
--verbose adds a line for each step of `progress`, for logs.
"""

import json
import sys
import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from rich.cells import cell_len
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

from rdbench.columns import Column, Row, is_numeric, shown
from rdbench.errors import printable

# Names are printed as they are: rich would take [a] for markup and :smile: for an image.
_PLAIN: Any = {"markup": False, "emoji": False, "highlight": False}
_WIDE = 100_000  # columns: tables for files and pipes are as wide as they are
_NARROWEST = 10  # columns that a text is folded to at most
_stderr = Console(stderr=True, soft_wrap=True, **_PLAIN)

T = TypeVar("T")


class Verbosity:
    """What is printed besides results and errors; the program's options set it."""

    quiet = False
    verbose = False


def say(*lines: str) -> None:
    """Print remarks on stderr, unless --quiet is given; control characters are escaped."""
    if not Verbosity.quiet:
        warn(*lines)


def warn(*lines: str) -> None:
    """Print important lines on stderr, with control characters escaped."""
    for line in lines:
        _stderr.print(printable(line))


def grouped(warnings: Sequence[tuple[str, str]]) -> list[str]:
    """(curve, text) -> one line a text, and one below with the curves that it is about."""
    about: dict[str, dict[str, None]] = {}
    for curve, text in warnings:
        shared = text.replace(f" ({curve})", "").replace(f" of {curve}:", ":")
        about.setdefault(shared, {})[curve] = None
    return [line for text, curves in about.items() for line in (text, f"    {', '.join(curves)}")]


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


def print_rows(
    columns: Sequence[Column], rows: Sequence[Row], as_json: bool, title: str = ""
) -> None:
    """Print rows as a table of these columns, or as JSON with all their keys.

    A column of nothing but None is left out. Where a terminal is too narrow, headings and texts are
    folded. Numbers are not, and nothing is cut.
    """
    if as_json:
        print_json(list(rows))
        return
    if not rows:
        return
    table = Table(title=printable(title) or None, title_justify="left", box=None, pad_edge=False)
    console = Console(**_PLAIN)
    in_terminal = console.is_terminal
    cells, least = [], 0  # least: columns of the terminal that the table needs
    for column in shown(columns, rows):
        texts, heading = [printable(column.text(row)) for row in rows], printable(column.heading)
        is_number = is_numeric(column, rows)
        if in_terminal:
            heading = _folded(heading, max(map(cell_len, texts)))
        width = max(map(cell_len, [*texts, *heading.splitlines()]))
        least += 2 + (width if is_number else min(width, _NARROWEST))
        table.add_column(
            heading,
            justify="right" if is_number else "left",
            no_wrap=is_number or not in_terminal,
            overflow="fold",
        )
        cells.append(texts)
    for line in zip(*cells, strict=True):
        table.add_row(*line)
    console.width = max(console.width, least) if in_terminal else _WIDE
    console.print(table, crop=False)


def _folded(heading: str, width: int) -> str:
    """A heading in lines of about ``width`` columns, broken between words."""
    return textwrap.fill(heading, max(width, *map(len, heading.split())), break_long_words=False)


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
