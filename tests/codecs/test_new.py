"""`rdbench new codec`: what it writes passes `rdbench check` and is measured like any codec."""

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import rdbench
from rdbench.cli.app import app
from rdbench.errors import Unavailable, UsageError
from rdbench.spec import get_codec, get_codecs
from rdbench.testing import run_checks
from rdbench_codecs.commands import TEMPLATES


def new(*words: str, folder: Path) -> Result:
    return CliRunner().invoke(app, ["new", "codec", *words, "--out", str(folder)])


def spec_in(result: Result) -> str:
    """The codec in the command that is printed."""
    (line,) = [line for line in result.output.splitlines() if "rdbench check" in line]
    return line.split()[-1]


@pytest.mark.parametrize("kind", TEMPLATES)
def test_each_kind_passes_the_checks_and_is_measured(kind: str, tmp_path: Path) -> None:
    result = new("my-own", "--kind", kind, folder=tmp_path)
    assert result.exit_code == 0, result.output
    files = {tmp_path / f"my-own{suffix}" for suffix in TEMPLATES[kind]}
    assert set(tmp_path.iterdir()) == files
    for path in files:
        text = path.read_text()
        assert not any(word in text for word in ("MyCodec", "my-codec", "MODULE", "FILE"))
    spec = spec_in(result)
    problems = {r.check: r.reason for r in run_checks(spec) if r.status != "pass"}
    optional = {"registered under its name", "segments sum to the file"}
    assert problems.keys() <= optional, problems
    points = get_codecs(spec)
    rdbench.run(points[len(points) // 2], "sample[coffee]", tmp_path / "report")
    with rdbench.Store(tmp_path / "report") as store:
        records = list(store.records())
    assert [record.error for record in records] == [None]
    assert all(0 < (record.bpp or 0) < 8 and record.scores["psnr_rgb"] > 20 for record in records)


def test_the_class_is_the_default_and_is_named_like_the_codec(tmp_path: Path) -> None:
    result = new("fast_one", folder=tmp_path)
    assert spec_in(result) == f"{tmp_path}/fast_one.py:FastOne"
    assert get_codec(f"{spec_in(result)}:step=20").name == "fast_one"


@pytest.mark.parametrize("kind", ["class", "command"])
def test_existing_files_are_kept(kind: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("years of work")
    result = new("mine", "--kind", kind, folder=tmp_path)
    assert isinstance(result.exception, UsageError)
    assert "mine.py exists; add --force" in str(result.exception)
    assert [p.read_text() for p in tmp_path.iterdir()] == ["years of work"]
    assert new("mine", "--kind", kind, "--force", folder=tmp_path).exit_code == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("jpeg",), "'jpeg' is a registered codec; choose another name"),
        (("a b",), "'a b' cannot name a codec"),
        (("../up",), "cannot name a codec"),
        (("true", "--kind", "compressai"), "a class cannot be named True"),
        (("codec",), "a class cannot be named Codec"),
        (("mine", "--kind", "onyx"), "no kind of codec is named 'onyx'; there are: class, compr"),
    ],
)
def test_impossible_names_and_kinds_are_refused(
    words: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    result = new(*words, folder=tmp_path / "new")
    assert isinstance(result.exception, UsageError)
    assert says in str(result.exception)
    assert not (tmp_path / "new").exists()


def test_onnx_networks_need_onnxruntime_and_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = f"{spec_in(new('mine', '--kind', 'onnx', folder=tmp_path))}:encoder=enc.onnx"
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(Unavailable, match="pip install onnxruntime"):
        get_codec(spec).check()
    monkeypatch.setitem(sys.modules, "onnxruntime", sys)  # any module: the file is missing
    with pytest.raises(Unavailable, match=r"enc\.onnx not found; give encoder=PATH"):
        get_codec(spec).check()
