"""``rdbench variable-rate-penalty``: what one model for all rates costs."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from rdbench.analysis.delta import METHODS
from rdbench.analysis.selection import named, select
from rdbench.analysis.variable_rate import variable_rate_penalty
from rdbench.cli.console import AsJson, print_json, print_rows, say
from rdbench.columns import Column
from rdbench.curve import Curve
from rdbench.errors import UsageError


def penalty(
    codec: Annotated[str, typer.Option("--codec", "-c", help="The variable-rate codec.")],
    fixed: Annotated[
        list[str], typer.Option("--fixed", help="Codec with a model for each rate. Repeatable.")
    ],
    dataset: Annotated[str, typer.Option("--dataset", "-d", help="Data set.")] = "kodak",
    metric: Annotated[str, typer.Option(help="psnr or ms_ssim.")] = "psnr",
    method: Annotated[str, typer.Option(help=f"{', '.join(METHODS)}.")] = "poly3",
    edges: Annotated[
        list[float] | None,
        typer.Option(
            "--edge", help="Where an interval ends, bits per pixel. Repeatable; thirds without."
        ),
    ] = None,
    folder: Annotated[Path, typer.Argument(help="Report folder; it need not exist.")] = Path(
        "reports"
    ),
    as_json: AsJson = False,
) -> None:
    """Compare one model with fixed-rate ones.

    BD-rate of a variable-rate curve against the envelope of its fixed-rate models, in all and by
    interval of rate (QVRF, Table 1); positive is a loss.

    Example: rdbench variable-rate-penalty --codec mbt2018-vbr --fixed mbt2018
    """
    if method not in METHODS:
        raise UsageError(f"--method is one of {', '.join(METHODS)}, not {method!r}")
    curves = select(folder, dataset).curves
    variable = _one(curves, codec)
    models = [_one(curves, name) for name in fixed]
    found = variable_rate_penalty(variable, models, metric, method, edges)
    if as_json:
        print_json(found.row())
        return
    overlap = found.overall.overlap
    rows: list[dict[str, Any]] = [
        {
            "rate": "all",
            "quality_low": overlap.low,
            "quality_high": overlap.high,
            "bd_rate_percent": found.overall.bd_rate_percent,
        },
        *(
            dataclasses.asdict(i) | {"rate": f"{i.bpp_low:.3f}-{i.bpp_high:.3f}"}
            for i in found.intervals
        ),
        {"rate": "mean of intervals", "bd_rate_percent": found.mean_of_intervals_percent},
    ]
    print_rows(INTERVALS, rows, False, f"{variable.label} against {', '.join(found.fixed)}")
    for text in found.overall.warnings:
        say(text)


INTERVALS = (
    Column("rate", unit="bpp", digits=3),
    Column("quality_low", "quality", "dB", template="{quality_low:.2f}-{quality_high:.2f}"),
    Column("bd_rate_percent", "BD-rate", "%", 3, signed=True),
)


def _one(curves: Sequence[Curve], name: str) -> Curve:
    """The curve of that label, else the only one of the codec of that name."""
    found = [c for c in curves if c.label == name] or named(curves, [name])
    if len(found) > 1:
        labels = ", ".join(curve.label for curve in found)
        raise UsageError(f"{name!r} has {len(found)} curves; name one of them: {labels}")
    return found[0]
