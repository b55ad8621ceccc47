"""Files that no encoder made: the decoder answers with a BitstreamError and with nothing else.

A thousand in the suite, any number with ``--fuzz-streams``.
"""

from collections import Counter

import numpy as np
import pytest
from mutations import claims, forged, little_memory, mutated, rates

from rdbench.errors import BitstreamError
from rdbench_codecs.qarv import Qarv

CODEC = Qarv(lambda_=2048.0, weights="random-tiny", threads=1)
IMAGE = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)


def test_mutated_files(pytestconfig: pytest.Config) -> None:
    stream = CODEC.encode(IMAGE)
    n_header = stream.segments[0].n_bytes
    CODEC.decode(stream.data)
    for file in mutated(stream.data, n_header, pytestconfig.getoption("--fuzz-streams"), seed=1):
        with little_memory(), pytest.raises(BitstreamError):
            CODEC.decode(file)


def test_forged_headers() -> None:
    """A header with a right checksum may claim anything: an image or a BitstreamError."""
    stream = CODEC.encode(IMAGE)
    outcomes: Counter[str] = Counter()
    for file in forged(stream.data, stream.segments[0].n_bytes, 300, seed=2):
        try:
            CODEC.decode(file)
            outcomes["image"] += 1
        except BitstreamError:
            outcomes["error"] += 1
    assert outcomes["error"] > 250
    sha = CODEC.fingerprint()
    wrong_rates = rates(stream.data, "qarv", sha, [0.0, -1.0, 1e-30, 3e38, 1.0, 1e6])
    for file in (*claims(stream.data, "qarv", sha, (2**14, 2**14)), *wrong_rates):
        with little_memory(), pytest.raises(BitstreamError):
            CODEC.decode(file)
