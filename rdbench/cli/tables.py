"""``rdbench tables``: the tables of a comparison, ready for a paper."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from rdbench.analysis.comparison import Rows
from rdbench.analysis.delta import Method
from rdbench.analysis.overview import TABLES, Request, bd_rates
from rdbench.analysis.selection import DEFAULT_ANCHOR
from rdbench.cli import options
from rdbench.cli.console import grouped, progress, say, warn
from rdbench.errors import RdbenchError
from rdbench.importers import import_curves
from rdbench.report.names import printed_label, printed_method, printed_metric
from rdbench.report.tables import FORMS, PAPER_FORMS, csv_text, table
from rdbench.types import WEIGHTS_TITLES


def tables(
    folder: options.Folder = options.REPORTS,
    form: Annotated[str, options.choice("--format", (*FORMS, "csv"), "Format")] = "markdown",
    only: Annotated[
        list[str], options.choice("--table", TABLES, "Only this table; default: all", "-t")
    ] = options.ALL,
    anchor: options.Anchor = "",
    dataset: options.OnlyDataset = None,
    codec: options.CurveNames = options.ALL,
    published: options.Published = options.ALL,
    metric: options.Metric = "psnr",
    method: options.Method = "poly3",
    name: options.Names = options.ALL,
    files: options.CurveFiles = options.ALL,
) -> None:
    """Print tables for a paper.

    Shows BD-rates by data set, operating points and latencies. LaTeX needs the packages
    booktabs, graphicx and siunitx 3, and longtable for tables of more than a page. LaTeX and Typst
    have captions, labels such as `tab:bdrate`, and names as papers print them.

    Example: rdbench tables reports --format latex --table bdrate
    """
    request = Request(
        folder, anchor, dataset, metric, method, codec, options.published_names(published),
        import_curves(files, dataset),
    )  # fmt: skip
    found: dict[str, Rows] = {}
    codecs: dict[str, str] = {}
    own_is_compared, against = True, anchor or DEFAULT_ANCHOR
    for one in only or TABLES:
        if one == "bdrate":
            with progress(one):
                computed, choices, anchors = bd_rates(request)
            against = anchors or against
            warn(*choices, *grouped(computed.notes))
            rows, own_is_compared = computed.rows, computed.own_is_compared
            codecs |= {curve.label: curve.codec for curve, _ in computed.found}
        else:
            rows = TABLES[one][1](request)
            codecs |= {row.get("label") or row["codec"]: row["codec"] for row in rows}
        if rows:
            found[one] = rows
        else:
            say(f"nothing for table {one}")
    anchors_there = [against] if "bdrate" in found else []
    datasets = [row["dataset"] for rows in found.values() for row in rows]
    known = [*codecs.values(), *datasets, *anchors_there, *codecs]
    style = _Style(form, options.printed_names(name, known, "these tables"), codecs)
    for line in style.remarks():
        say(line)
    compared = style.compared(against, metric, method)
    texts = [
        style.text(one, rows, compared if one == "bdrate" else "") for one, rows in found.items()
    ]
    sys.stdout.write("\n".join(texts))
    if not own_is_compared:
        raise RdbenchError(f"no BD-rate against {against!r} of your own curves: see above")


@dataclass(frozen=True)
class _Style:
    """The form of tables, and the names in them.

    Attributes:
        names: codec, label or data set -> what is printed for it.
        codecs: label -> codec.
    """

    form: str
    names: Mapping[str, str]
    codecs: Mapping[str, str]

    def text(self, name: str, rows: Rows, compared: str) -> str:
        """Return a table; ``compared`` follows its caption."""
        caption, _, shown = TABLES[name]
        if self.form == "csv":
            return csv_text([self._row(row) for row in rows])
        columns, lines = shown(rows)
        columns = [replace(c, title=self.names.get(c.title, c.title)) for c in columns]
        return table(columns, [self._row(row) for row in lines], self.form, f"{caption}{compared}",
                     f"tab:{name}")  # fmt: skip

    def compared(self, anchor: str, metric: str, method: Method) -> str:
        """What BD-rates compare, and how."""
        words: tuple[str, str, str] = (anchor, metric, method)
        if self._is_for_paper:
            words = (printed_label(anchor), printed_metric(metric), printed_method(method))
        return f" against {self.names.get(anchor, words[0])}, {words[1]}, {words[2]}"

    def _row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row with the names that are printed."""
        named = {key: self._label(row[key]) for key in ("codec", "label") if key in row}
        if "dataset" in row:
            named["dataset"] = self.names.get(row["dataset"], row["dataset"])
        if self._is_for_paper and "setting" in row:
            named["setting"] = row["setting"].replace(",", ", ")
        return {**row, **named}

    def remarks(self) -> list[str]:
        """Say which names hide that the weights are not the published ones."""
        marks = WEIGHTS_TITLES.values()
        marked = [label for label in self.codecs if any(mark in label for mark in marks)]
        return [f"{self._new(label)}: {label}" for label in marked if self._new(label)]

    def _label(self, label: str) -> str:
        return self._new(label) or (printed_label(label) if self._is_for_paper else label)

    def _new(self, label: str) -> str:
        return self.names.get(label) or self.names.get(self.codecs.get(label, ""), "")

    @property
    def _is_for_paper(self) -> bool:
        return self.form in PAPER_FORMS
