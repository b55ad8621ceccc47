"""``rdbench rescore``: additional metrics for existing records."""

import typer

from rdbench.cli import options
from rdbench.cli.console import progress, say, warn
from rdbench.rescoring import rescore as rescore_store


def rescore(
    folder: options.Folder = options.REPORTS,
    metric: options.Metrics = options.ALL,
    jobs: options.Jobs = 1,
) -> None:
    """Compute additional metrics for existing records.

    The kept bitstreams are decoded; nothing is encoded again.

    Example: rdbench rescore reports --metric ssimulacra2 --metric ssim
    """
    with progress("rescoring") as advance:
        outcome = rescore_store(folder, metric, jobs=jobs, on_progress=advance)
    warn(*(f"not rescored: {problem}" for problem in outcome.problems))
    say(f"{outcome.n_records} records rescored, {len(outcome.problems)} not: {folder}")
    if outcome.problems:
        raise typer.Exit(1)
