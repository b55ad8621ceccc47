"""Records and curves in the forms that other programs read."""

import dataclasses
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rdbench.analysis.measured import implausible
from rdbench.analysis.summary import median_known
from rdbench.curve import Curve
from rdbench.errors import Unavailable
from rdbench.files import replacing
from rdbench.metrics import METRICS
from rdbench.report.tables import csv_text
from rdbench.store import Store
from rdbench.types import Record, join_spec

if TYPE_CHECKING:
    import pandas as pd

_FIRST = ("codec", "spec", "dataset", "image", "width", "height", "n_bytes", "bpp", "estimated",
          *METRICS, "encode_s", "decode_s", "exact", "error", "flag")  # fmt: skip


def flat_row(record: Record) -> dict[str, Any]:
    """A record as one flat row: its fields, ``bpp``, every metric, provenance as JSON."""
    row = dataclasses.asdict(record)
    scores, weights = row.pop("scores"), row.pop("weights") or {}
    row |= {"curve": str(record.curve), "settings": join_spec("", record.settings)[1:]}
    row |= {"weights_kind": record.weights_kind, "weights": weights.get("configuration", "")}
    row["segments"] = json.dumps(row["segments"])
    row["provenance"] = json.dumps(row["provenance"], sort_keys=True)
    row |= {"bpp": record.bpp, "exact": record.exact}
    row |= {name: scores.get(name) for name in METRICS}
    row["flag"] = implausible(record.bpp, row["psnr_rgb"])
    return {name: row[name] for name in dict.fromkeys((*_FIRST, *row))}


def file_name(text: str) -> str:
    """``text`` with everything that file systems may not take made an underscore."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in text)


def file_names(keys: Iterable[tuple[str, ...]]) -> dict[tuple[str, ...], str]:
    """Return key -> file name: the parts of the key joined by hyphens; unique in any letter case.

    If several keys would get the same name, a key that needs no change keeps it. The start of
    their SHA-256 is appended to the names of the others.
    """
    plain = {key: file_name("-".join(key)) for key in keys}
    shared = Counter(name.casefold() for name in plain.values())
    names: dict[tuple[str, ...], str] = {}
    taken: set[str] = set()
    for key in sorted(plain, key=lambda key: (plain[key] != "-".join(key), key)):
        name = plain[key]
        unchanged = name == "-".join(key) and name.casefold() not in taken
        if not unchanged and shared[name.casefold()] > 1:
            digest = hashlib.sha256("\0".join(key).encode("utf-8", "surrogatepass")).hexdigest()
            name = f"{name}-{digest[:8]}"
        names[key] = name
        taken.add(name.casefold())
    return names


def load_records(folder: str | Path = "reports") -> "pd.DataFrame":
    """Return the records of a report folder, one row per image and operating point.

    Columns are those of the CSV export: the fields of `rdbench.Record`, one per metric, ``bpp`` in
    bits per pixel, ``flag``; segments and provenance as JSON. What was not measured is missing.

    Raises:
        DataError: the folder holds no records.
    """
    import pandas as pd

    with Store(folder, create=False) as store:
        return pd.DataFrame([flat_row(record) for record in store.records()])


def to_csv(records: Iterable[Record]) -> str:
    """A line of keys, then one line per record; what was not measured is empty."""
    return csv_text([flat_row(record) for record in records])


def to_json(records: Iterable[Record]) -> str:
    """An array of objects, segments and provenance nested."""
    rows = [
        {**dataclasses.asdict(r), "bpp": r.bpp, "curve": str(r.curve), "settings": dict(r.settings)}
        for r in records
    ]
    return json.dumps(rows, indent=1) + "\n"


def to_parquet(records: Iterable[Record], path: Path) -> None:
    """Write the rows of `flat_row` to a Parquet file.

    Raises:
        Unavailable: pyarrow, an optional dependency, is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise Unavailable(
            "Parquet export needs pyarrow: run `pip install 'rdbench[export]'`, or export to csv"
        ) from None

    table_of_records = pa.Table.from_pylist([flat_row(record) for record in records])
    with replacing(path) as partial:
        pq.write_table(table_of_records, partial)


def compressai_files(curves: Iterable[Curve], records: Iterable[Record]) -> dict[str, str]:
    """Complete curves in the JSON form of CompressAI's ``results`` folder.

    Returns:
        File name -> content: means of rate and scores, medians of the times in seconds.
    """
    times: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        if record.error is None:
            times[record.dataset, record.spec].append(record)
    complete = {(curve.dataset, curve.label): curve for curve in curves if len(curve.bpp)}
    names = file_names(complete)
    return {f"{names[key]}.json": _compressai(curve, times) for key, curve in complete.items()}


def _compressai(curve: Curve, by_point: Mapping[tuple[str, str], Sequence[Record]]) -> str:
    results: dict[str, list[float | None]] = {"bpp": curve.bpp.tolist()}
    for metric, name in (("psnr_rgb", "psnr-rgb"), ("ms_ssim", "ms-ssim-rgb")):
        if curve.has(metric):
            scores = curve.scores[metric]
            results[name] = [float(v) if np.isfinite(v) else None for v in scores]
    for column, name in (("encode_s", "encoding_time"), ("decode_s", "decoding_time")):
        results[name] = [
            median_known(getattr(r, column) for r in by_point[curve.dataset, spec])
            for spec in curve.specs
        ]
    measured = "estimated rate" if curve.estimated else "measured"
    description = f"{curve.dataset}, {curve.protocol.get('scored')}, {measured} by rdbench"
    body = {
        "name": curve.label,
        "description": description,
        "dataset_name": curve.dataset,
        "results": results,
    }
    return json.dumps(body, indent=2) + "\n"
