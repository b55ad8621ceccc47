"""``rdbench bdrate``: how much rate a codec saves at equal quality."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from rdbench.analysis.bd import METHODS, BdPsnr, BdRate, bd_psnr, bd_rate, sensitivity
from rdbench.analysis.gather import gather, named
from rdbench.cli.console import AsJson, print_rows, say
from rdbench.curve import Curve
from rdbench.errors import DataError, RdbenchError, UsageError
from rdbench.published import import_lossy_vae


def bdrate(
    anchor: Annotated[str, typer.Option("--anchor", "-a", help="Codec compared with.")] = "vtm18",
    codec: Annotated[
        list[str], typer.Option("--codec", "-c", help="Only these; default all. Repeatable.")
    ] = [],  # noqa: B006
    dataset: Annotated[
        str | None, typer.Option("--dataset", "-d", help="Only this data set.")
    ] = None,
    metric: Annotated[str, typer.Option(help="psnr, ms_ssim, or another metric.")] = "psnr",
    method: Annotated[str, typer.Option(help=f"{', '.join(METHODS)}.")] = "poly3",
    psnr: Annotated[
        bool, typer.Option("--bd-psnr", help="Difference of quality at equal rate instead.")
    ] = False,
    spread: Annotated[
        bool, typer.Option("--sensitivity", help="Under every method, averaging and range.")
    ] = False,
    per_picture: Annotated[
        bool, typer.Option("--per-picture", help="One row a picture, where both were measured.")
    ] = False,
    files: Annotated[
        list[Path], typer.Option("--curve", help="A JSON file of CompressAI or lossy-vae, too.")
    ] = [],  # noqa: B006
    folder: Annotated[Path, typer.Argument(help="Report folder; it need not exist.")] = Path(
        "reports"
    ),
    as_json: AsJson = False,
) -> None:
    """Rate saved at equal quality (BD-rate).

    Of measured and published curves against an anchor.

    Example: rdbench bdrate --anchor vtm18 --dataset kodak
    """
    if method not in METHODS:
        raise UsageError(f"--method is one of {', '.join(METHODS)}, not {method!r}")
    rows: list[dict[str, Any]] = []
    warnings: list[tuple[str, str]] = []
    delta = bd_psnr if psnr else bd_rate
    curves = gather(folder, dataset) + [import_lossy_vae(path, dataset) for path in files]
    for anchor_curve, test in _pairs(curves, anchor, codec):
        try:
            if spread:
                rows += _sensitivity_rows(anchor_curve, test, metric)
                continue
            result = delta(anchor_curve, test, metric, method)
        except (DataError, UsageError) as error:
            warnings.append((test.label, f"no figure on {test.dataset}: {error}"))
            continue
        rows += _picture_rows(result) if per_picture else [result.row()]
        warnings += [(test.label, text.removeprefix(f"{test.label}: ")) for text in result.warnings]
    if as_json and rows:
        print_rows(rows, True)
    else:
        key = "bd_psnr_db" if psnr else "bd_rate_percent"
        rows.sort(key=lambda row: (row["dataset"], row.get(key) or 0.0))
        print_rows([_short(row) for row in rows], False)
        for text in _grouped(warnings):
            say(text)
    if not rows:
        raise RdbenchError(f"no figure against {anchor!r}: nothing to compare, or see above")


def _grouped(warnings: Sequence[tuple[str, str]]) -> list[str]:
    """(curve, text) -> one line a text, behind the curves that it is about."""
    about: dict[str, list[str]] = {}
    for curve, text in warnings:
        shared = text.replace(f" ({curve})", "").replace(f" of {curve}:", ":")
        about.setdefault(shared, []).append(curve)
    return [f"{text}\n    {', '.join(dict.fromkeys(curves))}" for text, curves in about.items()]


def _pairs(
    curves: Sequence[Curve], anchor: str, codecs: Sequence[str]
) -> list[tuple[Curve, Curve]]:
    """(anchor, test) on every data set that has the anchor."""
    anchors = {c.dataset: c for c in reversed(named(curves, [anchor]))}
    tests = named(curves, codecs) if codecs else curves
    return [
        (anchors[c.dataset], c)
        for c in tests
        if c.dataset in anchors and c is not anchors[c.dataset]
    ]


def _sensitivity_rows(anchor: Curve, test: Curve, metric: str) -> list[dict[str, Any]]:
    found = sensitivity(anchor, test, metric)
    head = {"codec": test.label, "dataset": test.dataset, "metric": metric}
    spread = {"method": "spread", "averaging": "", "range": "", "bd_rate_percent": found.spread}
    return [{**head, **row} for row in [*found.rows(), spread]]


def _picture_rows(result: BdRate | BdPsnr) -> list[dict[str, Any]]:
    name = "bd_psnr_db" if isinstance(result, BdPsnr) else "bd_rate_percent"
    return [
        {"codec": result.label, "dataset": result.dataset, "image": image, name: value}
        for image, value in result.per_picture
    ]


def _short(row: dict[str, Any]) -> dict[str, Any]:
    """A row for a terminal."""
    if "overlap_low" not in row:
        return row
    key = "bd_psnr_db" if "bd_psnr_db" in row else "bd_rate_percent"
    low, high = row["ci_low"], row["ci_high"]
    return {
        "dataset": row["dataset"],
        "codec": row["label"],
        key: f"{row[key]:+.3f}",
        "95 % CI": None if low is None else f"{low:+.2f} {high:+.2f}",
        "won:lost": None if row["n_wins"] is None else f"{row['n_wins']}:{row['n_losses']}",
        "overlap": f"{row['overlap_low']:.2f}-{row['overlap_high']:.2f} ({row['overlap']:.0%})",
        "points": f"{row['n_points']}/{row['anchor_n_points']}",
        "source": f"{row['source']} / {row['anchor_source']}",
    }
