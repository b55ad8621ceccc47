"""Networks from files of weights, or with random ones."""

import hashlib
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from rdbench.errors import DataError
from rdbench_codecs import weights as weights_files
from rdbench_codecs.hyperprior.coder import Coder, make_coder
from rdbench_codecs.hyperprior.networks import NETWORKS, Network
from rdbench_codecs.hyperprior.qvrf import add_regulators
from rdbench_codecs.hyperprior.rivals import ADAPTIVE_NETWORKS, add_gain_units, add_scales

Method = Literal["fixed", "qvrf", "theis2017", "cui2021", "song2021"]
"""What makes the rate of a network variable."""

N_LEVELS = 8
"""Levels of a variable-rate network that is not loaded from a file."""

# Of the coder tables, masks and bounds that published files carry and that are rebuilt here.
_REBUILT = re.compile(
    r"(^|\.)(_offset|_quantized_cdf|_cdf_length|scale_table|scale_bound|target|mask|pedestal|bound)$"
)
_LIST_NAME = re.compile(r"\b_?(matri|bias|factor)(?:ces|es|s)\.(\d)$")
_LIST_KIND = {"matri": "_matrix", "bias": "_bias", "factor": "_factor"}


@dataclass(frozen=True, eq=False)
class Loaded:
    """A network ready for coding.

    Attributes:
        network: the network, in evaluation mode.
        coder: its coder.
        fingerprint: SHA-256 of its weights, hexadecimal.
    """

    network: Network
    coder: Coder
    fingerprint: str


@lru_cache(maxsize=4)
def load_file(baseline: str, method: Method, path: Path, sha256: str, device: str) -> Loaded:
    """The network in a file of weights.

    Args:
        baseline: a key of NETWORKS.
        method: what makes its rate variable.
        path: the file.
        sha256: hash of the file.
        device: "cpu" or a CUDA device.

    Raises:
        DataError: the file does not hold such a network.
    """
    tensors, _ = weights_files.read(path)
    return ready(network_of(baseline, method, tensors, path), sha256, device)


@lru_cache(maxsize=4)
def load_random(baseline: str, method: Method, n: int, m: int, device: str) -> Loaded:
    """A network of random weights, always the same ones."""
    network = build(baseline, method, n, m, N_LEVELS)
    randomize(network)
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(name.encode() + value.numpy().tobytes())
    return ready(network, digest.hexdigest(), device)


def network_of(
    baseline: str, method: Method, tensors: Mapping[str, Tensor], source: Path
) -> Network:
    """The network that has these parameters, under old or new published names.

    Raises:
        DataError: they are not of such a network; the message names ``source``.
    """
    tensors = rename(tensors)
    try:
        n, m = _channels(tensors)
    except KeyError as error:
        raise DataError(f"{source} holds no network like {baseline}: no {error}") from None
    network = build(baseline, method, n, m, _n_levels(tensors, method))
    weights_files.load_into(network, tensors, source)
    return network


def ready(network: Network, fingerprint: str, device: str) -> Loaded:
    """Make a network ready for coding; it is changed."""
    network.eval().requires_grad_(False)
    network.to(device=torch.device(device), memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Loaded(network, make_coder(network), fingerprint)


def build(baseline: str, method: Method, n: int, m: int, n_levels: int = N_LEVELS) -> Network:
    """A network with the start values of training.

    Args:
        baseline: a key of NETWORKS.
        method: what makes its rate variable.
        n, m: its channels.
        n_levels: rates that it is trained for; 0 leaves QVRF's ``Gain`` out.
    """
    if method == "song2021":
        return ADAPTIVE_NETWORKS[baseline](n, m)
    network = NETWORKS[baseline](n, m)
    if method == "qvrf" and n_levels:
        add_regulators(network, n_levels)
    elif method == "theis2017":
        add_scales(network, n_levels)
    elif method == "cui2021":
        add_gain_units(network, n_levels)
    return network


def rename(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Parameters under the names of the newest published files; what is rebuilt is left out."""
    return {_new_name(name): t for name, t in tensors.items() if not _REBUILT.search(name)}


@torch.no_grad()
def randomize(network: Network) -> None:
    """Draw convolutions from a generator seeded by their names, for lively latents.

    The rest keeps the start values of training.
    """
    for name, parameter in network.named_parameters():
        generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
        if parameter.ndim == 4:
            fan_in = parameter[0].numel()
            parameter.normal_(0, fan_in**-0.5, generator=generator)
        elif name.endswith(".bias"):
            parameter.normal_(0, 0.1, generator=generator)
        elif name.startswith("entropy_bottleneck._bias"):
            parameter.uniform_(-0.5, 0.5, generator=generator)
    # Scales near those of the latents, so that few symbols lie where their density has no mass.
    to_gaussians = getattr(network, "entropy_parameters", getattr(network, "h_s", ()))
    for layer in [m for m in to_gaussians if isinstance(m, nn.Conv2d)][-1:]:
        layer.weight.mul_(0.2)
        layer.bias[: network.m].add_(1.5)  # type: ignore[index]


def _channels(tensors: Mapping[str, Tensor]) -> tuple[int, int]:
    """Channels n and m of the network that the parameters are of."""
    first = "g_a.0.weight" if "g_a.0.weight" in tensors else "g_a.0.conv1.weight"
    n = tensors[first].shape[0]
    if "h_a.0.weight" in tensors:
        return n, tensors["h_a.0.weight"].shape[1]
    return n, tensors["entropy_bottleneck.quantiles"].shape[0]


def _n_levels(tensors: Mapping[str, Tensor], method: Method) -> int:
    names = {"qvrf": "Gain", "theis2017": "scales", "cui2021": "y_gain"}
    levels = tensors.get(names.get(method, ""))
    return 0 if levels is None else len(levels)


def _new_name(name: str) -> str:
    name = name.removeprefix("module.").replace(".downsample.", ".skip.")
    return _LIST_NAME.sub(lambda match: _LIST_KIND[match[1]] + match[2], name)
