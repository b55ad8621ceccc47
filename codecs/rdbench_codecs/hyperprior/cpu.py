"""The transforms rearranged for coding on a CPU: same function, other order of the sums.

torch chooses between libraries by the number of threads, and oneDNN's transposed convolution shares
out its sums by it, so that images would differ in their last bits. Here all goes through oneDNN's
convolution and linear layers on channels-last tensors, which do not:

- A transposed convolution of stride 2 is four convolutions, one for each parity of its output.
- The gate of an attention block is computed by the convolution before it: torch's sigmoid differs
  in the last bit where a thread's share ends between two vectors.
- A divisive normalization is a linear layer on some positions at a time, which stay in the cache,
  and overwrites its input.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from rdbench_codecs.hyperprior.layers import GDN, AttentionBlock
from rdbench_codecs.hyperprior.networks import Network

_ROWS = 1024


def accelerate(network: Network) -> None:
    """Replace the layers of the transforms, in place; for coding on the CPU only."""
    for name, child in network.named_children():
        if name not in ("entropy_bottleneck", "entropy_parameters", "context_prediction"):
            _accelerate(child)


def _accelerate(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.Conv2d):
            setattr(module, name, _Convolution(child))
        elif isinstance(child, nn.ConvTranspose2d):
            setattr(module, name, _TransposedConvolution(child))
        elif isinstance(child, AttentionBlock):
            setattr(module, name, _Attention(child))
        elif isinstance(child, GDN):
            setattr(module, name, _Normalization(child))
        else:
            _accelerate(child)


class _Convolution(nn.Module):
    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias = conv.weight, conv.bias
        self._stride, self._padding = conv.stride, cast(tuple[int, int], conv.padding)

    def forward(self, x: Tensor) -> Tensor:
        return _convolve(x, self.weight, self.bias, self._stride, self._padding)


class _TransposedConvolution(nn.Module):
    """5x5, stride 2, to twice the height and width."""

    def __init__(self, conv: nn.ConvTranspose2d) -> None:
        super().__init__()
        self.weight, self.bias = conv.weight, conv.bias
        # Stride 2 puts zeros between the inputs, so output (2i + p, 2j + q) sums over taps of the
        # parities p and q alone: four plain convolutions, each with the flipped taps of its parity.
        kernel = conv.weight.transpose(0, 1).flip(2, 3)
        self._kernels = [
            (p, q, kernel[:, :, p::2, q::2].contiguous(memory_format=torch.channels_last))
            for p in (0, 1)
            for q in (0, 1)
        ]

    def forward(self, x: Tensor) -> Tensor:
        batch, _, height, width = x.shape
        result = x.new_empty(batch, height, 2, width, 2, self.weight.shape[1])
        # Parity 0 has three taps, parity 1 two: its result is one longer and is used from p (q) on.
        padded = functional.pad(x, (1, 1, 1, 1))
        for p, q, kernel in self._kernels:
            part = _convolve(padded, kernel, self.bias, (1, 1), (0, 0))
            result[:, :, p, :, q] = part[:, :, p:, q:].permute(0, 2, 3, 1)
        return result.view(batch, 2 * height, 2 * width, -1).permute(0, 3, 1, 2)


class _Attention(nn.Module):
    def __init__(self, block: AttentionBlock) -> None:
        super().__init__()
        self.conv_a, self.conv_b = block.conv_a, block.conv_b[:-1]
        gate = cast(nn.Conv2d, block.conv_b[-1])
        self.weight, self.bias = gate.weight, gate.bias
        _accelerate(self.conv_a)
        _accelerate(self.conv_b)

    def forward(self, x: Tensor) -> Tensor:
        a: Tensor = self.conv_a(x)
        b = self.conv_b(x).contiguous(memory_format=torch.channels_last)
        gate = torch.ops.mkldnn._convolution_pointwise(
            b, self.weight, self.bias, [0, 0], [1, 1], [1, 1], 1, "sigmoid", [], ""
        )
        return a.mul_(gate).add_(x)


class _Normalization(GDN):
    def __init__(self, gdn: GDN) -> None:
        super().__init__(len(gdn.beta), gdn.inverse)
        self.beta, self.gamma = gdn.beta, gdn.gamma
        gamma, self._offset = gdn.effective()
        self._packed = torch.ops.mkldnn._reorder_linear_weight(gamma.contiguous(), _ROWS)

    def forward(self, x: Tensor) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        rows = x.permute(0, 2, 3, 1).view(-1, x.shape[1])
        for start in range(0, len(rows), _ROWS):
            part = rows[start : start + _ROWS]
            norm = torch.ops.mkldnn._linear_pointwise(
                part * part, self._packed, self._offset, "none", [], ""
            )
            part *= norm.sqrt_() if self.inverse else norm.rsqrt_()
        return x


def _convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: tuple[int, ...],
    padding: tuple[int, ...],
) -> Tensor:
    x = x.contiguous(memory_format=torch.channels_last)
    result: Tensor = torch.mkldnn_convolution(x, weight, bias, padding, stride, (1, 1), 1)
    return result
