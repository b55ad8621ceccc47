"""The report: one HTML page that needs no network.

``data.py`` computes what it shows, ``assets/`` holds a template, a style sheet, small JavaScript
modules and, in ``vendor/``, the two libraries they draw with. The modules stay apart in the page:
an import map holds each as a ``data:`` address, so there is no bundler and nothing to build.
"""

import datetime
import json
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from rdbench.analysis.selection import shown_by
from rdbench.curve import Curve
from rdbench.datasets import files_of
from rdbench.errors import RdbenchWarning
from rdbench.files import output_file, write_text
from rdbench.report.page.album import Album, Looks, Wanted, check_names, image_json
from rdbench.report.page.data import Json, comparison_json, comparisons, costs_of, metrics_json
from rdbench.report.page.runs import runs_over_time
from rdbench.store import Store, kept_in
from rdbench.timing import timings

RATES_BPP = (0.25, 0.5, 1.0)
"""Rates at which images are looked at unless told otherwise, in bits per pixel."""

Progress = Callable[[str, int, int], None]
"""Called with (what, done, of how many)."""


@dataclass(frozen=True)
class Page:
    """What a page shows.

    Attributes:
        missing: a line for each thing that was asked for and could not be shown.
        note: the authors' words, as HTML.
    """

    data: Json
    album: Album
    missing: tuple[str, ...]
    note: str = ""


def make_page(
    folder: str | Path,
    *,
    imported: Iterable[Curve] = (),
    images: Wanted = 0,
    rates_bpp: Sequence[float] = RATES_BPP,
    title: str = "",
    note: str = "",
    published: Sequence[str] = ("all",),
    anchor: str = "",
    earlier: Sequence[str | Path] = (),
    match_rate: bool = False,
    on_progress: Progress = lambda what, done, n: None,
) -> Page:
    """Compute what a page shows.

    Args:
        imported: curves from elsewhere, shown next to the measured ones.
        images: names of images to look at, or how many of each data set.
        rates_bpp: rates at which images are looked at, in bits per pixel.
        title: heading; "" for the name of the folder.
        note: Markdown shown below the heading. HTML in it is shown as text.
        published: ``none``, ``all``, or names of published curves to show.
        anchor: name of the curve that the page begins with as the anchor, shown in any case.
        earlier: report folders of earlier runs of the same codecs.
        match_rate: encode images at the rate of the anchor, see `image_json`.

    Raises:
        DataError: a folder holds no records.
        UsageError: no data set has an image of that name, or no curve that of the anchor or of a
            published curve.
    """
    album, datasets = Album(), []
    timed, imported, wanted = timings(folder), list(imported), shown_by(published)
    with Store(folder, create=False) as store:
        found = comparisons(store, imported, wanted, anchor)
        missing = _elsewhere(imported, [comparison.dataset for comparison in found])
        missing += [
            f"there is no {anchor} on {c.dataset}" for c in found if anchor and not c.anchor
        ]
        check_names(images, found)
        runs, others = runs_over_time(folder, found, earlier)
        missing += others
        for comparison in found:
            name = comparison.dataset
            counting, comparing, showing = (
                partial(on_progress, what)
                for what in (f"complexity on {name}", f"BD-rates on {name}", f"{name} images")
            )
            costs = costs_of(store, comparison, counting)
            figures = comparison_json(comparison, timed, costs, comparing)
            looks = Looks(images, rates_bpp, match_rate)
            shown, lacking = image_json(store, comparison, looks, album, showing)
            datasets.append({**figures, "viewer": shown, "missing": lacking})
            missing += lacking
    data = {
        "title": title or Path(folder).resolve().name,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "rdbench": version("rdbench"),
        "metrics": metrics_json(found),
        "anchor": anchor,
        "runs": [asdict(run) for run in runs],
        "datasets": datasets,
    }
    return Page(data, album, tuple(missing), _html(note))


def _html(markdown: str) -> str:
    from markdown_it import MarkdownIt

    return str(MarkdownIt("commonmark", {"html": False}).render(markdown))


def _elsewhere(curves: Iterable[Curve], datasets: Sequence[str]) -> list[str]:
    """A line for every curve on a data set that the page does not show."""
    shown = ", ".join(datasets)
    return [
        f"{c.label} is not shown: it is on {c.dataset}, and the page on {shown}; a file in a "
        "folder called like the data set, or that names it as `test-set`, is taken for it"
        for c in curves
        if c.dataset not in datasets
    ]


def render(page: Page, downloads: Mapping[str, str] = MappingProxyType({})) -> str:
    """The page as HTML.

    Args:
        downloads: files next to the page, to which it links -> what it calls them.
    """
    import jinja2

    assets = files("rdbench.report.page").joinpath("assets")
    texts = {
        file.name: file.read_text(encoding="utf-8")
        for folder in (assets, assets.joinpath("vendor"))
        for file in folder.iterdir()
        if file.name.endswith((".js", ".css", ".html"))
    }
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["json"] = _script_json
    modules = {name: text for name, text in texts.items() if name.endswith(".js")}
    vendor = [modules.pop(name) for name in ("d3.min.js", "plot.min.js")]
    imports = {name: "data:text/javascript," + quote(text) for name, text in modules.items()}
    return environment.from_string(texts["page.html"]).render(
        data=page.data,
        note=page.note,
        album=page.album.images,
        downloads=downloads,
        style=texts["page.css"],
        vendor=vendor,
        imports={"imports": imports},
    )


def _script_json(value: Any) -> str:
    """Return JSON that is safe inside a script element."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def write_report(
    folder: str | Path = "reports",
    out: str | Path | None = None,
    *,
    imported: Iterable[Curve] = (),
    images: Wanted = 1,
    rates_bpp: Sequence[float] = RATES_BPP,
    title: str = "",
    note: str = "",
    published: Sequence[str] = ("all",),
    anchor: str = "",
    earlier: Sequence[str | Path] = (),
    match_rate: bool = False,
) -> Path:
    """Write one HTML page of all that a report folder holds; return its path.

    Args:
        out: file to write; None for ``report.html`` in the folder.
        imported: curves from elsewhere, shown next to the measured ones.
        images: names of images to look at, or how many of each data set.
        rates_bpp: rates at which images are looked at, in bits per pixel.
        title: heading; "" for the name of the folder.
        note: Markdown shown below the heading. HTML in it is shown as text.
        published: ``none``, ``all``, or names of published curves to show.
        anchor: name of the curve that the page begins with as the anchor; "" for the default.
        earlier: report folders of earlier runs of the same codecs.
        match_rate: encode images within 1 % of the anchor's rate, where a codec can.

    Raises:
        DataError: a folder holds no records, or the file cannot be written.
        UsageError: no data set has an image of that name, or no curve that of the anchor or of a
            published curve.
    """
    folder = Path(folder)
    default = folder / "report.html"
    read = read_for_page(folder, earlier)
    target = output_file(None if out is None else Path(out), default, read, force=True)
    page = make_page(
        folder, imported=imported, images=images, rates_bpp=rates_bpp, title=title, note=note,
        published=published, anchor=anchor, earlier=earlier, match_rate=match_rate,
    )  # fmt: skip
    for line in page.missing:
        warnings.warn(line, RdbenchWarning, stacklevel=2)
    write_page(page, target)
    return target


def read_for_page(folder: Path, earlier: Sequence[str | Path] = ()) -> list[Path]:
    """Return what a page of report folders reads, and must not replace: records and images."""
    with Store(folder, create=False) as store:
        sets = {store.source_of(name): names for name, names in store.datasets().items()}
    shown = [file for source, names in sets.items() for file in files_of(source, names)]
    kept = [path for one in (folder, *map(Path, earlier)) for path in kept_in(one)]
    return [*kept, *shown]


def write_page(page: Page, out: Path) -> None:
    """Write a page to a file.

    Raises:
        DataError: the file cannot be written.
    """
    write_text(out, render(page))
