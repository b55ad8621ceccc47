"""``rdbench metrics``: what images can be scored by."""

import typer

from rdbench.cli import options
from rdbench.cli.console import print_rows, say
from rdbench.columns import plain
from rdbench.metrics import METRICS, why_not

app = typer.Typer(name="metrics", help="List metrics.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """List metrics."""


@app.command("list")
def list_(as_json: options.AsJson = False) -> None:
    """List metrics, their sources, and whether they are available.

    Example: rdbench metrics list
    """
    rows = [
        {
            "metric": m.name,
            "title": m.title,
            "unit": m.unit,
            "better": m.better,
            "source": m.source,
            "reason": why_not(m),
        }
        for m in METRICS.values()
    ]
    print_rows(METRIC_COLUMNS, rows, as_json)
    if not as_json:
        say(*(f"{row['metric']}: {row['reason']}" for row in rows if row["reason"]))


METRIC_COLUMNS = plain("metric", "title", "unit", "better", "source")
