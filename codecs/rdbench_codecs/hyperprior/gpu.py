"""The transforms rearranged for coding on a GPU: same function, other order of the sums.

- A transposed convolution of stride 2 is one convolution and a pixel shuffle: of the deterministic
  algorithms, cuDNN has slow ones for transposed convolutions alone.
- The convolutions that decide scales are matrix products. cuDNN might choose Fourier or Winograd
  transforms, whose errors are larger.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from rdbench_codecs.hyperprior.networks import Network


def accelerate(network: Network) -> None:
    """Replace layers of the transforms, in place; for coding on a GPU only."""
    _replace_transposed(network)
    for name, child in network.named_children():
        if name == "h_s":
            _replace_convolutions(child)


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
    convolution = nn.utils.skip_init(
        nn.Conv2d, n_in, 4 * n_out, 3, padding=1, device=weight.device
    ).requires_grad_(False)
    convolution.weight.copy_(taps.permute(1, 3, 5, 0, 2, 4).flatten(0, 2))
    convolution.bias.copy_(bias.repeat_interleave(4))
    return nn.Sequential(_Contiguous(), convolution, nn.PixelShuffle(2))


class _Contiguous(nn.Module):
    """Channels first: cuDNN converts to that and back around each of its float32 convolutions."""

    def forward(self, x: Tensor) -> Tensor:
        return x.contiguous()


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
