"""Entropy coding: exact for every int32, as short as promised, and honest about corrupt bytes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from rdbench.errors import BitstreamError
from rdbench_codecs.learned.entropy import (
    CategoricalTables,
    GaussianTables,
    SymbolDecoder,
    SymbolEncoder,
)

SCALES = np.exp(np.linspace(np.log(0.11), np.log(20), 64))
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
    scales[:64] = GAUSSIAN.scales
    expected = [
        next((i for i, entry in enumerate(GAUSSIAN.scales) if entry >= scale), 63)
        for scale in scales
    ]
    assert GAUSSIAN.index(scales).tolist() == expected
    assert GAUSSIAN.index(scales).dtype == np.uint8


@pytest.mark.parametrize(("low", "high"), [(0.05, 0.2), (0.11, 20), (5, 20)])
def test_coded_size_is_within_half_a_percent_of_the_ideal(low, high):
    symbols, scales = normal_symbols(100_000, low=low, high=high)
    ideal = -np.log2(norm.cdf((symbols + 0.5) / scales) - norm.cdf((symbols - 0.5) / scales)).sum()
    data = encoded(GAUSSIAN, [(symbols, GAUSSIAN.index(scales))])
    assert len(data) <= 1.005 * ideal / 8 + 8
    assert len(data) >= 0.995 * ideal / 8


def test_scales_are_right_on_average_where_symbols_are_narrower_than_their_priors():
    _, scales = normal_symbols(100_000, low=0.5)
    symbols = np.zeros(len(scales), np.int32)
    ideal = -np.log2(norm.cdf(0.5 / scales) - norm.cdf(-0.5 / scales)).sum()
    data = encoded(GAUSSIAN, [(symbols, GAUSSIAN.index(scales))])
    assert abs(8 * len(data) / ideal - 1) < 0.005


def test_bits_add_up_to_the_coded_size_with_escapes_too():
    symbols, scales = normal_symbols(20_000)
    symbols[::500] *= 1000
    indexes = GAUSSIAN.index(scales)
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
    indexes = GAUSSIAN.index(scales)
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
    indexes = GAUSSIAN.index(scales)
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
    indexes = GAUSSIAN.index(scales)
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
