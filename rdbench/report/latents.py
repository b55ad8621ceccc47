"""Figures of the rate by latent: shares over the rate parameter, and maps over an image."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rdbench.report.export import file_names
from rdbench.report.plots import save
from rdbench.report.style import PAGE_IN, STYLE
from rdbench.types import Image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Rows = Sequence[Mapping[str, Any]]


def plot_latents(rows: Rows, out: Path) -> list[Path]:
    """Draw bits per pixel and percent of each segment by rate parameter, one figure per curve.

    Args:
        rows: of ``rdbench.analysis.latents.latent_rows``.
    """
    import matplotlib as mpl

    written: list[Path] = []
    with mpl.rc_context(STYLE):
        names = file_names((row["dataset"], row["curve"]) for row in rows)
        for key in dict.fromkeys((row["dataset"], row["curve"]) for row in rows):
            chosen = [row for row in rows if (row["dataset"], row["curve"]) == key]
            figure = shares_figure(chosen, " ".join(key))
            written += save(figure, out / f"latents-{names[key]}")
    return written


def shares_figure(rows: Rows, title: str) -> "Figure":
    """Rate by segment, absolute and in percent; a bar an operating point (QARV, Figure 16).

    Args:
        rows: of one curve, from ``rdbench.analysis.latents.latent_rows``.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    segments = list(dict.fromkeys(row["segment"] for row in rows))
    points = list(dict.fromkeys(row["rate_value"] for row in rows))
    colours = colormaps["viridis"](np.linspace(0.95, 0.05, len(segments)))
    figure = Figure(figsize=(PAGE_IN, 1.2 + 0.16 * max(4, len(points))), layout="constrained")
    for axes, column, label in zip(
        figure.subplots(1, 2, sharey=True),
        ("bpp", "percent"),
        ("Rate (bits per pixel)", "Share of the rate (%)"),
        strict=True,
    ):
        left = np.zeros(len(points))
        for segment, colour in zip(segments, colours, strict=True):
            width = np.array([row[column] for row in rows if row["segment"] == segment])
            axes.barh(range(len(points)), width, 0.8, left, color=[colour], label=segment)
            left += width
        axes.set_xlabel(label)
        axes.set_xlim(0, None if column == "bpp" else 100)
        axes.grid(axis="y", visible=False)
    first = figure.axes[0]
    first.set_yticks(range(len(points)), ["" if p is None else f"{p:.4g}" for p in points])
    first.set_ylabel(rows[0]["rate_parameter"])
    handles, labels = first.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", fontsize=7)
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=8)
    return figure


def plot_bit_maps(
    image: Image, maps: Mapping[str, npt.NDArray[np.float32]], title: str, path: Path
) -> list[Path]:
    """Draw where in an image the bits of each latent go, and of all together.

    Args:
        maps: name of a latent -> ideal bits at each of its positions, (h, w).
    """
    import matplotlib as mpl
    from matplotlib.colors import PowerNorm
    from matplotlib.figure import Figure

    height, width = image.shape[:2]
    per_pixel = {name: bits * bits.size / (height * width) for name, bits in maps.items()}
    highest = max(float(values.max()) for values in per_pixel.values())
    scale = PowerNorm(0.5, 0, highest or 1.0)  # the root: latents differ by orders of magnitude
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        n_columns = min(4, len(maps) + 1)
        n_rows = -(-(len(maps) + 1) // n_columns)
        figure = Figure(figsize=(PAGE_IN, PAGE_IN / n_columns * height / width * n_rows * 1.25),
                        layout="constrained")  # fmt: skip
        panels = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
        for axes in panels:
            axes.set_axis_off()
        panels[0].imshow(image)
        figure.suptitle(title, x=0.01, ha="left", fontsize=7)
        for axes, (name, values) in zip(panels[1:], per_pixel.items(), strict=False):
            shown = axes.imshow(values, cmap="magma", norm=scale)
            axes.set_title(f"{name}: {values.mean():.4f} bpp", fontsize=7)
        bar = figure.colorbar(shown, ax=list(panels), shrink=0.8, pad=0.01, aspect=30)
        bar.set_label("Bits per pixel", fontsize=7)
        bar.ax.tick_params(labelsize=6)
        return save(figure, path)
