"""The published residual block, rearranged for coding on a CPU: same function, less memory traffic.

- AdaLN's affine is the affine of the layer norm, which costs nothing more.
- The layer scale is folded into the second linear layer, and the shortcut is added by its product.
- Features stay in the channels-last layout, so that no permutation copies anything.
- Linear layers run on packed weights in oneDNN, whose results, unlike those of a plain matrix
  product, do not depend on the number of threads: encoder and decoder agree to the last bit.
- The two linear layers take some rows at a time, so that what is between them stays in the cache.
"""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from rdbench_codecs.qarv.network import ChannelNorm, Condition, ConvNextBlock

_ROWS = 4096


class FoldedBlock(nn.Module):
    """A ConvNeXt block with layer norm and the affine at position 2, for one lambda at a time."""

    def __init__(self, block: ConvNextBlock) -> None:
        super().__init__()
        gamma = block.gamma.detach().flatten()
        self.embedding_layer = cast(nn.Module, block.embedding_layer)
        self.conv_dw = block.conv_dw
        self.eps = cast(ChannelNorm, block.norm).eps
        self.fc1 = _linear(block.mlp.fc1.weight.detach(), block.mlp.fc1.bias.detach())
        self.fc2 = _linear_add(
            (gamma[:, None] * block.mlp.fc2.weight).detach(), (gamma * block.mlp.fc2.bias).detach()
        )

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        """Same shape as x, (1, width, height, width)."""
        shift, scale = condition.affine(self.embedding_layer)
        width = x.shape[1]
        shortcut = x.permute(0, 2, 3, 1).reshape(-1, width)
        rows = self.conv_dw(x).permute(0, 2, 3, 1).reshape(-1, width)
        rows = functional.layer_norm(rows, (width,), scale[0], shift[0], self.eps)
        result = torch.empty_like(shortcut)
        for start in range(0, len(rows), _ROWS):
            part = slice(start, start + _ROWS)
            hidden = functional.gelu(self.fc1(rows[part]))
            result[part] = self.fc2(hidden, shortcut[part])
        return result.view(x.shape[0], *x.shape[2:], width).permute(0, 3, 1, 2)


def accelerate(network: nn.Module) -> None:
    """Replace every block of the published kind by its folded form; for coding only."""
    for name, child in network.named_children():
        if isinstance(child, ConvNextBlock) and _can_fold(child):
            setattr(network, name, FoldedBlock(child))
        else:
            accelerate(child)


def _can_fold(block: ConvNextBlock) -> bool:
    return (
        block.embedding_layer is not None
        and block.affine_position == 2
        and isinstance(block.norm, ChannelNorm)
        and block.norm.weight is None
    )


def _linear(weight: Tensor, bias: Tensor) -> Callable[[Tensor], Tensor]:
    if not _packs(weight):
        return lambda x: functional.linear(x, weight, bias)
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, _ROWS)
    product = torch.ops.mkldnn._linear_pointwise.default
    return lambda x: cast(Tensor, product(x, packed, bias, "none", [], ""))


def _linear_add(weight: Tensor, bias: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    if not _packs(weight):
        return lambda x, y: functional.linear(x, weight, bias) + y
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, _ROWS)
    product = torch.ops.mkldnn._linear_pointwise.binary
    return lambda x, y: cast(Tensor, product(x, y, packed, bias, "add"))


def _packs(weight: Tensor) -> bool:
    return weight.device.type == "cpu" and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
