"""``rdbench curves``: the curves that results are compared with."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from rdbench.analysis.selection import named
from rdbench.cli import options
from rdbench.cli.console import print_rows, say
from rdbench.columns import BPP, Column
from rdbench.curve import CURVES, Curve, metric_name
from rdbench.datasets import describe
from rdbench.errors import UsageError
from rdbench.importers import import_curves
from rdbench.metrics import METRICS
from rdbench.published import list_curves

app = typer.Typer(name="curves", help="List published curves, check files.", no_args_is_help=True)


@app.command("list")
def list_(
    dataset: options.OnlyDataset = None,
    codec: Annotated[
        str, options.curves("--codec", "-c", help="Only names that contain this text.")
    ] = "",
    metric: Annotated[
        str | None,
        options.choice("--metric", ["psnr", *METRICS], "Only curves that have this metric", "-m"),
    ] = None,
    year: options.Years = "",
    as_json: options.AsJson = False,
) -> None:
    """List the published curves that results can be compared with, and their sources.

    Example: rdbench curves list --dataset kodak --year 2023-2026
    """
    first, last = options.years(year)
    found = [
        curve
        for curve in list_curves(dataset)
        if codec.casefold() in f"{curve.codec} {curve.label}".casefold()
        and (metric is None or curve.has(metric_name(metric)))
        and (not year or first <= (curve.year or 0) <= last)
    ]
    if not found:
        raise UsageError("no published curve fits; leave an option out")
    print_rows(CURVES, [curve.row() for curve in found], as_json)


@app.command()
def show(
    name: Annotated[
        str,
        typer.Argument(metavar="CURVE", help="Codec or curve.", autocompletion=options.curve_names),
    ],
    dataset: options.OnlyDataset = None,
    as_json: options.AsJson = False,
) -> None:
    """Print the points of a published curve, and where they come from.

    Example: rdbench curves show MLIC++ --dataset kodak
    """
    curves = named(list_curves(dataset), [name])
    if as_json:
        print_rows((), [_whole(curve) for curve in curves], as_json)
        return
    for curve in curves:
        typer.echo("\n".join(_about(curve)))
        print_rows(_columns(curve), _points(curve), as_json)
        typer.echo()


def _whole(curve: Curve) -> dict[str, Any]:
    return curve.row() | {
        "licence": curve.provenance["licence"],
        "citations": list(curve.citations),
        "complexity": curve.complexity,
        "caveats": curve.provenance.get("caveats", []),
        "points": _points(curve),
    }


def _about(curve: Curve) -> Iterable[str]:
    """Lines on what a curve is."""
    names = curve.label if curve.label == curve.codec else f"{curve.label} ({curve.codec})"
    yield f"{names} on {describe(curve.dataset)}"
    protocol = curve.protocol
    rows = {
        "kind": ", ".join(str(v) for v in (curve.kind, curve.year) if v),
        "source": curve.origin,
        "licence": curve.provenance["licence"],
        "scored": protocol["scored"],
        "rate counts": protocol["rate"],
        "averaging": protocol["aggregation"],
        "trained for": curve.provenance["trained_for"],
        "cite": ", ".join(curve.citations),
        **{key.replace("_", " "): f"{n:,.0f}" for key, n in (curve.complexity or {}).items()},
    }
    yield from (f"  {key}: {value}" for key, value in rows.items() if value)
    yield from (f"  note: {note.message}" for note in curve.notes)
    yield from (f"  caveat: {text}" for text in curve.provenance.get("caveats", ()))


def _columns(curve: Curve) -> list[Column]:
    known = [METRICS[m].column if m in METRICS else Column(m) for m in curve.scores]
    return [Column(curve.rate_parameter or "rate_value"), BPP, *known]


def _points(curve: Curve) -> list[dict[str, Any]]:
    """One row per point."""
    values = curve.rate_values or (None,) * len(curve.bpp)
    return [
        {curve.rate_parameter or "rate_value": value, "bpp": bpp}
        | {metric: scores[i].item() for metric, scores in curve.scores.items()}
        for i, (value, bpp) in enumerate(zip(values, curve.bpp.tolist(), strict=True))
    ]


@app.command()
def verify(
    files: Annotated[
        list[Path],
        typer.Argument(help="Curve files, such as JSON of CompressAI or CSV.", show_default=""),
    ] = options.ALL,
    dataset: options.OnlyDataset = None,
    as_json: options.AsJson = False,
) -> None:
    """Show what curve files hold, read as `--curve` reads them.

    Without a file, all published curves are checked.

    Example: rdbench curves verify
    """
    curves = import_curves(files, dataset) if files else list_curves(dataset)
    if files or as_json:
        print_rows(CURVES, [curve.row() for curve in curves], as_json)
    for curve in curves if files else ():
        for note in curve.notes:
            say(f"{curve.label} on {curve.dataset}: {note.message}")
    say(f"{len(curves)} curves can be read")
