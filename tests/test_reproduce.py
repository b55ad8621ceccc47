"""Papers against the evidence: the figures that must come out, and every way out that is given."""

import dataclasses
import json
import re
import shlex
import shutil
import subprocess

import pytest
import typer

from rdbench.analysis.paper import Evidence, Finding, Value, load_paper
from rdbench.cli.app import app
from rdbench.errors import UsageError
from rdbench.published import load_curve
from rdbench.report.reproduce import value_rows, write
from rdbench.store import Store
from rdbench.types import Record, Segment

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


@pytest.fixture(scope="module")
def measured_folder(tmp_path_factory):
    """Records of a QARV that needs a tenth more than VTM on the one picture of a ``kodak``."""
    out = tmp_path_factory.mktemp("reports")
    anchor = load_curve("kodak", "vtm18")
    with Store(out) as store:
        store.remember_dataset("kodak", "kodak", {"kodim01.png": "aa"})
        store.remember_protocol("p", {"scored": "8-bit"})
        for number, (bpp, psnr_db) in enumerate(zip(*anchor.points(), strict=True)):
            n_bytes = round(1.1 * bpp * 1e6 / 8)
            segments = Segment("header", 30), Segment("z1", n_bytes - 30, 8.0 * n_bytes - 300)
            store.add(
                Record(
                    codec="qarv",
                    spec=f"qarv:lambda={number + 1}.0,weights=/nowhere/w.safetensors",
                    curve="qarv:weights=/nowhere/w.safetensors@abc",
                    rate_parameter="lambda",
                    rate_value=number + 1.0,
                    fingerprint="abc",
                    weights_kind="other",
                    dataset="kodak",
                    image="kodim01.png",
                    image_sha256="aa",
                    width=1000,
                    height=1000,
                    protocol="p",
                    created="2026-01-01",
                    n_bytes=n_bytes,
                    scores={"psnr_rgb": float(psnr_db)},
                    segments=segments,
                )
            )
    return out


def test_what_was_measured_stands_beside_the_paper(measured_folder):
    evidence = Evidence(measured_folder)
    items = {item.name: item for item in load_paper("qarv").items}
    table_1 = items["Table 1"].find(evidence)
    values = {(v.row, v.quantity): v for v in table_1.values}
    kodak = values["qarv", "BD-rate Kodak (%)"]
    assert kodak.here == pytest.approx(10, abs=0.05)
    assert kodak.difference == pytest.approx(10 + 5.899, abs=0.06)
    assert values["qarv", "BD-rate Tecnick (%)"].here is None
    assert (
        "qarv here, on kodak: qarv:weights=/nowhere/w.safetensors@abc, not the published weights"
        in table_1.notes
    )
    assert not any("qarv measured on kodak" in m.what for m in table_1.missing)
    (plot,) = items["Figure 16"].find(evidence).plots
    assert len(plot.draw().axes[0].patches) == 2 * len(load_curve("kodak", "vtm18").bpp)
    (missing,) = items["Figure 11"].find(evidence).missing
    assert "/nowhere/w.safetensors" in missing.way_out


def test_reduced_weights_are_drawn_and_stand_in_no_table(measured_folder, tmp_path):
    with Store(measured_folder) as store, Store(tmp_path) as reduced:
        reduced.remember_dataset("kodak", "kodak", {"kodim01.png": "aa"})
        reduced.remember_protocol("p", {"scored": "8-bit"})
        for record in store.records():
            curve = "qarv:weights=lite@lite-abc"
            of = {"fingerprint": "lite-abc", "weights_kind": "reduced"}
            reduced.add(dataclasses.replace(record, curve=curve, **of))
    items = {item.name: item for item in load_paper("qarv").items}
    evidence = Evidence(tmp_path)
    table_1 = items["Table 1"].find(evidence)
    values = {(v.row, v.quantity): v for v in table_1.values}
    assert values["qarv", "BD-rate Kodak (%)"].here is None
    assert not any("lite-abc" in note for note in table_1.notes)
    figure_16 = items["Figure 16"].find(evidence)
    assert len(figure_16.plots) == 1
    assert figure_16.notes[0].endswith("@lite-abc, a reduced network, not the published one")


def test_macs_that_were_counted_stand_beside_the_paper(tmp_path):
    key = "qvrf-cheng2020-attn:weights=random", "cheng2020-attn:weights=random"
    with Store(tmp_path) as store:
        store.put_result("complexity", key, {"extra_macs_percent": 0.0002})
    items = {item.name: item for item in load_paper("qvrf").items}
    found = items["Table 2"].find(Evidence(tmp_path))
    values = {(v.row, v.quantity): v.here for v in found.values}
    assert values["qvrf-cheng2020-attn", "extra MACs (%)"] == 0.0002
    assert values["theis2017-cheng2020-attn", "extra MACs (%)"] is None
    assert [m.what for m in found.missing] == ["extra MACs on bmshj2018-hyperprior here"]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_the_document_compiles(measured_folder, tmp_path):
    paper = load_paper("qarv")
    evidence = Evidence(measured_folder)
    write(paper, [(item, item.find(evidence)) for item in paper.items], tmp_path)
    words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "qarv.tex"]
    subprocess.run(words, cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    log = (tmp_path / "qarv.log").read_text(errors="replace")
    assert "Overfull" not in log
