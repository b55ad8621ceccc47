"""Which curves stand for which codec: measured ones where they are good for it, else published."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from rdbench.analysis.curves import MIN_POINTS, is_stand_in, measured_curves
from rdbench.curve import Curve
from rdbench.errors import UsageError
from rdbench.published import list_curves
from rdbench.registry import closest
from rdbench.store import Store


def measured(folder: str | Path) -> list[Curve]:
    """The curves of a report folder; none where it holds no records.

    Raises:
        DataError: the folder's database cannot be read.
    """
    if not (Path(folder) / "records.sqlite").is_file():
        return []
    with Store(folder, create=False) as store:
        return measured_curves(store.records(), store.datasets(), store.protocols())


def gather(folder: str | Path, dataset: str | None = None) -> list[Curve]:
    """Measured and published curves; one of each codec and data set where both exist.

    A measured curve stands for its codec where it has the four points that a BD-rate needs and the
    codec has no weights or the published ones; else the published curve does, where there is one.

    Args:
        folder: report folder; it need not exist.
        dataset: only curves on this data set.

    Raises:
        UsageError: there is no curve on that data set.
    """
    own = [c for c in measured(folder) if dataset in (None, c.dataset)]
    literature = [c for c in list_curves() if dataset in (None, c.dataset)]
    published = {(c.dataset, c.codec) for c in literature}
    kept = [c for c in own if is_enough(c) or (c.dataset, c.codec) not in published]
    shadowed = {(c.dataset, c.codec) for c in kept if not is_stand_in(c)}
    found = kept + [c for c in literature if (c.dataset, c.codec) not in shadowed]
    if not found:
        known = {c.dataset for c in [*measured(folder), *list_curves()]}
        raise UsageError(
            f"no curve on {dataset!r}{closest(str(dataset), known)} "
            f"(there are some on {', '.join(sorted(known))})"
        )
    return found


def is_enough(curve: Curve) -> bool:
    """True where a curve has the points that a BD-rate needs."""
    return len(curve.bpp) >= MIN_POINTS


def load(folder: str | Path = "reports", dataset: str = "kodak") -> dict[str, Curve]:
    """Curves on one data set by label, measured ones in place of published ones of the same name.

    Raises:
        UsageError: there is no curve on that data set.

    Example:
        >>> curves = load("reports", "kodak")
        >>> curves["qarv"].source
        'published'
    """
    curves = gather(folder, dataset)
    return {curve.label: curve for curve in curves}


def named(curves: Sequence[Curve], names: Iterable[str]) -> list[Curve]:
    """The curves whose codec or label is one of ``names``.

    Raises:
        UsageError: a name that no curve has.
    """
    chosen: list[Curve] = []
    for name in names:
        found = [c for c in curves if name in (c.codec, c.label)]
        if not found:
            hint = closest(name, {c.codec for c in curves})
            raise UsageError(f"no curve of {name!r}{hint} (`rdbench list curves` shows all)")
        chosen += found
    return chosen
