"""``rdbench audit``: bytes that a codec's own model of the latents does not ask for."""

from collections.abc import Sequence
from typing import Annotated

import typer

from rdbench.analysis.audit import AUDITS, SEGMENTS, Audit, published_gaps, segment_rows
from rdbench.analysis.audit import audit as audit_folder
from rdbench.cli import options
from rdbench.cli.console import print_rows, progress, say, warn
from rdbench.store import Store


def audit(
    folder: options.Folder = options.REPORTS,
    by_segment: Annotated[
        bool, typer.Option("--segments", help="Print coded and ideal rate of every segment.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Account for every byte.

    Shows coded and ideal bits, headers, the overhead of the entropy coder, and what a decoder needs
    that is not in the file. Names published curves whose rate leaves something out.

    Example: rdbench audit reports
    """
    if by_segment:
        with Store(folder, create=False) as store:
            rows = segment_rows(store.records(), store.datasets())
        print_rows(SEGMENTS, rows, as_json)
        return
    with progress("audit") as advance:
        found = audit_folder(folder, advance)
    flagged = {a.codec for a in found if a.flag}
    silent = sorted({a.codec for a in found if a.header_bytes is None} - flagged)
    print_rows(AUDITS, [a.row() for a in found if as_json or a.codec not in silent], as_json)
    if not as_json:
        _say_what_is_not_shown(found, silent)
    problems = [line for a in found for line in a.problems]
    warn(*(f"not checked: {line}" for line in problems))
    if problems:
        raise typer.Exit(1)


def _say_what_is_not_shown(found: Sequence[Audit], silent: Sequence[str]) -> None:
    if silent:
        say(f"these codecs report no parts of their files: {', '.join(silent)}")
    gaps = published_gaps({a.dataset for a in found})
    for rate in dict.fromkeys(gap["rate"] for gap in gaps):
        codecs = ", ".join(gap["codec"] for gap in gaps if gap["rate"] == rate)
        say(f"published rates, {rate}:", f"    {codecs}")
