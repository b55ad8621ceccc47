"""Rows as tables for a page, a paper or a spreadsheet: Markdown, LaTeX with booktabs, HTML, CSV."""

import csv
import html
import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from rdbench.columns import Column, Row, is_numeric, shown
from rdbench.errors import printable

_LINES_OF_A_PAGE = 45


def csv_text(rows: Sequence[Row]) -> str:
    """Rows as CSV: their keys, then numbers with all their digits; "" where there are no rows.

    Args:
        rows: all with the same keys. Text that begins like a formula gets an apostrophe before it,
            so that no spreadsheet runs it.
    """
    if not rows:
        return ""
    text = io.StringIO()
    keys = list(rows[0])
    lines: list[list[Any]] = [keys, *([row[key] for key in keys] for row in rows)]
    # The library leaves a carriage return as it is, and readers take it for the end of a row.
    returns = any("\r" in str(value) for line in lines for value in line)
    quoting: Literal[0, 2] = csv.QUOTE_NONNUMERIC if returns else csv.QUOTE_MINIMAL
    writer = csv.writer(text, lineterminator="\n", quoting=quoting)
    writer.writerows(map(_no_formula, line) for line in lines)
    return text.getvalue()


def _no_formula(value: Any) -> Any:
    """``value``; text that a spreadsheet would run as a formula has an apostrophe before it."""
    if not isinstance(value, str) or not value.startswith(("=", "+", "-", "@", "\t", "\r", "\n")):
        return value
    is_number = re.fullmatch(r"[+-]?(\d[\d.]*([eE][+-]?\d+)?|inf|nan)", value)
    return value if is_number else f"'{value}"


def table(columns: Sequence[Column], rows: Sequence[Row], form: str, caption: str = "") -> str:
    """Rows as marked-up text with the digits of papers; "" where there are no rows.

    Args:
        columns: those that hold nothing but None are left out.
        form: a key of FORMS: ``markdown``; ``latex``, a ``table`` that needs the package booktabs,
            or a ``longtable`` where it takes more than a page; ``html``, a ``table`` element.
    """
    columns = shown(columns, rows)
    if not columns:
        return ""
    right = [is_numeric(column, rows) for column in columns]
    heads = [printable(column.heading) for column in columns]
    cells = [[printable(column.text(row, for_paper=True)) for column in columns] for row in rows]
    return FORMS[form](heads, cells, right, printable(caption))


Cells = Sequence[Sequence[str]]


def markdown_escape(text: str) -> str:
    """``text`` as Markdown shows it, inside a table too."""
    return re.sub(r"([\\`*|<$~])", r"\\\1", text)


def _markdown(heads: Sequence[str], cells: Cells, right: Sequence[bool], caption: str) -> str:
    """Return a pipe table, with padded columns so that it is also readable as text."""
    lines = [[markdown_escape(cell) for cell in line] for line in (heads, *cells)]
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
    texts = [
        [c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, right, strict=True)]
        for line in lines
    ]
    rule = ["-" * (w - 1) + (":" if r else "-") for w, r in zip(widths, right, strict=True)]
    title = f"**{markdown_escape(caption)}**\n\n" if caption else ""
    return title + "".join(f"| {' | '.join(line)} |\n" for line in (texts[0], rule, *texts[1:]))


def _latex(heads: Sequence[str], cells: Cells, right: Sequence[bool], caption: str) -> str:
    """A table with true minus signs and dashes."""

    def cell(text: str, is_number: bool) -> str:
        if text == "-":
            return "--"
        escaped = latex_escape(text)
        return re.sub(r"(^|\()-(?=\d)", r"\1$-$", escaped) if is_number else escaped

    lines = [" & ".join(map(cell, line, right)) + r" \\" for line in cells]
    begin = f"{{{''.join('r' if r else 'l' for r in right)}}}"
    body = [r"\toprule", " & ".join(map(latex_escape, heads)) + r" \\", r"\midrule", *lines,
            r"\bottomrule"]  # fmt: skip
    title = [f"\\caption{{{latex_escape(caption)}}}"] if caption else []
    if len(lines) > _LINES_OF_A_PAGE:
        title = [line + r"\\" for line in title]
        parts = [rf"\begin{{longtable}}{begin}", *title, *body, r"\end{longtable}"]
    else:
        parts = [r"\begin{table}", r"\centering", *title, rf"\begin{{tabular}}{begin}", *body,
                 r"\end{tabular}", r"\end{table}"]  # fmt: skip
    return "\n".join([*parts, ""])


def _html(heads: Sequence[str], cells: Cells, right: Sequence[bool], caption: str) -> str:
    def line(texts: Sequence[str], tag: str) -> str:
        styles = [' style="text-align: right;"' if r else "" for r in right]
        parts = zip(texts, styles, strict=True)
        return "<tr>" + "".join(f"<{tag}{s}>{html.escape(t)}</{tag}>" for t, s in parts) + "</tr>\n"

    title = f"<caption>{html.escape(caption)}</caption>\n" if caption else ""
    body = "".join(line(texts, "td") for texts in cells)
    head = f"<thead>\n{line(heads, 'th')}</thead>\n"
    return f"<table>\n{title}{head}<tbody>\n{body}</tbody>\n</table>\n"


FORMS: Mapping[str, Callable[[Sequence[str], Cells, Sequence[bool], str], str]] = {
    "markdown": _markdown,
    "latex": _latex,
    "html": _html,
}
"""Forms by name, and the function that writes headings, cells, what is numeric, and a caption."""

_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


def latex_escape(text: str) -> str:
    """``text`` as LaTeX prints it."""
    return "".join(_LATEX.get(character, character) for character in text)
