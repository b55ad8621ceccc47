"""``rdbench train``: train a codec by a recipe, and measure what came of it."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rdbench.cli.console import AsJson, print_rows, progress_bar, say
from rdbench.errors import UsageError

if TYPE_CHECKING:
    from rdbench_codecs.training.loop import Progress
    from rdbench_codecs.training.trainable import Trainable


def train(
    codec: Annotated[str, typer.Argument(help="Codec to train, such as qarv or qvrf-mbt2018.")],
    data: Annotated[Path, typer.Option(help="Folder of training images, and those below.")],
    config: Annotated[
        str, typer.Option(help="A recipe that comes along, such as paper or lite, or a .toml file.")
    ] = "paper",
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder of checkpoint, log, weights: CODEC-CONFIG."),
    ] = None,
    start: Annotated[str, typer.Option(help="File of weights to begin with.")] = "",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[int, typer.Option(min=1, max=4096, help="Of the CPU, a process.")] = 2,
    loaders: Annotated[int, typer.Option(min=0, help="Processes that read images.")] = 0,
    compile_: Annotated[bool, typer.Option("--compile", help="Use torch.compile.")] = False,
    validate: Annotated[
        str, typer.Option(help="Data set to measure the weights on, by real files.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Train a codec by a recipe; the same command goes on from the last checkpoint.

    Several GPUs: torchrun --nproc-per-node 4 -m rdbench train ... --device cuda. SIGTERM and Ctrl-C
    save and stop.

    Example: rdbench train qarv --config lite --data ~/photos --device cuda
    """
    import torch

    from rdbench.datasets import load_dataset
    from rdbench_codecs.training.figures import draw_log
    from rdbench_codecs.training.loop import Machine
    from rdbench_codecs.training.loop import train as train_loop

    cls = _trainable(codec)
    if validate:
        load_dataset(validate)  # training takes hours: say now what cannot be read
    recipe = cls.recipe(config)
    recipe = dataclasses.replace(recipe, start=start or recipe.start)
    out = out or Path(f"{codec}-{Path(config).stem}")
    torch.set_num_threads(threads)
    torch.manual_seed(recipe.seed)
    objective = cls.new_objective(recipe.network)
    machine = Machine(device, loaders, compile_)
    say(f"{codec}, {sum(p.numel() for p in objective.parameters()):,} parameters: {out}")
    with progress_bar(codec) as bar:
        task = bar.add_task(codec, total=recipe.steps, note="")

        def on_progress(progress: "Progress") -> None:
            bar.update(task, completed=progress.step, note=_line(progress))
            if bar.disable:
                say(f"step {progress.step} of {recipe.steps}: {_line(progress)}")

        done = train_loop(objective, recipe, data, out, machine, on_progress=on_progress)
    if machine.rank > 0:
        return
    if not done:
        say(f"stopped and saved; the same command goes on from {out / 'checkpoint.pt'}")
        raise typer.Exit(130)
    draw_log(out / "log.csv", codec, out / "log.png")
    say(f"weights: {out / 'weights.safetensors'}, log: {out / 'log.csv'}, {out / 'log.png'}")
    if validate:
        from rdbench.analysis.summary import POINTS

        print_rows(
            POINTS,
            _validation(f"{codec}:weights={out / 'weights.safetensors'}", validate, out),
            as_json,
        )


def _trainable(name: str) -> type["Trainable"]:
    """The codec of that name; UsageError where it has nothing to train."""
    from rdbench.registry import codec_class
    from rdbench_codecs.training.trainable import Trainable

    cls = codec_class(name)
    if not issubclass(cls, Trainable):
        raise UsageError(f"codec {name!r} has nothing to train")
    return cls


def _line(progress: "Progress") -> str:
    minutes = progress.seconds_left / 60
    return (
        f"loss {progress.loss:.4f}, {progress.bpp:.3f} bpp, {progress.psnr:.2f} dB, "
        f"{progress.images_per_s:.1f} images/s, {minutes:.0f} min left"
    )


def _validation(spec: str, dataset: str, out: Path) -> list[dict[str, Any]]:
    """Rows of the points on the data set, and what the published vtm18 curve makes of them."""
    from rdbench import bd_rate
    from rdbench.analysis.selection import is_enough, measured
    from rdbench.analysis.summary import summarize
    from rdbench.cli.run import sweep_with_progress
    from rdbench.published import list_curves

    outcome, images = sweep_with_progress([spec], [dataset], out / "validation")
    rows: list[dict[str, Any]] = [dict(row) for row in summarize(outcome.records, images)]
    for anchor in list_curves():
        for curve in measured(out / "validation"):
            same = anchor.codec == "vtm18" and anchor.dataset == curve.dataset == dataset
            if same and is_enough(curve):
                delta = bd_rate(anchor, curve).bd_rate_percent
                say(f"BD-rate against the published vtm18: {delta:+.2f} %")
    return rows
