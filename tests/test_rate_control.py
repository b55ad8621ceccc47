"""Targets are met within 1 % and ten encodes, by any codec with a rate parameter."""

import contextlib
import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdbench.errors import EncoderError, UsageError
from rdbench.metrics.ms_ssim import ms_ssim
from rdbench.rate_control import encode_to
from rdbench.types import Bitstream, Codec
from rdbench_codecs.conventional.jpeg import Jpeg
from rdbench_codecs.conventional.jpeg2000 import Jpeg2000
from rdbench_codecs.conventional.null import Null
from rdbench_codecs.conventional.webp import Webp
from rdbench_codecs.hyperprior import CODECS
from rdbench_codecs.qarv import Qarv

IMAGE = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)


@dataclass(frozen=True)
class Curve(Codec):
    """Size and error follow curves of the parameter, as those of real codecs do."""

    name: ClassVar[str] = "curve"
    title: ClassVar[str] = "curve"
    rate_parameters: ClassVar[tuple[str, ...]] = ("lambda_",)
    ladder_values: ClassVar[tuple[float, ...]] = (16.0, 2048.0)

    lambda_: float = 100.0
    slope: float = 0.6
    bend: float = 0.05
    encodes: ClassVar[list[float]] = []

    def encode(self, image):
        self.encodes.append(self.lambda_)
        x = math.log(self.lambda_ / 16)
        size = 300 * math.exp(self.slope * x + self.bend * x * x)
        return Bitstream(np.float32(self.lambda_).tobytes() + bytes(int(size)))

    def decode(self, data):
        lambda_ = float(np.frombuffer(data[:4], np.float32)[0])
        sign = np.where(IMAGE < 128, 1, -1)
        return (IMAGE / 255 + sign * 0.1 * lambda_**-0.4).astype(np.float32)


@given(share=st.floats(0, 1), slope=st.floats(0.05, 1.2), bend=st.floats(-0.004, 0.2))
def test_any_size_in_reach_is_met(share, slope, bend):
    codec = Curve(slope=slope, bend=bend)
    ends = [len(replace(codec, lambda_=v).encode(IMAGE).data) for v in (16.0, 2048.0)]
    target = ends[0] * (ends[1] / ends[0]) ** share
    Curve.encodes.clear()
    found = encode_to("bytes", codec, IMAGE, target)
    assert abs(len(found.bitstream.data) / target - 1) <= 0.0101
    assert found.value == len(found.bitstream.data)
    assert found.n_encodes == len(Curve.encodes) <= 10
    assert found.codec.encode(IMAGE) == found.bitstream


def test_bits_per_pixel_count_the_pixels():
    found = encode_to("bpp", Curve(), IMAGE, 2.0)
    assert 8 * len(found.bitstream.data) / (64 * 96) == pytest.approx(2.0, rel=0.01)
    assert found.value == 8 * len(found.bitstream.data) / (64 * 96)


@pytest.mark.parametrize("psnr_db", [30.5, 36.0, 44.0])
def test_psnr_is_met_to_a_twentieth_of_a_decibel(psnr_db):
    found = encode_to("psnr_rgb", Curve(), IMAGE, psnr_db)
    error = Curve().decode(found.bitstream.data) - IMAGE / 255
    assert -10 * np.log10(np.mean(error**2)) == pytest.approx(psnr_db, abs=0.05)
    assert found.value == pytest.approx(psnr_db, abs=0.05)
    assert found.n_encodes <= 10


def test_what_is_out_of_reach_says_how_far_it_goes():
    with pytest.raises(EncoderError, match=r"lambda from 16 to 2048 gives 304 to .* bytes"):
        encode_to("bytes", Curve(), IMAGE, 100)
    with pytest.raises(EncoderError, match="not met in 3 encodes"):
        encode_to("bytes", Curve(slope=1.2, bend=0.2), IMAGE, 1000, max_encodes=3)


def test_codecs_without_a_rate_parameter_are_refused():
    with pytest.raises(UsageError, match="'null' has no rate parameter"):
        encode_to("bytes", Null(), IMAGE, 100)


@dataclass(frozen=True)
class Steps(Curve):
    """The same with whole numbers, the largest of the lowest rate."""

    ladder_values: ClassVar[tuple[int, ...]] = (50, 10)

    def encode(self, image):
        self.encodes.append(self.lambda_)
        return Bitstream(bytes(int(3000 * 0.93**self.lambda_)))


@given(share=st.floats(0, 1))
def test_whole_numbers_come_as_near_as_they_can(share):
    sizes = {v: int(3000 * 0.93**v) for v in range(10, 51)}
    target = sizes[50] * (sizes[10] / sizes[50]) ** share
    Curve.encodes.clear()
    found = encode_to("bytes", Steps(), IMAGE, target, max_encodes=30)
    assert found.n_encodes == len(Curve.encodes) == len(set(Curve.encodes))
    distance = {v: abs(math.log(n / target)) for v, n in sizes.items()}
    assert found.met == (distance[found.codec.lambda_] <= math.log1p(0.01))
    assert found.met or distance[found.codec.lambda_] == min(distance.values())


def test_ms_ssim_is_met():
    image = np.random.default_rng(1).integers(0, 255, (200, 200, 3), dtype=np.uint8)
    found = encode_to("ms_ssim", Jpeg2000(), image, 0.5)
    value = ms_ssim(image, found.codec.decode(found.bitstream.data))
    assert found.met
    assert 1 - value == pytest.approx(0.5, rel=0.0101)
    with pytest.raises(UsageError, match="below 1"):
        encode_to("ms_ssim", Jpeg2000(), image, 1.0)
    with pytest.raises(UsageError, match="too small"):
        encode_to("ms_ssim", Jpeg2000(), image[:100], 0.9)


def test_qvrf_varies_its_regulator():
    codec = CODECS["qvrf-mbt2018-mean"](weights="random-tiny", threads=1)
    low, high = (len(replace(codec, a=a).encode(IMAGE).data) for a in (0.5, 12.0))
    found = encode_to("bytes", codec, IMAGE, (low + high) / 2)
    assert len(found.bitstream.data) == pytest.approx((low + high) / 2, rel=0.0101)
    assert found.codec.index is None


def test_qarv_meets_a_size():
    codec = Qarv(weights="random-tiny", threads=1)
    ends = [len(replace(codec, lambda_=v).encode(IMAGE).data) for v in (16.0, 2048.0)]
    target = (ends[0] + ends[1]) / 2
    found = encode_to("bytes", codec, IMAGE, target)
    assert len(found.bitstream.data) == pytest.approx(target, rel=0.0101)
    np.testing.assert_array_equal(
        found.codec.decode(found.bitstream.data), codec.decode(found.bitstream.data)
    )


@pytest.mark.parametrize(("name", "target"), [("psnr_rgb", 46), ("ms_ssim", 0.9999)])
@pytest.mark.parametrize("codec", [Jpeg, Webp])
@pytest.mark.parametrize("grey", [7, 77, 177])
def test_a_lossless_end_is_searched_from(name, target, codec, grey):
    """A flat image is coded without loss at some qualities, where PSNR is infinite."""
    flat = np.full((200, 200, 3), grey, np.uint8)
    with contextlib.suppress(EncoderError):
        assert encode_to(name, codec(), flat, target).n_encodes <= 10
