"""Select the curves of each codec: measured ones if they are complete, else published ones."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rdbench.analysis.measured import MIN_POINTS, is_stand_in, measured_curves, settings_of
from rdbench.curve import Curve, metric_name
from rdbench.datasets import describe
from rdbench.errors import RdbenchError, UsageError, closest
from rdbench.plugins import codec_class, codec_file
from rdbench.published import list_curves
from rdbench.spec import curve_of, get_codec, get_codecs, given_settings, split
from rdbench.store import Store


@dataclass(frozen=True)
class Selection:
    """The curves that a comparison may use, and what was left out.

    Attributes:
        curves: one curve of each codec and data set where a measured and a published one exist.
        measured: all curves of the folder, on whatever data set.
        sources: data set of the folder -> what ``--dataset`` finds it by.
    """

    folder: Path
    curves: tuple[Curve, ...]
    measured: tuple[Curve, ...]
    sources: Mapping[str, str]


def measured(folder: str | Path) -> list[Curve]:
    """The curves of a report folder; none where it holds no records.

    Raises:
        DataError: the folder's database cannot be read.
    """
    return _read(Path(folder))[0]


def _read(folder: Path) -> tuple[list[Curve], dict[str, str]]:
    """The curves of a report folder, and where its data sets come from."""
    if not (folder / "records.sqlite").is_file():
        return [], {}
    with Store(folder, create=False) as store:
        datasets = store.datasets()
        curves = measured_curves(store.records(), datasets, store.protocols())
        return curves, {name: store.source_of(name) for name in datasets}


def select(
    folder: str | Path, dataset: str | None = None, imported: Sequence[Curve] = ()
) -> Selection:
    """Choose between measured and published curves of the same codec and data set.

    A measured curve is chosen if it has the four points that a BD-rate needs, and the codec has
    the published weights or needs none. Otherwise the published curve is chosen, if there is one.

    Args:
        folder: report folder; it need not exist.

    Raises:
        UsageError: there is no curve on that data set.
    """
    every, sources = _read(Path(folder))
    published = list_curves()
    own, literature, files = (
        [c for c in curves if dataset in (None, c.dataset)]
        for curves in (every, published, imported)
    )
    names = {(c.dataset, c.codec) for c in literature}
    kept = [c for c in own if is_enough(c) or (c.dataset, c.codec) not in names]
    shadowed = {(c.dataset, c.codec) for c in kept if not is_stand_in(c)}
    found = kept + [c for c in literature if (c.dataset, c.codec) not in shadowed] + files
    if not found:
        known = {c.dataset for c in [*every, *published]}
        raise UsageError(
            f"no curve on {dataset!r}{closest(str(dataset), known)} "
            f"(there are some on {', '.join(sorted(known))})"
        )
    return Selection(Path(folder), tuple(found), tuple(every), sources)


def is_enough(curve: Curve) -> bool:
    """True where a curve has the points that a BD-rate needs."""
    return len(curve.bpp) >= MIN_POINTS


def load_curves(folder: str | Path = "reports", dataset: str = "kodak") -> dict[str, Curve]:
    """Return the curves on one data set by label, measured ones before published ones.

    Raises:
        UsageError: there is no curve on that data set.

    Examples:
        >>> curves = load_curves("reports", "kodak")
        >>> curves["qarv"].source
        'published'
    """
    return {curve.label: curve for curve in select(folder, dataset).curves}


def named(curves: Sequence[Curve], names: Iterable[str]) -> list[Curve]:
    """Return the curves named by a codec, a label, a file name, or CODEC:KEY=VALUE,...

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


def is_own(curve: Curve) -> bool:
    """Return whether a curve is your own: measured with rdbench or read from a file."""
    return curve.source != "published"


def shown_by(published: Sequence[str]) -> Callable[[Curve], bool]:
    """Return what tells whether a curve is shown: own ones are, and some of the published ones.

    Args:
        published: ``none``, ``all``, or names of published curves; () for all.

    Raises:
        UsageError: a name that no published curve has.
    """
    names = [name for name in published if name not in ("none", "all")]
    if "all" in published or not published:
        return lambda curve: True
    chosen = {(curve.dataset, curve.codec) for curve in named(list_curves(), names)}
    return lambda curve: is_own(curve) or (curve.dataset, curve.codec) in chosen


DEFAULT_ANCHOR = "vtm18"


def default_anchors(curves: Sequence[Curve], metric: str) -> dict[str, list[Curve]]:
    """Return the anchor of each data set if none is asked for, in a list of one.

    It is vtm18 where there is one with enough points. On other data sets with own curves it is the
    curve that has the most points in common with these.
    """
    usable = [c for c in curves if is_enough(c) and c.has(metric_name(metric))]
    anchors = {c.dataset: [c] for c in usable if c.is_called(DEFAULT_ANCHOR)}
    for dataset in sorted({c.dataset for c in curves if is_own(c)} - anchors.keys()):
        here = [c for c in usable if c.dataset == dataset]
        own = [c for c in here if is_own(c)]
        if own:
            best = max(here, key=lambda c: (not is_stand_in(c), _in_common(c, own, metric)))
            anchors[dataset] = [best]
    return anchors


def _in_common(curve: Curve, others: Iterable[Curve], metric: str) -> int:
    """Points of a curve and of others, where both have points of the same quality."""
    qualities = curve.points(metric)[1]
    n_points = 0
    for other in (c for c in others if c is not curve):
        theirs = other.points(metric)[1]
        if not len(qualities) or not len(theirs):
            continue
        low, high = max(qualities.min(), theirs.min()), min(qualities.max(), theirs.max())
        both = (qualities, theirs)
        n_points += sum(int(((values >= low) & (values <= high)).sum()) for values in both)
    return n_points


def anchors_of(curves: Sequence[Curve], name: str) -> dict[str, list[Curve]]:
    """Return the curves that a name matches in each data set, the preferred anchor first.

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
        get_codecs(name)
    except RdbenchError:
        return False
    return True


def _matching(curves: Sequence[Curve], name: str) -> list[Curve]:
    if codec_file(name):
        return _of_file(curves, name)
    exact = [c for c in curves if c.is_called(name) or name == _stem(c)]
    return exact or _with_settings(curves, name)


def _of_file(curves: Sequence[Curve], name: str) -> list[Curve]:
    """Measured curves of the codec in a file, as it is now, with the settings that ``name`` gives.

    Raises:
        RdbenchError: the file describes no codec, or has no such setting.
    """
    cls, given = codec_class(split(name)[0]), given_settings(name)

    def is_of_file(curve: Curve) -> bool:
        if curve.source != "measured" or curve.codec != cls.name or not curve.specs:
            return False
        try:
            now = curve_of(point := get_codec(curve.specs[0], cls), point.fingerprint())
        except RdbenchError:  # a class of the same name with other settings
            return False
        return now == curve.key

    return [c for c in curves if is_of_file(c) and given <= set(settings_of(c))]


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
        if c.codec == codec and c.source == "measured" and given <= set(settings_of(c))
    ]


def _no_curve(curves: Sequence[Curve], name: str) -> str:
    elsewhere = {c.dataset for c in list_curves() if c.is_called(name)}
    if elsewhere:
        theirs, ours = (
            ", ".join(map(describe, sorted(names)))
            for names in (elsewhere, {c.dataset for c in curves})
        )
        return f"{name} is published on {theirs}, not on {ours}: different images are not compared"
    own = sorted({c.label for c in curves if c.source != "published"})
    there = f"measured or imported: {', '.join(own)}; " if own else ""
    hint = closest(name, {c.codec for c in curves} | set(own))
    return f"no curve of {name!r}{hint} ({there}`rdbench curves list` shows the published ones)"
