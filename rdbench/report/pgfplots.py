"""Diagrams as source for pgfplots, which sets them in the letters of the paper."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rdbench.decibel import FloatArray
from rdbench.report.diagrams import (
    Design,
    Diagram,
    Key,
    Series,
    best_first,
    explanations,
    is_all_published,
    keys_of,
    limits,
    look,
    number_of,
)
from rdbench.report.tables import latex_escape

_MARKS = {
    "o": "*", "s": "square*", "^": "triangle*", "D": "diamond*", "v": "triangle*", "P": "+",
    "X": "x", "*": "star", "<": "triangle*", ">": "triangle*", "d": "diamond*", "p": "pentagon*",
}  # fmt: skip
"""Marker of matplotlib -> mark of TikZ."""

_TURNS = {"v": 180, "<": 90, ">": 270}
_MARGIN = 0.03

_GAP_CM = 1.8
"""Between panels: room for the labels of an axis."""
_LABELS_IN = 45 / 72.27
"""What pgfplots takes from the width of an axis for its labels."""
_MARK_IN, _LETTER_IN = 0.4, 0.06
"""Width of a line with its mark in the legend, and of a letter, on average."""


class _Legend(NamedTuple):
    """Where names are: in the axis of panel ``host``, with its options and lines."""

    host: int
    options: Mapping[str, str]
    lines: Sequence[str]


def pgfplots_text(diagrams: Sequence[Diagram], design: Design) -> str:
    """Return a ``tikzpicture`` with the coordinates of every point.

    It needs ``\\usepackage{pgfplots}`` and ``\\pgfplotsset{compat=1.18}``, for several diagrams
    also ``\\usepgfplotslibrary{groupplots}``, and for bands ``\\usepgfplotslibrary{fillbetween}``.
    Names are right of the diagrams or nowhere if the design says so, else below.
    """
    keys = keys_of(diagrams, design)
    n_columns = design.n_columns or min(3, len(diagrams))
    is_group = len(diagrams) > 1
    lines = [
        "% needs \\usepackage{pgfplots} \\pgfplotsset{compat=1.18}"
        + (" \\usepgfplotslibrary{groupplots}" if is_group else "")
        + (" \\usepgfplotslibrary{fillbetween}" if _has_bands(diagrams) else ""),
        *(f"\\definecolor{{rd{n}}}{{HTML}}{{{colour}}}" for n, colour in _colours(diagrams, keys)),
        "\\begin{tikzpicture}",
    ]
    legend_in = _name_in(diagrams, design) if design.legend == "right" else 0.0
    width = (design.width_in - legend_in) / n_columns
    legend = _legend(diagrams, keys, design, n_columns, width)
    if is_group:
        n_rows = math.ceil(len(diagrams) / n_columns)
        sizes = f"group size={n_columns} by {n_rows}"
        gaps = f"horizontal sep={_GAP_CM}cm, vertical sep={_GAP_CM}cm"
        lines.append(f"\\begin{{groupplot}}[group style={{{sizes}, {gaps}}}]")
    begin = "\\nextgroupplot" if is_group else "\\begin{axis}"
    for place, diagram in enumerate(diagrams):
        has_legend = place == legend.host
        options = legend.options if has_legend else {}
        lines += _axis(begin, diagram, keys, design, width, options)
        lines += legend.lines if has_legend else []
    lines.append("\\end{groupplot}" if is_group else "\\end{axis}")
    lines += _note(diagrams, design)
    return "\n".join([*lines, "\\end{tikzpicture}", ""])


def _note(diagrams: Sequence[Diagram], design: Design) -> list[str]:
    """What dashes, hollow markers and bands mean, below the legend."""
    text = "; ".join(filter(None, [*explanations(diagrams), design.note]))
    if design.legend == "none" or not text:
        return []
    width_in = 0.95 * (design.width_in - _LABELS_IN)  # narrower than the axes are
    options = f"anchor=north, align=center, font=\\footnotesize, text width={width_in:.4g}in"
    return [f"\\node[{options}] at (current bounding box.south) {{{_title(text)}}};"]


def _middle(column: int, n_columns: int, width_in: float) -> float:
    """The middle of a row of panels, in widths of the axis in one of its columns."""
    axis_in = width_in - _LABELS_IN
    return 0.5 + ((n_columns - 1) / 2 - column) * (1 + _GAP_CM / 2.54 / axis_in)


def _legend(
    diagrams: Sequence[Diagram],
    keys: Sequence[Key],
    design: Design,
    n_columns: int,
    width_in: float,
) -> _Legend:
    """Names in the order of `best_first`: a column to the right, or below, as wide as the figure.

    Args:
        width_in: of a diagram.
    """
    if design.legend == "none":
        return _Legend(-1, {}, [])
    last = len(diagrams) - 1
    if design.legend == "right":
        host, columns, place = n_columns - 1, 1, "at={(1.04,1)}, anchor=north west"
    else:
        host, columns = last, max(1, min(3, int(design.width_in / _name_in(diagrams, design))))
        place = f"at={{({_middle(last % n_columns, n_columns, width_in):.4g},-0.25)}}, anchor=north"
    options = {
        "legend cell align": "left",
        "legend style": f"{{draw=none, font=\\footnotesize, {place}}}",
        "legend columns": str(columns),
    }
    found = {series.key: series for diagram in diagrams for series in diagram.series}
    lines = [
        line
        for one in (found[key] for key in best_first(diagrams))
        for line in (
            f"\\addlegendimage{{{', '.join(_look(one, keys))}}}",
            f"\\addlegendentry{{{_title(design.name(one.curve))}}}",
        )
    ]
    return _Legend(host, options, lines)


def _name_in(diagrams: Sequence[Diagram], design: Design) -> float:
    """Width of the longest name with its line, in inches."""
    names = {design.name(series.curve) for diagram in diagrams for series in diagram.series}
    return _MARK_IN + _LETTER_IN * max(map(len, names))


def _has_bands(diagrams: Sequence[Diagram]) -> bool:
    return any(_has_band(series) for diagram in diagrams for series in diagram.series)


def _has_band(series: Series) -> bool:
    """Return whether a series has a band with a point; pgfplots cannot fill an empty one."""
    return series.band is not None and bool(np.isfinite(series.band[0]).any())


def _colours(diagrams: Sequence[Diagram], keys: Sequence[Key]) -> Iterator[tuple[int, str]]:
    from matplotlib.colors import to_hex

    found = {
        number_of(series.key, keys): to_hex(look(series, keys)["color"])[1:].upper()
        for diagram in diagrams
        for series in diagram.series
    }
    return iter(sorted(found.items()))


def _axis(
    begin: str,
    diagram: Diagram,
    keys: Sequence[Key],
    design: Design,
    width_in: float,
    legend: Mapping[str, str],
) -> Iterator[str]:
    """One axis and its lines; ``legend`` are the options of its legend, if it has one."""
    (left, right), (bottom, top) = limits(diagram, design)
    dx, dy = (0 if design.log else _MARGIN * (right - left)), _MARGIN * (top - bottom)
    options = {
        "width": f"{width_in:g}in", "height": f"{0.78 * width_in:.4g}in",
        "title": f"{{{latex_escape(design.title_of(diagram))}}}",
        "xlabel": f"{{{_title(diagram.x_title)}}}", "ylabel": f"{{{_title(diagram.y_title)}}}",
        "xmode": "log" if design.log else "normal",
        "xmin": f"{left - dx:.6g}", "xmax": f"{right + dx:.6g}",
        "ymin": f"{bottom - dy:.6g}", "ymax": f"{top + dy:.6g}",
        "grid": "major", "grid style": "{gray!25}", **legend,
    }  # fmt: skip
    yield f"{begin}[{', '.join(f'{name}={value}' for name, value in options.items())}]"
    for series in diagram.series:
        yield from _series(series, keys)


def _title(text: str) -> str:
    return latex_escape(text).replace("\u2212", "$-$")


def _series(series: Series, keys: Sequence[Key]) -> Iterator[str]:
    number = number_of(series.key, keys)
    if series.band is not None and _has_band(series):
        for name, end in zip(("low", "high"), series.band, strict=True):
            yield (f"\\addplot[draw=none, forget plot, name path={name}{number}] coordinates "
                   f"{{{_coordinates(series.x, end)}}};")  # fmt: skip
        yield (f"\\addplot[rd{number}, opacity=0.18, forget plot] "
               f"fill between[of=low{number} and high{number}];")  # fmt: skip
    n = len(series.x)
    few = [] if series.is_marked else [f"mark repeat={max(1, n // 4)}, mark phase={n // 8 + 1}"]
    options = ", ".join([*_look(series, keys), *few, "forget plot"])
    yield f"\\addplot[{options}] coordinates {{{_coordinates(series.x, series.y)}}};"


def _look(series: Series, keys: Sequence[Key]) -> list[str]:
    """How a line is drawn, in its diagram and in the legend."""
    marker, number = look(series, keys)["marker"], number_of(series.key, keys)
    is_filled = series.key[1] or is_all_published(keys)
    fill = f"rd{number}" if is_filled else "white"
    turn = f", rotate={_TURNS[marker]}" if marker in _TURNS else ""
    mark = f"mark={_MARKS.get(marker, '*')}"
    options = [f"rd{number}", "thick", mark, f"mark options={{solid, fill={fill}{turn}}}"]
    return [*options, "dashed"] if series.curve.variable_rate is False else options


def _coordinates(x: FloatArray, y: FloatArray) -> str:
    pairs = (f"({a:.6g},{b:.6g})" for a, b in zip(x, y, strict=True) if math.isfinite(b))
    return re.sub(r"(.{1,90})(?: |$)", r"\1\n", " ".join(pairs)).strip().replace("\n", "\n  ")
