"""The content of the page as JSON. All figures come from the functions that the other commands use,
so that the page agrees with them to the last digit.

On a data set a curve has a key: its label, with the source behind it where a measured and a
published curve share one. Everything else names curves by their keys. What was not measured is
null.
"""

import dataclasses
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import chain, permutations
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from rdbench.analysis.bd import BdRate, bd_rate
from rdbench.analysis.board import with_facts
from rdbench.analysis.complexity import complexity
from rdbench.analysis.large import MOST_IMAGES, large_curves
from rdbench.analysis.latents import latent_rows
from rdbench.analysis.measured import measured_curves, notes_on
from rdbench.analysis.selection import anchors_of, is_own
from rdbench.curve import Curve, is_in_db, quality_title, to_quality
from rdbench.decibel import FloatArray
from rdbench.errors import DataError, RdbenchError, UsageError
from rdbench.metrics import METRICS
from rdbench.published import facts, list_curves
from rdbench.report.plots import LANDMARKS
from rdbench.store import Point, Store, no_records
from rdbench.timing import Timing
from rdbench.types import CurveKey, Record

Json = dict[str, Any]
_Group = tuple[str, CurveKey | None, str]
_Behind = tuple[Sequence[Record], Mapping[str, "Calls"]]

LEFT_OUT = (
    f"This page shows means alone, because the data set has more than {MOST_IMAGES} images: scores "
    "and BD-rates per image, confidence intervals, rate per latent, and images are left out, and "
    "failed images are counted, not listed."
)
"""What the page says of a large data set."""


@dataclass(frozen=True)
class Comparison:
    """The curves on one data set.

    Attributes:
        images: image's name -> SHA-256.
        curves: key -> curve; measured ones first, then imported, then published.
        records: key of a measured curve -> its records, including failed ones. Of a large data set
            these are a few of each run.
        calls: key of a measured curve -> operating point -> its times.
        anchor: key of the anchor that was asked for; None for none, or none on this data set.
    """

    dataset: str
    images: Mapping[str, str]
    curves: Mapping[str, Curve]
    records: Mapping[str, Sequence[Record]]
    calls: Mapping[str, Mapping[str, "Calls"]]
    anchor: str | None = None

    @property
    def large(self) -> bool:
        """Whether the page shows means alone."""
        return len(self.images) > MOST_IMAGES

    def may_anchor(self, key: str) -> bool:
        """Whether the page offers a curve as the anchor."""
        return key == self.anchor or may_anchor(self.curves[key])

    def is_shown_by_default(self, key: str) -> bool:
        """Whether the page shows a curve until people choose: own ones, landmarks, the anchor."""
        return is_own(self.curves[key]) or key in (*LANDMARKS, self.anchor)


class Calls(NamedTuple):
    """Verified calls of encode and decode in columns; None where a time is not known."""

    n_pixels: Sequence[int]
    timed_alone: Sequence[int]
    encode_s: Sequence[float | None]
    decode_s: Sequence[float | None]


_NO_CALLS = Calls((), (), (), ())


def comparisons(
    store: Store,
    imported: Iterable[Curve] = (),
    wanted: Callable[[Curve], bool] = lambda curve: True,
    anchor: str = "",
) -> list[Comparison]:
    """Return the measured curves of a report folder, with imported and published ones.

    Args:
        imported: curves from files; those on other data sets are left out.
        wanted: whether a curve is shown.
        anchor: name of the anchor, which is shown in any case; "" for none in particular.

    Raises:
        DataError: the folder holds no records.
        UsageError: no curve and no codec has the anchor's name.
    """
    datasets, protocols = store.datasets(), store.protocols()
    large = {name for name, images in datasets.items() if len(images) > MOST_IMAGES}
    behind: dict[_Group, _Behind] = {}
    measured: list[Curve] = []
    for name in large:
        for curve, points in large_curves(store, name, datasets[name], protocols):
            # Without the scores of each image, which the page has no room for.
            measured.append(dataclasses.replace(curve, per_image=None))
            records = [record for point in points for record in point.records]
            behind[_group(curve)] = records, {p.records[0].spec: _point_calls(p) for p in points}
    small = [name for name in store.measured_datasets() if name not in large]
    every = [record for name in small for record in store.records(dataset=name)]
    groups: dict[_Group, list[Record]] = defaultdict(list)
    for record in every:
        groups[record.dataset, record.curve, record.protocol].append(record)
    behind |= {group: (records, _calls(records)) for group, records in groups.items()}
    if not behind:
        raise no_records(store.folder)
    measured += measured_curves(every, datasets, protocols)
    shown = [*map(with_facts, measured), *imported, *list_curves()]
    anchors = (
        {name: best for name, (best, *_) in anchors_of(shown, anchor).items()} if anchor else {}
    )
    found = []
    for dataset, images in datasets.items():
        curves: dict[str, Curve] = {}
        anchor_key = None
        for curve in shown:
            is_anchor = curve is anchors.get(dataset)
            if curve.dataset == dataset and (is_anchor or wanted(curve)):
                key = _key(curve, curves)
                curves[key] = _aligned(curve, list(images))
                anchor_key = key if is_anchor else anchor_key
        own = {key: behind[_group(c)] for key, c in curves.items() if c.source == "measured"}
        if own:
            records_of = {key: records for key, (records, _) in own.items()}
            calls_of = {key: calls for key, (_, calls) in own.items()}
            found.append(Comparison(dataset, images, curves, records_of, calls_of, anchor_key))
    return found


def _group(curve: Curve) -> _Group:
    """What the records of a measured curve share."""
    return curve.dataset, curve.key, curve.protocol["fingerprint"]


def _point_calls(point: Point) -> Calls:
    return Calls(point.n_pixels, point.timed_alone, point.encode_s, point.decode_s)


def _calls(records: Iterable[Record]) -> dict[str, Calls]:
    """Times of each operating point."""
    by_spec: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if record.error is None:
            by_spec[record.spec].append(record)
    return {
        spec: Calls(
            [r.width * r.height for r in group],
            [r.timed_alone for r in group],
            [r.encode_s for r in group],
            [r.decode_s for r in group],
        )
        for spec, group in by_spec.items()
    }


def _aligned(curve: Curve, images: Sequence[str]) -> Curve:
    """A curve whose scores of each image, if it has them, are in the order of the page."""
    if (table := curve.per_image) is None or list(table.images) == images:
        return curve
    return dataclasses.replace(curve, per_image=table.ordered(images))


def metrics_of(curves: Iterable[Curve]) -> list[str]:
    """Metrics that any of the curves has, in the order of all tables."""
    curves = list(curves)
    return [metric for metric in METRICS if any(curve.has(metric) for curve in curves)]


def _own(curves: Iterable[Curve]) -> Iterator[Curve]:
    """Your own curves: the page shows the metrics that they have."""
    return (curve for curve in curves if curve.source != "published")


def metrics_json(found: Iterable[Comparison]) -> list[Json]:
    """What the page calls each metric: its key, its name, its unit and the title of its axis."""
    every = [curve for comparison in found for curve in _own(comparison.curves.values())]
    return [
        {
            "key": metric,
            "name": quality_title(metric).partition(" (")[0],
            "unit": "dB" if is_in_db(metric) else "",
            "axis": quality_title(metric),
        }
        for metric in metrics_of(every)
    ]


def _key(curve: Curve, taken: Iterable[str]) -> str:
    """A name that no other curve of the data set has."""
    names = [curve.label, f"{curve.label} ({curve.source})"]
    names += [f"{names[1]} {number}" for number in range(2, 100)]
    return next(name for name in names if name not in taken)


def comparison_json(
    comparison: Comparison,
    timings: Iterable[Timing] = (),
    costs: Mapping[str, Json] = MappingProxyType({}),
    on_progress: Callable[[int, int], None] = lambda done, n: None,
) -> Json:
    """All that the page says of one data set but its images.

    Args:
        timings: times taken alone, on any data set.
        costs: key of a curve -> what its codec costs; see `costs_of`.
    """
    by_file = {
        r.image_sha256: r.width * r.height for group in comparison.records.values() for r in group
    }
    known = comparison.images.values()
    sizes = np.array([by_file.get(sha256, np.nan) for sha256 in known], np.float64)
    curves = [
        _curve(key, curve, comparison.records.get(key, ()), sizes)
        | _point_times(curve, comparison.calls.get(key))
        | {
            "complexity": costs.get(key, curve.complexity),
            "may_anchor": comparison.may_anchor(key),
            "shown_by_default": comparison.is_shown_by_default(key),
        }
        for key, curve in comparison.curves.items()
    ]
    return {
        "name": comparison.dataset,
        "n_images": len(comparison.images),
        "left_out": LEFT_OUT if comparison.large else None,
        "images": [] if comparison.large else list(comparison.images),
        "pixels": [] if comparison.large else _rounded(sizes, 0),
        "curves": curves,
        "anchor": comparison.anchor,
        "bd_rates": bd_rates(comparison, on_progress),
        "latents": _latents(comparison),
        "timings": [_timing(t, comparison) for t in timings if t.dataset == comparison.dataset],
    }


def _timing(timing: Timing, comparison: Comparison) -> Json:
    """A timing, with the key of the measured curve that it belongs to, or None."""
    curve = timing.curve
    keys = [key for key, c in comparison.curves.items() if curve and c.key == curve]
    body = dataclasses.asdict(timing) | {"busy": timing.busy, "label": timing.label}
    return body | {"key": next(iter(keys), None), "on": timing.on}


def costs_of(
    store: Store,
    comparison: Comparison,
    on_progress: Callable[[int, int], None] = lambda done, n: None,
) -> dict[str, Json]:
    """What the codecs of measured curves cost, counted at the highest rate and kept in the folder.

    A codec without a network, or that is not available, has no entry.
    """
    known = store.results("cost")
    measured = [c for c in comparison.curves.items() if c[1].source == "measured" and c[1].specs]
    found = {}
    for done, (key, curve) in enumerate(measured):
        on_progress(done, len(measured))
        behind = comparison.records[key]
        record = next(r for r in behind if r.spec == curve.specs[-1] and r.error is None)
        name = (record.spec, record.fingerprint, version("rdbench"))
        cost = known.get(name)
        if cost is None:
            try:
                codec = store.codec_of(record.codec, record.spec, record.fingerprint)
                cost = complexity(codec).row()
            except RdbenchError:
                continue
            if not store.read_only:
                store.put_result("cost", name, cost)
        found[key] = cost
    return found


def _curve(key: str, curve: Curve, records: Sequence[Record], pixels: FloatArray) -> Json:
    table = curve.per_image
    metrics = metrics_of([curve])
    per_image = table and {
        "bpp": _rounded(table.bpp, 5),
        "quality": {m: _rounded(table.quality_db(m), 3 if is_in_db(m) else 5) for m in metrics},
    }
    return {
        "key": key,
        "codec": curve.codec,
        "source": curve.source,
        "year": curve.year,
        "kind": curve.kind or None,
        "variable_rate": curve.variable_rate,
        "rate_parameter": curve.rate_parameter,
        "rate_values": list(curve.rate_values),
        "specs": list(curve.specs),
        "bpp": _rounded(curve.bpp, 6),
        "quality": {m: _rounded(to_quality(m, curve.scores[m]), 5) for m in metrics},
        "n_bytes": None if table is None else (table.bpp * pixels / 8).mean(axis=1).tolist(),
        "per_image": per_image,
        "weights": sorted({r.fingerprint for r in records if r.fingerprint}),
        "notes": [{"kind": a.kind, "message": a.message} for a in notes_on(curve)],
        "provenance": {**curve.provenance, "curve": str(curve.key or ""), **_made_by(records)},
        "protocol": dict(curve.protocol),
    }


def _rounded(values: FloatArray, digits: int) -> list[Any]:
    """Nested lists of numbers; null for what is not finite."""
    rounded = np.round(values, digits).astype(object)
    rounded[~np.isfinite(values)] = None
    return list(rounded.tolist())


def _point_times(curve: Curve, calls: Mapping[str, Calls] | None) -> Json:
    """Times of a curve, None where it was not measured, and of each of its points."""
    known = calls or {}
    return {
        "times": None if calls is None else times_of(*calls.values()),
        "point_times": [times_of(known.get(spec, _NO_CALLS)) for spec in curve.specs],
    }


def times_of(*calls: Calls) -> Json:
    """Median and quartiles over all images and rates, in seconds."""
    n = sum(len(c.n_pixels) for c in calls)
    return {
        "n": n,
        "alone": sum(map(int, chain.from_iterable(c.timed_alone for c in calls))),
        "encode_s": _quartiles(chain.from_iterable(c.encode_s for c in calls)),
        "decode_s": _quartiles(chain.from_iterable(c.decode_s for c in calls)),
        "megapixels": sum(sum(c.n_pixels) for c in calls) / 1e6 / n if n else None,
    }


def _quartiles(values: Iterable[float | None]) -> list[float] | None:
    """First quartile, median, third quartile; None where nothing is known."""
    known = [v for v in values if v is not None]
    return [float(v) for v in np.quantile(known, (0.25, 0.5, 0.75))] if known else None


def _made_by(records: Sequence[Record]) -> Json:
    """The distinct runs behind a curve: versions, machine, command, and the days they took."""
    if not records:
        return {}
    runs = list({json.dumps(r.provenance): r.provenance for r in records}.values())
    days = sorted(r.created for r in records)
    failed = [r for r in records if r.error is not None]
    return {
        "runs": runs,
        "first": days[0],
        "last": days[-1],
        "failed": [{"spec": r.spec, "image": r.image, "error": r.error} for r in failed],
    }


def may_anchor(curve: Curve) -> bool:
    """Whether the page offers a curve as the anchor: your own, reference encoders, landmarks.

    Of the other published curves there are too many to compare each with each.
    """
    is_reference = "anchor" in facts(curve.codec) or curve.codec in LANDMARKS
    return curve.source != "published" or is_reference


def bd_rates(
    comparison: Comparison, on_progress: Callable[[int, int], None] = lambda done, n: None
) -> Json:
    """BD-rates of every curve against every one that may be the anchor.

    Returns:
        metric -> anchor's key -> test's key -> the figure, or ``{"error": why there is none}``.
    """
    curves = comparison.curves
    metrics = metrics_of(_own(curves.values()))
    pairs = [
        (metric, anchor, test)
        for metric in metrics
        for anchor, test in permutations([k for k in curves if curves[k].has(metric)], 2)
        if comparison.may_anchor(anchor)
    ]
    found: Json = {metric: defaultdict(dict) for metric in metrics}
    for done, (metric, anchor, test) in enumerate(pairs):
        try:
            found[metric][anchor][test] = _bd_row(bd_rate(curves[anchor], curves[test], metric))
        except (DataError, UsageError) as error:
            found[metric][anchor][test] = {"error": str(error)}
        on_progress(done + 1, len(pairs))
    return found


def _bd_row(result: BdRate) -> Json:
    return {
        "bd_rate": result.bd_rate_percent,
        "ci": None if result.ci_low is None else [result.ci_low, result.ci_high],
        "overlap": [result.overlap.low, result.overlap.high, result.overlap.of_union],
        "points": [result.n_points, result.n_anchor_points],
        "wins": len(result.wins) if result.per_image else None,
        "losses": len(result.losses) if result.per_image else None,
        "per_image": [None if v is None else round(v, 3) for _, v in result.per_image],
        "warnings": list(result.warnings),
    }


def _latents(comparison: Comparison) -> list[Json]:
    """Rate by latent, an entry for each curve that tells it: a row a rate, a column a segment."""
    found = []
    for key, records in comparison.records.items():
        rows = latent_rows(records, {comparison.dataset: comparison.images})
        if not rows:
            continue
        points: dict[float | None, list[Json]] = defaultdict(list)
        for row in rows:
            points[row["rate_value"]].append(row)
        columns = {
            name: [[row[name] for row in point] for point in points.values()]
            for name in ("segment", "bpp", "ideal_bpp", "percent")
        }
        segments = columns.pop("segment")[0]
        found.append({"key": key, "segments": segments, "rate_values": list(points), **columns})
    return found
