"""Names reach the terminal as they are."""

import time

import numpy as np
import PIL.Image
import pytest
import typer
from program import rdbench
from typer.testing import CliRunner

from rdbench.cli import console
from rdbench.cli.app import app
from rdbench.columns import Column
from rdbench.errors import printable

ODD = ["kodak[kodim03]", "img[a].png", "[red]x.png", "s:smile:.png", "[/]", r"a\[b", "中文.png"]


@pytest.mark.parametrize("name", ODD)
def test_rows_titles_columns_and_lines_show_names(name, capsys):
    columns = [Column("codec"), Column(name, name)]
    console.print_rows(columns, [{"codec": name, name: 1.5}], False, f"on {name}")
    console.say(f"failed: {name}")
    printed = capsys.readouterr()
    title, header, row = printed.out.splitlines()
    assert title.strip() == f"on {name}"
    assert header.split() == ["codec", name]
    assert row.split() == [name, "1.5000"]
    assert printed.err == f"failed: {name}\n"


@pytest.mark.parametrize("name", [*ODD, "{braces}", "{0}"])
def test_progress_bars_show_names(name, monkeypatch, capsys):
    terminal = console.Console(
        stderr=True, force_terminal=True, color_system=None, width=120, **console._PLAIN
    )
    monkeypatch.setattr(console, "_stderr", terminal)
    with console.progress(name) as advance:
        advance(1, 2, f"note {name}")
        time.sleep(0.3)  # it is drawn ten times a second
    shown = capsys.readouterr().err
    assert f"{name} " in shown
    assert "1/2" in shown
    assert f"note {name}" in shown


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        ((), ["remark", "problem"]),
        (("-q",), ["problem"]),
        (("-v",), ["work: 0 of 2", "work: 1 of 2", "remark", "problem"]),
    ],
)
@pytest.mark.parametrize("after", [False, True])
def test_quiet_and_verbose(options, lines, after):
    def command() -> None:
        list(console.track("work", "ab"))
        console.say("remark")
        console.warn("problem")

    program = typer.Typer(cls=app.info.cls)
    program.callback()(app.registered_callback.callback)
    program.command("work")(command)
    words = ["work", *options] if after else [*options, "work"]
    assert CliRunner().invoke(program, words).stderr.splitlines() == lines
    assert CliRunner().invoke(program, ["work"]).stderr.splitlines() == ["remark", "problem"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\nb", r"a\nb"),
        ("a\x1b[31mb", r"a\x1b[31mb"),
        ("a\r\tb\x07", r"a\r\tb\x07"),
        ("a\u202eb", r"a\u202eb"),
        ("caf\udce9", r"caf\udce9"),
        ("no\u00a0break é 中", "no\u00a0break é 中"),
    ],
)
def test_control_characters_are_escaped(name, shown, capsys):
    assert printable(name) == shown
    console.print_rows([Column("codec"), Column("n")], [{"codec": name, "n": 1}], False, name)
    console.say(name, "next line")
    printed = capsys.readouterr()
    assert printed.out.splitlines()[0].rstrip() == shown
    assert printed.out.splitlines()[2].startswith(shown)
    assert printed.err == f"{shown}\nnext line\n"


def test_nothing_is_cut_short(capsys):
    columns = [Column("codec"), Column("path"), Column("n")]
    console.print_rows(columns, [{"codec": "x" * 255, "path": "y" * 4000, "n": 1.5}], False)
    assert f"{'x' * 255}  {'y' * 4000}" in capsys.readouterr().out


@pytest.mark.parametrize("width", [20, 40, 80])
def test_a_terminal_folds_texts_and_cuts_nothing(width, monkeypatch, capsys):
    real = console.Console
    monkeypatch.setattr(
        console,
        "Console",
        lambda **options: real(**options, force_terminal=True, color_system=None, width=width),
    )
    columns = [
        Column("codec", "name of the codec"),
        Column("path"),
        Column("bpp", "rate of the file", "bpp", 3),
        Column("range", template="{range:.2f} to {bpp:.2f}"),
    ]
    row = {"codec": "x" * 30, "path": "a word and others" * 5, "bpp": 1234.5678, "range": 0.25}
    console.print_rows(columns, [row], False)
    lines = capsys.readouterr().out.splitlines()
    text = "".join("".join(line.split()) for line in lines)
    assert "1234.568" in " ".join(lines).split()
    assert any("0.25 to 1234.57" in line for line in lines)
    assert sum(line.count("x") for line in lines) == 30
    for character in set("word"):
        assert text.count(character) >= row["path"].count(character)
    assert max(map(len, lines)) <= max(width, 51)


def test_images_and_data_sets_in_brackets(tmp_path):
    folder = tmp_path / "pics"
    folder.mkdir()
    names = ["[red]x.png", "img[a].png", "s:smile:.png", "plain.png"]
    for seed, name in enumerate(names):
        pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(folder / name)
    words = ("run", "--codec", "jpeg:quality=20,40,60,80", "--codec", "webp:quality=20,40,60,80")
    status, _, said = rdbench(*words, "--dataset", folder, "--out", "out", cwd=tmp_path)
    assert status == 0, said
    words = ("bdrate", "-a", "jpeg", "-d", "pics", "--per-image", "out")
    status, text, said = rdbench(*words, cwd=tmp_path)
    assert status == 0, said
    assert all(name in text for name in names), text
    part = f"{folder}[plain]"
    _, text, said = rdbench("run", "--codec", "jpeg:quality=50", "--dataset", part, cwd=tmp_path)
    assert "pics[plain] " in text, text + said


def test_the_program_s_own_errors_show_names(tmp_path):
    status, _, said = rdbench("export", tmp_path / "[bold]none:smile:")
    assert status == 1
    assert "[bold]none:smile:" in said
