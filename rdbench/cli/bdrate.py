"""``rdbench bdrate``: how much rate a codec saves at equal quality."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from rdbench.analysis.bd import BdPsnr, BdRate, bd_psnr, bd_rate
from rdbench.analysis.comparison import compare, is_own
from rdbench.analysis.delta import METHODS
from rdbench.analysis.selection import select
from rdbench.analysis.sensitivity import sensitivity
from rdbench.cli.console import AsJson, grouped, print_rows, say
from rdbench.curve import Curve
from rdbench.errors import DataError, RdbenchError, UsageError
from rdbench.published import import_curves


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
    per_image: Annotated[
        bool, typer.Option("--per-image", help="One row an image, where both were measured.")
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

    Of measured and published curves against an anchor; your own come first, with a star.

    A warning says where a method does not follow the points, or where poly3 and pchip are more than
    5 % of the rate (0.2 dB) apart.

    Example: rdbench bdrate --anchor vtm18 --dataset kodak
    """
    if method not in METHODS:
        raise UsageError(f"--method is one of {', '.join(METHODS)}, not {method!r}")
    imported = import_curves(files, dataset)
    found = compare(select(folder, dataset, imported), anchor, codec, metric)
    warnings: list[tuple[str, str]] = []
    ranked: list[tuple[tuple[bool, str, float], Rows]] = []
    own_is_compared = not found.own
    for anchor_curve, test in found.pairs:
        try:
            result = (bd_psnr if psnr else bd_rate)(
                anchor_curve, test, metric, "poly3" if spread else method
            )
            rows = _rows(result, anchor_curve, test, spread, per_image)
        except (DataError, UsageError) as error:
            warnings.append((test.label, f"no figure on {test.dataset}: {error}"))
            continue
        ranked.append(((not is_own(test), test.dataset, _value(result)), rows))
        own_is_compared |= is_own(test) or is_own(anchor_curve)
        warnings += [(test.label, text.removeprefix(f"{test.label}: ")) for text in result.warnings]
    warnings += [
        (reason.curve.label, f"no figure on {reason.curve.dataset}: {reason.text}")
        for reason in found.reasons
    ]
    ranked.sort(key=lambda entry: entry[0])
    rows = [row for _, group in ranked for row in group]
    _print(rows, [*found.notes, *grouped(warnings)], as_json)
    if not own_is_compared:
        raise RdbenchError(f"no figure against {anchor!r} of your own curves: see above")
    if not rows:
        raise RdbenchError(f"no figure against {anchor!r}: see above")


Rows = list[dict[str, Any]]


def _value(result: BdRate | BdPsnr) -> float:
    return result.bd_psnr_db if isinstance(result, BdPsnr) else result.bd_rate_percent


def _rows(
    result: BdRate | BdPsnr, anchor: Curve, test: Curve, spread: bool, per_image: bool
) -> Rows:
    """The rows of one figure: itself, its images, or its variants."""
    if spread:
        return _sensitivity_rows(anchor, test, result.metric)
    if per_image and not result.per_image:
        raise DataError("no scores of each image; both sides must be measured, on the same ones")
    return _image_rows(result) if per_image else [result.row()]


def _print(rows: Rows, lines: Sequence[str], as_json: bool) -> None:
    """Rows to stdout, then what must be known of them."""
    if as_json and rows:
        print_rows(rows, True)
    if not as_json:
        own = any(row.get("source") != "published" for row in rows)
        print_rows([_short(row, own) for row in rows], False)
    say(*lines)


def _sensitivity_rows(anchor: Curve, test: Curve, metric: str) -> list[dict[str, Any]]:
    found = sensitivity(anchor, test, metric)
    head = {"codec": test.label, "dataset": test.dataset, "metric": metric}
    spread = {"method": "spread", "averaging": "", "range": "", "bd_rate_percent": found.spread}
    return [{**head, **row} for row in [*found.rows(), spread]]


def _image_rows(result: BdRate | BdPsnr) -> list[dict[str, Any]]:
    name = "bd_psnr_db" if isinstance(result, BdPsnr) else "bd_rate_percent"
    return [
        {"codec": result.label, "dataset": result.dataset, "image": image, name: value}
        for image, value in result.per_image
    ]


def _short(row: dict[str, Any], mark: bool) -> dict[str, Any]:
    """A row for a terminal; ``mark`` puts a star before what is not published."""
    if "overlap_low" not in row:
        return row
    star = "" if row["source"] == "published" else "*"
    key = "bd_psnr_db" if "bd_psnr_db" in row else "bd_rate_percent"
    low, high = row["ci_low"], row["ci_high"]
    return {
        "own": star if mark else None,
        "dataset": row["dataset"],
        "codec": row["label"],
        key: f"{row[key]:+.3f}",
        "95 % CI": None if low is None else f"{low:+.2f} {high:+.2f}",
        "won:lost": None if row["n_wins"] is None else f"{row['n_wins']}:{row['n_losses']}",
        "overlap": f"{row['overlap_low']:.2f}-{row['overlap_high']:.2f} ({row['overlap']:.0%})",
        "points": f"{row['n_points']}/{row['anchor_n_points']}",
        "source": f"{row['source']} / {row['anchor_source']}",
    }
