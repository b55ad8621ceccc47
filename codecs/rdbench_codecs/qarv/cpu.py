"""The published network, rearranged for coding on a CPU: same function, less memory traffic.

- AdaLN's affine is the affine of the layer norm, which costs nothing more.
- The layer scale is folded into the second linear layer.
- Features stay in the channels-last layout, so that no permutation copies anything.
- Linear layers and convolutions run on packed weights in oneDNN by name. PyTorch's own choice of a
  program, and the results of its matrix product, depend on the number of threads; these do not, so
  that encoder and decoder agree to the last bit.
- A block works on some positions at a time, so that what is between its layers stays in the cache.
"""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from rdbench_codecs.qarv.network import ChannelNorm, Condition, ConvNextBlock

_CHUNK = 2**20
"""Hidden values that a block computes at a time; four bytes each, they should fit the cache."""


class FoldedBlock(nn.Module):
    """A ConvNeXt block with layer norm and the affine at position 2, for one lambda at a time."""

    def __init__(self, block: ConvNextBlock) -> None:
        super().__init__()
        gamma = block.gamma.detach().flatten()
        self.embedding_layer = cast(nn.Module, block.embedding_layer)
        self.conv_dw = PackedConvolution(block.conv_dw)
        self.eps = cast(ChannelNorm, block.norm).eps
        self.fc1 = _linear(block.mlp.fc1.weight.detach(), block.mlp.fc1.bias.detach())
        self.fc2 = _linear(
            (gamma[:, None] * block.mlp.fc2.weight).detach(), (gamma * block.mlp.fc2.bias).detach()
        )
        self.rows_at_once = max(1, _CHUNK // block.mlp.fc1.out_features)

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        """Same shape as x, (1, width, height, width)."""
        # The affine is given to layer_norm, which has none of its own; the layer scale is in fc2.
        # GELU and the sum overwrite what is not needed any more.
        shift, scale = condition.affine(self.embedding_layer)
        shortcut, rows = rows_of(x), rows_of(self.conv_dw(x))
        result = torch.empty_like(shortcut)
        parts = (torch.split(t, self.rows_at_once) for t in (rows, shortcut, result))
        for part, old, new in zip(*parts, strict=True):
            normalized = functional.layer_norm(part, part.shape[1:], scale[0], shift[0], self.eps)
            hidden = torch.ops.aten.gelu_(self.fc1(normalized))
            torch.add(self.fc2(hidden), old, out=new)
        return image_of(result, x)


class PackedConvolution(nn.Module):
    """A convolution on packed weights, with or without lambda as a second argument."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.convolve = _convolution(convolution)

    def forward(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """(1, out_channels, height / stride, width / stride)."""
        return self.convolve(x)


def accelerate(network: nn.Module) -> None:
    """Replace every block of the published kind and every convolution; for coding only."""
    for name, child in network.named_children():
        if isinstance(child, ConvNextBlock) and can_fold(child):
            setattr(network, name, FoldedBlock(child))
        elif isinstance(child, nn.Conv2d):
            setattr(network, name, PackedConvolution(child))
        else:
            accelerate(child)


def can_fold(block: ConvNextBlock) -> bool:
    """Return whether a block is of the published kind."""
    return (
        block.embedding_layer is not None
        and block.affine_position == 2
        and isinstance(block.norm, ChannelNorm)
        and block.norm.weight is None
    )


def rows_of(x: Tensor) -> Tensor:
    """Return (1, channels, height, width) as (height * width, channels)."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def image_of(rows: Tensor, like: Tensor) -> Tensor:
    """Return (height * width, channels) as (1, channels, height, width)."""
    return rows.view(1, *like.shape[2:], rows.shape[1]).permute(0, 3, 1, 2)


def _convolution(convolution: nn.Conv2d) -> Callable[[Tensor], Tensor]:
    weight, bias = convolution.weight.detach(), cast(Tensor, convolution.bias).detach()
    if convolution.kernel_size == (1, 1) and convolution.groups == 1:
        linear = _linear(weight.flatten(1), bias)
        return lambda x: image_of(linear(rows_of(x)), x)
    padding = list(cast(tuple[int, int], convolution.padding))
    stride = list(convolution.stride)
    if not _packs(weight):
        return lambda x: functional.conv2d(x, weight, bias, stride, padding, 1, convolution.groups)
    geometry = padding, stride, [1, 1], convolution.groups
    input_shape = [1, convolution.in_channels, 64 * stride[0], 64 * stride[1]]
    # Private operators, the ones that torch's own compiler uses: they name oneDNN, while nn.Conv2d
    # chooses a library by the number of threads. The input shape is a hint for the layout alone.
    packed = torch.ops.mkldnn._reorder_convolution_weight(weight, *geometry, input_shape)
    convolve = torch.ops.mkldnn._convolution_pointwise.default
    return lambda x: cast(Tensor, convolve(x, packed, bias, *geometry, "none", [], ""))


def _linear(weight: Tensor, bias: Tensor) -> Callable[[Tensor], Tensor]:
    if not _packs(weight):
        return lambda x: functional.linear(x, weight, bias)
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, 4096)
    product = torch.ops.mkldnn._linear_pointwise.default
    return lambda x: cast(Tensor, product(x, packed, bias, "none", [], ""))


def _packs(weight: Tensor) -> bool:
    available = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return weight.device.type == "cpu" and bool(available)
