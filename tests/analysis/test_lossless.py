"""Lossless coding: what counts as exact, the table, and no BD-rate."""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import pytest
from made_up import record
from PIL import Image as PilImage
from sample import photograph

from rdbench.analysis.comparison import compare
from rdbench.analysis.lossless import LOSSLESS, lossless_rows
from rdbench.analysis.overview import Request, lossless
from rdbench.analysis.selection import select
from rdbench.columns import shown
from rdbench.report.export import flat_row
from rdbench.sweep import run
from rdbench_codecs.conventional.null import Null

KNOWN = {"metrics": {"psnr_rgb": 1, "ms_ssim": 1}}


def exact(image="a.png", **changes):
    made = record(image, **changes)
    return dataclasses.replace(made, scores={"ms_ssim": 1.0}, provenance=KNOWN)


SETS = {"set": {name: record(name).image_sha256 for name in ("a.png", "b.png")}}


def test_exact_is_a_psnr_that_was_computed_and_is_infinite():
    assert exact().exact is True
    assert dataclasses.replace(record(), provenance=KNOWN).exact is False
    assert dataclasses.replace(exact(), provenance={"metrics": {"ms_ssim": 1}}).exact is None
    assert dataclasses.replace(exact(), provenance={}).exact is None
    assert dataclasses.replace(exact(), error="no").exact is None
    assert flat_row(exact())["exact"] is True


def test_rates_and_speeds_are_of_all_images_together():
    """Two images of 4x2 pixels: 4 and 12 bytes for 24 each, in 0.1 and 0.3 s, back in 0.2 each."""
    records = [exact("a.png"), dataclasses.replace(exact("b.png", n_bytes=12), encode_s=0.3)]
    (row,) = lossless_rows(records, SETS)
    assert (row["n_exact"], row["n_images"]) == (2, 2)
    assert row["bpp"] == pytest.approx((4 + 12) / 2)
    assert row["ratio"] == pytest.approx(48 / 16)
    assert row["encode_megapixels_per_s"] == pytest.approx(16 / 0.4 / 1e6)
    assert row["decode_megapixels_per_s"] == pytest.approx(16 / 0.4 / 1e6)
    assert row["timed_alone"] is True
    assert len(shown(LOSSLESS, [row])) == len(LOSSLESS) == len(row) - 1


def test_a_point_with_one_changed_image_is_not_lossless():
    changed = dataclasses.replace(record("b.png"), provenance=KNOWN)
    assert lossless_rows([exact(), changed], SETS) == []


def test_an_incomplete_set_has_no_mean_and_a_missing_time_no_speed():
    untimed = dataclasses.replace(exact(), encode_s=None, timed_alone=False)
    failed = dataclasses.replace(record("b.png"), error="broken")
    (row,) = lossless_rows([untimed, failed], SETS)
    assert (row["n_exact"], row["n_images"]) == (1, 2)
    assert (row["bpp"], row["ratio"], row["encode_megapixels_per_s"]) == (None, None, None)
    assert row["decode_megapixels_per_s"] is not None
    assert row["timed_alone"] is False


def test_the_lowest_rate_comes_first_and_what_is_not_known_last():
    records = [exact(name, spec="toy:q=1", n_bytes=9) for name in ("a.png", "b.png")]
    records += [exact(name, spec="toy:q=2", n_bytes=5) for name in ("a.png", "b.png")]
    records += [exact("a.png", spec="toy:q=0", n_bytes=1)]
    assert [row["setting"] for row in lossless_rows(records, SETS)] == ["q=2", "q=1", "q=0"]


@dataclass(frozen=True)
class Boaster(Null):
    """Says that it is lossless, and changes one sample."""

    name: ClassVar[str] = "boaster"

    def decode(self, data):
        pixels = super().decode(data).copy()
        pixels[0, 0, 0] ^= 1
        return pixels


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("photos")
    PilImage.fromarray(photograph("coffee")[:176, :176]).save(made / "coffee.png")
    return str(made)


def test_a_lossless_codec_that_changes_a_sample_fails(folder, tmp_path):
    (made,) = run([Boaster()], folder, tmp_path).records
    assert made.error == "the codec is lossless, but another image came back"
    assert made.exact is None
    assert made.scores == {}


def test_lossless_codecs_have_a_table_and_no_bd_rate(folder, tmp_path):
    codecs = ["png", "jxl-lossless:effort=1,2,3,4", "jpeg:quality=20,40,60,80"]
    outcome = run([*codecs, "webp:quality=20,40,60,80"], folder, tmp_path)
    assert {r.codec for r in outcome.records if r.exact} == {"png", "jxl-lossless"}
    rows = lossless(Request(tmp_path))
    assert len(rows) == 5
    assert rows == sorted(rows, key=lambda row: row["bpp"])
    assert rows[-1]["codec"] == "png"
    assert lossless(Request(tmp_path, codecs=("png",))) == rows[-1:]
    for metric in ("psnr", "ms_ssim"):
        found = compare(select(tmp_path), "jpeg", (), metric)
        assert {test.codec for _, test in found.pairs if test.source == "measured"} == {"webp"}
        reasons = {reason.curve.codec: reason.text for reason in found.reasons}
        assert reasons.keys() == {"png", "jxl-lossless"}
        assert all("rdbench tables --table lossless" in text for text in reasons.values())
