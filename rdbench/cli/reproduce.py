"""``rdbench reproduce``: the tables and figures of a paper, and what becomes of them here."""

from pathlib import Path
from typing import Annotated

import typer

from rdbench.analysis.paper import Evidence, Finding, load_paper
from rdbench.cli.console import AsJson, Force, print_json, print_rows, progress_bar, say
from rdbench.report.reproduce import VALUES, check_files, value_rows, write
from rdbench.report.reproduce import as_json as findings_as_json


def reproduce(
    paper: Annotated[str, typer.Argument(help="qarv, qvrf, or another registered paper.")],
    folder: Annotated[Path, typer.Argument(help="Report folder; it need not exist.")] = Path(
        "reports"
    ),
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Where to; default FOLDER/reproduce-PAPER.")
    ] = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Hold a paper's tables and figures against the evidence.

    Published values, recomputed ones from published curves, those measured or counted here, the
    difference; what is missing and how to get it. Written as Markdown, LaTeX, HTML, JSON, figures.

    Example: rdbench reproduce qarv
    """
    description = load_paper(paper)
    evidence = Evidence(folder, description.scored)
    found = []
    with progress_bar(paper) as bar:
        for item in bar.track(description.items):
            found.append((item, item.find(evidence)))
    target = out or folder / f"reproduce-{paper}"
    check_files(description, found, target, force or out is None)
    if as_json:
        print_json(findings_as_json(description, found))
    else:
        say(description.title, description.url)
        for item, finding in found:
            _show(f"{item.name}. {item.caption}", finding)
    for path in write(description, found, target):
        typer.echo(path, err=True)


def _show(title: str, finding: Finding) -> None:
    typer.echo(f"\n{title}")
    print_rows(VALUES, value_rows(finding), False)
    for note in finding.notes:
        typer.echo(f"  {note}")
    for plot in finding.plots:
        typer.echo(f"  drawn: {plot.name}")
    for missing in finding.missing:
        typer.echo(f"  missing: {missing.what}")
        for step in missing.steps:
            typer.echo(f"    {step}")
