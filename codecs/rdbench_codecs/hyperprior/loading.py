"""Networks from files of weights, or of random numbers."""

import zlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor

from rdbench.errors import DataError
from rdbench_codecs.hyperprior import cpu, gpu
from rdbench_codecs.hyperprior.dimensions import N_LEVELS, Dimensions, dimensions, rename
from rdbench_codecs.hyperprior.feature_transforms import ADAPTIVE_NETWORKS
from rdbench_codecs.hyperprior.model import Model, make_model
from rdbench_codecs.hyperprior.networks import NETWORKS, Network, ScaleHyperprior
from rdbench_codecs.hyperprior.rates import POINTS, add_parameters
from rdbench_codecs.learned import weights


@lru_cache(maxsize=4)
def load_model(
    baseline: str, method: str, source: Path | Dimensions, sha256: str, device: str
) -> Model:
    """Return a network in a file, or the random one of some dimensions, ready for coding.

    ``sha256`` is that of the file, so that another file under the same name is loaded.

    Raises:
        DataError: the file does not hold such a network.
    """
    if isinstance(source, Path):
        network = network_of(baseline, method, weights.read(source)[0], source)
    else:
        network = build(baseline, method, *source)
        randomize(network)
    return ready(network, method, device)


def network_of(baseline: str, method: str, tensors: Mapping[str, Tensor], source: Path) -> Network:
    """Return the network that has these parameters, under old or new published names.

    Raises:
        DataError: they are not of such a network; the message names ``source``.
    """
    tensors = rename(tensors)
    sizes = _check(baseline, method, tensors, source)  # before any memory is taken
    network = build(baseline, method, *sizes)
    network.load_state_dict(tensors)
    return network


def check_file(baseline: str, method: str, path: Path) -> None:
    """Check that a file holds such a network; its numbers are not used.

    Raises:
        DataError: it does not; the message names the codecs that load the file, if any.
    """
    shapes = rename(weights.describe(path)[0])
    _check(baseline, method, {n: torch.empty(s, device="meta") for n, s in shapes.items()}, path)


def _check(baseline: str, method: str, tensors: Mapping[str, Tensor], source: Path) -> Dimensions:
    """The dimensions of a network that has these parameters; DataError where they do not fit."""
    try:
        return _fitting(baseline, method, tensors, source)
    except DataError as error:
        names = [
            other if how == "fixed" else f"{how}-{other}"
            for other in NETWORKS
            for how in POINTS
            if _fits(other, how, tensors, source)
        ]
        hint = f"; it is a file of {' or '.join(names)}" if names else ""
        raise DataError(f"{error}{hint}") from None


def _fits(baseline: str, method: str, tensors: Mapping[str, Tensor], source: Path) -> bool:
    """Whether a published combination of baseline and method has these parameters."""
    if baseline == "bmshj2018-factorized" and method != "fixed":
        return False
    try:
        _fitting(baseline, method, tensors, source)
    except DataError:
        return False
    return True


def _fitting(baseline: str, method: str, tensors: Mapping[str, Tensor], source: Path) -> Dimensions:
    sizes = dimensions({name: tuple(t.shape) for name, t in tensors.items()}, method, source)
    weights.check_shapes(shapes_of(baseline, method, sizes), tensors, source)
    return sizes


def shapes_of(baseline: str, method: str, sizes: Dimensions) -> Network:
    """Return a network of shapes alone."""
    with torch.device("meta"):
        return build(baseline, method, *sizes)


def ready(network: Network, method: str, device: str) -> Model:
    """Make a network ready for coding; it is changed."""
    network.eval().requires_grad_(False)
    network.to(device=torch.device(device), memory_format=torch.channels_last)  # type: ignore[call-overload]
    if device != "cpu":
        gpu.accelerate(network)
    elif torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        cpu.accelerate(network)
    return make_model(network, method, device)


def build(baseline: str, method: str, n: int, m: int, n_levels: int = N_LEVELS) -> Network:
    """Return a network with the start values of training.

    Args:
        baseline, method: keys of NETWORKS and of rates.POINTS.
        n, m: its channels.
        n_levels: rates that it is trained for; 0 leaves QVRF's ``Gain`` out.
    """
    if method == "song2021":
        return ADAPTIVE_NETWORKS[baseline](n, m)
    network = NETWORKS[baseline](n, m)
    if n_levels or method != "qvrf":
        add_parameters(network, method, n_levels)
    return network


@torch.no_grad()
def randomize(network: Network) -> None:
    """Draw convolutions from generators seeded by their names, for lively latents.

    The rest keeps the start values of training. The numbers come from numpy: those of torch's
    generators depend on the instruction set.
    """
    for name, parameter in network.named_parameters():
        rng = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
        shape = tuple(parameter.shape)
        if parameter.ndim == 4:
            values = rng.standard_normal(shape, np.float32) * parameter[0].numel() ** -0.5
        elif name.endswith(".bias"):
            values = rng.standard_normal(shape, np.float32) * 0.1
        elif name.startswith("entropy_bottleneck._bias"):
            values = rng.random(shape, np.float32) - 0.5
        else:
            continue
        parameter.copy_(torch.from_numpy(values))
    # Scales near those of the latents, so that few symbols lie where their density has no mass.
    if isinstance(network, ScaleHyperprior):
        layer = network.gaussian_layer()
        layer.weight.mul_(0.2)
        cast(Tensor, layer.bias)[: network.m].add_(1.5)
