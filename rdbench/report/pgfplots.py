"""Diagrams as source for pgfplots, which sets them in the letters of the paper."""

import math
import re
from collections.abc import Iterator, Sequence

from rdbench.decibel import FloatArray
from rdbench.report.diagrams import (
    Design,
    Diagram,
    Key,
    Series,
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


def pgfplots_text(diagrams: Sequence[Diagram], design: Design) -> str:
    """Return a ``tikzpicture`` with the coordinates of every point.

    It needs ``\\usepackage{pgfplots}``, for several diagrams also
    ``\\usepgfplotslibrary{groupplots}``, and for bands ``\\usepgfplotslibrary{fillbetween}``.
    """
    keys = keys_of(diagrams, design)
    n_columns = design.n_columns or min(3, len(diagrams))
    lines = [
        "% needs \\usepackage{pgfplots}"
        + (" \\usepgfplotslibrary{groupplots}" if len(diagrams) > 1 else "")
        + (" \\usepgfplotslibrary{fillbetween}" if _has_bands(diagrams) else ""),
        *(f"\\definecolor{{rd{n}}}{{HTML}}{{{colour}}}" for n, colour in _colours(diagrams, keys)),
        "\\begin{tikzpicture}",
    ]
    width = design.width_in / n_columns
    if len(diagrams) == 1:
        lines += _axis("\\begin{axis}", diagrams[0], keys, design, width, True)
        lines.append("\\end{axis}")
    else:
        n_rows = math.ceil(len(diagrams) / n_columns)
        sizes = f"group size={n_columns} by {n_rows}"
        gaps = "horizontal sep=1.2cm, vertical sep=1.6cm"
        lines.append(f"\\begin{{groupplot}}[group style={{{sizes}, {gaps}}}]")
        for place, diagram in enumerate(diagrams):
            is_last = place == len(diagrams) - 1
            lines += _axis("\\nextgroupplot", diagram, keys, design, width, is_last)
        lines.append("\\end{groupplot}")
    return "\n".join([*lines, "\\end{tikzpicture}", ""])


def _has_bands(diagrams: Sequence[Diagram]) -> bool:
    return any(series.band is not None for diagram in diagrams for series in diagram.series)


def _colours(diagrams: Sequence[Diagram], keys: Sequence[Key]) -> Iterator[tuple[int, str]]:
    from matplotlib.colors import to_hex

    found = {
        number_of(series.key, keys): to_hex(look(series, keys)["color"])[1:].upper()
        for diagram in diagrams
        for series in diagram.series
    }
    return iter(sorted(found.items()))


def _axis(
    begin: str, diagram: Diagram, keys: Sequence[Key], design: Design, width_in: float, legend: bool
) -> Iterator[str]:
    """One axis and its lines."""
    (left, right), (bottom, top) = limits(diagram, design)
    dx, dy = (0 if design.log else _MARGIN * (right - left)), _MARGIN * (top - bottom)
    options = {
        "width": f"{width_in:g}in", "height": f"{0.78 * width_in:.4g}in",
        "title": f"{{{latex_escape(design.title_of(diagram))}}}",
        "xlabel": f"{{{_title(diagram.x_title)}}}", "ylabel": f"{{{_title(diagram.y_title)}}}",
        "xmode": "log" if design.log else "normal",
        "xmin": f"{left - dx:.6g}", "xmax": f"{right + dx:.6g}",
        "ymin": f"{bottom - dy:.6g}", "ymax": f"{top + dy:.6g}",
        "grid": "major", "grid style": "{gray!25}", "legend cell align": "left",
        "legend style": "{draw=none, font=\\footnotesize, at={(0.5,-0.25)}, anchor=north}",
        "legend columns": "3",
    }  # fmt: skip
    yield f"{begin}[{', '.join(f'{name}={value}' for name, value in options.items())}]"
    for series in diagram.series:
        yield from _series(series, keys, design, legend)


def _title(text: str) -> str:
    return latex_escape(text).replace("\u2212", "$-$")


def _series(series: Series, keys: Sequence[Key], design: Design, legend: bool) -> Iterator[str]:
    style, number = look(series, keys), number_of(series.key, keys)
    if series.band is not None:
        for name, end in zip(("low", "high"), series.band, strict=True):
            yield (f"\\addplot[draw=none, forget plot, name path={name}{number}] coordinates "
                   f"{{{_coordinates(series.x, end)}}};")  # fmt: skip
        yield (f"\\addplot[rd{number}, opacity=0.18, forget plot] "
               f"fill between[of=low{number} and high{number}];")  # fmt: skip
    marker = style["marker"]
    is_filled = series.key[1] or is_all_published(keys)
    fill = f"rd{number}" if is_filled else "white"
    turn = f", rotate={_TURNS[marker]}" if marker in _TURNS else ""
    mark = f"mark={_MARKS.get(marker, '*')}" if marker else "mark=none"
    options = [f"rd{number}", "thick", mark, f"mark options={{solid, fill={fill}{turn}}}"]
    options += ["dashed"] if series.curve.variable_rate is False else []
    options += [] if legend else ["forget plot"]
    points = _coordinates(series.x, series.y)
    yield f"\\addplot[{', '.join(options)}] coordinates {{{points}}};"
    if legend:
        yield f"\\addlegendentry{{{_title(design.name(series.curve))}}}"


def _coordinates(x: FloatArray, y: FloatArray) -> str:
    pairs = (f"({a:.6g},{b:.6g})" for a, b in zip(x, y, strict=True) if math.isfinite(b))
    return re.sub(r"(.{1,90})(?: |$)", r"\1\n", " ".join(pairs)).strip().replace("\n", "\n  ")
