"""Rate-distortion figures: measured curves solid, published ones dashed, in print and on screen."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rdbench.curve import Curve
from rdbench.report.export import file_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

FORMATS = ("png", "pdf", "svg")

LANDMARKS = ("vtm18", "bpg444", "qarv", "mbt2018-mean")
"""Published curves that a figure shows unless told otherwise."""

# Okabe and Ito, "Color Universal Design" (2008), without its yellow, which does not print.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h")

_AXES = {"psnr_rgb": "PSNR (dB, RGB)", "ms_ssim": "MS-SSIM (dB)"}

STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 9,
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


def plot_curves(curves: Sequence[Curve], out: Path, formats: Iterable[str] = FORMATS) -> list[Path]:
    """Draw PSNR-bpp and MS-SSIM-bpp, one figure a data set and metric.

    Args:
        curves: curves of any data sets; points without a mean are left out.
        out: folder of the files, ``DATASET-METRIC.FORMAT``.
        formats: of png (300 dpi), pdf, svg.

    Returns:
        The files written.
    """
    import matplotlib as mpl

    out.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    with mpl.rc_context(STYLE):
        for dataset in sorted({curve.dataset for curve in curves}):
            for metric in _AXES:
                here = [c for c in curves if c.dataset == dataset]
                if not any(_has_points(c, metric) for c in here):
                    continue
                figure = rd_figure(here, metric, dataset)
                for suffix in formats:
                    path = out / f"{file_name(dataset)}-{metric}.{suffix}"
                    figure.savefig(path, dpi=300, bbox_inches="tight", metadata=_metadata(suffix))
                    written.append(path)
    return written


def _metadata(suffix: str) -> dict[str, None] | None:
    """No dates, so that the same records give the same file."""
    return {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(suffix)


def rd_figure(curves: Sequence[Curve], metric: str, title: str) -> "Figure":
    """One figure: quality over rate, a line a curve, best first in the legend.

    Measured curves are solid, published ones dashed; a marker is hollow where every point has
    weights of its own and filled where one program or model covers the whole curve. A curve has the
    same colour and marker in the figures of all metrics.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.subplots()
    ordered = sorted(curves, key=lambda c: (c.source != "measured", c.label))
    drawn = [c for c in ordered if _has_points(c, metric)]
    lines = {c: _draw(axes, c, metric, ordered.index(c)) for c in drawn}
    axes.set_xlabel("Rate (bits per pixel)")
    axes.set_ylabel(_AXES[metric])
    axes.set_title(title, loc="left", fontweight="bold")
    _zoom(axes, drawn, metric)
    best_first = sorted(drawn, key=lambda c: -_quality_at(c, metric, _middle_rate(drawn, metric)))
    axes.legend(
        handles=[lines[c] for c in best_first],
        title=_key(drawn),
        title_fontsize=7,
        alignment="left",
        loc="center left",
        bbox_to_anchor=(1.01, 0.5),
        fontsize=8,
        handlelength=3.2,
    )
    return figure


def _has_points(curve: Curve, metric: str) -> bool:
    """Whether any point can be drawn; that of a lossless picture has no finite quality."""
    return curve.has(metric) and len(curve.points(metric)[0]) > 0


def _key(curves: Sequence[Curve]) -> str:
    """What line styles and markers mean, where a figure has more than one of them."""
    lines = []
    if len({c.source == "measured" for c in curves}) > 1:
        lines.append("solid: measured, dashed: published")
    if any(c.variable_rate is False for c in curves):
        lines.append("hollow: a model for each rate")
    return "\n".join(lines)


def _middle_rate(curves: Sequence[Curve], metric: str) -> float:
    return float(np.median(np.concatenate([c.points(metric)[0] for c in curves])))


def _quality_at(curve: Curve, metric: str, bpp: float) -> float:
    rates, qualities = curve.points(metric)
    return float(np.interp(bpp, rates, qualities))


def _draw(axes: "Axes", curve: Curve, metric: str, number: int) -> "Line2D":
    bpp, quality = curve.points(metric)
    measured = curve.source == "measured"
    colour = _COLOURS[number % len(_COLOURS)]
    (line,) = axes.plot(
        bpp,
        quality,
        label=curve.label,
        color=colour,
        linestyle="-" if measured else (0, (4, 2)),
        linewidth=1.5 if measured else 1.1,
        marker=_MARKERS[number % len(_MARKERS)],
        markersize=4,
        markerfacecolor="white" if curve.variable_rate is False else colour,
        markevery=max(1, math.ceil(len(bpp) / 12)),
    )
    return line


def _zoom(axes: "Axes", curves: Sequence[Curve], metric: str) -> None:
    """Show the rates that measured curves cover, with room beside them, or else all."""
    measured = [c for c in curves if c.source == "measured"] or list(curves)
    rates = [float(b) for c in measured for b in c.points(metric)[0]]
    qualities = [float(q) for c in measured for q in c.points(metric)[1]]
    width, height = max(rates) - min(rates) or 1.0, max(qualities) - min(qualities) or 1.0
    axes.set_xlim(max(0.0, min(rates) - 0.05 * width), max(rates) + 0.05 * width)
    axes.set_ylim(min(qualities) - 0.08 * height, max(qualities) + 0.08 * height)
