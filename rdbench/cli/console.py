"""Printing: results to stdout as tables or JSON, everything else to stderr."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Literal

import typer
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

from rdbench.report.tables import cell, columns, is_numeric

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

_stdout = Console(width=400)  # tables keep their width: a number cut short is no number
_stderr = Console(stderr=True, soft_wrap=True, highlight=False)

Row = Mapping[str, Any]


def say(text: str) -> None:
    """A line for people, on stderr."""
    _stderr.print(text, markup=False)


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
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    names = columns(rows)
    for name in names:
        justify: Literal["left", "right"] = "right" if is_numeric(rows, name) else "left"
        table.add_column(name.replace("_", " "), justify=justify, no_wrap=True)
    for row in rows:
        table.add_row(*(cell(name, row.get(name)) for name in names))
    _stdout.print(table)


@contextmanager
def progress_bar(what: str) -> Iterator[Progress]:
    """A progress bar on stderr with the time left."""
    with Progress(
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=_stderr,
        transient=True,
        disable=not _stderr.is_terminal,
    ) as bar:
        yield bar
