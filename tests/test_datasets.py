"""A data set is its files: anything wrong with one of them is named."""

import hashlib
import http.server
import shutil
import threading
import zipfile
from functools import partial

import numpy as np
import PIL.Image
import pytest

from rdbench import datasets
from rdbench.datasets import Entry, Manifest, load_dataset
from rdbench.errors import DataError, UsageError


def draw(path, size=(12, 8), seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    PIL.Image.fromarray(pixels).save(path)


@pytest.fixture
def toys(tmp_path, monkeypatch):
    """A pinned data set ``toys`` of three pictures, in ``data/toys``."""
    folder = tmp_path / "data" / "toys"
    folder.mkdir(parents=True)
    for i in range(3):
        draw(folder / f"{i}.png", seed=i)
    entries = tuple(
        Entry(p.name, 12, 8, hashlib.sha256(p.read_bytes()).hexdigest())
        for p in sorted(folder.iterdir())
    )
    manifest = Manifest("toys", "Toys", "here", "CC0", "toys", 3, images=entries)
    monkeypatch.setenv("RDBENCH_DATA", str(tmp_path / "data"))
    register(monkeypatch, manifest)
    return folder


def register(monkeypatch, manifest):
    before = dict(datasets.manifests())
    monkeypatch.setattr(datasets, "manifests", lambda: before | {manifest.name: manifest})


def test_sample_is_there_without_a_network():
    sample = load_dataset("sample")
    assert [(p.name, p.width, p.height) for p in sample.pictures] == [
        ("astronaut.png", 512, 512),
        ("coffee.png", 600, 400),
        ("chelsea.png", 451, 300),
    ]


def test_manifests_are_whole():
    for name, manifest in datasets.manifests().items():
        assert len(manifest.images) in (0, manifest.n_images), name
        assert manifest.title
        assert manifest.origin
        assert len({image.sha256 for image in manifest.images}) == len(manifest.images)
    numbers = {name: m.n_images for name, m in datasets.manifests().items()}
    assert numbers == {
        "sample": 3, "kodak": 24, "tecnick": 100, "clic2022": 30,
        "clic2020-valid-professional": 41, "jpegai": 16,
    }  # fmt: skip


def test_right_files_pass_and_identify_the_set(toys):
    whole = load_dataset("toys")
    assert len(whole.pictures) == 3
    copy = toys.parent.parent / "copy"
    shutil.copytree(toys, copy)
    assert load_dataset(str(copy)).fingerprint == whole.fingerprint
    part = load_dataset("toys[2,0.png]")
    assert part.name == "toys[0,2]"
    assert part.fingerprint != whole.fingerprint


def test_wrong_missing_extra_resized_corrupt_are_told_apart(toys):
    original = (toys / "1.png").read_bytes()

    def complaint():
        with pytest.raises(DataError) as caught:
            load_dataset("toys")
        return str(caught.value)

    (toys / "1.png").unlink()
    assert "1.png is missing" in complaint()
    draw(toys / "1.png", seed=9)
    assert "1.png is not the original file" in complaint()
    draw(toys / "1.png", size=(6, 4))
    assert "1.png is 6x4, not 12x8: a resized copy" in complaint()
    (toys / "1.png").write_bytes(original[: len(original) // 2])
    assert "1.png is corrupt" in complaint()
    (toys / "1.png").write_bytes(original)
    draw(toys / "9.png")
    assert "9.png does not belong to data set 'toys'" in complaint()


def test_absent_set_and_unknown_names(toys):
    shutil.rmtree(toys)
    with pytest.raises(DataError, match="rdbench datasets fetch toys"):
        load_dataset("toys")
    with pytest.raises(UsageError, match="did you mean 'kodak'"):
        load_dataset("kodac")
    with pytest.raises(UsageError, match="no picture 'x'"):
        load_dataset("sample[x]")


def test_folders(tmp_path):
    with pytest.raises(DataError, match="no pictures in"):
        load_dataset(str(tmp_path))
    draw(tmp_path / "b.png")
    draw(tmp_path / "a.PNG", seed=1)
    (tmp_path / "notes.txt").write_text("no picture")
    assert [p.name for p in load_dataset(str(tmp_path)).pictures] == ["a.PNG", "b.png"]
    (tmp_path / "c.png").write_bytes((tmp_path / "b.png").read_bytes()[:60])
    with pytest.raises(DataError, match=r"c\.png"):
        load_dataset(str(tmp_path))
    with pytest.raises(UsageError, match="give the folder"):
        load_dataset(str(tmp_path / "b.png"))


@pytest.fixture
def server(tmp_path):
    """A web server over ``tmp_path / "web"``; yields its address."""
    (tmp_path / "web").mkdir()
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "web"))
    handler.log_message = lambda *_: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


def test_fetch_files_keeps_what_is_right(toys, server, tmp_path, monkeypatch):
    manifest = datasets.manifests()["toys"]
    for file in toys.iterdir():
        shutil.copy(file, tmp_path / "web")
    register(monkeypatch, Manifest(**{**vars(manifest), "url": server + "/{name}"}))
    (toys / "0.png").unlink()
    (tmp_path / "web" / "1.png").unlink()  # not asked for again
    assert len(datasets.fetch("toys", progress=False).pictures) == 3
    (toys / "0.png").unlink()
    (tmp_path / "web" / "0.png").write_bytes(b"something else")
    with pytest.raises(DataError, match="is not the file it was"):
        datasets.fetch("toys", progress=False)
    (toys / "1.png").unlink()
    (tmp_path / "web" / "0.png").unlink()
    with pytest.raises(DataError, match="cannot fetch"):
        datasets.fetch("toys", progress=False)


def test_fetch_archive_and_notice_later_changes(tmp_path, server, monkeypatch):
    monkeypatch.setenv("RDBENCH_DATA", str(tmp_path / "data"))
    draw(tmp_path / "x_1.png")
    draw(tmp_path / "x_2.png", seed=1)
    with zipfile.ZipFile(tmp_path / "web" / "set.zip", "w") as bundle:
        for name in ("x_1.png", "x_2.png"):
            bundle.write(tmp_path / name, f"deep/down/{name}")
        bundle.writestr("deep/other.png", "not in this folder")
        bundle.writestr("__MACOSX/deep/down/x_1.png", "droppings")
    register(
        monkeypatch,
        Manifest("boxed", "Boxed", "here", "CC0", "", 2, archive=f"{server}/set.zip",
                 archive_folder="deep/down", names="x_*.png", width=12, height=8),
    )  # fmt: skip
    assert [p.name for p in datasets.fetch("boxed", progress=False).pictures] == [
        "x_1.png",
        "x_2.png",
    ]
    folder = tmp_path / "data" / "boxed"
    draw(folder / "x_2.png", seed=5)
    with pytest.raises(DataError, match="changed since it was fetched"):
        load_dataset("boxed")
    draw(folder / "x_2.png", size=(4, 4))
    with pytest.raises(DataError, match=r"x_2\.png is 4x4, not 12x8"):
        load_dataset("boxed")
    (folder / "x_2.png").unlink()
    with pytest.raises(DataError, match="has 2 pictures"):
        load_dataset("boxed")


def test_a_set_without_an_address_says_where_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("RDBENCH_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"get it from https://jpeg\.org"):
        datasets.fetch("jpegai")
