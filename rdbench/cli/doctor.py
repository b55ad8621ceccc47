"""``rdbench doctor``: what is installed, what is missing and why."""

import os
import re
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

import typer

from rdbench.cli import options
from rdbench.cli.codecs import codec_row
from rdbench.cli.console import print_json, print_rows
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
    codecs = [codec_row(name) for name in codec_names()]
    report: dict[str, list[dict[str, Any]]] = {
        "machine": [{**machine(), "load": round(os.getloadavg()[0], 2)}],
        "packages": _packages(),
        "codecs": [
            {key: codec[key] for key in ("codec", "available", "reason")} for codec in codecs
        ],
        "colour_ceilings": _colour_ceilings([c["codec"] for c in codecs if c["title"]], dataset),
    }
    if as_json:
        print_json(report)
        return
    for title, rows in report.items():
        typer.echo()
        columns = [Column(key, digits=2) for key in rows[0]] if rows else []
        print_rows(columns, rows, False, title.replace("_", " "))


def _packages() -> list[dict[str, str | None]]:
    names = sorted({_name(line) for line in requires("rdbench") or []})
    return [{"package": name, "version": _version(name)} for name in names]


def _name(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _colour_ceilings(names: list[str], dataset: str) -> list[dict[str, object]]:
    """PSNR that codecs which convert colours could reach with no compression at all, in dB."""
    codecs = [codec_class(name)() for name in names]
    images = [(p.name, read_image(p.path)) for p in load_dataset(dataset).files]
    found = [(c.name, name, c.colour_ceiling(image)) for c in codecs for name, image in images]
    return [
        {"codec": codec, "image": name, "psnr_rgb": ceiling}
        for codec, name, ceiling in found
        if ceiling is not None
    ]
