"""``rdbench metrics``: what images can be scored by."""

import typer

from rdbench.cli import options
from rdbench.cli.console import print_rows, say
from rdbench.metrics import METRICS, why_not

app = typer.Typer(name="metrics", help="List metrics.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """List metrics."""


@app.command("list")
def list_(as_json: options.AsJson = False) -> None:
    """List metrics, their sources, and whether they can be computed here.

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
    if as_json:
        print_rows(rows, True)
        return
    shown = ("metric", "title", "unit", "better", "source")
    print_rows([{key: row[key] for key in shown} for row in rows], False)
    for row in rows:
        if row["reason"]:
            say(f"{row['metric']}: {row['reason']}")
