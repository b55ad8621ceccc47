"""Subsets of latents, bits per position, images in between."""

import numpy as np
import pytest

from rdbench.errors import UsageError
from rdbench_codecs.qarv import Qarv
from rdbench_codecs.qarv.explore import KINDS, from_kept, interpolate, subsets

CODEC = Qarv(lambda_=2048.0, weights="random-tiny", threads=1)
RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 255, (100, 70, 3), dtype=np.uint8)
OTHER = RNG.integers(100, 255, (100, 70, 3), dtype=np.uint8)


def test_subsets_of_the_latents():
    found = {(s.kind, s.latent): s for s in subsets(CODEC, IMAGE)}
    stream = CODEC.encode(IMAGE)
    assert list(found) == [(kind, i) for kind in KINDS for i in range(1, 10)]
    np.testing.assert_array_equal(found["first", 9].image, CODEC.decode(stream.data))
    for n, end in enumerate(np.cumsum([segment.n_bytes for segment in stream.segments])):
        if n > 0:
            cut = CODEC.decode_partial(stream.data[:end])
            np.testing.assert_array_equal(found["first", n].image, cut)
    for kind, i, kept in (("without", 3, [1, 2, 4, 5, 6, 7, 8, 9]), ("alone", 4, [4])):
        np.testing.assert_array_equal(
            found[kind, i].image, from_kept(CODEC, IMAGE, CODEC.latents(IMAGE), kept)
        )
        bits = sum(stream.segments[k].ideal_bits for k in kept)
        assert found[kind, i].ideal_bits == pytest.approx(bits)


def test_interpolation_starts_and_ends_at_the_images():
    images = interpolate(CODEC, IMAGE, OTHER, [0, 0.4, 0.5, 1])
    np.testing.assert_array_equal(
        images[0], from_kept(CODEC, IMAGE, CODEC.latents(IMAGE), range(1, 10))
    )
    np.testing.assert_array_equal(
        images[3], from_kept(CODEC, OTHER, CODEC.latents(OTHER), range(1, 10))
    )
    assert not np.array_equal(images[1], images[2])
    with pytest.raises(UsageError, match="different sizes"):
        interpolate(CODEC, IMAGE, OTHER[:50], [0.5])


def test_bit_maps_add_up_to_the_ideal_bits():
    maps = CODEC.bit_maps(IMAGE)
    ideal = {segment.name: segment.ideal_bits for segment in CODEC.encode(IMAGE).segments[1:]}
    assert list(maps) == list(ideal)
    assert maps["z1"].shape == (2, 2)
    assert maps["z9"].shape == (16, 16)
    for name, bits in maps.items():
        assert bits.sum(dtype=np.float64) == pytest.approx(ideal[name], rel=1e-5)
