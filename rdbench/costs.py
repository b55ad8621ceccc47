"""What operating points cost: seconds, bytes and memory.

Seconds per megapixel come from the records of the report folder: of the same operating point, or
interpolated in the rate parameter between points of the same curve. Otherwise they are those that
the package of the codec ships in ``costs.json``: codec, with the configuration of its weights ->
``seconds_per_megapixel`` (encoding and decoding), ``bytes_per_megapixel``, ``prepare_s`` and
``peak_memory_bytes``. Memory is that of timings in the folder, or as shipped. What is in none of
these is None.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import numpy as np

from rdbench.spec import Identity
from rdbench.store import PointCost, Store
from rdbench.types import Codec


@dataclass(frozen=True, slots=True)
class Cost:
    """What an operating point costs; None for what is not known.

    Attributes:
        seconds, n_bytes: encoding and decoding, and bitstream, per megapixel.
        prepare_s: seconds to load and compile, once in each worker.
        source: where the times come from; "" where they are not known.
    """

    seconds: float | None = None
    n_bytes: float | None = None
    prepare_s: float = 0.0
    peak_memory_bytes: int | None = None
    source: Literal["", "measured", "interpolated", "typical"] = ""


def known_costs(points: Mapping[Codec, Identity], store: Store | None) -> dict[Codec, Cost]:
    """Return what each operating point costs, by the records and timings of a folder or as shipped.

    Args:
        store: None where there is no folder yet.
    """
    measured = store.costs() if store else []
    by_point = {(found.spec, found.fingerprint): found for found in measured}
    by_curve: dict[tuple[Any, ...], list[PointCost]] = defaultdict(list)
    for found in measured:
        if found.rate_value is not None:
            by_curve[found.codec, found.settings].append(found)
    memory = peak_memory_bytes(points, store)
    costs = {}
    for codec, identity in points.items():
        cost = _typical(codec, identity)
        if same := by_point.get((identity.spec, identity.fingerprint)):
            cost = replace(cost, seconds=same.seconds, n_bytes=same.n_bytes, source="measured")
        elif near := by_curve.get((codec.name, identity.curve.settings)):
            cost = _interpolated(cost, near, identity.rate_value)
        costs[codec] = replace(cost, peak_memory_bytes=memory[codec])
    return costs


def peak_memory_bytes(
    points: Mapping[Codec, Identity], store: Store | None
) -> dict[Codec, int | None]:
    """Return the peak memory of each codec: the most of its timings in a folder, or as shipped."""
    timed: dict[str, int] = defaultdict(int)
    for body in store.results("timing").values() if store else ():
        timed[body["codec"]] = max(timed[body["codec"]], body["peak_memory_bytes"])
    return {
        codec: timed[codec.name] or _typical(codec, identity).peak_memory_bytes
        for codec, identity in points.items()
    }


def _interpolated(cost: Cost, near: Sequence[PointCost], rate_value: float | None) -> Cost:
    """Return the cost between measured points of the curve, or of the nearest one at its ends."""
    if rate_value is None:
        return cost
    points = sorted((p.rate_value or 0.0, p.seconds, p.n_bytes) for p in near)
    rates, seconds, n_bytes = np.array(points).T
    return replace(
        cost,
        seconds=float(np.interp(rate_value, rates, seconds)),
        n_bytes=float(np.interp(rate_value, rates, n_bytes)),
        source="interpolated",
    )


def _typical(codec: Codec, identity: Identity) -> Cost:
    """Return the cost that the package of a codec ships."""
    configuration = identity.weights.configuration if identity.weights else ""
    known = _shipped(type(codec).__module__.partition(".")[0])
    found = known.get(f"{codec.name} {configuration}".strip())
    if found is None or codec.on_gpu:
        return Cost()
    return Cost(
        found["seconds_per_megapixel"], found["bytes_per_megapixel"], found["prepare_s"],
        found["peak_memory_bytes"], "typical",
    )  # fmt: skip


@cache
def _shipped(package: str) -> Mapping[str, Any]:
    """Return the costs that a package of codecs ships; {} where it ships none."""
    try:
        found = json.loads(files(package).joinpath("costs.json").read_text("utf-8"))
    except (OSError, TypeError, AttributeError):  # a single file or a script, not a package
        return {}
    codecs: Mapping[str, Any] = found["codecs"]
    return codecs
