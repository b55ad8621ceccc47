"""All codecs on one data set, ranked by BD-rate: what a paper's comparison shows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from rdbench.analysis.bd import BdRate, bd_rate
from rdbench.analysis.comparison import Reason, Rows, compare, figures
from rdbench.analysis.delta import Method
from rdbench.analysis.measured import is_stand_in
from rdbench.analysis.selection import Selection
from rdbench.columns import Column, plain
from rdbench.curve import Curve
from rdbench.published import facts
from rdbench.timing import Timing, timings
from rdbench.types import CurveKey

BOARD = (
    Column("rank"),
    Column("own"),
    Column("label", "codec"),
    *plain("year", "kind", "trained_for"),
    Column("bd_rate_percent", "BD-rate", "%", 2, signed=True, better="lower"),
    Column("ci_low", "95 % interval", template="{ci_low:+.2f} {ci_high:+.2f}"),
    Column("overlap", "overlap", "%", 0, scale=100),
    Column("parameters", "parameters", "M", 2, scale=1e-6),
    Column("encoder_macs_per_pixel", "encoder", "kMAC/pixel", 1, scale=1e-3),
    Column("decoder_macs_per_pixel", "decoder", "kMAC/pixel", 1, scale=1e-3),
    Column("decode_s", "decode", "s", 4),
    Column("decode_on", "decoded on"),
    Column("scored"),
    Column("rate", "rate counts"),
    Column("aggregation", "averaging"),
    Column("repository", "source"),
)
"""How people see `Board.rows`."""

PAPER_BOARD = BOARD[:-4]
"""How papers show them: without how each codec was scored."""


@dataclass(frozen=True)
class Board:
    """Codecs ranked by BD-rate.

    Attributes:
        rows: the anchor, at 0 %, and all that it is compared with, the best first.
        choices: a line on which curve the anchor is.
        notes: (curve's label, line): why one is not ranked, and warnings of those that are.
    """

    rows: Rows
    choices: tuple[str, ...]
    notes: tuple[tuple[str, str], ...]


def board(
    selection: Selection,
    anchor: str = "",
    codecs: Sequence[str] = (),
    metric: str = "psnr",
    method: Method = "poly3",
    wanted: Callable[[Curve], bool] = lambda curve: True,
) -> Board:
    """Rank every curve of a selection by its BD-rate against an anchor.

    A curve without enough points, scores or common range is not ranked; a note says why.

    Args:
        selection: curves on one data set.
        codecs: names of the curves wanted; () for all.
        wanted: whether a curve is shown; the anchor always is.

    Raises:
        UsageError: a name that no curve has, no such metric, or nothing at all to compare.
    """
    selection = replace(selection, curves=tuple(map(with_facts, selection.curves)))
    found = compare(selection, anchor, codecs, metric)
    anchors = list(dict.fromkeys(reference for reference, _ in found.pairs))
    pairs = [(one, one) for one in anchors] + [p for p in found.pairs if wanted(p[1])]
    reasons = [_brief(r) for r in (*found.reasons, *found.unpaired) if wanted(r.curve)]
    shown = replace(found, pairs=tuple(pairs), reasons=tuple(reasons))
    timed = _latest(selection.folder)
    rows_of = partial(_rows, timed=timed)
    ranked = figures(shown, partial(bd_rate, metric=metric, method=method), rows_of)
    rows = sorted(ranked.rows, key=lambda row: float(row["bd_rate_percent"]))
    numbered = [row | {"rank": rank} for rank, row in enumerate(rows, 1)]
    return Board(numbered, found.notes, tuple(dict.fromkeys(ranked.notes)))


def _brief(reason: Reason) -> Reason:
    """A reason without the curve's name, which is then told once for all such curves."""
    curve = reason.curve
    start = f"{curve.label} ({curve.source}) on {curve.dataset} "
    return replace(reason, text=reason.text.removeprefix(start))


def with_facts(curve: Curve) -> Curve:
    """Return a measured curve with what is published of its codec.

    That is not known of other weights than the published ones: their network may be another.
    """
    known = facts(curve.codec)
    if curve.source != "measured" or is_stand_in(curve) or not known:
        return curve
    return replace(
        curve,
        kind=curve.kind or known.get("kind", ""),
        year=curve.year or known.get("year"),
        complexity=curve.complexity or known.get("complexity"),
        citations=curve.citations or tuple(known.get("cite", ())),
    )


def _latest(folder: Path) -> Mapping[tuple[str, CurveKey | None], Timing]:
    """(data set, curve) -> its latest timing in a report folder."""
    in_order = sorted(timings(folder), key=lambda timing: timing.created)
    return {(timing.dataset, timing.curve): timing for timing in in_order}


def _rows(
    figure: BdRate,
    anchor: Curve,
    test: Curve,
    timed: Mapping[tuple[str, CurveKey | None], Timing],
) -> Rows:
    """The row of one curve."""
    timing = timed.get((test.dataset, test.key)) if test.key else None
    complexity, trained_for = test.complexity or {}, test.provenance.get("trained_for")
    names = ("codec", "label", "dataset", "source", "metric", "method", "anchor", "anchor_origin",
             "bd_rate_percent", "ci_low", "ci_high", "overlap", "n_points", "warnings")  # fmt: skip
    row: dict[str, Any] = figure.row()
    return [
        {
            "rank": None,
            **{name: row[name] for name in names},
            "year": test.year,
            "kind": test.kind or None,
            "trained_for": None if trained_for == "none" else trained_for,
            **{name: complexity.get(name) for name in _COSTS},
            "decode_s": timing.decode_s.median if timing else None,
            "decode_on": timing.on if timing else None,
            **{name: test.protocol.get(name) for name in ("scored", "rate", "aggregation")},
            "repository": test.provenance.get("repository", test.source),
            "origin": test.origin,
            "citations": test.citations,
        }
    ]


_COSTS = ("parameters", "encoder_macs_per_pixel", "decoder_macs_per_pixel")
