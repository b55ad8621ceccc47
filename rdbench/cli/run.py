"""``rdbench run``: measure codecs on data sets."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from rdbench.analysis.measured import measured_curves, notes_on
from rdbench.analysis.summary import POINTS, summarize
from rdbench.cli import options
from rdbench.cli.console import print_rows, progress, say, warn
from rdbench.errors import Stopped
from rdbench.metrics import DEFAULT_PROTOCOL, Protocol
from rdbench.sweep import Outcome, Part, Progress
from rdbench.sweep import run as run_sweep

SAMPLE = ["sample"]

PartOf = Annotated[
    str | None, typer.Option(metavar="K/N", help="Only share K of N, as in a job array.")
]
Scored = Annotated[
    Literal["8-bit", "float"],
    options.choice("--scored", ("8-bit", "float"), "Reconstructed images that are scored"),
]


def run(
    codec: options.CodecSpecs,
    dataset: options.ImageSets = SAMPLE,
    out: options.OutFolder = options.REPORTS,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", min=1, help="Number of processes.", show_default="1"),
    ] = None,
    threads: options.Threads = 1,
    timeout: Annotated[
        float | None, typer.Option(min=0.001, help="Time limit per image in seconds.")
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(help="Dask cluster: local[:N], slurm[:N] or a scheduler (tcp://host:8786)."),
    ] = None,
    part: PartOf = None,
    scored: Scored = DEFAULT_PROTOCOL.scored,
    device: options.Device = None,
    weights: options.WeightsOf = None,
    as_json: options.AsJson = False,
) -> None:
    """Measure codecs on images.

    Encodes each image, decodes it from the bytes, scores it and keeps the result. Run the same
    command again to resume: existing results are not measured again.

    Example: rdbench run --codec jpeg --codec webp:quality=50,75 --dataset sample --jobs 2
    """
    outcome = sweep_with_progress(
        options.with_settings(codec, device=device, weights=weights),
        dataset,
        out,
        jobs=jobs or (0 if cluster else 1),
        threads=threads,
        timeout_s=timeout,
        cluster=cluster,
        protocol=Protocol(scored=scored),
        part=Part.parse(part) if part is not None else None,
    )
    if part is not None:
        say(f"this is part {part}: `rdbench merge OUT {out} ...` puts all parts together")
    print_rows(POINTS, summarize(outcome.records, outcome.datasets), as_json)
    for curve in measured_curves(outcome.records, outcome.datasets):
        for note in notes_on(curve):
            if note.kind not in ("short", "incomplete", "lossless"):
                say(f"{curve.label} on {curve.dataset}: {note.message}")
    if outcome.failures or outcome.n_missing:
        raise typer.Exit(1)


def sweep_with_progress(
    codecs: Sequence[str], datasets: Sequence[str], out: Path, **settings: Any
) -> Outcome:
    """Run a sweep with progress and report its outcome on stderr."""
    with progress(", ".join(datasets)) as advance:

        def on_progress(state: Progress) -> None:
            failed = f"{state.n_failed} failed" if state.n_failed else ""
            made = f"{state.record.spec} on {state.record.image}" if state.record else ""
            advance(state.n_made, state.n_left, failed, made)

        try:
            outcome = run_sweep(
                codecs, datasets, out, on_progress=on_progress, on_message=say, **settings
            )
        except Stopped as stop:
            stop.add_note(f"what was measured is in {out}; run the same command again to resume")
            raise
    warn(*(f"failed: {r.spec} on {r.image}: {r.error}" for r in outcome.failures))
    n_failed = len(outcome.failures)
    n_done = len(outcome.records) - outcome.n_measured - n_failed
    say(f"{outcome.n_measured} measured, {n_done} already done, {n_failed} failed: {out}")
    if outcome.n_missing:
        warn(f"{outcome.n_missing} were not measured; run the same command again to resume")
    return outcome
