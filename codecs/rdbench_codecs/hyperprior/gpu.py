"""The hyper synthesis rearranged for coding on a GPU: same function, other order of the sums.

Its convolutions, which decide the scales of y, are matrix products. cuDNN might choose Fourier or
Winograd transforms, whose errors are larger. A transposed convolution of stride 2 becomes one
convolution and a pixel shuffle first.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from rdbench_codecs.hyperprior.networks import Network, ScaleHyperprior


def accelerate(network: Network) -> None:
    """Replace layers of the hyper synthesis, in place; for coding on a GPU only."""
    # Elsewhere sub-pixel convolutions were slower, 35 ms instead of 8 for an image of 768x512, and
    # took 40 GiB: cuDNN chooses a bad algorithm for 3x3 convolutions to many channels.
    if isinstance(network, ScaleHyperprior):
        _replace_transposed(network.h_s)
        _replace_convolutions(network.h_s)


def _replace_transposed(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.ConvTranspose2d):
            setattr(module, name, _sub_pixel(child))
        else:
            _replace_transposed(child)


def _replace_convolutions(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.Conv2d):
            setattr(module, name, _Product(child))
        else:
            _replace_convolutions(child)


def _sub_pixel(transposed: nn.ConvTranspose2d) -> nn.Sequential:
    """5x5, stride 2, to twice the height and width."""
    weight, bias = transposed.weight, cast(Tensor, transposed.bias)
    n_in, n_out = weight.shape[:2]
    # Output 2 i + p sums over inputs i + d with the tap p + 2 (1 - d), d = -1, 0 or 1. A sixth row
    # and column of zeros serve p = 1, d = -1.
    taps = functional.pad(weight, (0, 1, 0, 1)).reshape(n_in, n_out, 3, 2, 3, 2).flip(2, 4)
    convolution: nn.Conv2d = nn.utils.skip_init(  # type: ignore[no-untyped-call]
        nn.Conv2d, n_in, 4 * n_out, 3, padding=1, device=weight.device
    ).requires_grad_(False)
    convolution.weight.copy_(taps.permute(1, 3, 5, 0, 2, 4).flatten(0, 2))
    cast(Tensor, convolution.bias).copy_(bias.repeat_interleave(4))
    return nn.Sequential(convolution, nn.PixelShuffle(2))


class _Product(nn.Module):
    """A convolution of one image as a matrix product."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.weight = convolution.weight.flatten(1)
        self.bias = cast(Tensor, convolution.bias)[:, None]
        self._size = cast(tuple[int, int], convolution.kernel_size)
        self._padding = cast(tuple[int, int], convolution.padding)

    def forward(self, x: Tensor) -> Tensor:
        """(1, out_channels, height, width)."""
        patches = functional.unfold(x, self._size, padding=self._padding)
        return torch.addmm(self.bias, self.weight, patches[0]).view(1, -1, *x.shape[2:])
