"""``rdbench curves``: the curves that results are compared with."""

from pathlib import Path
from typing import Annotated

import typer

from rdbench.cli import options
from rdbench.cli.console import print_rows, say
from rdbench.curve import CURVES
from rdbench.published import import_curves, list_curves

app = typer.Typer(name="curves", help="List published curves, check files.", no_args_is_help=True)


@app.command("list")
def list_(dataset: options.OnlyDataset = None, as_json: options.AsJson = False) -> None:
    """List the published curves that results can be compared with, and their sources.

    Example: rdbench curves list --dataset kodak
    """
    print_rows(CURVES, [curve.row() for curve in list_curves(dataset)], as_json)


@app.command()
def verify(
    files: Annotated[
        list[Path], typer.Argument(help="JSON files of CompressAI or lossy-vae.", show_default="")
    ] = options.ALL,
    dataset: options.OnlyDataset = None,
    as_json: options.AsJson = False,
) -> None:
    """Show what curve files hold, read as `--curve` reads them.

    Without a file, all published curves are checked.

    Example: rdbench curves verify
    """
    curves = import_curves(files, dataset) if files else list_curves(dataset)
    if files or as_json:
        print_rows(CURVES, [curve.row() for curve in curves], as_json)
    for curve in curves if files else ():
        for note in curve.notes:
            say(f"{curve.label} on {curve.dataset}: {note.message}")
    say(f"{len(curves)} curves can be read")
