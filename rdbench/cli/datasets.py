"""``rdbench datasets``: list, fetch and check test sets."""

from typing import Any

import typer

from rdbench.cli import options
from rdbench.cli.console import Verbosity, print_rows, progress, say
from rdbench.columns import DATASET, Column, plain
from rdbench.datasets import Dataset, Manifest, folder_of, load_dataset, manifests
from rdbench.datasets import fetch as fetch_dataset

app = typer.Typer(name="datasets", help="List, fetch and check test sets.", no_args_is_help=True)


@app.command("list")
def list_(as_json: options.AsJson = False) -> None:
    """List data sets, and whether their images are on this machine.

    Example: rdbench datasets list
    """
    print_rows(DATASETS, [_dataset_row(m) for m in manifests().values()], as_json)


DATASETS = (DATASET, Column("n_images", "images"), *plain("about", "available", "folder"))


def _dataset_row(manifest: Manifest) -> dict[str, Any]:
    folder = folder_of(manifest.name)
    return {
        "dataset": manifest.name,
        "n_images": manifest.n_images,
        "about": manifest.about,
        "available": folder.is_dir(),
        "folder": str(folder),
    }


@app.command()
def fetch(name: options.DatasetName) -> None:
    """Download a data set and verify every file; correct files are kept.

    Example: rdbench datasets fetch kodak
    """
    dataset = fetch_dataset(name, progress=not Verbosity.quiet)
    say(f"{name}: {len(dataset.files)} images in {folder_of(name)}")


@app.command()
def verify(name: options.DatasetName, as_json: options.AsJson = False) -> None:
    """Check the images of a data set against its manifest, or that a folder can be read.

    Example: rdbench datasets verify sample
    """
    with progress(f"checking {name}"):
        dataset = load_dataset(name)
    print_rows(IMAGES, _rows(dataset), as_json)
    say(f"{name}: {len(dataset.files)} images, fingerprint {dataset.fingerprint[:16]}")


IMAGES = plain("image", "width", "height", "sha256")


def _rows(dataset: Dataset) -> list[dict[str, str | int]]:
    return [
        {"image": p.name, "width": p.width, "height": p.height, "sha256": p.sha256}
        for p in dataset.files
    ]
