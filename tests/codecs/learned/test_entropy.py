"""Entropy coding: exact for every int32, as short as promised, and honest about corrupt bytes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from rdbench.errors import BitstreamError
from rdbench.stages import collect_entropy_parameters
from rdbench_codecs.learned.entropy import (
    BoundarySteps,
    CategoricalTables,
    GaussianTables,
    ScaleDecoder,
    ScaleEncoder,
    ScaleTables,
    SymbolDecoder,
    SymbolEncoder,
)

SCALES = np.exp(np.linspace(np.log(0.11), np.log(20), 64))
SCALES32 = SCALES.astype(np.float32)
MARGIN = 2e-5
GAUSSIAN = GaussianTables(SCALES)
CATEGORICAL = CategoricalTables(
    [np.array([0.5, 0.25, 0.125]), np.array([1.0]), np.array([0.2, 0.0, 0.7])], [-1, 40, 1000]
)
INT32 = st.one_of(
    st.integers(-3, 3), st.integers(-(2**31), 2**31 - 1), st.sampled_from([-(2**31), 2**31 - 1])
)


def encoded(tables, calls):
    encoder = SymbolEncoder(tables)
    for symbols, indexes in calls:
        encoder.put(symbols, indexes)
    return encoder.finish()


def normal_symbols(n, seed=0, low=0.11, high=20.0):
    rng = np.random.default_rng(seed)
    scales = np.exp(rng.uniform(np.log(low), np.log(high), n)).astype(np.float32)
    return np.rint(rng.normal(0, 1, n) * scales).astype(np.int32), scales


@given(
    calls=st.lists(
        st.lists(st.tuples(INT32, st.integers(0, 2)), max_size=40), min_size=1, max_size=4
    ),
)
def test_any_int32_comes_back_through_any_table(calls):
    arrays = [
        (np.array([s for s, _ in call], np.int32), np.array([i for _, i in call], np.uint8))
        for call in calls
    ]
    for tables in (CATEGORICAL, GAUSSIAN):
        decoder = SymbolDecoder(encoded(tables, arrays), tables)
        for symbols, indexes in arrays:
            found = decoder.get(indexes)
            assert found.dtype == np.int32
            np.testing.assert_array_equal(found, symbols)
        decoder.finish()


def test_index_is_the_first_scale_not_below():
    scales = np.random.default_rng(0).uniform(0.01, 25, 2000).astype(np.float32)
    scales[:64] = SCALES32 * np.float32(1 - 1e-5)
    expected = [
        next((i for i, entry in enumerate(SCALES32) if entry >= scale), 63) for scale in scales
    ]
    assert GAUSSIAN.indexes(GAUSSIAN.positions(scales)).tolist() == expected
    assert GAUSSIAN.indexes(GAUSSIAN.positions(scales)).dtype == np.uint8


@pytest.mark.parametrize(("low", "high"), [(0.05, 0.2), (0.11, 20), (5, 20)])
def test_coded_size_is_within_half_a_percent_of_the_ideal(low, high):
    symbols, scales = normal_symbols(100_000, low=low, high=high)
    ideal = -np.log2(norm.cdf((symbols + 0.5) / scales) - norm.cdf((symbols - 0.5) / scales)).sum()
    data = encoded(GAUSSIAN, [(symbols, GAUSSIAN.indexes(GAUSSIAN.positions(scales)))])
    assert len(data) <= 1.005 * ideal / 8 + 8
    assert len(data) >= 0.995 * ideal / 8


def test_scales_are_right_on_average_where_symbols_are_narrower_than_their_priors():
    _, scales = normal_symbols(100_000, low=0.5)
    symbols = np.zeros(len(scales), np.int32)
    ideal = -np.log2(norm.cdf(0.5 / scales) - norm.cdf(-0.5 / scales)).sum()
    data = encoded(GAUSSIAN, [(symbols, GAUSSIAN.indexes(GAUSSIAN.positions(scales)))])
    assert abs(8 * len(data) / ideal - 1) < 0.005


def test_bits_add_up_to_the_coded_size_with_escapes_too():
    symbols, scales = normal_symbols(20_000)
    symbols[::500] *= 1000
    indexes = GAUSSIAN.indexes(GAUSSIAN.positions(scales))
    bits = GAUSSIAN.bits(symbols, indexes)
    assert bits.shape == symbols.shape
    data = encoded(GAUSSIAN, [(symbols, indexes)])
    assert 0 <= 8 * len(data) - bits.sum() <= 40 + 0.0002 * bits.sum()


def test_an_empty_stream_takes_no_bytes():
    nothing = np.empty(0, np.int32), np.empty(0, np.uint8)
    data = encoded(GAUSSIAN, [nothing])
    assert data == b""
    decoder = SymbolDecoder(data, GAUSSIAN)
    assert decoder.get(nothing[1]).size == 0
    decoder.finish()


def test_many_small_calls_cost_what_one_call_costs():
    symbols, scales = normal_symbols(20_000)
    indexes = GAUSSIAN.indexes(GAUSSIAN.positions(scales))
    parts = [(symbols[i : i + 150], indexes[i : i + 150]) for i in range(0, 20_000, 150)]
    data = encoded(GAUSSIAN, parts)
    assert len(data) - len(encoded(GAUSSIAN, [(symbols, indexes)])) in range(-2, 3)
    decoder = SymbolDecoder(data, GAUSSIAN)
    for part, which in parts:
        np.testing.assert_array_equal(decoder.get(which), part)
    decoder.finish()


def test_golden_bytes():
    """Bytes of the format; a change breaks every file there is."""
    symbols = np.array([0, 1, -1, 5, -100000, 3, 0, 0], np.int32)
    indexes = np.array([0, 20, 20, 40, 10, 63, 63, 1], np.uint8)
    assert encoded(GAUSSIAN, [(symbols, indexes)]).hex() == GOLDEN


GOLDEN = "ed228e0cde108909e91dc829"


@given(data=st.binary(max_size=200), flip=st.integers(0, 10_000))
@settings(max_examples=300)
def test_corrupt_bytes_end_in_a_bitstream_error(data, flip):
    symbols, scales = normal_symbols(300)
    indexes = GAUSSIAN.indexes(GAUSSIAN.positions(scales))
    good = encoded(GAUSSIAN, [(symbols, indexes)])
    flipped = bytearray(good)
    flipped[flip % len(good)] ^= 1 + flip % 255
    for corrupt in (data, bytes(flipped), good[: flip % len(good)], good + data + b"\1"):
        with pytest.raises(BitstreamError):
            decode_all(corrupt, indexes)


def decode_all(data, indexes):
    decoder = SymbolDecoder(data, GAUSSIAN)
    decoder.get(indexes)
    decoder.finish()


def test_other_tables_than_the_encoders_are_noticed():
    symbols, scales = normal_symbols(300)
    indexes = GAUSSIAN.indexes(GAUSSIAN.positions(scales))
    data = encoded(GAUSSIAN, [(symbols, indexes)])
    indexes[150] += 1
    with pytest.raises(BitstreamError, match="CRC"):
        decode_all(data, indexes)


def test_bad_tables_and_indexes_are_refused():
    with pytest.raises(ValueError, match="increasing"):
        GaussianTables(np.array([1.0, 0.5]))
    with pytest.raises(ValueError, match="negative"):
        CategoricalTables([np.array([0.5, -0.1])], [0])
    with pytest.raises(ValueError, match="index 64"):
        SymbolEncoder(GAUSSIAN).put(np.zeros(1, np.int32), np.array([64]))
    with pytest.raises(ValueError, match="equal steps"):
        GaussianTables(np.array([1.0, 2.0, 3.0, 4.0]))
    with pytest.raises(ValueError, match="half a step"):
        GAUSSIAN.forbidden_steps(SCALES32, 1e-4)
    with pytest.raises(ValueError, match="one boundary"):
        ScaleTables([np.array([1.0])] * 4, [0] * 4, np.array([1.0, 2.0]))


# Scales of another machine.


def scaled(calls):
    encoder = ScaleEncoder("y", GAUSSIAN, MARGIN)
    for symbols, scales in calls:
        encoder.put(symbols, scales)
    return encoder.finish()


def drifted(scales, rng, drift):
    """Scales whose logarithms are off by up to ``drift``, often by all of it."""
    off = drift * rng.choice([-1.0, 1.0, 0.0], len(scales)) * (1 - 1e-2 * rng.random(len(scales)))
    return (scales.astype(np.float64) * np.exp(off)).astype(np.float32)


def near_boundaries(n, rng):
    """Scales of which most lie as near to a boundary as float32 allows."""
    scales = SCALES[rng.integers(0, 63, n)] * np.exp(rng.normal(0, 3 * MARGIN, n))
    return scales.astype(np.float32)


def test_scales_are_told_within_the_range_of_the_boundaries():
    """A network's error is absolute: at 1e-6, it is large but selects the same table."""
    scales = np.array([1e-6, 0.11, 1.0, 21.0, 1e3], np.float32)
    with collect_entropy_parameters() as found:
        data = scaled([(np.zeros(5, np.int32), scales)])
        ScaleDecoder("y", data, GAUSSIAN, 5).get_scaled(scales)
    for told in found["y"].scales:
        np.testing.assert_allclose(told, [0.11, 0.11, 1.0, 20.0, 20.0], rtol=1e-5)


@given(
    n=st.sampled_from([1, 2, 511, 512, 513, 5000, 20_000]),
    seed=st.integers(0, 2**32),
    adversarial=st.booleans(),
)
@settings(max_examples=60)
def test_a_decoder_with_other_scales_within_the_margin_reads_the_same(n, seed, adversarial):
    rng = np.random.default_rng(seed)
    symbols, scales = normal_symbols(n, seed, low=0.05, high=25)
    if adversarial:
        scales = near_boundaries(n, rng)
    cuts = np.sort(rng.integers(0, n + 1, 3))
    data = scaled(zip(np.split(symbols, cuts), np.split(scales, cuts), strict=True))
    decoder = ScaleDecoder("y", data, GAUSSIAN, n)
    found = [decoder.get_scaled(part) for part in np.split(drifted(scales, rng, MARGIN), cuts)]
    decoder.finish()
    np.testing.assert_array_equal(np.concatenate(found), symbols)


def test_without_moved_boundaries_the_same_drift_is_fatal():
    rng = np.random.default_rng(0)
    symbols, scales = normal_symbols(500_000)
    data = encoded(GAUSSIAN, [(symbols, GAUSSIAN.indexes(GAUSSIAN.positions(scales)))])
    decoder = SymbolDecoder(data, GAUSSIAN)
    decoder.get(GAUSSIAN.indexes(GAUSSIAN.positions(drifted(scales, rng, MARGIN))))
    with pytest.raises(BitstreamError, match="consistency"):
        decoder.finish()


@pytest.mark.parametrize(("low", "high"), [(0.05, 0.2), (0.11, 20), (5, 20)])
def test_moved_boundaries_cost_little(low, high):
    symbols, scales = normal_symbols(100_000, low=low, high=high)
    plain = len(encoded(GAUSSIAN, [(symbols, GAUSSIAN.indexes(GAUSSIAN.positions(scales)))]))
    assert len(scaled([(symbols, scales)])) < 1.001 * plain + 12


def test_scales_below_and_above_all_boundaries_move_nothing():
    symbols, scales = np.zeros(4000, np.int32), np.full(4000, 1e-3, np.float32)
    scales[::7], scales[::11], scales[5], scales[6] = 500, 0, -1, np.inf
    assert len(GAUSSIAN.forbidden_steps(GAUSSIAN.positions(scales), MARGIN)[0]) == 0
    data = scaled([(symbols, scales)])
    decoder = ScaleDecoder("y", data, GAUSSIAN, 4000)
    np.testing.assert_array_equal(decoder.get_scaled(scales), symbols)
    assert not decoder.steps.steps.any()
    decoder.finish()


@given(seed=st.integers(0, 2**32))
def test_forbidden_steps_are_those_that_bring_a_boundary_near(seed):
    """Against all boundaries at all numbers of steps, one by one."""
    rng = np.random.default_rng(seed)
    scales = np.concatenate([near_boundaries(20, rng), normal_symbols(20, seed, 0.05, 25)[1]])
    boundaries = np.log(GAUSSIAN.boundaries.astype(np.float64))[:, None]
    step = np.log(SCALES[1] / SCALES[0]) / 513
    moved = boundaries + np.arange(513) * step  # (boundary, steps)
    distance = np.abs(np.log(scales.astype(np.float64))[:, None, None] - moved).min(axis=1)
    where, steps, least = GAUSSIAN.forbidden_steps(GAUSSIAN.positions(scales), MARGIN)
    found = np.zeros(distance.shape, bool)
    found[where, steps] = True
    assert found[distance < MARGIN].all()
    inside = scales < SCALES[62]  # past the last boundary, one that does not exist is avoided too
    assert not found[inside][distance[inside] > MARGIN + 0.03 * step].any()
    assert (np.bincount(where, minlength=1) <= 1).all()
    assert (least <= distance[where, steps]).all()
    assert (least >= distance[where, steps] - 0.03 * step).all()


@given(n=st.sampled_from([600, 20_000]), seed=st.integers(0, 2**32), spare=st.floats(0, 2000))
@settings(max_examples=30)
def test_a_wider_margin_takes_no_more_than_is_spared(n, seed, spare):
    positions = GAUSSIAN.positions(normal_symbols(n, seed, 0.05, 25)[1])

    def margin_of(steps):
        """Of the boundaries that exist, in steps."""
        off = positions - steps.per_symbol(n)
        boundary = np.clip(np.rint(off / 513), 0, 62)
        return np.abs(off - 513 * boundary).min()

    least, most = (BoundarySteps.choose(GAUSSIAN, positions, MARGIN, bits) for bits in (0, 1e9))
    assert margin_of(least) >= MARGIN / GAUSSIAN.step
    assert margin_of(most) >= 0.45
    chosen = BoundarySteps.choose(GAUSSIAN, positions, MARGIN, spare)
    assert chosen.n_bits() <= max(spare, least.n_bits())
    assert margin_of(chosen) >= MARGIN / GAUSSIAN.step
    if spare >= most.n_bits():
        assert margin_of(chosen) >= 0.45


def test_golden_bytes_of_moved_boundaries():
    """Bytes of the format; a change breaks every file there is."""
    scales = np.full(1100, 1e-3, np.float32)
    step = np.log(SCALES[1] / SCALES[0]) / 513
    scales[:3] = SCALES[4] * np.exp(step * np.arange(3))  # rule out 0, 1 and 2 steps
    symbols = np.zeros(1100, np.int32)
    symbols[[0, 1, 1099]] = 2, -1, 70000
    assert scaled([(symbols, scales)]).hex() == GOLDEN_SCALED
    decoder = ScaleDecoder("y", bytes.fromhex(GOLDEN_SCALED), GAUSSIAN, 1100)
    assert decoder.steps.steps.tolist() == [3]
    np.testing.assert_array_equal(decoder.get_scaled(scales), symbols)
    decoder.finish()


GOLDEN_SCALED = "99273fbaffffff7118e36e563bf9da05"


@given(data=st.binary(max_size=60), flip=st.integers(0, 10_000))
@settings(max_examples=300)
def test_corrupt_steps_end_in_a_bitstream_error(data, flip):
    symbols, scales = normal_symbols(3000)
    good = scaled([(symbols, scales)])
    flipped = bytearray(good)
    flipped[-1 - flip % 8] ^= 1 + flip % 255  # the last bytes are decoded first
    for corrupt in (data, bytes(flipped), good[: flip % len(good)], good + data + b"\1"):
        with pytest.raises(BitstreamError):
            decode_all_scaled(corrupt, scales)


def decode_all_scaled(data, scales):
    decoder = ScaleDecoder("y", data, GAUSSIAN, len(scales))
    decoder.get_scaled(scales)
    decoder.finish()
