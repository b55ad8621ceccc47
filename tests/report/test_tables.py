"""Tables as text: what each form holds, and that LaTeX prints what was meant."""

import csv
import io

import pytest

from rdbench.errors import UsageError
from rdbench.report.tables import cell, table

ROWS = [
    {"codec": "a_b & c", "bd_rate_percent": -5.899, "note": None, "n": 3},
    {"codec": "-", "bd_rate_percent": None, "note": None, "n": -1},
]


def test_markdown_has_a_dash_for_none_and_no_empty_column():
    lines = table(ROWS, "markdown", "Title").splitlines()
    assert lines[0] == "**Title**"
    assert [part.strip() for part in lines[2].split("|")[1:-1]] == ["codec", "bd rate percent", "n"]
    assert [part.strip() for part in lines[5].split("|")[1:-1]] == ["-", "-", "-1"]
    assert lines[3].split("|")[2].endswith(":")  # numbers to the right


def test_latex_escapes_text_and_has_true_minus_signs():
    text = table(ROWS, "latex", "50 % of a_b")
    for part in (r"\toprule", r"\bottomrule", r"a\_b \& c", "$-$5.8990", "$-$1", r"50 \% of a\_b"):
        assert part in text
    assert text.count("--") == 2  # the name and the missing number


def test_html_escapes():
    text = table(ROWS, "html", "<b>")
    assert "<caption>&lt;b&gt;</caption>" in text
    assert "a_b &amp; c" in text


def test_csv_keeps_every_digit():
    (first, second) = csv.DictReader(io.StringIO(table([{"x": 0.1 + 0.2}, {"x": None}], "csv")))
    assert float(first["x"]) == 0.1 + 0.2
    assert second["x"] == ""


@pytest.mark.parametrize(
    "text", ["=1+1", "+cmd|x", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "-", "=HYPERLINK(1)"]
)
def test_csv_holds_no_formula(text):
    rows = list(csv.reader(io.StringIO(table([{text: text, "n": -1}], "csv"), newline="")))
    assert rows == [[f"'{text}", "n"], [f"'{text}", "-1"]]


def test_csv_keeps_a_row_in_one_line_of_a_spreadsheet():
    text = table([{"image": "a\r=1", "n": 2, "none": None}], "csv")
    assert list(csv.reader(io.StringIO(text, newline="")))[1] == ["a\r=1", "2", ""]


@pytest.mark.parametrize("value", [-1.5, "-1.5", "+3.1", "-1e-05", "-inf", "a=b", "kodim-01"])
def test_csv_keeps_numbers_and_other_text(value):
    assert table([{"x": value}], "csv") == f"x\n{value}\n"


def test_no_rows_no_table_and_no_other_form():
    assert table([], "latex") == ""
    with pytest.raises(UsageError, match="markdown, latex, html, csv"):
        table(ROWS, "rtf")


@pytest.mark.parametrize(("value", "text"), [(True, "yes"), (None, "-"), (1.5, "1.5000"), (7, "7")])
def test_cells(value, text):
    assert cell("anything", value) == text


def test_a_table_of_more_than_a_page_breaks():
    text = table(ROWS * 30, "latex", "Title")
    assert r"\begin{table}" not in text
    assert (
        text.index(r"\begin{longtable}") < text.index(r"\caption{Title}\\") < text.index("toprule")
    )
    assert text.count(r"\end{longtable}") == 1
    assert "tabular" not in text


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        ("markdown", r"| a\|b \*c\* \<d> \$5\$ \`e\` f[g] |"),
        ("latex", r" a|b *c* \ensuremath{<}d\ensuremath{>} \$5\$ `e` f[g] &"),
        ("html", "<td>a|b *c* &lt;d&gt; $5$ `e` f[g]</td>"),
        ("csv", "a|b *c* <d> $5$ `e` f[g],1"),
    ],
)
def test_names_stay_what_they_are(form, shown):
    assert shown in table([{"codec": "a|b *c* <d> $5$ `e` f[g]", "n": 1}], form)


def test_line_breaks_and_captions():
    assert r"a\\nb" in table([{"codec": "a\nb", "n": 1}], "markdown")
    assert r"a\nb" in table([{"codec": "a\nb", "n": 1}], "html")
    assert r"\caption{x\textasciicircum{}2 \textbackslash{}y \$}" in table(
        [{"codec": "a", "n": 1}], "latex", r"x^2 \y $"
    )
