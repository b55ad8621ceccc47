"""TinyLIC without a GPU: the attention in PyTorch that it contains replaces that in CUDA."""

import sys
from importlib.util import find_spec
from pathlib import Path
from runpy import run_path
from types import ModuleType

import torch

if not torch.cuda.is_available():
    file = Path(find_spec("compressai").origin).parent / "layers" / "natten" / "nattentorch.py"
    sys.modules["compressai.layers.natten"] = natten = ModuleType("natten")
    natten.NeighborhoodAttention = run_path(str(file))["LegacyNeighborhoodAttention"]

from codec import network

__all__ = ["network"]
