"""Several runs of one codec, each in a report folder of its own.

A folder keeps one record of each operating point and image, so a codec is measured again in another
folder. Runs are those of one codec with the same settings on the same images; weights may differ.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rdbench.analysis.bd import bd_rate
from rdbench.analysis.measured import settings_of
from rdbench.curve import Curve
from rdbench.errors import DataError, UsageError
from rdbench.report.page.data import Calls, Comparison, Json, comparisons, metrics_of, times_of
from rdbench.store import Store
from rdbench.types import Record


@dataclass(frozen=True)
class Run:
    """One run of a codec.

    Attributes:
        key: the curve's key on the page.
        folder: the name of the report folder.
        first, last: when its first and its last record were made, ISO 8601.
        versions: of the software that is not the same in all runs of the curve.
        weights: SHA-256 of its weights or configurations.
        machines: where it ran.
        times: see `times_of`.
        is_newest: whether it is the one that the others are compared with.
        bd_rates: metric -> ``bd_rate`` in percent and ``warnings``, or ``error``.
    """

    dataset: str
    key: str
    folder: str
    first: str
    last: str
    versions: Mapping[str, str]
    weights: Sequence[str]
    machines: Sequence[str]
    times: Json
    is_newest: bool
    bd_rates: Json


@dataclass(frozen=True)
class _Part:
    """A curve of one folder, its records and its times."""

    folder: str
    curve: Curve
    records: Sequence[Record]
    calls: Iterable[Calls]

    @property
    def last(self) -> str:
        return max(r.created for r in self.records)


def runs_over_time(
    folder: str | Path, found: Iterable[Comparison], earlier: Sequence[str | Path]
) -> tuple[list[Run], list[str]]:
    """Return the runs of every measured curve that has several, newest first.

    Args:
        folder: the folder of the page.
        found: what the page shows.
        earlier: folders of earlier runs.

    Returns:
        The runs, and a line for each earlier folder that has none of them.

    Raises:
        DataError: a folder holds no records.
    """
    others = [(_name(path), _measured(path)) for path in earlier]
    runs: list[Run] = []
    for here in found:
        for key, records in here.records.items():
            own = _Part(_name(folder), here.curves[key], records, here.calls[key].values())
            parts = [own, *(p for other in others for p in _same(own, here, *other))]
            if len(parts) > 1:
                runs += _runs(here.dataset, key, sorted(parts, key=lambda p: p.last, reverse=True))
    seen = {run.folder for run in runs}
    missing = [name for name, _ in others if name not in seen]
    return runs, [f"{name} has no run of a codec shown here on the same images" for name in missing]


def _name(folder: str | Path) -> str:
    return Path(folder).resolve().name


def _measured(folder: str | Path) -> list[Comparison]:
    with Store(folder, create=False) as store:
        return comparisons(store, wanted=lambda curve: curve.source == "measured")


def _same(own: _Part, here: Comparison, name: str, there: Sequence[Comparison]) -> Iterable[_Part]:
    """The runs of a curve in another folder."""
    for other in there:
        if (other.dataset, other.images) != (here.dataset, here.images):
            continue
        for key, records in other.records.items():
            if _what(other.curves[key]) == _what(own.curve):
                yield _Part(name, other.curves[key], records, other.calls[key].values())


def _what(curve: Curve) -> tuple[object, ...]:
    """What runs have in common."""
    return curve.codec, settings_of(curve), curve.protocol.get("scored")


def _runs(dataset: str, key: str, parts: Sequence[_Part]) -> list[Run]:
    newest = parts[0]
    versions = [_versions(part.records) for part in parts]
    shared = set(versions[0].items()).intersection(*(v.items() for v in versions))
    return [
        Run(
            dataset,
            key,
            part.folder,
            min(r.created for r in part.records),
            part.last,
            {name: value for name, value in used.items() if (name, value) not in shared},
            sorted({r.fingerprint for r in part.records if r.fingerprint}),
            _machines(part.records),
            times_of(*part.calls),
            part is newest,
            {} if part is newest else _bd_rates(newest.curve, part.curve),
        )
        for part, used in zip(parts, versions, strict=True)
    ]


def _versions(records: Iterable[Record]) -> dict[str, str]:
    """Name of software -> its versions in a run."""
    found: dict[str, list[str]] = {}
    for record in records:
        for name, value in record.provenance.get("versions", {}).items():
            if value not in found.setdefault(name, []):
                found[name].append(value)
    return {name: ", ".join(values) for name, values in found.items()}


def _machines(records: Iterable[Record]) -> list[str]:
    known = (r.provenance.get("machine") for r in records)
    return list(dict.fromkeys(f"{m['processor']}, {m['cores']} cores" for m in known if m))


def _bd_rates(newest: Curve, curve: Curve) -> Json:
    found: dict[str, Any] = {}
    for metric in metrics_of([newest]):
        try:
            result = bd_rate(newest, curve, metric)
            found[metric] = {"bd_rate": result.bd_rate_percent, "warnings": list(result.warnings)}
        except (DataError, UsageError) as error:
            found[metric] = {"error": str(error)}
    return found
