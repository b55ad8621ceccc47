"""``rdbench latents``: how a codec spends its rate over its latents."""

from pathlib import Path
from typing import Annotated

import typer

from rdbench.analysis.latents import by_point, latent_rows
from rdbench.cli.console import AsJson, print_rows
from rdbench.cli.run import sweep_with_progress
from rdbench.datasets import load_dataset
from rdbench.errors import UsageError
from rdbench.identity import identify
from rdbench.images import read_image
from rdbench.report.export import file_name
from rdbench.spec import get_codecs, rate_of


def latents(
    codec: Annotated[
        str, typer.Option("--codec", "-c", help="NAME[:KEY=VALUE,...] of a codec with latents.")
    ],
    dataset: Annotated[
        str, typer.Option("--dataset", "-d", help="Data set or folder of images.")
    ] = "sample",
    out: Annotated[Path, typer.Option("--out", "-o", help="Report folder.")] = Path("reports"),
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes.")] = 1,
    threads: Annotated[int, typer.Option(min=1, help="Threads a process may use.")] = 1,
    map_of: Annotated[
        str | None, typer.Option("--map", help="Image to draw maps of, at every rate.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure the rate of each latent.

    A table of bits per pixel, in all and of each part of the files, and figures in percent, too;
    ideal rates with --json. What is measured already is used.

    Example: rdbench latents --codec qarv --dataset kodak[kodim03] --map kodim03
    """
    data = load_dataset(dataset)
    image_files = data.subset([map_of]).files if map_of else ()
    outcome = sweep_with_progress([codec], [dataset], out, jobs=jobs, threads=threads)
    rows = latent_rows(outcome.records, outcome.datasets)
    if not rows:
        raise UsageError(f"{codec} does not tell the rate of its parts, or not all was measured")
    columns, points = by_point(rows)
    print_rows(columns, rows if as_json else points, as_json)
    from rdbench.report.latents import plot_bit_maps, plot_latents

    written = plot_latents(rows, out / "figures")
    for image_file in image_files:
        image = read_image(image_file.path)
        for point in get_codecs(codec):
            name, value = rate_of(point)
            title = f"{identify(point).curve} {name}={value:g}"  # with its weights
            file = file_name(f"map-{data.name}-{title}-{Path(image_file.name).stem}")
            written += plot_bit_maps(image, point.bit_maps(image), title, out / "figures" / file)
    for path in written:
        typer.echo(path, err=True)
