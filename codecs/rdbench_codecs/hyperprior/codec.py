"""Codecs of the hyperprior family: fixed-rate networks, QVRF, and the methods it is compared with.

A file holds a header (size of the picture, rate parameter, fingerprint of the weights) and the
latents: z, then y. The rate parameter is QVRF's regulator a, a rival's level, or 1.
"""

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rdbench.errors import BitstreamError, Unavailable, UsageError
from rdbench.types import Bitstream, Codec, Image, Segment
from rdbench_codecs import weights as weights_files
from rdbench_codecs.container import Header, pack, unpack
from rdbench_codecs.hyperprior.checkpoints import CHECKPOINTS, checkpoint_name
from rdbench_codecs.hyperprior.coder import MULTIPLE, n_threads
from rdbench_codecs.hyperprior.loading import Loaded, Method, load_file, load_random
from rdbench_codecs.hyperprior.networks import FIXED_RATE, Network, RatePoint
from rdbench_codecs.hyperprior.qvrf import (
    LAMBDAS,
    REGULATOR_RANGE,
    RegulatorFit,
    fit_regulators,
)
from rdbench_codecs.hyperprior.rivals import gain_point, quality_point, scale_point

_CONTAINER = "hyperprior"


@dataclass(frozen=True, slots=True)
class Baseline:
    """A published network.

    Attributes:
        title: one line for people.
        n_qualities: released rates.
        n_small: so many of them, from the lowest on, have the small channels.
        small, large: channels n and m.
    """

    title: str
    n_qualities: int
    n_small: int
    small: tuple[int, int]
    large: tuple[int, int]


BASELINES = {
    "bmshj2018-factorized": Baseline(
        "Balle et al. 2018, factorized prior", 8, 5, (128, 192), (192, 320)
    ),
    "bmshj2018-hyperprior": Baseline(
        "Balle et al. 2018, scale hyperprior", 8, 5, (128, 192), (192, 320)
    ),
    "mbt2018-mean": Baseline(
        "Minnen et al. 2018, mean and scale hyperprior", 8, 4, (128, 192), (192, 320)
    ),
    "mbt2018": Baseline("Minnen et al. 2018, autoregressive", 8, 4, (192, 192), (192, 320)),
    "cheng2020-anchor": Baseline(
        "Cheng et al. 2020, autoregressive, without attention", 6, 3, (128, 128), (192, 192)
    ),
    "cheng2020-attn": Baseline(
        "Cheng et al. 2020, autoregressive, with attention", 6, 3, (128, 128), (192, 192)
    ),
}


@dataclass(frozen=True)
class HyperpriorCodec(Codec):
    """What the codecs of the family share.

    Attributes:
        weights: ``released`` (see `rdbench weights list`), the path of a file, or ``random``:
            weights that show how fast a codec is and nothing else.
        padding: how a picture is brought to multiples of 64 pixels, at the right and at the
            bottom: with zeros, as the published programs do, or with copies of its edge.
        device: where the network runs, ``cpu`` or ``cuda``. Files move between devices only where
            both compute the same parameters to the last bit; if not, decoding fails and says so.
        threads: of the CPU; None for torch's choice. The bytes do not depend on it.
    """

    baseline: ClassVar[str]
    method: ClassVar[Method]

    weights: str = "released"
    padding: Literal["zeros", "edge"] = "zeros"
    device: str = field(default="cpu", compare=False)
    threads: int | None = field(default=None, compare=False)

    def encode(self, image: Image) -> Bitstream:
        loaded = self.load()
        height, width = image.shape[:2]
        parameter = float(np.float32(self._parameter(loaded.network)))
        with torch.inference_mode(), n_threads(self.threads), _exact_convolutions():
            point = self._point(loaded.network, parameter)
            latents = loaded.coder.encode(self._tensor(image), point)
        header = Header(_CONTAINER, height, width, parameter, loaded.fingerprint)
        data = pack(header, [latent.data for latent in latents])
        n_latent_bytes = sum(len(latent.data) for latent in latents)
        segments = [Segment("header", len(data) - n_latent_bytes)]
        for latent in latents:
            bits = float(latent.ideal_bits.sum(dtype=np.float64))
            segments.append(Segment(latent.name, len(latent.data), bits))
        return Bitstream(data, tuple(segments))

    def decode(self, data: bytes) -> npt.NDArray[np.float32]:
        loaded = self.load()
        header, latents = unpack(data, _CONTAINER, loaded.fingerprint)
        height, width = (-(-side // MULTIPLE) * MULTIPLE for side in (header.height, header.width))
        with torch.inference_mode(), n_threads(self.threads), _exact_convolutions():
            point = self._point(loaded.network, header.parameter)
            x_hat = loaded.coder.decode(latents, height, width, point)
            crop = x_hat[0, :, : header.height, : header.width].clamp(0, 1)
            return crop.permute(1, 2, 0).contiguous().cpu().numpy()

    def check(self) -> None:
        if self.device != "cpu" and not torch.cuda.is_available():
            raise Unavailable(f"no CUDA device for device={self.device}; use device=cpu")
        if self.weights != "random":
            self._path()

    def versions(self) -> Mapping[str, str]:
        import constriction

        return {"torch": torch.__version__, "constriction": constriction.__version__}

    def fingerprint(self) -> str:
        return self.load().fingerprint if self.weights == "random" else self._sha256()

    def load(self) -> Loaded:
        """The network with its weights; Unavailable where they are not here."""
        self.check()
        if self.weights == "random":
            n, m = self._channels()
            return load_random(self.baseline, self.method, n, m, self.device)
        return load_file(self.baseline, self.method, self._path(), self._sha256(), self.device)

    def _channels(self) -> tuple[int, int]:
        """Channels n and m of the published network."""
        return BASELINES[self.baseline].large

    @abstractmethod
    def _parameter(self, network: Network) -> float:
        """What the header says about the rate."""

    @abstractmethod
    def _point(self, network: Network, parameter: float) -> RatePoint:
        """The rate point of a header; BitstreamError where there is none."""

    def _released_name(self) -> str:
        """Name of the released weights in CHECKPOINTS, where there are any."""
        return self.name

    def _sha256(self) -> str:
        return weights_files.sha256(self._path())

    def _path(self) -> Path:
        """The file of weights."""
        way_out = ", or ask for weights=random"
        if self.weights != "released":
            return weights_files.locate(self._file(), (), way_out)
        name = self._released_name()
        if not any(checkpoint.name == name for checkpoint in CHECKPOINTS):
            raise Unavailable(f"no weights of {name} were released; give weights=PATH{way_out}")
        return weights_files.locate(name, CHECKPOINTS, way_out)

    def _file(self) -> str:
        """Path of the file of weights that ``weights`` names."""
        return self.weights

    def _tensor(self, image: Image) -> Tensor:
        """The padded picture, (1, 3, height, width), 1 is white."""
        rows, columns = (-side % MULTIPLE for side in image.shape[:2])
        mode: Literal["constant", "edge"] = "constant" if self.padding == "zeros" else "edge"
        padded = np.pad(image, ((0, rows), (0, columns), (0, 0)), mode=mode)
        return torch.from_numpy(padded).to(self.device).permute(2, 0, 1)[None].float().div_(255)


@dataclass(frozen=True)
class FixedRate(HyperpriorCodec):
    """One network a rate.

    Attributes:
        quality: 1 (lowest) to 8, or to 6 for cheng2020. A ``{quality}`` in the path of ``weights``
            stands for it.
        metric: what the released network was trained for.
    """

    rate_parameters: ClassVar[tuple[str, ...]] = ("quality",)
    ladder_values: ClassVar[tuple[int, ...]] = tuple(range(1, 9))
    variable_rate: ClassVar[bool] = False
    method: ClassVar[Method] = "fixed"

    quality: int = 4
    metric: Literal["mse", "ms-ssim"] = "mse"

    def __init_subclass__(cls, baseline: str) -> None:
        cls.baseline = cls.name = baseline
        cls.title = BASELINES[baseline].title
        cls.ladder_values = tuple(range(1, BASELINES[baseline].n_qualities + 1))

    def __post_init__(self) -> None:
        if self.quality not in self.ladder_values:
            raise UsageError(f"{self.name} has quality 1 to {self.ladder_values[-1]}")

    def ladder(self) -> tuple[Self, ...]:
        """The default sweep: all qualities, or this one where one file of weights was named."""
        every = self.weights in ("released", "random") or "{quality}" in self.weights
        return super().ladder() if every else (self,)

    def _channels(self) -> tuple[int, int]:
        baseline = BASELINES[self.baseline]
        return baseline.small if self.quality <= baseline.n_small else baseline.large

    def _released_name(self) -> str:
        return checkpoint_name(self.name, self.quality, self.metric)

    def _file(self) -> str:
        return self.weights.replace("{quality}", str(self.quality))

    def _parameter(self, network: Network) -> float:
        return 1.0

    def _point(self, network: Network, parameter: float) -> RatePoint:
        return FIXED_RATE


@dataclass(frozen=True)
class VariableRate(HyperpriorCodec):
    """One network for all rates."""

    def __init_subclass__(cls, method: Method = "fixed", baseline: str = "") -> None:
        if baseline:
            cls.method, cls.baseline = method, baseline
            cls.name = f"{method}-{baseline}"
            cls.title = f"{_METHOD_TITLES[method]} on {baseline}"


_METHOD_TITLES = {
    "qvrf": "QVRF (Tong et al. 2023)",
    "theis2017": "scales per channel (Theis et al. 2017)",
    "cui2021": "gain units (Cui et al. 2021)",
    "song2021": "spatial feature transforms (Song et al. 2021)",
}


@dataclass(frozen=True)
class Qvrf(VariableRate):
    """QVRF: the rate by one of three settings; a = 1 where none is given.

    Attributes:
        index: of a regulator of the weights, 0 (lowest rate) to 7.
        a: the regulator itself, 0.5 to 12.
        lambda_: Lagrange multiplier, through the fit of equation 7 on the weights' regulators.
    """

    rate_parameters: ClassVar[tuple[str, ...]] = ("index", "a", "lambda_")
    ladder_values: ClassVar[tuple[int, ...]] = tuple(range(8))

    index: int | None = None
    a: float | None = None
    lambda_: float | None = None

    def __post_init__(self) -> None:
        settings = {"index": self.index, "a": self.a, "lambda": self.lambda_}
        given = [name for name, value in settings.items() if value is not None]
        if len(given) > 1:
            raise UsageError(f"{self.name}: give one of {' and '.join(given)}, not both")
        if self.a is not None:
            self._check_regulator(self.a, "a")

    def regulator_fit(self) -> RegulatorFit:
        """Equation 7's line through the regulators of the loaded weights (Figure 3)."""
        regulators = self._regulators(self.load().network)
        return fit_regulators(LAMBDAS[: len(regulators)], regulators)

    def _parameter(self, network: Network) -> float:
        if self.index is not None:
            regulators = self._regulators(network)
            if not 0 <= self.index < len(regulators):
                raise UsageError(f"{self.name} has index 0 to {len(regulators) - 1}")
            return regulators[self.index]
        if self.lambda_ is not None:
            a = self.regulator_fit().regulator(self.lambda_)
            self._check_regulator(a, f"lambda {self.lambda_:g}, which means a")
            return a
        return 1.0 if self.a is None else self.a

    def _point(self, network: Network, parameter: float) -> RatePoint:
        if not 0 < parameter < math.inf:
            raise BitstreamError(f"no regulator is {parameter}")
        return RatePoint(regulator=parameter)

    def _regulators(self, network: Network) -> list[float]:
        if not hasattr(network, "Gain"):
            raise UsageError(f"{self.name}: these weights are of a fixed rate; give a= instead")
        regulators: list[float] = network.Gain.tolist()  # type: ignore[operator]
        return regulators

    def _check_regulator(self, a: float, what: str) -> None:
        low, high = REGULATOR_RANGE
        if not low <= a <= high:
            raise UsageError(f"{self.name}: {what}={a:g} is not within {low:g} to {high:g}")


@dataclass(frozen=True)
class Leveled(VariableRate):
    """A method whose rate is a level.

    Attributes:
        level: 0 (lowest rate) to 7; between two whole levels it is interpolated.
    """

    rate_parameters: ClassVar[tuple[str, ...]] = ("level",)
    ladder_values: ClassVar[tuple[float, ...]] = tuple(float(level) for level in range(8))

    level: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.level <= self.ladder_values[-1]:
            raise UsageError(f"{self.name} has level 0 to {self.ladder_values[-1]:g}")

    def _parameter(self, network: Network) -> float:
        return self.level

    def _point(self, network: Network, parameter: float) -> RatePoint:
        if not 0 <= parameter <= self.ladder_values[-1]:
            raise BitstreamError(f"no level is {parameter}")
        return _POINTS[self.method](network, parameter)


_POINTS: dict[Method, Callable[[Network, float], RatePoint]] = {
    "theis2017": scale_point,
    "cui2021": gain_point,
    "song2021": lambda network, level: quality_point(level),
}


def _exact_convolutions() -> AbstractContextManager[None]:
    """On a GPU, convolutions that give the same result each time, without TF32."""
    exact: AbstractContextManager[None] = torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    )
    return exact
