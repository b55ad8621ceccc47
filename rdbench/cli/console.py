"""Printing: results to stdout as tables or JSON, everything else to stderr."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from rdbench.printable import printable
from rdbench.report.tables import cell, columns, is_numeric

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Force = Annotated[bool, typer.Option("--force", help="Replace files that exist.")]

# Names are printed as they are: rich would take [a] for markup and :smile: for an image.
_PLAIN: Any = {"markup": False, "emoji": False, "highlight": False}
_WIDTH = 100_000  # tables keep their width: a number or a name cut short is none
_stdout = Console(width=_WIDTH, **_PLAIN)
_stderr = Console(stderr=True, soft_wrap=True, **_PLAIN)

Row = Mapping[str, Any]


def say(*lines: str) -> None:
    """Lines for people, on stderr; control characters in them are escaped."""
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


class _Plain(ProgressColumn):
    """Text of a progress bar, shown as it is."""

    def __init__(self, text_of: Callable[[Task], str]) -> None:
        super().__init__()
        self._text_of = text_of

    def render(self, task: Task) -> Text:
        return Text(printable(self._text_of(task)))


@contextmanager
def progress_bar(what: str) -> Iterator[Progress]:
    """A progress bar on stderr with the time left."""
    with Progress(
        _Plain(lambda _: what),
        BarColumn(),
        MofNCompleteColumn(),
        _Plain(lambda task: str(task.fields.get("note", ""))),
        TimeElapsedColumn(),
        _Plain(lambda _: "left"),
        TimeRemainingColumn(),
        console=_stderr,
        transient=True,
        disable=not _stderr.is_terminal,
    ) as bar:
        yield bar
