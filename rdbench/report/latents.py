"""Figures of the rate by latent: shares over the rate parameter, and maps over a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rdbench.report.export import file_name
from rdbench.report.plots import FORMATS, STYLE
from rdbench.types import Image

Rows = Sequence[Mapping[str, Any]]


def plot_latents(rows: Rows, out: Path) -> list[Path]:
    """Draw bits per pixel and percent of each segment over the rate parameter, a figure a curve.

    Args:
        rows: of ``rdbench.analysis.latents.latent_rows``.
        out: folder of the files.

    Returns:
        The files written.
    """
    import matplotlib as mpl

    out.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    with mpl.rc_context(STYLE):
        for key in dict.fromkeys((row["dataset"], row["curve"]) for row in rows):
            chosen = [row for row in rows if (row["dataset"], row["curve"]) == key]
            figure = _shares_figure(chosen, " ".join(key))
            written += _save(figure, out / f"latents-{file_name('-'.join(key))}")
    return written


def _shares_figure(rows: Rows, title: str) -> Any:
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    segments = list(dict.fromkeys(row["segment"] for row in rows))
    rates = sorted({row["rate_value"] or 0.0 for row in rows})
    colours = colormaps["viridis"](np.linspace(0.95, 0.05, len(segments)))
    figure = Figure(figsize=(7.2, 3.2), layout="constrained")
    for axes, column, label in zip(
        figure.subplots(1, 2), ("bpp", "percent"), ("bits per pixel", "% of the rate"), strict=True
    ):
        values = {(row["segment"], row["rate_value"] or 0.0): row[column] for row in rows}
        shares = np.array([[values[segment, rate] for rate in rates] for segment in segments])
        # One operating point has no width: draw it as a bar.
        if len(rates) > 1:
            axes.stackplot(rates, shares, labels=segments, colors=colours, edgecolor="w", lw=0.3)
            axes.set_xscale("log" if rates[0] > 0 else "linear")
            axes.set_xlim(rates[0], rates[-1])
        else:
            bottoms = np.cumsum(shares[:, 0]) - shares[:, 0]
            for segment, share, low, colour in zip(
                segments, shares[:, 0], bottoms, colours, strict=True
            ):
                axes.bar([f"{rates[0]:g}"], [share], bottom=[low], color=[colour], label=segment)
        axes.set_xlabel(rows[0]["rate_parameter"] or "operating point")
        axes.set_ylabel(label)
        axes.set_ylim(0, None if column == "bpp" else 100)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="outside right center", fontsize=8)
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=9)
    return figure


def plot_bit_maps(
    image: Image, maps: Mapping[str, npt.NDArray[np.float32]], title: str, path: Path
) -> list[Path]:
    """Draw where in a picture the bits of each latent go, and of all together.

    Args:
        image: the picture.
        maps: name of a latent -> ideal bits at each of its positions, (h, w).
        title: of the figure.
        path: of the files, without suffix.

    Returns:
        The files written.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        n_columns = 4
        n_rows = -(-(len(maps) + 1) // n_columns)
        height, width = image.shape[:2]
        figure = Figure(figsize=(7.2, 7.2 / n_columns * height / width * n_rows * 1.25),
                        layout="constrained")  # fmt: skip
        panels = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
        for axes in panels:
            axes.set_axis_off()
        panels[0].imshow(image)
        panels[0].set_title(title, fontsize=7)
        for axes, (name, bits) in zip(panels[1:], maps.items(), strict=False):
            axes.imshow(bits, cmap="magma", vmin=0)
            axes.set_title(f"{name}: {bits.sum() / (height * width):.4f} bpp", fontsize=7)
        return _save(figure, path)


def _save(figure: Any, path: Path) -> list[Path]:
    written = [path.with_name(f"{path.name}.{suffix}") for suffix in FORMATS]
    for file in written:
        figure.savefig(file, dpi=300, bbox_inches="tight")
    return written
