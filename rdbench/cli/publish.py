"""``rdbench publish``: a report as a folder that any static host serves."""

from pathlib import Path
from typing import Annotated

import typer

from rdbench.cli import options
from rdbench.cli.report import RATES, Request


def publish(
    folder: options.Folder = options.REPORTS,
    out: Annotated[
        Path | None,
        typer.Argument(metavar="OUT", help="Folder to write.", show_default="FOLDER/public"),
    ] = None,
    bitstreams: Annotated[
        bool, typer.Option("--bitstreams", help="Also publish the bitstream of every record.")
    ] = False,
    images: options.Images = None,
    bpp: options.Rates = RATES,
    match_rate: options.MatchRate = False,
    title: options.Title = "",
    note: options.PageNote = None,
    anchor: options.PageAnchor = "",
    published: options.Published = options.ALL,
    files: options.CurveFiles = options.ALL,
    earlier: options.Earlier = options.ALL,
) -> None:
    """Write a folder for a static website: the page of `rdbench report` and its data.

    Each view of the page has an address of its own, which "Copy link to this view" copies. The
    data are every record as CSV and JSON, and files for Codec-Compare. Run the command again to
    refresh the folder: files that it did not write are neither replaced nor removed.

    Example: rdbench publish reports docs/board --images 2
    """
    from rdbench.report.publish import publish as write

    request = Request(
        folder, images, bpp, match_rate, title, note, anchor, published, files, earlier
    )
    target = out or folder / "public"
    page = write(folder, target, request.make, request.inputs(), bitstreams)
    typer.echo(target)
    request.check(page)
