"""``rdbench board``: all codecs on a data set, ranked by BD-rate."""

import sys
from pathlib import Path
from typing import Annotated

from rdbench.analysis.board import BOARD, PAPER_BOARD, Board
from rdbench.analysis.board import board as rank
from rdbench.analysis.comparison import Rows
from rdbench.analysis.selection import DEFAULT_ANCHOR, select, shown_by
from rdbench.cli import options
from rdbench.cli.console import grouped, print_rows, progress, say, warn
from rdbench.curve import VARIABLE_RATE, Curve
from rdbench.errors import RdbenchError
from rdbench.files import output_files
from rdbench.importers import import_curves
from rdbench.report.names import printed_label, printed_method, printed_metric, printed_name
from rdbench.report.tables import FORMS, PAPER_FORMS, csv_text, table


def board(
    anchor: options.Anchor = "",
    dataset: options.ImageSet = "kodak",
    codec: options.CurveNames = options.ALL,
    year: options.Years = "",
    kind: Annotated[
        list[str], options.choice("--kind", VARIABLE_RATE, "Only this kind")
    ] = options.ALL,
    metric: options.Metric = "psnr",
    method: options.Method = "poly3",
    published: options.Published = options.ALL,
    form: Annotated[str, options.choice("--format", ("table", *FORMS, "csv"), "Format")] = "table",
    out: Annotated[
        Path | None, options.out("Folder for a figure: BD-rate over year and complexity.")
    ] = None,
    force: options.Force = False,
    files: options.CurveFiles = options.ALL,
    folder: options.Folder = options.REPORTS,
    as_json: options.AsJson = False,
) -> None:
    """Rank all codecs on a data set by BD-rate, as papers do.

    Shows measured and published codecs with their year, kind, complexity, decoding time, and how
    they were scored. Your own are marked with a star. Decoding times are those of
    `rdbench timing`. Remarks name codecs that cannot be compared, and why. LaTeX and Typst
    leave out the columns on scoring and source.

    Example: rdbench board --dataset kodak --anchor vtm18 --year 2022-2026 --out figures
    """
    first, last = options.years(year)
    is_shown = shown_by(options.published_names(published))

    def wanted(curve: Curve) -> bool:
        in_years = not year or first <= (curve.year or 0) <= last
        return in_years and is_shown(curve) and (not kind or curve.kind in kind)

    selection = select(folder, dataset, import_curves(files, dataset))
    with progress("board"):
        found = rank(selection, anchor, codec, metric, method, wanted)
    anchor = found.rows[0]["anchor"] if found.rows else anchor or DEFAULT_ANCHOR
    names = (printed_label(anchor), printed_metric(metric), printed_method(method))
    printed, scored, how = names if form in PAPER_FORMS else (anchor, metric, method)
    title = f"BD-rate against {printed} on {dataset}, {scored}, {how}"
    if found.rows:
        _print(found.rows, "json" if as_json else form, title)
    warn(*found.choices, *grouped(found.notes))
    if len(found.rows) < 2:  # the anchor alone
        raise RdbenchError(f"nothing to rank against {anchor!r} on {dataset}: see above")
    if out is not None:
        _draw(found, out, f"board-{dataset}-{metric}", force)


def _print(rows: Rows, form: str, title: str) -> None:
    """Print the rows, for people with a star before what is not published."""
    own = any(row["source"] != "published" for row in rows)
    marks = [{"own": "" if row["source"] == "published" else "*"} if own else {} for row in rows]
    marked = [row | mark for row, mark in zip(rows, marks, strict=True)]
    if form == "csv":
        sys.stdout.write(csv_text([_flat(row) for row in rows]))
    elif form in FORMS:
        named = [row | {"label": printed_name(row["codec"], row["label"])} for row in marked]
        paper = (PAPER_BOARD, named) if form in PAPER_FORMS else (BOARD, marked)
        sys.stdout.write(table(*paper, form, title, "tab:board"))
    else:
        print_rows(BOARD, rows if form == "json" else marked, form == "json")


def _flat(row: dict[str, object]) -> dict[str, object]:
    """A row whose lists are texts."""
    return {k: "; ".join(v) if isinstance(v, tuple | list) else v for k, v in row.items()}


def _draw(found: Board, out: Path, name: str, force: bool) -> None:
    from rdbench.report.board import write_board
    from rdbench.report.plots import FORMATS

    output_files([out / f"{name}.{suffix}" for suffix in FORMATS], force=force)
    written, lines = write_board(found.rows, out / name)
    say(*map(str, written), *lines)
