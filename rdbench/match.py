"""Codecs at one rate or one quality, image by image: a comparison without interpolation."""

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from rdbench.columns import BPP, Column
from rdbench.datasets import Dataset, ImageFile, load_dataset
from rdbench.decibel import mean_of_all
from rdbench.errors import DataError, UsageError
from rdbench.images import read_image
from rdbench.metrics import DEFAULT_PROTOCOL, METRICS, Protocol, score
from rdbench.rate_control import TARGETS, TOLERANCE, encode_to
from rdbench.spec import Identity, get_codec, given_settings, identified, require_files, spec_of
from rdbench.store import Store
from rdbench.sweep import reason, remember
from rdbench.types import Codec, CurveKey, Weights, WeightsKind, from_json, with_weights
from rdbench.workers import workers

MATCHED = ("bpp", *METRICS)
"""The targets that mean the same for images of any size."""

_MAX_ENCODES = 20


@dataclass(frozen=True, slots=True)
class Match:
    """An image coded to a target; fields have the meaning of those of `Record`.

    Attributes:
        curve: the codec and its settings without the rate.
        target, value: what was asked for: one of MATCHED, and how much.
        spec: the operating point found; "" if none was found.
    """

    curve: CurveKey
    dataset: str
    image: str
    target: str
    value: float
    weights: Weights | None = None
    spec: str = ""
    n_bytes: int = 0
    bpp: float = math.nan
    scores: Mapping[str, float] = field(default_factory=dict)
    n_encodes: int = 0
    met: bool = False
    bitstream_sha256: str = ""
    fingerprint: str = ""
    error: str | None = None

    @property
    def codec(self) -> str:
        """The codec's name."""
        return self.curve.codec

    @property
    def weights_kind(self) -> WeightsKind:
        """Kind of the weights, see WeightsKind."""
        return self.weights.kind if self.weights else ""

    def as_json(self) -> dict[str, Any]:
        """Everything, ready for JSON; `match_of` reads it back."""
        return {"codec": self.codec, **asdict(self)}

    def __repr__(self) -> str:
        found = f"{self.spec}, {self.bpp:.3f} bpp" if self.spec else f"failed: {self.error}"
        where = f"{self.dataset}/{self.image}"
        return f"<Match {self.target}={self.value:g} on {where}: {self.codec}: {found}>"

    def measure(self, name: str) -> float | None:
        """``bpp``, or a score; None where it was not measured."""
        return self.bpp if name == "bpp" else self.scores.get(name)


@dataclass(frozen=True, slots=True)
class _Task:
    codec: Codec
    identity: Identity
    dataset: str
    file: ImageFile
    target: str
    value: float

    @property
    def key(self) -> tuple[str, ...]:
        """What the result is kept under; the rate of the codec does not matter."""
        curve, fingerprint = self.identity.curve.spec, self.identity.fingerprint
        return (curve, fingerprint, self.dataset, self.file.sha256, self.target,
                repr(self.value), DEFAULT_PROTOCOL.fingerprint)  # fmt: skip

    def result(self, **found: Any) -> Match:
        """A match of this task."""
        return Match(self.identity.curve, self.dataset, self.file.name, self.target, self.value,
                     self.identity.weights, **found)  # fmt: skip


def match_codecs(
    codecs: Sequence[str],
    dataset: Dataset | str,
    target: str,
    value: float,
    out: str | Path = "reports",
    *,
    jobs: int = 0,
    threads: int = 1,
    on_progress: Callable[[int, int], None] = lambda done, n: None,
) -> list[Match]:
    """Code every image to one target with every codec.

    What the report folder already holds is not searched again, unless its bitstream is missing or
    damaged.

    Args:
        codecs: specs without a rate parameter.
        dataset: data set, its name, or a folder of images.
        target: one of MATCHED.
        value: bits per pixel, or the score to meet.
        out: the report folder, which keeps the results and their bitstreams.

    Returns:
        Matches in the order of codecs and images; one that failed says why.

    Raises:
        UsageError, DataError: a name, setting or image is wrong, no such target or value.
        Unavailable: a codec or the metric is not available on this machine.
    """
    if target not in MATCHED:
        raise UsageError(f"what can be matched is {', '.join(MATCHED)}, not {target!r}")
    TARGETS[target].check(value)
    if target in METRICS:
        METRICS[target].check()
    data = dataset if isinstance(dataset, Dataset) else load_dataset(dataset)
    for spec in codecs:
        given_settings(spec)  # raises where a spec sets the rate
    every = identified(get_codec(spec) for spec in codecs)
    require_files(every)
    points = {(i.curve, i.fingerprint): (point, i) for point, i in every.items()}.values()
    with Store(out) as store:
        data = remember(store, data)
        wanted = [_Task(*p, data.name, file, target, value) for p in points for file in data.files]
        tasks: dict[tuple[str, ...], _Task] = {}
        for task in wanted:
            tasks.setdefault(task.key, task)  # equal files are searched once
        for point, identity in points:
            store.remember_codec(point, identity.fingerprint)
        known = store.results("match")
        found = {key: m for key in tasks if key in known and (m := _kept(store, known[key]))}
        on_progress(len(found), len(tasks))
        with workers(jobs, threads, None, None) as map_tasks:
            left = [task for key, task in tasks.items() if key not in found]
            for task, result in map_tasks(_match, left):
                if isinstance(result, BaseException):
                    match = task.result(error=reason(result))
                else:
                    match, bitstream = result
                    store.keep(match.bitstream_sha256, bitstream)
                    store.put_result("match", task.key, match.as_json())
                found[task.key] = match
                on_progress(len(found), len(tasks))
    return [replace(found[task.key], image=task.file.name) for task in wanted]


def match_image(
    store: Store, codec: Codec, dataset: str, file: ImageFile, target: str, value: float
) -> Match:
    """Code one image to a target with one codec, or return what the report folder holds of it.

    Args:
        codec: any operating point.
        dataset: the name of the image's data set in the folder.
        target, value: see `match_codecs`.

    Raises:
        RdbenchError: the target cannot be met, or the folder cannot be written.
    """
    (identity,) = identified([codec]).values()
    task = _Task(codec, identity, dataset, file, target, value)
    known = store.results("match").get(task.key)
    match = known and _kept(store, known)
    if not match:
        match, bitstream = _match(task)
        store.keep(match.bitstream_sha256, bitstream)
        store.put_result("match", task.key, match.as_json())
    return replace(match, image=file.name)


def match_of(body: Mapping[str, Any]) -> Match | None:
    """A match as the store keeps it; None where it is damaged."""
    fields = {name: value for name, value in body.items() if name != "codec"}
    with suppress(ValueError):
        match: Match = from_json(Match, fields)
        return match
    return None


def _kept(store: Store, body: Mapping[str, Any]) -> Match | None:
    """A match that was found before, where its bitstream is still whole."""
    match = match_of(body)
    with suppress(DataError):
        if match and len(store.bitstream(match.bitstream_sha256)) == match.n_bytes:
            return match
    return None


def _match(task: _Task) -> tuple[Match, bytes]:
    """Search, decode with another object, score."""
    image = read_image(task.file.path)
    found = encode_to(task.target, task.codec, image, task.value, _MAX_ENCODES)
    decoder = replace(found.codec)  # type: ignore[type-var]
    data = found.bitstream.data
    metrics = dict.fromkeys((*DEFAULT_PROTOCOL.metrics, task.target)).keys() & METRICS.keys()
    match = task.result(
        spec=spec_of(found.codec),
        fingerprint=found.codec.fingerprint(),
        n_bytes=len(data),
        bpp=8 * len(data) / (image.shape[0] * image.shape[1]),
        scores=score(image, decoder.decode(data), Protocol(metrics=tuple(metrics))),
        n_encodes=found.n_encodes,
        met=found.met,
        bitstream_sha256=hashlib.sha256(data).hexdigest(),
    )
    return match, data


REACHED = Column("reached", template="{reached:.4g} of {value:g}")

MEANS = (
    Column("label", "codec"),
    BPP,
    REACHED,
    METRICS["psnr_rgb"].column,
    METRICS["ms_ssim"].column,
    Column("gain_db", "gain", "dB", 2, signed=True),
    Column("rate_percent", "rate", "%", 3, signed=True),
    Column("n_won", "won", template="{n_won}/{n_images}"),
    Column("n_met", f"within {TOLERANCE:.0%}", template="{n_met}/{n_images}"),
    Column("n_encodes", "encodes", digits=1),
)
"""How people see the rows of `match_rows`."""

IMAGES = (
    Column("image"),
    Column("spec", "operating point"),
    BPP,
    REACHED,
    METRICS["psnr_rgb"].column,
    METRICS["ms_ssim"].column,
    Column("n_encodes", "encodes"),
    Column("met"),
)
"""How people see the rows of `image_rows`."""


def image_rows(matches: Sequence[Match]) -> list[dict[str, Any]]:
    """One row for each image and codec: what a match holds, its scores as values of their own."""
    rows = []
    for match in matches:
        row = match.as_json() | {"curve": str(match.curve), "reached": match.measure(match.target)}
        scores = row.pop("scores")
        unknown = dict.fromkeys(("n_bytes", "bpp", "reached"))
        failed = {"spec": str(match.curve), **unknown} if match.error else {}
        rows.append(row | {name: scores.get(name) for name in DEFAULT_PROTOCOL.metrics} | failed)
    return rows


def match_rows(matches: Sequence[Match]) -> list[dict[str, Any]]:
    """One row for each codec: means over the images, and what it gains over the first codec.

    ``gain_db`` is the gain in PSNR where the rate was matched, ``rate_percent`` the difference of
    rate where a quality was; ``n_won`` counts the images on which the codec is better than the
    first. A mean is taken over a complete set or not at all.
    """
    curves = {m.curve: [x for x in matches if x.curve == m.curve] for m in matches}
    first = next(iter(curves.values()), [])
    names = Counter(group[0].codec for group in curves.values())
    return [_row(group, first, names[group[0].codec] == 1) for group in curves.values()]


def _row(group: Sequence[Match], first: Sequence[Match], unique: bool) -> dict[str, Any]:
    match = group[0]
    name = match.codec if unique else match.curve.spec
    complete = all(m.error is None for m in group)
    at_rate = match.target == "bpp"
    gains = [_gain(a, b) for a, b in zip(group, first, strict=True)]
    gain = None if group is first else mean_of_all(gains)
    return {
        "codec": match.codec,
        "label": with_weights(name, match.weights_kind),
        "dataset": match.dataset,
        "target": match.target,
        "value": match.value,
        "reached": mean_of_all(m.measure(match.target) for m in group) if complete else None,
        **{
            name: mean_of_all(m.measure(name) for m in group) if complete else None
            for name in ("bpp", *DEFAULT_PROTOCOL.metrics)
        },
        "gain_db": gain if at_rate else None,
        "rate_percent": None if at_rate else gain,
        "n_won": None if gain is None else sum((g > 0) == at_rate for g in gains if g),
        "n_met": sum(m.met for m in group),
        "n_images": len(group),
        "n_encodes": fmean(m.n_encodes for m in group),
    }


def _gain(match: Match, first: Match) -> float | None:
    """What a codec gains on one image: dB at one rate, percent of the rate at one quality."""
    if match.error is not None or first.error is not None:
        return None
    if match.target != "bpp":
        return 100 * (match.bpp / first.bpp - 1)
    ours, theirs = match.measure("psnr_rgb"), first.measure("psnr_rgb")
    return None if ours is None or theirs is None else ours - theirs
