"""The log of a training as a figure."""

import csv
from pathlib import Path

import numpy as np

from rdbench.files import write_figure


def draw_log(log: Path, title: str, path: Path) -> None:
    """Draw loss, rate and PSNR of the training crops against the step.

    Args:
        log: a CSV file whose columns are the fields of rdbench.types.Progress.
    """
    from matplotlib.figure import Figure
    from scipy.ndimage import median_filter

    with log.open() as file:
        rows = list(csv.DictReader(file))
    steps = [int(row["step"]) for row in rows]
    figure = Figure(figsize=(7.2, 2.4), layout="constrained")
    labels = {"loss": "loss", "bpp": "rate in bits per pixel", "psnr": "PSNR in dB"}
    for axes, (name, label) in zip(figure.subplots(1, 3), labels.items(), strict=True):
        values = np.array([float(row[name]) for row in rows])
        axes.plot(steps, values, color="#9ecae1", linewidth=0.6)
        smooth = median_filter(values, size=max(1, len(rows) // 25), mode="nearest")
        axes.plot(steps, smooth, color="#08519c", linewidth=1.2)
        axes.set_xlabel("step")
        axes.set_title(label, fontsize=8, loc="left")
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
        if name == "loss":
            axes.set_yscale("log")
    figure.suptitle(title, fontsize=9, parse_math=False)
    write_figure(path, figure, dpi=200)
