"""``rdbench metrics``: what images can be scored by."""

import json
import math
from importlib.resources import files

import typer

from rdbench.cli import options
from rdbench.cli.console import print_rows, say
from rdbench.columns import Column, plain
from rdbench.metrics import METRICS, why_not

app = typer.Typer(name="metrics", help="List metrics.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """List metrics."""


@app.command("list")
def list_(as_json: options.AsJson = False) -> None:
    """List metrics, their ranges, sources and cost, and whether they are available.

    The cost is CPU time of one thread on the machine that `benchmarks/metrics.py` ran on.

    Example: rdbench metrics list
    """
    costs = json.loads(files("rdbench.metrics").joinpath("costs.json").read_text("utf-8"))
    rows = [
        {
            "metric": m.name,
            "title": m.title,
            "unit": m.unit,
            "better": m.better,
            "worst": m.worst if math.isfinite(m.worst) else None,
            "best": m.best if math.isfinite(m.best) else None,
            "ms_per_megapixel": costs["ms_per_megapixel"].get(m.name),
            "source": m.source,
            "reason": why_not(m),
        }
        for m in METRICS.values()
    ]
    print_rows(METRIC_COLUMNS, rows, as_json)
    if not as_json:
        say(*(f"{row['metric']}: {row['reason']}" for row in rows if row["reason"]))


METRIC_COLUMNS = (
    *plain("metric", "title", "unit", "better", "worst", "best"),
    Column("ms_per_megapixel", "cost", "ms/MP", 0),
    Column("source"),
)
