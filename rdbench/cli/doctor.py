"""``rdbench doctor``: what is installed, what is missing and why."""

import os
import re
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

import typer

from rdbench.cli import options
from rdbench.cli.codecs import codec_row
from rdbench.cli.console import print_json, print_rows, track
from rdbench.columns import Column
from rdbench.datasets import load_dataset
from rdbench.images import read_image
from rdbench.plugins import codec_class, codec_names
from rdbench.sweep import machine


def doctor(dataset: options.ImageSet = "sample", as_json: options.AsJson = False) -> None:
    """Report installed and missing components.

    Shows the machine, packages, which codecs are available, and what colour conversion alone costs
    on the images.

    Example: rdbench doctor
    """
    codecs = [codec_row(name) for name in track("codecs", codec_names())]
    known = [c["codec"] for c in codecs if c["title"]]
    report: dict[str, list[dict[str, Any]]] = {
        "machine": [{**machine(), "load": round(os.getloadavg()[0], 2)}],
        "packages": [*map(_package, sorted({*map(_name, requires("rdbench") or [])}))],
        "codecs": [{key: c[key] for key in ("codec", "available", "reason")} for c in codecs],
        "colour_ceilings": list(_colour_ceilings(known, dataset)),
    }
    if as_json:
        print_json(report)
        return
    for title, rows in report.items():
        typer.echo()
        columns = [Column(key, digits=2) for key in rows[0]] if rows else []
        print_rows(columns, rows, False, title.replace("_", " "))


def _name(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0]


def _package(name: str) -> dict[str, str | None]:
    try:
        return {"package": name, "version": version(name)}
    except PackageNotFoundError:
        return {"package": name, "version": None}


def _colour_ceilings(names: Sequence[str], dataset: str) -> Iterator[dict[str, object]]:
    """PSNR that codecs which convert colours could reach with no compression at all, in dB."""
    images = [(file.name, read_image(file.path)) for file in load_dataset(dataset).files]
    for name in track("colour conversion", names):
        codec = codec_class(name)()
        for file, image in images:
            if (ceiling := codec.colour_ceiling(image)) is not None:
                yield {"codec": name, "image": file, "psnr_rgb": ceiling}
