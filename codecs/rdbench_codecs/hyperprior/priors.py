"""Entropy models of the latents: the factorized prior of z and the conditional Gaussian of y.

Both follow Balle et al. 2018, "Variational image compression with a scale hyperprior",
https://arxiv.org/abs/1802.01436, with the constants of the published program.
"""

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from rdbench_codecs.hyperprior.layers import lower_bound
from rdbench_codecs.learned.entropy import CategoricalTables, ScaleTables

SCALES = np.exp(np.linspace(math.log(0.11), math.log(256), 64))
"""Standard deviations for which y has a coder table."""

LIKELIHOOD_FLOOR = 1e-9

_TAIL_MASS = 1e-9
_MIN_RADIUS = 16  # of a table of y
_MAX_RADIUS = 2**12  # of a table of the factorized prior, whatever the quantiles say


class EntropyBottleneck(nn.Module):
    """A learned density per channel, whose cumulative is a monotonic network of five layers.

    Appendix 6.1 of Balle et al. 2018.

    Args:
        channels: of the latent.
    """

    _WIDTHS = (1, 3, 3, 3, 3, 1)
    _INIT_SCALE = 10.0

    def __init__(self, channels: int) -> None:
        super().__init__()
        n_layers = len(self._WIDTHS) - 1
        scale = self._INIT_SCALE ** (1 / n_layers)
        for i, (n_in, n_out) in enumerate(zip(self._WIDTHS, self._WIDTHS[1:], strict=False)):
            start = math.log(math.expm1(1 / scale / n_out))
            matrix = nn.Parameter(torch.full((channels, n_out, n_in), start))
            bias = nn.Parameter(torch.empty(channels, n_out, 1).uniform_(-0.5, 0.5))
            self.register_parameter(f"_matrix{i}", matrix)
            self.register_parameter(f"_bias{i}", bias)
            if i < n_layers - 1:
                factor = nn.Parameter(torch.zeros(channels, n_out, 1))
                self.register_parameter(f"_factor{i}", factor)
        start_quantiles = torch.tensor([-self._INIT_SCALE, 0.0, self._INIT_SCALE])
        self.quantiles = nn.Parameter(start_quantiles.repeat(channels, 1, 1))

    @property
    def medians(self) -> Tensor:
        """(channels, 1, 1), no gradient: what z is rounded around."""
        return self.quantiles[:, :, 1:2].detach()

    def likelihood(self, z: Tensor) -> Tensor:
        """Probability mass of [z - 1/2, z + 1/2], at least 1e-9.

        Args:
            z: (batch, channels, height, width).
        """
        flat = z.transpose(0, 1).flatten(1).unsqueeze(1)
        with torch.autocast(z.device.type, enabled=False):  # a difference of two like numbers
            mass = lower_bound(self._mass(flat), LIKELIHOOD_FLOOR)
        return mass.reshape(z.transpose(0, 1).shape).transpose(0, 1)

    def quantile_loss(self) -> Tensor:
        """Auxiliary loss: 0 where ``quantiles`` are the median and the two tails of the density."""
        target = math.log(2 / _TAIL_MASS - 1)
        logits = self._logits(self.quantiles, [p.detach() for p in self._layers()])
        signs = torch.arange(-1, 2, device=logits.device)  # made there: see Objective.forward
        return (logits - target * signs).abs().sum()

    def tables(self) -> CategoricalTables:
        """Coder tables of the integers round(z - median), one a channel, between its quantiles.

        Computed in float64, so that machines agree on them.
        """
        layers = [p.detach().double().cpu() for p in self._layers()]
        quantiles = self.quantiles.detach().double().cpu()[:, 0]
        median = quantiles[:, 1]
        below = (median - quantiles[:, 0]).ceil().clamp(0, _MAX_RADIUS).int()
        above = (quantiles[:, 2] - median).ceil().clamp(0, _MAX_RADIUS).int()
        symbols = torch.arange(-int(below.max()), int(above.max()) + 1)
        mass = self._mass((median[:, None] + symbols)[:, None], layers)[:, 0].numpy()
        first = int(below.max()) - below.numpy()
        sizes = (below + above + 1).numpy()
        pmfs = [row[a : a + n] for row, a, n in zip(mass, first, sizes, strict=True)]
        return CategoricalTables(pmfs, -below.numpy())

    def _layers(self) -> list[Tensor]:
        """matrix 0, bias 0, factor 0, matrix 1, ... matrix 4, bias 4."""
        names = [f"{kind}{i}" for i in range(5) for kind in ("_matrix", "_bias", "_factor")]
        return [getattr(self, name) for name in names[:-1]]

    def _mass(self, z: Tensor, layers: list[Tensor] | None = None) -> Tensor:
        """Probability mass of [z - 1/2, z + 1/2], z: (channels, 1, n)."""
        layers = layers or self._layers()
        lower, upper = self._logits(z - 0.5, layers), self._logits(z + 0.5, layers)
        return torch.sigmoid(upper) - torch.sigmoid(lower)

    @staticmethod
    def _logits(z: Tensor, layers: list[Tensor]) -> Tensor:
        """Logits of the cumulative at z: (channels, 1, n)."""
        for i in range(0, len(layers), 3):
            z = functional.softplus(layers[i]) @ z + layers[i + 1]
            if i + 2 < len(layers):
                z = z + torch.tanh(layers[i + 2]) * torch.tanh(z)
        return z


def gaussian_likelihood(residual: Tensor, scale: Tensor) -> Tensor:
    """Mass of a zero-mean Gaussian on [residual - 1/2, residual + 1/2], at least 1e-9.

    Args:
        residual: y - mean, any shape.
        scale: standard deviation, same shape; at least 0.11 is used.
    """
    scale = lower_bound(scale, float(SCALES[0]))
    distance = residual.abs()
    mass = _normal_cumulative((0.5 - distance) / scale) - _normal_cumulative(
        (-0.5 - distance) / scale
    )
    return lower_bound(mass, LIKELIHOOD_FLOOR)


def gaussian_tables() -> ScaleTables:
    """Coder tables of y, one per scale of SCALES, which serves the scales nearest to it by ratio.

    Wide enough that no symbol falls outside which the likelihood floor does not make as dear. (The
    published program takes the next larger scale instead, which costs up to 4 % more bits.)
    """
    from scipy.special import ndtr, ndtri

    radii = np.maximum(_MIN_RADIUS, np.ceil(-SCALES * ndtri(_TAIL_MASS / 2))).astype(int)
    distances = [np.abs(np.arange(-radius, radius + 1)) for radius in radii]
    pmfs = [
        ndtr((0.5 - distance) / scale) - ndtr((-0.5 - distance) / scale)
        for distance, scale in zip(distances, SCALES, strict=True)
    ]
    return ScaleTables(pmfs, -radii, np.sqrt(SCALES[1:] * SCALES[:-1]))


def ideal_bits(likelihood: Tensor) -> npt.NDArray[np.float32]:
    """Code length of symbols of these probabilities in bits, same shape."""
    bits: npt.NDArray[np.float32] = -likelihood.log2().cpu().numpy()
    return bits


def _normal_cumulative(x: Tensor) -> Tensor:
    return 0.5 * torch.erfc(x * -(2**-0.5))
