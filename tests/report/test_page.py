"""The report's data agrees with the commands, and its page asks nothing of a network."""

import hashlib
import json
import re
from html.parser import HTMLParser
from importlib.resources import files

import pytest
from example_folder import fill
from typer.testing import CliRunner

from rdbench.cli import app
from rdbench.errors import DataError
from rdbench.report.page import make_page, render, write_page
from rdbench.store import Store


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


def test_what_was_not_measured_is_null(data):
    (curve,) = [c for c in kodak(data)["curves"] if c["key"] == "qarv"]
    assert (curve["times"], curve["n_bytes"], curve["per_picture"]) == (None, None, None)
    assert "NaN" not in json.dumps(data)


def test_incomplete_points_are_no_points_and_say_so(folder, tmp_path):
    fill(tmp_path, failing="beta")
    (curve,) = [c for c in kodak(make_page(tmp_path).data)["curves"] if c["key"] == "beta"]
    assert len(curve["bpp"]) == 4
    assert any("no luck" in note["message"] for note in curve["notes"])
    assert curve["provenance"]["failed"][0]["error"] == "no luck"


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
    page = render(make_page(tmp_path))
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
    assert rdbench("report", folder, "--out", out).strip() == str(out)
    assert out.read_text().startswith("<!doctype html>")


def test_an_empty_folder_is_one_line(tmp_path):
    with pytest.raises(DataError, match="no records"):
        make_page(tmp_path)
    with Store(tmp_path), pytest.raises(DataError, match="no records"):
        make_page(tmp_path)


def test_a_place_that_cannot_be_written_is_one_line(page, tmp_path):
    with pytest.raises(DataError, match="cannot write"):
        write_page(page, tmp_path / "no" / "report.html")
