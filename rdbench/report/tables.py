"""Rows as tables for a page, a paper or a spreadsheet: Markdown, LaTeX, Typst, HTML, CSV."""

import csv
import html
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rdbench.columns import Column, Row, is_numeric, shown
from rdbench.errors import printable

_LINES_OF_A_PAGE = 40
_LONG_TEXT = 18
"""Characters; texts of a column with longer ones are broken where a table is longer than a page."""


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


@dataclass(frozen=True)
class Layout:
    """A table as texts.

    Attributes:
        is_number: of each column.
        ranks: of each cell: 1 for the best of its column, 2 for the second, 0 for the others.
        label: what LaTeX and Typst refer to it by; "" for nothing.
    """

    heads: Sequence[str]
    cells: "Cells"
    is_number: Sequence[bool]
    ranks: Sequence[Sequence[int]]
    caption: str
    label: str


def table(
    columns: Sequence[Column], rows: Sequence[Row], form: str, caption: str = "", label: str = ""
) -> str:
    """Rows as marked-up text with the digits of papers; "" where there are no rows.

    Args:
        columns: those that hold nothing but None are left out.
        form: a key of FORMS: ``markdown``; ``latex``, a ``table`` as wide as the text at most, or a
            ``longtable`` where it takes more than a page; ``typst``, a figure; ``html``, a
            ``table`` element. In LaTeX and Typst, a text that all rows share is in the caption.
        label: for references in LaTeX and Typst.
    """
    columns = shown(columns, rows)
    if not columns:
        return ""
    cells = [[printable(column.text(row, for_paper=True)) for column in columns] for row in rows]
    by_column = [_ranks(column, rows, cells_of) for column, cells_of in
                 zip(columns, zip(*cells, strict=True), strict=True)]  # fmt: skip
    layout = Layout(
        [printable(column.heading) for column in columns],
        cells,
        [is_numeric(column, rows) for column in columns],
        list(zip(*by_column, strict=True)),
        printable(caption),
        label,
    )
    return FORMS[form](_without_shared(layout) if form in PAPER_FORMS else layout)


def _without_shared(layout: Layout) -> Layout:
    """Move columns of text that are the same in all rows into the caption."""
    columns = list(zip(*layout.cells, strict=True))
    shared = [
        i
        for i, column in enumerate(columns)
        if len(column) > 1 and len(set(column)) == 1 and not layout.is_number[i]
    ]
    if not layout.caption or not 0 < len(shared) < len(columns):
        return layout
    kept = [i for i in range(len(columns)) if i not in shared]
    said = [f"{_capital(layout.heads[i])}: {columns[i][0]}" for i in shared]
    return Layout(
        [layout.heads[i] for i in kept],
        [[line[i] for i in kept] for line in layout.cells],
        [layout.is_number[i] for i in kept],
        [[line[i] for i in kept] for line in layout.ranks],
        ". ".join([layout.caption, *said]),
        layout.label,
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _ranks(column: Column, rows: Sequence[Row], texts: Sequence[str]) -> list[int]:
    """Rank of each cell of a column; cells that look alike have the same."""
    if not column.better or column.template:
        return [0] * len(rows)
    known = {text: row[column.key] for text, row in zip(texts, rows, strict=True)
             if row[column.key] is not None}  # fmt: skip
    best_first = sorted(known, key=lambda text: known[text], reverse=column.better == "higher")
    return [best_first.index(text) + 1 if text in best_first[:2] else 0 for text in texts]


Cells = Sequence[Sequence[str]]


def markdown_escape(text: str) -> str:
    """``text`` as Markdown shows it, inside a table too."""
    return re.sub(r"([\\`*|<$~])", r"\\\1", text)


def _markdown(layout: Layout) -> str:
    """Return a pipe table, with padded columns so that it is also readable as text."""
    right = layout.is_number
    lines = [[markdown_escape(cell) for cell in line] for line in (layout.heads, *layout.cells)]
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
    texts = [
        [c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, right, strict=True)]
        for line in lines
    ]
    rule = ["-" * (w - 1) + (":" if r else "-") for w, r in zip(widths, right, strict=True)]
    title = f"**{markdown_escape(layout.caption)}**\n\n" if layout.caption else ""
    return title + "".join(f"| {' | '.join(line)} |\n" for line in (texts[0], rule, *texts[1:]))


def _latex(layout: Layout) -> str:
    """A table whose columns of numbers are siunitx's, aligned at the decimal point."""
    columns = list(zip(*layout.cells, strict=True))
    formats = [
        _number_format(texts) if is_number else ""
        for texts, is_number in zip(columns, layout.is_number, strict=True)
    ]
    is_long = len(layout.cells) > _LINES_OF_A_PAGE
    kinds = "".join(
        f"S[table-format={form}]" if form else _text_kind(texts, is_number, is_long)
        for texts, form, is_number in zip(columns, formats, layout.is_number, strict=True)
    )
    heads = [
        f"{{{_latex_head(head, 'c')}}}" if form else _latex_head(head, "r" if is_number else "l")
        for head, form, is_number in zip(layout.heads, formats, layout.is_number, strict=True)
    ]
    marks = zip(layout.cells, layout.ranks, strict=True)
    lines = [" & ".join(map(_latex_cell, cells, formats, ranks)) + r" \\" for cells, ranks in marks]
    label = f"\\label{{{layout.label}}}" if layout.label else ""
    title = f"\\caption{{{latex_escape(_caption(layout))}}}{label}" if layout.caption else ""
    head = [r"\toprule", " & ".join(heads) + r" \\", r"\midrule"]
    return "\n".join([*(_longtable if is_long else _float)(kinds, title, head, lines), ""])


_SIUNITX = r"\sisetup{reset-text-series=false, mode=text, retain-explicit-plus}"


def _float(kinds: str, title: str, head: Sequence[str], lines: Sequence[str]) -> list[str]:
    """The lines of a ``table``, scaled down where it is wider than the text."""
    return [
        r"% needs \usepackage{booktabs,graphicx,siunitx}",
        r"\begin{table}",
        r"\centering",
        *([_SIUNITX] if "S[" in kinds else []),
        *([title] if title else []),
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{{kinds}}}",
        *head,
        *lines,
        r"\bottomrule",
        r"\end{tabular}}",
        r"\end{table}",
    ]


def _longtable(kinds: str, title: str, head: Sequence[str], lines: Sequence[str]) -> list[str]:
    """The lines of a ``longtable``, which repeats its head on every page."""
    return [
        r"% needs \usepackage{array,booktabs,longtable,siunitx}",
        r"{\scriptsize\setlength{\tabcolsep}{3pt}",
        *([_SIUNITX] if "S[" in kinds else []),
        rf"\begin{{longtable}}{{{kinds}}}",
        *([rf"{title}\\"] if title else []),
        *head,
        r"\endfirsthead",
        *head,
        r"\endhead",
        *lines,
        r"\bottomrule",
        r"\end{longtable}}",
    ]


def _text_kind(texts: Sequence[str], is_number: bool, is_long: bool) -> str:
    """What LaTeX calls a column without decimal points."""
    if is_long and max(map(len, texts)) > _LONG_TEXT:
        return r">{\raggedright\arraybackslash}p{8em}"
    return "r" if is_number else "l"


def _latex_head(head: str, side: str) -> str:
    """A heading, with its unit in a second line."""
    title, unit = _title_and_unit(head)
    text = latex_escape(title)
    return rf"\shortstack[{side}]{{{text}\\{latex_escape(unit)}}}" if unit else text


def _title_and_unit(head: str) -> tuple[str, str]:
    """Split a heading such as "PSNR (dB)"; the unit is "" where there is none."""
    found = re.fullmatch(r"(.+) (\([^()]+\))", head)
    return (found[1], found[2]) if found else (head, "")


def _caption(layout: Layout) -> str:
    """The caption, and what bold and underlined numbers are."""
    is_marked = any(rank for ranks in layout.ranks for rank in ranks)
    return f"{layout.caption}. Best in bold, second underlined." if is_marked else layout.caption


_NUMBER = re.compile(r"([+-]?)(\d+)(?:\.(\d+))?")


def _number_format(texts: Sequence[str]) -> str:
    """What siunitx must know of a column of numbers, such as ``+2.2``; "" for another column."""
    found = [_NUMBER.fullmatch(text) for text in texts if text != "-"]
    numbers = [match for match in found if match is not None]
    if len(numbers) < len(found) or not numbers:
        return ""
    sign = "+" if any(match[1] for match in numbers) else ""
    digits = [max(len(match[part] or "") for match in numbers) for part in (2, 3)]
    return f"{sign}{digits[0]}.{digits[1]}" if digits[1] else f"{sign}{digits[0]}"


def _latex_cell(text: str, form: str, rank: int) -> str:
    if text == "-":
        return "{--}" if form else "--"
    if not form:
        return latex_escape(_true_minus(text)).replace("\u2212", "$-$")
    if rank == 1:
        return rf"\bfseries {text}"
    return _underlined(text, form) if rank == 2 else text


def _underlined(text: str, form: str) -> str:
    """A number with a line under it alone, as wide as siunitx makes the others of its column."""
    sign, digits, decimals = _NUMBER.fullmatch(text).groups("")  # type: ignore[union-attr]
    n_digits, n_decimals = (int(n or 0) for n in form.lstrip("+").partition(".")[::2])
    before = r"\textminus" * (form.startswith("+") and not sign) + "0" * (n_digits - len(digits))
    after = "0" * (n_decimals - len(decimals))
    gaps = [rf"\hphantom{{{gap}}}" if gap else "" for gap in (before, after)]
    return rf"{{{gaps[0]}\underline{{\num{{{text}}}}}{gaps[1]}}}"


def _true_minus(text: str) -> str:
    """``text`` with minus signs for the hyphens before numbers, where it holds nothing else."""
    is_numbers = re.fullmatch(r"[-+\d.,:/; \[\]()%]+", text) is not None
    return re.sub(r"(^|[(\[ ])-(?=\d)", "\\1\u2212", text) if is_numbers else text


def _typst(layout: Layout) -> str:
    """A figure with a table."""

    def cell(text: str, rank: int) -> str:
        shown_text = "\u2013" if text == "-" else text
        shown_text = _true_minus(shown_text)
        wrap = {1: "#strong[{}]", 2: "#underline[{}]"}.get(rank, "{}")
        return f"[{wrap.format(typst_escape(shown_text))}]"

    align = ", ".join("right" if number else "left" for number in layout.is_number)
    heads = ", ".join(f"[*{_typst_head(head)}*]" for head in layout.heads)
    lines = [
        "    " + ", ".join(map(cell, cells, ranks)) + ","
        for cells, ranks in zip(layout.cells, layout.ranks, strict=True)
    ]
    label = f" <{layout.label}>" if layout.label else ""
    caption = [f"  caption: [{typst_escape(_caption(layout))}],"] if layout.caption else []
    is_long = len(lines) > _LINES_OF_A_PAGE
    parts = [
        *(["#[", "#show figure: set block(breakable: true)", "#set text(size: 8pt)"] * is_long),
        "#figure(",
        "  table(",
        f"    columns: {len(layout.heads)},",
        f"    align: ({align},),",
        "    stroke: none,",
        "    table.hline(),",
        f"    table.header({heads}),",
        "    table.hline(),",
        *lines,
        "    table.hline(),",
        "  ),",
        *caption,
        f"){label}",
        *(["]"] * is_long),
        "",
    ]
    return "\n".join(parts)


def _typst_head(head: str) -> str:
    """A heading, with its unit in a second line."""
    return r" \ ".join(typst_escape(part) for part in _title_and_unit(head) if part)


def typst_escape(text: str) -> str:
    """``text`` as Typst prints it."""
    return re.sub(r"([\\#*_`$<>@\[\]~\"'=/-])", r"\\\1", text)


def _html(layout: Layout) -> str:
    def line(texts: Sequence[str], tag: str) -> str:
        styles = [' style="text-align: right;"' if r else "" for r in layout.is_number]
        parts = zip(texts, styles, strict=True)
        return "<tr>" + "".join(f"<{tag}{s}>{html.escape(t)}</{tag}>" for t, s in parts) + "</tr>\n"

    title = f"<caption>{html.escape(layout.caption)}</caption>\n" if layout.caption else ""
    body = "".join(line(texts, "td") for texts in layout.cells)
    head = f"<thead>\n{line(layout.heads, 'th')}</thead>\n"
    return f"<table>\n{title}{head}<tbody>\n{body}</tbody>\n</table>\n"


FORMS: Mapping[str, Callable[[Layout], str]] = {
    "markdown": _markdown,
    "latex": _latex,
    "typst": _typst,
    "html": _html,
}
"""Forms by name, and the function that writes a table."""

PAPER_FORMS = ("latex", "typst")
"""Forms for a paper: names are as papers print them."""

_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}


def latex_escape(text: str) -> str:
    """``text`` as LaTeX prints it."""
    return "".join(_LATEX.get(character, character) for character in text)
