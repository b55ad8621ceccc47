"""Files that no encoder made, for decoders that have to refuse them."""

import resource
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

import numpy as np

from rdbench_codecs.learned import container


@contextmanager
def little_memory() -> Iterator[None]:
    """Hold the growth of this process's peak to 256 MiB; what is done once is done before."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - before < 2**18


def mutated(data: bytes, n_header: int, n: int, seed: int) -> Iterator[bytes]:
    """``n`` files that differ from ``data``, three of four behind its header alone."""
    rng = np.random.default_rng(seed)
    candidates = (
        _MUTATIONS[i % len(_MUTATIONS)](data, rng, n_header if i % 8 < 6 else 0)
        for i in range(2 * n)
    )
    yield from islice((candidate for candidate in candidates if candidate != data), n)


def forged(data: bytes, n_header: int, n: int, seed: int) -> Iterator[bytes]:
    """``n`` files whose header claims something else, with a right checksum."""
    rng = np.random.default_rng(seed)
    for _ in range(n):
        header = _changed_bytes(data[: n_header - 4], rng, start=6)
        yield header + zlib.crc32(header).to_bytes(4, "little") + data[n_header:]


def claims(
    data: bytes, codec: str, fingerprint: str, largest: tuple[int, int] = (2**12, 2**12)
) -> Iterator[bytes]:
    """The same latents under sizes that are not theirs, and one too few and too many of them."""
    header, latents = container.unpack_partial(data, codec, fingerprint)
    for height, width in ((64, 4096), (4096, 64), largest, (2**14, 2**14 + 1)):
        claim = container.Header(codec, height, width, header.parameter, fingerprint)
        yield container.pack(claim, latents)
    yield container.pack(header, latents[:-1])
    yield container.pack(header, [*latents, latents[0]])


def rates(data: bytes, codec: str, fingerprint: str, parameters: list[float]) -> Iterator[bytes]:
    """The same latents under rates that are not theirs."""
    header, latents = container.unpack_partial(data, codec, fingerprint)
    for parameter in parameters:
        claim = container.Header(codec, header.height, header.width, parameter, fingerprint)
        yield container.pack(claim, latents)


def _changed_bytes(data: bytes, rng: np.random.Generator, start: int) -> bytes:
    """Up to four bytes changed from ``start`` on."""
    changed = bytearray(data)
    for position in rng.integers(start, len(data), rng.integers(1, 5)):
        changed[position] ^= rng.integers(1, 256)
    return bytes(changed)


def _changed_bit(data: bytes, rng: np.random.Generator, start: int) -> bytes:
    changed = bytearray(data)
    changed[rng.integers(start, len(data))] ^= 1 << rng.integers(8)
    return bytes(changed)


def _cut(data: bytes, rng: np.random.Generator, start: int) -> bytes:
    return data[: rng.integers(len(data))]


def _moved(data: bytes, rng: np.random.Generator, start: int) -> bytes:
    """A piece doubled, dropped or replaced by noise."""
    a, b = sorted(rng.integers(start, len(data), 2))
    return data[:a] + rng.bytes(rng.integers(0, b - a + 2)) + data[b:]


_MUTATIONS = (_changed_bytes, _changed_bit, _cut, _moved)
