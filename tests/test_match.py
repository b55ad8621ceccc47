"""Matching: the target is met on every image, results are kept, failures say why."""

import dataclasses
import json

import pytest
from typer.testing import CliRunner

from rdbench import match as matching
from rdbench.cli.app import app
from rdbench.errors import Unavailable, UsageError
from rdbench.images import read_image
from rdbench.match import Match, match_codecs, match_rows
from rdbench.metrics import score
from rdbench.spec import get_codec
from rdbench.store import Store
from rdbench.types import CurveKey


@pytest.fixture(scope="module")
def matched(tmp_path_factory):
    out = tmp_path_factory.mktemp("reports")
    return out, match_codecs(["jpeg2000", "jpeg"], "sample", "bpp", 0.5, out)


def test_every_image_is_at_the_rate(matched):
    out, found = matched
    assert [m.codec for m in found] == ["jpeg2000"] * 3 + ["jpeg"] * 3
    for m in found[:3]:
        assert m.met
        assert m.bpp == pytest.approx(0.5, rel=0.0101)
    with Store(out) as store:
        for m in found:
            data = store.bitstream(m.bitstream_sha256)
            assert len(data) == m.n_bytes
            assert get_codec(m.spec).encode(_image(m)).data == data
            decoded = get_codec(m.spec).decode(data)
            assert score(_image(m), decoded) == m.scores


def _image(match):
    from rdbench.datasets import load_dataset

    (image,) = load_dataset("sample").subset([match.image]).files
    return read_image(image.path)


def test_what_was_found_is_not_searched_again(matched, monkeypatch):
    out, found = matched
    monkeypatch.setattr(matching, "_match", None)
    assert match_codecs(["jpeg2000", "jpeg"], "sample", "bpp", 0.5, out) == found


def test_a_table_compares_with_the_first_codec(matched):
    first, second = match_rows(matched[1])
    assert (first["gain_db"], first["n_met"], first["n_images"]) == (None, 3, 3)
    assert second["gain_db"] == pytest.approx(second["psnr_rgb"] - first["psnr_rgb"])
    assert second["rate_percent"] is None
    assert second["n_won"] == 0


def test_at_equal_quality_the_rate_is_compared():
    blank = Match(CurveKey("a"), "d", "x", "psnr_rgb", 34.0, met=True, bpp=1.0)
    better = dataclasses.replace(blank, curve=CurveKey("b"), bpp=0.75)
    row = match_rows([blank, better])[1]
    assert (row["rate_percent"], row["gain_db"]) == (-25, None)
    assert (row["n_won"], row["n_images"]) == (1, 1)
    assert match_rows([blank, dataclasses.replace(better, bpp=1.0)])[1]["n_won"] == 0
    failed = dataclasses.replace(better, error="no")
    assert match_rows([blank, failed])[1]["rate_percent"] is None


def test_out_of_reach_is_a_row_with_a_reason_and_tried_again(tmp_path):
    found = match_codecs(["jpeg2000"], "sample", "bpp", 50.0, tmp_path)
    assert all("50 bpp cannot be met" in m.error for m in found)
    with Store(tmp_path) as store:
        assert store.results("match") == {}


def test_what_cannot_be_matched(tmp_path):
    with pytest.raises(UsageError, match="bpp, psnr_rgb, ms_ssim"):
        match_codecs(["jpeg"], "sample", "bytes", 1000, tmp_path)


def test_a_metric_that_is_not_available_is_not_matched(tmp_path):
    with pytest.raises(Unavailable, match="FID/256 is of a set of images"):
        match_codecs(["jpeg"], "sample", "fid_256", 10, tmp_path)


def test_any_metric_is_matched(tmp_path):
    words = ["match", "-c", "jpeg2000", "-c", "webp", "--target", "ciede2000=3", "--json"]
    rows = json.loads(CliRunner().invoke(app, [*words, "-o", str(tmp_path)]).stdout)
    assert [row["target"] for row in rows] == ["ciede2000"] * 2
    assert rows[0]["n_met"] == 3
    assert rows[0]["reached"] == pytest.approx(3, rel=0.01)
    assert rows[1]["rate_percent"] is not None


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--target", "ciede2000"), "--target takes METRIC=NUMBER, not 'ciede2000'"),
        (("--target", "ciede=3"), "no metric 'ciede'"),
        (("--target", "vmaf=100"), "the VMAF to meet is a number above 0 and below 100"),
        (("--target", "vmaf=90", "--bpp", "1"), "give one target, not bpp and vmaf"),
        ((), "give a target"),
    ],
)
def test_targets_that_are_none(words, says, tmp_path):
    result = CliRunner().invoke(app, ["match", "-c", "jpeg", "-o", str(tmp_path), *words])
    assert result.exit_code == 1
    assert says in " ".join(str(result.exception or result.output).split())


def test_the_rate_is_not_both_given_and_searched(tmp_path):
    with pytest.raises(UsageError, match="quality moves along the curve of jpeg; leave it out"):
        match_codecs(["webp", "jpeg:quality=5"], "sample", "bpp", 0.5, tmp_path)


def test_a_codec_asked_for_twice_is_one(matched):
    out, found = matched
    again = match_codecs(["jpeg2000", "jpeg", "jpeg2000"], "sample", "bpp", 0.5, out)
    assert again == found
    assert [row["n_images"] for row in match_rows(again)] == [3, 3]


def test_a_failure_has_its_codec_and_no_number(tmp_path):
    words = ["match", "-c", "jpeg", "--bpp", "50", "--per-image", "-o", str(tmp_path)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    assert "nan" not in result.stdout
    assert result.stdout.count("jpeg:subsampling=420,optimize=False") == 3


def test_images_that_miss_the_rate_are_reported(matched):
    words = ["match", "-c", "jpeg2000", "-c", "jpeg", "--bpp", "0.5", "-o", str(matched[0])]
    result = CliRunner().invoke(app, words)
    n_missed = sum(not m.met for m in matched[1] if m.codec == "jpeg")
    assert n_missed > 0
    assert f"jpeg:subsampling=420,optimize=False: {n_missed} images miss" in result.stderr
    assert "jpeg2000:" not in result.stderr
