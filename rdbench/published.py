"""Curves of the literature, and importers for the files that other projects write.

Curves come from the packages registered under the entry-point group ``rdbench.curves``. Such a
package holds ``published/DATASET/CODEC.json``: a curve with its points, source and protocol. Beside
these may be ``published/codecs.json``, which says of a codec if one model serves all rates and
what it costs, and ``published/anchors.json``, pictures with the bytes and PSNR that a codec must
reproduce.
"""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import numpy as np

from rdbench.curve import Anomaly, Curve
from rdbench.errors import DataError, UsageError
from rdbench.registry import closest, plugins

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
            "(`rdbench list curves` shows all)"
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
                    raise DataError(f"two packages publish {key[1]} on {key[0]}; uninstall one")
                found[key] = file
    return found


@functools.cache
def _codecs() -> dict[str, dict[str, Any]]:
    """Codec -> what is known of it: ``variable_rate``, ``complexity``."""
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
            bpp=np.array([p["bpp"] for p in points], np.float64),
            distortion={
                metric: np.array([p.get(key, np.nan) for p in points], np.float64)
                for key, metric in _SCORES.items()
                if any(key in p for p in points)
            },
            rate_parameter=parameter,
            rate_values=tuple(p.get(parameter) for p in points) if parameter else (),
            variable_rate=about.get("variable_rate"),
            provenance={**body["source"], "trained_for": body["trained_for"]},
            protocol=body["protocol"],
            complexity=about.get("complexity"),
            notes=(Anomaly("note", body["note"]),) if "note" in body else (),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{file} is not a curve file: {type(error).__name__} {error}") from None


def import_compressai(
    path: str | Path, dataset: str | None = None, codec: str | None = None
) -> Curve:
    """A curve from the JSON that CompressAI's ``bench`` and ``eval_model`` write.

    Its ``results`` hold ``bpp`` and ``psnr-rgb``, ``ms-ssim-rgb`` or ``ms-ssim-db-rgb`` (in older
    files ``psnr``, ``ms-ssim``); commas before a closing bracket are allowed. How it was scored is
    not in such a file, so the protocol does not say.

    Args:
        path: the file.
        dataset: data set of the curve; None for the name of the file's folder, as in CompressAI's
            ``results/image/kodak``.
        codec: name of the curve; None for the file's.

    Raises:
        DataError: the file cannot be read or holds no curve.
    """
    path = Path(path)
    body = _tolerant_json(path)
    return _imported(path, _results(path, body), dataset or path.resolve().parent.name, codec)


def import_lossy_vae(
    path: str | Path, dataset: str | None = None, codec: str | None = None
) -> Curve:
    """A curve from the JSON that lossy-vae's evaluation scripts write.

    It holds ``bpp`` and ``psnr`` at the top or under ``results``, maybe ``lambdas``, and the data
    set as ``test-set`` or ``dataset_name``; commas before a closing bracket are allowed.

    Arguments and errors are those of ``import_compressai``; where ``dataset`` is None, the file's
    own entry is used, and the folder's name without one.
    """
    path = Path(path)
    body = _tolerant_json(path)
    results = _results(path, body) if "results" in body else body
    name = dataset or body.get("test-set") or body.get("dataset_name") or path.resolve().parent.name
    return _imported(path, results, str(name), codec, body.get("lambdas"))


_IMPORTED = {
    "psnr_rgb": ("psnr-rgb", "psnr"),
    "ms_ssim": ("ms-ssim-rgb", "ms-ssim", "ms-ssim-db-rgb"),
}


def _imported(
    path: Path,
    results: Mapping[str, Any],
    dataset: str,
    codec: str | None,
    lambdas: Any = None,
) -> Curve:
    """The curve of columns, which must be lists of numbers of one length."""
    columns = {metric: _column(path, results, names) for metric, names in _IMPORTED.items()}
    if columns["ms_ssim"] is not None and not {"ms-ssim-rgb", "ms-ssim"} & results.keys():
        columns["ms_ssim"] = 1 - 10 ** (-columns["ms_ssim"] / 10)
    distortion = {metric: column for metric, column in columns.items() if column is not None}
    bpp = _column(path, results, ("bpp",))
    if bpp is None or not distortion:
        raise DataError(f"{path} holds no bpp with psnr or ms-ssim")
    if any(len(column) != len(bpp) for column in distortion.values()):
        raise DataError(f"{path}: bpp and scores are not of one length")
    values = lambdas if isinstance(lambdas, list) and len(lambdas) == len(bpp) else []
    return Curve(
        codec=codec or path.stem,
        dataset=dataset,
        source="imported",
        bpp=bpp,
        distortion=distortion,
        rate_parameter="lambda" if values else "",
        rate_values=tuple(values),
        provenance={"path": str(path)},
    )


def _column(path: Path, results: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """The first of the named columns as float64, or None."""
    for name in names:
        if name in results:
            try:
                column = np.asarray(results[name], np.float64)
            except (TypeError, ValueError):
                raise DataError(f"{path}: {name!r} is not a list of numbers") from None
            if column.ndim != 1 or not np.isfinite(column).all():
                raise DataError(f"{path}: {name!r} is not a list of numbers")
            return column
    return None


def _results(path: Path, body: Mapping[str, Any]) -> Mapping[str, Any]:
    results = body.get("results")
    if not isinstance(results, dict):
        raise DataError(f"{path} has no 'results'; is it a file of another project?")
    return results


def _tolerant_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; commas before a closing bracket and comments are allowed."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}") from None
    try:
        body = json.loads(text)
    except ValueError:
        import json5

        try:
            body = json5.loads(text)
        except ValueError as error:
            reason = " ".join(str(error).split())
            raise DataError(f"{path} is not JSON, even with trailing commas: {reason}") from None
    if not isinstance(body, dict):
        raise DataError(f"{path} holds no JSON object")
    return body


@dataclass(frozen=True, slots=True)
class AnchorPoint:
    """A picture through an anchor, as it must come out wherever the anchor is set up right.

    Attributes:
        spec: the operating point, such as ``vtm18:qp=37``.
        dataset, image, image_sha256: the picture.
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
