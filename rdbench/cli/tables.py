"""``rdbench tables``: the tables of a comparison, ready for a paper."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from rdbench.analysis.delta import METHODS
from rdbench.analysis.overview import TABLES, Request, bd_rates
from rdbench.cli.console import grouped, say
from rdbench.errors import RdbenchError, UsageError
from rdbench.report.tables import FORMS, csv_text, table

_FORMS = (*FORMS, "csv")


def tables(
    folder: Annotated[Path, typer.Argument(help="Report folder.")] = Path("reports"),
    form: Annotated[str, typer.Option("--format", help=f"{', '.join(_FORMS)}.")] = "markdown",
    name: Annotated[
        list[str], typer.Option("--table", "-t", help=f"{', '.join(TABLES)}; default all.")
    ] = [],  # noqa: B006
    anchor: Annotated[str, typer.Option("--anchor", "-a", help="Codec compared with.")] = "vtm18",
    dataset: Annotated[
        str | None, typer.Option("--dataset", "-d", help="Only this data set.")
    ] = None,
    codec: Annotated[
        list[str], typer.Option("--codec", "-c", help="Only these; default all. Repeatable.")
    ] = [],  # noqa: B006
    metric: Annotated[str, typer.Option(help="psnr, ms_ssim, or another metric.")] = "psnr",
    method: Annotated[str, typer.Option(help=f"{', '.join(METHODS)}.")] = "poly3",
) -> None:
    """Print tables for a paper.

    BD-rates by data set, operating points, latencies; LaTeX needs booktabs and
    longtable.

    Example: rdbench tables reports --format latex --table bdrate
    """
    if form not in _FORMS:
        raise UsageError(f"--format is {', '.join(_FORMS)}, not {form!r}")
    if unknown := set(name) - TABLES.keys():
        raise UsageError(f"no table {min(unknown)!r}; there are {', '.join(TABLES)}")
    if method not in METHODS:
        raise UsageError(f"--method is one of {', '.join(METHODS)}, not {method!r}")
    request = Request(folder, anchor, dataset, metric, method, codec)
    texts, own_is_compared = [], True
    for one in name or TABLES:
        caption, rows_of, shown = TABLES[one]
        if one == "bdrate":
            caption = f"{caption} against {anchor}, {metric}, {method}"
            found = bd_rates(request)
            say(*found.choices, *grouped(found.notes))
            rows, own_is_compared = found.rows, found.own_is_compared
        else:
            rows = rows_of(request)
        if not rows:
            say(f"nothing for table {one}")
            continue
        texts.append(csv_text(rows) if form == "csv" else table(*shown(rows), form, caption))
    sys.stdout.write("\n".join(texts))
    if not own_is_compared:
        raise RdbenchError(f"no BD-rate against {anchor!r} of your own curves: see above")
