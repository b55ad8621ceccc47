"""Files that no encoder made: the decoders answer with a BitstreamError and with nothing else.

A thousand over all of them in the suite, any number with ``--fuzz-streams``.
"""

from collections import Counter

import numpy as np
import pytest
from mutations import claims, forged, little_memory, mutated, rates

from rdbench.errors import BitstreamError
from rdbench.plugins import codec_class
from rdbench_codecs.hyperprior.codec import HyperpriorCodec

NAMES = [
    "bmshj2018-factorized",
    "qvrf-bmshj2018-hyperprior",
    "qvrf-mbt2018-mean",
    "qvrf-mbt2018",
    "qvrf-cheng2020-anchor",
    "qvrf-cheng2020-attn",
    "cui2021-mbt2018",
    "song2021-bmshj2018-hyperprior",
]
IMAGE = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)


def highest_rate(name: str) -> HyperpriorCodec:
    codec = codec_class(name)(weights="random-tiny", threads=1).ladder()[-1]
    assert isinstance(codec, HyperpriorCodec)
    return codec


@pytest.mark.parametrize("name", NAMES)
def test_mutated_files(name: str, pytestconfig: pytest.Config) -> None:
    codec = highest_rate(name)
    stream = codec.encode(IMAGE)
    n_files = pytestconfig.getoption("--fuzz-streams") // len(NAMES)
    codec.decode(stream.data)
    for file in mutated(stream.data, stream.segments[0].n_bytes, n_files, seed=1):
        with little_memory(), pytest.raises(BitstreamError):
            codec.decode(file)


@pytest.mark.parametrize("name", NAMES)
def test_forged_headers(name: str) -> None:
    """A header with a right checksum may claim anything: an image or a BitstreamError."""
    codec = highest_rate(name)
    stream = codec.encode(IMAGE)
    outcomes: Counter[str] = Counter()
    for file in forged(stream.data, stream.segments[0].n_bytes, 200, seed=2):
        try:
            assert codec.decode(file).size
            outcomes["image"] += 1
        except BitstreamError:
            outcomes["error"] += 1
    assert outcomes["error"] > 150
    sha = codec.fingerprint()
    wrong_rates = rates(stream.data, "hyperprior", sha, [-1.0, float("inf"), float("nan")])
    for file in (*claims(stream.data, "hyperprior", sha), *wrong_rates):
        with little_memory(), pytest.raises(BitstreamError):
            codec.decode(file)
