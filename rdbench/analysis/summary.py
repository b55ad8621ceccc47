"""Records -> one row an operating point: means over complete sets, medians of times, failures."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from types import MappingProxyType
from typing import Any

from rdbench.analysis.measured import implausible, operating_points
from rdbench.columns import BPP, CODEC, DATASET, FLAG, Column
from rdbench.decibel import mean_of_all
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
        datasets: data set -> (image's name -> SHA-256), what makes a set complete.
        scored: fingerprint of a protocol -> what the rows say of it as ``scored``.

    Returns:
        Rows with ``dataset``, ``codec``, ``setting``, how many images were measured
        (``n_measured``) of how many (``n_images``), means of ``bpp`` and of every metric, medians
        of ``encode_s`` and ``decode_s``, ``exact``, whether all samples of all images came back,
        ``flag``, that they did, that the rate is an estimate, or why the point cannot be believed,
        and ``scored``. A mean over an
        incomplete set is None, as is all that is not known. Points of one curve follow one another,
        lowest rate first.
    """
    rows = []
    for group, good in operating_points(records, datasets):
        first, n_bytes = group[0], sum(r.n_bytes or 0 for r in group)
        row = _row(first, good, len(datasets[first.dataset]))
        row["scored"] = scored.get(first.protocol)
        rows.append(((first.dataset, first.curve, first.protocol, n_bytes), row))
    return [row for _, row in sorted(rows, key=lambda entry: entry[0])]


def _row(first: Record, good: Sequence[Record], n_images: int) -> dict[str, Any]:
    complete = good if len(good) == n_images else []
    means = {name: mean_of_all(r.scores.get(name) for r in complete) for name in METRICS}
    means = {"bpp": mean_of_all(r.bpp for r in complete), **means}
    exact = all_exact(good)
    flags = (
        "estimated rate" if first.estimated else None,
        implausible(means["bpp"], means["psnr_rgb"]) or ("lossless" if exact else None),
    )
    return {
        "dataset": first.dataset,
        "codec": first.codec,
        "setting": first.spec.removeprefix(first.codec).lstrip(":"),
        "n_measured": len(good),
        "n_images": n_images,
        **means,
        "encode_s": median_known(r.encode_s for r in good),
        "decode_s": median_known(r.decode_s for r in good),
        "exact": exact,
        "flag": "; ".join(filter(None, flags)) or None,
    }


def all_exact(records: Sequence[Record]) -> bool | None:
    """Whether all samples of all images came back; None where that is not known of them all."""
    known = [r.exact for r in records]
    return None if not known or None in known else all(known)


def median_known(values: Iterable[float | None]) -> float | None:
    """Median of the values that are not None; None where there are none."""
    known = [v for v in values if v is not None]
    return median(known) if known else None
