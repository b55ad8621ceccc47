"""What the README tells people to type is accepted, and its Python example runs."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from rdbench.cli.app import app

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    command.strip()
    for language, text in BLOCKS
    if language == "bash"
    for line in text.splitlines()
    for command in line.split("#")[0].split("&&")
    if command.strip().startswith("rdbench ")
]


def test_it_is_short():
    assert len(README.splitlines()) < 120


def test_there_are_commands():
    assert len(COMMANDS) > 10


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_parses(line):
    command, words = typer.main.get_command(app), shlex.split(line)[1:]
    while hasattr(command, "commands"):
        command, *words = command.commands[words[0]], *words[1:]
    command.make_context(command.name, words)  # raises for an option that does not exist


def test_the_python_example_runs(tmp_path, monkeypatch, capsys):
    (code,) = [text for language, text in BLOCKS if language == "python"]
    monkeypatch.chdir(tmp_path)
    exec(code.replace("jobs=2", "jobs=0"), {})
    assert float(capsys.readouterr().out) < 0


def test_commands_for_set_up_are_marked():
    for mark in ("first command", "test command"):
        assert re.search(rf"<!-- {mark} -->\n```bash\n[^\n]+\n```", README), mark
