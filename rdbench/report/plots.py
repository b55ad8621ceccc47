"""Rate-distortion figures: measured curves solid, published ones dashed, in print and on screen."""

import math
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rdbench.curve import Curve, quality_title
from rdbench.errors import printable
from rdbench.files import output_files, write_figure
from rdbench.metrics import METRICS
from rdbench.report.export import file_names
from rdbench.report.fonts import quiet_fonts, use_fonts_for_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

FORMATS = ("png", "pdf", "svg")

LANDMARKS = ("vtm18", "bpg444", "qarv", "mbt2018-mean")
"""Published curves that a figure shows unless told otherwise."""

# Okabe and Ito, "Color Universal Design" (2008), without its yellow, which does not print.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h")

STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 8,
    "text.parse_math": False,  # a name may have a dollar sign
    "axes.titlesize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "rdbench",
}


COLUMN_IN, PAGE_IN = 3.5, 7.16
"""Widths in inches of a column and of a page in two columns (IEEE transactions)."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One rate-distortion diagram of a figure.

    Attributes:
        metric: ``psnr_rgb`` or ``ms_ssim``.
        curves: of one data set; those without the metric are left out.
        max_bpp: where the rate axis ends; None for where the curves do.
    """

    title: str
    metric: str
    curves: Sequence[Curve]
    max_bpp: float | None = None


def plot_curves(
    curves: Iterable[Curve],
    out: str | Path,
    formats: Sequence[str] = FORMATS,
    width_in: float = PAGE_IN,
    replace: bool = True,
    datasets: Iterable[str] = (),
) -> list[Path]:
    """Draw quality over rate, one figure per data set and measured metric.

    Args:
        curves: curves of any data sets; points without a mean are left out.
        out: folder of the files, ``DATASET-METRIC.FORMAT``.
        formats: of png (300 dpi), pdf, svg.
        replace: False to refuse to replace existing files, before the first is written.
        datasets: others that have figures in the folder, whose files keep their names.

    Raises:
        UsageError: a file exists and ``replace`` is False.
        DataError: a file cannot be written.
    """
    import matplotlib as mpl

    curves, out = list(curves), Path(out)
    every = {*datasets, *(curve.dataset for curve in curves)}
    names = file_names((name, metric) for name in every for metric in METRICS)
    panels = {out / names[panel.title, panel.metric]: panel for panel in _panels(curves)}
    output_files([file for path in panels for file in _files(path, formats)], force=replace)
    written: list[Path] = []
    with mpl.rc_context(STYLE):
        for path, panel in panels.items():
            written += save(rd_figure([panel], width_in), path, formats)
    return written


def _panels(curves: Sequence[Curve]) -> Iterator[Panel]:
    """A diagram for each data set and metric that was measured."""
    for dataset in sorted({curve.dataset for curve in curves}):
        here = [c for c in curves if c.dataset == dataset]
        for metric in METRICS:
            if any(_has_points(c, metric) for c in here):
                yield Panel(dataset, metric, here)


def save(figure: "Figure", path: Path, formats: Iterable[str] = FORMATS) -> list[Path]:
    """Write a figure as ``PATH.FORMAT``; the same records give the same file, to the byte."""
    written = _files(path, formats)
    use_fonts_for_names(figure)
    for file in written:
        no_dates = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(file.suffix)
        with quiet_fonts():
            write_figure(file, figure, dpi=300, metadata=no_dates)
    return written


def _files(path: Path, formats: Iterable[str]) -> list[Path]:
    return [path.with_name(f"{path.name}.{suffix}") for suffix in formats]


def rd_figure(panels: Sequence[Panel], width_in: float = PAGE_IN) -> "Figure":
    """Draw quality over rate, one line per curve; one legend below all panels, best first.

    Measured curves are solid, published ones dashed; a marker is hollow where every point has
    weights of its own and filled where one program or model covers the whole curve. A label has the
    same colour and marker in all panels, and in the figures of all metrics.

    Args:
        panels: at most three a row.
    """
    from matplotlib.figure import Figure

    n_columns = min(3, len(panels))
    n_rows = math.ceil(len(panels) / n_columns)
    labels = _ordered_labels(panels)
    entry_in = 0.6 + 0.056 * max(map(_width, labels))  # a line and a label of 7 points
    n_legend_columns = max(1, int(width_in / entry_in))
    n_lines = math.ceil(len({_key(c) for p in panels for c in p.curves}) / n_legend_columns)
    height_in = n_rows * min(0.78 * width_in / n_columns, 3.4) + 0.16 * n_lines + 0.3
    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    every = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    lines: dict[Key, Line2D] = {}
    for axes, panel in zip(every, panels, strict=False):
        lines |= _draw_panel(axes, panel, labels)
    for axes in every[len(panels) :]:
        axes.set_axis_off()
    figure.legend(
        handles=[lines[key] for key in _best_first(panels, lines)],
        title=_explanation([c for panel in panels for c in panel.curves if _key(c) in lines]),
        title_fontsize=7,
        loc="outside lower center",
        ncols=n_legend_columns,
        fontsize=7,
        handlelength=3,
        columnspacing=1.2,
    )
    return figure


def _width(text: str) -> int:
    """Width of a text in Latin letters; East Asian ones take two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


Key = tuple[str, bool]
"""Identity of a line in a figure: its label, and whether it was measured or published."""


def _key(curve: Curve) -> Key:
    return curve.label, curve.source == "measured"


def _ordered_labels(panels: Sequence[Panel]) -> list[str]:
    """Labels of all curves, measured ones first; the place decides colour and marker."""
    every = {(c.source != "measured", c.label) for panel in panels for c in panel.curves}
    return list(dict.fromkeys(label for _, label in sorted(every)))


def _draw_panel(axes: "Axes", panel: Panel, labels: Sequence[str]) -> "dict[Key, Line2D]":
    """Draw the curves that have the metric."""
    drawn = [c for c in panel.curves if _has_points(c, panel.metric)]
    lines = {_key(c): _draw(axes, c, panel.metric, labels.index(c.label)) for c in drawn}
    axes.set_xlabel("Rate (bits per pixel)")
    axes.set_ylabel(quality_title(panel.metric))
    axes.set_title(printable(panel.title), loc="left", fontweight="bold")
    if drawn:
        _zoom(axes, drawn, panel.metric, panel.max_bpp or math.inf)
    return lines


def _best_first(panels: Sequence[Panel], keys: Iterable[Key]) -> list[Key]:
    """Lines by mean quality in the middle of each panel's rates."""
    qualities: dict[Key, list[float]] = {key: [] for key in keys}
    for panel in panels:
        drawn = [c for c in panel.curves if _has_points(c, panel.metric)]
        points = {_key(c): c.points(panel.metric) for c in drawn}
        middle = np.median([rate for rates, _ in points.values() for rate in rates] or [0.0])
        for key, (rates, quality) in points.items():
            qualities[key].append(float(np.interp(middle, rates, quality)))
    return sorted(qualities, key=lambda key: -float(np.mean(qualities[key])))


def _has_points(curve: Curve, metric: str) -> bool:
    """Whether any point can be drawn; that of a lossless image has no finite quality."""
    return curve.has(metric) and len(curve.points(metric)[0]) > 0


def _explanation(curves: Sequence[Curve]) -> str:
    """What line styles and markers mean, where a figure has more than one of them."""
    lines = []
    if len({c.source == "measured" for c in curves}) > 1:
        lines.append("solid: measured, dashed: published")
    if any(c.variable_rate is False for c in curves):
        lines.append("hollow: a model for each rate")
    return "\n".join(lines)


def _draw(axes: "Axes", curve: Curve, metric: str, number: int) -> "Line2D":
    bpp, quality = curve.points(metric)
    measured = curve.source == "measured"
    colour = COLOURS[number % len(COLOURS)]
    (line,) = axes.plot(
        bpp,
        quality,
        label=printable(curve.label),
        color=colour,
        linestyle="-" if measured else (0, (4, 2)),
        linewidth=1.5 if measured else 1.1,
        marker=_MARKERS[number % len(_MARKERS)],
        markersize=4,
        markerfacecolor="white" if curve.variable_rate is False else colour,
        markevery=max(1, math.ceil(len(bpp) / 12)),
    )
    return line


def _zoom(axes: "Axes", curves: Sequence[Curve], metric: str, max_bpp: float) -> None:
    """Limit the axes to the rates of measured curves, or of all, and the qualities at these."""
    measured = [c for c in curves if c.source == "measured"] or list(curves)
    rates = [rate for c in measured for rate in c.points(metric)[0] if rate <= max_bpp]
    margin = 0.05 * ((max(rates) - min(rates)) or 1.0)
    low, high = max(0.0, min(rates) - margin), max(rates) + margin
    points = [point for c in curves for point in zip(*c.points(metric), strict=True)]
    qualities = [quality for rate, quality in points if low <= rate <= high]
    height = (max(qualities) - min(qualities)) or 1.0
    axes.set_xlim(low, high)
    axes.set_ylim(min(qualities) - 0.08 * height, max(qualities) + 0.08 * height)
