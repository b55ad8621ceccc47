"""The report's data agrees with the commands, and its page asks nothing of a network."""

import dataclasses
import hashlib
import io
import json
import re
from base64 import b64decode
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from example_folder import fill
from typer.testing import CliRunner

from rdbench import run
from rdbench.analysis.complexity import Complexity, Work, complexity
from rdbench.cli.app import app
from rdbench.errors import DataError, RdbenchWarning, UsageError
from rdbench.match import match_codecs
from rdbench.report.page import make_page, render, write_page, write_report
from rdbench.report.page.album import bits_per_pixel
from rdbench.spec import get_codec
from rdbench.store import Store
from rdbench.timing import time_codecs


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("reports")
    fill(path)
    return path


@pytest.fixture(scope="module")
def page(folder):
    return make_page(folder)


@pytest.fixture(scope="module")
def data(page):
    return page.data


def rdbench(*arguments):
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == 0, result.stderr
    return result.stdout


def kodak(data):
    return next(d for d in data["datasets"] if d["name"] == "kodak")


def test_metrics_are_those_of_the_records(tmp_path, data):
    fill(tmp_path)
    with Store(tmp_path) as store:
        for record in list(store.records()):
            rescored = {"nlpd": 0.5 - record.scores["psnr_rgb"] / 100}
            store.put_scores(record, {**record.scores, **rescored})
    page = make_page(tmp_path).data
    assert [m["key"] for m in data["metrics"]] == ["psnr_rgb", "ms_ssim"]
    assert page["metrics"][-1] == {
        "key": "nlpd",
        "name": "-NLPD",
        "unit": "",
        "axis": "-NLPD (luma)",
    }
    words = ("-a", "alpha", "-d", "kodak", "--metric", "nlpd", "--json")
    rows = json.loads(rdbench("bdrate", tmp_path, *words))
    figures = kodak(page)["bd_rates"]["nlpd"]["alpha"]
    assert {row["label"]: row["bd_rate_percent"] for row in rows} == {
        key: figure["bd_rate"] for key, figure in figures.items()
    }
    curve = next(c for c in kodak(page)["curves"] if c["key"] == "alpha")
    assert curve["quality"]["nlpd"] == sorted(curve["quality"]["nlpd"])


@pytest.mark.parametrize(
    ("anchor", "metric"),
    [
        ("vtm18", "psnr_rgb"),
        ("alpha", "psnr_rgb"),
        ("alpha", "ms_ssim"),
        ("mbt2018-mean", "ms_ssim"),
    ],
)
def test_bd_rates_are_those_of_the_command(folder, data, anchor, metric):
    words = ("-a", anchor, "-d", "kodak", "--metric", metric, "--json")
    rows = json.loads(rdbench("bdrate", folder, *words))
    assert len(rows) > 10
    for row in rows:
        here = kodak(data)["bd_rates"][metric][anchor][row["label"]]
        assert here["bd_rate"] == row["bd_rate_percent"]
        assert here["ci"] == (None if row["ci_low"] is None else [row["ci_low"], row["ci_high"]])
        assert (here["wins"], here["losses"]) == (row["n_wins"], row["n_losses"])
        assert here["warnings"] == row["warnings"]


def test_curves_of_one_name_are_told_apart(data):
    keys = [curve["key"] for curve in kodak(data)["curves"]]
    assert len(set(keys)) == len(keys)
    assert {"jpeg", "jpeg (published)"} <= set(keys)


def test_measured_curves_have_the_year_and_kind_of_their_codec(data):
    curves = {curve["key"]: (curve["year"], curve["kind"]) for curve in kodak(data)["curves"]}
    assert curves["jpeg"] == curves["jpeg (published)"] == (1992, "conventional")
    assert curves["qarv"] == (2023, "variable")


def test_what_was_not_measured_is_null(data):
    (curve,) = [c for c in kodak(data)["curves"] if c["key"] == "qarv"]
    assert (curve["times"], curve["n_bytes"], curve["per_image"]) == (None, None, None)
    assert "NaN" not in json.dumps(data)


def test_incomplete_points_are_left_out_with_a_note(folder, tmp_path):
    fill(tmp_path, failing="beta")
    data = make_page(tmp_path, published=["none"]).data
    (curve,) = [c for c in kodak(data)["curves"] if c["key"] == "beta"]
    assert len(curve["bpp"]) == 4
    assert any("no luck" in note["message"] for note in curve["notes"])
    assert curve["provenance"]["failed"][0]["error"] == "no luck"


def test_costs_are_counted_once_and_kept(tmp_path, monkeypatch):
    run(["webp:quality=50", "jpeg:quality=50"], "sample", tmp_path)
    counted = []

    def count(codec):
        counted.append(codec.name)
        if codec.name == "jpeg":
            raise UsageError("no network")
        return Complexity(1, 7, {"total": 7}, Work(2.0, 0.0), Work(3.0, 0.0))

    monkeypatch.setattr("rdbench.report.page.data.complexity", count)
    for _ in range(2):
        jpeg, webp = make_page(tmp_path).data["datasets"][0]["curves"]
        assert jpeg["complexity"] is None
        assert webp["complexity"] == {
            "parameters": 7, "encoder_macs_per_pixel": 2.0, "decoder_macs_per_pixel": 3.0,
        }  # fmt: skip
    assert counted == ["jpeg", "webp", "jpeg"]


def test_costs_of_published_curves_are_what_is_counted(data):
    (curve,) = [c for c in kodak(data)["curves"] if c["key"] == "bmshj2018-factorized"]
    codec = get_codec("bmshj2018-factorized:weights=random,quality=8")
    counted = complexity(codec).row()
    # The last transposed convolution has taps that are zero where it is made for a CPU.
    assert curve["complexity"] == pytest.approx(counted, rel=0.02)


def test_times_taken_alone_find_their_curve(folder, tmp_path):
    spec = "jpeg:quality=50"
    run(spec, "sample", tmp_path)
    time_codecs([spec], "sample", tmp_path, n_repeats=1, on_busy_machine=True)
    (timing,) = make_page(tmp_path).data["datasets"][0]["timings"]
    assert (timing["key"], timing["on"]) == ("jpeg", "CPU, 1 thread")
    assert timing["decode_s"]["median"] > 0


def test_images_are_those_nearest_to_a_rate(tmp_path):
    run("jpeg:quality=10,50,90", "sample", tmp_path)
    page = make_page(tmp_path, images=["coffee"], rates_bpp=[0.3, 3.0])
    (image,) = page.data["datasets"][0]["viewer"]
    low, high = image["views"]
    assert (low["spec"].split(",")[0], high["spec"].split(",")[0]) == (
        "jpeg:quality=10", "jpeg:quality=90",
    )  # fmt: skip
    with Store(tmp_path) as store:
        records = {r.spec: r for r in store.records() if r.image == image["name"]}
        files = {spec: store.bitstream(r.bitstream_sha256) for spec, r in records.items()}
    for view in (low, high):
        shown = PIL.Image.open(io.BytesIO(b64decode(page.album.images[view["image"]])))
        kept = files[view["spec"]]
        assert (np.asarray(shown) == get_codec(view["spec"]).decode(kept)).all()
        assert view["n_bytes"] == len(kept)


def test_what_match_found_is_nearer(tmp_path):
    run("jpeg:quality=10,90", "sample", tmp_path)
    match_codecs(["jpeg"], "sample", "bpp", 0.8, tmp_path)
    page = make_page(tmp_path, images=1, rates_bpp=[0.8])
    (view,) = page.data["datasets"][0]["viewer"][0]["views"]
    assert view["bpp"] == pytest.approx(0.8, rel=0.2)
    assert "quality=90" not in view["spec"]
    assert "quality=10," not in view["spec"]


def test_an_unknown_image_is_named(folder):
    with pytest.raises(UsageError, match="kodim99"):
        make_page(folder, images=["kodim99"])


def test_missing_images_are_reported(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("RDBENCH_DATA", str(tmp_path))
    page = make_page(folder, images=1, published=["none"])
    assert page.missing[0].startswith("no images of kodak")
    assert kodak(page.data)["viewer"] == []


@pytest.mark.parametrize(("height", "width", "side"), [(64, 64, 16), (50, 61, 16), (33, 9, 8)])
def test_bits_are_spread_over_the_pixels_they_cover(height, width, side):
    rows, columns = -(-height // side), -(-width // side)
    bits = np.arange(rows * columns, dtype=np.float32).reshape(rows, columns)
    spread = bits_per_pixel(bits, height, width)
    assert spread.shape == (height, width)
    assert spread[0, 0] * side**2 == bits[0, 0]
    assert spread[-1, -1] * side**2 == bits[-1, -1]
    if (height, width) == (64, 64):
        assert spread.sum() == bits.sum()


class _Addresses(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found += [v for k, v in attributes if k in ("src", "href", "action", "srcset")]


def test_the_page_points_nowhere_else(page):
    parser = _Addresses()
    parser.feed(render(page))
    assert {a.partition(":")[0] for a in parser.found if not a.startswith("#")} <= {"data"}


def test_text_of_records_is_never_markup(folder, tmp_path):
    fill(tmp_path, title="</script><b>bold</b>")
    page = render(make_page(tmp_path, published=["none"]))
    assert "</script><b>" not in page
    assert "<b>bold" not in page


def test_the_libraries_are_what_their_table_says():
    vendor = files("rdbench.report.page").joinpath("assets/vendor")
    rows = re.findall(
        r"`([\w.]+\.js)` \| .*? \| `([0-9a-f]{64})`", vendor.joinpath("README.md").read_text()
    )
    assert {name for name, _ in rows} == {
        f.name for f in vendor.iterdir() if f.name.endswith(".js")
    }
    for name, digest in rows:
        assert hashlib.sha256(vendor.joinpath(name).read_bytes()).hexdigest() == digest
        assert vendor.joinpath(name.split(".")[0] + ".LICENSE").is_file()


def test_the_command_writes_a_page(folder, tmp_path):
    out = tmp_path / "page.html"
    words = ("report", folder, "--published", "none", "--out", out)
    assert rdbench(*words).strip() == str(out)
    assert out.read_text().startswith("<!doctype html>")


def test_an_empty_folder_is_one_line(tmp_path):
    with pytest.raises(DataError, match="no records"):
        make_page(tmp_path)
    with Store(tmp_path), pytest.raises(DataError, match="no records"):
        make_page(tmp_path)


def test_a_place_that_cannot_be_written_is_one_line(page, tmp_path):
    with pytest.raises(DataError, match="cannot write"):
        write_page(page, Path("/dev/full"))
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot write"):
        write_page(page, tmp_path / "file" / "report.html")


def test_a_lossless_image_has_no_number_of_db(tmp_path):
    pixels = np.full((200, 200, 3), 77, np.uint8)
    (tmp_path / "flat").mkdir()
    PIL.Image.fromarray(pixels).save(tmp_path / "flat" / "a.png")
    run(["null", "jpeg:quality=50"], str(tmp_path / "flat"), tmp_path / "out")
    page = make_page(tmp_path / "out", images=1)
    views = [v for d in page.data["datasets"] for p in d["viewer"] for v in p["views"]]
    assert next(v["quality"] for v in views if v["key"] == "null") == {}
    render(page)


def test_a_curve_on_another_data_set_is_reported(tmp_path, folder):
    body = {"name": "X", "test-set": "elsewhere"}
    body["results"] = {"bpp": [0.1, 0.2, 0.4, 0.8], "psnr": [26, 29, 32, 35]}
    (tmp_path / "x.json").write_text(json.dumps(body))
    words = ["report", str(folder), "--curve", str(tmp_path / "x.json"), "--published", "none"]
    result = CliRunner().invoke(app, [*words, "-o", str(tmp_path / "r.html")])
    assert result.exit_code == 0
    assert "X is not shown: it is on elsewhere, and the page on" in result.stderr


def test_an_anchor_asked_for_by_name_stays(folder):
    page = make_page(folder, published=["none"], anchor="bpg444").data
    published = [c for c in kodak(page)["curves"] if c["source"] == "published"]
    assert [(c["key"], c["may_anchor"], c["shown_by_default"]) for c in published] == [
        ("bpg444", True, True)
    ]
    assert (page["anchor"], kodak(page)["anchor"]) == ("bpg444", "bpg444")
    words = ("-a", "bpg444", "-d", "kodak", "--published", "none", "--json")
    rows = json.loads(rdbench("bdrate", folder, *words))
    figures = kodak(page)["bd_rates"]["psnr_rgb"]["bpg444"]
    assert {row["label"]: row["bd_rate_percent"] for row in rows} == {
        key: figure["bd_rate"] for key, figure in figures.items()
    }


def test_python_writes_the_page_of_the_command(folder, tmp_path):
    """With every option; the database of an earlier run is not replaced by it either."""
    run("jpeg:quality=50", "sample", tmp_path / "old")
    options = ["--published", "bpg444", "--anchor", "bpg444", "--images", "0", "--match-rate"]
    options += ["--title", "Two", "--earlier", str(tmp_path / "old"), "--bpp", "0.4"]
    rdbench("report", folder, *options, "--out", tmp_path / "command.html")
    wanted = {"published": ["bpg444"], "anchor": "bpg444", "images": 0, "match_rate": True}
    wanted |= {"title": "Two", "earlier": [tmp_path / "old"], "rates_bpp": [0.4]}
    with pytest.warns(RdbenchWarning, match="old has no run of a codec shown here"):
        write_report(folder, tmp_path / "python.html", **wanted)
    pages = [(tmp_path / f"{name}.html").read_text() for name in ("command", "python")]
    assert len({re.sub(r"\d\d:\d\d:\d\d", "", page) for page in pages}) == 1
    with pytest.raises(UsageError, match="read here"):
        write_report(folder, tmp_path / "old/records.sqlite", **wanted)


def test_python_does_not_replace_an_image_of_the_page(tmp_path):
    photo = tmp_path / "photos/photo.png"
    photo.parent.mkdir()
    PIL.Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(photo)
    before = photo.read_bytes()
    run("jpeg:quality=50", str(photo.parent), tmp_path / "out")
    with pytest.raises(UsageError, match="read here"):
        write_report(tmp_path / "out", photo)
    assert photo.read_bytes() == before


def test_an_anchor_that_is_not_there_is_one_line(tmp_path):
    run("jpeg:quality=50", "sample", tmp_path)
    words = ["report", str(tmp_path), "--images", "0", "--published", "none", "--anchor", "vtm18"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0
    assert "there is no vtm18 on sample" in result.stderr


def test_rates_are_matched_to_the_anchor(tmp_path, monkeypatch):
    run(["jpeg:quality=10,90", "jpeg2000:bpp=0.2,2", "null"], "sample[chelsea]", tmp_path)
    wanted = {"images": ["chelsea"], "rates_bpp": [0.5], "anchor": "jpeg", "match_rate": True}
    page = make_page(tmp_path, **wanted)
    assert not page.missing
    (image,) = page.data["datasets"][0]["viewer"]
    jpeg, jpeg2000, null = image["views"]
    assert (jpeg["key"], jpeg["aim"]) == ("jpeg", 0.5)
    assert "quality=10," in jpeg["spec"]
    assert jpeg2000["aim"] == jpeg["bpp"]
    assert jpeg2000["bpp"] == pytest.approx(jpeg["bpp"], rel=0.01)
    assert null["bpp"] > 20
    monkeypatch.setattr("rdbench.match.encode_to", lambda *_: pytest.fail("encoded again"))
    assert make_page(tmp_path, **wanted).data["datasets"][0]["viewer"] == [image]


def test_a_rate_that_cannot_be_matched_is_reported(tmp_path):
    run(["jpeg:quality=50", "webp:quality=50"], "sample", tmp_path)
    with Store(tmp_path) as store:
        (record,) = [r for r in store.records() if (r.codec, r.image) == ("jpeg", "coffee.png")]
        store.remember_dataset("sample", "sample", store.datasets()["sample"])
        more = {"spec": "jpeg:quality=1", "n_bytes": 100}
        store.add(dataclasses.replace(record, **more))
    wanted = {"images": ["coffee"], "rates_bpp": [0.001], "anchor": "jpeg", "match_rate": True}
    page = make_page(tmp_path, **wanted)
    assert any("webp on coffee.png" in line and "cannot be met" in line for line in page.missing)


def test_runs_of_one_codec_are_shown_over_time(folder, tmp_path):
    old, elsewhere = tmp_path / "old", tmp_path / "elsewhere"
    fill(elsewhere, codecs=("gamma",))
    with Store(folder, create=False) as source, Store(old) as store:
        store.remember_dataset("kodak", "kodak", source.datasets()["kodak"])
        for fingerprint, description in source.protocols().items():
            store.remember_protocol(fingerprint, description)
        for record in source.records(codec="beta"):
            changes = {"rdbench": "0.0.9", "beta": "1.2"}
            store.add(
                dataclasses.replace(
                    record,
                    created=record.created.replace("2026", "2025"),
                    n_bytes=round(1.25 * record.n_bytes),
                    provenance={**record.provenance, "versions": changes},
                )
            )
    page = make_page(folder, published=["none"], earlier=[old, elsewhere])
    newest, earlier = page.data["runs"]
    assert {run["key"] for run in (newest, earlier)} == {"beta"}
    assert [run["is_newest"] for run in (newest, earlier)] == [True, False]
    assert [run["last"][:4] for run in (newest, earlier)] == ["2026", "2025"]
    assert earlier["bd_rates"]["psnr_rgb"]["bd_rate"] == pytest.approx(25, abs=0.01)
    assert (newest["versions"], earlier["versions"]) == ({"rdbench": "0.1.0"}, {"rdbench": "0.0.9"})
    assert newest["times"]["encode_s"][1] == pytest.approx(0.04)
    assert page.missing == ("elsewhere has no run of a codec shown here on the same images",)
    json.dumps(page.data, allow_nan=False)
    swapped = make_page(old, published=["none"], earlier=[folder]).data["runs"]
    assert [run["is_newest"] for run in swapped] == [True, False]
    assert swapped[0]["last"].startswith("2026")
