"""``rdbench report``: everything a folder holds as one page."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rdbench.cli import options
from rdbench.cli.console import progress, warn
from rdbench.datasets import names_of_list
from rdbench.errors import DataError, UsageError
from rdbench.files import output_file
from rdbench.importers import import_curves

if TYPE_CHECKING:
    from rdbench.report.page import Page

RATES = "0.25,0.5,1"


def report(
    folder: options.Folder = options.REPORTS,
    out: Annotated[Path | None, options.out("File to write; default: FOLDER/report.html.")] = None,
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
    """Write one HTML page that needs no network.

    Shows what was found, curves, BD-rates against any anchor, images at matched rates, rate by
    latent, complexity, times, and the source of each number. An image adds about a megabyte per two
    codecs and rates. The exit status is 1 if an image of `--images` cannot be shown.

    Example: rdbench report reports --images kodim03,kodim20
    """
    from rdbench.report.page import write_page

    request = Request(
        folder, images, bpp, match_rate, title, note, anchor, published, files, earlier
    )
    target = output_file(out, folder / "report.html", request.inputs(), force=True)
    page = request.make()
    write_page(page, target)
    typer.echo(target)
    request.check(page)


@dataclass(frozen=True)
class Request:
    """What a page shows, as it was asked for; see the options of `report`."""

    folder: Path
    images: str | None
    bpp: str
    match_rate: bool
    title: str
    note: Path | None
    anchor: str
    published: Sequence[str]
    files: Sequence[Path]
    earlier: Sequence[Path]

    def __post_init__(self) -> None:
        _rates(self.bpp)  # a wrong one is refused before the folder is read

    def inputs(self) -> list[Path]:
        """What is read, and must not be replaced."""
        from rdbench.report.page import read_for_page

        note = [self.note] if self.note else []
        return [*read_for_page(self.folder, self.earlier), *self.files, *note]

    def make(self) -> "Page":
        """Compute the page, and print what it lacks.

        Raises:
            RdbenchError: a wrong option, or a file or folder that cannot be read.
        """
        from rdbench.report.page import make_page

        rates, imported = _rates(self.bpp), import_curves(self.files)
        words = _words(self.note) if self.note else ""
        with progress("report") as advance:
            page = make_page(
                self.folder,
                imported=imported,
                images=_images(self.images or "1"),
                rates_bpp=rates,
                title=self.title,
                note=words,
                published=options.published_names(self.published),
                anchor=self.anchor,
                earlier=self.earlier,
                match_rate=self.match_rate,
                on_progress=lambda what, done, n: advance(done, n, what),
            )
        warn(*page.missing)
        return page

    def check(self, page: "Page") -> None:
        """Exit with status 1 where images that were asked for are not on the page."""
        if self.images and any(dataset["missing"] for dataset in page.data["datasets"]):
            raise typer.Exit(1)


def _images(text: str) -> int | list[str]:
    return int(text) if text.isdigit() else [name.strip() for name in names_of_list(text)]


def _words(path: Path) -> str:
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
