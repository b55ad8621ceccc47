"""Parts of files, maps of rate, pictures in between."""

import numpy as np
import pytest

from rdbench.errors import UsageError
from rdbench_codecs.qarv import Qarv
from rdbench_codecs.qarv.explore import interpolate, keep, rate_maps, scalable_curve

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


def test_rate_maps_add_up_to_the_ideal_bits():
    image = IMAGE[:64, :64]
    maps = rate_maps(CODEC, image)
    assert maps.shape == (9, 64, 64)
    ideal = [segment.ideal_bits for segment in CODEC.encode(image).segments[1:]]
    np.testing.assert_allclose(maps.sum((1, 2), dtype=np.float64), ideal, rtol=1e-5)
    assert rate_maps(CODEC, IMAGE).shape == (9, 100, 70)
    latents = CODEC.latents(image)
    np.testing.assert_allclose(
        maps[8, 8:16, :8].sum(), latents[8].ideal_bits[:, 1, 0].sum(), rtol=1e-5
    )
