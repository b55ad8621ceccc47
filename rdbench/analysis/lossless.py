"""Lossless coding: rate and speed of the points at which every sample of every image came back."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from statistics import fmean
from typing import Any

from rdbench.analysis.summary import all_exact
from rdbench.columns import BPP, CODEC, DATASET, Column
from rdbench.types import Record

LOSSLESS = (
    DATASET,
    CODEC,
    Column("setting"),
    Column("n_exact", "exact", template="{n_exact}/{n_images}"),
    BPP,
    Column("ratio", digits=3),
    Column("encode_megapixels_per_s", "encode", "MP/s", 2),
    Column("decode_megapixels_per_s", "decode", "MP/s", 2),
    Column("timed_alone", "timed alone"),
)
"""How people see the rows of `lossless_rows`."""


def lossless_rows(
    records: Iterable[Record], datasets: Mapping[str, Mapping[str, str]]
) -> list[dict[str, Any]]:
    """One row for every data set and operating point that was exact on all images measured.

    Estimated rates are left out: no file was written that could be exact.

    Args:
        records: verified and failed records.
        datasets: data set -> (image's name -> SHA-256), what makes a set complete.

    Returns:
        Rows with ``dataset``, ``codec``, ``setting``, how many images came back exactly
        (``n_exact``) of how many (``n_images``), the mean of ``bpp``, ``ratio`` (bytes of the
        pixels over bytes of the files, all images together), megapixels per second of encoding and
        decoding (pixels over seconds, all images together), and ``timed_alone``, whether nothing
        else of the sweep ran meanwhile. The lowest rate of a data set comes first. What was not
        measured on all images is None, and comes last.
    """

    def point(record: Record) -> tuple[str, ...]:
        return record.dataset, record.spec, record.fingerprint, record.protocol

    rows = [
        _row(good, datasets[good[0].dataset])
        for _, group in groupby(sorted(records, key=point), key=point)
        if all_exact(good := [r for r in group if r.error is None and not r.estimated])
    ]
    return sorted(rows, key=lambda row: (row["dataset"], row["bpp"] is None, row["bpp"] or 0.0))


def _row(records: Sequence[Record], images: Mapping[str, str]) -> dict[str, Any]:
    first = records[0]
    by_file = {r.image_sha256: r for r in records}
    good = [by_file[sha256] for sha256 in images.values() if sha256 in by_file]
    complete = len(good) == len(images)
    n_bytes = sum(r.n_bytes or 0 for r in good)
    n_pixels = sum(r.width * r.height for r in good)
    return {
        "dataset": first.dataset,
        "codec": first.codec,
        "setting": first.spec.removeprefix(first.codec).lstrip(":"),
        "n_exact": len(good),
        "n_images": len(images),
        "bpp": fmean(r.bpp or 0.0 for r in good) if complete else None,
        "ratio": 3 * n_pixels / n_bytes if complete else None,
        "encode_megapixels_per_s": _speed(n_pixels, [r.encode_s for r in good]),
        "decode_megapixels_per_s": _speed(n_pixels, [r.decode_s for r in good]),
        "timed_alone": all(r.timed_alone for r in good),
    }


def _speed(n_pixels: int, seconds: Sequence[float | None]) -> float | None:
    """Megapixels per second; None where a time was not measured."""
    known = [s for s in seconds if s is not None]
    return n_pixels / sum(known) / 1e6 if known and len(known) == len(seconds) else None
