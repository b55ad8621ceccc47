"""``rdbench timing``: how long encoding and decoding take."""

from typing import Annotated

import typer

from rdbench.cli import options
from rdbench.cli.console import print_json, print_rows, progress, say
from rdbench.timing import STAGES, TIMES, time_codecs


def timing(
    codec: options.CodecSpecs,
    dataset: options.ImageSet = "sample",
    out: options.OutFolder = options.REPORTS,
    threads: options.Threads = 1,
    repeats: Annotated[int, typer.Option(min=1, help="Repetitions per image.")] = 3,
    busy: Annotated[
        bool, typer.Option("--busy", help="Allow a busy machine, and mark the results.")
    ] = False,
    device: options.Device = None,
    weights: options.WeightsOf = None,
    as_json: options.AsJson = False,
) -> None:
    """Time encoding and decoding, stage by stage.

    Each codec runs alone in a process of its own, warmed up, on as many cores as threads. A codec
    without a rate is timed at the highest rate of its ladder.

    Example: rdbench timing --codec jpeg --codec qarv:weights=random-tiny --dataset sample
    """
    with progress("timing") as advance:
        found = time_codecs(
            options.with_settings(codec, device=device, weights=weights),
            dataset,
            out,
            threads=threads,
            n_repeats=repeats,
            on_busy_machine=busy,
            on_progress=advance,
        )
    if as_json:
        print_json([t.row() | {"stages": t.stages, "machine": t.machine} for t in found])
        return
    first = found[0]
    print_rows(TIMES, [t.row() for t in found], False)
    rows = [row for t in found for row in t.stage_rows()]
    if rows:
        typer.echo()
    print_rows(STAGES, rows, False, "stages, median over the images")
    say(f"{first.dataset}: {first.n_images} images, {first.n_repeats} times each; kept in {out}")
