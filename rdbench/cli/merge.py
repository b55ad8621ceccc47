"""``rdbench merge``: put report folders together."""

from pathlib import Path
from typing import Annotated

import typer

from rdbench.cli import options
from rdbench.cli.console import print_rows, progress, say
from rdbench.merge import PROBLEMS
from rdbench.merge import merge as merge_folders


def merge(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Report folder that gets everything.")],
    parts: Annotated[list[Path], typer.Argument(metavar="PART...", help="Folders to merge.")],
    as_json: options.AsJson = False,
) -> None:
    """Merge report folders, such as the parts of a job array.

    Records, bitstreams, data sets, codec descriptions, timings and other results are copied and
    checked; the parts stay as they are. Merge again to add what they have gained since. Where two
    verified records of one operating point and image differ, the one in OUT, or else in the first
    PART, is kept. Such conflicts and damaged records are printed, and the exit status is 1.

    Example: rdbench merge reports parts/*
    """
    with progress("merging") as advance:
        merged = merge_folders(out, parts, on_progress=advance)
    print_rows(PROBLEMS, [problem.row() for problem in merged.problems], as_json)
    say(
        f"{merged.n_new} results merged ({merged.n_failed} of them failed), {merged.n_known} "
        f"already done, {len(merged.problems)} problems: {out}"
    )
    if merged.problems:
        raise typer.Exit(1)
