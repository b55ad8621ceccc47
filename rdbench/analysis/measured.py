"""Curves from records, and what is wrong with a curve."""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from rdbench.curve import ESTIMATED, Curve, Note, PerImage, is_in_db
from rdbench.errors import DataError
from rdbench.metrics import METRICS
from rdbench.types import CurveKey, Record, WeightsKind, join_spec, with_weights

MIN_POINTS = 4
MAX_BPP = 24.0
HIGH_PSNR_DB = 60.0
LOW_BPP = 0.1

WEIGHTS_NOTES: Mapping[WeightsKind, str] = {
    "random": "random weights: sizes and times are right, images are noise",
    "reduced": "a reduced network, not the published one",
    "other": "not the published weights",
}
"""What a curve says of weights that are not the published ones."""

LOSSLESS = Note(
    "lossless", "lossless: no BD-rate; `rdbench tables --table lossless` shows rates and speeds"
)

_KINDS: tuple[WeightsKind, ...] = ("random", "reduced", "other", "published", "")
"""What a curve of several kinds of weights is: the first of them."""


def notes_on(curve: Curve) -> list[Note]:
    """What makes a curve hard to believe or unfit to compare; every output shows it."""
    found = [*([ESTIMATED] if curve.estimated else []), *curve.notes]
    if curve.weights_kind != "random":  # whose images are noise at every rate
        for metric in curve.scores:
            if curve.has(metric):
                found += _falls(curve, metric)
    if len(curve.bpp) < MIN_POINTS and not is_lossless(curve):
        found.append(Note("short", f"{len(curve.bpp)} points; a BD-rate needs {MIN_POINTS}"))
    psnr = curve.scores.get("psnr_rgb", np.full(len(curve.bpp), np.nan))
    flags = (implausible(float(r), float(q)) for r, q in zip(curve.bpp, psnr, strict=True))
    found += [Note("implausible", flag) for flag in flags if flag]
    return found


def is_lossless(curve: Curve) -> bool:
    """True where every sample of every image came back at all points of a measured curve."""
    return any(note.kind == "lossless" for note in curve.notes)


def is_stand_in(curve: Curve) -> bool:
    """True where a curve is an estimate, or of other weights than the codec's published ones."""
    return curve.estimated or curve.weights_kind in WEIGHTS_NOTES


def implausible(bpp: float | None, psnr_db: float | None) -> str | None:
    """Why a point cannot be believed, or None."""
    if bpp is not None and bpp > MAX_BPP:
        return f"{bpp:.6g} bpp is more than the {MAX_BPP:g} bpp of raw pixels"
    if bpp is not None and psnr_db is not None and bpp < LOW_BPP and psnr_db > HIGH_PSNR_DB:
        return f"{psnr_db:.2f} dB at {bpp:.4g} bpp"
    return None


def _falls(curve: Curve, metric: str) -> list[Note]:
    """Find steps to a higher rate that do not raise the quality, and duplicate points."""
    points = list(zip(*curve.points(metric), strict=True))
    found = []
    for (r0, q0), (r1, q1) in pairwise(points):
        if (r0, q0) == (r1, q1):
            text = f"two points at {r0:.4g} bpp and {metric} {q0:.2f}"
            found.append(Note("duplicate", text, metric))
        elif q1 <= q0:
            unit = " dB" if is_in_db(metric) else ""
            how = f"falls from {q0:.3f} to" if f"{q0:.3f}" != f"{q1:.3f}" else "stays at"
            text = f"{metric} {how} {q1:.3f}{unit} from {r0:.4g} to {r1:.4g} bpp"
            found.append(Note("falls", text, metric))
    return found


def operating_points(
    records: Iterable[Record], datasets: Mapping[str, Mapping[str, str]]
) -> Iterator[tuple[list[Record], list[Record]]]:
    """Records of each operating point, and the verified ones in the order of the data set's images.

    Equal files of a data set count as often as it names them.
    """
    groups: dict[tuple[Any, ...], list[Record]] = defaultdict(list)
    for r in records:
        groups[r.dataset, r.curve, r.protocol, r.spec, r.fingerprint].append(r)
    for (dataset, *_), group in groups.items():
        by_file = {r.image_sha256: r for r in group if r.error is None}
        wanted = datasets.get(dataset, {}).values()
        yield group, [by_file[sha256] for sha256 in wanted if sha256 in by_file]


def measured_curves(
    records: Iterable[Record],
    datasets: Mapping[str, Mapping[str, str]],
    protocols: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Curve]:
    """Curves of records: one for each data set, curve and protocol.

    A point is a mean over the whole data set or it is not there: a point with missing or failed
    images, or measured with more than one fingerprint (weights, configuration), becomes a note.

    Args:
        datasets: data set -> (image's name -> SHA-256), what a mean is taken over.
        protocols: fingerprint -> description, for the curves' ``protocol``.

    Returns:
        Curves in the order of data set, codec and curve. One without a single complete point has
        no points, and its notes say why.

    Raises:
        DataError: records of a data set that ``datasets`` does not hold.
    """
    groups: dict[tuple[str, CurveKey, str], list[Record]] = defaultdict(list)
    for record in records:
        groups[record.dataset, record.curve, record.protocol].append(record)
    curves = []
    for (dataset, key, protocol), group in sorted(groups.items(), key=lambda item: item[0]):
        if dataset not in datasets:
            raise DataError(f"the images of data set {dataset!r} are not known; measure it again")
        described = {"fingerprint": protocol, **(protocols or {}).get(protocol, {})}
        curves.append(_curve(key, group, datasets[dataset], described))
    return with_labels(curves)


def with_labels(curves: Sequence[Curve]) -> list[Curve]:
    """The shortest label that tells a curve from the others of its data set.

    Weights other than the published ones, and estimated rates, are always named.
    """
    common: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for curve in curves:
        settings = set(settings_of(curve))
        common.setdefault((curve.dataset, curve.codec), settings).intersection_update(settings)

    def labels(curve: Curve) -> list[str]:
        """From short to long: the codec; with the settings in which its curves differ; with all
        settings; with the weights' hash; with the protocol."""
        hidden = common[curve.dataset, curve.codec]
        differing = [pair for pair in settings_of(curve) if pair not in hidden]
        scored = curve.protocol.get("scored", curve.protocol["fingerprint"])
        every = join_spec(curve.codec, settings_of(curve))
        names = [curve.codec, join_spec(curve.codec, differing), every, str(curve.key)]
        return [
            with_weights(name, curve.weights_kind, curve.estimated)
            for name in (*names, f"{curve.key} ({scored})")
        ]

    # A label fits where no other curve of the data set could go by it, shorter or longer.
    seen = Counter((curve.dataset, label) for curve in curves for label in set(labels(curve)))
    found = []
    for curve in curves:
        *_, longest = names = labels(curve)
        label = next((name for name in names if seen[curve.dataset, name] == 1), longest)
        found.append(dataclasses.replace(curve, label=label))
    return found


def settings_of(curve: Curve) -> tuple[tuple[str, str], ...]:
    """(name, value) of the settings that the points of a measured curve share."""
    return curve.key.settings if curve.key else ()


def _curve(
    key: CurveKey, records: Sequence[Record], images: Mapping[str, str], protocol: Mapping[str, Any]
) -> Curve:
    """The curve of records that differ in operating point and image alone."""
    by_spec: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        by_spec[record.spec].append(record)
    notes: list[Note] = []
    points: dict[str, list[Record]] = {}
    for spec, group in by_spec.items():
        problem = _problem(group, images)
        if problem is not None:
            notes.append(Note(problem.kind, f"no mean for {spec}: {problem.message}"))
            continue
        good = {r.image_sha256: r for r in group if r.error is None}
        points[spec] = [good[sha256] for sha256 in images.values()]
    table = _table(list(points.values()), tuple(images))
    return curve_of_table(key, records, points, table, notes, protocol)


def curve_of_table(
    key: CurveKey,
    records: Sequence[Record],
    points: Mapping[str, Sequence[Record]],
    table: PerImage,
    notes: Iterable[Note],
    protocol: Mapping[str, Any],
) -> Curve:
    """Return the curve of a table, one row for each of its complete points.

    Args:
        records: of the curve, some of each run at least.
        points: spec of each complete point -> records of it, some of each run at least.
    """
    first = records[0]
    kind = min((r.weights_kind for r in records), key=_KINDS.index)
    estimated = any(r.estimated for r in records)
    exact = points and all(r.exact for group in points.values() for r in group)
    return Curve(
        codec=first.codec,
        key=key,
        dataset=first.dataset,
        source="measured",
        bpp=table.bpp.mean(axis=1),
        scores={metric: scores.mean(axis=1) for metric, scores in table.scores.items()},
        rate_parameter=first.rate_parameter,
        rate_values=tuple(group[0].rate_value for group in points.values()),
        specs=tuple(points),
        variable_rate=first.variable_rate,
        provenance={"records": table.bpp.size},
        protocol={**protocol, "rate": "estimated bits, not bytes"} if estimated else protocol,
        per_image=table,
        weights_kind=kind,
        estimated=estimated,
        notes=(
            *([Note(kind, WEIGHTS_NOTES[kind])] if kind in WEIGHTS_NOTES else []),
            *notes,
            *([LOSSLESS] if exact and "psnr_rgb" not in table.scores else []),
            *_mixed_versions(points.values()),
            *_undefined(table, tuple(points)),
        ),
    )


def _problem(records: Sequence[Record], images: Mapping[str, str]) -> Note | None:
    """Why there is no mean over these records of one operating point, or None."""
    fingerprints = sorted({r.fingerprint for r in records if r.error is None})
    if len(fingerprints) > 1:
        short = ", ".join(f[:12] or "none" for f in fingerprints)
        return Note("conflict", f"measured with {len(fingerprints)} fingerprints ({short})")
    good = {r.image_sha256 for r in records if r.error is None}
    missing = [name for name, sha256 in images.items() if sha256 not in good]
    if not missing:
        return None
    reasons = {r.image: r.error for r in records if r.error is not None}
    why = f" ({reasons[missing[0]]})" if missing[0] in reasons else ""
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    n_good = len(images) - len(missing)
    return Note("incomplete", f"{n_good} of {len(images)} images; no {missing[0]}{why}{more}")


def _mixed_versions(points: Iterable[Sequence[Record]]) -> list[Note]:
    """A note where not all records of a curve were made by the same versions."""
    made_by = [set(r.provenance.get("versions", {}).items()) for group in points for r in group]
    every = set().union(*made_by)
    differing = sorted({name for name, _ in every.difference(set(every).intersection(*made_by))})
    if not differing:
        return []
    return [Note("conflict", f"points made by different versions of {', '.join(differing)}")]


def _table(points: Sequence[Sequence[Record]], images: tuple[str, ...]) -> PerImage:
    """Return rates and scores, one row per point; a missing score is NaN."""
    shape = (len(points), len(images))
    present = {name for group in points for r in group for name in r.scores}
    bpp = np.array([[r.bpp for r in group] for group in points], np.float64).reshape(shape)
    scores = {
        metric: np.array(
            [[r.scores.get(metric, np.nan) for r in group] for group in points], np.float64
        ).reshape(shape)
        for metric in METRICS
        if metric in present
    }
    return PerImage(images, bpp, scores)


def _undefined(table: PerImage, specs: tuple[str, ...]) -> list[Note]:
    """A note for every point that lacks the mean of a metric because an image lacks its score."""
    return [
        Note(
            "undefined",
            f"no mean {metric} for {spec}: "
            + (f"{n_missing} images have none" if n_missing > 1 else "1 image has none"),
            metric,
        )
        for metric, scores in table.scores.items()
        for spec, n_missing in zip(specs, np.isnan(scores).sum(axis=1), strict=True)
        if n_missing
    ]
