"""The figure of a model card: training loss, rate-distortion curve, QVRF's regulators."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rdbench.curve import Curve
from rdbench.report.style import PAGE_IN, STYLE
from rdbench.spec import get_codec
from rdbench_codecs.hyperprior.codec import Qvrf

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BLUE, _PALE, _ORANGE = "#0072B2", "#9ecae1", "#D55E00"
_RIVALS = ("#000000", "#009E73", "#CC79A7", "#E69F00", "#999999")
_SMOOTHED_STEPS = 1000


def draw_card(
    codec: str, training: Sequence[Path], curve: Curve, rivals: Sequence[Curve], path: Path
) -> None:
    """Write the figure.

    Args:
        codec: name of the codec.
        training: logs of the parts of the training, in order.
        curve: the codec's curve.
        rivals: curves to compare it with, best first.
        path: SVG to write.
    """
    point = get_codec(codec)
    n_panels = 3 if isinstance(point, Qvrf) else 2
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE_IN, 2.7), layout="constrained")
        panels = figure.subplots(1, n_panels)
        _losses(panels[0], training)
        _rates(panels[1], codec, curve, rivals)
        if isinstance(point, Qvrf):
            _regulators(panels[2], point)
        figure.savefig(path, metadata={"Date": None})


def _losses(axes: "Axes", training: Sequence[Path]) -> None:
    begin = 0
    for path in training:
        log = pd.read_csv(path)
        steps, loss = begin + log["step"], log["loss"]
        axes.plot(steps, loss, color=_PALE, linewidth=0.5)
        rows = max(1, round(_SMOOTHED_STEPS / log["step"].diff().median()))
        smooth = loss.rolling(rows, min_periods=1, center=True).median()
        axes.plot(steps, smooth, color=_BLUE, linewidth=1.2)
        if begin:
            axes.axvline(begin, color="#999999", linewidth=0.8, linestyle=":")
        begin = int(steps.iloc[-1])
    axes.set(yscale="log", xlabel="step", title="Training loss")
    axes.xaxis.set_major_formatter(lambda x, _: f"{x / 1000:g}k" if x else "0")


def _rates(axes: "Axes", codec: str, curve: Curve, rivals: Sequence[Curve]) -> None:
    for rival, colour in zip(rivals, _RIVALS, strict=True):
        dashes = "-" if rival.source == "measured" else (0, (4, 2))
        label = f"{rival.codec}, {rival.source}" if rival.source != "measured" else rival.codec
        axes.plot(
            rival.bpp,
            rival.scores["psnr_rgb"],
            color=colour,
            linestyle=dashes,
            lw=1,
            label=label,
        )
    axes.plot(curve.bpp, curve.scores["psnr_rgb"], "o-", color=_BLUE, ms=3, label=codec)
    low, high = min(curve.scores["psnr_rgb"]), max(curve.scores["psnr_rgb"])
    axes.set(xlim=(0, 1.05 * max(curve.bpp)), ylim=(low - 1, high + 3))
    axes.set(xlabel="bits per pixel", ylabel="PSNR RGB in dB", title="Kodak, real files")
    axes.legend(fontsize=6, loc="lower right", frameon=True, edgecolor="none", framealpha=0.85)


def _regulators(axes: "Axes", point: Qvrf) -> None:
    fit = point.regulator_fit()
    a = np.asarray(fit.regulators)
    ends = np.array([a.min(), a.max()])
    line = f"{fit.slope:.3f} a {round(fit.intercept, 3) + 0.0:+.3f}\nR² = {fit.r2:.4f}"
    axes.plot(ends, fit.slope * ends + fit.intercept, color=_ORANGE, linewidth=1.2, label=line)
    axes.plot(a, np.sqrt(np.asarray(fit.lambdas) / fit.lambdas[0]), "o", color=_BLUE, ms=4)
    axes.set(xlabel="regulator a", ylabel="√(λ / λ_ref)", title="Regulators")
    axes.legend(fontsize=7, loc="upper left")
