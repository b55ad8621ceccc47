"""The published network, rearranged for coding on a CPU: same function, less memory traffic.

- AdaLN's affine is the affine of the layer norm, which costs nothing more.
- The layer scale is folded into the second linear layer, and the shortcut is added by its product.
- Features stay in the channels-last layout, so that no permutation copies anything.
- All products run on packed weights in oneDNN by name. PyTorch's own choice of a program, and the
  results of its matrix product, depend on the number of threads; these do not, so that encoder and
  decoder agree to the last bit.
- A block works on some positions at a time, so that what is between its layers stays in the cache.
"""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from rdbench_codecs.qarv.network import ChannelNorm, Condition, ConvNextBlock

_CHUNK = 3 * 2**20
"""Hidden values that a block computes at a time; four bytes each, they should fit the cache."""


class FoldedBlock(nn.Module):
    """A ConvNeXt block with layer norm and the affine at position 2, for one lambda at a time."""

    def __init__(self, block: ConvNextBlock) -> None:
        super().__init__()
        gamma = block.gamma.detach().flatten()
        self.embedding_layer = cast(nn.Module, block.embedding_layer)
        self.conv_dw = _depthwise(block.conv_dw)
        self.eps = cast(ChannelNorm, block.norm).eps
        self.hidden = block.mlp.fc1.out_features
        self.fc1 = _linear(block.mlp.fc1.weight.detach(), block.mlp.fc1.bias.detach())
        self.fc2 = _linear_add(
            (gamma[:, None] * block.mlp.fc2.weight).detach(), (gamma * block.mlp.fc2.bias).detach()
        )

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        """Same shape as x, (1, width, height, width)."""
        shift, scale = condition.affine(self.embedding_layer)
        shortcut, rows = _rows(x), _rows(self.conv_dw(x))
        n_chunks = -(-len(rows) * self.hidden // _CHUNK)
        chunks = zip(rows.chunk(n_chunks), shortcut.chunk(n_chunks), strict=True)
        results = [self._layers(part, old, scale[0], shift[0]) for part, old in chunks]
        return _image(results[0] if n_chunks == 1 else torch.cat(results), x)

    def _layers(self, rows: Tensor, shortcut: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        normalized = functional.layer_norm(rows, rows.shape[1:], scale, shift, self.eps)
        return self.fc2(functional.gelu(self.fc1(normalized)), shortcut)


class PackedConvolution(nn.Module):
    """A 1x1 convolution."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        bias = cast(Tensor, convolution.bias).detach()
        self.linear = _linear(convolution.weight.detach().flatten(1), bias)

    def forward(self, x: Tensor) -> Tensor:
        """(1, out_channels, height, width)."""
        return _image(self.linear(_rows(x)), x)


def accelerate(network: nn.Module) -> None:
    """Replace every block of the published kind and every 1x1 convolution; for coding only."""
    for name, child in network.named_children():
        if isinstance(child, ConvNextBlock) and _can_fold(child):
            setattr(network, name, FoldedBlock(child))
        elif type(child) is nn.Conv2d and child.kernel_size == (1, 1) and child.groups == 1:
            setattr(network, name, PackedConvolution(child))
        else:
            accelerate(child)


def _can_fold(block: ConvNextBlock) -> bool:
    return (
        block.embedding_layer is not None
        and block.affine_position == 2
        and isinstance(block.norm, ChannelNorm)
        and block.norm.weight is None
    )


def _rows(x: Tensor) -> Tensor:
    """(1, channels, height, width) as (height * width, channels)."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _image(rows: Tensor, like: Tensor) -> Tensor:
    """(height * width, channels) as (1, channels, height, width)."""
    return rows.view(1, *like.shape[2:], rows.shape[1]).permute(0, 3, 1, 2)


def _depthwise(convolution: nn.Conv2d) -> Callable[[Tensor], Tensor]:
    weight, bias = convolution.weight.detach(), cast(Tensor, convolution.bias).detach()
    if not _packs(weight):
        return convolution
    (kernel, _), width = convolution.kernel_size, len(weight)
    geometry = [kernel // 2, kernel // 2], [1, 1], [1, 1], width
    packed = torch.ops.mkldnn._reorder_convolution_weight(weight, *geometry, [1, width, 64, 64])
    convolve = torch.ops.mkldnn._convolution_pointwise.default
    return lambda x: cast(Tensor, convolve(x, packed, bias, *geometry, "none", [], ""))


def _linear(weight: Tensor, bias: Tensor) -> Callable[[Tensor], Tensor]:
    if not _packs(weight):
        return lambda x: functional.linear(x, weight, bias)
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, 4096)
    product = torch.ops.mkldnn._linear_pointwise.default
    return lambda x: cast(Tensor, product(x, packed, bias, "none", [], ""))


def _linear_add(weight: Tensor, bias: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    if not _packs(weight):
        return lambda x, y: functional.linear(x, weight, bias) + y
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, 4096)
    product = torch.ops.mkldnn._linear_pointwise.binary
    return lambda x, y: cast(Tensor, product(x, y, packed, bias, "add"))


def _packs(weight: Tensor) -> bool:
    available = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return weight.device.type == "cpu" and bool(available)
