"""Packages that register codecs, data and commands, and do not import."""

import os
import subprocess
import sys

import pytest


@pytest.fixture
def broken(tmp_path):
    """A folder with an installed package whose one module fails to import."""
    info = tmp_path / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[rdbench.codecs]\nbrokencodec = broken_plugin:Codec\n"
        "[rdbench.commands]\nbrokencommand = broken_plugin:command\n"
    )
    (tmp_path / "broken_plugin.py").write_text("import a_package_from_2019\n")
    return tmp_path


def rdbench(folder, *words):
    done = subprocess.run(
        [sys.executable, "-m", "rdbench", *words],
        capture_output=True, text=True, timeout=120, env={**os.environ, "PYTHONPATH": str(folder)},
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


REASON = (
    "package 'broken' cannot be loaded (ModuleNotFoundError: No module named 'a_package_from_2019')"
)


def test_a_broken_package_is_listed_with_the_reason_and_harms_nobody(broken):
    status, table, errors = rdbench(broken, "list", "codecs")
    assert status == 0
    assert "libjpeg" in table
    assert f"brokencodec: {REASON}" in errors
    assert f"rdbench: no command 'brokencommand': {REASON}" in errors


def test_a_codec_of_a_broken_package_is_refused_in_one_line(broken, tmp_path):
    out = tmp_path / "out"
    status, _, errors = rdbench(broken, "run", "--codec", "brokencodec", "--out", str(out))
    assert status == 1
    assert f"rdbench: {REASON}" in errors.splitlines()


@pytest.mark.parametrize("module", ["rdbench_codecs.commands", "rdbench.cli.console"])
def test_modules_import_in_any_order(module):
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True, timeout=60)
