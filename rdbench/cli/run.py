"""``rdbench run``: measure codecs on data sets."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from rdbench.analysis.measured import measured_curves, notes_on
from rdbench.analysis.summary import POINTS, summarize
from rdbench.cli.console import AsJson, print_rows, progress_bar, say
from rdbench.errors import Stopped, UsageError
from rdbench.metrics import DEFAULT_PROTOCOL, Protocol
from rdbench.sweep import Outcome, Progress
from rdbench.sweep import run as run_sweep

Out = Annotated[Path, typer.Option("--out", "-o", help="Report folder; results are added to it.")]


def run(
    codec: Annotated[
        list[str],
        typer.Option(
            "--codec", "-c", help="NAME[:KEY=VALUE,...], or a .toml description. Repeatable."
        ),
    ],
    dataset: Annotated[
        list[str],
        typer.Option("--dataset", "-d", help="Data set or folder of images. Repeatable."),
    ] = ["sample"],  # noqa: B006
    out: Out = Path("reports"),
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Processes.", show_default="1")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads a process may use.")] = 1,
    timeout: Annotated[
        float | None, typer.Option(min=0.001, help="Seconds an image may take.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Dask scheduler to work on, such as tcp://host:8786.")
    ] = None,
    scored: Annotated[
        str, typer.Option(help="Score images as '8-bit', as files hold them, or as 'float'.")
    ] = DEFAULT_PROTOCOL.scored,
    as_json: AsJson = False,
) -> None:
    """Measure codecs on images.

    Encode, decode from the bytes, score and keep; what is there already is not done again.

    Example: rdbench run --codec jpeg --codec webp:quality=50,75 --dataset sample --jobs 2
    """
    outcome = sweep_with_progress(
        codec,
        dataset,
        out,
        jobs=jobs or (0 if scheduler else 1),
        threads=threads,
        timeout_s=timeout,
        scheduler=scheduler,
        protocol=_protocol(scored),
    )
    print_rows(POINTS, summarize(outcome.records, outcome.datasets), as_json)
    for curve in measured_curves(outcome.records, outcome.datasets):
        for note in notes_on(curve):
            if note.kind not in ("short", "incomplete"):
                say(f"{curve.label} on {curve.dataset}: {note.message}")
    if outcome.failures or outcome.n_missing:
        raise typer.Exit(1)


def sweep_with_progress(
    codecs: Sequence[str], datasets: Sequence[str], out: Path, **settings: Any
) -> Outcome:
    """Run a sweep under a progress bar and say on stderr what came of it."""
    with _progress_bar(", ".join(datasets)) as on_progress:
        try:
            outcome = run_sweep(
                codecs, datasets, out, on_progress=on_progress, on_message=say, **settings
            )
        except Stopped as stop:
            stop.add_note(f"what was measured is in {out}; run the same command again to resume")
            raise
    for failure in outcome.failures:
        say(f"failed: {failure.spec} on {failure.image}: {failure.error}")
    n_failed = len(outcome.failures)
    n_done = len(outcome.records) - outcome.n_measured - n_failed
    say(f"{outcome.n_measured} measured, {n_done} already done, {n_failed} failed: {out}")
    if outcome.n_missing:
        say(f"{outcome.n_missing} were not measured; run the same command again to resume")
    return outcome


def _protocol(scored: str) -> Protocol:
    if scored not in ("8-bit", "float"):
        raise UsageError(f"--scored is 8-bit or float, not {scored!r}")
    return Protocol(scored=scored)  # type: ignore[arg-type]


@contextmanager
def _progress_bar(what: str) -> Iterator[Callable[[Progress], None]]:
    with progress_bar(what) as bar:
        task = bar.add_task(what, total=None, note="")

        def on_progress(progress: Progress) -> None:
            note = f"{progress.n_failed} failed" if progress.n_failed else ""
            bar.update(task, total=progress.n_left, completed=progress.n_made, note=note)

        yield on_progress
