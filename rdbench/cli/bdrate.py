"""``rdbench bdrate``: how much rate a codec saves at equal quality."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Annotated

import typer

from rdbench.analysis.bd import BdPsnr, BdRate, bd_psnr, bd_rate
from rdbench.analysis.comparison import Rows, anchors_text, compare, figures, other_anchors
from rdbench.analysis.selection import DEFAULT_ANCHOR, Selection, select, shown_by
from rdbench.analysis.sensitivity import sensitivity
from rdbench.cli import options
from rdbench.cli.console import grouped, print_rows, progress, warn
from rdbench.columns import DATASET, Column, plain
from rdbench.curve import Curve
from rdbench.errors import DataError, RdbenchError
from rdbench.importers import import_curves


def bdrate(
    anchor: options.Anchor = "",
    codec: options.CurveNames = options.ALL,
    published: options.Published = options.ALL,
    dataset: options.OnlyDataset = None,
    metric: options.Metric = "psnr",
    method: options.Method = "poly3",
    psnr: Annotated[
        bool, typer.Option("--bd-psnr", help="Print the quality gained at equal rate.")
    ] = False,
    spread: Annotated[
        bool, typer.Option("--sensitivity", help="Try every method, averaging, range and anchor.")
    ] = False,
    per_image: options.PerImage = False,
    files: options.CurveFiles = options.ALL,
    folder: options.Folder = options.REPORTS,
    as_json: options.AsJson = False,
) -> None:
    """Print BD-rates: how much rate codecs save at equal quality.

    Compares measured and published curves with an anchor. Your own curves come first, marked with a
    star. Remarks name curves that a method does not follow, or on which poly3 and pchip differ by
    more than 5 % of the rate (0.2 dB).

    Example: rdbench bdrate --anchor vtm18 --dataset kodak
    """
    imported = import_curves(files, dataset)
    selection = select(folder, dataset, imported)
    wanted = shown_by(options.published_names(published))
    comparison = compare(selection, anchor, codec, metric, wanted)
    against = repr(anchor or anchors_text(comparison.pairs) or DEFAULT_ANCHOR)
    compute = partial(
        bd_psnr if psnr else bd_rate, metric=metric, method="poly3" if spread else method
    )
    rows_of = partial(_rows, selection=selection if spread else None, per_image=per_image)
    with progress("bdrate"):
        found = figures(comparison, compute, rows_of)
    columns = VARIANTS if spread else IMAGES if per_image else FIGURES
    _print(columns, found.rows, [*comparison.notes, *grouped(found.notes)], as_json)
    if not found.own_is_compared:
        raise RdbenchError(f"no figure against {against} of your own curves: see above")
    if not found.rows:
        raise RdbenchError(f"no figure against {against}: see above")


def _rows(
    result: BdRate | BdPsnr,
    anchor: Curve,
    test: Curve,
    selection: Selection | None,
    per_image: bool,
) -> Rows:
    """The rows of one figure: itself, its images, or its variants within a selection."""
    if selection is not None:
        others = other_anchors(selection, anchor, result.metric)
        return _sensitivity_rows(anchor, test, result.metric, others)
    if per_image and not result.per_image:
        raise DataError("no scores of each image; both sides need them, on the same ones")
    return _image_rows(result) if per_image else [result.row()]


_HEAD = (DATASET, Column("label", "codec"))
_FIGURE = (
    Column("bd_rate_percent", "BD-rate", "%", 3, signed=True),
    Column("bd_psnr_db", "BD-PSNR", "dB", 2, signed=True),
)
FIGURES = (
    Column("own"),
    *_HEAD,
    *_FIGURE,
    Column("ci_low", "95 % interval", template="{ci_low:+.2f} {ci_high:+.2f}"),
    Column("n_wins", "won:lost", template="{n_wins}:{n_losses}"),
    Column("overlap_low", "overlap",
           template="{overlap_low:.2f}-{overlap_high:.2f} ({overlap:.0%})"),
    Column("n_points", "points", template="{n_points}/{n_anchor_points}"),
    Column("source", template="{source} / {anchor_source}"),
)  # fmt: skip
IMAGES = (*_HEAD, Column("image"), *_FIGURE)
VARIANTS = (*_HEAD, *plain("anchor", "method", "averaging", "range"), *_FIGURE)


def _print(columns: Sequence[Column], rows: Rows, lines: Sequence[str], as_json: bool) -> None:
    """Rows to stdout, a star before what is not published, then what must be known of them."""
    if any(row["source"] != "published" for row in rows) and not as_json:
        rows = [row | {"own": "" if row["source"] == "published" else "*"} for row in rows]
    if rows:
        print_rows(columns, rows, as_json)
    warn(*lines)


def _sensitivity_rows(anchor: Curve, test: Curve, metric: str, others: Sequence[Curve]) -> Rows:
    """The variants of a BD-rate, and their spread in percentage points."""
    found = sensitivity(anchor, test, metric, [c for c in others if c is not test])
    head = {"codec": test.codec, "label": test.label, "dataset": test.dataset,
            "source": test.source, "metric": metric}  # fmt: skip
    spread = {"anchor": None, "method": "spread", "averaging": None, "range": None,
              "bd_rate_percent": found.spread}  # fmt: skip
    return [{**head, **row} for row in [*map(asdict, found.variants), spread]]


def _image_rows(result: BdRate | BdPsnr) -> Rows:
    name = "bd_psnr_db" if isinstance(result, BdPsnr) else "bd_rate_percent"
    head = {"codec": result.codec, "label": result.label, "dataset": result.dataset,
            "source": result.source}  # fmt: skip
    return [{**head, "image": image, name: value} for image, value in result.per_image]
