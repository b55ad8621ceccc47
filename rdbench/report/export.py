"""Records and curves in the forms that other programs read."""

import csv
import dataclasses
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rdbench.analysis.curves import Curve
from rdbench.errors import UsageError
from rdbench.types import Record


def flat_row(record: Record) -> dict[str, Any]:
    """A record as one flat row: its columns, ``bpp``, a column a score, provenance as JSON."""
    row = dataclasses.asdict(record)
    scores = row.pop("scores")
    row["segments"] = json.dumps(row["segments"])
    row["provenance"] = json.dumps(row["provenance"], sort_keys=True)
    row |= {"bpp": record.bpp, "psnr_rgb": None, "ms_ssim": None, **scores}
    first = ("codec", "spec", "dataset", "image", "width", "height", "n_bytes", "bpp",
             "psnr_rgb", "ms_ssim", "encode_s", "decode_s", "error")  # fmt: skip
    return {name: row[name] for name in (*first, *(n for n in row if n not in first))}


def flat_rows(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Rows of ``records``, all with the same columns."""
    rows = [flat_row(record) for record in records]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return [{name: row.get(name) for name in columns} for row in rows]


def to_csv(records: Iterable[Record]) -> str:
    """One line a record behind a line of column names; what was not measured is empty."""
    rows = flat_rows(records)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else list(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def to_json(records: Iterable[Record]) -> str:
    """An array of objects, segments and provenance nested."""
    rows = [{**dataclasses.asdict(r), "bpp": r.bpp} for r in records]
    return json.dumps(rows, indent=1) + "\n"


def to_parquet(records: Iterable[Record], path: Path) -> None:
    """A Parquet file of the rows of ``flat_rows``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(flat_rows(records)), path)


def to_compressai(curve: Curve, times: Sequence[tuple[float | None, float | None]]) -> str:
    """A curve in the JSON form of CompressAI's ``results`` folder.

    Args:
        curve: means over a complete data set.
        times: median (encode_s, decode_s) of each point.
    """
    results: dict[str, list[float | None]] = {"bpp": list(curve.bpp)}
    for metric, name in (("psnr_rgb", "psnr-rgb"), ("ms_ssim", "ms-ssim-rgb")):
        if metric in curve.distortion:
            results[name] = list(curve.distortion[metric])
    results["encoding_time"] = [encode_s for encode_s, _ in times]
    results["decoding_time"] = [decode_s for _, decode_s in times]
    body = {"name": curve.label, "description": f"{curve.dataset}, rdbench", "results": results}
    return json.dumps(body, indent=2) + "\n"


def refuse_unknown_format(name: str, known: Iterable[str]) -> None:
    """Raise UsageError unless ``name`` is one of ``known``."""
    if name not in known:
        raise UsageError(f"--format is one of {', '.join(known)}, not {name!r}")
