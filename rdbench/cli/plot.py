"""``rdbench plot``: rate-distortion figures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from rdbench.analysis.measured import notes_on
from rdbench.analysis.selection import measured, named
from rdbench.cli import options
from rdbench.cli.console import progress, say
from rdbench.curve import Curve
from rdbench.errors import UsageError
from rdbench.files import output_files
from rdbench.published import list_curves
from rdbench.report.plots import COLUMN_IN, FORMATS, LANDMARKS, PAGE_IN, plot_curves
from rdbench.store import kept_in, run_command


def plot(
    folder: options.Folder = options.REPORTS,
    codec: options.CurveNames = options.ALL,
    dataset: options.OnlyDataset = None,
    published: Annotated[
        str, typer.Option(help="Published curves: none, all, or names separated by commas.")
    ] = ",".join(LANDMARKS),
    out: Annotated[Path | None, options.out("Folder to write; default: FOLDER/figures.")] = None,
    width: Annotated[
        float,
        typer.Option(
            min=2.0,
            max=100.0,
            help=f"Width in inches: {COLUMN_IN} for a column of a paper, {PAGE_IN} for a page.",
        ),
    ] = PAGE_IN,
    force: options.Force = False,
) -> None:
    """Draw rate-distortion curves.

    Shows every measured metric over rate for each data set, as PNG, PDF and SVG. `--codec` chooses
    among your own curves.

    Example: rdbench plot reports
    """
    every = measured(folder)
    own = [c for c in (named(every, codec) if codec else every) if dataset in (None, c.dataset)]
    datasets = {dataset} if dataset else {c.dataset for c in own}
    literature = [c for c in list_curves() if c.dataset in datasets]
    curves = own + _chosen(literature, published)
    if not any(c.has(metric) for c in curves for metric in c.scores):
        where = f"{folder} on {dataset!r}" if dataset else str(folder)
        advice = _how_to_measure(folder, dataset, sorted({c.dataset for c in every}))
        raise UsageError(f"no curve to draw in {where}; {advice}")
    replace, target = force or out is None, out or folder / "figures"
    output_files([target], kept_in(folder), force=True)
    names = {c.dataset for c in every}
    with progress("drawing"):
        written = plot_curves(curves, target, FORMATS, width, replace, names)
    typer.echo("\n".join(map(str, written)))
    for curve in own:
        for note in notes_on(curve):
            say(f"{curve.label} on {curve.dataset}: {note.message}")


def _how_to_measure(folder: Path, dataset: str | None, known: Sequence[str]) -> str:
    if dataset and known:
        return f"there are some on {', '.join(known)}"
    return f"measure one, such as `{run_command('jpeg', dataset or 'sample', folder)}`"


def _chosen(curves: Sequence[Curve], names: str) -> list[Curve]:
    """Published curves by name; a landmark that a data set lacks is left out."""
    if names == "all":
        return list(curves)
    wanted = [] if names == "none" else [n.strip() for n in names.split(",") if n.strip()]
    known = {c.codec for c in list_curves()}
    named(list_curves(), [n for n in wanted if n not in known])
    return [c for c in curves if c.codec in wanted]
