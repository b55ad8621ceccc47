"""``rdbench audit``: bytes that a codec's own model of the latents does not ask for."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from rdbench.analysis.audit import AUDITS, SEGMENTS, Audit, published_gaps, segment_rows
from rdbench.analysis.audit import audit as audit_folder
from rdbench.cli.console import AsJson, print_rows, progress_bar, say
from rdbench.store import Store


def audit(
    folder: Annotated[Path, typer.Argument(help="Report folder.")] = Path("reports"),
    by_segment: Annotated[
        bool, typer.Option("--segments", help="Coded and ideal rate of every segment instead.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Account for every byte.

    Coded against ideal bits, headers, overhead of the coder, and what a decoder must be told that
    the file does not carry. Published curves that leave something out of the rate are named, too.

    Example: rdbench audit reports
    """
    if by_segment:
        with Store(folder, create=False) as store:
            rows = segment_rows(store.records(), store.datasets())
        print_rows(SEGMENTS, rows, as_json)
        return
    with progress_bar("audit") as bar:
        task = bar.add_task("", total=None, note="")
        found = audit_folder(folder, lambda done, n: bar.update(task, completed=done, total=n))
    if as_json:
        print_rows(AUDITS, [a.row() for a in found], True)
    else:
        _print(found)
    problems = [line for a in found for line in a.problems]
    for line in problems:
        say(f"not checked: {line}")
    if problems:
        raise typer.Exit(1)


def _print(found: Sequence[Audit]) -> None:
    """The audit for people."""
    flagged = {a.codec for a in found if a.flag}
    silent = sorted({a.codec for a in found if a.header_bytes is None} - flagged)
    print_rows(AUDITS, [a.row() for a in found if a.codec not in silent], False)
    if silent:
        say(f"nothing to account for, as these tell no parts of their files: {', '.join(silent)}")
    gaps = published_gaps({a.dataset for a in found})
    for rate in dict.fromkeys(gap["rate"] for gap in gaps):
        codecs = ", ".join(gap["codec"] for gap in gaps if gap["rate"] == rate)
        say(f"published rates, {rate}:", f"    {codecs}")
