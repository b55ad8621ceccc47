"""Packages that register codecs, data and commands: families, clashes, and what does not import."""

import importlib
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from program import rdbench_anew as rdbench

from rdbench import plugins
from rdbench.errors import RdbenchWarning, Unavailable, UsageError
from rdbench.spec import get_codec, get_codecs

FAMILY = """
from toy_codecs import Toy

class A(Toy):
    name = "toy-a"

class B(Toy):
    name = "toy-b"

CODECS = {"toy-a": A, "toy-b": B}
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """A function that installs a package of one module and forgets what was found before."""
    monkeypatch.syspath_prepend(tmp_path)

    def put(package, module, entries):
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(entries)
        (tmp_path / f"{package}_plugin.py").write_text(module)
        forget()
        return tmp_path

    yield put
    monkeypatch.undo()
    forget()
    for name in [n for n in sys.modules if n.endswith("_plugin")]:
        del sys.modules[name]


def forget():
    importlib.invalidate_caches()
    for cached in (plugins._points, plugins._codecs_of, plugins._registered):
        cached.cache_clear()


@pytest.fixture
def broken(install):
    """A folder with an installed package whose one module fails to import."""
    return install(
        "broken",
        "import a_package_from_2019\n",
        "[rdbench.codecs]\nbrokencodec = broken_plugin:Codec\n"
        "[rdbench.commands]\nbrokencommand = broken_plugin:command\n"
        "[rdbench.datasets]\nbrokenset = broken_plugin\n"
        "[rdbench.curves]\nbrokencurves = broken_plugin\n",
    )


REASON = (
    "package 'broken' cannot be loaded (ModuleNotFoundError: No module named 'a_package_from_2019')"
)


def test_a_broken_package_is_listed_with_the_reason_and_harms_no_other(broken):
    status, table, errors = rdbench("codecs", "list", "--all", PYTHONPATH=str(broken))
    assert status == 0
    assert "libjpeg" in table
    assert f"not available: {REASON}" in table
    assert f"rdbench: left out command 'brokencommand': {REASON}" in errors


def test_a_codec_of_a_broken_package_is_refused_in_one_line(broken, tmp_path):
    words = ("run", "--codec", "brokencodec", "--out", tmp_path / "out")
    status, _, errors = rdbench(*words, PYTHONPATH=str(broken))
    assert status == 1
    assert f"rdbench: {REASON}" in errors.splitlines()


@pytest.mark.parametrize(("kind", "name"), [("dataset", "brokenset"), ("curve", "brokencurves")])
def test_data_of_a_broken_package_is_left_out(broken, kind, name):
    status, table, errors = rdbench("list", f"{kind}s", PYTHONPATH=str(broken))
    assert status == 0
    assert "kodak" in table
    assert f"rdbench: left out {kind} {name!r}: {REASON}" in errors.splitlines()


def test_members_of_a_family_are_codecs(install):
    install("family", FAMILY, "[rdbench.codecs]\ntoys = family_plugin:CODECS\n")
    assert {"toy-a", "toy-b"} < set(plugins.codec_names())
    assert "toys" not in plugins.codec_names()
    assert [plugins.family_of(n) for n in ("toy-a", "toy-b", "jpeg")] == [
        "toys",
        "toys",
        "conventional",
    ]
    assert get_codec("toy-b:step=4").step == 4
    with pytest.raises(UsageError, match="'toys' is a family of codecs; choose one of toy-a, toy-"):
        get_codecs("toys")


def test_a_codec_with_an_entry_of_its_own_is_loaded_alone(install, monkeypatch):
    loaded = []
    monkeypatch.setattr(
        plugins, "load_plugin", lambda p: loaded.append(p.name) or metadata.EntryPoint.load(p)
    )
    install("family", FAMILY, "[rdbench.codecs]\ntoys = family_plugin:CODECS\n")
    get_codecs("jpeg")
    assert loaded == ["jpeg"]


def test_a_broken_family_takes_nothing_else_down(install):
    install("broken", "import a_package_from_2019\n", "[rdbench.codecs]\ntoys = broken_plugin:X\n")
    assert {"toys", "jpeg"} < set(plugins.codec_names())
    assert get_codecs("jpeg")
    with pytest.raises(Unavailable, match="package 'broken' cannot be loaded"):
        get_codecs("toys")


@pytest.mark.parametrize("value", ["Toy", "NUMBERS"])
def test_an_entry_that_is_not_a_codec_is_named(install, value):
    module = "def Toy(): pass\nNUMBERS = {'toys': 3}\n"
    install("odd", module, f"[rdbench.codecs]\ntoys = odd_plugin:{value}\n")
    with pytest.raises(Unavailable, match=f"package 'odd': toys = odd_plugin:{value} is neither"):
        get_codecs("toys")


@pytest.mark.parametrize("entry", ["jpeg = other_plugin:A", "toys = other_plugin:CODECS"])
def test_two_packages_with_one_codec_are_both_named(install, entry):
    module = FAMILY.replace("toy-b", "toy-c" if "jpeg" in entry else "toy-b")
    install("other", module, f"[rdbench.codecs]\n{entry}\n")
    install("family", FAMILY, "[rdbench.codecs]\nmore = family_plugin:CODECS\n")
    name, first = ("jpeg", "other") if "jpeg" in entry else ("toy-a", "family")
    second = "rdbench" if "jpeg" in entry else "other"
    says = f"'{name}': packages '{first}' and '{second}' both register it; uninstall one"
    with pytest.raises(UsageError, match=says):
        get_codecs(name)
    assert get_codecs("webp")


def test_the_second_of_two_commands_of_one_name_is_left_out_and_named(install):
    install("one", "command = 1\n", "[rdbench.commands]\nqarv = one_plugin:command\n")
    with pytest.warns(RdbenchWarning, match="command 'qarv': packages 'one' and 'rdbench' both"):
        commands = dict(plugins.plugins("rdbench.commands"))
    assert commands["qarv"] == 1


def test_the_package_of_the_guide_passes_the_check(tmp_path):
    guide = Path(__file__).parents[1] / "CONTRIBUTING.md"
    blocks = re.findall(r"```(\w+)\n(.*?)```", guide.read_text(encoding="utf-8"), re.DOTALL)
    project = tomllib.loads(next(text for kind, text in blocks if kind == "toml"))["project"]
    module = next(text for kind, text in blocks if kind == "python")
    assert len(module.splitlines()) <= 40
    info = tmp_path / "steps_codec-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 1\n")
    ((group, entries),) = project["entry-points"].items()
    lines = [f"{name} = {value}" for name, value in entries.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines]))
    (tmp_path / "steps_codec.py").write_text(module)
    status, table, note = rdbench("check", "steps", PYTHONPATH=str(tmp_path))
    assert status == 0, table
    assert "steps: 16 passed, 1 skipped, 0 failed" in note


@pytest.mark.parametrize("module", ["rdbench_codecs.commands", "rdbench.cli.console"])
def test_modules_import_in_any_order(module):
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True, timeout=60)
