"""Tables as text: what each form holds, and that LaTeX prints what was meant."""

import csv
import io
import shutil
import subprocess
from decimal import Decimal

import pytest
import typst

from rdbench.columns import Column, side_by_side
from rdbench.report.tables import csv_text, table

COLUMNS = (
    Column("codec"),
    Column("bd_rate_percent", "BD-rate", "%", 2, paper_digits=4),
    Column("note"),
    Column("n"),
)
ROWS = [
    {"codec": "a_b & c", "bd_rate_percent": -5.899, "note": None, "n": 3},
    {"codec": "-", "bd_rate_percent": None, "note": None, "n": -1},
]
CODEC_AND_N = (Column("codec"), Column("n"))


def test_markdown_has_a_dash_for_none_and_no_empty_column():
    lines = table(COLUMNS, ROWS, "markdown", "Title").splitlines()
    assert lines[0] == "**Title**"
    assert [part.strip() for part in lines[2].split("|")[1:-1]] == ["codec", "BD-rate (%)", "n"]
    assert [part.strip() for part in lines[5].split("|")[1:-1]] == ["-", "-", "-1"]
    assert lines[3].split("|")[2].strip().endswith(":")  # numbers to the right
    assert len({len(line) for line in lines[2:]}) == 1


def test_latex_escapes_text_and_has_true_minus_signs():
    text = table(COLUMNS, ROWS, "latex", "50 % of a_b")
    for part in (r"\toprule", r"\bottomrule", r"a\_b \& c", "& -5.8990 &", r"50 \% of a\_b"):
        assert part in text
    assert "lS[table-format=+1.4]S[table-format=+1]" in text
    assert "r{$-$1/3}" not in text
    assert text.count("--") == 2  # the name and the missing number


INTERVALS = (
    Column("codec"),
    Column("bd_rate_percent", "BD-rate", "%", 2, better="lower"),
    Column("gain", better="higher"),
    Column("interval"),
    Column("n", template="{n:.1f}/{m:.1f}"),
)
FIGURES = [
    {"codec": name, "bd_rate_percent": rate, "gain": -rate, "interval": f"[{rate:+.2f}, -1.00]",
     "n": rate, "m": 1.0}
    for name, rate in (("one", 4.0), ("two-2", -12.5), ("three", -3.104), ("four", -3.1),
                       ("five", 9.0))
]  # fmt: skip


def test_latex_marks_the_best_and_the_second_and_aligns_numbers():
    lines = table(INTERVALS, FIGURES, "latex", "Rates", "tab:x").splitlines()
    assert r"\caption{Rates. Best in bold, second underlined.}\label{tab:x}" in lines
    assert r"\begin{tabular}{lS[table-format=+2.2]S[table-format=+2.4]lr}" in lines
    rows = {line.split(" &")[0]: line for line in lines if " & " in line}
    assert r"& \bfseries -12.50 & \bfseries 12.5000 & [$-$12.50, $-$1.00] &" in rows["two-2"]
    second = r"{\hphantom{0}\underline{\num{-3.10}}}"
    assert second in rows["three"]
    assert second in rows["four"]  # they look alike
    assert r"{\hphantom{\textminus0}\underline{\num{3.1040}}}" in rows["three"]
    assert "bfseries" not in rows["one"] + rows["three"] + rows["four"] + rows["five"]
    assert "$-$3.1/1.0" in rows["four"]


def test_typst():
    text = table(INTERVALS, [*FIGURES, dict.fromkeys(FIGURES[0])], "typst", "50 % of #x", "tab:x")
    assert "[two\\-2], [#strong[\u221212.50]], [#strong[12.5000]], [\\[\u221212.50, " in text
    assert text.count("#underline[\u22123.10]") == 2
    assert "[\u2013], [\u2013]" in text
    assert "caption: [50 % of \\#x. Best in bold, second underlined.]," in text
    assert text.endswith(") <tab:x>\n")


def test_html_escapes():
    text = table(COLUMNS, ROWS, "html", "<b>")
    assert "<caption>&lt;b&gt;</caption>" in text
    assert "a_b &amp; c" in text
    assert '<td style="text-align: right;">3</td>' in text


def test_csv_has_keys_and_every_digit():
    text = csv_text([{"x": 0.1 + 0.2, "bd_rate_percent": 1}, {"bd_rate_percent": 2, "x": None}])
    first, second = csv.DictReader(io.StringIO(text))
    assert float(first["x"]) == 0.1 + 0.2
    assert second == {"x": "", "bd_rate_percent": "2"}
    assert csv_text([]) == ""


@pytest.mark.parametrize(
    "text", ["=1+1", "+cmd|x", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "-", "=HYPERLINK(1)"]
)
def test_csv_holds_no_formula(text):
    rows = list(csv.reader(io.StringIO(csv_text([{text: text, "n": -1}]), newline="")))
    assert rows == [[f"'{text}", "n"], [f"'{text}", "-1"]]


def test_csv_keeps_a_row_in_one_line_of_a_spreadsheet():
    text = csv_text([{"image": "a\r=1", "n": 2, "none": None}])
    assert list(csv.reader(io.StringIO(text, newline="")))[1] == ["a\r=1", "2", ""]


@pytest.mark.parametrize("value", [-1.5, "-1.5", "+3.1", "-1e-05", "-inf", "a=b", "kodim-01"])
def test_csv_keeps_numbers_and_other_text(value):
    assert csv_text([{"x": value}]) == f"x\n{value}\n"


def test_no_rows_no_table():
    assert table(COLUMNS, [], "latex") == ""


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        (Column("x"), True, "yes"),
        (Column("x"), None, "-"),
        (Column("x"), 1.5, "1.5000"),
        (Column("x"), 7, "7"),
        (Column("x", digits=2, paper_digits=5), 1.5, "1.50"),
        (Column("x", digits=1, signed=True), 1.25, "+1.2"),
        (Column("x", digits=1, scale=1e-6), 93_400_000, "93.4"),
        (Column("x"), Decimal("21.90"), "21.90"),
        (Column("x", signed=True), Decimal("0.00"), "+0.00"),
        (Column("x"), [0.5, 1], "0.5, 1"),
        (Column("x", template="{x:.1f}-{y:.1f} {z}"), 1.0, "1.0-2.0 s"),
        (Column("x", template="{x:.1f}-{y:.1f}"), None, "-"),
    ],
)
def test_cells(column, value, text):
    assert column.text({"x": value, "y": 2.0, "z": "s"}) == text


def test_papers_have_digits_of_their_own():
    column = Column("x", digits=2, paper_digits=5)
    assert column.text({"x": 1.5}, for_paper=True) == "1.50000"
    assert Column("x", digits=2).text({"x": 1.5}, for_paper=True) == "1.50"


def test_values_side_by_side():
    rows = [
        {"codec": "a", "dataset": "codec", "percent": 1.0},
        {"codec": "a", "dataset": "b", "percent": None},
        {"codec": "c", "dataset": "b", "percent": 2.0},
    ]
    columns, wide = side_by_side(rows, [Column("codec")], "dataset", Column("percent", unit="%"))
    assert [column.heading for column in columns] == ["codec (%)", "b (%)"]
    assert [[column.text(row) for column in columns] for row in wide] == [
        ["1.0000", "-"],
        ["-", "2.0000"],
    ]


def test_a_table_of_more_than_a_page_breaks():
    text = table(COLUMNS, ROWS * 30, "latex", "Title")
    assert r"\begin{table}" not in text
    assert (
        text.index(r"\begin{longtable}") < text.index(r"\caption{Title}\\") < text.index("toprule")
    )
    assert text.count(r"\toprule") == 2  # on the first page, and on the others
    assert text.count(r"\end{longtable}") == 1
    assert "tabular" not in text
    assert "breakable: true" in table(COLUMNS, ROWS * 30, "typst", "Title")


def test_what_all_rows_share_is_in_the_caption_of_a_paper():
    columns = (Column("codec"), Column("n"), Column("source"))
    rows = [{"codec": name, "n": 2, "source": "measured"} for name in ("one", "two")]
    text = table(columns, rows, "latex", "Title")
    assert r"\caption{Title. Source: measured}" in text
    assert r"one & 2 \\" in text
    assert "measured" in table(columns, rows, "markdown", "Title").splitlines()[-1]
    assert "one & 2 & measured" in table(columns, rows[:1], "latex", "Title")


ODD = r"a_b & 100 % #1 ~x^2 \y {z} <w> $5 | `c` [d] *e* 'f' \"g\" @h =i /j"
DOCUMENT = r"""
\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage{array,booktabs,graphicx,longtable,siunitx}
\begin{document}
%s
\end{document}
"""


def odd_table(form, n_rows):
    rows = [{**row, "codec": f"{row['codec']} {ODD * 2}"} for row in FIGURES]
    more = [dict.fromkeys(FIGURES[0]) | {"codec": ODD}]
    columns = [*INTERVALS, Column("m", "a very long heading of a column", "kMAC/pixel")]
    return table(columns, (rows * n_rows + more)[:n_rows], form, ODD, "tab:x")


@pytest.mark.parametrize("n_rows", [6, 45])
def test_typst_compiles(n_rows):
    pages = typst.compile((odd_table("typst", n_rows) + "\nSee @tab:x.\n").encode(), format="svg")
    assert (len(pages) if isinstance(pages, list) else 1) == (1 if n_rows == 6 else 3)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("n_rows", [6, 45])
def test_latex_compiles(n_rows, tmp_path):
    (tmp_path / "a.tex").write_text(DOCUMENT % odd_table("latex", n_rows))
    words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "a.tex"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "deprecated" not in (tmp_path / "a.log").read_text(errors="replace")
    assert n_rows > 6 or "Overfull" not in (tmp_path / "a.log").read_text(errors="replace")


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        ("markdown", r"| a\|b \*c\* \<d> \$5\$ \`e\` f[g] |"),
        ("latex", "\na\\textbar{}b *c* \\textless{}d\\textgreater{} \\$5\\$ `e` f[g] & 1 "),
        ("html", "<td>a|b *c* &lt;d&gt; $5$ `e` f[g]</td>"),
    ],
)
def test_names_stay_what_they_are(form, shown):
    assert shown in table(CODEC_AND_N, [{"codec": "a|b *c* <d> $5$ `e` f[g]", "n": 1}], form)


def test_line_breaks_and_captions():
    assert r"a\\nb" in table(CODEC_AND_N, [{"codec": "a\nb", "n": 1}], "markdown")
    assert r"a\nb" in table(CODEC_AND_N, [{"codec": "a\nb", "n": 1}], "html")
    assert r"\caption{x\textasciicircum{}2 \textbackslash{}y \$}" in table(
        CODEC_AND_N, [{"codec": "a", "n": 1}], "latex", r"x^2 \y $"
    )
