"""``rdbench consistency``: whether files decode in other environments."""

from typing import Annotated

import typer

from rdbench.cli import options
from rdbench.cli.console import print_rows, progress, warn
from rdbench.consistency import COLUMNS, ENVIRONMENTS, check_consistency, choose_environments

_ENVIRONMENTS = ", ".join(ENVIRONMENTS)


def consistency(
    codec: options.CodecSpecs,
    dataset: options.ImageSet = "sample",
    environment: Annotated[
        list[str],
        typer.Option(
            "--environment",
            "-e",
            metavar="NAME",
            help=f"Environment to compare: {_ENVIRONMENTS}; default: all. Repeatable.",
            autocompletion=lambda: list(ENVIRONMENTS),
        ),
    ] = options.ALL,
    device: Annotated[
        list[str],
        typer.Option("--device", metavar="NAME", help="Also this device. Repeatable."),
    ] = options.ALL,
    python: Annotated[
        list[str],
        typer.Option(
            "--python", metavar="PATH", help="Also the environment of this Python. Repeatable."
        ),
    ] = options.ALL,
    weights: options.WeightsOf = None,
    as_json: options.AsJson = False,
) -> None:
    """Check that files decode on other threads, instruction sets, devices and libraries.

    Encodes and decodes each image in every environment: both directions between the first one and
    each of the others. The drift is the largest difference of the logarithms of the scales that
    entropy coding depends on. The exit status is 1 if a file fails or integers differ.

    Example: rdbench consistency --codec qarv:lambda=64 -e sse41-2-threads
    """
    environments = choose_environments(environment, device, python)
    specs = options.with_settings(codec, weights=weights)
    with progress("files") as advance:
        rows = check_consistency(specs, dataset, environments, on_progress=advance)
    print_rows(COLUMNS, rows, as_json)
    for row in rows:
        for reason in row["reasons"]:
            warn(f"{row['codec']}, {row['encoded_in']} to {row['decoded_in']}: {reason}")
    if any(row["failed"] or row["symbols_differ"] for row in rows):
        raise typer.Exit(1)
