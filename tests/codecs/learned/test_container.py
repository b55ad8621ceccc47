"""The container: what goes in comes out, it is small, and nothing else is accepted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdbench.errors import BitstreamError
from rdbench_codecs.learned.container import MAX_PIXELS, Header, pack, unpack_partial

WEIGHTS = "0123456789abcdef" * 4
HEADER = Header("qarv", 512, 768, 64.0, WEIGHTS)
SEGMENTS = [b"first", b"", b"third one", b"4"]


@given(
    height=st.integers(1, 60000),
    width=st.integers(1, 4000),
    parameter=st.floats(width=32, allow_nan=False, allow_infinity=False),
    segments=st.lists(st.binary(max_size=300), max_size=12),
)
def test_round_trip(height, width, parameter, segments):
    data = pack(Header("qarv", height, width, parameter, WEIGHTS), segments)
    header, found = unpack_partial(data, "qarv", WEIGHTS)
    assert found == segments
    assert (header.height, header.width, header.parameter) == (height, width, parameter)
    assert data.endswith(b"".join(segments))


def test_the_header_of_nine_latents_takes_at_most_40_bytes():
    for length in (0, 1, 100, 30_000, 2**18 - 1):
        segments = [bytes(length)] + 8 * [b"1"]
        data = pack(Header("qarv", 16383, 16383, 2048.0, WEIGHTS), segments)
        assert len(data) - sum(map(len, segments)) <= 40


def test_golden_header():
    data = pack(Header("qarv", 300, 768, 64.0, WEIGHTS), [b"ab", b"c"])
    assert data.hex() == GOLDEN


GOLDEN = "a102ac02800600008042012345670206c53eceda616263"


def test_every_changed_bit_of_the_header_is_noticed():
    data = pack(HEADER, SEGMENTS)
    n_header = len(data) - sum(map(len, SEGMENTS))
    for bit in range(8 * n_header):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BitstreamError):
            unpack_partial(bytes(changed), "qarv", WEIGHTS)


def test_every_cut_is_noticed():
    data = pack(HEADER, SEGMENTS)
    n_header = len(data) - sum(map(len, SEGMENTS))
    for length in range(len(data)):
        try:
            _, segments = unpack_partial(data[:length], "qarv", WEIGHTS)
        except BitstreamError:
            assert length < n_header
        else:
            assert length >= n_header
            assert None in segments


def test_a_file_cut_after_a_segment_gives_the_segments_before():
    segments = [b"first", b"second", b"third"]
    data = pack(HEADER, segments)
    assert unpack_partial(data, "qarv", WEIGHTS)[1] == segments
    assert unpack_partial(data[:-5], "qarv", WEIGHTS)[1] == [b"first", b"second", None]
    assert unpack_partial(data[:-6], "qarv", WEIGHTS)[1] == [b"first", None, None]
    assert unpack_partial(data[:-16], "qarv", WEIGHTS)[1] == [None, None, None]


def test_foreign_files_say_what_they_are():
    data = pack(HEADER, SEGMENTS)
    with pytest.raises(BitstreamError, match="of codec qarv, not hyperprior"):
        unpack_partial(data, "hyperprior", WEIGHTS)
    with pytest.raises(BitstreamError, match=r"weights 01234567\.\.\., these are ffffffff"):
        unpack_partial(data, "qarv", "f" * 64)
    with pytest.raises(BitstreamError, match="starts with byte 0xff"):
        unpack_partial(b"\xff\xd8\xff\xe0", "qarv", WEIGHTS)
    with pytest.raises(BitstreamError, match="bytes follow"):
        unpack_partial(data + b"!", "qarv", WEIGHTS)
    with pytest.raises(BitstreamError, match="ends inside"):
        unpack_partial(b"", "qarv", WEIGHTS)


@pytest.mark.parametrize(
    ("height", "width", "parameter"),
    [
        (0, 5, 1.0),
        (5, 0, 1.0),
        (MAX_PIXELS, 2, 1.0),
        (2**34, 1, 1.0),
        (5, 5, np.nan),
        (5, 5, np.inf),
    ],
)
def test_impossible_images_are_refused(height, width, parameter):
    data = pack(Header("qarv", height, width, parameter, WEIGHTS), SEGMENTS)
    with pytest.raises(BitstreamError):
        unpack_partial(data, "qarv", WEIGHTS)


@given(data=st.binary(max_size=100))
def test_noise_is_refused(data):
    with pytest.raises(BitstreamError):
        unpack_partial(data, "qarv", WEIGHTS)


@pytest.mark.parametrize("size", [(1, 89_000_000), (16384, 16384), (2**28, 1)])
@pytest.mark.parametrize("name", ["bmshj2018-factorized", "mbt2018-mean"])
def test_a_header_that_claims_more_than_the_file_can_hold_is_refused(name, size):
    from rdbench.spec import get_codec

    codec = get_codec(f"{name}:weights=random-tiny")
    n_latents = 1 if name == "bmshj2018-factorized" else 2
    header = Header("hyperprior", *size, 1.0, codec.fingerprint())
    with pytest.raises(BitstreamError, match="too few for an image of the size"):
        codec.decode(pack(header, [b"12345678"] * n_latents))
