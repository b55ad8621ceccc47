"""Records -> one row an operating point: means over complete sets, medians of times, failures."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from statistics import fmean, median
from types import MappingProxyType
from typing import Any

from rdbench.analysis.measured import implausible
from rdbench.columns import BPP, CODEC, DATASET, FLAG, Column
from rdbench.metrics import METRICS
from rdbench.types import Record

POINTS = (
    DATASET,
    CODEC,
    Column("setting"),
    Column("n_measured", "images", template="{n_measured}/{n_images}"),
    BPP,
    *(metric.column for metric in METRICS.values()),
    Column("encode_s", "encode", "s", 4),
    Column("decode_s", "decode", "s", 4),
    FLAG,
    Column("scored"),
)
"""How people see the rows of `summarize`."""


def summarize(
    records: Iterable[Record],
    datasets: Mapping[str, Mapping[str, str]],
    scored: Mapping[str, str] = MappingProxyType({}),
) -> list[dict[str, Any]]:
    """One row for every data set and operating point.

    Args:
        records: verified and failed records.
        datasets: data set -> (image's name -> SHA-256), what makes a set complete.
        scored: fingerprint of a protocol -> what the rows say of it as ``scored``.

    Returns:
        Rows with ``dataset``, ``codec``, ``setting``, how many images were measured
        (``n_measured``) of how many (``n_images``), means of ``bpp`` and of every metric, medians
        of ``encode_s`` and ``decode_s``, ``exact``, whether all samples of all images came back,
        ``flag``, that they did or why the point cannot be believed, and ``scored``. A mean over an
        incomplete set is None, as is all that is not known. Points of one curve follow one another,
        lowest rate first.
    """

    def point(record: Record) -> tuple[Any, ...]:
        return (record.dataset, record.curve, record.protocol, record.spec, record.fingerprint)

    groups = [list(group) for _, group in groupby(sorted(records, key=point), key=point)]
    groups.sort(key=lambda group: (*point(group[0])[:3], sum(r.n_bytes or 0 for r in group)))
    return [_row(group, datasets) | {"scored": scored.get(group[0].protocol)} for group in groups]


def _row(group: Sequence[Record], datasets: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    first = group[0]
    wanted = list(datasets[first.dataset].values())  # equal files count as often as they are there
    by_file = {r.image_sha256: r for r in group if r.error is None}
    good = [by_file[sha256] for sha256 in wanted if sha256 in by_file]
    complete = len(good) == len(wanted)
    bpp = fmean(r.bpp or 0.0 for r in good) if complete else None
    scores = {name: _mean_score(good, name) if complete else None for name in METRICS}
    exact = all_exact(good)
    return {
        "dataset": first.dataset,
        "codec": first.codec,
        "setting": first.spec.removeprefix(first.codec).lstrip(":"),
        "n_measured": len(good),
        "n_images": len(wanted),
        "bpp": bpp,
        **scores,
        "encode_s": median_known(r.encode_s for r in good),
        "decode_s": median_known(r.decode_s for r in good),
        "exact": exact,
        "flag": "lossless" if exact else implausible(bpp, scores["psnr_rgb"]),
    }


def all_exact(records: Sequence[Record]) -> bool | None:
    """Whether all samples of all images came back; None where that is not known of them all."""
    known = [r.exact for r in records]
    return None if not known or None in known else all(known)


def _mean_score(records: Sequence[Record], metric: str) -> float | None:
    values = [r.scores.get(metric) for r in records]
    known = [v for v in values if v is not None]
    return fmean(known) if len(known) == len(values) else None


def median_known(values: Iterable[float | None]) -> float | None:
    """Median of the values that are not None; None where there are none."""
    known = [v for v in values if v is not None]
    return median(known) if known else None
