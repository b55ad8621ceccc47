"""Codecs that are classes in Python files: settings, identity, and estimates told apart."""

import csv
import dataclasses
import io
import json
import pickle
import re
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from typer.testing import CliRunner

from rdbench import load_curves, rescore, run
from rdbench.analysis.bd import bd_rate
from rdbench.cli.app import app
from rdbench.errors import BitstreamError, DataError, EncoderError, UsageError
from rdbench.importers import import_curves
from rdbench.spec import get_codec, get_codecs, identify, spec_of
from rdbench.store import Store
from rdbench.testing import run_checks

GUIDE = Path(__file__).parents[3] / "docs" / "python_codecs.md"


@pytest.fixture(scope="module")
def guide(tmp_path_factory):
    """A folder with the files of the guide: blocks.py, tiny.py, guess.py."""
    folder = tmp_path_factory.mktemp("guide")
    for name, text in re.findall(r"```python\n# (\w+\.py)\n(.*?)```", GUIDE.read_text(), re.S):
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    y, x = np.mgrid[0:48, 0:72]
    for number in (3, 5):
        waves = np.stack([np.sin(x / number), np.cos(y / 7), np.sin((x + y) / 9)], axis=-1)
        PIL.Image.fromarray((128 + 100 * waves).astype(np.uint8)).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def measured(guide, photos, tmp_path_factory):
    """A report folder with all three codecs."""
    out = tmp_path_factory.mktemp("measured")
    specs = [str(guide / name) for name in ("blocks.py", "tiny.py:Tiny", "guess.py")]
    assert not run(specs, str(photos), out).failures
    return out


def command(*words):
    """Exit status and everything that a command prints, in one line."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    return done.exit_code, " ".join(done.output.split()), done.exception


def write(folder, text, name="mine.py"):
    (folder / name).write_text(text)
    return str(folder / name)


CODING = """
    def compress(self, image):
        return bytes(image.shape[:2]) + image.tobytes()

    def decompress(self, data):
        import numpy
        return numpy.frombuffer(data[2:], "u1").reshape(data[0], data[1], 3) | 1
"""
CODEC = f"class Codec:\n{CODING}"
WITH_SETTINGS = f"""
from __future__ import annotations

class Codec:
    "One line for people.\\n\\n    More lines."

    def __init__(self, n: int, quality: float = 1, mode="fast", weights: str | None = None,
                 device="cpu"):
        if n < 1:
            raise ValueError("n is 1 or more")
{CODING}
"""


def test_the_codecs_of_the_guide_keep_the_contract(guide):
    for name in ("blocks.py", "tiny.py:Tiny:quality=2", "guess.py:quality=2"):
        failed = [r for r in run_checks(str(guide / name)) if r.status == "fail"]
        assert not failed, failed


def test_settings_are_those_of_the_constructor(tmp_path):
    path = write(tmp_path, WITH_SETTINGS)
    points = get_codecs(f"{path}:Codec:n=3,quality=1,2.5,mode=slow,device=cuda")
    assert list(map(spec_of, points)) == [
        "Codec:n=3,quality=1.0,mode=slow", "Codec:n=3,quality=2.5,mode=slow",
    ]  # fmt: skip
    assert identify(points[0]).rate_parameter == "quality"
    assert points[0].title == "One line for people."
    assert get_codec(f"{path}:n=3") == get_codec(f"{path}:Codec:n=3,device=cuda")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("", "missing 1 required keyword-only argument: 'n'"),
        ("n=x", "n='x' is not a whole number"),
        ("m=1", "has no setting 'm'; it has n, quality, mode"),
        ("n=0", r"Codec: .*mine\.py, line 10: ValueError: n is 1 or more"),
    ],
)
def test_wrong_settings_are_explained(tmp_path, photos, settings, message):
    path = write(tmp_path, WITH_SETTINGS)
    with pytest.raises(UsageError, match=message) as caught:
        run(f"{path}:Codec:{settings}".rstrip(":"), str(photos), tmp_path / "out")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (CODEC.replace("Codec", "jpeg"), "'jpeg' belongs to a registered codec"),
        (f"class Codec:\n    name = 'a b'\n{CODING}", "the name 'a b' may have letters"),
        (f"class Codec:\n    def __init__(self, title='x'): ...\n{CODING}", "setting 'title'"),
        (f"class Codec:\n    rate_parameters = 'q'\n{CODING}", "there is no argument 'q'"),
        ("from rdbench import Codec\nclass Mine(Codec):\n    name = 'm'\n"
         "    def encode(self, image): ...\n    def decode(self, data): ...\n", "decorate m with"),
    ],
)  # fmt: skip
def test_wrong_classes_are_explained(tmp_path, text, message):
    with pytest.raises(DataError, match=message) as caught:
        get_codecs(write(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_function_makes_a_codec(tmp_path):
    path = write(tmp_path, CODEC + "\n\ndef make(quality=3):\n    return Codec()\n")
    codec = get_codec(f"{path}:make:quality=2")
    assert spec_of(codec) == "make:quality=2"
    assert not codec.estimated
    assert codec.encode(np.zeros((2, 3, 3), np.uint8)).n_bytes == 20


def test_a_class_of_rdbench_keeps_its_own_methods(tmp_path):
    text = (
        "from dataclasses import dataclass\nfrom typing import ClassVar\n"
        "from rdbench import Bitstream, Codec\n\n@dataclass(frozen=True)\nclass Mine(Codec):\n"
        "    rate_parameters: ClassVar[tuple[str, ...]] = ('q',)\n    q: int = 1\n"
        "    def encode(self, image):\n        return Bitstream(bytes([self.q]))\n"
        "    def decode(self, data): ...\n    def versions(self):\n        return {'mine': '2'}\n"
    )
    codec = get_codec(write(tmp_path, text) + ":q=7")
    assert spec_of(codec) == "Mine:q=7"
    assert codec.encode(None).data == b"\x07"
    assert codec.versions()["mine"] == "2"
    assert pickle.loads(pickle.dumps(codec)) == codec


def test_errors_name_the_line(tmp_path):
    text = CODEC.replace("return bytes", "1 / 0; return bytes").replace("data[0]", "data[5]")
    codec = get_codec(write(tmp_path, text))
    with pytest.raises(EncoderError, match=r"mine\.py, line 4: ZeroDivisionError"):
        codec.encode(np.zeros((2, 3, 3), np.uint8))
    with pytest.raises(BitstreamError, match=r"mine\.py, line 8: IndexError"):
        codec.decode(b"ab")


def test_a_decoder_gets_nothing_but_the_bytes(tmp_path):
    text = """
class Cheat:
    def compress(self, image):
        self.image = image
        return b"x"

    def decompress(self, data):
        return self.image
"""
    codec = get_codec(write(tmp_path, text))
    bitstream = codec.encode(np.zeros((2, 3, 3), np.uint8))
    with pytest.raises(BitstreamError, match="no attribute 'image'"):
        codec.decode(bitstream.data)


def test_the_fingerprint_follows_every_file(tmp_path):
    def fingerprint(spec=""):
        return get_codec(f"{path}{spec}").fingerprint()

    path = write(tmp_path, f"import part_of_it\n{CODEC}")
    write(tmp_path, "", "part_of_it.py")
    seen = {fingerprint()}
    write(tmp_path, "value = 1", "part_of_it.py")
    seen.add(fingerprint())
    write(tmp_path, f"import part_of_it\n# changed\n{CODEC}")
    seen.add(fingerprint())
    write(tmp_path, WITH_SETTINGS + f"class Other:\n    name = 'Codec'\n{CODING}")
    (tmp_path / "net.pt").write_bytes(b"weights")
    seen |= {fingerprint(":Codec:n=1"), fingerprint(":Other")}
    seen.add(fingerprint(f":Codec:n=1,weights={tmp_path / 'net.pt'}"))
    (tmp_path / "net.pt").write_bytes(b"other weights")
    seen.add(fingerprint(f":Codec:n=1,weights={tmp_path / 'net.pt'}"))
    assert len(seen) == 7


def test_workers_measure_the_same_file_or_nothing(tmp_path, photos):
    path = write(tmp_path, CODEC)
    outcome = run(path, str(photos), tmp_path / "out", jobs=2)
    assert [(r.error, r.n_bytes) for r in outcome.records] == [(None, 48 * 72 * 3 + 2)] * 2
    assert run(path, str(photos), tmp_path / "out").n_made == 0
    sent = pickle.dumps(get_codec(path))
    write(tmp_path, CODEC + "# changed\n")
    from rdbench_codecs.external import python_file

    python_file._loaded.cache_clear()  # as in a worker that has not begun
    with pytest.raises(DataError, match="was changed meanwhile; run the same command again"):
        pickle.loads(sent)


def test_kept_records_are_decoded_by_the_file_alone(tmp_path, photos):
    path, out = write(tmp_path, CODEC), tmp_path / "out"
    run(path, str(photos), out)
    db = sqlite3.connect(out / "records.sqlite")
    db.execute("UPDATE records SET scores = '{}'")
    db.commit()
    db.close()
    Path(path).unlink()
    (problem, _) = rescore(out, ["psnr_rgb"]).problems
    assert "mine.py, which is missing; code that a report folder keeps is never run" in problem
    write(tmp_path, CODEC + "# changed\n")
    (problem, _) = rescore(out, ["psnr_rgb"]).problems
    assert "mine.py, which was changed since" in problem
    write(tmp_path, CODEC)
    assert rescore(out, ["psnr_rgb"]).n_records == 2


def test_two_files_with_a_class_of_one_name_are_told_apart(tmp_path, photos):
    out, paths = tmp_path / "out", []
    for name, text in (("a", CODEC), ("b", CODEC.replace("tobytes()", "tobytes() + b'more'"))):
        (tmp_path / name).mkdir()
        paths.append(write(tmp_path / name, text.replace("data[2:]", "data[2:10370]")))
        assert not run(paths[-1], str(photos), out).failures
    curves = load_curves(out, photos.name)
    assert len([label for label in curves if label.startswith("Codec")]) == 2
    status, said, _ = command("tables", out, "--table", "points", "-c", paths[0])
    assert (status, said.count("Codec")) == (0, 2)


def test_estimates_are_told_in_records_and_exports(measured, tmp_path):
    with Store(measured) as store:
        records = list(store.records())
    assert {r.codec for r in records if r.estimated} == {"Guess"}
    for r in records:
        assert (r.encode_s is None) == (r.decode_s is None) == r.estimated
        if r.estimated:
            assert r.n_bytes == np.ceil(sum(s.ideal_bits for s in r.segments) / 8)
    command("export", measured, "--format", "csv", "-o", tmp_path / "r.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "r.csv").read_text())))
    assert {row["codec"] for row in rows if row["estimated"] == "True"} == {"Guess"}
    again = {c.label.partition("@")[0]: c for c in import_curves([tmp_path / "r.csv"])}
    assert again["Guess"].estimated
    assert again["Guess"].label.endswith(" (estimated rate)")
    assert not again["Tiny"].estimated
    assert command("verify", measured)[0] == 0


NOTE = "the rate is an estimate from likelihoods; no file was written"


@pytest.mark.parametrize(
    "words",
    [
        ("bdrate", "-a", "Blocks"),
        ("bdrate", "-a", "Guess"),
        ("board", "-a", "Blocks"),
        ("tables", "-a", "Blocks", "--table", "bdrate"),
    ],
)
def test_every_comparison_tells_estimates(measured, photos, words):
    status, said, error = command(words[0], measured, *words[1:], "-d", photos.name)
    assert (status, error) == (0, None)
    assert said.count(NOTE) == 1
    assert "Guess (estimated rate)" in said


def test_figures_name_estimates(measured, photos, tmp_path):
    _, said, _ = command("plot", measured, "-d", photos.name, "-o", tmp_path)
    assert said.count(NOTE) == 1
    assert "Guess (estimated rate)" in (tmp_path / f"{photos.name}-psnr_rgb.svg").read_text()
    command("report", measured, "-o", tmp_path / "page.html", "--images", "0")
    assert json.dumps(NOTE)[1:-1] in (tmp_path / "page.html").read_text()


def test_both_sides_of_a_figure_tell_estimates(measured, photos):
    curves = {c.codec: c for c in load_curves(measured, photos.name).values()}
    for anchor, test in (("Guess", "Tiny"), ("Tiny", "Guess")):
        figure = bd_rate(curves[anchor], curves[test], n_resamples=0)
        assert f"Guess (estimated rate): {NOTE}" in figure.warnings
    assert curves["Guess"].protocol["rate"] == "estimated bits, not bytes"


@pytest.mark.parametrize(
    "words",
    [
        ("timing", "-o", "{out}"), ("match", "--bpp", "1", "-o", "{out}"),
        ("consistency",), ("encode", "{image}", "-o", "{out}/x"),
    ],
)  # fmt: skip
def test_estimates_have_no_files_and_no_times(guide, photos, tmp_path, words):
    words = [word.format(out=tmp_path, image=photos / "3.png") for word in words]
    data = () if words[0] == "encode" else ("-d", photos)
    status, _, error = command(*words, *data, "-c", guide / "guess.py")
    assert status != 0
    assert "only estimates its rate" in str(error)
    assert not list(tmp_path.iterdir())


def test_a_file_is_a_spec_wherever_one_is_taken(guide, measured, photos, tmp_path):
    here = ("-d", photos.name)
    _, said, _ = command(
        "bdrate", measured, "-a", guide / "blocks.py", "-c", guide / "tiny.py", *here
    )
    assert "Tiny" in said
    assert "Guess" not in said
    changed = shutil.copy(guide / "tiny.py", tmp_path / "tiny.py")
    Path(changed).write_text(Path(changed).read_text() + "# changed\n")
    _, _, error = command("bdrate", measured, "-a", "Blocks", "-c", changed, *here)
    assert "no curve of" in str(error)
    spec = f"{guide / 'tiny.py'}:Tiny"
    image, coded = photos / "3.png", tmp_path / "coded"
    assert command("encode", image, "-c", f"{spec}:quality=2", "-o", coded)[0] == 0
    assert command("decode", coded, "-c", f"{spec}:quality=2", "-o", tmp_path / "back.png")[0] == 0
    assert PIL.Image.open(tmp_path / "back.png").size == (72, 48)


def test_equal_settings_make_equal_codecs(guide):
    codec = get_codec(f"{guide / 'tiny.py'}:quality=2")
    assert pickle.loads(pickle.dumps(codec)) == dataclasses.replace(codec) == codec
    assert codec.versions().keys() == {"torch"}
