"""``rdbench reproduce``: the tables and figures of a paper, and what becomes of them here."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from rdbench.analysis.paper import Evidence, Finding, load_paper
from rdbench.cli import options
from rdbench.cli.console import print_json, print_rows, progress, say, track
from rdbench.report.reproduce import VALUES, check_files, value_rows, write
from rdbench.report.reproduce import as_json as findings_as_json


def reproduce(
    paper: Annotated[str, typer.Argument(help="qarv, qvrf, or another registered paper.")],
    folder: options.Folder = options.REPORTS,
    out: Annotated[
        Path | None, options.out("Folder to write; default: FOLDER/reproduce-PAPER.")
    ] = None,
    force: options.Force = False,
    as_json: options.AsJson = False,
) -> None:
    """Compare a paper's tables and figures with published and measured results.

    Shows each printed value with the one recomputed from published curves and the one you
    measured, and the commands that measure missing ones. Writes Markdown, LaTeX, HTML, JSON and
    figures.

    Example: rdbench reproduce qarv
    """
    description = load_paper(paper)
    evidence = Evidence(folder, description.scored)
    found = [(item, item.find(evidence)) for item in track(paper, description.items)]
    target = out or folder / f"reproduce-{paper}"
    check_files(description, found, target, force or out is None)
    if as_json:
        print_json(findings_as_json(description, found))
    else:
        say(description.title, description.url)
        for item, finding in found:
            typer.echo(f"\n{item.name}. {item.caption}")
            print_rows(VALUES, value_rows(finding), False)
            for line in _remarks(finding):
                typer.echo(f"  {line}")
    with progress("writing"):
        written = write(description, found, target)
    say(*map(str, written))


def _remarks(finding: Finding) -> Iterator[str]:
    """What a finding has besides values, line by line."""
    yield from finding.notes
    for plot in finding.plots:
        yield f"drawn: {plot.name}"
    for missing in finding.missing:
        yield from (f"missing: {missing.what}", *(f"  {step}" for step in missing.steps))
