"""A model of a clone that is built on CompressAI, with its ``compress`` and ``decompress``."""

from importlib import import_module

import compressai.ops
import numpy as np
import torch

if not torch.cuda.is_available():
    torch.cuda.synchronize = lambda device=None: None  # MLIC++ waits for a GPU, on a CPU too
if not hasattr(compressai.ops, "ste_round"):
    compressai.ops.ste_round = compressai.ops.quantize_ste  # MLIC++ imports it by its old name


def network(model, weights="random", lmbda=0.0, config="", multiple=64, smallest=64):
    """Return a network: ``model`` is module and class, ``config`` a function for its argument.

    ``weights`` is a checkpoint of the authors, or "random". Images are padded to a ``multiple`` and
    to ``smallest`` pixels per side, and cropped again.
    """
    torch.manual_seed(0)
    np.random.seed(0)  # InvCompress starts from a matrix of NumPy
    made = named(model)(*[named(name)() for name in [config] if name])
    if weights != "random":
        state = torch.load(weights, map_location="cpu")
        state = {k.removeprefix("module."): v for k, v in state.get("state_dict", state).items()}
        made.load_state_dict(state)
    type(made).downsampling_factor = multiple

    def compress_padded(x, compress=made.compress):
        height, width = (max(0, smallest - n) for n in x.shape[2:])
        return compress(torch.nn.functional.pad(x, (0, width, 0, height), mode="replicate"))

    made.compress = compress_padded
    return made


def named(name):
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)
