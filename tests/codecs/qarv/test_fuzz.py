"""Files that no encoder made: the decoder answers with a BitstreamError and with nothing else.

A thousand in the suite, any number with ``--fuzz-streams``.
"""

import resource
import zlib
from collections.abc import Iterator

import numpy as np
import pytest

from rdbench.errors import BitstreamError
from rdbench_codecs import container
from rdbench_codecs.qarv import Qarv

CODEC = Qarv(lambda_=2048.0, weights="random-tiny", threads=1)
IMAGE = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    """Hold the growth of this process's peak to 256 MiB."""
    CODEC.decode(CODEC.encode(IMAGE).data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - before < 2**18


def changed_bytes(data: bytes, rng: np.random.Generator, start: int = 0) -> bytes:
    """Up to four bytes changed from ``start`` on."""
    changed = bytearray(data)
    for position in rng.integers(start, len(data), rng.integers(1, 5)):
        changed[position] ^= rng.integers(1, 256)
    return bytes(changed)


def changed_bit(data: bytes, rng: np.random.Generator, start: int) -> bytes:
    changed = bytearray(data)
    changed[rng.integers(start, len(data))] ^= 1 << rng.integers(8)
    return bytes(changed)


def cut(data: bytes, rng: np.random.Generator, start: int) -> bytes:
    return data[: rng.integers(len(data))]


def moved(data: bytes, rng: np.random.Generator, start: int) -> bytes:
    """A piece doubled, dropped or replaced by noise."""
    a, b = sorted(rng.integers(start, len(data), 2))
    return data[:a] + rng.bytes(rng.integers(0, b - a + 2)) + data[b:]


MUTATIONS = (changed_bytes, changed_bit, cut, moved)


def test_mutated_files(pytestconfig: pytest.Config) -> None:
    stream = CODEC.encode(IMAGE)
    n_header = stream.segments[0].n_bytes
    rng = np.random.default_rng(1)
    for i in range(pytestconfig.getoption("--fuzz-streams")):
        mutate = MUTATIONS[i % len(MUTATIONS)]
        mutated = mutate(stream.data, rng, n_header if i % 8 < 6 else 0)
        if mutated == stream.data:
            continue
        with pytest.raises(BitstreamError):
            CODEC.decode(mutated)


def test_forged_headers() -> None:
    """A header with a right checksum may claim anything: a picture or a BitstreamError."""
    data = CODEC.encode(IMAGE).data
    sha = CODEC.fingerprint().removeprefix("random-")
    segments = container.unpack(data, "qarv", sha)[1]
    rng = np.random.default_rng(2)
    n_header = len(data) - sum(map(len, segments))
    outcomes = {"picture": 0, "error": 0}
    for _ in range(300):
        forged = bytearray(changed_bytes(data[: n_header - 4], rng, start=6))
        forged += zlib.crc32(forged).to_bytes(4, "little")
        try:
            CODEC.decode(bytes(forged) + data[n_header:])
            outcomes["picture"] += 1
        except BitstreamError:
            outcomes["error"] += 1
    assert outcomes["error"] > 250
    for height, width in ((64, 4096), (4096, 64), (1, 1), (2**14, 2**14), (2**14, 2**14 + 1)):
        claim = container.Header("qarv", height, width, 2048.0, sha)
        with pytest.raises(BitstreamError):
            CODEC.decode(container.pack(claim, segments if height > 1 else segments[::-1]))
    for lambda_ in (0.0, -1.0, 1e-30, 3e38, 1.0, 1e6):
        with pytest.raises(BitstreamError):
            CODEC.decode(container.pack(container.Header("qarv", 64, 64, lambda_, sha), segments))
