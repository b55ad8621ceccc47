"""Curves of the literature, and facts about their codecs.

Curves come from the packages registered under the entry-point group ``rdbench.curves``. Such a
package contains a folder ``published`` with

- ``curves/*.json``: curves, one file per source, with how they were scored
- ``codecs.json``, optional: title, year, kind, complexity and citation of each codec
- ``references.bib``, optional: what the citations mean
- ``anchors.json``, optional: images with the bytes and PSNR that a codec must reproduce

The README of rdbench's own folder describes the fields.
"""

import functools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import numpy as np

from rdbench.curve import Curve, Note, PerImage
from rdbench.decibel import FloatArray, db_to_error
from rdbench.errors import DataError, UsageError, closest
from rdbench.plugins import plugins

GROUP = "rdbench.curves"

_VARIANT = re.compile(r"(\.ms-ssim|\.8bit)+$")
"""Ends the name of a curve of the same codec, trained for MS-SSIM or scored on 8 bits."""


def list_curves(dataset: str | None = None) -> list[Curve]:
    """Every published curve, or those on one data set, in the order of data set and codec.

    Raises:
        UsageError: no curve is published on this data set.
        DataError: a curve file is not what it must be.
    """
    if dataset is not None:
        _check_dataset(dataset)
    return [curve for curve in _curves().values() if dataset in (None, curve.dataset)]


def load_curve(dataset: str, codec: str) -> Curve:
    """A published curve by data set and codec or title, such as ``("kodak", "MLIC++")``.

    Raises:
        UsageError: there is none; the message names the closest.
        DataError: a curve file is not what it must be.
    """
    _check_dataset(dataset)
    here = list_curves(dataset)
    if found := [curve for curve in here if curve.is_called(codec)]:
        return found[0]
    names = [curve.codec for curve in here]
    raise UsageError(
        f"no curve of {codec!r} is published on {dataset}{closest(codec, names)} "
        "(`rdbench curves list` shows all)"
    )


def _check_dataset(dataset: str) -> None:
    known = {curve.dataset for curve in _curves().values()}
    if dataset not in known:
        raise UsageError(f"no curve is published on {dataset!r}{closest(dataset, known)}")


def _folders() -> list[Traversable]:
    """The ``published`` folders of all registered packages."""
    return [files(package).joinpath("published") for _, package in plugins(GROUP)]


@functools.cache
def _curves() -> Mapping[tuple[str, str], Curve]:
    """(data set, codec) -> curve, sorted."""
    found: dict[tuple[str, str], Curve] = {}
    for file in (f for folder in _folders() for f in folder.joinpath("curves").iterdir()):
        for curve in _read(file):
            key = curve.dataset, curve.codec
            if key in found:
                raise DataError(
                    f"two files publish {curve.codec} on {curve.dataset}, one of them {file}; "
                    "uninstall the package of one"
                )
            found[key] = curve
    return dict(sorted(found.items()))


@functools.cache
def _codecs() -> Mapping[str, Mapping[str, Any]]:
    """Codec -> its published properties."""
    found: dict[str, Mapping[str, Any]] = {}
    for folder in _folders():
        if (file := folder.joinpath("codecs.json")).is_file():
            found |= json.loads(file.read_text(encoding="utf-8"))
    return found


def facts(codec: str) -> Mapping[str, Any]:
    """What is published of a codec; empty where nothing is.

    Returns:
        Some of ``title``, ``year``, ``kind`` (see `rdbench.curve.KINDS`), ``cite`` (BibTeX keys),
        ``complexity`` and ``anchor``, which is the same for curves of one reference encoder.
    """
    return _codecs().get(_VARIANT.sub("", codec), {})


def _read(file: Traversable) -> Iterator[Curve]:
    """The curves of one source."""
    try:
        body = json.loads(file.read_text(encoding="utf-8"))
        shared = {key: body[key] for key in ("repository", "commit", "licence")}
        for row in body["curves"]:
            yield _curve(row, shared | body["protocols"][row["protocol"]])
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise DataError(f"{file} is not a curve file: {type(error).__name__} {error}") from None
    except RecursionError:
        raise DataError(f"{file} is not a curve file: it is nested too deeply") from None


def _curve(row: Mapping[str, Any], source: Mapping[str, Any]) -> Curve:
    about = facts(row["codec"])
    suffix = " (MS-SSIM)" if row["codec"].endswith(".ms-ssim") else ""
    table = _table(row["per_image"]) if "per_image" in row else None
    scores = row["scores"] if table is None else table.scores
    return Curve(
        codec=row["codec"],
        dataset=row["dataset"],
        source="published",
        bpp=_means(row["bpp"] if table is None else table.bpp),
        scores=dict(_score(metric, _means(values)) for metric, values in scores.items()),
        label=f"{about['title']}{suffix}" if "title" in about else "",
        rate_parameter=row.get("rate_parameter", ""),
        rate_values=tuple(row.get("rate_values", ())),
        kind=about.get("kind", ""),
        provenance={
            **{key: source[key] for key in ("repository", "commit", "licence")},
            **{key: row[key] for key in ("path", "trained_for", "caveats") if key in row},
        },
        protocol={key: source[key] for key in ("scored", "rate", "aggregation")},
        per_image=table,
        complexity=about.get("complexity"),
        notes=(Note("note", row["note"]),) if "note" in row else (),
        year=about.get("year"),
        citations=tuple(about.get("cite", ())),
    )


def _table(body: Mapping[str, Any]) -> PerImage:
    scores = {metric: np.array(rows, np.float64) for metric, rows in body["scores"].items()}
    return PerImage(tuple(body["images"]), np.array(body["bpp"], np.float64), scores)


def _score(metric: str, values: FloatArray) -> tuple[str, FloatArray]:
    """A metric and its means; MS-SSIM in dB becomes MS-SSIM."""
    return ("ms_ssim", 1 - db_to_error(values)) if metric == "ms_ssim_db" else (metric, values)


def _means(values: Any) -> FloatArray:
    """One number per point, NaN for None; rows of a table become their means."""
    array = np.array(values)
    if array.dtype == object:
        array = np.array([np.nan if value is None else value for value in values])
    if array.dtype.kind not in "if":  # numpy would take text for numbers
        raise ValueError(f"{values!r} are not numbers")
    return np.asarray(array if array.ndim == 1 else array.mean(axis=1), np.float64)


@functools.cache
def bibliography() -> Mapping[str, str]:
    """BibTeX key -> entry, of all registered packages."""
    texts = [
        file.read_text(encoding="utf-8")
        for folder in _folders()
        if (file := folder.joinpath("references.bib")).is_file()
    ]
    return {entry[1]: entry[0] for entry in _ENTRY.finditer("\n".join(texts))}


_ENTRY = re.compile(r"^@\w+\{([^,\s]+),$.*?^\}$", re.MULTILINE | re.DOTALL)


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
