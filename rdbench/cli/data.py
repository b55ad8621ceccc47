"""``rdbench datasets``: get and check test sets."""

from typing import Annotated

import typer

from rdbench.cli.console import AsJson, print_rows, say
from rdbench.columns import plain
from rdbench.datasets import Dataset, folder_of, load_dataset
from rdbench.datasets import fetch as fetch_dataset

app = typer.Typer(help="Fetch and verify test sets.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Data set; `rdbench list datasets` shows all.")]


@app.command()
def fetch(name: Name) -> None:
    """Download a data set and verify every file; what is there and right is kept.

    Example: rdbench datasets fetch kodak
    """
    dataset = fetch_dataset(name)
    say(f"{name}: {len(dataset.files)} images in {folder_of(name)}")


@app.command()
def verify(name: Name, as_json: AsJson = False) -> None:
    """Check every image of a data set against its manifest, or of any folder for readability.

    Example: rdbench datasets verify sample
    """
    dataset = load_dataset(name)
    print_rows(IMAGES, _rows(dataset), as_json)
    say(f"{name}: {len(dataset.files)} images, fingerprint {dataset.fingerprint[:16]}")


IMAGES = plain("image", "width", "height", "sha256")


def _rows(dataset: Dataset) -> list[dict[str, str | int]]:
    return [
        {"image": p.name, "width": p.width, "height": p.height, "sha256": p.sha256}
        for p in dataset.files
    ]
