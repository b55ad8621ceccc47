"""The loss of QARV: rate plus lambda times distortion, lambda drawn for every image."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, ClassVar

import torch
from torch import Tensor

from rdbench.errors import DataError
from rdbench_codecs.qarv.config import CONFIGS, LAMBDAS, QarvConfig
from rdbench_codecs.qarv.initialization import start_from_components
from rdbench_codecs.qarv.network import DISCRETE_LAMBDAS, ConvNextBlock, QarvNetwork, to_pixels
from rdbench_codecs.training.objective import (
    Losses,
    Objective,
    constant,
    is_number,
    is_one_of,
    stratified,
)

_MAX_COMPILED = 256
"""Sizes of residual blocks."""


class QarvObjective(Objective):
    """Equation 16 of the paper.

    Settings of a stage:
        lambda_sampling: ``cube root`` (the paper's, equation 24), ``log``, or ``discrete``: one of
            the eight values that CConv and QSF are trained for. Each batch spans the range: one
            value is drawn from each of as many equal parts as there are images.
        lambda: one value for all images instead.
        lambda_balance: each image's loss is divided by lambda to this power (0: not at all, as in
            the paper), so that those of small lambda are not drowned by the others.
        distortion: ``mse`` on the [-1, 1] scale, or ``ms-ssim`` for 1 - MS-SSIM.

    Args:
        network: ``config = NAME`` of rdbench_codecs.qarv.config.CONFIGS, and settings of
            `QarvConfig` that replace its own.
    """

    stage_settings: ClassVar[Mapping[str, Callable[[Any], bool]]] = {
        "lambda_sampling": is_one_of("cube root", "log", "discrete"),
        "lambda": is_number(*LAMBDAS),
        "lambda_balance": is_number(0, 1),
        "distortion": is_one_of("mse", "ms-ssim"),
    }

    def __init__(self, network: Mapping[str, Any]) -> None:
        super().__init__()
        changes = dict(network)
        name = changes.pop("config", "base")
        if not isinstance(name, str) or name not in CONFIGS:
            raise DataError(f"no configuration is named {name!r}; there are {', '.join(CONFIGS)}")
        self.network: QarvNetwork = QarvNetwork(
            QarvConfig.from_mapping({**asdict(CONFIGS[name]), **changes})
        ).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor, settings: Mapping[str, Any]) -> Losses:
        lambda_ = self.lambdas(len(images), settings, images.device)
        images = images.contiguous(memory_format=torch.channels_last)
        nats, output = self.network(images, lambda_)
        output = output.float()
        rate = nats.sum(1) / images[0].numel()
        if settings.get("distortion", "mse") == "mse":
            distortion = ((output - (2 * images - 1)) ** 2).mean((1, 2, 3))
        else:
            distortion = _one_minus_ms_ssim(to_pixels(output), images)
        balance = lambda_ ** -float(settings.get("lambda_balance", 0))
        loss = (balance * (rate + lambda_ * distortion)).mean()
        mse = ((to_pixels(output.detach()) - images) ** 2).mean()
        bpp = rate.detach().mean() * images.shape[1] / math.log(2)
        return Losses(loss, torch.zeros_like(loss), bpp, mse)

    def start_from_components(self, images: Tensor) -> None:
        start_from_components(self.network, images)

    def config(self) -> dict[str, Any]:
        return self.network.config.changes()

    def compile_parts(self) -> None:
        """The residual blocks and the code length."""
        torch._dynamo.config.cache_size_limit = _MAX_COMPILED
        for block in self.network.modules():
            if isinstance(block, ConvNextBlock):
                block.compute = torch.compile(block.compute, dynamic=False)  # type: ignore[method-assign]
        self.network.code_length = torch.compile(self.network.code_length, dynamic=False)

    def lambdas(self, n: int, settings: Mapping[str, Any], device: torch.device) -> Tensor:
        """n values of lambda, drawn as the settings say."""
        if "lambda" in settings:
            return torch.full((n,), float(settings["lambda"]), device=device)
        sampling = settings.get("lambda_sampling", "cube root")
        if sampling not in _SAMPLINGS:
            raise DataError(f"no sampling of lambda is named {sampling!r}: {', '.join(_SAMPLINGS)}")
        low, high = self.network.config.lambda_range
        return _SAMPLINGS[sampling](stratified(n, device), low, high)


def _cube_root(share: Tensor, low: float, high: float) -> Tensor:
    first, last = low ** (1 / 3), high ** (1 / 3)
    return torch.pow(first + (last - first) * share, 3)


def _log(share: Tensor, low: float, high: float) -> Tensor:
    return (share * math.log(high / low)).exp() * low


def _discrete(share: Tensor, low: float, high: float) -> Tensor:
    values = constant(tuple(v for v in DISCRETE_LAMBDAS if low <= v <= high), share.device)
    return values[(share * len(values)).long()]


_SAMPLINGS: dict[str, Callable[[Tensor, float, float], Tensor]] = {
    "cube root": _cube_root,
    "log": _log,
    "discrete": _discrete,
}
"""Lambdas from numbers uniform in [0, 1), and the range of lambda."""


def _one_minus_ms_ssim(reconstruction: Tensor, images: Tensor) -> Tensor:
    from pytorch_msssim import ms_ssim

    values: Tensor = ms_ssim(reconstruction, images, data_range=1.0, size_average=False)
    return 1 - values
