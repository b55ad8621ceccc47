"""``rdbench train``: train a codec by a recipe and measure the result."""

from pathlib import Path
from typing import Annotated, Any

import typer

from rdbench.analysis.summary import POINTS
from rdbench.cli import options
from rdbench.cli.console import print_rows, progress, say
from rdbench.datasets import load_dataset
from rdbench.errors import DataError, UsageError
from rdbench.images import SUFFIXES, read_image
from rdbench.plugins import codec_class
from rdbench.types import Progress, Trainable, TrainingOptions


def train(
    codec: Annotated[str, typer.Argument(help="Codec to train, such as qarv or qvrf-mbt2018.")],
    data: Annotated[Path, typer.Option(help="Folder of training images (searched recursively).")],
    config: Annotated[
        str, typer.Option(help="Included recipe, such as paper or reduced, or a .toml file.")
    ] = "paper",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Folder of checkpoint, log and weights; default CODEC-CONFIG."
        ),
    ] = None,
    start: Annotated[str, typer.Option(help="File of weights to start from.")] = "",
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    threads: Annotated[int, typer.Option(min=1, max=4096, help="CPU threads per process.")] = 2,
    minutes: Annotated[
        float, typer.Option(min=0, help="Wall time to fit the recipe into (0: count its steps).")
    ] = 0,
    eager: Annotated[
        bool, typer.Option("--eager", help="On a GPU: neither CUDA graphs nor torch.compile.")
    ] = False,
    validate: Annotated[
        str, typer.Option(help="Data set to measure the weights on, with real files.")
    ] = "",
    as_json: options.AsJson = False,
) -> None:
    """Train a codec by a recipe. Run the same command again to resume.

    Several GPUs: torchrun --nproc-per-node 4 -m rdbench train ... --device cuda. SIGTERM and Ctrl-C
    save a checkpoint and stop.

    Example: rdbench train qarv --config reduced --data ~/photos --device cuda
    """
    from rdbench.report.training import draw_log

    cls = codec_class(codec)
    if not issubclass(cls, Trainable):
        raise UsageError(f"codec {codec!r} cannot be trained")
    if validate:
        load_dataset(validate)  # an error after hours of training would be too late
    out = out or Path(f"{codec}-{Path(config).stem}")
    training = cls.training(
        TrainingOptions(
            recipe=config, images=image_files(data), read=read_image, out=out, start=start,
            device=device, threads=threads, eager=eager, minutes=minutes,
        )
    )  # fmt: skip
    if training.reports:
        say(f"{codec}, {training.n_parameters:,} parameters: {out}")
    with progress(codec) as advance:
        done = training.run(lambda at: advance(at.step, training.steps, _line(at)))
    if not training.reports:
        return
    if not done:
        say(f"stopped and saved in {out}; run the same command again to resume")
        raise typer.Exit(130)
    weights = out / "weights.safetensors"
    draw_log(out / "log.csv", codec, out / "log.png")
    say(f"weights: {weights}, log: {out / 'log.csv'}, {out / 'log.png'}")
    if validate:
        print_rows(POINTS, _validation(f"{codec}:weights={weights}", validate, out), as_json)


def image_files(folder: Path) -> list[Path]:
    """Return all images in a folder and those below, sorted; DataError where there is none."""
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    if not files:
        raise DataError(f"no images in {folder}")
    return files


def _line(progress: Progress) -> str:
    minutes = progress.seconds_left / 60
    return (
        f"loss {progress.loss:.4f}, {progress.bpp:.3f} bpp, {progress.psnr:.2f} dB, "
        f"{progress.images_per_s:.1f} images/s, {minutes:.0f} min left"
    )


def _validation(spec: str, dataset: str, out: Path) -> list[dict[str, Any]]:
    """Measure the weights; rows of the points, and BD-rates against published vtm18 curves."""
    from rdbench import bd_rate
    from rdbench.analysis.selection import is_enough, measured
    from rdbench.analysis.summary import summarize
    from rdbench.cli.run import sweep_with_progress
    from rdbench.published import list_curves

    outcome = sweep_with_progress([spec], [dataset], out / "validation")
    for anchor in list_curves():
        for curve in measured(out / "validation"):
            same = anchor.codec == "vtm18" and anchor.dataset == curve.dataset == dataset
            if same and is_enough(curve):
                delta = bd_rate(anchor, curve).bd_rate_percent
                say(f"BD-rate against the published vtm18: {delta:+.2f} %")
    return [dict(row) for row in summarize(outcome.records, outcome.datasets)]
