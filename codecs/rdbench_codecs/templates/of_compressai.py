"""my-codec: a class with the methods of CompressAI's models, compress and decompress.

Its transforms are the 8x8 discrete cosine transform, as convolutions; its entropy coder is bz2.
Replace them with your network. Then run

    rdbench check FILE
    rdbench run --codec FILE --codec jpeg --dataset sample
"""

import bz2
import struct
from typing import Any

import torch
from torch import Tensor, nn

BLOCK = 8
STEP = struct.Struct("<f")


def dct() -> Tensor:
    """The basis of the transform, (64, 1, 8, 8): one filter per frequency."""
    n = torch.arange(BLOCK, dtype=torch.float64)
    waves = torch.cos((2 * n + 1) * n[:, None] * torch.pi / (2 * BLOCK)) * (2 / BLOCK) ** 0.5
    waves[0] *= 0.5**0.5
    return torch.einsum("ux,vy->uvxy", waves, waves).reshape(-1, 1, BLOCK, BLOCK).float()


class MyCodec(nn.Module):
    """One operating point. The arguments are its settings: ``FILE:step=0.08``.

    An argument ``weights: str`` that names a file would belong to the identity of the results.
    """

    name = "my-codec"
    title = "8x8 DCT as convolutions, bz2"
    rate_parameters = ("step",)
    ladder_values = (0.64, 0.32, 0.16, 0.08, 0.04)  # rising rate

    def __init__(self, step: float = 0.16) -> None:
        super().__init__()
        if not 0.001 <= step <= 10:
            raise ValueError(f"step={step} is not between 0.001 and 10")
        self.step = step
        self.g_a = nn.Conv2d(3, 192, BLOCK, stride=BLOCK, groups=3, bias=False)
        self.g_s = nn.ConvTranspose2d(192, 3, BLOCK, stride=BLOCK, groups=3, bias=False)
        for layer in (self.g_a, self.g_s):
            layer.weight.data.copy_(dct().repeat(3, 1, 1, 1))

    def compress(self, x: Tensor) -> dict[str, Any]:
        """Encode (1, 3, height, width) in [0, 1]; both sides are multiples of 64.

        Returns:
            strings, one list per latent and in it one string per image, and the shape of the
            latent. All of them count as rate, and so does the size of the image.
        """
        symbols = torch.round(self.g_a(x - 0.5) / self.step).to(torch.int16)
        data = bz2.compress(symbols.cpu().numpy().astype("<i2").tobytes())
        return {"strings": [[STEP.pack(self.step) + data]], "shape": tuple(symbols.shape[2:])}

    def decompress(self, strings: list[list[bytes]], shape: tuple[int, int]) -> dict[str, Tensor]:
        """Decode what compress returned, using nothing else."""
        (step,) = STEP.unpack_from(strings[0][0])
        data = bytearray(bz2.decompress(strings[0][0][STEP.size :]))
        symbols = torch.frombuffer(data, dtype=torch.int16).reshape(1, 192, *shape)
        return {"x_hat": self.g_s(symbols * step) + 0.5}
