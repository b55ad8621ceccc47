"""``rdbench qarv``, files that are cut, and QARV's scalable codec."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from typer.testing import CliRunner

from rdbench import run
from rdbench.cli.app import app
from rdbench.errors import BitstreamError, DataError, EncoderError, UsageError
from rdbench_codecs.qarv import Qarv, QarvScalable
from rdbench_codecs.qarv.contact_sheet import GAP, contact_sheet
from rdbench_codecs.qarv.explore import from_kept

SPEC = "qarv:weights=random-tiny,lambda=2048"
CODEC = Qarv(lambda_=2048.0, weights="random-tiny")
RNG = np.random.default_rng(0)


def rdbench(*words):
    """What the command printed on stdout."""
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def images(tmp_path):
    """Two images of one size and one of another."""
    paths = [tmp_path / f"{name}.png" for name in "abc"]
    for path, height in zip(paths, (70, 70, 64), strict=True):
        PIL.Image.fromarray(RNG.integers(0, 255, (height, 100, 3), dtype=np.uint8)).save(path)
    return paths


def test_subsets(images, tmp_path):
    rows = json.loads(rdbench("qarv", "subsets", images[0], "--codec", SPEC, "--json"))
    assert [row["kept"] for row in rows[8:11]] == ["z1 to z9", "all but z1", "all but z2"]
    assert rows[26]["kept"] == "z9 alone"
    bpp = [row["ideal_bpp"] for row in rows]
    assert bpp[:9] == sorted(bpp[:9])
    assert bpp[9 + 3] + bpp[18 + 3] == pytest.approx(bpp[8])
    folder = tmp_path / "a-latents"
    assert len(list(folder.iterdir())) == 28
    image = np.asarray(PIL.Image.open(images[0]))
    latents = CODEC.latents(image)
    expected = np.rint(from_kept(CODEC, image, latents, [1, 2, 4, 5, 6, 7, 8, 9]) * 255)
    np.testing.assert_array_equal(np.asarray(PIL.Image.open(folder / "without-3.png")), expected)
    error = np.mean((expected - image) ** 2)
    assert rows[9 + 2]["psnr_rgb"] == pytest.approx(10 * np.log10(255**2 / error))


def test_samples(tmp_path):
    out = tmp_path / "s.png"
    sizes = ("--height", 64, "--width", 80, "--count", 3, "--seed", 5)
    rdbench("qarv", "sample", "--codec", SPEC, "--out", out, *sizes)
    sheet = np.asarray(PIL.Image.open(out))
    expected = np.rint(CODEC.sample(64, 80, 6) * 255)
    np.testing.assert_array_equal(sheet[8 : 8 + 64, 96 : 96 + 80], expected)


def test_interpolation(images, tmp_path):
    out = tmp_path / "i.png"
    words = ("qarv", "interpolate", *images[:2], "--codec", SPEC, "--steps", 3, "--out", out)
    rdbench(*words)
    sheet = np.asarray(PIL.Image.open(out))
    last = CODEC.decode(CODEC.encode(np.asarray(PIL.Image.open(images[1]))).data)
    np.testing.assert_array_equal(sheet[8:78, 224:324], np.rint(last * 255))
    with pytest.raises(UsageError, match="different sizes"):
        rdbench("qarv", "interpolate", *images[1:], "--codec", SPEC)
    with pytest.raises(UsageError, match="'jpeg' is not QARV"):
        rdbench("qarv", "sample", "--codec", "jpeg")


@pytest.mark.parametrize(
    ("words", "error", "reason"),
    [
        (("sample", "--height", 10**6, "--width", 10**6), UsageError, "reduce --height"),
        (("sample", "--count", 10**12), UsageError, "reduce .*--count"),
        (("interpolate", "a.png", "b.png", "--steps", 10**11), UsageError, "reduce --steps"),
        (("sample", "--seed", 10**23), None, "--seed"),
        (("sample", "--temperature", "inf"), None, "--temperature"),
    ],
)
def test_giant_sheets_are_refused(images, tmp_path, monkeypatch, words, error, reason):
    monkeypatch.chdir(tmp_path)
    words = ["qarv", *map(str, words), "--codec", SPEC, "--out", "sheet.png"]
    if error is None:
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 2
        assert reason in result.output
    else:
        with pytest.raises(error, match=reason):
            rdbench(*words)
    assert not Path("sheet.png").exists()


def test_no_image_is_written_of_what_is_not_finite(images, tmp_path, monkeypatch):
    monkeypatch.setattr(Qarv, "decode", lambda self, data: np.full((4, 4, 3), np.nan, np.float32))
    (tmp_path / "a.qarv").write_bytes(b"")
    with pytest.raises(DataError, match="not finite"):
        rdbench("decode", tmp_path / "a.qarv", "--codec", SPEC, "--out", tmp_path / "out.png")
    assert not (tmp_path / "out.png").exists()


def test_a_sheet_scales_images_down_and_leaves_gaps_white():
    image = np.full((100, 400, 3), 7, np.uint8)
    sheet = contact_sheet([[("one", image)], [GAP, ("two", image)]], side=200)
    assert sheet.shape == (8 + 2 * (50 + 20 + 8), 8 + 2 * (200 + 8), 3)
    assert (sheet[8:58, 8:208] == 7).all()
    assert (sheet[8:58, 216:416] == 255).all()
    assert (sheet[86:136, 8:208] == 255).all()
    assert (sheet[86:136, 216:416] == 7).all()
    assert (sheet[58:78, 8:208] < 100).any()


def test_a_cut_file_on_the_command_line(images, tmp_path):
    cut, out = tmp_path / "cut.qarv", tmp_path / "cut.png"
    rdbench("encode", images[0], "-o", cut, "--codec", f"qarv-scalable{SPEC[4:]},kept=3")
    with pytest.raises(BitstreamError, match="cut after 3 of its 9 latents"):
        rdbench("decode", cut, "--codec", SPEC)
    result = CliRunner().invoke(
        app, ["decode", *map(str, (cut, "-c", SPEC, "--partial", "-o", out))]
    )
    assert result.stderr == f"{out}: 100x70, 3 of 9 latents\n"
    image = np.asarray(PIL.Image.open(images[0]))
    expected = from_kept(CODEC, image, CODEC.latents(image), [1, 2, 3])
    np.testing.assert_array_equal(np.asarray(PIL.Image.open(out)), np.rint(expected * 255))
    with pytest.raises(UsageError, match="'jpeg' decodes whole files only"):
        rdbench("decode", cut, "--codec", "jpeg", "--partial")


def test_the_scalable_codec_cuts_the_file_of_qarv():
    image = RNG.integers(0, 255, (64, 64, 3), dtype=np.uint8)
    whole = CODEC.encode(image)
    point = QarvScalable(lambda_=2048.0, weights="random-tiny", kept=4)
    part = point.encode(image)
    assert whole.data.startswith(part.data)
    assert part.segments == whole.segments[:5]
    np.testing.assert_array_equal(point.decode(part.data), CODEC.decode_partial(part.data))
    assert replace(point, kept=9).encode(image) == whole
    for wrong in (part.data[:-1], whole.data):
        with pytest.raises(BitstreamError, match="whole latents, not 4"):
            point.decode(wrong)
    with pytest.raises(EncoderError, match="have 9 latents, kept is 10"):
        replace(point, kept=10).encode(image)
    with pytest.raises(UsageError, match="kept is 0, it must be 1"):
        replace(point, kept=0)
    ladders = [replace(point, weights=f"random{n}").ladder() for n in ("-tiny", "-a3")]
    assert [[p.kept for p in ladder] for ladder in ladders] == [[*range(1, 10)], [1, 2, 3]]


def test_scalable_curves_are_measured_like_others(images, tmp_path):
    folder = images[0].parent
    images[2].unlink()
    outcome = run(
        ["qarv-scalable:weights=random-tiny,lambda=64,2048"], str(folder), tmp_path / "out", jobs=0
    )
    assert not outcome.failures
    curves = {record.curve for record in outcome.records}
    assert len(curves) == 2
    for curve in curves:
        records = [r for r in outcome.records if r.curve == curve and r.image == "a.png"]
        assert sorted(r.rate_value for r in records) == list(range(1, 10))
        sizes = [r.n_bytes for r in sorted(records, key=lambda r: r.rate_value)]
        assert sizes == sorted(set(sizes))
