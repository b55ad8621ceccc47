"""Files that the system does not give: one line that names the file and says why, no traceback."""

import pytest
from program import rdbench
from sample import photograph

from rdbench import run
from rdbench.images import write_image

LONG = "n" * 300


@pytest.mark.parametrize(
    "words",
    [
        ("export", LONG),
        ("plot", LONG),
        ("reproduce", "qarv", LONG),
        ("run", "--codec", f"{LONG}.toml"),
        ("run", "--codec", f"qarv:weights={LONG}"),
        ("decode", LONG, "--codec", "jpeg"),
        ("qarv", "sample", "--out", LONG),
    ],
    ids=lambda words: words[0],
)
def test_a_name_too_long_is_one_line(tmp_path, words):
    status, _, said = rdbench(*words, cwd=tmp_path)
    assert (status, said.count("\n")) == (1, 1), said
    assert said.startswith("rdbench: ")
    assert "File name too long" in said


def test_the_default_name_of_an_output_may_be_too_long(tmp_path):
    image = tmp_path / f"{'n' * 251}.png"
    write_image(photograph("astronaut")[:64, :64], image)
    status, _, said = rdbench("encode", image, "--codec", "jpeg")
    assert (status, "File name too long" in said, "Traceback" in said) == (1, True, False)


def test_a_report_folder_that_is_a_file(tmp_path):
    (tmp_path / "taken").write_text("mine")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("taken", "dangling"):
        said = rdbench("run", "--codec", "null", "--out", tmp_path / name)[2]
        assert f"{name} is not a folder; give another with --out" in said
        assert "make room" not in said
    assert (tmp_path / "taken").read_text() == "mine"


def test_images_with_a_comma_in_their_name_can_be_looked_at(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    write_image(photograph("astronaut")[:64, :64], photos / "a,b.png")
    write_image(photograph("coffee")[:64, :64], photos / "c.png")
    out = tmp_path / "out"
    assert rdbench("run", "--codec", "jpeg:quality=20,50", "-d", photos, "-o", out)[0] == 0
    for wanted in (r"a\,b", r"c,a\,b.png"):
        status, _, said = rdbench("report", out, "--images", wanted)
        assert status == 0, said
    assert "no data set here has an image 'a'" in rdbench("report", out, "--images", "a,b")[2]


def test_a_report_replaces_no_image_and_no_journal(tmp_path):
    """SQLite takes a file of the name for its journal, though none is there now."""
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    image = photos / "a\tb.png"
    write_image(photograph("astronaut")[:64, :64], image)
    before = image.read_bytes()
    assert rdbench("run", "--codec", "jpeg:quality=20", "-d", photos, "-o", out)[0] == 0
    (tmp_path / "link.html").symlink_to(image)
    names = ("records.sqlite-wal", "records.sqlite-journal", "bitstreams/new.html")
    for target in (image, tmp_path / "link.html", *(out / name for name in names)):
        status, _, said = rdbench("report", out, "--out", target)
        assert (status, "read here; name another file" in said) == (1, True), (target, said)
    status, _, said = rdbench("export", out, "-o", out / "records.sqlite-wal")
    assert (status, "read here" in said) == (1, True)
    status, _, said = rdbench("plot", out, "--out", out / "bitstreams")
    assert (status, "read here" in said) == (1, True)
    assert image.read_bytes() == before
    assert rdbench("verify", out)[0] == 0
    assert rdbench("report", out, "--out", photos / "page.html")[0] == 0


@pytest.mark.parametrize("codec", ["avif", "jpeg2000"])
def test_damaged_files_are_told_without_addresses_in_memory(tmp_path, codec):
    (tmp_path / "file").write_bytes(b"damaged" * 20)
    status, _, said = rdbench("decode", tmp_path / "file", "--codec", codec)
    assert (status, " at 0x" in said) == (1, False)
    assert "header is damaged" in said


def test_an_image_that_changes_during_a_sweep_is_not_measured_as_what_it_was(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("1.png", "2.png"):
        write_image(photograph("astronaut")[:64, : 64 * int(name[0])], photos / name)

    def change(_):
        write_image(photograph("coffee")[:64, :128], photos / "2.png")

    outcome = run("jpeg:quality=20", str(photos), tmp_path / "out", on_progress=change)
    assert [r.image for r in outcome.failures] == ["2.png"]
    assert "was changed while the sweep ran" in str(outcome.failures[0].error)
    assert not run("jpeg:quality=20", str(photos), tmp_path / "out").failures
