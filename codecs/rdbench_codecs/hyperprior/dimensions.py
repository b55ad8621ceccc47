"""Sizes of the networks, and how to read them from the shapes in a file of weights."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

from rdbench.errors import DataError

_Value = TypeVar("_Value")

N_LEVELS = 8
"""Rates that the variable-rate methods are published with."""

_MAX_CHANNELS, _MAX_LEVELS = 4096, 256  # beyond those of any network of this kind

# Of the coder tables, masks and bounds that published files carry and that are rebuilt here.
_REBUILT = re.compile(
    r"(^|\.)(_offset|_quantized_cdf|_cdf_length|scale_table|scale_bound|target|mask|pedestal|bound)$"
)
_LIST_NAME = re.compile(r"\b_?(matri|bias|factor)(?:ces|es|s)\.(\d)$")
_LIST_KIND = {"matri": "_matrix", "bias": "_bias", "factor": "_factor"}
_LEVELS = {"qvrf": "Gain", "theis2017": "scales", "cui2021": "y_gain"}


class Dimensions(NamedTuple):
    """Channels n and m of a network, and the number of rates it was trained for, or 0."""

    n: int
    m: int
    n_levels: int


def dimensions(shapes: Mapping[str, tuple[int, ...]], method: str, source: Path) -> Dimensions:
    """Return the dimensions of the network whose parameters have these shapes.

    Args:
        shapes: by the names that `rename` gives.
        method: what makes its rate variable, a key of rates.POINTS.
        source: the file, for the message.

    Raises:
        DataError: the file does not hold such a network.
    """
    try:
        first = "g_a.0.weight" if "g_a.0.weight" in shapes else "g_a.0.conv1.weight"
        has_hyperprior = "h_a.0.weight" in shapes
        last = shapes["h_a.0.weight" if has_hyperprior else "entropy_bottleneck.quantiles"]
        n, m = shapes[first][0], last[1 if has_hyperprior else 0]
        n_levels = shapes.get(_LEVELS.get(method, ""), (0,))[0]
    except KeyError as error:
        raise DataError(f"{source} holds no network of this family: no {error}") from None
    except IndexError as error:  # a scalar where a matrix is expected
        raise DataError(
            f"{source} does not fit this network: a parameter has too few dimensions ({error})"
        ) from None
    if not (0 < n <= _MAX_CHANNELS and 0 < m <= _MAX_CHANNELS and n_levels <= _MAX_LEVELS):
        raise DataError(f"{source} has {n} and {m} channels and {n_levels} levels: no such network")
    return Dimensions(n, m, n_levels)


def rename(parameters: Mapping[str, _Value]) -> dict[str, _Value]:
    """Return parameters under the names of the newest published files, without rebuilt ones."""
    return {_new_name(name): x for name, x in parameters.items() if not _REBUILT.search(name)}


def _new_name(name: str) -> str:
    name = name.removeprefix("module.").replace(".downsample.", ".skip.")
    return _LIST_NAME.sub(lambda match: _LIST_KIND[match[1]] + match[2], name)
