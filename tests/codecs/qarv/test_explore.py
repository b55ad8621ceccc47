"""Parts of files, bits per position, pictures in between."""

import numpy as np
import pytest

from rdbench.errors import UsageError
from rdbench_codecs.qarv import Qarv
from rdbench_codecs.qarv.explore import interpolate, keep, scalable_curve

CODEC = Qarv(lambda_=2048.0, weights="random-tiny", threads=1)
RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 255, (100, 70, 3), dtype=np.uint8)
OTHER = RNG.integers(100, 255, (100, 70, 3), dtype=np.uint8)


def test_scalable_curve_ends_with_the_whole_file():
    steps = scalable_curve(CODEC, IMAGE)
    stream = CODEC.encode(IMAGE)
    assert [step.n_latents for step in steps] == list(range(10))
    assert np.diff([step.n_bytes for step in steps]).min() > 0
    assert steps[-1].n_bytes == len(stream.data)
    np.testing.assert_array_equal(steps[-1].picture, CODEC.decode(stream.data))
    np.testing.assert_array_equal(steps[3].picture, keep(CODEC, IMAGE, range(1, 4)))
    np.testing.assert_array_equal(steps[0].picture, keep(CODEC, IMAGE, []))


def test_latents_that_do_not_exist_are_refused():
    with pytest.raises(UsageError, match="no latent z0; there are z1 to z9"):
        keep(CODEC, IMAGE, [0])


def test_interpolation_starts_and_ends_at_the_pictures():
    np.testing.assert_array_equal(
        interpolate(CODEC, IMAGE, OTHER, 0), keep(CODEC, IMAGE, range(1, 10))
    )
    np.testing.assert_array_equal(
        interpolate(CODEC, IMAGE, OTHER, 1), keep(CODEC, OTHER, range(1, 10))
    )
    middle = interpolate(CODEC, IMAGE, OTHER, 0.5)
    assert not np.array_equal(middle, interpolate(CODEC, IMAGE, OTHER, 0.4))
    with pytest.raises(UsageError, match="different sizes"):
        interpolate(CODEC, IMAGE, OTHER[:50], 0.5)


def test_bit_maps_add_up_to_the_ideal_bits():
    maps = CODEC.bit_maps(IMAGE)
    ideal = {segment.name: segment.ideal_bits for segment in CODEC.encode(IMAGE).segments[1:]}
    assert list(maps) == list(ideal)
    assert maps["z1"].shape == (2, 2)
    assert maps["z9"].shape == (16, 16)
    for name, bits in maps.items():
        assert bits.sum(dtype=np.float64) == pytest.approx(ideal[name], rel=1e-5)
