"""Curves from the files that people publish.

- JSON of CompressAI and lossy-vae: columns at the top or under ``results``.
- JSON with such columns at any depth, keyed by data set or method: one curve for each.
- Tables (CSV, TSV, text with spaces, Markdown, a JSON array of rows): a column of rates and at
  least one of scores; also one row per image and operating point, and rdbench's own exports.

A file's own words come first: a name, data set or metric that it gives is taken from there, then
from its keys, then from the names of the file and its folder. ``FILE#KEY`` chooses a part of a file
with several curves, such as ``results.json#kodak/mine``.
"""

import csv
import dataclasses
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from rdbench.curve import Curve, Note, PerImage
from rdbench.datasets import manifests
from rdbench.decibel import FloatArray, db_to_error
from rdbench.errors import DataError
from rdbench.metrics import METRICS
from rdbench.types import with_weights

_RATES = ("bpp", "rate_bpp", "bits_per_pixel", "rate")
_MS_SSIM = ("ms_ssim_rgb", "ms_ssim", "msssim")
_MS_SSIM_DB = ("ms_ssim_db_rgb", "ms_ssim_db", "msssim_db", "db_msssim", "db_ms_ssim")
_SCORES = {metric: (metric,) for metric in METRICS} | {
    "psnr_rgb": ("psnr_rgb", "psnr", "psnr_db"),
    "ms_ssim": (*_MS_SSIM, *_MS_SSIM_DB),
}
"""Metric -> what files call it, in simple spelling, the preferred word first."""

_CODEC = ("curve", "codec", "method", "model", "name")
_DATASET = ("dataset", "dataset_name", "test_set", "data_set")
_IMAGE = ("image", "seq_name", "seq", "image_name", "filename", "file", "img")
_PARAMETER = ("spec", "lambda", "lambdas", "lmbda", "qp", "quality", "q", "rate_parameter")
_MAX_DB = 80.0
"""More than a single-precision MS-SSIM below 1 can have; percents lie above."""

Column = Sequence[Any]


@dataclass(frozen=True)
class _Table:
    """Columns that belong together, and what the file says of them.

    Attributes:
        columns: name in simple spelling -> values, one per point, or per point and image.
        keys: where they are in the file.
        facts: words about all of them, such as ``name``.
        guess: what the column of scores is if nothing names it; "" where its name is the file's.
    """

    columns: Mapping[str, Column]
    keys: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    guess: str = ""

    def first(self, names: Sequence[str]) -> str:
        """The first of the names that is a column, or ""."""
        return next((name for name in names if name in self.columns), "")

    def fact(self, names: Sequence[str]) -> str:
        """The first of the names that the file says as a text, or ""."""
        texts = (self.facts.get(name) for name in names)
        return next((text.strip() for text in texts if isinstance(text, str) and text.strip()), "")

    def dataset(self) -> str:
        """What the file calls the data set, or ""."""
        return self.fact(_DATASET) or next(filter(_names_dataset, self.keys), "")

    def codec(self) -> str:
        """What the file calls the codec, or ""."""
        own = "/".join(key for key in self.keys if not _names_dataset(key))
        return self.fact(_CODEC) or own


def import_curves(paths: Sequence[str | Path], dataset: str | None = None) -> list[Curve]:
    """Import all curves of files, each with a label of its own.

    If several curves of a data set have the same name, the label ends with the file's name or path.

    Args:
        paths: the files, each with ``#KEY`` where only a part is wanted.
        dataset: data set of the curves; None for what each file says. Of a file with curves on
            several sets, those on this one are taken.

    Raises:
        DataError: a file cannot be read or holds no curve.
    """
    curves = [c for path in dict.fromkeys(map(str, paths)) for c in _import(path, dataset)]
    for name in (lambda path: path.stem, str):
        shared = Counter((c.dataset, c.label) for c in curves)
        curves = [
            c
            if shared[c.dataset, c.label] == 1
            else dataclasses.replace(c, label=f"{c.codec} ({name(Path(c.provenance['path']))})")
            for c in curves
        ]
    return curves


def import_curve(path: str | Path, dataset: str | None = None, codec: str | None = None) -> Curve:
    """The curve of a file that holds one; see `import_curves`.

    Args:
        path: the file, maybe with ``#KEY``.
        dataset: data set of the curve; None for what the file says.
        codec: name of the curve; None for what the file says.

    Raises:
        DataError: the file cannot be read, or holds no curve or several.
    """
    curves = _import(str(path), dataset)
    if len(curves) > 1:
        names = ", ".join(f"{c.codec} on {c.dataset}" for c in curves)
        raise DataError(f"{path} holds {len(curves)} curves: {names}; choose one with FILE#KEY")
    return dataclasses.replace(curves[0], codec=codec, label=codec) if codec else curves[0]


def _import(text: str, dataset: str | None) -> list[Curve]:
    name, _, key = (text, "", "") if Path(text).exists() else text.partition("#")
    path = Path(name)
    tables = [table for whole in _tables(path) for table in _one_per_curve(whole)]
    if not tables:
        raise DataError(f"{path} holds no bpp with scores; is it a curve?")
    if key:
        tables = _chosen(path, tables, key)
    named = [t for t in tables if t.dataset() and dataset and _is_about(t.dataset(), dataset)]
    return [_curve(path, table, dataset) for table in named or tables]


def _chosen(path: Path, tables: Sequence[_Table], key: str) -> list[_Table]:
    parts = tuple(key.split("/"))
    found = [t for t in tables if t.keys[: len(parts)] == parts]
    if not found:
        known = ", ".join("/".join(t.keys) or "(the whole file)" for t in tables)
        raise DataError(f"{path} has no {key!r}; it holds {known}")
    return found


def _tables(path: Path) -> list[_Table]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}: {error}") from None
    if path.suffix in (".md", ".markdown"):
        return _markdown_tables(text)
    if path.suffix in (".txt", ".csv", ".tsv", ".dat"):
        return [_text_table(path, text)]
    try:
        return list(_json_tables(_json(path, text), (), {}))
    except RecursionError:
        raise DataError(f"{path} is nested too deeply to be a curve") from None


def _simple(name: str) -> str:
    """A name of a column in simple spelling: 'MS-SSIM (dB)' is ms_ssim."""
    return "_".join(re.findall("[a-z0-9]+", re.sub(r"\(.*?\)", "", name.lower())))


def _json_tables(body: Any, keys: tuple[str, ...], facts: Mapping[str, Any]) -> Iterator[_Table]:
    """Every object that has a column of rates, and every array of rows."""
    if _is_rows(body):
        yield _row_table([row | row.get("scores", {}) for row in body], keys)
    if not isinstance(body, dict):
        return
    own = {_simple(key): value for key, value in body.items()}
    facts = {**facts, **{k: v for k, v in own.items() if not isinstance(v, dict)}}
    if any(name in own for name in _RATES):
        lambdas = {"lambda": facts["lambdas"]} if "lambdas" in facts else {}
        yield _Table(lambdas | own, keys, facts)
        return
    for key, value in body.items():
        yield from _json_tables(value, keys if key == "results" else (*keys, key), facts)


def _is_rows(body: Any) -> TypeGuard[list[dict[str, Any]]]:
    return isinstance(body, list) and bool(body) and all(isinstance(row, dict) for row in body)


def _row_table(rows: Sequence[Mapping[str, Any]], keys: tuple[str, ...] = ()) -> _Table:
    names = dict.fromkeys(name for row in rows for name in row)
    return _Table({_simple(n): [row.get(n) for row in rows] for n in names}, keys)


def _markdown_tables(text: str) -> list[_Table]:
    """The tables of a Markdown text; headings above a table are its key."""
    tables: list[_Table] = []
    heading = ""
    for block in re.split(r"\n\s*\n|(?=^#)", text, flags=re.MULTILINE):
        lines = [line.strip() for line in block.splitlines() if line.strip()]
        heading = next((line.strip("# ") for line in lines if line.startswith("#")), heading)
        rows = [line.strip("|").split("|") for line in lines if line.startswith("|")]
        if len(rows) > 2 and any(_simple(cell) in _RATES for cell in rows[0]):
            keys = (heading,) if heading else ()
            body = [dict(zip(rows[0], map(_cell, row), strict=False)) for row in rows[2:]]
            tables.append(_row_table(body, keys))
    return tables


def _text_table(path: Path, text: str) -> _Table:
    """A table with or without a line of names; without one it has a rate and a score."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    comments = " ".join(line for line in lines if line.startswith("#"))
    lines = [line for line in lines if not line.startswith("#")]
    rows = [[cell.strip() for cell in row] for row in _split(lines)]
    if not rows:
        raise DataError(f"{path} is empty")
    if any(isinstance(_cell(cell), str) for cell in rows[0]):
        return _row_table([dict(zip(rows[0], map(_cell, r), strict=False)) for r in rows[1:]])
    if {len(row) for row in rows} != {2}:
        raise DataError(
            f"{path} is not a table of two columns, rate and score; add a line of column names"
        )
    scores = [_cell(row[1]) for row in rows]
    in_words = (
        "ms_ssim" if "ms_ssim" in _simple(comments) else "psnr" * ("psnr" in comments.lower())
    )
    small = all(isinstance(v, float) and v <= 1 for v in scores)
    metric = in_words or ("ms_ssim" if small else "psnr")
    columns = {"bpp": [_cell(row[0]) for row in rows], metric: scores}
    return _Table(columns, guess="" if in_words else metric)


def _split(lines: Sequence[str]) -> list[list[str]]:
    """Cells of lines, separated by tabs, semicolons, commas, or else spaces."""
    for separator in "\t;,":
        if lines and separator in lines[0]:
            return list(csv.reader(lines, delimiter=separator))
    return [line.split() for line in lines]


def _cell(text: str) -> float | str | None:
    text = text.strip()
    try:
        return float(text)
    except ValueError:
        return text if text and text != "-" else None


def _one_per_curve(table: _Table) -> list[_Table]:
    """Take apart a table whose columns say that its rows are of several curves or data sets."""
    by = [name for names in (_DATASET, _CODEC) if (name := table.first(names))]
    by = [name for name in by if isinstance(table.columns[name], list)]
    if not by:
        return [table]
    rate = table.columns[table.first(_RATES)] if table.first(_RATES) else []
    groups: dict[tuple[str, ...], list[int]] = {}
    for i, value in enumerate(rate):
        if value is not None:  # of a failed record
            groups.setdefault(tuple(str(table.columns[name][i]) for name in by), []).append(i)
    return [
        _Table(
            {name: [values[i] for i in chosen] for name, values in table.columns.items()},
            (*table.keys, *texts),
            {**table.facts, **dict(zip(by, texts, strict=True))},
        )
        for texts, chosen in groups.items()
    ]


def _curve(path: Path, table: _Table, dataset: str | None) -> Curve:
    rate = table.first(_RATES)
    if not rate or table.columns[rate] == []:
        raise DataError(f"{path} holds no bpp; is it a curve?")
    own = table.dataset()
    name = dataset or _known_dataset(own) or path.resolve().parent.name
    columns, notes = _columns(path, table, rate)
    images = table.first(_IMAGE)
    per_image, values = None, _values(table, len(columns["bpp"]))
    if images:
        per_image, dropped, values = _per_image(path, table, columns, name, images)
        notes += dropped
        columns = {k: v.mean(axis=1) for k, v in {"bpp": per_image.bpp, **per_image.scores}.items()}
    if own and dataset and not _is_about(own, dataset):
        text = f"{path.name} says that it was measured on {own!r}, not on {dataset!r}"
        notes.append(Note("note", text))
    for_ms_ssim = ".ms-ssim" * ("ms_ssim" in _simple(own))
    codec = table.codec() or path.stem + for_ms_ssim
    estimated = "True" in map(str, table.columns.get("estimated", ()))  # in exported records
    return Curve(
        codec=codec,
        label=with_weights(codec, "", estimated),
        estimated=estimated,
        dataset=name,
        source="imported",
        bpp=columns.pop("bpp"),
        scores=columns,
        rate_parameter=_spelled(table.first(_PARAMETER)) if values else "",
        rate_values=values,
        provenance={"path": str(path)},
        per_image=per_image,
        notes=tuple(notes),
    )


def _spelled(parameter: str) -> str:
    return "lambda" if parameter in ("lambdas", "lmbda") else parameter


def _columns(path: Path, table: _Table, rate: str) -> tuple[dict[str, FloatArray], list[Note]]:
    """Rates, and the scores of each metric: one number per row."""
    bpp = _numbers(path, rate, table.columns[rate])
    if not (bpp > 0).all():
        raise DataError(f"{path}: a rate in {rate!r} is not a positive number of bits per pixel")
    columns, notes = {"bpp": bpp}, []
    for metric, names in _SCORES.items():
        if name := table.first(names):
            scores = _numbers(path, name, table.columns[name])
            if metric == "ms_ssim":
                scores, noted = _ms_ssim(path, name, scores)
                notes += noted
            columns[metric] = scores
    if len(columns) == 1:
        raise DataError(f"{path} holds no bpp with scores of a known metric; is it a curve?")
    if any(len(column) != len(bpp) for column in columns.values()):
        raise DataError(f"{path}: bpp and scores are not of one length")
    if table.guess:
        text = f"{path.name} does not name its scores; they are taken for {table.guess}"
        notes.append(Note("note", text))
    return columns, notes


def _per_image(
    path: Path, table: _Table, columns: Mapping[str, FloatArray], dataset: str, images: str
) -> tuple[PerImage, list[Note], tuple[float, ...]]:
    """Rates and scores of each image; an operating point that lacks one becomes a note."""
    parameter = table.first(_PARAMETER)
    names = [_image_name(dataset, str(name)) for name in table.columns[images]]
    points = [str(v) for v in table.columns[parameter]] if parameter else [""] * len(names)
    rows = Counter(zip(points, names, strict=True))
    if repeated := [key for key, count in rows.items() if count > 1]:
        point, image = repeated[0]
        where = f"{parameter}={point}" if parameter else "no column of the operating point"
        raise DataError(f"{path}: {image} has several rows ({where})")
    every = tuple(dict.fromkeys(names))
    row = {key: i for i, key in enumerate(zip(points, names, strict=True))}
    complete = [p for p in dict.fromkeys(points) if all((p, name) in row for name in every)]
    notes = [Note("incomplete", f"no mean for {parameter}={p}: it lacks an image")
             for p in dict.fromkeys(points) if p not in complete]  # fmt: skip
    order = np.array([[row[p, name] for name in every] for p in complete], int).reshape(
        -1, len(every)
    )
    scores = {metric: column[order] for metric, column in columns.items()}
    numbers = [_cell(p) for p in complete]
    values = tuple(v for v in numbers if isinstance(v, float))
    whole = values if len(values) == len(complete) and parameter else ()
    return PerImage(every, scores.pop("bpp"), scores), notes, whole


def _image_name(dataset: str, name: str) -> str:
    """An image's name as its data set has it: tables often leave the suffix out."""
    about = manifests().get(dataset)
    if about is None or Path(name).suffix:
        return name
    known = {Path(image.name).stem: image.name for image in about.images}
    return known.get(name, name + Path(about.names).suffix)


def _values(table: _Table, n_points: int) -> tuple[float, ...]:
    """The rate parameter at each point, or ()."""
    values = table.columns.get(table.first(_PARAMETER))
    return tuple(values) if _is_numbers(values) and len(values) == n_points else ()


def _ms_ssim(path: Path, name: str, column: FloatArray) -> tuple[FloatArray, list[Note]]:
    """MS-SSIM in [0, 1] from a column of it or of its dB, and a note where the file is not plain.

    Raises:
        DataError: a column is neither.
    """
    known = column[np.isfinite(column)]
    in_db = name in _MS_SSIM_DB or (len(known) > 0 and bool((known > 1).all()))
    if ((known < 0) | (known > (_MAX_DB if in_db else 1))).any():
        raise DataError(f"{path}: {name!r} is neither MS-SSIM from 0 to 1 nor MS-SSIM in dB")
    if not in_db:
        return column, []
    note = Note("note", f"{name!r} of {path.name} is above 1 and taken for MS-SSIM in dB")
    return 1 - db_to_error(column), [] if name in _MS_SSIM_DB else [note]


def _known_dataset(text: str) -> str:
    """A registered data set by the words of a file, such as 'Kodak_PSNR'; else the words."""
    plain = re.sub(r"[\s_-]*(ms[\s_-]?ssim|psnr|rgb)\b", "", text, flags=re.IGNORECASE)
    known = {_letters(name): name for name in manifests()}
    return known.get(_letters(plain), plain)


def _names_dataset(key: str) -> bool:
    """Whether a key of a file begins like the name of a registered data set."""
    first = {_words(name)[0] for name in manifests()}
    return any(word in first for word in _words(key)[:1])


def _is_about(text: str, dataset: str) -> bool:
    """Whether a file's words for a data set may mean this one, such as 'Kodak PhotoCD'."""
    ours, theirs = _letters(dataset), _letters(_known_dataset(text))
    return ours in theirs or theirs in ours


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


def _words(text: str) -> list[str]:
    return re.findall("[a-z]+|[0-9]+", text.lower())


def _numbers(path: Path, name: str, values: Any) -> FloatArray:
    """A column as float64, NaN where it has null."""
    if not _is_numbers(values, null=True):
        raise DataError(f"{path}: {name!r} is not a list of numbers (null means a missing one)")
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _is_numbers(values: Any, null: bool = False) -> TypeGuard[list[Any]]:
    """Whether ``values`` is a list of finite numbers, and maybe nulls."""
    return isinstance(values, list) and all(
        _is_number(value) or (null and value is None) for value in values
    )


def _is_number(value: Any) -> bool:
    """Whether ``value`` is a number that a double can hold; text and booleans are not."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= sys.float_info.max  # NaN is not


def _json(path: Path, text: str) -> Any:
    """The value in a JSON text; commas before a closing bracket and comments are allowed."""
    try:
        body = _parsed(text)
    except ValueError as error:
        reason = " ".join(str(error).partition("; use sys.")[0].split())
        raise DataError(f"{path} is not JSON, even with trailing commas: {reason}") from None
    if not isinstance(body, dict) and not _is_rows(body):
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
