"""``rdbench board``: all codecs on a data set, ranked, and none left out without a reason."""

import csv
import dataclasses
import io
import itertools
import json
import re

import matplotlib.text
import numpy as np
import pytest
from folders import as_kodak
from typer.testing import CliRunner

from rdbench.analysis.board import board, with_facts
from rdbench.analysis.selection import select
from rdbench.cli.app import app
from rdbench.curve import Curve
from rdbench.errors import RdbenchError
from rdbench.published import list_curves
from rdbench.report.board import board_figure
from rdbench.store import Store
from rdbench.timing import timings

PAPERS = {
    "HPCM-Large": -19.4, "DCAE": -16.5, "MLIC++": -14.4, "FTIC": -14.1, "LIC-TCM Large": -11.2,
    "ELIC": -6.4, "Cool-chic 5.0": -6.0, "qarv": -5.9,
}  # fmt: skip
"""BD-rates on Kodak against VTM 18.0, in percent."""


def call(*words):
    """(exit status, stdout, stderr and the error)."""
    done = CliRunner().invoke(app, ["board", *map(str, words)])
    assert done.exception is None or isinstance(done.exception, RdbenchError | SystemExit)
    return done.exit_code, done.stdout, f"{done.stderr}\n{done.exception or ''}"


def rows_of(*words):
    status, text, said = call(*words, "--json")
    assert status == 0, said
    return json.loads(text)


@pytest.fixture(scope="module")
def kodak():
    """(rows, remarks) of the published codecs on Kodak."""
    found = board(select("no-such-folder", "kodak"))
    return found.rows, found.notes


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A report folder with WebP, as if Kodak had been measured and timed."""
    sample, out = tmp_path_factory.mktemp("sample"), tmp_path_factory.mktemp("kodak")
    run = CliRunner().invoke
    assert run(app, ["run", "-c", "webp:quality=20,40,60,80", "-o", str(sample)]).exit_code == 0
    words = ["timing", "-c", "webp:quality=80", "--busy", "--repeats", "1", "-o", str(sample)]
    assert run(app, words).exit_code == 0
    as_kodak(sample, out)
    (timed,) = timings(sample)
    with Store(out) as store:
        for year, seconds in ((2025, 9.0), (2026, 0.25)):
            quartiles = dataclasses.replace(timed.decode_s, median=seconds)
            changed = dataclasses.replace(
                timed, dataset="kodak", created=f"{year}-01-01", decode_s=quartiles
            )
            store.put_result("timing", (str(year),), dataclasses.asdict(changed))
    return out


def test_the_field_on_kodak(kodak):
    rows, _ = kodak
    figures = {row["label"]: row["bd_rate_percent"] for row in rows}
    assert {name: figures[name] for name in PAPERS} == pytest.approx(PAPERS, abs=0.1)
    values = [row["bd_rate_percent"] for row in rows]
    assert values == sorted(values)
    assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
    assert figures["vtm18"] == pytest.approx(0, abs=1e-9)


def test_every_published_curve_is_ranked_or_named_with_a_reason(kodak):
    rows, notes = kodak
    ranked = {row["label"] for row in rows}
    named = {label for label, text in notes if text.startswith("no figure")}
    assert ranked | named == {curve.label for curve in list_curves("kodak")}
    assert not ranked & named
    reasons = dict(notes)
    assert reasons["DCAE (MS-SSIM)"] == "no figure on kodak: has no psnr_rgb"
    assert "3 points" in reasons["HiFiC (DiffEIC authors)"]


def test_a_row_says_what_a_codec_is_and_where_its_numbers_come_from(kodak):
    row = next(row for row in kodak[0] if row["label"] == "qarv")
    assert (row["year"], row["kind"], row["parameters"]) == (2023, "variable", 93433400)
    assert (row["scored"], row["rate"]) == ("float", "file bytes")
    assert (row["repository"], row["source"]) == ("duanzhiihao/lossy-vae", "published")
    assert "kodak-qarv" in row["origin"]
    assert row["citations"]
    assert row["trained_for"] == "mse"
    assert next(row for row in kodak[0] if row["codec"] == "vtm18")["trained_for"] is None


def test_filters(own):
    rows = rows_of("--year", "2024-2025", "--kind", "fixed", "--kind", "overfitted", own)
    others = [row for row in rows if row["codec"] != "vtm18"]
    assert {row["year"] for row in others} == {2024, 2025}
    assert {row["kind"] for row in others} == {"fixed", "overfitted"}
    rows = rows_of("--codec", "DCAE", "--codec", "ftic", own)
    assert [row["label"] for row in rows] == ["DCAE", "FTIC", "vtm18"]
    rows = rows_of("--published", "none", own)
    assert {row["codec"] for row in rows} == {"vtm18", "webp"}
    best = rows_of("--metric", "ms_ssim", "--anchor", "bpg444", own)[0]
    assert (best["metric"], best["trained_for"]) == ("ms_ssim", "ms-ssim")
    status, _, said = call("--year", "1950", own)
    assert status == 1
    assert "nothing to rank against 'vtm18' on kodak" in said


def test_a_filter_hides_the_reasons_of_what_it_hides():
    _, _, said = call("--kind", "fixed", "--year", "2025", "no-such-folder")
    assert "DCAE (MS-SSIM)" in said
    assert "FTIC (MS-SSIM)" not in said  # of 2024
    assert "DiffEIC" not in said  # generative


def test_an_anchor_without_a_curve_there_is_explained():
    status, _, said = call("-d", "tecnick", "-a", "ELIC", "no-such-folder")
    assert status != 0
    assert re.search("nothing to compare with 'ELIC' .published on kodak.*on tecnick", said)


def test_own_measurements_are_ranked_among_the_others_and_marked(own):
    rows = rows_of(own)
    (mine,) = [row for row in rows if row["source"] == "measured"]
    assert (mine["codec"], mine["year"], mine["kind"]) == ("webp", 2010, "conventional")
    assert 1 < mine["rank"] < len(rows)
    _, text, _ = call(own)
    header, *lines = text.splitlines()
    assert header.split()[:2] == ["rank", "own"]
    assert [line.split()[0] for line in lines if "*" in line] == [str(mine["rank"])]
    assert "*" not in call("no-such-folder")[1]


def test_decoding_times_are_the_latest_of_the_same_codec_and_data_set(own):
    (mine,) = [row for row in rows_of(own) if row["decode_s"] is not None]
    assert (mine["codec"], mine["decode_s"], mine["decode_on"]) == ("webp", 0.25, "CPU, 1 thread")


@pytest.mark.parametrize(
    ("weights", "parameters"), [("published", 93433400), ("random", None), ("reduced", None)]
)
def test_facts_are_those_of_the_published_weights(weights, parameters):
    curve = Curve(
        codec="qarv", dataset="kodak", source="measured", bpp=np.array([0.1]), scores={},
        weights_kind=weights,
    )  # fmt: skip
    found = with_facts(curve)
    assert (found.complexity or {}).get("parameters") == parameters
    assert found.year == (2023 if parameters else None)


def test_forms(own):
    def text(form):
        return call("--format", form, "--codec", "DCAE", "--codec", "webp", own)[1]

    assert "| rank | own | codec" in text("markdown")
    assert r"1 &  & DCAE & 2025 & fixed" in text("latex")
    assert "<td>DCAE</td>" in text("html")
    rows = list(csv.DictReader(io.StringIO(text("csv"))))
    assert [row["label"] for row in rows] == ["DCAE", "vtm18", "webp"]
    assert rows[0]["citations"] == "lu2025dcae"
    assert float(rows[0]["bd_rate_percent"]) == pytest.approx(-16.458, abs=1e-3)


def row(label, bd_rate, year=2024, macs=None, source="published"):
    return {"label": label, "bd_rate_percent": bd_rate, "year": year, "source": source,
            "decoder_macs_per_pixel": macs, "kind": "fixed", "anchor": "vtm18"}  # fmt: skip


def names(axes):
    return [t for t in axes.texts if isinstance(t, matplotlib.text.Annotation)]


@pytest.mark.parametrize("seed", range(3))
def test_names_in_the_figure_overlap_neither_names_nor_points(seed):
    rng = np.random.default_rng(seed)
    figures = np.sort(rng.uniform(-20, 0, 60))
    rows = [
        row(f"codec number {n}", figure, int(rng.integers(2020, 2026)), 10 ** rng.uniform(3, 6))
        for n, figure in enumerate(figures)
    ]
    figure, lines = board_figure(rows)
    figure.draw_without_rendering()
    for axes, key in zip(figure.axes, ("year", "decoder_macs_per_pixel"), strict=True):
        boxes = [matplotlib.text.Text.get_window_extent(name) for name in names(axes)]
        assert len(boxes) > 20
        assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
        places = [(r[key] / (1 if key == "year" else 1000), r["bd_rate_percent"]) for r in rows]
        spots = axes.transData.transform(places)
        assert not any(box.contains(*spot) for box in boxes for spot in spots)
        assert all(axes.bbox.count_contains(box.corners()) == 4 for box in boxes)
        unnamed = {r["label"] for r in rows} - {name.get_text() for name in names(axes)}
        said = "".join(line for line in lines if f"over {key.replace('_', ' ')}: " in line)
        assert set(re.findall(r"codec number \d+", said)) == unnamed


def test_measured_codecs_have_a_marker_of_their_own_and_come_first():
    here = [row(f"published {n}", -5.0) for n in range(40)]
    figure, _ = board_figure([*here, row("mine", -5.0, source="measured"), row("far", 80.0)])
    (axes,) = figure.axes
    mine, *_ = names(axes)
    assert (mine.get_text(), mine.get_fontweight()) == ("mine", "bold")
    sizes = {len(points.get_offsets()): points.get_sizes()[0] for points in axes.collections}
    assert sizes[1] > sizes[40]
    labels = [text.get_text() for text in figure.legends[0].texts]
    assert labels == ["fixed", "published", "measured"]


def test_the_figure_says_what_it_does_not_show():
    rows = [row("best", -10.0), row("far", 80.0), row("mine", 90.0, source="measured")]
    _, lines = board_figure(rows)
    assert lines == ["figure: not drawn, beyond +40 %: 2 of 3, of your own: mine"]


def test_the_figure_has_the_width_of_a_page_and_replaces_nothing(tmp_path):
    words = ("--codec", "DCAE", "--codec", "qarv", "-o", tmp_path, "no-such-folder")
    assert call(*words)[0] == 0
    files = {file.name for file in tmp_path.iterdir()}
    assert files == {f"board-kodak-psnr.{suffix}" for suffix in ("png", "pdf", "svg")}
    svg = (tmp_path / "board-kodak-psnr.svg").read_text()
    assert 'width="515.52pt"' in svg  # 7.16 inches
    assert ">DCAE</text>" in svg
    status, _, said = call(*words)
    assert (status, "--force" in said) == (1, True)
    assert call("--force", *words)[0] == 0
