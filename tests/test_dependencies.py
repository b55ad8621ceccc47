"""What the packages import is declared in pyproject.toml, and what is declared is imported."""

import ast
import re
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest

from rdbench.errors import Unavailable
from rdbench.report.export import to_parquet

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PACKAGES = [
    ROOT / "rdbench",
    ROOT / "codecs" / "rdbench_codecs",
    ROOT / "datasets" / "rdbench_datasets",
    ROOT / "datasets" / "rdbench_literature",
]
MODULES = {
    "cvvdp": "pycvvdp",
    "dask-jobqueue": "dask_jobqueue",
    "flip-evaluator": "flip_evaluator",
    "imageio-ffmpeg": "imageio_ffmpeg",
    "markdown-it-py": "markdown_it",
    "opencv-python-headless": "cv2",
    "pillow": "PIL",
    "pillow-heif": "pillow_heif",
    "pytorch-msssim": "pytorch_msssim",
}
"""Distribution -> module, where the names differ."""
INDIRECT = {"torchvision": "torchmetrics reads the networks of LPIPS and DISTS through it"}
"""Declared without an import of ours, and why."""
ELSEWHERE = {"templates", "worker"}
"""Folders of code that runs in environments of others, or begins codecs of others."""
WITH_TORCH = {"triton"}
"""Comes with torch where torch is built for GPUs."""
OPTIONAL_GROUPS = ("cluster", "codecs", "export", "ffmpeg", "metrics", "perceptual")


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in requirements}


def modules(requirements: list[str]) -> set[str]:
    return {MODULES.get(name, name) for name in names(requirements) - INDIRECT.keys()}


HARD = modules(PROJECT["dependencies"])
EXTRAS = {group: modules(PROJECT["optional-dependencies"][group]) for group in OPTIONAL_GROUPS}
OPTIONAL = set[str]().union(*EXTRAS.values())


def imports() -> dict[str, set[str]]:
    """Third-party module -> where it is imported: ``FILE:LINE``, a ``*`` behind it if lazily."""
    found = defaultdict(set)
    ours = {path.name for path in PACKAGES}
    files = (file for package in PACKAGES for file in package.rglob("*.py"))
    for file in (file for file in files if file.parent.name not in ELSEWHERE):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        lazy = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            for inner in ast.walk(node)
        }
        for node in ast.walk(tree):
            for module in imported(node) - ours - sys.stdlib_module_names:
                mark = "*" if id(node) in lazy else ""
                found[module].add(f"{file.relative_to(ROOT)}:{node.lineno}{mark}")
    return found


def imported(node: ast.AST) -> set[str]:
    """Top-level names of the modules that a statement imports."""
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return {node.module.partition(".")[0]}
    return set()


IMPORTS = imports()


@pytest.mark.parametrize("module", sorted(IMPORTS.keys() - WITH_TORCH))
def test_every_import_is_declared(module: str) -> None:
    assert module in HARD | OPTIONAL, f"not in pyproject.toml: {sorted(IMPORTS[module])}"
    if module not in HARD:
        eager = sorted(place for place in IMPORTS[module] if not place.endswith("*"))
        assert not eager, f"{module} is optional: import it inside the function that needs it"


@pytest.mark.parametrize("module", sorted(HARD | OPTIONAL))
def test_every_dependency_is_imported(module: str) -> None:
    assert module in IMPORTS, f"{module} is declared, but nothing imports it"


def test_versions_are_pinned() -> None:
    """constraints.txt names an exact version of everything that the tests need."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {normal(line.partition("==")[0]) for line in lines if "==" in line}
    extras = PROJECT["optional-dependencies"]
    wanted = PROJECT["dependencies"] + [
        line
        for name in ("test", "cluster", "codecs", "docs", "export", "ffmpeg")
        for line in extras[name]
    ]
    assert {normal(name) for name in names(wanted)} <= pinned


def test_parquet_without_pyarrow_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(Unavailable, match=r"pip install 'rdbench\[export\]'"):
        to_parquet([], tmp_path / "records.parquet")


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
