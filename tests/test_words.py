"""``scripts/check_words`` finds phrases wherever they are wrapped, and passes plain text."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "check_words"


def check(path: Path, text: str) -> tuple[int, str]:
    path.write_text(text)
    done = subprocess.run([sys.executable, SCRIPT, path], capture_output=True, text=True)
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.md", "First.\nThe weights come\nalong.\n", ":2: 'come along': bundled"),
        ("a.py", "# It cannot be\n# had here.\n", ":1: 'cannot be had': available"),
        ("a.py", 'x = (\n    "bits a "\n    f"pixel"\n)\n', ":2: 'bits a pixel': ... per ..."),
        ("a.py", "def test_a_file_is_not_here(): ...\n", ":1: 'is not here': not found"),
        ("a.md", "A row a record, one file a curve.", ":1: 'A row a record': one ... per ..."),
    ],
)
def test_phrases_are_found(tmp_path: Path, name: str, text: str, found: str) -> None:
    status, output = check(tmp_path / name, text)
    assert status == 1
    assert found in output


def test_plain_text_passes(tmp_path: Path) -> None:
    text = "There is no codec of that name. One row per record; see the pixel at a row.\n"
    assert check(tmp_path / "a.md", text) == (0, "0 findings\n")
