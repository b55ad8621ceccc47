"""QVRF: one regulator a of the quantization step gives a network a continuous range of rates.

Tong et al. 2023, "QVRF: A quantization-error-aware variable rate framework for learned image
compression", https://arxiv.org/abs/2303.05744. y - mean and its scale are multiplied by a around
rounding (equation 6). A trained network carries one a for each Lagrange multiplier.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LAMBDAS = (0.0018, 0.0035, 0.0067, 0.0130, 0.0250, 0.0483, 0.0932, 0.1800, 0.36, 0.72, 1.44)
"""Lagrange multipliers of the regulators: the first 8 in the paper, all 11 in its appendix."""

REGULATOR_RANGE = (0.5, 12.0)
"""Regulators that the published program takes."""

LAMBDA_RANGE = (0.0, 10.0)
"""Lagrange multipliers for which a regulator is looked for; the largest published one is 1.44."""


@dataclass(frozen=True)
class RegulatorFit:
    """Least squares of sqrt(lambda / lambda_ref) = slope * a + intercept (equation 7, Figure 3).

    Attributes:
        lambdas: Lagrange multipliers; the first is lambda_ref.
        regulators: the regulator of each.
        slope, intercept: of the line.
        r2: share of the variance that the line explains.
    """

    lambdas: tuple[float, ...]
    regulators: tuple[float, ...]
    slope: float
    intercept: float
    r2: float

    def regulator(self, lambda_: float) -> float:
        """The regulator that the line gives to a Lagrange multiplier."""
        return (float(np.sqrt(lambda_ / self.lambdas[0])) - self.intercept) / self.slope

    def draw(self, axes: "Axes") -> None:
        """Draw the regulators and the line (Figure 3)."""
        a, roots = np.array(self.regulators), np.sqrt(np.array(self.lambdas) / self.lambdas[0])
        line = f"{self.slope:.4f} a {self.intercept:+.4f}, R² = {self.r2:.4f}"
        axes.plot(a, roots, "o", color="#0072B2", label="regulators")
        axes.plot(a, self.slope * a + self.intercept, color="#0072B2", lw=1, label=line)
        axes.set_xlabel("regulator a")
        axes.set_ylabel("√(λ / λ_ref)")
        axes.legend(fontsize=7, frameon=False)


def fit_regulators(lambdas: Sequence[float], regulators: Sequence[float]) -> RegulatorFit:
    """Fit the line of equation 7 to regulators, one a Lagrange multiplier; two at least."""
    a = np.asarray(regulators, np.float64)
    root = np.sqrt(np.asarray(lambdas, np.float64) / lambdas[0])
    slope, intercept = np.polyfit(a, root, 1)
    residual = root - (slope * a + intercept)
    r2 = 1 - float(np.sum(residual**2) / np.sum((root - root.mean()) ** 2))
    return RegulatorFit(tuple(lambdas), tuple(a.tolist()), float(slope), float(intercept), r2)
