"""``rdbench export`` and ``rdbench rescore``: records for others, new metrics for old records."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from rdbench.analysis.measured import measured_curves
from rdbench.cli.console import Force, progress_bar, say
from rdbench.errors import UsageError
from rdbench.files import output_file, output_files, write_text
from rdbench.report.export import compressai_files, to_csv, to_json, to_parquet
from rdbench.rescoring import rescore as rescore_store
from rdbench.store import Store, kept_in

FORMS = ("csv", "json", "parquet", "compressai")

Folder = Annotated[Path, typer.Argument(help="Report folder.")]


def export(
    folder: Folder = Path("reports"),
    form: Annotated[str, typer.Option("--format", help=f"{', '.join(FORMS)}.")] = "csv",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-O", help="File to write, or folder for compressai; else stdout."
        ),
    ] = None,
    force: Force = False,
) -> None:
    """Print or write every record.

    A row a record; compressai gives a file a curve.

    Example: rdbench export reports --format csv
    """
    if form not in FORMS:
        raise UsageError(f"--format is {', '.join(FORMS)}, not {form!r}")
    with Store(folder, create=False) as store:
        records = list(store.records())
        curves = measured_curves(records, store.datasets(), store.protocols())
    if form in ("csv", "json"):
        text = to_csv(records) if form == "csv" else to_json(records)
        if output is None:
            sys.stdout.write(text)
        else:
            write_text(_file(output, folder), text)
    elif form == "parquet":
        to_parquet(records, _file(_needed(output, "FILE.parquet"), folder))
    else:
        target, texts = _needed(output, "FOLDER"), compressai_files(curves, records)
        output_files([target / name for name in texts], kept_in(folder), force)
        for name, text in texts.items():
            write_text(target / name, text)


def _file(output: Path, folder: Path) -> Path:
    return output_file(output, output, kept_in(folder))


def _needed(output: Path | None, what: str) -> Path:
    if output is None:
        raise UsageError(f"this format goes to disk: add --output {what}")
    return output


def rescore(
    folder: Folder = Path("reports"),
    metric: Annotated[
        list[str],
        typer.Option("--metric", "-m", help="Only these; default all that can be computed here."),
    ] = [],  # noqa: B006
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes.")] = 1,
) -> None:
    """Compute metrics that records lack.

    From kept bitstreams; nothing is encoded again. `rdbench list metrics` shows what there is.

    Example: rdbench rescore reports --metric vif --metric fsim
    """
    with progress_bar("rescoring") as bar:
        task = bar.add_task("", total=None, note="")
        outcome = rescore_store(
            folder,
            metric,
            jobs=jobs,
            on_progress=lambda done, n: bar.update(task, completed=done, total=n),
        )
    for problem in outcome.problems:
        say(f"not rescored: {problem}")
    say(f"{outcome.n_records} records rescored, {len(outcome.problems)} not: {folder}")
    if outcome.problems:
        raise typer.Exit(1)
