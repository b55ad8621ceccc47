"""Compare papers with the evidence: the expected figures, and all commands that are suggested."""

import dataclasses
import json
import shlex
import shutil
import subprocess
from decimal import Decimal

import pytest
import typer
from sample import photograph
from typer.testing import CliRunner

from rdbench.analysis.paper import Evidence, Finding, Value, load_paper
from rdbench.cli.app import app
from rdbench.datasets import manifest
from rdbench.errors import UsageError
from rdbench.images import write_image
from rdbench.plugins import codec_class
from rdbench.published import load_curve
from rdbench.report.reproduce import VALUES, as_json, value_rows, write
from rdbench.spec import get_codecs
from rdbench.store import Store
from rdbench.timing import Quartiles, Timing
from rdbench.types import Record, Segment, Weights

PAPERS = ("qarv", "qvrf")


@pytest.fixture(autouse=True)
def small_crops(monkeypatch):
    """Figure 11 of QARV decodes 80 images: seconds instead of half a minute."""
    monkeypatch.setattr("rdbench_literature.papers.subsets._SIDE", 64)


@pytest.fixture(scope="module", params=PAPERS)
def paper_and_found(request, tmp_path_factory):
    evidence = Evidence(tmp_path_factory.mktemp("empty"))
    paper = load_paper(request.param)
    return paper, [(item, item.find(evidence)) for item in paper.items]


def test_figures_of_qarv():
    finding = load_paper("qarv").items[0].find(Evidence("nowhere"))
    rows = {(row["row"], row["quantity"]): row for row in value_rows(finding)}
    for codec, quantity, published, recomputed in (
        ("qarv", "BD-rate Kodak (%)", "-5.899", "-5.899"),
        ("qarv", "BD-rate Tecnick (%)", "-8.938", "-8.938"),
        ("qarv", "BD-rate CLIC 2022 (%)", "-6.951", "-6.914"),
        ("mbt2018-mean", "BD-rate Kodak (%)", "21.99", "21.99"),
        ("mbt2018", "BD-rate Kodak (%)", "11.51", "11.51"),
        ("cheng2020-anchor", "BD-rate Kodak (%)", "4.552", "4.540"),
    ):
        row = rows[codec, quantity]
        assert (str(row["published"]), str(row["recomputed"])) == (published, recomputed)
    assert str(rows["qarv", "parameters, 1 model (M)"]["here"]) == "93.4"
    assert str(rows["cheng2020-anchor", "parameters, 6 models (M)"]["here"]) == "115"
    assert not any(codec == "cheng2020-attn" for codec, _ in rows)


def test_every_item_says_something(paper_and_found):
    for item, found in paper_and_found[1]:
        assert found.values or found.plots or found.notes or found.missing, item.name


def test_every_command_that_is_given_works(paper_and_found):
    """It parses, and its codecs, data sets, weights and recipes exist."""
    steps = [s for _, found in paper_and_found[1] for m in found.missing for s in m.steps]
    commands = [step for step in steps if step.startswith("rdbench ")]
    assert {"run", "weights", "datasets", "train"} <= {line.split()[1] for line in commands}
    assert not any("rdbench" in step for step in steps if step not in commands)
    for line in commands:
        command, words = typer.main.get_command(app), shlex.split(line)[1:]
        while hasattr(command, "commands"):
            command, *words = command.commands[words[0]], *words[1:]
        params = command.make_context(command.name, words).params
        if command.name == "train":
            codec_class(params["codec"]).recipe(params["config"])
            continue
        codecs = params.get("codec") or ()
        for spec in (codecs,) if isinstance(codecs, str) else codecs:
            assert get_codecs(spec.partition(":weights=")[0]), spec
        datasets = params.get("dataset") or ()
        for name in (datasets,) if isinstance(datasets, str) else datasets:
            assert manifest(name).n_images, name
        if command.name == "run":
            assert params["scored"] == "float"


def test_papers_measure_as_they_score(paper_and_found):
    runs = [s for _, f in paper_and_found[1] for m in f.missing for s in m.steps if " run " in s]
    assert runs
    assert all("--scored float" in step and "--out" in step for step in runs)


@pytest.fixture(scope="module", params=PAPERS)
def written(request, measured_folder, tmp_path_factory):
    """A paper, what becomes of it with measurements, and the folder that it is written to."""
    paper, evidence = load_paper(request.param), Evidence(measured_folder)
    found = [(item, item.find(evidence)) for item in paper.items]
    folder = tmp_path_factory.mktemp(paper.name)
    paths = write(paper, found, folder)
    assert {*paths} == {*folder.iterdir()}
    return paper, found, folder


def test_everything_is_written(written):
    paper, found, folder = written
    names = {path.name for path in folder.iterdir()}
    assert {f"{paper.name}.{suffix}" for suffix in ("md", "tex", "html", "json")} <= names
    figures = {plot.name for _, finding in found for plot in finding.plots}
    assert {f"{figure}.{suffix}" for figure in figures for suffix in ("png", "pdf", "svg")} <= names
    body = json.loads((folder / f"{paper.name}.json").read_text())
    assert [item["item"] for item in body["items"]] == [item.name for item in paper.items]
    page = (folder / f"{paper.name}.html").read_text()
    assert all(f'src="{figure}.svg"' in page for figure in figures)
    latex = (folder / f"{paper.name}.tex").read_text()
    assert latex.count(r"\begin{") == latex.count(r"\end{")


def test_digits_are_those_of_the_paper():
    values = (
        Value("a", "q", Decimal("21.99"), 21.987),
        Value("b", "q", Decimal("0.00007"), None, 0.00006999),
        Value("c", "q", Decimal("-5.90"), -5.899),
    )
    first, second, third = (
        {c.key: c.text(row) for c in VALUES} for row in value_rows(Finding(values))
    )
    assert (first["recomputed"], first["difference"]) == ("21.99", "+0.00")
    assert (second["published"], second["here"]) == ("0.00007", "0.00007")
    assert (third["published"], third["recomputed"]) == ("-5.90", "-5.90")


@pytest.mark.parametrize(
    ("paper", "item", "printed"),
    [
        ("qarv", "Table 1", "2.410 0.740 0.360 2.170 -3.100 -1.510 3.140 6.570 599 98.4 -8.938"),
        ("qarv", "Table 2", "2.446 2.005 -0.066 1.970 5.365 1.041 10.26"),
        ("qarv", "Table 3", "24.96 18.20 14.06 22.51 9.076 3.761"),
        ("qarv", "Table 7", "-4.74 -4.28"),
        ("qvrf", "Table 2", "0.00060 0.00062 0.00089 251.77958 0.00003"),
        ("qvrf", "Table R1", "0.97330 31.770 1.0766 1.3640 0.99280 1.6540 36.870 0.00236"),
        ("qvrf", "Figure 3", "0.8296 0.3266"),
    ],
)
def test_tables_print_what_the_papers_print(paper, item, printed, tmp_path):
    (found,) = (i for i in load_paper(paper).items if i.name == item)
    finding = found.find(Evidence(tmp_path))
    assert set(printed.split()) <= {VALUES[2].text(row) for row in value_rows(finding)}
    (body,) = as_json(load_paper(paper), [(found, finding)])["items"]
    assert set(printed.split()) <= {value["printed"] for value in body["values"]}
    json.dumps(body)


def test_no_such_paper():
    with pytest.raises(UsageError, match="no paper is named 'qar'; did you mean 'qarv'"):
        load_paper("qar")


def test_images_from_some_of_their_latents(monkeypatch):
    from rdbench_codecs.qarv import Qarv
    from rdbench_literature.papers import subsets

    monkeypatch.setattr(subsets, "LAMBDAS", (64.0,))
    monkeypatch.setattr(subsets, "IMAGES", ("chelsea",))
    figure = subsets.subsets_figure(Qarv(weights="random-tiny", threads=1))
    assert len(figure.axes) == 3 * 10
    assert all(axes.images for axes in figure.axes)


@pytest.fixture(scope="module")
def measured_folder(tmp_path_factory):
    """Records of a QARV that needs a tenth more than VTM on the one image of a ``kodak``."""
    out = tmp_path_factory.mktemp("reports")
    anchor = load_curve("kodak", "vtm18")
    with Store(out) as store:
        store.remember_dataset("kodak", "kodak", {"kodim01.png": "aa"})
        store.remember_protocol("p", {"scored": "float"})
        for number, (bpp, psnr_db) in enumerate(zip(*anchor.points(), strict=True)):
            n_bytes = round(1.1 * bpp * 1e6 / 8)
            segments = Segment("header", 30), Segment("z1", n_bytes - 30, 8.0 * n_bytes - 300)
            store.add(
                Record(
                    codec="qarv",
                    spec=f"qarv:lambda={number + 1}.0,weights=/nowhere/w.safetensors",
                    settings=(("weights", "/nowhere/w.safetensors"),),
                    rate_parameter="lambda",
                    rate_value=number + 1.0,
                    fingerprint="abc",
                    weights=Weights("published", "abc"),
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


def copied(folder, out, scored="float", **changes):
    """A report folder with the records of another one, changed."""
    with Store(folder) as store, Store(out) as copy:
        copy.remember_dataset("kodak", "kodak", {"kodim01.png": "aa"})
        copy.remember_protocol("p", {"scored": scored})
        for record in store.records():
            copy.add(dataclasses.replace(record, **changes))
    return Evidence(out)


def items_of(paper):
    return {item.name: item for item in load_paper(paper).items}


def values_of(finding):
    return {(v.row, v.quantity): v for v in finding.values}


def test_measured_values_are_compared_with_the_paper(measured_folder):
    evidence = Evidence(measured_folder)
    items = {item.name: item for item in load_paper("qarv").items}
    table_1 = items["Table 1"].find(evidence)
    values = {(v.row, v.quantity): v for v in table_1.values}
    kodak = values["qarv", "BD-rate Kodak (%)"]
    assert kodak.here == pytest.approx(10, abs=0.05)
    assert kodak.difference == pytest.approx(10 + 5.899, abs=0.06)
    assert values["qarv", "BD-rate Tecnick (%)"].here is None
    assert "qarv measured on kodak: qarv:weights=/nowhere/w.safetensors@abc" in table_1.notes
    assert not any("qarv measured on kodak" in m.what for m in table_1.missing)
    (plot,) = items["Figure 16"].find(evidence).plots
    assert len(plot.draw().axes[0].patches) == 2 * len(load_curve("kodak", "vtm18").bpp)
    (missing,) = items["Figure 11"].find(evidence).missing
    assert "/nowhere/w.safetensors" in missing.way_out


def test_a_reduced_network_in_a_file_is_drawn_and_stands_in_no_table(measured_folder, tmp_path):
    evidence = copied(measured_folder, tmp_path, weights=Weights("reduced", "abc"))
    items = items_of("qarv")
    table_1 = items["Table 1"].find(evidence)
    assert values_of(table_1)["qarv", "BD-rate Kodak (%)"].here is None
    (note,) = (note for note in table_1.notes if "w.safetensors" in note)
    assert note.startswith("not compared")
    assert note.endswith("a reduced network")
    assert any("qarv measured on kodak" in m.what for m in table_1.missing)
    figure_16 = items["Figure 16"].find(evidence)
    assert len(figure_16.plots) == 1
    assert figure_16.notes[0].endswith("/w.safetensors@abc, a reduced network")


def test_random_weights_are_neither_drawn_nor_compared(measured_folder, tmp_path):
    evidence = copied(measured_folder, tmp_path, weights=Weights("random", "abc"))
    items = items_of("qarv")
    assert values_of(items["Table 1"].find(evidence))["qarv", "BD-rate Kodak (%)"].here is None
    assert not items["Figure 16"].find(evidence).plots
    assert evidence.drawable("kodak", "qarv") == []


def test_other_weights_of_full_size_are_named_with_the_value(measured_folder, tmp_path):
    evidence = copied(measured_folder, tmp_path, weights=Weights("other", "abc"))
    table_1 = items_of("qarv")["Table 1"].find(evidence)
    (row,) = (
        row
        for row in value_rows(table_1)
        if (row["row"], row["quantity"]) == ("qarv", "BD-rate Kodak (%)")
    )
    assert "/nowhere/w.safetensors@abc" in row["note"]
    assert "not the published weights" in row["note"]
    assert evidence.best("kodak", "qarv").source == "published"


def test_curves_scored_otherwise_than_the_paper_are_not_compared(measured_folder, tmp_path):
    evidence = copied(measured_folder, tmp_path, scored="8-bit")
    table_1 = items_of("qarv")["Table 1"].find(evidence)
    assert values_of(table_1)["qarv", "BD-rate Kodak (%)"].here is None
    assert any("scored as 8-bit, the paper scores as float" in note for note in table_1.notes)
    assert any("--scored float" in m.way_out for m in table_1.missing if "qarv" in m.what)


def test_networks_trained_for_another_metric_are_not_compared(measured_folder, tmp_path):
    evidence = copied(
        measured_folder,
        tmp_path,
        codec="mbt2018",
        spec="mbt2018:quality=1,metric=ms-ssim",
        settings=(("metric", "ms-ssim"),),
    )
    (curve,) = evidence.own("kodak", "mbt2018")
    assert evidence.objection(curve) == "trained for MS-SSIM"


TIMING = Timing(
    codec="qarv",
    spec="qarv:lambda=2048.0,weights=published,precision=float32",
    rate="lambda=2048",
    fingerprint="abc",
    dataset="kodak",
    n_images=24,
    n_repeats=3,
    encode_s=Quartiles(0.8, 0.9, 1.0),
    decode_s=Quartiles(0.3, 0.4, 0.5),
    stages={"encode": {}, "decode": {}},
    device="a processor",
    on_gpu=False,
    threads=8,
    peak_memory_bytes=1,
    peak_gpu_bytes=None,
    others_cores=0.0,
    machine={},
    created="2026-01-01T00:00:00+00:00",
    weights_kind="published",
)
RANDOM = "qarv:lambda=2048.0,weights=random,precision=float32"
TINY = "qarv:lambda=2048.0,weights=random-tiny,precision=float32"


def kept(folder, **changes):
    with Store(folder) as store:
        body = dataclasses.asdict(dataclasses.replace(TIMING, **changes))
        store.put_result("timing", (str(changes),), body)


def latency(folder):
    finding = items_of("qarv")["Table 1"].find(Evidence(folder))
    return values_of(finding)["qarv", "encode, CPU (s)"], finding


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"weights_kind": "reduced"}, "a reduced network"),
        ({"weights_kind": "random", "spec": TINY}, "a reduced network"),
        ({"others_cores": 1.5}, "other processes kept 1.5 cores busy"),
        ({"rate": "lambda=16"}, "at lambda=16, the paper times lambda=2048"),
    ],
)
def test_timings_that_cannot_be_compared_are_named(changes, why, tmp_path):
    kept(tmp_path, **changes)
    value, finding = latency(tmp_path)
    assert value.here is None
    assert any(n.startswith("not compared: timing of qarv") and n.endswith(why)
               for n in finding.notes)  # fmt: skip
    assert any("latencies on the CPU of qarv" in m.what for m in finding.missing)


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({}, "CPU, 8 threads, a processor"),
        ({"threads": 1}, "CPU, 1 thread, a processor"),
        ({"weights_kind": "random", "spec": RANDOM}, "CPU, 8 threads, a processor, random weights"),
    ],
)
def test_a_latency_says_what_it_was_measured_with(changes, note, tmp_path):
    kept(tmp_path, **changes)
    value, _ = latency(tmp_path)
    assert (value.here, value.note) == (0.9, note)


def test_the_threads_of_the_paper_come_first(tmp_path):
    kept(tmp_path, threads=1, encode_s=Quartiles(2, 2, 2), created="2026-02-01T00:00:00+00:00")
    kept(tmp_path)
    assert latency(tmp_path)[0].here == 0.9


def test_a_fit_of_regulators_that_were_not_learned_is_not_shown(tmp_path):
    equation_7 = items_of("qvrf")["Figure 3"].find(Evidence(tmp_path))
    assert all(value.here is None for value in equation_7.values)
    assert len(equation_7.missing) == 1
    (axes,) = equation_7.plots[0].draw().axes
    assert [line.get_label() for line in axes.lines] == ["published: 0.8296 a + 0.3266"]


def test_table_r1_takes_the_regulator_of_each_row(tmp_path):
    codec = "qvrf-cheng2020-attn"
    points = [
        ("index", 2, 6000),
        ("index", 5, 4000),
        ("a", 1.5, 100),
        ("index", 6, 9),
        ("index", 7, 8),
    ]
    with Store(tmp_path) as store:
        store.remember_dataset("kodak", "kodak", {"kodim01.png": "aa"})
        store.remember_protocol("p", {"scored": "float"})
        for name, value, n_bytes in points:
            record = Record(
                codec=codec, spec=f"{codec}:{name}={value}",
                rate_parameter=name, rate_value=value, fingerprint="abc", dataset="kodak",
                image="kodim01.png", image_sha256="aa", width=100, height=100, protocol="p",
                created="2026-01-01", n_bytes=n_bytes, scores={"psnr_rgb": 30.0},
                weights=Weights("published", "abc"),
            )  # fmt: skip
            store.add(record)
    found = values_of(items_of("qvrf")["Table R1"].find(Evidence(tmp_path)))
    here = {n: found[f"rate {n}", "total (bpp)"].here for n in range(1, 9)}
    assert here[3] == pytest.approx(8 * 6000 / 1e4)
    assert here[6] == pytest.approx(8 * 4000 / 1e4)
    assert [n for n, bpp in here.items() if bpp is None] == [1, 2, 4, 5]


def test_the_bundled_weights_fill_no_cell(tmp_path):
    """What a folder holds after the first commands of the README: reduced networks."""
    codecs = ("qarv:lambda=16,64,256,1024", "qvrf-cheng2020-attn:index=0,3,5,7")
    words = [word for codec in codecs for word in ("--codec", codec)]
    runner = CliRunner()
    (tmp_path / "images").mkdir()
    write_image(photograph("chelsea")[:64, :64], tmp_path / "images" / "chelsea.png")
    words += ["--dataset", str(tmp_path / "images"), "--out", str(tmp_path), "--scored", "float"]
    assert runner.invoke(app, ["run", *words]).exit_code == 0
    with Store(tmp_path) as store:
        records = [dataclasses.replace(r, dataset="kodak") for r in store.records()]
        (images,) = store.datasets().values()
    with Store(tmp_path / "kodak") as store:
        store.remember_dataset("kodak", "kodak", images)
        store.remember_protocol(records[0].protocol, {"scored": "float"})
        for record in records:
            store.add(dataclasses.replace(record, bitstream_sha256=""))
    evidence = Evidence(tmp_path / "kodak")
    assert len(evidence.own("kodak", "qarv")[0].bpp) == 4
    for paper in PAPERS:
        for name, item in items_of(paper).items():
            counted = ("parameters", "extra parameters")
            measured = [v for v in item.find(evidence).values if not v.quantity.startswith(counted)]
            assert not [v for v in measured if v.here is not None], name


def test_counted_macs_are_compared_with_the_paper(tmp_path):
    key = "qvrf-cheng2020-attn:weights=random", "cheng2020-attn:weights=random"
    with Store(tmp_path) as store:
        store.put_result("complexity", key, {"extra_macs_percent": 0.0002})
    items = {item.name: item for item in load_paper("qvrf").items}
    found = items["Table 2"].find(Evidence(tmp_path))
    values = {(v.row, v.quantity): v.here for v in found.values}
    assert values["qvrf-cheng2020-attn", "extra MACs (%)"] == 0.0002
    assert values["theis2017-cheng2020-attn", "extra MACs (%)"] is None
    assert [m.what for m in found.missing] == ["measured extra MACs on bmshj2018-hyperprior"]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_the_document_compiles(written):
    paper, _, folder = written
    words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", f"{paper.name}.tex"]
    subprocess.run(words, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    log = (folder / f"{paper.name}.log").read_text(errors="replace")
    assert "Overfull" not in log
