"""``rdbench variable-rate-penalty``: what one model for all rates costs."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from rdbench.analysis.selection import named, select
from rdbench.analysis.variable_rate import variable_rate_penalty as penalty
from rdbench.cli import options
from rdbench.cli.console import print_json, print_rows, say
from rdbench.columns import Column
from rdbench.curve import Curve
from rdbench.errors import UsageError


def variable_rate_penalty(
    codec: Annotated[
        str, options.curves("--codec", "-c", help="The variable-rate codec or curve.")
    ],
    fixed: Annotated[
        list[str], options.curves("--fixed", help="Codec with a model per rate. Repeatable.")
    ],
    dataset: options.OnlyDataset = None,
    metric: options.Metric = "psnr",
    method: options.Method = "poly3",
    edges: Annotated[
        list[float] | None,
        typer.Option(
            "--edge", help="End of an interval in bits per pixel; default: thirds. Repeatable."
        ),
    ] = None,
    folder: options.Folder = options.REPORTS,
    as_json: options.AsJson = False,
) -> None:
    """Compare one variable-rate model with fixed-rate models.

    Prints the BD-rate of the variable-rate curve against the envelope of the fixed-rate models, in
    total and by interval of rate (QVRF, Table 1). Positive values are a loss.

    Example: rdbench variable-rate-penalty --codec mbt2018-vbr --fixed mbt2018
    """
    curves = _on_one_dataset(select(folder, dataset).curves, [codec, *fixed])
    variable = _one(curves, codec)
    models = [_one(curves, name) for name in fixed]
    found = penalty(variable, models, metric, method, edges)
    if as_json:
        print_json(found.row())
        return
    overall = found.overall
    intervals = [asdict(i) | {"rate": f"{i.bpp_low:.3f}-{i.bpp_high:.3f}"} for i in found.intervals]
    quality = {"quality_low": overall.overlap.low, "quality_high": overall.overlap.high}
    rows: list[dict[str, Any]] = [
        {"rate": "all", "bd_rate_percent": overall.bd_rate_percent, **quality},
        *intervals,
        {"rate": "mean of intervals", "bd_rate_percent": found.mean_of_intervals_percent},
    ]
    print_rows(INTERVALS, rows, False, f"{variable.label} against {', '.join(found.fixed)}")
    say(*overall.warnings)


INTERVALS = (
    Column("rate", unit="bpp", digits=3),
    Column("quality_low", "quality", "dB", template="{quality_low:.2f}-{quality_high:.2f}"),
    Column("bd_rate_percent", "BD-rate", "%", 3, signed=True),
)


def _on_one_dataset(curves: Sequence[Curve], names: Sequence[str]) -> list[Curve]:
    """The curves on the one data set where there is one of each name."""
    datasets = ({c.dataset for c in _called(curves, name)} for name in names)
    shared = sorted(set.intersection(*datasets))
    if not shared:
        raise UsageError(f"there is no data set with a curve of each of {', '.join(names)}")
    if len(shared) > 1:
        raise UsageError(f"these have curves on {', '.join(shared)}; choose one with --dataset")
    return [c for c in curves if c.dataset == shared[0]]


def _called(curves: Sequence[Curve], name: str) -> list[Curve]:
    """The curves of that label, else those of the codec of that name."""
    return [c for c in curves if c.label == name] or named(curves, [name])


def _one(curves: Sequence[Curve], name: str) -> Curve:
    found = _called(curves, name)
    if len(found) > 1:
        labels = ", ".join(curve.label for curve in found)
        raise UsageError(f"{name!r} has {len(found)} curves; name one of them: {labels}")
    return found[0]
