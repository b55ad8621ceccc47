"""``rdbench list``: what there is to run, to run on and to compare with."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from rdbench.cli.console import AsJson, print_rows, say
from rdbench.columns import DATASET, Column, Row, plain
from rdbench.curve import CURVES
from rdbench.datasets import Manifest, folder_of, manifests
from rdbench.errors import Unavailable
from rdbench.metrics import METRICS, why_not
from rdbench.plugins import codec_class, codec_names
from rdbench.published import list_curves
from rdbench.spec import settings_of

app = typer.Typer(help="What there is: codecs, datasets, metrics, curves.", no_args_is_help=True)


@app.command()
def codecs(as_json: AsJson = False) -> None:
    """Codecs, their settings, and whether they can run here.

    Example: rdbench list codecs
    """
    rows = [codec_row(name) for name in codec_names()]
    ladders = [row | {"ladder": _short(row["ladder"])} for row in rows]
    print_rows(CODECS, rows if as_json else ladders, as_json)
    _say_why_not("codec", rows, as_json)


CODECS = plain("codec", "title", "ladder", "available")


def _say_why_not(key: str, rows: Sequence[Row], as_json: bool) -> None:
    """Why something is not available, for people."""
    if not as_json:
        say(*(f"{row[key]}: {row['reason']}" for row in rows if row["reason"]))


def codec_row(name: str) -> dict[str, Any]:
    """What ``rdbench list codecs`` says of a codec; the reason where it cannot run here."""
    cls, reason = None, None
    try:
        cls = codec_class(name)
        cls().check()
    except Unavailable as error:
        reason = str(error)
    return {
        "codec": name,
        "title": cls.title if cls else "",
        "settings": list(settings_of(cls)) if cls else [],
        "ladder": list(cls.ladder_values) if cls else [],
        "available": reason is None,
        "reason": reason,
    }


def _short(values: Sequence[Any]) -> str:
    texts = [f"{v:g}" if isinstance(v, float) else str(v) for v in values]
    if len(texts) > 9:
        return f"{', '.join(texts[:3])}, ... {texts[-1]} ({len(texts)})"
    return ", ".join(texts)


@app.command()
def datasets(as_json: AsJson = False) -> None:
    """Data sets, and whether their images are here.

    Example: rdbench list datasets
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
def curves(
    dataset: Annotated[str | None, typer.Option(help="Only curves on this data set.")] = None,
    as_json: AsJson = False,
) -> None:
    """Published curves that results can be compared with, and where they come from.

    Example: rdbench list curves --dataset kodak
    """
    print_rows(CURVES, [curve.row() for curve in list_curves(dataset)], as_json)


@app.command()
def metrics(as_json: AsJson = False) -> None:
    """Metrics, where they come from, and whether they can be computed here.

    Example: rdbench list metrics
    """
    rows = [
        {
            "metric": m.name,
            "title": m.title,
            "unit": m.unit,
            "better": m.better,
            "source": m.source,
            "reason": why_not(m),
        }
        for m in METRICS.values()
    ]
    print_rows(METRIC_COLUMNS, rows, as_json)
    _say_why_not("metric", rows, as_json)


METRIC_COLUMNS = plain("metric", "title", "unit", "better", "source")
