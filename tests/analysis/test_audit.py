"""The audit: every byte is accounted for, and a file that lacks something is found out."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from rdbench import run
from rdbench import store as storing
from rdbench.analysis.audit import audit, published_gaps, segment_rows
from rdbench.store import Store
from rdbench.types import Bitstream, Codec, Segment

SPECS = [
    "jpeg:quality=50",
    "qarv:weights=random-tiny,lambda=64",
    "mbt2018-mean:weights=random-tiny",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("reports")
    run(SPECS, "sample", out)
    return out


def test_bytes_add_up(folder):
    found = {a.codec: a for a in audit(folder)}
    with Store(folder) as store:
        for r in store.records(codec="qarv"):
            assert sum(s.n_bytes for s in r.segments) == r.n_bytes
    qarv = found["qarv"]
    assert qarv.unaccounted_bytes == 0
    assert qarv.bpp == pytest.approx(
        qarv.coded_bpp + 8 * qarv.header_bytes / qarv.n_pixels, rel=0.01
    )
    assert 0 < qarv.header_bytes <= 40
    assert abs(qarv.overhead_percent) < 1
    assert qarv.flag is None
    assert found["jpeg"].header_bytes is None


def test_a_model_for_each_rate_is_reported(folder):
    found = {a.codec: a for a in audit(folder)}
    assert found["mbt2018-mean"].flag == "quality: a model for each rate"


def test_segments(folder):
    with Store(folder) as store:
        rows = segment_rows(store.records(codec="qarv"), store.datasets())
    assert [row["segment"] for row in rows] == ["header", *(f"z{i}" for i in range(1, 10))]
    assert rows[0]["overhead_percent"] is None
    for row in rows[1:]:
        expected = 100 * (row["coded_bpp"] / row["ideal_bpp"] - 1)
        assert row["overhead_percent"] == pytest.approx(expected)


@dataclass(frozen=True)
class Forgetful(Codec):
    """A codec whose decoder must know the step, which its file does not carry."""

    name: ClassVar[str] = "forgetful"
    title: ClassVar[str] = "forgetful"
    rate_parameters: ClassVar[tuple[str, ...]] = ("step",)
    ladder_values: ClassVar[tuple[int, ...]] = (64, 16)

    step: int = 16

    def encode(self, image):
        levels = (image // self.step).tobytes()
        return Bitstream(b"?" + levels, (Segment("y", len(levels), 4.0 * len(levels)),))

    def decode(self, data):
        levels = np.frombuffer(data[1:], np.uint8)
        return (levels * self.step).reshape(200, 200, 3)


def test_what_a_file_lacks_is_found(tmp_path, monkeypatch):
    import PIL.Image

    pixels = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    (tmp_path / "photos").mkdir()
    PIL.Image.fromarray(pixels).save(tmp_path / "photos" / "a.png")
    run([Forgetful(), Forgetful(64)], str(tmp_path / "photos"), tmp_path / "out")

    def rebuilt(spec, cls):
        return Forgetful(int(spec.partition("=")[2]))

    monkeypatch.setattr(storing, "get_codec", rebuilt)
    found = audit(tmp_path / "out")
    assert len(found) == 2
    for a in found:
        assert a.flag.split("; ") == [
            "the file does not carry step",
            "1 bytes in no segment",
            "over ideal by more than 0.5% + 64 bytes",
        ]
        assert a.overhead_percent == pytest.approx(100)
    within = replace(
        found[0], not_in_file=None, unaccounted_bytes=0.0, coded_bpp=found[0].ideal_bpp
    )
    assert within.flag is None


def test_published_curves_that_leave_something_out():
    gaps = {(g["dataset"], g["codec"]): g["rate"] for g in published_gaps(["kodak"])}
    assert "regulator a is not counted" in gaps["kodak", "qvrf-cheng2020-attn"]
    assert ("kodak", "vtm18") not in gaps
