"""Curves of the literature, and importers for the files that other projects write.

Curves come from the packages registered under the entry-point group ``rdbench.curves``. Such a
package contains:

- ``published/DATASET/CODEC.json``: a curve with its points, source and protocol
- ``published/codecs.json``, optional: whether one model of a codec serves all rates, and its
  complexity
- ``published/anchors.json``, optional: images with the bytes and PSNR that a codec must reproduce
"""

import dataclasses
import functools
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from rdbench.curve import Curve, Note
from rdbench.decibel import FloatArray, db_to_error
from rdbench.errors import DataError, UsageError, closest
from rdbench.plugins import plugins

GROUP = "rdbench.curves"

_SCORES = {"psnr_db": "psnr_rgb", "ms_ssim": "ms_ssim"}
_TIMES = ("encode_s", "decode_s")


def list_curves(dataset: str | None = None) -> list[Curve]:
    """Every published curve, or those on one data set, in the order of data set and codec.

    Raises:
        UsageError: no curve is published on this data set.
        DataError: a curve file is not what it must be.
    """
    found = _files()
    if dataset is not None:
        _check_dataset(dataset)
    return [load_curve(name, codec) for name, codec in sorted(found) if dataset in (None, name)]


def load_curve(dataset: str, codec: str) -> Curve:
    """A published curve by data set and codec, such as ``("kodak", "mbt2018.ms-ssim")``.

    Raises:
        UsageError: there is none; the message names the closest.
        DataError: its file is not what it must be.
    """
    _check_dataset(dataset)
    found = _files()
    if (dataset, codec) not in found:
        here = {name for where, name in found if where == dataset}
        raise UsageError(
            f"no curve of {codec!r} is published on {dataset}{closest(codec, here)} "
            "(`rdbench curves list` shows all)"
        )
    return _read(dataset, codec, found[dataset, codec])


def _check_dataset(dataset: str) -> None:
    known = {name for name, _ in _files()}
    if dataset not in known:
        raise UsageError(f"no curve is published on {dataset!r}{closest(dataset, known)}")


def _folders() -> list[Traversable]:
    """The ``published`` folders of all registered packages."""
    return [files(package).joinpath("published") for _, package in plugins(GROUP)]


@functools.cache
def _files() -> dict[tuple[str, str], Traversable]:
    """(data set, codec) -> file."""
    found: dict[tuple[str, str], Traversable] = {}
    for folder in _folders():
        for dataset in (entry for entry in folder.iterdir() if entry.is_dir()):
            for file in (f for f in dataset.iterdir() if f.name.endswith(".json")):
                key = dataset.name, file.name.removesuffix(".json")
                if key in found:
                    raise DataError(
                        f"two packages publish {key[1]} on {key[0]} ({found[key]} and {file}); "
                        "uninstall one of them"
                    )
                found[key] = file
    return found


@functools.cache
def _codecs() -> dict[str, dict[str, Any]]:
    """Return codec -> its published properties: ``variable_rate``, ``complexity``."""
    found: dict[str, dict[str, Any]] = {}
    for folder in _folders():
        if (file := folder.joinpath("codecs.json")).is_file():
            found |= json.loads(file.read_text(encoding="utf-8"))
    return found


def _read(dataset: str, codec: str, file: Traversable) -> Curve:
    try:
        body = json.loads(file.read_text(encoding="utf-8"))
        points = body["points"]
        settings = set().union(*points) - {"bpp", *_SCORES, *_TIMES}
        about = _codecs().get(body["codec"], {})
        parameter = min(settings, default="")
        return Curve(
            codec=codec,
            dataset=dataset,
            source="published",
            bpp=_numbers(p["bpp"] for p in points),
            scores={
                metric: _numbers(p.get(key, np.nan) for p in points)
                for key, metric in _SCORES.items()
                if any(key in p for p in points)
            },
            rate_parameter=parameter,
            rate_values=tuple(p.get(parameter) for p in points) if parameter else (),
            variable_rate=about.get("variable_rate"),
            provenance={**body["source"], "trained_for": body["trained_for"]},
            protocol=body["protocol"],
            complexity=about.get("complexity"),
            notes=(Note("note", body["note"]),) if "note" in body else (),
        )
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise DataError(f"{file} is not a curve file: {type(error).__name__} {error}") from None
    except RecursionError:
        raise DataError(f"{file} is not a curve file: it is nested too deeply") from None


def _numbers(values: Iterable[Any]) -> FloatArray:
    """Numbers as float64, NaN for None; ValueError for text, which numpy would take."""
    listed = [np.nan if value is None else value for value in values]
    if wrong := [v for v in listed if not isinstance(v, int | float)]:
        raise ValueError(f"{wrong[0]!r} is not a number")
    return np.array(listed, np.float64)


def import_curve(path: str | Path, dataset: str | None = None, codec: str | None = None) -> Curve:
    """A curve from the JSON that CompressAI or lossy-vae write.

    It holds ``bpp`` and ``psnr`` or ``psnr-rgb``, MS-SSIM in [0, 1] (``ms-ssim-rgb``, ``ms-ssim``)
    or in dB (``ms-ssim-db-rgb``, ``ms-ssim-db``), at the top or under ``results``; maybe
    ``lambdas``. null means a missing score, such as the PSNR of a lossless point. Commas
    before a closing bracket are allowed. The protocol of such a curve is not known.

    Args:
        path: the file.
        dataset: data set of the curve; None for what the file names as ``test-set`` or
            ``dataset_name``, or else its folder, as in CompressAI's ``results/image/kodak``. Where
            the file names another one, a note says so.
        codec: name of the curve; None for the ``name`` in the file, or the file's own without one.

    Raises:
        DataError: the file cannot be read or holds no curve.
    """
    path = Path(path)
    body = _tolerant_json(path)
    results = body.get("results", body)
    if not isinstance(results, dict):
        raise DataError(f"{path} has no 'results'; is it a file of another project?")
    own = _text(body, "test-set") or _text(body, "dataset_name")
    curve = _imported(path, body, results, dataset or own or path.resolve().parent.name, codec)
    if not own or not dataset or _is_about(own, dataset):
        return curve
    note = Note("note", f"{path.name} says that it was measured on {own!r}, not on {dataset!r}")
    return dataclasses.replace(curve, notes=(*curve.notes, note))


def _is_about(text: str, dataset: str) -> bool:
    """Whether a file's words for a data set may mean this one, such as 'Kodak PhotoCD'."""
    ours, theirs = ("".join(filter(str.isalnum, s.casefold())) for s in (dataset, text))
    return ours in theirs or theirs in ours


def import_curves(paths: Sequence[str | Path], dataset: str | None = None) -> list[Curve]:
    """Import curves from files of CompressAI or lossy-vae, each with a label of its own.

    If several files give their curves the same name, the label ends with the file's name or path.

    Args:
        paths: the files.
        dataset: data set of the curves; None for what each file says.

    Raises:
        DataError: a file cannot be read or holds no curve.
    """
    curves = [import_curve(path, dataset) for path in dict.fromkeys(map(Path, paths))]
    for name in (lambda path: path.stem, str):
        shared = Counter((c.dataset, c.label) for c in curves)
        curves = [
            c
            if shared[c.dataset, c.label] == 1
            else dataclasses.replace(c, label=f"{c.codec} ({name(Path(c.provenance['path']))})")
            for c in curves
        ]
    return curves


_PSNR = ("psnr-rgb", "psnr")
_MS_SSIM = ("ms-ssim-rgb", "ms-ssim")
_MS_SSIM_DB = ("ms-ssim-db-rgb", "ms-ssim-db")
_MAX_DB = 80.0
"""More than a single-precision MS-SSIM below 1 can have; percents lie above."""


def _imported(
    path: Path, body: Mapping[str, Any], results: Mapping[str, Any], dataset: str, codec: str | None
) -> Curve:
    """The curve of columns, which must be lists of numbers of one length."""
    bpp = _column(path, results, ("bpp",))
    ms_ssim, notes = _ms_ssim(path, results)
    columns = {"psnr_rgb": _column(path, results, _PSNR), "ms_ssim": ms_ssim}
    scores = {metric: column for metric, column in columns.items() if column is not None}
    if bpp is None or not len(bpp) or not scores:
        raise DataError(f"{path} holds no bpp with psnr or ms-ssim; is it a curve?")
    if any(len(column) != len(bpp) for column in scores.values()):
        raise DataError(f"{path}: bpp and scores are not of one length")
    lambdas = results.get("lambdas", body.get("lambdas"))
    values = lambdas if _is_numbers(lambdas) and len(lambdas) == len(bpp) else []
    if not (bpp > 0).all():
        raise DataError(f"{path}: a rate in 'bpp' is not a positive number of bits per pixel")
    return Curve(
        codec=codec or _text(body, "name") or path.stem,
        dataset=dataset,
        source="imported",
        bpp=bpp,
        scores=scores,
        rate_parameter="lambda" if values else "",
        rate_values=tuple(values),
        provenance={"path": str(path)},
        notes=notes,
    )


def _ms_ssim(path: Path, results: Mapping[str, Any]) -> tuple[FloatArray | None, tuple[Note, ...]]:
    """MS-SSIM in [0, 1] from a column of it or of its dB, and a note where the file is not plain.

    Raises:
        DataError: a column is neither.
    """
    name = next((n for n in (*_MS_SSIM, *_MS_SSIM_DB) if n in results), "")
    column = _column(path, results, (name,))
    if column is None:
        return None, ()
    known = column[np.isfinite(column)]
    in_db = name in _MS_SSIM_DB or (len(known) > 0 and bool((known > 1).all()))
    if ((known < 0) | (known > (_MAX_DB if in_db else 1))).any():
        raise DataError(f"{path}: {name!r} is neither MS-SSIM from 0 to 1 nor MS-SSIM in dB")
    if not in_db:
        return column, ()
    note = Note("note", f"{name!r} of {path.name} is above 1 and taken for MS-SSIM in dB")
    return 1 - db_to_error(column), () if name in _MS_SSIM_DB else (note,)


def _column(path: Path, results: Mapping[str, Any], names: tuple[str, ...]) -> FloatArray | None:
    """The first of the named columns, or None; NaN where it has null."""
    for name in names:
        if name in results:
            values = results[name]
            if not _is_numbers(values, null=True):
                raise DataError(
                    f"{path}: {name!r} is not a list of numbers (null means a missing one)"
                )
            return np.array([np.nan if value is None else value for value in values], np.float64)
    return None


def _is_numbers(values: Any, null: bool = False) -> TypeGuard[list[Any]]:
    """Whether ``values`` is a list of finite numbers, and maybe nulls."""
    return isinstance(values, list) and all(
        _is_number(value) or (null and value is None) for value in values
    )


def _is_number(value: Any) -> bool:
    """Whether ``value`` is a number that a double can hold; text and booleans are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= sys.float_info.max  # NaN is not


def _text(body: Mapping[str, Any], key: str) -> str:
    """A text of the file, or "" where it has none."""
    value = body.get(key)
    return value.strip() if isinstance(value, str) else ""


def _tolerant_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; commas before a closing bracket and comments are allowed."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}: {error}") from None
    try:
        body = _parsed(text)
    except ValueError as error:
        reason = " ".join(str(error).partition("; use sys.")[0].split())
        raise DataError(f"{path} is not JSON, even with trailing commas: {reason}") from None
    except RecursionError:
        raise DataError(f"{path} is nested too deeply to be a curve") from None
    if not isinstance(body, dict):
        raise DataError(f"{path} holds no JSON object")
    return body


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        plain = _COMMA.sub(_text_only, _COMMENT.sub(_text_only, text))
        return json.loads(plain)


_TEXT = r'"(?:\\.|[^"\\])*"'
# Texts are matched first and kept, so that a comment or comma inside one is left alone.
_COMMENT = re.compile(rf"({_TEXT})|//[^\n]*|/\*.*?\*/", re.DOTALL)
_COMMA = re.compile(rf"({_TEXT})|,(?=\s*[\]}}])", re.DOTALL)


def _text_only(match: re.Match[str]) -> str:
    return match[1] or ""


@dataclass(frozen=True, slots=True)
class AnchorPoint:
    """An image through an anchor, as it must come out wherever the anchor is set up right.

    Attributes:
        spec: the operating point, such as ``vtm18:qp=37``.
        dataset, image, image_sha256: the image.
        n_bytes: size of its bitstream.
        psnr_rgb: its PSNR in dB.
    """

    spec: str
    dataset: str
    image: str
    image_sha256: str
    n_bytes: int
    psnr_rgb: float


def anchor_points(codec: str) -> list[AnchorPoint]:
    """The shipped points of a codec, from ``published/anchors.json``; none where there are none."""
    points: list[AnchorPoint] = []
    for folder in _folders():
        if (file := folder.joinpath("anchors.json")).is_file():
            body = json.loads(file.read_text(encoding="utf-8"))
            points += [AnchorPoint(**point) for point in body.get(codec, [])]
    return points
