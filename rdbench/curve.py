"""A rate-distortion curve: means over one data set, wherever they come from."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from rdbench.columns import CODEC, DATASET, Column, plain
from rdbench.decibel import Averaging, FloatArray, mean_db
from rdbench.errors import DataError, UsageError
from rdbench.metrics import METRICS
from rdbench.types import CurveKey, WeightsKind

Source = Literal["measured", "published", "imported"]

VARIABLE_RATE = {
    "conventional": True, "variable": True, "overfitted": True, "fixed": False, "generative": False,
}  # fmt: skip
"""Kind of a published codec -> whether one program or one set of weights covers its curve."""


MEAN_OF_DB = "mean of per-image dB"
"""The aggregation of a curve whose MS-SSIM was turned into dB before the mean was taken."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something that a reader of a curve must know.

    Attributes:
        kind: one word: ``implausible``, ``falls``, ``duplicate``, ``short``, ``incomplete``,
            ``conflict``, ``undefined``, ``lossless``, ``estimated``, ``random``, ``reduced``,
            ``other``, ``note``.
        message: one line.
        metric: the only metric that it touches, or "".
    """

    kind: str
    message: str
    metric: str = ""


ESTIMATED = Note("estimated", "the rate is an estimate from likelihoods; no file was written")
"""What a curve says whose rate was not counted in bytes; see `Curve.estimated`."""


@dataclass(frozen=True, eq=False, slots=True)
class PerImage:
    """What a curve's means are taken over; rows are the points of the curve.

    Attributes:
        images: names of the images.
        bpp: bits per pixel, (n_points, n_images).
        scores: metric -> scores, (n_points, n_images), NaN where a score is not defined.
    """

    images: tuple[str, ...]
    bpp: FloatArray
    scores: Mapping[str, FloatArray]

    def ordered(self, images: Sequence[str]) -> "PerImage | None":
        """The same table with its images in this order; None if they are not the same images."""
        if set(images) != set(self.images):
            return None
        order = [self.images.index(name) for name in images]
        scores = {metric: values[:, order] for metric, values in self.scores.items()}
        return PerImage(tuple(images), self.bpp[:, order], scores)

    def quality_db(self, metric: str) -> FloatArray:
        """Qualities of a metric, (n_points, n_images); see `to_quality`."""
        return to_quality(metric, self.scores[metric])


@dataclass(frozen=True, eq=False, kw_only=True)
class Curve:
    """Points of one codec on one data set, lowest rate first.

    Attributes:
        codec: name by which the curve is asked for.
        dataset: name of the data set.
        bpp: mean rate of each point, bits per pixel, (n_points,).
        scores: metric -> mean score of each point, (n_points,): ``psnr_rgb`` in dB, ``ms_ssim``
            in [0, 1]; NaN where there is no mean.
        source: ``measured`` here, ``published`` with the package, ``imported`` from a file.
        label: name in figures and tables; the codec's where empty.
        key: what the records behind a measured curve share; None for any other curve.
        rate_parameter: the setting that moves along the curve, or "".
        rate_values: its value at each point, or () where unknown.
        specs: operating point of each point, or () where unknown.
        kind: ``conventional``, ``fixed`` or ``variable`` (learned, with weights per rate or one set
            for all), ``overfitted`` (to each image), ``generative``, or "" where unknown.
        variable_rate: True where one program or one set of weights covers the curve, False where
            each point has weights of its own, None where unknown; follows from the kind.
        provenance: where the numbers come from.
        protocol: how they were scored: ``scored``, ``rate``, ``aggregation`` and more; "unknown"
            where the source does not say.
        per_image: the scores behind the means, or None.
        complexity: ``parameters``, ``encoder_macs_per_pixel`` and ``decoder_macs_per_pixel`` of the
            largest network of the curve, as ``rdbench complexity`` counts them; None where unknown.
        notes: what was found while the curve was put together.
        weights_kind: what the weights behind it are, see WeightsKind; "" where unknown.
        estimated: True where the rate of any point is an estimate, not bytes written.
        year: of the codec's publication, or None.
        citations: BibTeX keys of what to cite, see `rdbench.published.bibliography`.
    """

    codec: str
    dataset: str
    bpp: FloatArray
    scores: Mapping[str, FloatArray]
    source: Source
    label: str = ""
    key: CurveKey | None = None
    rate_parameter: str = ""
    rate_values: tuple[float | None, ...] = ()
    specs: tuple[str, ...] = ()
    kind: str = ""
    variable_rate: bool | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    protocol: Mapping[str, Any] = field(default_factory=dict)
    per_image: PerImage | None = None
    complexity: Mapping[str, float] | None = None
    notes: tuple[Note, ...] = ()
    weights_kind: WeightsKind = ""
    estimated: bool = False
    year: int | None = None
    citations: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check, and sort every column by rate."""
        bpp = np.asarray(self.bpp, np.float64)
        scores = {k: np.asarray(v, np.float64) for k, v in self.scores.items()}
        name = f"curve {self.codec!r} on {self.dataset!r}"
        if any(v.shape != bpp.shape for v in scores.values()):
            raise DataError(f"{name}: not every point has a rate and a score of every metric")
        if not (np.isfinite(bpp) & (bpp > 0)).all():
            raise DataError(f"{name}: a rate is not a positive number of bits per pixel")
        order = np.argsort(bpp, kind="stable")
        self._set("bpp", bpp[order])
        self._set("scores", {k: v[order] for k, v in scores.items()})
        self._set("label", self.label or self.codec)
        if self.kind:
            self._set("variable_rate", VARIABLE_RATE[self.kind])
        for column in ("rate_values", "specs"):
            values = getattr(self, column)
            self._set(column, tuple(values[i] for i in order) if values else ())
        if (table := self.per_image) is not None:
            scores = {k: v[order] for k, v in table.scores.items()}
            self._set("per_image", PerImage(table.images, table.bpp[order], scores))

    def __repr__(self) -> str:
        points = f"{len(self.bpp)} point{'s' if len(self.bpp) != 1 else ''}"
        rates = f", {self.bpp.min():.2f}-{self.bpp.max():.2f} bpp" if len(self.bpp) else ""
        return f"<Curve {self.label} on {self.dataset}: {points}{rates}, {self.source}>"

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def is_called(self, name: str) -> bool:
        """Whether this is the curve's codec or label, in upper or lower case."""
        return name.casefold() in (self.codec.casefold(), self.label.casefold())

    @property
    def origin(self) -> str:
        """Where the numbers come from: one line."""
        if self.source == "measured":
            return "measured with rdbench"
        parts = [str(self.provenance.get(key, "")) for key in ("repository", "path", "commit")]
        repository, path, commit = parts
        at = f" at {commit[:7]}" if re.fullmatch("[0-9a-f]{40}", commit) else f" ({commit})"
        return f"{repository} {path}".strip() + (at if commit else "")

    def has(self, metric: str) -> bool:
        """Whether any point has a mean of this metric; a metric that rdbench lacks has none."""
        known = metric in METRICS and metric in self.scores
        return known and bool(np.isfinite(self.scores[metric]).any())

    def points(
        self, metric: str = "psnr_rgb", averaging: Averaging | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Rates and qualities of the points that have both, lowest rate first.

        Args:
            metric: ``psnr_rgb`` (or ``psnr``), ``ms_ssim``, which is given in dB, or another.
            averaging: how qualities are averaged over images; None for the curve's own way,
                anything else needs the scores of each image.

        Returns:
            Bits per pixel and qualities (see `to_quality`), both (n,).

        Raises:
            UsageError: the curve has no such metric, or no scores of each image.
        """
        metric = metric_name(metric)
        if not self.has(metric):
            raise UsageError(f"{self.codec} ({self.source}) on {self.dataset} has no {metric}")
        if averaging in (None, self.averaging(metric)):
            quality = to_quality(metric, self.scores[metric])
        elif self.per_image is not None and is_in_db(metric):
            quality = mean_db(self.per_image.quality_db(metric), averaging)
        else:
            raise UsageError(
                f"{self.codec} ({self.source}) on {self.dataset} has no scores of each image to "
                f"average as {averaging}"
            )
        good = np.isfinite(quality)
        return self.bpp[good], quality[good]

    def averaging(self, metric: str) -> Averaging:
        """How this curve's own points average a metric over images."""
        if metric == "ms_ssim" and self.protocol.get("aggregation") == MEAN_OF_DB:
            return "mean_of_db"
        return METRICS[metric_name(metric)].averaging

    def row(self) -> dict[str, Any]:
        """One row of a table: what the curve is and where it comes from; see CURVES."""
        bpp = self.bpp[[0, -1]].tolist() if self.bpp.size else (None, None)
        psnr = self.points("psnr_rgb")[1] if self.has("psnr_rgb") else None
        return {
            "dataset": self.dataset,
            "codec": self.codec,
            "title": self.label,
            "year": self.year,
            "kind": self.kind or None,
            "n_points": len(self.bpp),
            "bpp_low": bpp[0],
            "bpp_high": bpp[1],
            "psnr_rgb_low": None if psnr is None else float(psnr.min()),
            "psnr_rgb_high": None if psnr is None else float(psnr.max()),
            "ms_ssim": self.has("ms_ssim"),
            "scored": self.protocol.get("scored"),
            "rate": self.protocol.get("rate"),
            "aggregation": self.protocol.get("aggregation"),
            "source": self.source,
            "origin": self.origin,
        }


CURVES = (
    DATASET,
    CODEC,
    *plain("title", "year", "kind"),
    Column("n_points", "points"),
    Column("bpp_low", "rate", "bpp", template="{bpp_low:.3f}-{bpp_high:.3f}"),
    Column("psnr_rgb_low", "PSNR", "dB", template="{psnr_rgb_low:.2f}-{psnr_rgb_high:.2f}"),
    Column("ms_ssim", "MS-SSIM"),
    Column("scored"),
    Column("rate", "rate counts"),
    Column("aggregation", "averaging"),
    *plain("source", "origin"),
)
"""How people see `Curve.row`."""


def metric_name(metric: str) -> str:
    """The name of a metric in records: ``psnr`` is short for ``psnr_rgb``."""
    name = "psnr_rgb" if metric == "psnr" else metric
    if name not in METRICS:
        raise UsageError(f"no metric {metric!r}; there are psnr, {', '.join(METRICS)}")
    return name


def to_quality(metric: str, scores: FloatArray) -> FloatArray:
    """Scores of a metric as qualities, which rise; see `Metric.quality`."""
    return METRICS[metric].quality(scores)


def is_in_db(metric: str) -> bool:
    """Whether the quality of a metric is in dB, so that its mean can be one of errors."""
    return METRICS[metric].in_db


def quality_title(metric: str) -> str:
    """Title of the axis that shows the qualities of a metric."""
    return METRICS[metric].quality_title
