"""Networks from files of weights, or with random ones."""

import hashlib
import re
import zlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rdbench.errors import DataError
from rdbench.stages import stage
from rdbench.types import Image
from rdbench_codecs.hyperprior.coder import CodedLatent, Coder, make_coder, n_threads
from rdbench_codecs.hyperprior.cpu import accelerate
from rdbench_codecs.hyperprior.feature_transforms import ADAPTIVE_NETWORKS
from rdbench_codecs.hyperprior.networks import NETWORKS, Network, ScaleHyperprior
from rdbench_codecs.hyperprior.rates import (
    N_LEVELS,
    POINTS,
    add_gain_units,
    add_regulators,
    add_scales,
)
from rdbench_codecs.learned import weights as weights_files

_ENCODER_ONLY = ("g_a.", "h_a.", "encoder_transforms.")
_MAX_CHANNELS, _MAX_LEVELS = 4096, 256  # beyond those of any network of this kind
_DECODER_ONLY = ("g_s.", "decoder_transforms.")

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
        method: what makes its rate variable, a key of POINTS.
        coder: its coder.
        fingerprint: SHA-256 of its weights, hexadecimal.
        device: where the network is.
    """

    network: Network
    method: str
    coder: Coder
    fingerprint: str
    device: str

    def encode(self, image: Image, parameter: float, threads: int | None) -> list[CodedLatent]:
        """Latents of an image.

        Args:
            image: (height, width, 3), sides multiples of 64.
            parameter: what the header says about the rate.
            threads: of the CPU, or None for torch's choice.
        """
        with torch.inference_mode(), n_threads(threads), _exact_convolutions():
            with stage("copies"):
                pixels = torch.from_numpy(image).to(self.device)
                x = pixels.permute(2, 0, 1)[None].float().div_(255)
            return self.coder.encode(x, POINTS[self.method](self.network, parameter))

    def decode(
        self,
        latents: Sequence[bytes],
        height: int,
        width: int,
        parameter: float,
        threads: int | None,
    ) -> npt.NDArray[np.float32]:
        """The image, (height, width, 3) in [0, 1]; BitstreamError where there is none."""
        with torch.inference_mode(), n_threads(threads), _exact_convolutions():
            point = POINTS[self.method](self.network, parameter)
            x_hat = self.coder.decode(latents, height, width, point).clamp_(0, 1)
            with stage("copies"):
                pixels: npt.NDArray[np.float32] = x_hat[0].permute(1, 2, 0).cpu().numpy()
            return pixels

    def regulators(self) -> list[float]:
        """QVRF's regulators, none where the weights are of a fixed rate."""
        gain: torch.Tensor = getattr(self.network, "Gain", torch.empty(0))
        regulators: list[float] = gain.tolist()
        return regulators


@lru_cache(maxsize=4)
def load_file(baseline: str, method: str, path: Path, sha256: str, device: str) -> Loaded:
    """The network in a file of weights.

    Args:
        baseline: a key of NETWORKS.
        method: what makes its rate variable, a key of POINTS.
        path: the file.
        sha256: hash of the file.
        device: "cpu" or a CUDA device.

    Raises:
        DataError: the file does not hold such a network.
    """
    tensors, _ = weights_files.read(path)
    return ready(network_of(baseline, method, tensors, path), method, sha256, device)


@lru_cache(maxsize=64)
def dimensions(path: Path, sha256: str, method: str) -> tuple[int, int, int]:
    """Channels n and m and the number of levels of the network in a file of weights.

    Args:
        path: the file.
        sha256: hash of the file, so that another file of that name is noticed.
        method: what makes its rate variable, a key of POINTS.

    Raises:
        DataError: the file does not hold such a network.
    """
    return _dimensions(rename(weights_files.read(path)[0]), method, path)


@lru_cache(maxsize=4)
def load_random(baseline: str, method: str, n: int, m: int, device: str) -> Loaded:
    """A network of random weights, always the same ones."""
    network = build(baseline, method, n, m, N_LEVELS)
    randomize(network)
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(name.encode() + value.numpy().tobytes())
    return ready(network, method, digest.hexdigest(), device)


def network_of(baseline: str, method: str, tensors: Mapping[str, Tensor], source: Path) -> Network:
    """The network that has these parameters, under old or new published names.

    Raises:
        DataError: they are not of such a network; the message names ``source``.
    """
    tensors = rename(tensors)
    n, m, n_levels = _dimensions(tensors, method, source)
    with torch.device("meta"):
        shapes = build(baseline, method, n, m, n_levels)
    weights_files.check_shapes(shapes, tensors, source)  # before any room is made
    network = build(baseline, method, n, m, n_levels)
    weights_files.load_into(network, tensors, source)
    return network


def ready(network: Network, method: str, fingerprint: str, device: str) -> Loaded:
    """Make a network ready for coding; it is changed."""
    network.eval().requires_grad_(False)
    network.to(device=torch.device(device), memory_format=torch.channels_last)  # type: ignore[call-overload]
    if device == "cpu" and torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        accelerate(network)
    return Loaded(network, method, make_coder(network), fingerprint, device)


def build(baseline: str, method: str, n: int, m: int, n_levels: int = N_LEVELS) -> Network:
    """A network with the start values of training.

    Args:
        baseline: a key of NETWORKS.
        method: what makes its rate variable, a key of POINTS.
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


def without_values(baseline: str, method: str, n: int, m: int) -> Network:
    """A network of shapes alone."""
    with torch.device("meta"):
        return build(baseline, method, n, m)


def count_parameters(network: Network) -> dict[str, int]:
    """Parameters of a network: ``total``, and what ``encoder`` and ``decoder`` need."""
    counts = {name: parameter.numel() for name, parameter in network.named_parameters()}
    total = sum(counts.values())
    decoder_only = sum(n for name, n in counts.items() if name.startswith(_DECODER_ONLY))
    encoder_only = sum(n for name, n in counts.items() if name.startswith(_ENCODER_ONLY))
    return {"total": total, "encoder": total - decoder_only, "decoder": total - encoder_only}


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
    if isinstance(network, ScaleHyperprior):
        layer = network.gaussian_layer()
        layer.weight.mul_(0.2)
        cast(Tensor, layer.bias)[: network.m].add_(1.5)


def _dimensions(tensors: Mapping[str, Tensor], method: str, source: Path) -> tuple[int, int, int]:
    """Channels n and m, and the number of levels."""
    try:
        n, m = _channels(tensors)
        n_levels = _n_levels(tensors, method)
    except KeyError as error:
        raise DataError(f"{source} holds no network of this family: no {error}") from None
    except (IndexError, TypeError) as error:  # a scalar where a matrix is expected
        raise DataError(
            f"{source} does not fit this network: a parameter has too few dimensions ({error})"
        ) from None
    if not (0 < n <= _MAX_CHANNELS and 0 < m <= _MAX_CHANNELS and n_levels <= _MAX_LEVELS):
        raise DataError(f"{source} has {n} and {m} channels and {n_levels} levels: no such network")
    return n, m, n_levels


def _channels(tensors: Mapping[str, Tensor]) -> tuple[int, int]:
    """Channels n and m of the network that the parameters are of."""
    first = "g_a.0.weight" if "g_a.0.weight" in tensors else "g_a.0.conv1.weight"
    n = tensors[first].shape[0]
    if "h_a.0.weight" in tensors:
        return n, tensors["h_a.0.weight"].shape[1]
    return n, tensors["entropy_bottleneck.quantiles"].shape[0]


def _n_levels(tensors: Mapping[str, Tensor], method: str) -> int:
    names = {"qvrf": "Gain", "theis2017": "scales", "cui2021": "y_gain"}
    levels = tensors.get(names.get(method, ""))
    return 0 if levels is None else len(levels)


def _new_name(name: str) -> str:
    name = name.removeprefix("module.").replace(".downsample.", ".skip.")
    return _LIST_NAME.sub(lambda match: _LIST_KIND[match[1]] + match[2], name)


def _exact_convolutions() -> AbstractContextManager[None]:
    """On a GPU, convolutions that give the same result each time, without TF32."""
    exact: AbstractContextManager[None] = torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    )
    return exact
