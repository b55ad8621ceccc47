"""``rdbench latents``: how a codec spends its rate over its latents."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from rdbench.analysis.latents import by_point, latent_rows
from rdbench.cli import options
from rdbench.cli.console import print_rows, progress, say
from rdbench.cli.run import sweep_with_progress
from rdbench.datasets import load_dataset
from rdbench.errors import RdbenchError, UsageError
from rdbench.images import read_image
from rdbench.report.export import file_name
from rdbench.spec import get_codecs, identify, rate_of


def latents(
    codec: options.CodecSpec,
    dataset: options.ImageSet = "sample",
    out: options.OutFolder = options.REPORTS,
    jobs: options.Jobs = 1,
    threads: options.Threads = 1,
    map_of: Annotated[
        str | None, typer.Option("--map", help="Image to draw maps of, at every rate.")
    ] = None,
    device: options.Device = None,
    weights: options.WeightsOf = None,
    as_json: options.AsJson = False,
) -> None:
    """Measure the rate of each latent.

    Prints bits per pixel of the whole files and of each part, and draws figures. `--json` adds the
    ideal rates. Existing results are used.

    Example: rdbench latents --codec qarv --dataset kodak[kodim03] --map kodim03
    """
    data = load_dataset(dataset)
    image_files = data.subset([map_of]).files if map_of else ()
    (spec,) = options.with_settings([codec], device=device, weights=weights)
    _require_segments(spec)
    outcome = sweep_with_progress([spec], [dataset], out, jobs=jobs, threads=threads)
    rows = latent_rows(outcome.records, outcome.datasets)
    if not rows:
        raise RdbenchError(f"no operating point of {spec} was measured on all images: see above")
    columns, points = by_point(rows)
    print_rows(columns, rows if as_json else points, as_json)
    from rdbench.report.latents import plot_bit_maps, plot_latents

    with progress("figures"):
        written = plot_latents(rows, out / "figures")
        for image_file in image_files:
            image = read_image(image_file.path)
            for point in get_codecs(spec):
                name, value = rate_of(point)
                title = f"{identify(point).curve} {name}={value:g}"  # with its weights
                file = file_name(f"map-{data.name}-{title}-{Path(image_file.name).stem}")
                maps = point.bit_maps(image)
                written += plot_bit_maps(image, maps, title, out / "figures" / file)
    say(*map(str, written))


def _require_segments(spec: str) -> None:
    """UsageError, before a sweep, where a codec does not report the parts of its files."""
    point = get_codecs(spec)[0]
    point.check()
    if not point.encode(np.zeros((64, 64, 3), np.uint8)).segments:
        raise UsageError(f"codec {point.name!r} does not report the rate of its parts")
