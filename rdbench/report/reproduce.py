"""Write a paper's tables and figures and the results: Markdown, LaTeX, HTML, JSON, figures."""

import dataclasses
import html
import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from rdbench.analysis.paper import Finding, Item, Paper, Value
from rdbench.columns import Column, plain
from rdbench.files import output_files, write_text
from rdbench.report.plots import FORMATS, save
from rdbench.report.style import STYLE
from rdbench.report.tables import latex_escape, table

Found = Sequence[tuple[Item, Finding]]

VALUES = (
    Column("row", "of"),
    *plain("quantity", "published", "recomputed", "here"),
    Column("difference", signed=True),
    Column("note", "measured with"),
)
"""How people see the rows of `value_rows`."""


def value_rows(finding: Finding) -> list[dict[str, Any]]:
    """The values of a finding as rows; numbers are decimals with the digits of the paper."""
    return [
        {
            "row": value.row,
            "quantity": value.quantity,
            "published": value.published,
            "recomputed": _rounded(value, value.recomputed),
            "here": _rounded(value, value.here),
            "difference": _rounded(value, value.difference),
            "note": value.note or None,
        }
        for value in finding.values
    ]


def _rounded(value: Value, number: float | None) -> Decimal | None:
    """``number`` with as many decimals as the published one, else three; -0 is 0."""
    if number is None:
        return None
    printed = value.published
    decimals = 3 if printed is None else max(0, -int(printed.as_tuple().exponent))
    return Decimal(f"{round(number, decimals) + 0.0:.{decimals}f}")


def as_json(paper: Paper, found: Found) -> dict[str, Any]:
    """Everything that was found, ready for JSON."""
    return {
        "paper": paper.title,
        "url": paper.url,
        "items": [
            {
                "item": item.name,
                "caption": item.caption,
                "values": [_value(v) for v in finding.values],
                "notes": list(finding.notes),
                "missing": [dataclasses.asdict(m) for m in finding.missing],
                "figures": [plot.name for plot in finding.plots],
            }
            for item, finding in found
        ],
    }


def _value(value: Value) -> dict[str, Any]:
    """A value for JSON: ``published`` is a number, ``printed`` has the digits of the paper."""
    published = value.published
    return {
        **dataclasses.asdict(value),
        "published": None if published is None else float(published),
        "printed": None if published is None else f"{published:f}",
        "difference": value.difference,
    }


def draw(found: Found, folder: Path) -> list[Path]:
    """Draw every figure that can be drawn, as PNG, PDF and SVG."""
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        return [
            path
            for _, finding in found
            for plot in finding.plots
            for path in save(plot.draw(), folder / plot.name)
        ]


_TEXTS = ("md", "tex", "html", "json")


def check_files(paper: Paper, found: Found, folder: Path, replace: bool) -> None:
    """Raise UsageError where `write` would replace a file and ``replace`` does not allow it."""
    names = [f"{paper.name}.{suffix}" for suffix in _TEXTS]
    names += [f"{plot.name}.{form}" for _, f in found for plot in f.plots for form in FORMATS]
    output_files([folder / name for name in names], force=replace)


def write(paper: Paper, found: Found, folder: Path) -> list[Path]:
    """Write ``PAPER.md``, ``.tex``, ``.html`` and ``.json``, and the figures next to them."""
    texts = (
        markdown(paper, found),
        latex(paper, found),
        page(paper, found),
        json.dumps(as_json(paper, found), indent=1) + "\n",
    )
    written = [folder / f"{paper.name}.{suffix}" for suffix in _TEXTS]
    for path, text in zip(written, texts, strict=True):
        write_text(path, text)
    return written + draw(found, folder)


def _captions(found: Found) -> Iterable[tuple[str, Item, Finding]]:
    return ((f"{item.name}. {item.caption}", item, finding) for item, finding in found)


def markdown(paper: Paper, found: Found) -> str:
    """The whole as Markdown."""
    parts = [f"# {paper.title}\n\n{paper.url}\n"]
    for title, _, finding in _captions(found):
        parts.append(f"## {title}\n")
        parts.append(table(VALUES, value_rows(finding), "markdown"))
        parts += [f"![{plot.name}]({plot.name}.png)\n" for plot in finding.plots]
        parts.append("".join(f"- {remark}\n" for remark in _remarks(finding)))
    return "\n".join(part for part in parts if part)


def _remarks(finding: Finding) -> list[str]:
    return [*finding.notes, *(f"Missing: {m.what}. {m.way_out}" for m in finding.missing)]


def _numbered(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows with numbers in place of what they were measured with: no page is wide enough for that.

    Returns:
        The rows, and what each number says.
    """
    texts = list(dict.fromkeys(row["note"] for row in rows if row["note"]))
    numbers = {text: f"({number})" for number, text in enumerate(texts, start=1)}
    marked = [row | {"note": numbers.get(row["note"])} for row in rows]
    return marked, [f"{number} measured with {text}" for text, number in numbers.items()]


def _latex_list(title: str, remarks: Sequence[str]) -> str:
    if not remarks:
        return ""
    items = "".join(f"\\item {latex_escape(remark)}\n" for remark in remarks)
    return (
        f"\\noindent\\textbf{{{latex_escape(title)}}}\n"
        f"\\begin{{itemize}}\\footnotesize\\raggedright\n{items}\\end{{itemize}}\n"
    )


def latex(paper: Paper, found: Found) -> str:
    """Tables and figures as a document to be compiled, or cut from."""
    parts = [
        "\\documentclass{article}\n\\usepackage[T1]{fontenc}\n\\usepackage{booktabs,siunitx,graphicx,longtable}\n"
        "\\usepackage{caption}\n\\usepackage[margin=2cm]{geometry}\n"
        "\\captionsetup{labelformat=empty}\n"
        f"\\title{{{latex_escape(paper.title)}}}\n\\date{{}}\n\\begin{{document}}\n\\maketitle\n"
    ]
    columns = (*VALUES[:-1], Column("note"))
    for title, _, finding in _captions(found):
        rows, explained = _numbered(value_rows(finding))
        parts.append(table(columns, rows, "latex", title))
        parts += [
            f"\\begin{{figure}}\n\\centering\n"
            "\\includegraphics[width=\\linewidth,height=0.85\\textheight,keepaspectratio]"
            f"{{{plot.name}}}\n"
            f"\\caption{{{latex_escape(title)}}}\n\\end{{figure}}\n"
            for plot in finding.plots
        ]
        parts.append(_latex_list(title, [*explained, *_remarks(finding)]))
    return "\n".join([*(part for part in parts if part), "\\end{document}\n"])


_HEAD = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th {{ text-align: left; }}
th, td {{ padding: 0.15rem 0.8rem; border-bottom: 1px solid #8884; }}
thead th {{ position: sticky; top: 0; background: Canvas; }}
img {{ max-width: 100%; background: white; }}
code {{ overflow-wrap: anywhere; }}
@media print {{ thead th {{ position: static; }} }}
</style>
<h1>{title}</h1>
<p><a href="{url}">{url}</a></p>
"""


def page(paper: Paper, found: Found) -> str:
    """Return one HTML page with everything; its figures are in the same folder."""
    parts = [_HEAD.format(title=html.escape(paper.title), url=paper.url)]
    for title, _, finding in _captions(found):
        parts.append(f"<h2>{html.escape(title)}</h2>\n")
        parts.append(table(VALUES, value_rows(finding), "html"))
        parts += [
            f'<p><img src="{plot.name}.svg" alt="{html.escape(title)}"></p>\n'
            for plot in finding.plots
        ]
        remarks = [html.escape(note) for note in finding.notes]
        remarks += [
            f"Missing: {html.escape(m.what)}"
            + "".join(f"<br><code>{html.escape(step)}</code>" for step in m.steps)
            for m in finding.missing
        ]
        if remarks:
            parts.append("<ul>\n" + "".join(f"<li>{r}</li>\n" for r in remarks) + "</ul>\n")
    return "".join(parts)
