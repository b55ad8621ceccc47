"""The manual: its commands and Python run, and what it says about the program is true.

A page is a session in one folder, which holds ``photo.png`` and the folder ``photos``. Its blocks
run in order: ``console`` (lines that start with ``$``, then their output), ``python`` (a ``text``
block after it is what it prints), and any language with a ``title``, which is a file. ``...`` in
an output is any text, and columns of seconds are not compared. After ``<!-- not run: REASON -->``
a block is checked for its syntax only.
"""

import ast
import contextlib
import doctest
import io
import re
import runpy
import shlex
import shutil
import sqlite3
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer

from rdbench.__main__ import main
from rdbench.cli.app import app
from rdbench.datasets import files_of
from rdbench.store import Store

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = {path.relative_to(DOCS).as_posix(): path for path in sorted(DOCS.rglob("*.md"))}
PROGRAM = typer.main.get_command(app)
BLOCK = re.compile(
    r'(?:<!-- not run: (?P<reason>.+?) -->\n)?^```(?P<language>\w+)(?: title="(?P<file>.+?)")?\n'
    r"(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
UNCHECKED = ("export", "pip", "torchrun", "#")
"""First words of commands that are not ours; only blocks that are not run may have them."""


@dataclass(frozen=True)
class Block:
    page: str
    language: str
    text: str
    file: str | None
    reason: str | None

    @property
    def commands(self) -> list[tuple[str, str]]:
        """Commands, each with the output that follows it."""
        parts = re.split(r"(?m)^\$ (.*(?:\\\n.*)*)\n", self.text)
        assert not parts[0], f"{self.page}: a console block starts with a command"
        return list(zip(parts[1::2], parts[2::2], strict=True))


def blocks(page: str) -> list[Block]:
    text = PAGES[page].read_text(encoding="utf-8")
    return [
        Block(page, m["language"], m["text"], m["file"], m["reason"]) for m in BLOCK.finditer(text)
    ]


ALL = [block for page in PAGES for block in blocks(page)]
RUN = sorted({b.page for b in ALL if b.language in ("console", "python") and not b.reason})
COMMANDS = [
    (block, line) for block in ALL if block.language == "console" for line, _ in block.commands
]


def run(line: str, monkeypatch) -> tuple[int, str]:
    """Run a command; exit status and what a terminal shows."""
    monkeypatch.setattr(sys, "argv", shlex.split(line))
    shown, status = io.StringIO(), 0
    with (
        contextlib.redirect_stdout(shown),
        contextlib.redirect_stderr(shown),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        try:
            main()
        except SystemExit as stop:
            status = int(stop.code or 0)
    return status, shown.getvalue()


def assert_same(wanted: str, shown: str, where: str) -> None:
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    pattern = re.sub(r"\s*^\.\.\.$\s*", "...", without_seconds(wanted), flags=re.MULTILINE)
    if not doctest.OutputChecker().check_output(pattern, without_seconds(shown), options):
        raise AssertionError(f"{where}\nthe page says:\n{wanted}\nthe program says:\n{shown}")


def without_seconds(text: str) -> str:
    """Replace the numbers of a table's columns whose titles end with (s) or (ms)."""
    lines: list[str] = []
    ends: set[int] = set()
    for line in text.splitlines():
        ends = {m.end() for m in re.finditer(r"\S+ \(m?s\)", line)} or ends
        lines.append(re.sub(r"\S+", lambda m: "#" if m.end() in ends else m[0], line))  # noqa: B023
    return "\n".join(lines)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of a session."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for path in files_of("sample", ["coffee.png", "chelsea.png"]):
        shutil.copy(path, photos)
    shutil.copy(photos / "chelsea.png", tmp_path / "photo.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    return tmp_path


@pytest.mark.parametrize("page", RUN)
def test_a_page_runs(page, folder, monkeypatch):
    printed, names, status = "", {"__name__": "__main__"}, 0
    for block in blocks(page):
        if block.file:
            Path(block.file).write_text(block.text, encoding="utf-8")
        elif block.reason:
            continue
        elif block.language == "console":
            for line, output in block.commands:
                if line == "echo $?":
                    shown, status = f"{status}\n", 0
                else:
                    assert status == 0, f"{page}: the status of the command before is {status}"
                    assert line.startswith("rdbench "), f"{page}: not run: {line}"
                    status, shown = run(line, monkeypatch)
                if output.strip() or line == "echo $?":
                    assert_same(output, shown, f"{page}: {line}")
        elif block.language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(block.text, page, "exec"), names)
            printed = out.getvalue()
        elif block.language == "text" and printed:
            assert_same(block.text, printed, page)
            printed = ""
    assert status == 0, page


@pytest.mark.parametrize(
    ("block", "line"), COMMANDS, ids=[f"{block.page}: {line}" for block, line in COMMANDS]
)
def test_every_command_parses(block, line):
    words = shlex.split(line.replace("\\\n", " "), comments=True)
    if (block.reason and words[0] in UNCHECKED) or line == "echo $?":
        return
    assert words[0] == "rdbench", line
    command, words = PROGRAM, words[1:]
    while hasattr(command, "commands"):
        command, *words = command.commands[words[0]], *words[1:]
    command.make_context(command.name, words)  # raises for an option that does not exist


@pytest.mark.parametrize("block", [b for b in ALL if b.language == "python"], ids=lambda b: b.page)
def test_every_python_block_compiles(block):
    compile(block.text, block.page, "exec")


def test_generated_parts_are_up_to_date():
    up_to_date = runpy.run_path(str(ROOT / "scripts" / "write_docs"))["up_to_date"]
    stale = [
        page for page, path in PAGES.items() if up_to_date(text := path.read_text("utf-8")) != text
    ]
    assert not stale, f"run scripts/write_docs: {stale}"


def test_the_navigation_has_every_page_once():
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    named = re.findall(r"(?m)^ *- [^#\n]*?: ([\w/-]+\.md)$", text)
    assert sorted(named) == sorted(PAGES)


def test_the_python_pages_have_the_whole_interface():
    from rdbench import __all__

    named = re.findall(r"(?m)^::: rdbench\.[\w.]+\.(\w+)$", "\n".join(
        path.read_text("utf-8") for page, path in PAGES.items() if "python_" in page
    ))  # fmt: skip
    assert sorted([*named, "__version__"]) == sorted(__all__)


@pytest.mark.parametrize("page", PAGES)
def test_pages_are_short(page):
    assert len(PAGES[page].read_text(encoding="utf-8").split()) <= 2000


def test_every_variable_of_the_environment_is_named():
    code = "\n".join(
        path.read_text("utf-8")
        for folder in ("rdbench", "codecs", "datasets")
        for path in (ROOT / folder).rglob("*.py")
    )
    page = PAGES["reference/environment.md"].read_text(encoding="utf-8")
    variables = set(re.findall(r"environ(?:\.get\(|\[)\"([A-Z_]+)\"|(RDBENCH_[A-Z_]+)", code))
    assert {name for pair in variables for name in pair if name} <= set(
        re.findall(r"`([A-Z_]+)`", page)
    )


def messages() -> str:
    """Every text in the code, one per line, with a gap where a value goes."""
    found = []
    for folder in ("rdbench", "codecs"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    parts = [part.value if isinstance(part, ast.Constant) else "..."
                             for part in node.values]  # fmt: skip
                    found.append("".join(map(str, parts)))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.append(node.value)
    return "\n".join(text.replace("\n", " ") for text in found)


def test_errors_that_are_explained_exist():
    page = PAGES["troubleshooting.md"].read_text(encoding="utf-8")
    cells = re.findall(r"(?m)^\| (\*[^|]+\*) \|", page)
    quotes = [quote for cell in cells for quote in re.findall(r"\*([^*]+)\*", cell)]
    code = messages()
    unknown = [
        quote
        for quote in quotes
        if not re.search(re.sub(r"(\\\.){3}|\b[NX]\b|'cuda'", ".*?", re.escape(quote)), code)
    ]
    assert len(quotes) > 30
    assert not unknown


def test_every_column_of_the_store_is_described(tmp_path):
    Store(tmp_path).close()
    page = PAGES["reference/report_folder.md"].read_text(encoding="utf-8")
    sections = dict(re.findall(r"(?ms)^### `(\w+)`\n(.*?)(?=^##|\Z)", page))
    with contextlib.closing(sqlite3.connect(tmp_path / "records.sqlite")) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master "
                                                       "WHERE type = 'table'")]  # fmt: skip
        assert sorted(sections) == sorted(tables)
        for table in tables:
            columns = {row[1] for row in database.execute(f"PRAGMA table_info({table})")}
            described = set(re.findall(r"(?m)^\| `(\w+)` \|", sections[table]))
            assert columns == described, table


CARDS = sorted((ROOT / "codecs/rdbench_codecs/learned/bundled").glob("*.md"))


@pytest.mark.parametrize("card", CARDS, ids=lambda path: path.stem)
def test_cards_have_one_layout_and_are_in_the_manual(card):
    text = card.read_text(encoding="utf-8")
    headings = re.findall(r"(?m)^#+ .*", text)
    assert headings == [
        f"# {card.stem}: bundled weights",
        "## Intended use and limits",
        "## Training",
        "## Results on kodak, measured on real files",
    ]
    assert (DOCS / "codecs/cards" / card.name).read_text(encoding="utf-8") == text
    assert f"codecs/cards/{card.name}" in (ROOT / "mkdocs.yml").read_text()
