"""Decode damaged segments of the learned codecs: each must end in BitstreamError.

    python benchmarks/fuzz_streams.py [N]

Streams of 1 to 1,500 symbols with moved table boundaries (docs/format.md) are damaged in the bytes
that are decoded first, which hold the boundary steps, or anywhere; cut; extended; or replaced by
random bytes. Prints how many of N (100,000) were refused, and exits with 1 if a stream decodes to
other integers or ends in another error. The check has 24 bits: 1 stream in 17 million passes.
"""

import sys
from collections import Counter

import numpy as np

from rdbench.errors import BitstreamError
from rdbench_codecs.learned.entropy import ScaleDecoder, ScaleEncoder
from rdbench_codecs.qarv.model import MARGIN, TABLES

Stream = tuple[bytes, np.ndarray, np.ndarray]


def main(n: int) -> int:
    rng = np.random.default_rng(0)
    found: Counter[str] = Counter()
    streams = [stream(rng) for _ in range(100)]
    for _ in range(n):
        data, symbols, scales = streams[rng.integers(len(streams))]
        found[outcome(damaged(data, rng), data, symbols, scales)] += 1
    print(dict(found))
    return int(bool(found.keys() - {"refused", "not damaged"}))


def stream(rng: np.random.Generator) -> Stream:
    """Bytes, symbols and scales; many scales are close to a boundary."""
    n = int(rng.integers(1, 1500))
    near = TABLES.boundaries[rng.integers(0, 63, n)] * np.exp(rng.normal(0, 5 * MARGIN, n))
    scales = np.where(rng.random(n) < 0.5, near, rng.uniform(0.05, 20, n)).astype(np.float32)
    symbols = np.rint(rng.normal(0, scales)).astype(np.int32)
    encoder = ScaleEncoder("y", TABLES, MARGIN)
    encoder.put(symbols, scales)
    return encoder.finish(), symbols, scales


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    kind, at = rng.integers(5), int(rng.integers(len(data)))
    changed = bytearray(data)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data + rng.bytes(int(rng.integers(1, 9)))
    if kind == 2:
        return rng.bytes(int(rng.integers(0, 2 * len(data))))
    if kind == 3:
        at = len(data) - 1 - at % 8  # the last bytes are decoded first
    changed[at] ^= int(rng.integers(1, 256))
    return bytes(changed)


def outcome(data: bytes, good: bytes, symbols: np.ndarray, scales: np.ndarray) -> str:
    try:
        decoder = ScaleDecoder("y", data, TABLES, len(symbols))
        found = decoder.get_scaled(scales)
        decoder.finish()
    except BitstreamError:
        return "refused"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    if data == good:
        return "not damaged"
    return "other bytes, same integers" if np.array_equal(found, symbols) else "wrong integers"


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
