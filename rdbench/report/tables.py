"""Rows as tables for a page, a paper or a spreadsheet: Markdown, LaTeX with booktabs, HTML, CSV."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from rdbench.errors import UsageError
from rdbench.printable import printable

_LINES_OF_A_PAGE = 45

FORMS = {"markdown": "pipe", "latex": "latex_booktabs", "html": "html", "csv": "csv"}
"""Forms by name, and what the library tabulate calls them."""

Rows = Sequence[Mapping[str, Any]]

_DIGITS = {
    "bpp": 6,
    "psnr_rgb": 5,
    "ms_ssim": 6,
    "extra_params_percent": 5,
    "extra_macs_percent": 5,
}
"""What published tables are compared by."""


def columns(rows: Rows) -> list[str]:
    """Columns worth showing: the keys under which any row has a value."""
    return [name for name in keys(rows) if any(row.get(name) is not None for row in rows)]


def keys(rows: Rows) -> list[str]:
    """The keys of all rows; one that the rows before lack follows its neighbour in its own row."""
    found: list[str] = []
    for row in rows:
        place = 0
        for name in row:
            if name not in found:
                found.insert(place, name)
            place = found.index(name) + 1
    return found


def is_numeric(rows: Rows, name: str) -> bool:
    """Whether a column holds numbers, be they written out with the digits wanted."""
    texts = [str(row[name]) for row in rows if row.get(name) is not None]
    return all(re.fullmatch(r"[+-]?(\d[\d.e+-]*|inf|nan)", text) for text in texts)


def cell(name: str, value: Any) -> str:
    """A value as tables show it: a dash for None, the digits that its column is compared by."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.{3 if name.endswith('(%)') else _DIGITS.get(name, 4)}f}"
    return str(value)


def table(rows: Rows, form: str, caption: str = "") -> str:
    """Rows as text in one of FORMS; "" where there are none.

    Args:
        rows: their keys become the columns; what a row lacks is None. As in the terminal, a
            column of nothing but None is left out.
        form: ``markdown``, ``latex`` (a ``table`` that needs the package booktabs, or a
            ``longtable`` where it takes more than a page), ``html`` (a ``table`` element) or
            ``csv`` (numbers with all their digits, no caption; text that begins like a formula
            has an apostrophe before it, so that no spreadsheet runs it).
        caption: line above the table.

    Raises:
        UsageError: no such form.
    """
    if form not in FORMS:
        raise UsageError(f"a table is written as {', '.join(FORMS)}, not {form!r}")
    if not rows:
        return ""
    return _csv(rows) if form == "csv" else _marked_up(rows, form, caption)


def _csv(rows: Rows) -> str:
    import csv
    import io

    text = io.StringIO()
    names = keys(rows)
    lines: list[list[Any]] = [list(names), *([row.get(name) for name in names] for row in rows)]
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
    return value if _is_number(value) else f"'{value}"


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?(\d[\d.]*([eE][+-]?\d+)?|inf|nan)", text) is not None


def _marked_up(rows: Rows, form: str, caption: str) -> str:
    from tabulate import tabulate

    names = columns(rows)
    plain = _PLAIN.get(form, str)
    text = tabulate(
        [[plain(printable(cell(name, row.get(name)))) for name in names] for row in rows],
        [plain(printable(name)).replace("_", " ") for name in names],
        tablefmt=FORMS[form],
        disable_numparse=True,
        colalign=["right" if is_numeric(rows, name) else "left" for name in names],
    )
    return _CAPTIONED[form](text, caption)


def markdown_escape(text: str) -> str:
    """``text`` as Markdown shows it, inside a table too."""
    return re.sub(r"([\\`*|<$~])", r"\\\1", text)


_PLAIN = {"markdown": markdown_escape}
"""What keeps a name as it is; tabulate does it for the other forms."""


def _markdown(text: str, caption: str) -> str:
    caption = markdown_escape(printable(caption))
    return f"**{caption}**\n\n{text}\n" if caption else f"{text}\n"


def _latex(text: str, caption: str) -> str:
    """A table with true minus signs and dashes."""
    text = re.sub(r"(^|&)( *)-(?=\d)", r"\1\2$-$", text, flags=re.MULTILINE)
    text = re.sub(r"(^|&)( *)-( *)(?=&|\\\\)", r"\1\2--\3", text, flags=re.MULTILINE)
    title = f"\\caption{{{latex_escape(caption)}}}" if caption else ""
    if text.count("\n") > _LINES_OF_A_PAGE:
        begin, body = text.replace("tabular}", "longtable}").split("\n", 1)
        return "\n".join([begin, *([title + r"\\"] if title else []), body, ""])
    return "\n".join([r"\begin{table}", r"\centering", title, text, r"\end{table}", ""])


def _html(text: str, caption: str) -> str:
    import html

    title = f"<table>\n<caption>{html.escape(caption)}</caption>" if caption else "<table>"
    return text.replace("<table>", title, 1) + "\n"


_CAPTIONED = {"markdown": _markdown, "latex": _latex, "html": _html}


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
