"""Which curves are compared with an anchor, and why others are not."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rdbench.analysis.measured import LOSSLESS, MIN_POINTS, is_lossless
from rdbench.analysis.selection import (
    DEFAULT_ANCHOR,
    Selection,
    anchors_of,
    default_anchors,
    is_codec,
    is_enough,
    is_own,
    named,
)
from rdbench.curve import Curve, metric_name
from rdbench.datasets import describe
from rdbench.errors import DataError, UsageError
from rdbench.metrics import DEFAULT_PROTOCOL, METRICS, why_not
from rdbench.published import facts, list_curves
from rdbench.store import run_command

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Reason:
    """Why a curve has no figure: one line, with what to do where something can be done."""

    curve: Curve
    text: str


@dataclass(frozen=True)
class Comparison:
    """The curves of a comparison.

    Attributes:
        pairs: (anchor, test), own tests first.
        own: curves that were asked for and are not published ones.
        unpaired: published curves that cannot be compared; most tables do not mention them.
    """

    pairs: tuple[tuple[Curve, Curve], ...]
    reasons: tuple[Reason, ...]
    notes: tuple[str, ...]
    own: tuple[Curve, ...]
    unpaired: tuple[Reason, ...]


@dataclass(frozen=True)
class Figures:
    """A table of BD-rates or BD-PSNRs.

    Attributes:
        rows: of all figures, own ones first, then by data set, then the best.
        notes: (curve's label, line): why one has no figure, and warnings of those found.
        own_is_compared: False where there are own curves but none has a figure.
    """

    rows: Rows
    found: tuple[tuple[Curve, Any], ...]
    notes: tuple[tuple[str, str], ...]
    own_is_compared: bool


def figures(
    comparison: Comparison,
    compute: Callable[[Curve, Curve], Any],
    rows_of: Callable[[Any, Curve, Curve], Rows] = lambda figure, anchor, test: [figure.row()],
) -> Figures:
    """Compute the figure of every pair from anchor and test, and its rows."""
    found, missing, own_is_compared = [], [], not comparison.own
    for anchor, test in comparison.pairs:
        try:
            figure = compute(anchor, test)
            found.append((test, figure, rows_of(figure, anchor, test)))
        except (DataError, UsageError) as error:
            missing.append(Reason(test, str(error)))
            continue
        own_is_compared |= is_own(test) or is_own(anchor)
    found.sort(key=lambda entry: (not is_own(entry[0]), entry[0].dataset, entry[1].rank))
    notes = [
        (reason.curve.label, f"no figure on {reason.curve.dataset}: {reason.text}")
        for reason in (*missing, *comparison.reasons)
    ]
    notes += [
        (c.label, w.removeprefix(f"{c.label}: ")) for c, figure, _ in found for w in figure.warnings
    ]
    rows = [row for _, _, group in found for row in group]
    return Figures(
        rows, tuple((c, figure) for c, figure, _ in found), tuple(notes), own_is_compared
    )


def compare(
    selection: Selection,
    anchor: str,
    codecs: Sequence[str],
    metric: str,
    wanted: Callable[[Curve], bool] = lambda curve: True,
) -> Comparison:
    """Pair every curve with the anchor on its data set.

    Args:
        anchor: name of a curve; "" for `default_anchors`.
        codecs: names of the curves wanted; () for all.
        wanted: whether a curve is compared; any may be the anchor.

    Raises:
        UsageError: a name that no curve has, no such metric, or nothing at all to compare.
    """
    curves = selection.curves
    name = metric_name(metric)
    anchors = anchors_of(curves, anchor) if anchor else default_anchors(curves, name)
    tests = [c for c in (named(curves, codecs) if codecs else curves) if wanted(c)]
    tests.sort(key=lambda c: not is_own(c))
    pairs: list[tuple[Curve, Curve]] = []
    reasons: list[Reason] = []
    unpaired: list[Reason] = []
    anchorless: dict[str, str] = {}
    for test in tests:
        reference = next(iter(anchors.get(test.dataset, [])), None)
        if test is reference:
            continue
        if reference is None and test.source == "measured":
            line = _no_anchor(test.dataset, anchor or DEFAULT_ANCHOR, selection, name)
            anchorless.setdefault(test.dataset, line)
            continue
        gap = _gap(test, reference, anchor, name, selection.folder)
        if gap is None and reference is not None:
            pairs.append((reference, test))
        elif gap is not None:
            (reasons if is_own(test) else unpaired).append(Reason(test, gap))
    compared = {test.dataset for _, test in pairs}
    gaps = {reason.curve.dataset for reason in reasons} | anchorless.keys()
    reasons += [
        Reason(test, f"it is the anchor, and there is no other curve on {_dataset_of(test)}")
        for test in tests
        if is_own(test) and test.dataset not in compared | gaps
    ]
    reasons += _set_aside(selection, codecs)
    if not pairs and not reasons and not anchorless:
        raise UsageError(_nothing(tests, anchor or DEFAULT_ANCHOR))
    notes = [f"{dataset}: {line}" for dataset, line in anchorless.items()]
    notes += [_choice(anchor, found) for d, found in anchors.items() if d in compared]
    notes += [_origin(found[0]) for d, found in anchors.items() if d in compared]
    own = tuple(c for c in tests if is_own(c))
    said = tuple(n for n in notes if n)
    return Comparison(tuple(pairs), tuple(reasons), said, own, tuple(unpaired))


def _set_aside(selection: Selection, codecs: Sequence[str]) -> list[Reason]:
    """Measured curves that were not selected, unless other own ones are there to look at."""
    curves = selection.curves
    here = {(c.dataset, c.label) for c in curves if is_own(c)}
    datasets = {c.dataset for c in curves}
    missing = [c for c in selection.measured if (c.dataset, c.label) not in here]
    short = [c for c in missing if c.dataset in datasets and c.codec in (codecs or [c.codec])]
    elsewhere = [c for c in missing if c.dataset not in datasets and not here]
    too_few = f"points were measured, a BD-rate needs {MIN_POINTS}; the published"
    reasons = [Reason(c, f"{len(c.bpp)} {too_few} {c.codec} is shown") for c in short]
    only = f"only {', '.join(sorted(datasets))} was asked for"
    return reasons + [Reason(c, only) for c in elsewhere]


def _gap(test: Curve, anchor: Curve | None, name: str, metric: str, folder: Path) -> str | None:
    """Why a curve cannot be compared, as far as that is known beforehand."""
    if anchor is None:
        return f"no {name or DEFAULT_ANCHOR} on {_dataset_of(test)}"
    if is_lossless(test) or is_lossless(anchor):
        return LOSSLESS.message
    for curve in (test, anchor):
        if not len(curve.bpp):
            why = next((note.message for note in curve.notes), "run it again")
            return f"{curve.label} on {curve.dataset} has no complete point: {why}"
        if not curve.has(metric):
            missing = f"{curve.label} ({curve.source}) on {curve.dataset} has no {metric}"
            return missing + _how_to_score(curve, metric, folder)
    return None


def _how_to_score(curve: Curve, metric: str, folder: Path) -> str:
    """What gives a curve the scores it lacks; "" where nothing does."""
    if curve.source != "measured":
        return ""
    if metric in DEFAULT_PROTOCOL.metrics:
        return ": its points are lossless, or the images too small for it"
    if reason := why_not(METRICS[metric]):
        return f"; {metric} is not available: {reason}"
    return f"; compute it with `rdbench rescore {shlex.quote(str(folder))} --metric {metric}`"


def _dataset_of(curve: Curve) -> str:
    """The data set of a curve, and how it is known where the curve was read from a file."""
    if curve.source != "imported":
        return curve.dataset
    file = Path(curve.provenance["path"]).name
    return (
        f"{curve.dataset}, the data set that {file} or its folder names; if that is wrong, give "
        "the right one with --dataset"
    )


def _no_anchor(dataset: str, anchor: str, selection: Selection, metric: str) -> str:
    """Return what is missing on a data set with measurements, and what to do about it."""
    here = [c for c in selection.curves if c.dataset == dataset and c.has(metric) and is_enough(c)]
    here.sort(key=lambda c: not is_own(c))
    names = ", ".join(dict.fromkeys(c.label for c in here)) or "none"
    source = selection.sources.get(dataset, "")
    command = run_command(anchor, source, selection.folder) if source and is_codec(anchor) else ""
    advice = f"; measure it with `{command}`" if command else ""
    return f"no {anchor}; anchors there: {names}{advice}"


def _nothing(tests: Sequence[Curve], anchor: str) -> str:
    where = ", ".join(map(describe, sorted({c.dataset for c in tests})))
    elsewhere = sorted({c.dataset for c in list_curves() if c.is_called(anchor)})
    there = f" (published on {', '.join(map(describe, elsewhere))})" if elsewhere else ""
    return f"nothing to compare with {anchor!r}{there} on {where}"


def _origin(anchor: Curve) -> str:
    """Which of the several curves of a codec the anchor is; "" for one that you measured."""
    if anchor.source != "published":
        return ""
    how = f"{anchor.protocol['scored']} scoring, {anchor.protocol['rate']}"
    return f"anchor on {anchor.dataset}: {anchor.label}, {anchor.origin}; {how}"


def other_anchors(selection: Selection, anchor: Curve, metric: str) -> list[Curve]:
    """Curves of the anchor's reference encoder on its data set that others measured."""
    encoder = facts(anchor.codec).get("anchor")
    return [
        c
        for c in selection.curves
        if encoder is not None
        and facts(c.codec).get("anchor") == encoder
        and c.dataset == anchor.dataset
        and c is not anchor
        and c.has(metric_name(metric))
        and is_enough(c)
    ]


def anchors_text(pairs: Sequence[tuple[Curve, Curve]]) -> str:
    """Name the anchors of pairs: one name, or one per data set if they differ; "" for no pairs."""
    by_dataset = {anchor.dataset: anchor.label for anchor, _ in pairs}
    if len(set(by_dataset.values())) <= 1:
        return "".join(set(by_dataset.values()))
    return ", ".join(f"{label} ({dataset})" for dataset, label in by_dataset.items())


def _choice(anchor: str, found: Sequence[Curve]) -> str:
    """Return a line on the anchor if it is your own and its name is not enough."""
    first, *others = found
    if not anchor:
        is_default = first.is_called(DEFAULT_ANCHOR)
        why = f"the most points in common with the measured curves; no {DEFAULT_ANCHOR} there"
        return "" if is_default else f"{first.dataset}: the anchor is {first.label} ({why})"
    rest = ", ".join(c.label for c in others if is_own(c) and c.label != first.label)
    if not rest or anchor == first.label:
        return ""
    return f"{anchor} on {first.dataset} is {first.label}; --anchor may also be {rest}"
