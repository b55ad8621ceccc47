"""Packages that register codecs, data and commands, and do not import."""

import subprocess
import sys

import pytest
from program import rdbench


@pytest.fixture
def broken(tmp_path):
    """A folder with an installed package whose one module fails to import."""
    info = tmp_path / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[rdbench.codecs]\nbrokencodec = broken_plugin:Codec\n"
        "[rdbench.commands]\nbrokencommand = broken_plugin:command\n"
        "[rdbench.datasets]\nbrokenset = broken_plugin\n"
        "[rdbench.curves]\nbrokencurves = broken_plugin\n"
    )
    (tmp_path / "broken_plugin.py").write_text("import a_package_from_2019\n")
    return tmp_path


REASON = (
    "package 'broken' cannot be loaded (ModuleNotFoundError: No module named 'a_package_from_2019')"
)


def test_a_broken_package_is_listed_with_the_reason_and_harms_nobody(broken):
    status, table, errors = rdbench("codecs", "list", "--all", PYTHONPATH=str(broken))
    assert status == 0
    assert "libjpeg" in table
    assert f"not available: {REASON}" in table
    assert f"rdbench: no command 'brokencommand': {REASON}" in errors


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
    assert f"rdbench: no {kind} {name!r}: {REASON}" in errors.splitlines()


@pytest.mark.parametrize("module", ["rdbench_codecs.commands", "rdbench.cli.console"])
def test_modules_import_in_any_order(module):
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True, timeout=60)
