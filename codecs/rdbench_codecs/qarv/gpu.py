"""The published network, rearranged for coding on a GPU: same function, fewer and shorter kernels.

- A depth-wise convolution, the layer norm after it and AdaLN's affine are one kernel.
- The layer scale is folded into the second linear layer.
- Features stay in the channels-last layout. Convolutions whose patches do not overlap are matrix
  products.
"""

import warnings
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from rdbench.errors import RdbenchWarning
from rdbench_codecs.qarv.cpu import can_fold, image_of, rows_of
from rdbench_codecs.qarv.network import (
    ChannelNorm,
    Condition,
    ConvNextBlock,
    Upsampling,
)

_FAULTS: list[Exception] = []  # why the kernel does not run on this machine


class FoldedBlock(nn.Module):
    """A ConvNeXt block with layer norm and the affine at position 2, for one lambda at a time."""

    def __init__(self, block: ConvNextBlock) -> None:
        super().__init__()
        gamma, second = block.gamma.detach().flatten(), block.mlp.fc2
        self.embedding_layer = cast(nn.Module, block.embedding_layer)
        self.taps = block.conv_dw.weight.detach()[:, 0].flatten(1).t().contiguous()
        self.bias = cast(Tensor, block.conv_dw.bias).detach()
        self.eps = cast(ChannelNorm, block.norm).eps
        self.fc1 = block.mlp.fc1
        self.weight2 = (gamma[:, None] * second.weight).detach()
        self.bias2 = (gamma * second.bias).detach()

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        """Same shape as x, (1, width, height, width)."""
        shift, scale = condition.affine(self.embedding_layer)
        normalized = depthwise_norm(x, self.taps, self.bias, scale[0], shift[0], self.eps)
        hidden = torch.ops.aten.gelu_(self.fc1(normalized))
        return image_of(rows_of(x) + functional.linear(hidden, self.weight2, self.bias2), x)


class PatchConvolution(nn.Module):
    """A convolution whose stride is its kernel, with or without lambda as a second argument."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.size = convolution.kernel_size[0]
        self.weight = convolution.weight.detach().permute(0, 2, 3, 1).flatten(1).contiguous()
        self.bias = cast(Tensor, convolution.bias).detach()

    def forward(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """(1, out_channels, height / size, width / size)."""
        n, (_, channels, height, width) = self.size, x.shape
        rows, columns = height // n, width // n
        split = x.permute(0, 2, 3, 1).reshape(rows, n, columns, n, channels)
        patches = split.transpose(1, 2).reshape(rows * columns, n * n * channels)
        result = functional.linear(patches, self.weight, self.bias)
        return result.view(1, rows, columns, -1).permute(0, 3, 1, 2)


class SubPixelConvolution(nn.Module):
    """`Upsampling`, its channels in the order of the pixels in memory."""

    def __init__(self, upsampling: Upsampling) -> None:
        super().__init__()
        convolution = cast(nn.Conv2d, upsampling[0])
        n = self.factor = cast(nn.PixelShuffle, upsampling[1]).upscale_factor
        weight, bias = convolution.weight.detach().flatten(1), cast(Tensor, convolution.bias)
        # Pixel shuffle takes (channel, row, column); memory has (row, column, channel).
        self.weight = (
            weight.reshape(-1, n * n, weight.shape[1]).transpose(0, 1).flatten(0, 1).contiguous()
        )
        self.bias = bias.detach().view(-1, n * n).t().flatten().contiguous()

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        """(1, out_channels, height * factor, width * factor)."""
        n, (_, _, height, width) = self.factor, x.shape
        result = functional.linear(rows_of(x), self.weight, self.bias)
        pixels = result.view(height, width, n, n, -1).transpose(1, 2)
        return pixels.reshape(1, height * n, width * n, -1).permute(0, 3, 1, 2)


def accelerate(network: nn.Module) -> None:
    """Replace the blocks of the published kind and the convolutions of patches; for coding only."""
    for name, child in network.named_children():
        if isinstance(child, ConvNextBlock) and can_fold(child):
            setattr(network, name, FoldedBlock(child))
        elif isinstance(child, Upsampling):
            setattr(network, name, SubPixelConvolution(child))
        elif isinstance(child, nn.Conv2d) and child.kernel_size == child.stride:
            setattr(network, name, PatchConvolution(child))
        else:
            accelerate(child)


def depthwise_norm(
    x: Tensor, taps: Tensor, bias: Tensor, scale: Tensor, shift: Tensor, eps: float
) -> Tensor:
    """As `rdbench_codecs.qarv.kernels.depthwise_norm`, by that kernel where it runs."""
    if x.is_cuda and not _FAULTS:
        try:
            from rdbench_codecs.qarv import kernels

            return kernels.depthwise_norm(x, taps, bias, scale, shift, eps)
        except Exception as error:  # Triton has no common class of errors
            _FAULTS.append(error)
            warnings.warn(f"QARV's GPU kernel does not run: {error}", RdbenchWarning, stacklevel=2)
    size, channels = round(len(taps) ** 0.5), x.shape[1]
    weight = taps.t().reshape(channels, 1, size, size)
    convolved = functional.conv2d(x, weight, bias, padding=size // 2, groups=channels)
    return functional.layer_norm(rows_of(convolved), (channels,), scale, shift, eps)
