"""``rdbench report``: everything a folder holds as one page."""

import math
from pathlib import Path
from typing import Annotated

import typer

from rdbench.analysis.selection import shown_by
from rdbench.cli import options
from rdbench.cli.console import progress, warn
from rdbench.datasets import files_of, names_of_list
from rdbench.errors import DataError, UsageError
from rdbench.files import output_file
from rdbench.importers import import_curves
from rdbench.store import Store, kept_in


def report(
    folder: options.Folder = options.REPORTS,
    out: Annotated[Path | None, options.out("File to write; default: FOLDER/report.html.")] = None,
    images: Annotated[
        str | None,
        typer.Option(
            help="Images to show: names separated by commas, or a number per data set.",
            show_default="1",
        ),
    ] = None,
    bpp: Annotated[
        str, typer.Option(help="Rates to show them at: bits per pixel separated by commas.")
    ] = "0.25,0.5,1",
    title: Annotated[str, typer.Option(help="Heading; default: the folder's name.")] = "",
    note: Annotated[
        Path | None, typer.Option(help="Markdown file with your words on the results.")
    ] = None,
    published: options.Published = options.ALL,
    files: options.CurveFiles = options.ALL,
) -> None:
    """Write one HTML page that needs no network.

    Shows what was found, curves, BD-rates against any anchor, images at matched rates, rate by
    latent, complexity, times, and the source of each number. An image adds about a megabyte per two
    codecs and rates. The exit status is 1 if an image of `--images` cannot be shown.

    Example: rdbench report reports --images kodim03,kodim20
    """
    from rdbench.report.page import make_page, write_page

    rates, wanted = _rates(bpp), images or "1"
    with Store(folder, create=False) as store:
        sets = {store.source_of(name): names for name, names in store.datasets().items()}
    shown = [file for source, names in sets.items() for file in files_of(source, names)]
    read = [*kept_in(folder), *shown, *files, *([note] if note else [])]
    target = output_file(out, folder / "report.html", read, force=True)
    imported = import_curves(files)
    words = _note(note) if note else ""
    with progress("report") as advance:
        page = make_page(
            folder,
            imported,
            int(wanted) if wanted.isdigit() else [n.strip() for n in names_of_list(wanted)],
            rates,
            lambda what, done, n: advance(done, n, what),
            title,
            words,
            shown_by(options.published_names(published)),
        )
    warn(*page.missing)
    write_page(page, target)
    typer.echo(target)
    if images and any(dataset["missing"] for dataset in page.data["datasets"]):
        raise typer.Exit(1)


def _note(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the note {path} cannot be read: {error}") from None


def _rates(text: str) -> list[float]:
    try:
        rates = [float(word) for word in text.split(",")]
    except ValueError:
        rates = []
    if not rates or not all(0 < rate < math.inf for rate in rates):
        raise UsageError(f"--bpp takes rates in bits per pixel, separated by commas, not {text!r}")
    return rates
