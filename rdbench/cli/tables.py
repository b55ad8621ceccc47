"""``rdbench tables``: the tables of a comparison, ready for a paper."""

import sys
from collections.abc import Mapping
from typing import Annotated, Any

from rdbench.analysis.overview import TABLES, Request, bd_rates
from rdbench.analysis.selection import DEFAULT_ANCHOR
from rdbench.cli import options
from rdbench.cli.console import grouped, progress, say, warn
from rdbench.errors import RdbenchError
from rdbench.importers import import_curves
from rdbench.report.names import printed_label, printed_metric
from rdbench.report.tables import FORMS, PAPER_FORMS, csv_text, table


def tables(
    folder: options.Folder = options.REPORTS,
    form: Annotated[str, options.choice("--format", (*FORMS, "csv"), "Format")] = "markdown",
    name: Annotated[
        list[str], options.choice("--table", TABLES, "Only this table; default: all", "-t")
    ] = options.ALL,
    anchor: options.Anchor = "",
    dataset: options.OnlyDataset = None,
    codec: options.CurveNames = options.ALL,
    published: options.Published = options.ALL,
    metric: options.Metric = "psnr",
    method: options.Method = "poly3",
    files: options.CurveFiles = options.ALL,
) -> None:
    """Print tables for a paper.

    Shows BD-rates by data set, operating points and latencies. LaTeX needs the packages
    booktabs, graphicx and siunitx, and longtable for tables of more than a page. LaTeX and Typst
    have captions, labels such as `tab:bdrate`, and names as papers print them.

    Example: rdbench tables reports --format latex --table bdrate
    """
    request = Request(
        folder, anchor, dataset, metric, method, codec, options.published_names(published),
        import_curves(files, dataset),
    )  # fmt: skip
    texts, own_is_compared, against = [], True, anchor or DEFAULT_ANCHOR
    for one in name or TABLES:
        caption, rows_of, shown = TABLES[one]
        if one == "bdrate":
            with progress(one):
                found, choices, anchors = bd_rates(request)
            against = anchors or against
            names = (printed_label(against), printed_metric(metric))
            printed, scored = names if form in PAPER_FORMS else (against, metric)
            caption = f"{caption} against {printed}, {scored}, {method}"
            warn(*choices, *grouped(found.notes))
            rows, own_is_compared = found.rows, found.own_is_compared
        else:
            rows = rows_of(request)
        if not rows:
            say(f"nothing for table {one}")
            continue
        if form in PAPER_FORMS:
            rows = [_for_paper(row) for row in rows]
        texts.append(
            csv_text(rows) if form == "csv" else table(*shown(rows), form, caption, f"tab:{one}")
        )
    sys.stdout.write("\n".join(texts))
    if not own_is_compared:
        raise RdbenchError(f"no BD-rate against {against!r} of your own curves: see above")


def _for_paper(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with the names of codecs as papers print them."""
    named = {key: printed_label(row[key]) for key in ("codec", "label") if key in row}
    broken = {"setting": row["setting"].replace(",", ", ")} if "setting" in row else {}
    return {**row, **named, **broken}
