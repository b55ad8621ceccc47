"""A data set is its files: anything wrong with one of them is named."""

import hashlib
import http.server
import os
import shutil
import threading
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from program import rdbench

from rdbench import datasets
from rdbench.datasets import ImageFile, Manifest, load_dataset
from rdbench.errors import DataError, RdbenchWarning, UsageError
from rdbench.match import match_codecs
from rdbench.store import Store
from rdbench.sweep import run
from rdbench.timing import time_codecs
from rdbench_codecs.conventional.null import Null


def draw(path, size=(12, 8), seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    PIL.Image.fromarray(pixels).save(path)


@pytest.fixture
def toys(tmp_path, monkeypatch):
    """A pinned data set ``toys`` of three images, in ``data/toys``."""
    folder = tmp_path / "data" / "toys"
    folder.mkdir(parents=True)
    for i in range(3):
        draw(folder / f"{i}.png", seed=i)
    entries = tuple(
        ImageFile(p.name, Path(p.name), 12, 8, hashlib.sha256(p.read_bytes()).hexdigest())
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
    assert [(p.name, p.width, p.height) for p in sample.files] == [
        ("astronaut.png", 512, 512),
        ("coffee.png", 600, 400),
        ("chelsea.png", 451, 300),
    ]


def test_manifests_are_whole():
    for name, manifest in datasets.manifests().items():
        assert len(manifest.images) in (0, manifest.n_images), name
        assert (manifest.n_images is None) == name.endswith("-unknown")
        assert manifest.title
        assert manifest.origin
        assert len({image.sha256 for image in manifest.images}) == len(manifest.images)
    numbers = {name: m.n_images for name, m in datasets.manifests().items() if m.n_images}
    assert numbers == {
        "sample": 3, "kodak": 24, "kodak24-cropped": 24, "tecnick": 100, "tecnick-40": 40,
        "tecnick-crop1024": 100, "clic2020-professional-valid": 41, "clic2020-test": 428,
        "clic2020-professional-test": 250, "clic2020-mobile-test": 178, "clic2022-test": 30,
        "jpegai-test": 16, "div2k-valid": 100,
    }  # fmt: skip
    parts = ("clic2020-professional-test", "clic2020-mobile-test")
    assert numbers["clic2020-test"] == sum(numbers[part] for part in parts)


def test_right_files_pass_and_identify_the_set(toys):
    whole = load_dataset("toys")
    assert len(whole.files) == 3
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
    with pytest.raises(UsageError, match="no image 'x'"):
        load_dataset("sample[x]")


def test_folders(tmp_path):
    with pytest.raises(DataError, match="no images in"):
        load_dataset(str(tmp_path))
    draw(tmp_path / "b.png")
    draw(tmp_path / "a.PNG", seed=1)
    (tmp_path / "notes.txt").write_text("no image")
    assert [p.name for p in load_dataset(str(tmp_path)).files] == ["a.PNG", "b.png"]
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
    assert len(datasets.fetch("toys", progress=False).files) == 3
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
    assert [p.name for p in datasets.fetch("boxed", progress=False).files] == [
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
    with pytest.raises(DataError, match="has 2 images"):
        load_dataset("boxed")


def test_a_set_without_an_address_says_where_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("RDBENCH_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"get it from https://jpeg\.org"):
        datasets.fetch("jpegai-test")


# Names: a data set is its files, and two sources never share a name.


def test_a_folder_called_like_a_registered_set_is_that_set_only_with_its_files(toys, tmp_path):
    crops = tmp_path / "crops" / "toys"
    crops.mkdir(parents=True)
    draw(crops / "0.png", seed=7)
    with pytest.warns(RdbenchWarning, match="does not hold the files of data set 'toys'"):
        other = load_dataset(str(crops))
    assert other.name == "crops/toys"
    assert other.source == str(crops)
    shutil.copytree(toys, tmp_path / "copy")
    (tmp_path / "copy" / "0.png").rename(tmp_path / "copy" / "zero.png")
    same = load_dataset(str(tmp_path / "copy"))
    assert (same.name, same.source) == ("toys", str(tmp_path / "copy"))
    assert [p.name for p in same.files] == ["0.png", "1.png", "2.png"]
    assert same.files[0].path.name == "zero.png"
    draw(tmp_path / "copy" / "more.png", seed=8)
    assert load_dataset(str(tmp_path / "copy")).name == "copy"


def test_a_set_without_hashes_is_known_by_its_name_number_and_size(tmp_path, monkeypatch):
    register(monkeypatch, Manifest("pair", "", "", "", "", 2, names="*.png", width=12, height=8))
    for name in ("pair", "other"):
        (tmp_path / name).mkdir()
        for i in range(2):
            draw(tmp_path / name / f"{i}.png", seed=i)
    assert load_dataset(str(tmp_path / "pair")).name == "pair"
    assert load_dataset(str(tmp_path / "other")).name == "other"
    draw(tmp_path / "pair" / "1.png", size=(8, 8))
    with pytest.warns(RdbenchWarning, match="'pair'"):
        assert load_dataset(str(tmp_path / "pair")).name.endswith("/pair")


def two_folders(tmp_path):
    for seed, part in enumerate(("train", "test")):
        (tmp_path / part / "images").mkdir(parents=True)
        draw(tmp_path / part / "images" / "a.png", seed=seed)
    return str(tmp_path / "train" / "images"), str(tmp_path / "test" / "images")


def test_two_folders_of_one_name_are_two_sets(tmp_path):
    train, test = two_folders(tmp_path)
    first = run(Null(), [train, test], tmp_path / "out")
    assert {r.dataset for r in first.records} == {"images", "test/images"}
    assert run(Null(), [test, train], tmp_path / "out").n_made == 0
    draw(tmp_path / "test" / "images" / "b.png", seed=9)
    more = run(Null(), test, tmp_path / "out")
    assert (more.n_made, {r.dataset for r in more.records}) == (1, {"test/images"})
    with Store(tmp_path / "out") as store:
        assert store.source_of("images") == train
        assert store.source_of("test/images") == test
        assert store.datasets()["test/images"].keys() == {"a.png", "b.png"}


def test_two_folders_of_one_name_in_match_and_timing(tmp_path):
    train, test = two_folders(tmp_path)
    for folder, name in ((train, "images"), (test, "test/images")):
        found = match_codecs(["jpeg2000"], folder, "bpp", 4, tmp_path / "out")
        assert [m.dataset for m in found] == [name]
        timed = time_codecs(["null"], folder, tmp_path / "out", n_repeats=1, on_busy_machine=True)
        assert [t.dataset for t in timed] == [name]


def test_a_folder_that_moved_keeps_its_name_and_a_copy_does_not_take_it(tmp_path):
    train, _ = two_folders(tmp_path)
    run(Null(), train, tmp_path / "out")
    copy = tmp_path / "copy"
    shutil.copytree(train, copy)
    again = run(Null(), str(copy), tmp_path / "out")
    assert (again.n_made, {r.dataset for r in again.records}) == (0, {"images"})
    with Store(tmp_path / "out") as store:
        assert store.source_of("images") == train
    shutil.rmtree(train)
    run(Null(), str(copy), tmp_path / "out")
    with Store(tmp_path / "out") as store:
        assert store.source_of("images") == str(copy)
        with pytest.raises(DataError, match="does not say where data set 'nothing' is"):
            store.source_of("nothing")


def test_choices_of_two_folders_of_one_name_are_two_sets(tmp_path):
    train, test = two_folders(tmp_path)
    found = run(Null(), [train + "[a]", test + "[a]", test], tmp_path / "out").records
    assert {r.dataset for r in found} == {"images[a]", "images", "test/images[a]"}


# Choices in brackets.


def test_brackets_in_the_names_of_folders_and_images(tmp_path):
    for name in ("pics", "pics [old]", "pics[1]"):
        (tmp_path / name).mkdir()
        for image in ("img[a].png", "a,b.png", "b.png", " c.png"):
            draw(tmp_path / name / image)
    chosen = {
        "pics[img[a]]": "pics[img[a]]",
        "pics[img[a].png]": "pics[img[a]]",
        "pics [old]": "pics [old]",
        "pics [old][b]": "pics [old][b]",
        "pics[1]": "pics[1]",
        "pics[1][b, img[a]]": "pics[1][b,img[a]]",
        r"pics[a\,b,b]": r"pics[a\,b,b]",
        "pics[ c]": "pics[ c]",
    }
    for asked, name in chosen.items():
        found = load_dataset(str(tmp_path / asked))
        assert found.name == name
        assert load_dataset(found.source) == found
    with pytest.raises(UsageError, match=r"no image 'x'"):
        load_dataset(str(tmp_path / "pics[x]"))
    with pytest.raises(UsageError, match="no data set or folder 'kodac'"):
        load_dataset("kodac[kodim01]")
    with pytest.raises(UsageError, match="no image"):
        load_dataset(str(tmp_path / f"pics[{'x,' * 300}y]"))
    for nothing in ("", "[a]", "pics[", "x" * 300, str(tmp_path / ("x" * 300)), "a\0b"):
        with pytest.raises(UsageError, match="no data set or folder"):
            load_dataset(nothing)


def test_one_stem_with_two_suffixes_needs_the_suffix(tmp_path):
    for name in ("a.png", "a.bmp", "b.png", "b.png.png"):
        draw(tmp_path / name)
    with pytest.raises(UsageError, match=r"is a\.bmp and a\.png; give the suffix"):
        load_dataset(f"{tmp_path}[a]")
    for asked, label in (
        ("a.png", "a.png"),
        ("b", "b"),
        ("b.png", "b"),
        ("b.png.png", "b.png.png"),
    ):
        found = load_dataset(f"{tmp_path}[{asked}]")
        assert found.name == f"{tmp_path.name}[{label}]"
        assert load_dataset(found.source) == found


def test_only_the_chosen_images_of_a_registered_set_are_hashed(toys):
    (toys / "1.png").write_bytes(b"broken")
    assert [p.name for p in load_dataset("toys[2]").files] == ["2.png"]
    with pytest.raises(DataError, match=r"1\.png is corrupt"):
        load_dataset("toys[1,2]")
    with pytest.raises(DataError, match=r"1\.png is corrupt"):
        load_dataset("toys")


# Other files in a folder of images.


def test_more_suffixes_are_read_and_skipped_files_are_reported(tmp_path):
    pixels = PIL.Image.new("RGB", (12, 8))
    for name in ("a.jfif", "b.jpe", "c.JPG", "d.PgM"):
        pixels.save(tmp_path / name, "PPM" if "P" in name and "g" in name else "JPEG")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "a.jfif")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "deeper").mkdir()
    draw(tmp_path / "deeper" / "x.png")
    for name in ("x.HEIC", "x.avif", "x.gif", "._c.png", ".hidden.png", "Thumbs.db", "notes.txt"):
        (tmp_path / name).write_bytes(b"?")
    with pytest.warns(RdbenchWarning) as caught:
        names = [p.name for p in load_dataset(str(tmp_path)).files]
    assert names == ["a.jfif", "b.jpe", "c.JPG", "d.PgM", "link.png"]
    (said,) = (str(w.message) for w in caught)
    left_out = said.split(": ", 1)[1]
    assert left_out == (
        "deeper (a folder), folder.png (a folder), gone.png (a link to nothing), "
        "loop.png (a link to nothing), pipe.png (not a file), x.HEIC, x.avif, x.gif"
    )


def test_a_folder_without_readable_images_says_what_it_holds(tmp_path):
    (tmp_path / "x.heic").write_bytes(b"?")
    with pytest.raises(DataError, match=r"no images in .*; it holds x\.heic"):
        load_dataset(str(tmp_path))
    (tmp_path / "empty.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"empty\.png"), pytest.warns(RdbenchWarning):
        load_dataset(str(tmp_path))


def test_names_that_are_not_utf8_are_measured_under_a_printable_name(tmp_path):
    folder = tmp_path / os.fsdecode(b"d\xe9")
    folder.mkdir()
    draw(folder / os.fsdecode(b"caf\xe9.png"))
    status, table, errors = rdbench(
        "run", "--codec", "null", "--dataset", folder, "--out", tmp_path / "out"
    )
    assert status == 0, errors
    assert r"d\xe9" in table
    with Store(tmp_path / "out") as store:
        (record,) = store.records()
        assert (record.dataset, record.image) == (r"d\xe9", r"caf\xe9.png")
        assert load_dataset(store.source_of(r"d\xe9")).files[0].name == r"caf\xe9.png"


# Archives: what they would become is known before anything is unpacked.


def boxed(tmp_path, server, monkeypatch, write):
    """Register a set ``boxed`` of two images whose archive ``write`` fills."""
    monkeypatch.setenv("RDBENCH_DATA", str(tmp_path / "data"))
    with zipfile.ZipFile(tmp_path / "web" / "set.zip", "w", zipfile.ZIP_DEFLATED) as bundle:
        write(bundle)
    register(
        monkeypatch,
        Manifest("boxed", "Boxed", "here", "CC0", "", 2, archive=f"{server}/set.zip",
                 archive_folder="in", names="*.png", width=12, height=8),
    )  # fmt: skip


def _link(bundle):
    entry = zipfile.ZipInfo("in/a.png")
    entry.external_attr = 0o120777 << 16
    bundle.writestr(entry, "/etc/passwd")


def _encrypted(bundle):
    bundle.writestr("in/a.png", "x")
    bundle.writestr("in/b.png", "x")
    bundle.filelist[0].flag_bits |= 1


BAD_ARCHIVES = {
    "large": (lambda b: [b.writestr(f"in/{n}.png", bytes(2**22)) for n in "ab"], "bytes large"),
    "many": (lambda b: [b.writestr(f"in/{n}.png", "x") for n in range(9)], "holds 9 images"),
    "few": (lambda b: b.writestr("in/a.png", "x"), "holds 1 images"),
    "twice": (lambda b: [b.writestr(f"{n}/in/a.png", "x") for n in "ab"], "is there twice"),
    "outside": (lambda b: [b.writestr(f"../../within/{n}.png", "x") for n in "ab"], "holds 0"),
    "link": (_link, "is a link"),
    "encrypted": (_encrypted, "is encrypted"),
}


@pytest.mark.parametrize("kind", BAD_ARCHIVES)
def test_an_archive_that_is_not_what_the_manifest_says(tmp_path, server, monkeypatch, kind):
    write, message = BAD_ARCHIVES[kind]
    boxed(tmp_path, server, monkeypatch, write)
    with pytest.raises(DataError, match=message):
        datasets.fetch("boxed", progress=False)
    assert list((tmp_path / "data").iterdir()) == []


def test_paths_in_an_archive_lead_nowhere_else(tmp_path, server, monkeypatch):
    draw(tmp_path / "p.png")
    whole = (tmp_path / "p.png").read_bytes()

    def write(bundle):
        bundle.writestr("../in/a.png", whole)
        bundle.writestr("//in/b.png", whole)

    boxed(tmp_path, server, monkeypatch, write)
    assert len(datasets.fetch("boxed", progress=False).files) == 2
    assert [p.name for p in (tmp_path / "data").iterdir()] == ["boxed"]


def test_a_broken_archive_is_fetched_again(tmp_path, server, monkeypatch):
    boxed(tmp_path, server, monkeypatch, lambda b: None)
    (tmp_path / "web" / "set.zip").write_bytes(b"no archive")
    with pytest.raises(DataError, match="is not a zip file"):
        datasets.fetch("boxed", progress=False)
    assert list((tmp_path / "data").iterdir()) == []
