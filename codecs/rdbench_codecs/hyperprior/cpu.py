"""The transforms rearranged for coding on a CPU: same function, less memory traffic.

torch chooses between libraries by the number of threads, and oneDNN's transposed convolution shares
out its sums by it, so that images would differ in their last bits. Here all goes through oneDNN's
convolution and linear layers on packed weights and channels-last tensors, which do not:

- A transposed convolution of stride 2 is four convolutions, one for each parity of its output. A
  normalization that follows reads the four and writes into the output, where they alternate.
- A transposed convolution to few channels, of which four would leave most of a vector empty, is one
  convolution to all four parities, as in sub-pixel upsampling.
- A convolution computes the activation that follows it, and the gate of an attention block: torch's
  sigmoid differs in the last bit where a thread's share ends between two vectors.
- A divisive normalization is a linear layer on some rows at a time, which stay in the cache.
"""

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from rdbench_codecs.hyperprior.layers import GDN, AttentionBlock
from rdbench_codecs.hyperprior.networks import Network

_POSITIONS = 1024  # that a normalization computes at a time
_FEW_CHANNELS = 4  # oneDNN computes eight or more output channels in the time of one


def accelerate(network: Network) -> None:
    """Replace the layers of the transforms, in place; for coding on the CPU only."""
    for name, child in network.named_children():
        if name not in ("entropy_bottleneck", "entropy_parameters", "context_prediction"):
            _accelerate(child)


def _accelerate(module: nn.Module) -> None:
    # An activation or normalization among the children is applied to what the child before it
    # gives: all modules of layers.py and networks.py keep to this order.
    before, its_name = cast(nn.Module, nn.Identity()), ""
    for name, child in list(module.named_children()):
        new = _replacement(child)
        if isinstance(before, _Convolution | _TransposedConvolution) and isinstance(
            child, nn.ReLU | nn.LeakyReLU
        ):
            before.activate(child)
            new = nn.Identity()
        elif isinstance(before, _TransposedConvolution) and isinstance(new, _Normalization):
            new.upsample = before.interleave
            setattr(module, its_name, nn.Identity())
        setattr(module, name, new)
        before, its_name = new, name


def _replacement(module: nn.Module) -> nn.Module:
    match module:
        case nn.Sequential() if isinstance(module[-1], nn.PixelShuffle):
            conv = cast(nn.Conv2d, module[0])
            bias = cast(Tensor, conv.bias)
            return _SubpixelConvolution(_parities_first(conv.weight), _parities_first(bias))
        case nn.Conv2d():
            padding = cast(tuple[int, int], module.padding)
            return _Convolution(module.weight, module.bias, module.stride, padding)
        case nn.ConvTranspose2d() if module.out_channels <= _FEW_CHANNELS:
            return _SubpixelConvolution(*_subpixel(module))
        case nn.ConvTranspose2d():
            return _TransposedConvolution(module)
        case AttentionBlock():
            return _Attention(module)
        case GDN():
            return _Normalization(module)
    _accelerate(module)
    return module


class _Convolution(nn.Module):
    """A convolution with the activation that follows it.

    Args:
        weight: (out channels, in channels, height, width).
        bias: (out channels,).
        stride, padding: vertical and horizontal.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        stride: Sequence[int] = (1, 1),
        padding: Sequence[int] = (1, 1),
    ) -> None:
        super().__init__()
        self._bias, self._geometry = bias, (list(padding), list(stride), [1, 1], 1)
        shape = [1, weight.shape[1], 64 * stride[0], 64 * stride[1]]  # a hint for the layout alone
        weight = weight.contiguous(memory_format=torch.channels_last)
        pack = torch.ops.mkldnn._reorder_convolution_weight
        self._packed = pack(weight, *self._geometry, shape)
        self.activation: tuple[str, list[float]] = "none", []

    def activate(self, layer: nn.ReLU | nn.LeakyReLU) -> None:
        """Apply a ReLU or leaky ReLU from now on."""
        self.activation = "relu", []
        if isinstance(layer, nn.LeakyReLU):
            self.activation = "leaky_relu", [layer.negative_slope]

    def forward(self, x: Tensor) -> Tensor:
        # The operator of torch's own compiler: it names oneDNN.
        x = x.contiguous(memory_format=torch.channels_last)
        result: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, self._packed, self._bias, *self._geometry, *self.activation, ""
        )
        return result


class _SubpixelConvolution(_Convolution):
    """A convolution to the channels of the four parities (p, q), which become positions."""

    def forward(self, x: Tensor) -> Tensor:
        together = super().forward(x).permute(0, 2, 3, 1)
        batch, height, width, channels = together.shape
        parts = together.view(batch, height, width, 2, channels // 2).transpose(2, 3)
        # (q, channel) stay together, so that whole vectors are copied.
        return parts.reshape(batch, 2 * height, 2 * width, channels // 4).permute(0, 3, 1, 2)


class _TransposedConvolution(nn.Module):
    """5x5, stride 2, to twice the height and width, with the activation that follows it."""

    def __init__(self, conv: nn.ConvTranspose2d) -> None:
        super().__init__()
        self._channels = conv.out_channels
        # Stride 2 puts zeros between the inputs, so output (2i + p, 2j + q) sums over taps of the
        # parities p and q alone: four plain convolutions, each with the flipped taps of its parity.
        kernel = conv.weight.transpose(0, 1).flip(2, 3)
        self._parts = [
            (p, q, _Convolution(kernel[:, :, p::2, q::2], conv.bias, padding=(0, 0)))
            for p in (0, 1)
            for q in (0, 1)
        ]

    def activate(self, layer: nn.ReLU | nn.LeakyReLU) -> None:
        """Apply a ReLU or leaky ReLU from now on."""
        for _, _, part in self._parts:
            part.activate(layer)

    def forward(self, x: Tensor) -> Tensor:
        return self.interleave(x, lambda part, target: target.copy_(part))

    def interleave(self, x: Tensor, write: Callable[[Tensor, Tensor], object]) -> Tensor:
        """Let ``write`` put the result for each parity where it belongs.

        Args:
            x: (batch, channels, height, width).
            write: told a result and its place, both (batch, height, width, channels) and strided.
        """
        batch, _, height, width = x.shape
        result = x.new_empty(batch, height, 2, width, 2, self._channels)
        # Where oneDNN itself pads for two taps, the order of its sums depends on the threads.
        padded = functional.pad(x, (1, 1, 1, 1))
        for p, q, convolve in self._parts:
            # Parity 0 has three taps, parity 1 two: its result is one longer, used from p (q) on.
            part = convolve(padded).permute(0, 2, 3, 1)[:, p:, q:]
            write(part, result[:, :, p, :, q])
        return result.view(batch, 2 * height, 2 * width, -1).permute(0, 3, 1, 2)


class _Attention(nn.Module):
    def __init__(self, block: AttentionBlock) -> None:
        super().__init__()
        _accelerate(block)
        self.conv_a, self.conv_b = block.conv_a, block.conv_b
        cast(_Convolution, block.conv_b[-1]).activation = "sigmoid", []

    def forward(self, x: Tensor) -> Tensor:
        a: Tensor = self.conv_a(x)
        return a.mul_(self.conv_b(x)).add_(x)


class _Normalization(GDN):
    """Overwrites its input, or takes its place in the result of a transposed convolution."""

    upsample: Callable[[Tensor, Callable[[Tensor, Tensor], object]], Tensor] | None = None

    def __init__(self, gdn: GDN) -> None:
        super().__init__(len(gdn.beta), gdn.inverse)
        self.beta, self.gamma = gdn.beta, gdn.gamma
        gamma, self._offset = gdn.effective()
        self._packed = torch.ops.mkldnn._reorder_linear_weight(gamma.contiguous(), _POSITIONS)

    def forward(self, x: Tensor) -> Tensor:
        if self.upsample is not None:
            return self.upsample(x, self._normalize)
        x = x.contiguous(memory_format=torch.channels_last)
        rows = x.permute(0, 2, 3, 1)
        self._normalize(rows, rows)
        return x

    def _normalize(self, x: Tensor, result: Tensor) -> None:
        """Both (batch, height, width, channels)."""
        n_rows = max(1, _POSITIONS // x.shape[2])
        parts = (torch.split(tensor, n_rows, 1) for tensor in (x, result))
        for part, target in zip(*parts, strict=True):
            norm = torch.ops.mkldnn._linear_pointwise(
                part * part, self._packed, self._offset, "none", [], ""
            )
            torch.mul(part, norm.sqrt_() if self.inverse else norm.rsqrt_(), out=target)


def _parities_first(channels: Tensor) -> Tensor:
    """Bring (channel, p, q), as PixelShuffle has it, into the order (p, q, channel)."""
    return channels.view(-1, 2, 2, *channels.shape[1:]).movedim(0, 2).flatten(0, 2)


def _subpixel(conv: nn.ConvTranspose2d) -> tuple[Tensor, Tensor]:
    """Weight and bias of a 3x3 convolution to the parities (p, q) of a transposed convolution."""
    # A zero ahead of the flipped taps gives every parity three: 1, 3, 5 for p = 0; 0, 2, 4 for 1.
    taps = functional.pad(conv.weight.transpose(0, 1).flip(2, 3), (1, 0, 1, 0))
    parts = [taps[:, :, 1 - p :: 2, 1 - q :: 2] for p in (0, 1) for q in (0, 1)]
    return torch.cat(parts), cast(Tensor, conv.bias).repeat(4)
