"""What `examples/codecs/lossy_vae/reduced.py` needs of lossy-vae, made of rdbench's own layers."""

import sys
from types import ModuleType
from typing import Any

import pytest
from torch import Tensor, nn, zeros

from rdbench_codecs.qarv.config import QarvConfig
from rdbench_codecs.qarv.network import ConvNextBlock, LatentBlock


def _config() -> QarvConfig:
    return QarvConfig(embedding_channels=Block.default_embedding_dim)


class Block(ConvNextBlock):
    default_embedding_dim = 256

    def __init__(self, width: int, kernel_size: int = 7, mlp_ratio: float = 2.0) -> None:
        super().__init__(_config(), width, kernel_size, mlp_ratio)


class Latent(LatentBlock):
    default_embedding_dim = 256

    def __init__(
        self,
        width: int,
        channels: int,
        tap: str,
        tap_width: int,
        kernel_size: int,
        mlp_ratio: float,
    ) -> None:
        super().__init__(_config(), width, channels, tap_width, kernel_size, mlp_ratio)
        self.tap = tap


class Key(nn.Identity):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


class Network(nn.Module):
    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        self.encoder = nn.ModuleDict({"enc_blocks": nn.ModuleList(config["enc_blocks"])})
        self.dec_blocks = nn.ModuleList(config["dec_blocks"])
        self.bias: Tensor = nn.Parameter(zeros(1, config["dec_blocks"][0].prior.in_channels, 1, 1))
        sines, width = config["lmb_embed_dim"]
        self.lmb_embedding = nn.Sequential(
            nn.Linear(sines, width), nn.GELU(), nn.Linear(width, width)
        )


def down(before: int, after: int, rate: int) -> nn.Module:
    return nn.Conv2d(before, after, rate, rate)


def up(before: int, after: int, rate: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(before, after * rate**2, 1), nn.PixelShuffle(rate))


def install(patch: pytest.MonkeyPatch) -> None:
    """Make it importable as lvae."""
    for name in ("lvae", "lvae.models", "lvae.models.qarv", "lvae.models.qarv.model"):
        patch.setitem(sys.modules, name, ModuleType(name))
    common = ModuleType("common")
    common.__dict__.update(
        ConvNeXtBlockAdaLN=Block, SetKey=Key, CompresionStopFlag=nn.Identity,
        patch_downsample=down, patch_upsample=up,
    )  # fmt: skip
    sys.modules["lvae.models"].__dict__["common"] = common
    classes = {"VariableRateLossyVAE": Network, "VRLVBlockBase": Latent}
    sys.modules["lvae.models.qarv.model"].__dict__.update(classes)
