"""Find the bytes of a file that the codec's own model of the latents does not need.

An audit compares coded with ideal bits, counts headers and bytes that belong to no segment, and
reports what a decoder needs in addition to the file. To find the latter, it decodes a kept file
with another value of the rate parameter. If the result differs, or decoding fails, the decoder
depends on something that the file does not contain.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from rdbench.analysis.latents import complete_points, latent_rows
from rdbench.columns import CODEC, DATASET, FLAG, Column
from rdbench.errors import DataError, RdbenchError
from rdbench.published import list_curves
from rdbench.store import Store
from rdbench.types import Codec, CurveKey, Record

TOLERANCE, TOLERANCE_BYTES = 0.005, 64
"""Overhead that a good entropy coder may have: a fraction of the ideal, and bytes per image."""

# Rates of parts of a file need more digits than those of files.
_PARTS = (
    Column("coded_bpp", "coded", "bpp", 5),
    Column("ideal_bpp", "ideal", "bpp", 5),
    Column("overhead_percent", "overhead", "%", 3, signed=True),
)
AUDITS = (
    DATASET,
    CODEC,
    Column("rate", "setting"),
    Column("header_bytes", "headers", "bytes", 1),
    Column("header_percent", "headers", "%", 3),
    *_PARTS,
    FLAG,
)
"""How people see `Audit.row`."""

SEGMENTS = (
    Column("curve", "codec"),
    Column("rate_value", "rate parameter", template="{rate_value:g}"),
    Column("segment"),
    *_PARTS,
)
"""How people see the rows of `segment_rows`."""


@dataclass(frozen=True, slots=True)
class Audit:
    """One operating point of a codec on a data set, means over the images.

    Attributes:
        curve: settings without the rate, and the weights.
        rate: the setting that gives the rate, as in a spec.
        header_bytes: of the segment ``header``; None where the codec tells no segments.
        unaccounted_bytes: of the file, in no segment; None as above.
        coded_bpp, ideal_bpp: of the segments that are entropy-coded; None where there are none.
    """

    codec: str
    dataset: str
    curve: CurveKey
    rate: str
    bpp: float
    header_bytes: float | None
    unaccounted_bytes: float | None
    coded_bpp: float | None
    ideal_bpp: float | None
    n_pixels: float
    not_in_file: str | None
    problems: tuple[str, ...] = ()

    @property
    def overhead_percent(self) -> float | None:
        """What coding takes beyond the ideal, in percent of it."""
        if self.coded_bpp is None or not self.ideal_bpp:
            return None
        return 100 * (self.coded_bpp / self.ideal_bpp - 1)

    @property
    def flag(self) -> str | None:
        """What is not as it should be, or None."""
        found = [self.not_in_file] if self.not_in_file else []
        if self.problems:
            found.append(f"{len(self.problems)} not checked")
        if self.unaccounted_bytes:
            found.append(f"{self.unaccounted_bytes:.0f} bytes in no segment")
        if self.coded_bpp is not None and self.ideal_bpp is not None:
            allowed = (1 + TOLERANCE) * self.ideal_bpp + 8 * TOLERANCE_BYTES / self.n_pixels
            if self.coded_bpp > allowed:
                found.append(f"over ideal by more than {TOLERANCE:.1%} + {TOLERANCE_BYTES} bytes")
        return "; ".join(found) or None

    def row(self) -> dict[str, Any]:
        """One row of a table; see AUDITS."""
        header = None if self.header_bytes is None else 8 * self.header_bytes / self.n_pixels
        return dataclasses.asdict(self) | {
            "header_percent": None if header is None else 100 * header / self.bpp,
            "overhead_percent": self.overhead_percent,
            "flag": self.flag,
        }


def audit(
    folder: str | Path, on_progress: Callable[[int, int], None] = lambda done, n: None
) -> list[Audit]:
    """Audit every complete operating point of a report folder.

    Args:
        folder: the report folder; all bitstreams are read, one of each curve is decoded.

    Raises:
        DataError: there are no records.
    """
    with Store(folder, create=False) as store:
        points = complete_points(store.records(), store.datasets())
        curves = dict.fromkeys((point[0].dataset, point[0].curve) for point in points)
        lacking: dict[tuple[str, CurveKey], str | None] = {}
        found = []
        for records in points:
            curve, problems = (records[0].dataset, records[0].curve), _unreadable(store, records)
            if curve not in lacking:
                on_progress(len(lacking), len(curves))
                lacking[curve] = None
                try:
                    lacking[curve] = not_in_file(store, records)
                except RdbenchError as error:
                    problems.append(f"{records[0].spec}: {error}")
            found.append(_audit(records, lacking[curve], tuple(dict.fromkeys(problems))))
        return found


def _unreadable(store: Store, records: Iterable[Record]) -> list[str]:
    """A line for each bitstream that is missing or damaged."""
    found = []
    for record in records:
        try:
            store.bitstream(record.bitstream_sha256)
        except DataError as error:
            found.append(f"{record.spec} on {record.image}: {error}")
    return found


def _audit(records: Sequence[Record], not_in_file: str | None, problems: tuple[str, ...]) -> Audit:
    first = records[0]
    told = all(r.segments for r in records)
    coded = [[s for s in r.segments if s.ideal_bits is not None] for r in records]
    n_pixels = [r.width * r.height for r in records]
    header = [sum(s.n_bytes for s in r.segments if s.name == "header") for r in records]
    spare = [(r.n_bytes or 0) - sum(s.n_bytes for s in r.segments) for r in records]
    rates = [
        (8 * sum(s.n_bytes for s in c) / n, sum(s.ideal_bits or 0.0 for s in c) / n)
        for c, n in zip(coded, n_pixels, strict=True)
    ]
    means = [fmean(column) if coded[0] else None for column in zip(*rates, strict=True)]
    return Audit(
        codec=first.codec,
        dataset=first.dataset,
        curve=first.curve,
        rate="" if first.rate_value is None else f"{first.rate_parameter}={first.rate_value:g}",
        bpp=fmean(r.bpp or 0.0 for r in records),
        header_bytes=fmean(header) if told else None,
        unaccounted_bytes=fmean(spare) if told else None,
        coded_bpp=means[0],
        ideal_bpp=means[1],
        n_pixels=fmean(n_pixels),
        not_in_file=not_in_file,
        problems=problems,
    )


def not_in_file(store: Store, records: Sequence[Record]) -> str | None:
    """Return what a decoder needs in addition to the file of an operating point, or None.

    The file of the smallest image is decoded by the operating point itself, and by the codec at
    another rate.
    """
    record = min(records, key=lambda r: r.width * r.height)
    if record.estimated:
        return "the rate is an estimate; there is no file"
    codec = store.codec_of(record.codec, record.spec, record.fingerprint)
    other = _at_another_rate(codec)
    if other is None:
        return None
    if not codec.variable_rate:
        return f"{record.rate_parameter}: a model for each rate"
    data = store.bitstream(record.bitstream_sha256)
    expected = codec.decode(data)
    try:
        same = np.array_equal(expected, other.decode(data))
    except RdbenchError:
        same = False
    return None if same else f"the file does not carry {record.rate_parameter}"


def _at_another_rate(codec: Codec) -> Codec | None:
    """The codec with another value of its rate parameter; None where it has no other."""
    for name in codec.rate_parameters:
        value = getattr(codec, name)
        if value is not None:
            others = [v for v in codec.ladder_values if v != value]
            return dataclasses.replace(codec, **{name: others[0]}) if others else None  # type: ignore[type-var]
    return None


def segment_rows(
    records: Iterable[Record], datasets: Mapping[str, Mapping[str, str]]
) -> list[dict[str, Any]]:
    """Coded and ideal rate of every segment, see SEGMENTS: rows of `latent_rows`, and more."""
    rows = latent_rows(records, datasets)
    for row in rows:
        coded, ideal = row.pop("bpp"), row["ideal_bpp"]
        overhead = 100 * (coded / ideal - 1) if ideal else None
        row |= {"coded_bpp": coded, "overhead_percent": overhead}
    return rows


def published_gaps(datasets: Iterable[str]) -> list[dict[str, Any]]:
    """Published curves on these data sets whose rate leaves something out, and what."""
    wanted = set(datasets)
    return [
        {"dataset": curve.dataset, "codec": curve.codec, "rate": curve.protocol["rate"]}
        for curve in list_curves()
        if curve.dataset in wanted
        and any(text in curve.protocol.get("rate", "") for text in ("no header", "not counted"))
    ]
