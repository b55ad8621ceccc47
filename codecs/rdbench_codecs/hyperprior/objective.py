"""The loss of the hyperprior networks at one rate, and of every method that makes it variable."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from rdbench.errors import DataError
from rdbench_codecs.hyperprior.initialization import start_from_components
from rdbench_codecs.hyperprior.loading import build
from rdbench_codecs.hyperprior.networks import FIXED_RATE, Network, ScaleHyperprior
from rdbench_codecs.hyperprior.qvrf import LAMBDAS
from rdbench_codecs.hyperprior.rates import level_points
from rdbench_codecs.training.objective import (
    Losses,
    Objective,
    constant,
    is_number,
    is_one_of,
    stratified,
)

_WHITE = 255.0
_MAX_CHANNELS = 4096


def _are_levels(value: Any) -> bool:
    whole = isinstance(value, list | tuple) and all(type(level) is int for level in value)
    return whole and len(value) > 0 and all(0 <= level < len(LAMBDAS) for level in value)


class HyperpriorObjective(Objective):
    """Rate in bits per pixel plus lambda * 255^2 * mean squared error.

    Settings of a stage:
        levels: whole levels of which each image draws one, all by default; level i has the
            Lagrange multiplier LAMBDAS[i]. A batch draws from all of them alike. A fixed-rate
            network takes one.
        lambda_balance: each image's loss is divided by lambda to this power (0: not at all, as in
            the papers), so that those of small lambda are not drowned by the others.
        variable_rate: false trains the network alone, as if at a fixed rate (QVRF's first stage).
        quantization: ``noise``, or ``straight-through``: rounded latents, whose gradient is that of
            the latents themselves (QVRF's third stage).

    Args:
        network: ``baseline`` and ``method``, see `build`; channels ``n`` and ``m``.
    """

    stage_settings: ClassVar[Mapping[str, Callable[[Any], bool]]] = {
        "levels": _are_levels,
        "lambda_balance": is_number(0, 1),
        "variable_rate": is_one_of(True, False),
        "quantization": is_one_of("noise", "straight-through"),
    }

    def __init__(self, network: Mapping[str, Any]) -> None:
        super().__init__()
        if wrong := network.keys() ^ {"baseline", "method", "n", "m"}:
            raise DataError(f"the network of a recipe has channels n and m: see {min(wrong)!r}")
        for name in ("n", "m"):
            if type(network[name]) is not int or not 1 <= network[name] <= _MAX_CHANNELS:
                raise DataError(f"{name} of a network is 1 to {_MAX_CHANNELS} channels")
        if names := [network[k] for k in ("baseline", "method") if type(network[k]) is not str]:
            raise DataError(f"baseline and method of a network are names, not {names[0]!r}")
        self._settings = dict(network)
        self.network: Network = build(**self._settings)

    def forward(self, images: Tensor, settings: Mapping[str, Any]) -> Losses:
        choice = tuple(settings.get("levels", range(8)))
        share = stratified(len(images), images.device)
        levels = constant(choice, images.device)[(share * len(choice)).long()].long()
        method = self._settings["method"] if settings.get("variable_rate", True) else "fixed"
        points = FIXED_RATE if method == "fixed" else level_points(self.network, method, levels)
        straight_through = settings.get("quantization", "noise") == "straight-through"
        estimate = self.network(images, points, straight_through)
        n_pixels = images[0, 0].numel()
        bits = [-p.log2().sum((1, 2, 3)) for p in estimate.likelihoods.values()]
        bpp = torch.stack(bits).sum(0) / n_pixels
        x_hat = estimate.x_hat.float()
        distortion = _WHITE**2 * ((x_hat - images) ** 2).mean((1, 2, 3))
        lambda_ = constant(tuple(LAMBDAS), images.device)[levels]
        balance = lambda_ ** -float(settings.get("lambda_balance", 0))
        loss = (balance * (bpp + lambda_ * distortion)).mean()
        mse = ((x_hat.detach().clamp(0, 1) - images) ** 2).mean()
        return Losses(loss, self.network.quantile_loss(), bpp.detach().mean(), mse)

    def check(self) -> None:
        """QVRF's regulators ascend: one that falls below its neighbour has collapsed.

        The gradient of a regulator stops at its reciprocal, so with noise nothing holds it up.
        """
        free = getattr(self.network, "Gain", torch.empty(0)).tolist()[1:]
        if any(a <= below for below, a in pairwise([1.0, *free])):
            shown = ", ".join(f"{a:.3g}" for a in [1.0, *free])
            raise DataError(
                f"regulators no longer ascend: {shown}; train with frozen = ['Gain'] and free "
                "them in a last stage"
            )

    def start_from_components(self, images: Tensor) -> None:
        if not isinstance(self.network, ScaleHyperprior):
            raise DataError("principal components are for networks with a hyperprior")
        start_from_components(self.network, images)

    def config(self) -> dict[str, Any]:
        return dict(self._settings)

    def auxiliary_parameters(self) -> list[nn.Parameter]:
        return [self.network.entropy_bottleneck.quantiles]
