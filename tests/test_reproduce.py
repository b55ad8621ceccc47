"""Papers against the evidence: the figures that must come out, and every way out that is given."""

import json
import re
import shlex

import pytest
import typer

from rdbench.analysis.paper import Evidence, Finding, Value, load_paper
from rdbench.cli import app
from rdbench.errors import UsageError
from rdbench.report.reproduce import value_rows, write

PAPERS = ("qarv", "qvrf")


@pytest.fixture(scope="module", params=PAPERS)
def paper_and_found(request, tmp_path_factory):
    evidence = Evidence(tmp_path_factory.mktemp("empty"))
    paper = load_paper(request.param)
    return paper, [(item, item.find(evidence)) for item in paper.items]


def test_figures_of_qarv():
    finding = load_paper("qarv").items[0].find(Evidence("nowhere"))
    rows = {(row["of"], row["quantity"]): row for row in value_rows(finding)}
    for codec, quantity, published, recomputed in (
        ("qarv", "BD-rate Kodak (%)", "-5.899", "-5.899"),
        ("qarv", "BD-rate Tecnick (%)", "-8.938", "-8.938"),
        ("qarv", "BD-rate CLIC 2022 (%)", "-6.951", "-6.914"),
        ("mbt2018-mean", "BD-rate Kodak (%)", "21.99", "21.99"),
        ("mbt2018", "BD-rate Kodak (%)", "11.51", "11.51"),
    ):
        row = rows[codec, quantity]
        assert (row["published"], row["recomputed"]) == (published, recomputed)
    assert rows["qarv", "parameters, 1 model (M)"]["here"] == "93.4"


def test_every_item_says_something(paper_and_found):
    for item, found in paper_and_found[1]:
        assert found.values or found.plots or found.notes or found.missing, item.name


def test_every_command_that_is_given_parses(paper_and_found):
    texts = [m.way_out for _, found in paper_and_found[1] for m in found.missing]
    commands = [c for text in texts for c in re.findall(r"rdbench [^;`]+", text)]
    assert commands
    for line in commands:
        command, words = typer.main.get_command(app), shlex.split(line.partition(", or")[0])[1:]
        while hasattr(command, "commands"):
            command, *words = command.commands[words[0]], *words[1:]
        command.make_context(command.name, words)


def test_everything_is_written(paper_and_found, tmp_path):
    paper, found = paper_and_found
    names = {path.name for path in write(paper, found, tmp_path)}
    assert {f"{paper.name}.{suffix}" for suffix in ("md", "tex", "html", "json")} <= names
    figures = {plot.name for _, finding in found for plot in finding.plots}
    assert {f"{figure}.{suffix}" for figure in figures for suffix in ("png", "pdf", "svg")} <= names
    body = json.loads((tmp_path / f"{paper.name}.json").read_text())
    assert [item["item"] for item in body["items"]] == [item.name for item in paper.items]
    page = (tmp_path / f"{paper.name}.html").read_text()
    assert all(f'src="{figure}.svg"' in page for figure in figures)
    latex = (tmp_path / f"{paper.name}.tex").read_text()
    assert latex.count(r"\begin{") == latex.count(r"\end{")


def test_digits_are_those_of_the_paper():
    finding = Finding((Value("a", "q", 21.99, 21.987), Value("b", "q", 7e-05, None, 0.00006999)))
    first, second = value_rows(finding)
    assert (first["recomputed"], first["difference"]) == ("21.99", "+0.00")
    assert (second["published"], second["here"]) == ("0.00007", "0.00007")


def test_no_such_paper():
    with pytest.raises(UsageError, match="no paper is named 'qar'; did you mean 'qarv'"):
        load_paper("qar")


def test_pictures_from_some_of_their_latents(monkeypatch):
    from rdbench_codecs.qarv import Qarv
    from rdbench_reports.papers import subsets

    monkeypatch.setattr(subsets, "LAMBDAS", (64.0,))
    monkeypatch.setattr(subsets, "PICTURES", ("chelsea",))
    figure = subsets.subsets_figure(Qarv(weights="random-tiny", threads=1))
    assert len(figure.axes) == 3 * 10
    assert all(axes.images for axes in figure.axes)
