"""``rdbench timing``: how long encoding and decoding take."""

from pathlib import Path
from typing import Annotated

import typer

from rdbench.cli.console import AsJson, print_json, print_rows, progress_bar, say
from rdbench.timing import STAGES, TIMES, time_codecs


def timing(
    codec: Annotated[
        list[str],
        typer.Option("--codec", "-c", help="NAME[:KEY=VALUE,...]; device=cuda for a GPU."),
    ],
    dataset: Annotated[
        str, typer.Option("--dataset", "-d", help="Data set or folder of images.")
    ] = "sample",
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Report folder; results are added to it.")
    ] = Path("reports"),
    threads: Annotated[int, typer.Option(min=1, help="Threads, and cores to use.")] = 1,
    repeats: Annotated[int, typer.Option(min=1, help="Times that each image is coded.")] = 3,
    busy: Annotated[
        bool, typer.Option("--busy", help="Time on a busy machine, too, and mark the result.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Time encoding and decoding, stage by stage.

    Alone, warmed up, synchronized, in a process for each codec, one after the other. Without its
    rate parameter a codec is timed at the highest rate of its ladder.

    Example: rdbench timing --codec jpeg --codec qarv:weights=random-tiny --dataset sample
    """
    with progress_bar("timing") as bar:
        task = bar.add_task("", total=None, note="")
        found = time_codecs(
            codec,
            dataset,
            out,
            threads=threads,
            n_repeats=repeats,
            on_busy_machine=busy,
            on_progress=lambda done, n: bar.update(task, completed=done, total=n),
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
