"""A depth-wise convolution and the layer norm after it as one GPU kernel, written in Triton.

Libraries are slow at depth-wise convolutions of channels-last features, and every kernel less is a
pass less over memory. Triton comes with torch for GPUs.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

_MANY_POSITIONS = 4096  # from here on a program makes several of them


@triton.jit  # type: ignore[untyped-decorator,unused-ignore]
def _depthwise_norm(  # type: ignore[no-untyped-def]  # Triton evaluates annotations
    x,
    taps,
    bias,
    scale,
    shift,
    out,
    height,
    width,
    channels,
    eps,
    kernel: tl.constexpr,
    n_columns: tl.constexpr,
    n_channels: tl.constexpr,
):
    # A program makes n_columns neighbours in a row, all their channels.
    tiles = tl.cdiv(width, n_columns)
    row = tl.program_id(0) // tiles
    column = tl.program_id(0) % tiles * n_columns + tl.arange(0, n_columns)
    channel = tl.arange(0, n_channels)
    used = channel < channels
    total = tl.zeros((n_columns, n_channels), tl.float32)
    for dy in range(kernel):
        y = row + dy - kernel // 2
        for dx in tl.static_range(kernel):
            at = column + dx - kernel // 2
            inside = (y >= 0) & (y < height) & (at >= 0) & (at < width)
            start = (y.to(tl.int64) * width + at) * channels
            value = tl.load(
                x + start[:, None] + channel[None, :],
                mask=inside[:, None] & used[None, :],
                other=0.0,
            ).to(tl.float32)
            weight = tl.load(taps + (dy * kernel + dx) * channels + channel, mask=used, other=0.0)
            total += value * weight[None, :]
    total += tl.load(bias + channel, mask=used, other=0.0)[None, :]
    mean = tl.sum(total, 1) / channels
    centred = tl.where(used[None, :], total - mean[:, None], 0.0)
    variance = tl.sum(centred * centred, 1) / channels
    factor = tl.load(scale + channel, mask=used, other=0.0)
    offset = tl.load(shift + channel, mask=used, other=0.0)
    result = centred * tl.rsqrt(variance + eps)[:, None] * factor[None, :] + offset[None, :]
    start = (row.to(tl.int64) * width + column) * channels
    tl.store(
        out + start[:, None] + channel[None, :],
        result,
        mask=(column < width)[:, None] & used[None, :],
    )


def depthwise_norm(
    x: Tensor, taps: Tensor, bias: Tensor, scale: Tensor, shift: Tensor, eps: float
) -> Tensor:
    """Return the normalized convolution of x, (height * width, channels).

    Args:
        x: (1, channels, height, width), channels-last.
        taps: of the convolution, odd height and width k, (k * k, channels).
        bias: of the convolution, (channels,).
        scale, shift: after the normalization over the channels, (channels,).
        eps: added to the variance.
    """
    _, channels, height, width = x.shape
    x = x.contiguous(memory_format=torch.channels_last)
    out = torch.empty(height * width, channels, device=x.device, dtype=torch.float32)
    n_columns = 4 if height * width >= _MANY_POSITIONS else 1
    grid = (height * triton.cdiv(width, n_columns),)
    with torch.cuda.device_of(x):  # type: ignore[no-untyped-call]
        _depthwise_norm[grid](
            x, taps, bias, scale, shift, out, height, width, channels, eps,
            kernel=round(len(taps) ** 0.5), n_columns=n_columns,
            n_channels=triton.next_power_of_2(channels), num_warps=4,
        )  # fmt: skip
    return out
