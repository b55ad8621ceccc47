"""TinyLIC without a GPU: the attention in PyTorch that it contains replaces that in CUDA."""

import sys
from importlib.util import find_spec
from pathlib import Path
from runpy import run_path
from types import ModuleType

import torch
from codec import network as network_of_a_clone

NATTEN = "compressai.layers.natten"


def network(**settings):
    """Return what ``codec.network`` returns; it has the same arguments."""
    if not torch.cuda.is_available() and NATTEN not in sys.modules:
        file = Path(find_spec("compressai").origin).parent / "layers" / "natten" / "nattentorch.py"
        sys.modules[NATTEN] = natten = ModuleType(NATTEN)
        natten.NeighborhoodAttention = run_path(str(file))["LegacyNeighborhoodAttention"]
    return network_of_a_clone(**settings)
