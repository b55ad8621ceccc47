"""Rate-distortion figures: measured curves solid, published ones dashed, in print and on screen."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rdbench.analysis.curves import Curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("png", "pdf", "svg")

# Okabe and Ito, "Color Universal Design" (2008), without its yellow, which does not print.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h")

_AXES = {"psnr_rgb": "PSNR (dB, RGB)", "ms_ssim": "MS-SSIM (dB)"}

_STYLE = {
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


def plot_curves(
    curves: Sequence[Curve], out: Path, formats: Iterable[str] = FORMATS
) -> list[Path]:
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
    with mpl.rc_context(_STYLE):
        for dataset in sorted({curve.dataset for curve in curves}):
            for metric in _AXES:
                drawn = [c for c in curves if c.dataset == dataset and c.has(metric)]
                if not drawn:
                    continue
                figure = rd_figure(drawn, metric, dataset)
                for suffix in formats:
                    path = out / f"{_file_name(dataset)}-{metric}.{suffix}"
                    figure.savefig(path, dpi=300, bbox_inches="tight", metadata=_metadata(suffix))
                    written.append(path)
    return written


def _file_name(dataset: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in dataset)


def _metadata(suffix: str) -> dict[str, None] | None:
    """No dates, so that the same records give the same file."""
    return {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(suffix)


def rd_figure(curves: Sequence[Curve], metric: str, title: str) -> "Figure":
    """One figure: distortion over rate, a line a curve.

    Measured curves are solid, published ones dashed; a marker is hollow where every point has
    weights of its own and filled where one program or model covers the whole curve.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.subplots()
    ordered = sorted(curves, key=lambda c: (c.source != "measured", c.label))
    for number, curve in enumerate(ordered):
        _draw(axes, curve, metric, number)
    axes.set_xlabel("Rate (bits per pixel)")
    axes.set_ylabel(_AXES[metric])
    axes.set_title(title, loc="left", fontweight="bold")
    _zoom(axes, ordered, metric)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=8, handlelength=3.2)
    return figure


def _draw(axes: "Axes", curve: Curve, metric: str, number: int) -> None:
    bpp, quality = curve.points(metric)
    measured = curve.source == "measured"
    colour = _COLOURS[number % len(_COLOURS)]
    axes.plot(
        bpp,
        quality,
        label=curve.label if measured else f"{curve.label} (published)",
        color=colour,
        linestyle="-" if measured else (0, (4, 2)),
        linewidth=1.5 if measured else 1.1,
        marker=_MARKERS[number % len(_MARKERS)],
        markersize=4,
        markerfacecolor="white" if curve.variable_rate is False else colour,
        markevery=max(1, math.ceil(len(bpp) / 12)),
    )


def _zoom(axes: "Axes", curves: Sequence[Curve], metric: str) -> None:
    """Show the rates that measured curves cover, with room beside them, or else all."""
    measured = [c for c in curves if c.source == "measured"] or list(curves)
    rates = [float(b) for c in measured for b in c.points(metric)[0]]
    qualities = [float(q) for c in measured for q in c.points(metric)[1]]
    width, height = max(rates) - min(rates) or 1.0, max(qualities) - min(qualities) or 1.0
    axes.set_xlim(max(0.0, min(rates) - 0.05 * width), max(rates) + 0.05 * width)
    axes.set_ylim(min(qualities) - 0.08 * height, max(qualities) + 0.08 * height)
