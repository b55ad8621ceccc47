"""Configurations of QARV: the published model and every variant that the paper measures."""

import json
import math
import tomllib
from dataclasses import asdict, dataclass, fields, replace
from importlib.resources import files
from typing import Any, Literal, Self, get_args, get_origin, get_type_hints

from rdbench.errors import DataError

LAMBDAS = (2.0**-10, 2.0**20)
"""Least and largest lambda of any network."""

_MAX_BLOCKS = 256
_MAX_SIZE = 4096
"""Largest width, depth or kernel that a file may ask for."""


@dataclass(frozen=True)
class QarvConfig:
    """What a QARV network is made of. The defaults are the published model of 93.4 M parameters.

    Tuples of five hold a value for each scale, in the order of the path: s4, s8, s16, s32, s64
    (pixels a side that one position covers) bottom-up, s64 ... s4 top-down.

    Attributes:
        latents: latent variables at s64, s32, s16, s8 (Table 8).
        latent_channels: their channels at s64, s32, s16, s8.
        latent_block: Figure 10. "A": no bi-directional inference, no residual, much like a
            hyperprior; "B": A and bi-directional inference; "C": B and the residual.
        block: residual block, ConvNeXt or neighbourhood attention (Table 4).
        affine_position: where the adaptive affine sits (Figure 8): 0 before the depth-wise
            convolution, 1 after it, 2 on the normalized value, 3 after the first linear layer and
            its activation, 4 after the second linear layer.
        norm: normalization of the residual block (Table 2): over the channels of a position, over
            groups of 32 channels, or over the positions of a channel.
        rate_control: Figure 7. "continuous": embedding of lambda; "cconv": a scale and a shift of
            every depth-wise convolution for each of eight lambdas; "qsf": a quality scaling factor
            for each latent and each of eight lambdas; "fixed": one lambda for ever.
        lambda_range: least and largest lambda of training.
        encoder_widths, encoder_depths, encoder_kernels: bottom-up path.
        join_kernel: kernel of the one block more ahead of every down-sampling but the first.
        decoder_widths, decoder_kernels, decoder_ratios: top-down path; the ratio is that of the
            hidden width of a block to its width.
        blocks_before, blocks_after: residual blocks ahead of the latents of a scale, and after.
        embedding_channels: width of the embedding of lambda.
    """

    latents: tuple[int, int, int, int] = (1, 2, 3, 3)
    latent_channels: tuple[int, int, int, int] = (32, 32, 96, 8)
    latent_block: Literal["A", "B", "C"] = "C"
    block: Literal["convnext", "nat"] = "convnext"
    affine_position: Literal[0, 1, 2, 3, 4] = 2
    norm: Literal["layer", "group", "instance"] = "layer"
    rate_control: Literal["continuous", "cconv", "qsf", "fixed"] = "continuous"
    lambda_range: tuple[float, float] = (16.0, 2048.0)
    encoder_widths: tuple[int, int, int, int, int] = (192, 384, 512, 512, 512)
    encoder_depths: tuple[int, int, int, int, int] = (6, 6, 6, 4, 4)
    encoder_kernels: tuple[int, int, int, int, int] = (7, 7, 5, 3, 1)
    join_kernel: int = 7
    decoder_widths: tuple[int, int, int, int, int] = (512, 512, 384, 256, 128)
    decoder_kernels: tuple[int, int, int, int, int] = (1, 3, 5, 7, 7)
    decoder_ratios: tuple[float, float, float, float, float] = (4.0, 3.0, 2.0, 1.75, 1.5)
    blocks_before: tuple[int, int, int, int, int] = (0, 1, 1, 1, 8)
    blocks_after: tuple[int, int, int, int, int] = (1, 1, 1, 1, 0)
    embedding_channels: int = 256

    @property
    def n_latents(self) -> int:
        """Number of latent variables, hence of segments in a file."""
        return sum(self.latents)

    def changes(self) -> dict[str, Any]:
        """What differs from the published model, by name."""
        default = asdict(QarvConfig())
        return {k: v for k, v in asdict(self).items() if v != default[k]}

    @property
    def is_reduced(self) -> bool:
        """Whether this is smaller than the published model and than each variant of the paper.

        The range of lambda does not affect the size.
        """
        return all(
            replace(config, lambda_range=self.lambda_range) != self
            for name, config in CONFIGS.items()
            if name not in _REDUCED
        )

    def to_json(self) -> str:
        """`changes` as JSON."""
        return json.dumps(self.changes())

    @classmethod
    def from_mapping(cls, values: dict[str, Any]) -> Self:
        """The published model with `values` changed; DataError for an unknown name."""
        unknown = values.keys() - {field.name for field in fields(cls)}
        if unknown:
            raise DataError(f"no setting of QARV is named {min(unknown)!r}")
        hints = get_type_hints(cls)
        for key, value in values.items():
            if not _fits(value, hints[key]):
                raise DataError(f"its config has {key} = {_short(value)}, which is not possible")
        as_tuples: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        config = cls(**as_tuples)
        depths = config.encoder_depths, config.blocks_before, config.blocks_after, config.latents
        if (n_blocks := sum(map(sum, depths))) > _MAX_BLOCKS:
            raise DataError(
                f"its config asks for {n_blocks} blocks, at most {_MAX_BLOCKS} are made"
            )
        low, high = config.lambda_range
        if not LAMBDAS[0] <= low <= high <= LAMBDAS[1]:
            raise DataError(
                f"its config has lambda_range = {_short(config.lambda_range)}; give the least and "
                f"the largest lambda, from {LAMBDAS[0]:g} to {LAMBDAS[1]:g}"
            )
        return config


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value of a file's configuration is one that a field can have."""
    if get_origin(hint) is tuple:
        kinds = get_args(hint)
        is_list = isinstance(value, list | tuple) and len(value) == len(kinds)
        return is_list and all(map(_fits, value, kinds))
    if get_origin(hint) is Literal:
        return type(value) in (int, str) and value in get_args(hint)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if hint is int:
        return isinstance(value, int) and 0 <= value <= _MAX_SIZE
    return 0 <= value <= LAMBDAS[1]  # False for NaN


def _short(value: Any) -> str:
    text = repr(list(value) if isinstance(value, tuple) else value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _configs() -> dict[str, QarvConfig]:
    """The networks of configs.toml by name."""
    text = files(__package__).joinpath("configs.toml").read_text(encoding="utf-8")
    changes: dict[str, dict[str, Any]] = {}
    for name, table in tomllib.loads(text).items():
        changes[name] = changes.get(table.pop("like", ""), {}) | table
    return {name: QarvConfig.from_mapping(values) for name, values in changes.items()}


CONFIGS = _configs()
"""All configurations by name: ``base`` is the published model, see configs.toml."""

BASE = CONFIGS["base"]
_REDUCED = ("tiny", "reduced")


def log_spaced_lambdas(n: int, low: float = 16.0, high: float = 2048.0) -> tuple[float, ...]:
    """Return lambdas at equal steps of log lambda, as in the published curves."""
    step = math.log(high / low) / (n - 1)
    return tuple(round(low * math.exp(step * i), 4) for i in range(n))
