"""A published folder holds what it says, and nothing of others is lost in it."""

import hashlib
import json
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest
from example_folder import fill
from typer.testing import CliRunner

from rdbench import run
from rdbench.cli.app import app
from rdbench.errors import DataError, UsageError
from rdbench.report import publish as module
from rdbench.store import Store


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("reports")
    fill(path, n_images=1, n_rates=2)
    return path


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """A page that takes no time: `make_page` has tests of its own."""
    page = module.Page({"title": "Title", "created": "2026-01-01", "rdbench": "1"}, Empty(), ())
    monkeypatch.setattr("rdbench.cli.report.Request.make", lambda request: page)
    monkeypatch.setattr("rdbench.cli.report.Request.check", lambda request, page: None)


class Empty:
    images = {}  # noqa: RUF012


def publish(*words):
    result = CliRunner().invoke(app, ["publish", *map(str, words)])
    if result.exception is not None:
        raise result.exception


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def listed(out):
    return json.loads((out / "published.json").read_text())["files"]


class Links(HTMLParser):
    found = ()

    def handle_starttag(self, tag, attributes):
        self.found += tuple(v for k, v in attributes if tag == "a" and k == "href" and v[0] != "#")


def test_the_list_has_every_file_and_every_link_leads_to_one(folder, tmp_path):
    out = tmp_path / "new" / "site"
    publish(folder, out)
    files = contents(out)
    del files["published.json"]
    assert {n: [hashlib.sha256(b).hexdigest()] for n, b in files.items()} == listed(out)
    links = Links()
    links.feed(files["index.html"].decode())
    assert len(links.found) == 3
    assert {unquote(link) for link in links.found} <= files.keys()
    assert json.loads(files["records.json"])[0]["codec"] == "alpha"


def test_bitstreams_on_request(tmp_path):
    run("jpeg:quality=50", "sample", tmp_path / "r")
    out = tmp_path / "site"
    publish(tmp_path / "r", out)
    assert not (out / "bitstreams").exists()
    publish(tmp_path / "r", out, "--bitstreams")
    with Store(tmp_path / "r", create=False) as store:
        for record in store.records():
            digest = record.bitstream_sha256
            kept = out / "bitstreams" / digest[:2] / digest
            assert hashlib.sha256(kept.read_bytes()).hexdigest() == digest
    publish(tmp_path / "r", out)
    assert not (out / "bitstreams").exists()


@pytest.mark.parametrize("name", ["index.html", "photo.png", "published.json/x"])
def test_a_folder_of_others_is_refused(folder, tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(UsageError, match="did not publish"):
        publish(folder, tmp_path)
    assert contents(tmp_path) == {name: b"mine"}


def test_a_refresh_leaves_files_of_others(folder, tmp_path):
    publish(folder, tmp_path)
    (tmp_path / "CNAME").write_text("example.org")
    (tmp_path / "codec-compare" / "notes.txt").write_text("mine")
    fewer = tmp_path.with_name("fewer")
    fill(fewer, codecs=("alpha",), n_images=1, n_rates=2)
    publish(fewer, tmp_path)
    assert {"CNAME", "codec-compare/notes.txt"} <= contents(tmp_path).keys()
    assert [p.name for p in (tmp_path / "codec-compare").glob("kodak-*")] == ["kodak-alpha.json"]


@pytest.mark.parametrize("name", ["records.csv", "codec-compare/kodak-jpeg.json"])
def test_a_file_that_was_changed_stays(folder, tmp_path, name):
    publish(folder, tmp_path)
    (tmp_path / name).write_text("mine")
    before = contents(tmp_path)
    with pytest.raises(UsageError, match="is not the file that was published"):
        publish(folder, tmp_path)
    assert contents(tmp_path) == before
    fill(
        tmp_path.with_name("other"), codecs=("alpha",), n_images=1, n_rates=2
    )  # without that curve
    if name == "codec-compare/kodak-jpeg.json":
        publish(tmp_path.with_name("other"), tmp_path)
        assert (tmp_path / name).read_text() == "mine"


def test_the_list_reaches_nothing_outside(folder, tmp_path):
    out = tmp_path / "site"
    publish(folder, out)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "victim").write_text("mine")
    (out / "link").symlink_to(elsewhere)
    names = ["../elsewhere/victim", str(elsewhere / "victim"), "link/victim"]
    digest = hashlib.sha256(b"mine").hexdigest()
    (out / "published.json").write_text(
        json.dumps({"files": {**listed(out), **{name: [digest] for name in names}}})
    )
    publish(folder, out)
    assert (elsewhere / "victim").read_text() == "mine"
    assert not listed(out).keys() & set(names)


def test_a_refresh_that_was_interrupted_is_completed(folder, tmp_path, monkeypatch):
    publish(folder, tmp_path)
    changed = tmp_path.with_name("changed")
    fill(changed, codecs=("alpha", "gamma"), n_images=1, n_rates=2)
    write, written = module.write_bytes, []

    def fails(path, data):
        if len(written) == 2:
            raise DataError("no room")
        written.append(path)
        write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_bytes", fails)
        with pytest.raises(DataError, match="no room"):
            publish(changed, tmp_path)
    publish(folder, tmp_path)
    fresh = tmp_path.with_name("fresh")
    publish(folder, fresh)
    assert contents(tmp_path) == contents(fresh)


def test_a_damaged_list_is_one_line(folder, tmp_path):
    publish(folder, tmp_path)
    for text in ("{", "[]", '{"files": {"index.html": 3}}'):
        (tmp_path / "published.json").write_text(text)
        with pytest.raises(DataError, match="is damaged"):
            publish(folder, tmp_path)
