"""Which curves stand for which codec: measured ones where they are good for it, else published."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from rdbench.analysis.measured import MIN_POINTS, is_stand_in, measured_curves, settings_in
from rdbench.curve import Curve
from rdbench.errors import RdbenchError, UsageError
from rdbench.published import list_curves
from rdbench.registry import closest, codecs_from_spec, given_settings
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


def gather(
    folder: str | Path, dataset: str | None = None, imported: Sequence[Curve] = ()
) -> list[Curve]:
    """Measured and published curves; one of each codec and data set where both exist.

    A measured curve stands for its codec where it has the four points that a BD-rate needs and the
    codec has no weights or the published ones; else the published curve does, where there is one.

    Args:
        folder: report folder; it need not exist.
        dataset: only curves on this data set.
        imported: curves from files, which stand beside the others.

    Raises:
        UsageError: there is no curve on that data set.
    """
    own = [c for c in measured(folder) if dataset in (None, c.dataset)]
    literature = [c for c in list_curves() if dataset in (None, c.dataset)]
    published = {(c.dataset, c.codec) for c in literature}
    kept = [c for c in own if is_enough(c) or (c.dataset, c.codec) not in published]
    shadowed = {(c.dataset, c.codec) for c in kept if not is_stand_in(c)}
    found = kept + [c for c in literature if (c.dataset, c.codec) not in shadowed]
    found += [c for c in imported if dataset in (None, c.dataset)]
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


def load_curves(folder: str | Path = "reports", dataset: str = "kodak") -> dict[str, Curve]:
    """Return the curves on one data set by label, measured ones before published ones.

    Raises:
        UsageError: there is no curve on that data set.

    Example:
        >>> curves = load_curves("reports", "kodak")
        >>> curves["qarv"].source
        'published'
    """
    curves = gather(folder, dataset)
    return {curve.label: curve for curve in curves}


def named(curves: Sequence[Curve], names: Iterable[str]) -> list[Curve]:
    """The curves that ``names`` stand for: a codec, a label, a file's name, or CODEC:KEY=VALUE,...

    Raises:
        UsageError: a name that no curve has.
    """
    chosen: list[Curve] = []
    for name in names:
        found = _matching(curves, name)
        if not found:
            raise UsageError(_no_curve(curves, name))
        chosen += [c for c in found if c not in chosen]
    return chosen


def anchors_of(curves: Sequence[Curve], name: str) -> dict[str, list[Curve]]:
    """Data set -> the curves that a name stands for there, the one to compare with first.

    A curve of the published weights comes before one of others, one with enough points before one
    without, and what was measured before what was published.

    Raises:
        UsageError: no curve anywhere and no codec has that name.
    """
    found = _matching(curves, name)
    if not found and not is_codec(name) and not _matching(list_curves(), name):
        raise UsageError(_no_curve(curves, name))
    best_first = sorted(
        found, key=lambda c: (is_stand_in(c), not is_enough(c), name not in (c.label, _stem(c)))
    )
    by_dataset: dict[str, list[Curve]] = {}
    for curve in best_first:
        by_dataset.setdefault(curve.dataset, []).append(curve)
    return by_dataset


def is_codec(name: str) -> bool:
    """Whether a name, maybe with settings, is that of a codec that can be measured."""
    try:
        codecs_from_spec(name)
    except RdbenchError:
        return False
    return True


def _matching(curves: Sequence[Curve], name: str) -> list[Curve]:
    exact = [c for c in curves if name in (c.codec, c.label, _stem(c))]
    return exact or _with_settings(curves, name)


def _stem(curve: Curve) -> str:
    """Name of the file that a curve was imported from, without its suffix."""
    return Path(curve.provenance["path"]).stem if curve.source == "imported" else ""


def _with_settings(curves: Sequence[Curve], name: str) -> list[Curve]:
    """Measured curves of a codec with the settings that ``name`` gives, and any others.

    Raises:
        UsageError: the codec has no such setting or value, or it moves along the curve.
    """
    codec, _, settings = name.partition(":")
    if not settings or not any(c.codec == codec for c in curves):
        return []
    given = given_settings(name)
    return [
        c
        for c in curves
        if c.codec == codec and c.source == "measured" and given <= set(settings_in(c))
    ]


def _no_curve(curves: Sequence[Curve], name: str) -> str:
    own = sorted({c.label for c in curves if c.source != "published"})
    there = f"measured or imported: {', '.join(own)}; " if own else ""
    hint = closest(name, {c.codec for c in curves} | set(own))
    return f"no curve of {name!r}{hint} ({there}`rdbench list curves` shows the published ones)"
