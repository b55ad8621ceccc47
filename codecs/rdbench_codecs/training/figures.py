"""The log of a training as a figure."""

from pathlib import Path

from rdbench.files import write_figure


def draw_log(log: Path, title: str, path: Path) -> None:
    """Loss, rate and PSNR of the training crops against the step.

    Args:
        log: ``log.csv`` of `rdbench_codecs.training.loop.train`.
        title: of the figure.
        path: figure to write.
    """
    import pandas as pd
    from matplotlib.figure import Figure

    table = pd.read_csv(log)
    figure = Figure(figsize=(7.2, 2.4), layout="constrained")
    labels = {"loss": "loss", "bpp": "rate in bits per pixel", "psnr": "PSNR in dB"}
    for axes, (name, label) in zip(figure.subplots(1, 3), labels.items(), strict=True):
        axes.plot(table["step"], table[name], color="#9ecae1", linewidth=0.6)
        smooth = table[name].rolling(max(1, len(table) // 25), min_periods=1).median()
        axes.plot(table["step"], smooth, color="#08519c", linewidth=1.2)
        axes.set_xlabel("step")
        axes.set_title(label, fontsize=8, loc="left")
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
        if name == "loss":
            axes.set_yscale("log")
    figure.suptitle(title, fontsize=9, parse_math=False)
    write_figure(path, figure, dpi=200)
