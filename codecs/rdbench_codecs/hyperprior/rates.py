"""What the variable-rate methods add to a network, and the rate points that it then has.

    fixed       nothing
    qvrf        a regulator per level (Tong et al. 2023, https://arxiv.org/abs/2303.05744)
    theis2017   a scale per channel and level, around the whole entropy model
                (Theis et al. 2017, https://arxiv.org/abs/1703.00395)
    cui2021     a gain and an inverse gain per channel and level, of y and of z
                (Cui et al. 2021, https://arxiv.org/abs/2003.02012)
    song2021    feature transforms, see feature_transforms.py

Scales and gains of what lies between two levels are interpolated exponentially (Cui et al.,
equation 7).
"""

from collections.abc import Callable
from dataclasses import fields
from typing import cast

import torch
from torch import Tensor, nn

from rdbench.errors import UsageError
from rdbench_codecs.hyperprior.dimensions import N_LEVELS
from rdbench_codecs.hyperprior.networks import (
    FIXED_RATE,
    JointAutoregressive,
    Network,
    RatePoint,
    ScaleHyperprior,
)
from rdbench_codecs.hyperprior.qvrf import LAMBDAS


def add_parameters(network: Network, method: str, n_levels: int = N_LEVELS) -> None:
    """Give ``network`` the parameters of a method, a row per level, at their published start."""
    steps = (torch.tensor(LAMBDAS[:n_levels]) / LAMBDAS[0]).sqrt()  # sqrt(lambda / lambda_ref)
    ones = torch.ones(n_levels)
    added = {
        "qvrf": {"Gain": steps},
        "theis2017": {"scales": _per_channel(steps, network.m)},
        "cui2021": {
            "y_gain": _per_channel(steps, network.m),
            "y_inverse_gain": _per_channel(1 / steps, network.m),
            "z_gain": _per_channel(ones, network.n),
            "z_inverse_gain": _per_channel(ones, network.n),
        },
    }
    for name, values in added.get(method, {}).items():
        network.register_parameter(name, nn.Parameter(values))


def _per_channel(values: Tensor, channels: int) -> Tensor:
    return values[:, None].repeat(1, channels)


def level_points(network: Network, method: str, levels: Tensor) -> RatePoint:
    """The rate points of whole levels (batch,) in training, with the gradient of what sets them.

    QVRF's first regulator stays at 1.
    """
    if method == "qvrf":
        gain: Tensor = network.Gain  # type: ignore[assignment]
        regulators = torch.where(levels > 0, gain[levels].clamp(min=1e-4), 1.0)
        return RatePoint(regulator=regulators[:, None, None, None])
    points = [POINTS[method](network, float(level)) for level in levels]
    stacked = {
        field.name: torch.stack(
            [torch.as_tensor(getattr(point, field.name)).reshape(-1, 1, 1) for point in points]
        ).to(levels.device)
        for field in fields(RatePoint)
    }
    return RatePoint(**stacked)


@torch.no_grad()
def fold_regulator(network: Network, regulator: float) -> None:
    """Make a network at regulator 1 what it is at ``regulator``: same integers, same image.

    The regulator moves into the layers around y: what makes it, what reads it, what predicts it.

    Raises:
        UsageError: y is made or read by something other than one convolution.
    """
    maker = network.g_a[-1]
    if not (isinstance(network, ScaleHyperprior) and isinstance(maker, nn.Conv2d)):
        raise UsageError("a regulator can be folded into 5x5 transforms with a hyperprior only")
    for layer in (maker, network.gaussian_layer()):
        for parameter in layer.parameters():
            parameter.mul_(regulator)
    readers = [network.g_s[0], network.h_a[0]]
    if isinstance(network, JointAutoregressive):
        readers.append(network.context_prediction)
    for reader in readers:
        cast(nn.Conv2d, reader).weight.div_(regulator)


def _scale_point(network: Network, level: float) -> RatePoint:
    scale = _between(network.scales, level)  # type: ignore[arg-type]
    return RatePoint(y_gain=scale, y_inverse_gain=1 / scale)


def _gain_point(network: Network, level: float) -> RatePoint:
    names = ("y_gain", "y_inverse_gain", "z_gain", "z_inverse_gain")
    return RatePoint(**{name: _between(getattr(network, name), level) for name in names})


POINTS: dict[str, Callable[[Network, float], RatePoint]] = {
    "fixed": lambda network, parameter: FIXED_RATE,
    "qvrf": lambda network, regulator: RatePoint(regulator=regulator),
    "theis2017": _scale_point,
    "cui2021": _gain_point,
    "song2021": lambda network, level: RatePoint(quality=level / (N_LEVELS - 1)),
}
"""Rate point of a network, given the rate parameter in the header of a file: QVRF's regulator, or
the level, 0 to N_LEVELS - 1, of the others."""


def _between(gains: Tensor, level: float) -> Tensor:
    """|gain| of a level as (channels, 1, 1); geometric between two levels."""
    lower = min(int(level), len(gains) - 2)
    share = level - lower
    gain = gains[lower].abs() ** (1 - share) * gains[lower + 1].abs() ** share
    return gain[:, None, None]
