"""No command replaces a file that it was given or that exists, unless told; none leaves half a one.

Each command is asked to write where something lies already. What must not change is compared byte
for byte.
"""

import dataclasses
import subprocess
import sys
from pathlib import Path

import PIL.Image
import pytest
from example_folder import fill
from sample import photograph
from typer.testing import CliRunner

from rdbench.analysis.paper import load_paper
from rdbench.cli.app import app
from rdbench.errors import DataError, UsageError
from rdbench.store import Store
from rdbench_codecs.learned.weights import bundled

PHOTO = photograph("astronaut")[:200, 64:264]
TINY = "qarv:weights=random-tiny,lambda=512"


def call(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def refused(*words, says="exists; add --force to replace it"):
    result = call(*words)
    assert isinstance(result.exception, UsageError), result.output
    assert says in str(result.exception)


def done(*words):
    result = call(*words)
    assert result.exit_code == 0, result.exception or result.output
    return result


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder, with a photograph in several forms."""
    for suffix in ("png", "webp", "jpeg"):
        PIL.Image.fromarray(PHOTO).save(tmp_path / f"photo.{suffix}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """A report folder."""
    folder = tmp_path_factory.mktemp("reports")
    fill(folder, n_images=24)
    return folder


@pytest.mark.parametrize("codec", ["jpeg2000", TINY])
def test_the_readmes_flow_keeps_the_photograph(folder, codec):
    name, before = codec.partition(":")[0], contents(folder)
    done("encode", "photo.png", "--codec", codec)
    done("decode", f"photo.{name}", "--codec", codec)
    after = contents(folder)
    assert before.items() < after.items()
    assert after.keys() - before.keys() == {f"photo.{name}", f"photo.{name}.png"}
    refused("encode", "photo.png", "--codec", codec)
    refused("decode", f"photo.{name}", "--codec", codec)
    assert contents(folder) == after
    done("encode", "photo.png", "--codec", codec, "--force")
    done("decode", f"photo.{name}", "--codec", codec, "--force")


@pytest.mark.parametrize("codec", ["webp", "jpeg"])
@pytest.mark.parametrize("options", [(), ("--force",), ("--out", "./sub/../photo.{codec}")])
def test_encode_never_replaces_its_input(folder, codec, options):
    (folder / "sub").mkdir()
    before = contents(folder)
    options = [option.format(codec=codec) for option in options]
    words = ("encode", f"photo.{codec}", "--codec", codec, *options)
    refused(*words, says="is read here; name another file with --out")
    assert contents(folder) == before
    done("encode", f"photo.{codec}", "--codec", codec, "--out", "other.bin")


def test_links_to_an_input_are_the_input(folder):
    (folder / "soft.png").symlink_to("photo.png")
    (folder / "hard.png").hardlink_to("photo.png")
    done("encode", "photo.png", "--codec", "jpeg2000")
    (folder / "back.jpeg2000").hardlink_to("photo.jpeg2000")
    before = contents(folder)
    for out in ("soft.png", "hard.png"):
        refused("encode", "photo.png", "-c", "webp", "--out", out, says="is read here")
    refused("decode", "photo.jpeg2000", "-c", "jpeg2000", "--out", "back.jpeg2000", says="is read")
    refused("encode", "photo.png", "-c", "webp", "--out", folder, says="is a folder; name a file")
    assert contents(folder) == before
    done("encode", "photo.png", "-c", "jpeg2000", "--out", "photo.webp")  # named, and no input


def test_weights_and_descriptions_are_inputs(folder):
    weights = folder / "w.safetensors"
    weights.write_bytes(bundled("qvrf-mbt2018-mean").read_bytes())
    text = 'name = "copy"\nencode = "cp {input} {output}"\ndecode = "cp {input} {output}"\n'
    (folder / "copy.toml").write_text(text + 'format = "png"\n')
    before = contents(folder)
    spec = f"qvrf-mbt2018-mean:weights={weights},index=3"
    for words in (
        ("qvrf", "fix", "--codec", spec, "--out", weights),
        ("qvrf", "fit", "--codec", spec, "--out", weights),
        ("encode", "photo.png", "--codec", "copy.toml", "--out", "copy.toml"),
    ):
        refused(*words, says="is read here; name another file")
    assert contents(folder) == before


@pytest.mark.parametrize("name", ["photo.png", "fixed.pth", "fixed"])
def test_fixed_weights_are_written_where_they_can_be_read_again(folder, name):
    before = contents(folder)
    words = ("qvrf", "fix", "--codec", "qvrf-mbt2018-mean:index=3", "--out", name)
    refused(*words, says="does not end in .safetensors")
    assert contents(folder) == before


def test_fixed_weights_have_the_mode_of_the_umask(folder):
    done("qvrf", "fix", "--codec", "qvrf-mbt2018-mean:index=3", "--out", "fixed.safetensors")
    Path("plain").touch()
    assert Path("fixed.safetensors").stat().st_mode == Path("plain").stat().st_mode


def test_qarv_replaces_nothing(folder):
    (folder / "photo-latents").mkdir()
    for name in ("samples.png", "interpolation.png", "photo-latents/sheet.png"):
        (folder / name).write_text("mine")
    before = contents(folder)
    size = ("--height", 64, "--width", 64, "--count", 1)
    for words in (
        ("sample", "--codec", TINY, *size),
        ("interpolate", "photo.png", "photo.png", "--codec", TINY),
        ("subsets", "photo.png", "--codec", TINY),
    ):
        refused("qarv", *words)
    words = ("qarv", "interpolate", "photo.png", "photo.png", "--codec", TINY, "--out", "photo.png")
    refused(*words, says="is read here")
    assert contents(folder) == before
    done("qarv", "sample", "--codec", TINY, *size, "--force")
    assert PIL.Image.open("samples.png").size[0] >= 64


@pytest.mark.parametrize("out", ["records.sqlite", "bitstreams/aa/aa"])
def test_records_are_never_replaced(reports, out):
    (reports / "bitstreams" / "aa").mkdir(parents=True, exist_ok=True)
    (reports / "bitstreams" / "aa" / "aa").write_bytes(b"kept")
    for words in (
        ("export", reports, "--out", reports / out),
        ("export", reports, "--format", "parquet", "--out", reports / out),
        ("report", reports, "--published", "none", "--out", reports / out),
    ):
        refused(*words, says="is read here")
    with Store(reports, create=False) as store:
        assert len(list(store.records())) == 360
    assert (reports / "bitstreams" / "aa" / "aa").read_bytes() == b"kept"


@pytest.fixture
def short_paper(monkeypatch):
    """QVRF with one of its figures."""
    paper = load_paper("qvrf")
    short = dataclasses.replace(paper, items=[i for i in paper.items if i.name == "Figure 3"])
    monkeypatch.setattr("rdbench.cli.reproduce.load_paper", lambda name: short)


@pytest.mark.usefixtures("short_paper")
def test_folders_of_others_are_filled_but_nothing_is_replaced(reports, folder):
    for words in (
        ("plot", reports, "--published", "none", "--out", folder / "plot"),
        ("reproduce", "qvrf", reports, "--out", folder / "paper"),
        ("export", reports, "--format", "compressai", "--out", folder / "curves"),
        ("export", reports, "--format", "codec-compare", "--out", folder / "batches"),
    ):
        done(*words)
        before = contents(folder)
        refused(*words, says="more); add --force to replace it")
        assert contents(folder) == before
        done(*words, "--force")


@pytest.mark.usefixtures("short_paper")
def test_what_is_the_reports_own_is_refreshed(reports):
    for words in (
        ("plot", reports, "--published", "none"),
        ("report", reports, "--images", "0", "--published", "none"),
        ("reproduce", "qvrf", reports),
    ):
        done(*words)
        done(*words)


def test_training_resumes_its_own_folder_only(folder):
    PIL.Image.fromarray(photograph("astronaut")).save(folder / "photo.png")
    (folder / "out").mkdir()
    (folder / "out" / "log.csv").write_text("my log\n")
    before = contents(folder)
    words = ("train", "qarv", "--config", "reduced", "--data", folder, "--out", "out")
    result = call(*words)
    assert isinstance(result.exception, DataError)
    assert "has a log.csv but no checkpoint.pt to resume from" in str(result.exception)
    assert contents(folder) == before


SMALL_FILES = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (40000, 40000))
from rdbench.__main__ import main
sys.argv[0] = "rdbench"
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of POSIX")
@pytest.mark.parametrize(
    "words",
    [
        ("report", "reports", "--published", "none", "--out", "out/page.html"),
        ("plot", "reports", "--published", "none", "--out", "out"),
        ("export", "reports", "--out", "out/records.csv"),
        ("export", "reports", "--format", "parquet", "--out", "out/records.parquet"),
        ("reproduce", "qvrf", "--out", "out"),
        ("encode", "photo.png", "--codec", "null", "--out", "out/photo.bin"),
        ("decode", "photo.null", "--codec", "null", "--out", "out/photo.png"),
        (
            "qarv",
            "sample",
            "--codec",
            TINY,
            "--height",
            "64",
            "--width",
            "64",
            "--out",
            "out/s.png",
        ),
        ("qvrf", "fix", "--codec", "qvrf-mbt2018-mean:index=3", "--out", "out/f.safetensors"),
        ("qvrf", "fit", "--codec", "qvrf-mbt2018-mean", "--out", "out/fit.png"),
    ],
    ids=lambda words: "-".join(words[:2]),
)
def test_a_full_disk_is_one_line_and_leaves_no_half_file(folder, reports, words):
    (folder / "reports").symlink_to(reports)
    done("encode", "photo.png", "--codec", "null")
    (folder / "out").mkdir()
    command = [sys.executable, "-c", SMALL_FILES, *words]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 1, ended.stderr
    lines = [line for line in ended.stderr.splitlines() if line.startswith("rdbench: cannot write")]
    assert len(lines) == 1, ended.stderr
    assert "out/" in lines[0]
    assert "Traceback" not in ended.stderr
    assert all(path.stat().st_size != 40000 for path in (folder / "out").rglob("*"))
    assert not list((folder / "out").rglob(".partial*"))
