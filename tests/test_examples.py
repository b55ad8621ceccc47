"""Every script in ``examples/`` runs and prints something; the notebook shows what it computes."""

import os
import shutil
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from rdbench.report.page import make_page

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))
NOTEBOOK = EXAMPLES / "first_look.ipynb"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_an_example_runs(script, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "MPLBACKEND": "agg"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_a_page_leaves_the_example_folder_as_it_is(tmp_path):
    """It is under version control: what a page counts is in it already (scripts/make_example)."""
    folder = shutil.copytree(EXAMPLES.parent / "reports/example", tmp_path / "example")
    database = folder / "records.sqlite"
    before = database.read_bytes()
    make_page(folder)
    assert database.read_bytes() == before


def test_every_example_is_in_the_list():
    listed = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert all(f"| `{script.name}` |" in listed for script in [*SCRIPTS, NOTEBOOK])


def test_the_notebook_shows_what_it_computes(tmp_path, monkeypatch):
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "jupyter"))
    (tmp_path / "reports").symlink_to(EXAMPLES.parent / "reports")
    folder = tmp_path / "examples"
    folder.mkdir()
    stored = nbformat.read(NOTEBOOK, as_version=4)
    run = deepcopy(stored)
    NotebookClient(run, timeout=120, resources={"metadata": {"path": str(folder)}}).execute()
    assert outputs(run) == outputs(stored)
    assert [path.name for path in tmp_path.glob("examples/*")] == ["figures"]


def outputs(notebook):
    """What each cell prints or returns, as text, and which kinds of output it has."""
    return [
        (
            cell.source,
            one.output_type,
            one.get("text") or (sorted(one.data), one.data["text/plain"]),
        )
        for cell in notebook.cells
        if cell.cell_type == "code"
        for one in cell.outputs
    ]
