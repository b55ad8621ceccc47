"""Rate by latent: how a codec spends its bits, coded and ideal (QARV, Figure 16)."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from rdbench.analysis.measured import operating_points
from rdbench.columns import Column, Row, side_by_side
from rdbench.types import Record, with_weights


def latent_rows(
    records: Iterable[Record], datasets: Mapping[str, Mapping[str, str]]
) -> list[dict[str, Any]]:
    """One row for every data set, curve, operating point and segment.

    Args:
        records: those without segments or of incomplete points give no row.
        datasets: data set -> (image's name -> SHA-256).

    Returns:
        Rows with ``dataset``, ``curve``, ``rate_parameter``, ``rate_value``, ``segment``, ``bpp``
        (coded, mean over the images), ``ideal_bpp`` (None for what is not entropy-coded),
        ``percent`` of the whole rate, ``total_bpp``; by rate, segments in file order.
    """
    points = complete_points((r for r in records if r.segments), datasets)
    return [row for point in points for row in _point_rows(point)]


def by_point(rows: Sequence[Row]) -> tuple[list[Column], list[Row]]:
    """Columns and rows of `latent_rows` for people, a row for each operating point.

    Rates have the five digits of QVRF's Table R1, where z is the side information.
    """
    name = rows[0]["rate_parameter"] or "rate"
    index = [
        Column("curve", "codec"),
        Column("rate_value", name, template="{rate_value:g}"),
        Column("total_bpp", "total", "bpp", 5),
    ]
    columns, wide = side_by_side(rows, index, "segment", Column("bpp", unit="bpp", digits=5))
    return [*index, *columns], wide


def complete_points(
    records: Iterable[Record], datasets: Mapping[str, Mapping[str, str]]
) -> list[list[Record]]:
    """Verified records, a list for each operating point that has all images of its data set.

    Returns:
        Points by data set, curve and rate parameter.
    """

    def place(point: list[Record]) -> tuple[Any, ...]:
        r = point[0]
        return (r.dataset, r.curve, r.rate_value or 0.0, r.spec, r.protocol, r.fingerprint)

    points = operating_points(records, datasets)
    complete = [p for _, p in points if p and len(p) == len(datasets[p[0].dataset])]
    return sorted(complete, key=place)


def _point_rows(records: list[Record]) -> list[dict[str, Any]]:
    first = records[0]
    total_bpp = fmean(r.bpp or 0.0 for r in records)
    rows = []
    for number, segment in enumerate(first.segments):
        parts = [(r.segments[number], r.width * r.height) for r in records]
        ideal = [None if s.ideal_bits is None else s.ideal_bits / n for s, n in parts]
        bpp = fmean(8 * s.n_bytes / n for s, n in parts)
        rows.append(
            {
                "dataset": first.dataset,
                "curve": with_weights(str(first.curve), "", first.estimated),
                "rate_parameter": first.rate_parameter,
                "rate_value": first.rate_value,
                "segment": segment.name,
                "bpp": bpp,
                "ideal_bpp": None if None in ideal else fmean(v for v in ideal if v is not None),
                "percent": 100 * bpp / total_bpp,
                "total_bpp": total_bpp,
            }
        )
    return rows
