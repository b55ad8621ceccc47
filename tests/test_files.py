"""Files are written whole or not at all, and never over what the user did not mean."""

import os
import stat
from pathlib import Path

import pytest

from rdbench.errors import DataError, UsageError
from rdbench.files import (
    files_of_spec,
    output_file,
    output_files,
    replacing,
    write_bytes,
    write_text,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fill(path: Path, text: str = "mine") -> Path:
    path.write_text(text)
    return path


def test_write_makes_folders_and_keeps_the_suffix(tmp_path):
    path = tmp_path / "a" / "b.png"
    with replacing(path) as partial:
        assert partial.suffix == ".png"
        assert partial.parent == path.parent
        partial.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert names(path.parent) == ["b.png"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_fails_leaves_everything_as_it_was(tmp_path, error):
    path = fill(tmp_path / "page.html")

    def write() -> None:
        with replacing(path) as partial:
            partial.write_text("half")
            raise error

    with pytest.raises((DataError, KeyboardInterrupt)) as caught:
        write()
    assert names(tmp_path) == ["page.html"]
    assert path.read_text() == "mine"
    if isinstance(error, OSError):
        assert str(caught.value) == f"cannot write {path}: No space left on device"


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    with pytest.raises(DataError, match=r"cannot write .*x\.csv: "):
        write_text(fill(tmp_path / "file") / "x.csv", "text")


@pytest.mark.skipif(os.name == "nt", reason="modes of POSIX")
def test_mode_is_the_umasks_or_that_of_the_replaced_file(tmp_path):
    path = tmp_path / "w.safetensors"
    before = os.umask(0o027)
    try:
        with replacing(path) as partial:
            partial.unlink()
            partial.touch(0o600)  # as safetensors does
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.chmod(0o604)
    write_bytes(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o604


def test_links_are_followed_and_stay(tmp_path):
    (tmp_path / "link").symlink_to("elsewhere/file.csv")
    write_text(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "elsewhere" / "file.csv").read_text() == "text"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")  # noqa: PTH110
def test_devices_stay_devices():
    write_text(Path("/dev/null"), "text")
    with pytest.raises(DataError, match="cannot write /dev/full: No space left"):
        write_text(Path("/dev/full"), "text")
    assert Path("/dev/null").is_char_device()
    assert Path("/dev/full").is_char_device()


def test_a_default_name_never_replaces(tmp_path):
    taken = fill(tmp_path / "photo.qarv")
    (tmp_path / "dangling").symlink_to("nowhere")
    for path in (taken, tmp_path / "dangling"):
        with pytest.raises(UsageError, match="exists; add --force to replace it, or choose --out"):
            output_file(None, path)
        assert output_file(None, path, force=True) == path
        assert output_file(path, tmp_path / "other") == path
    assert output_file(None, tmp_path / "free") == tmp_path / "free"


def test_an_input_is_never_replaced(tmp_path):
    image, folder = fill(tmp_path / "a.png"), tmp_path / "bitstreams"
    folder.mkdir()
    (tmp_path / "soft.png").symlink_to(image)
    (tmp_path / "hard.png").hardlink_to(image)
    for path in ("a.png", "soft.png", "hard.png", "bitstreams/../a.png"):
        with pytest.raises(UsageError, match="would be replaced, which is read here"):
            output_file(tmp_path / path, tmp_path / "b", [tmp_path / "gone", image], force=True)
    with pytest.raises(UsageError, match="would be replaced"):
        output_file(fill(folder / "x"), tmp_path / "b", [folder])
    for path in (folder / "new", tmp_path / "gone"):  # a journal of SQLite, say
        with pytest.raises(UsageError, match="would be among what is read here"):
            output_file(path, tmp_path / "b", [folder, tmp_path / "gone"])


def test_a_folder_is_not_a_file(tmp_path):
    with pytest.raises(UsageError, match="is a folder; name a file with --out"):
        output_file(tmp_path, tmp_path / "b")


def test_files_of_a_folder_are_checked_before_the_first_is_written(tmp_path):
    paths = [tmp_path / "new", fill(tmp_path / "old"), fill(tmp_path / "older")]
    with pytest.raises(UsageError, match=r"old exists \(and 1 more\); add --force"):
        output_files(paths)
    output_files(paths, force=True)
    output_files(paths[:1])
    with pytest.raises(UsageError, match="would be replaced"):
        output_files(paths, [paths[1]], force=True)


def test_files_of_a_spec(tmp_path):
    weights, toml = fill(tmp_path / "w.pth"), fill(tmp_path / "c.toml")
    assert files_of_spec(f"qarv:weights={weights},lambda=64,128") == [weights]
    assert files_of_spec(f"{toml}:quality=20") == [toml]
    assert files_of_spec("jpeg") == []


def test_a_file_that_was_not_named_is_not_written_through_a_link(tmp_path):
    (tmp_path / "photo.png").write_bytes(b"mine")
    link = tmp_path / "report.html"
    link.symlink_to(tmp_path / "photo.png")
    with pytest.raises(UsageError, match="is a link"):
        output_file(None, link, force=True)
    with pytest.raises(UsageError, match="is a link"):
        output_files([link], force=True)
    assert output_file(link, tmp_path / "other.html") == link
