"""Every registered codec keeps the contract; learned ones with tiny random weights as well.

`rdbench.testing` holds the contract. A codec that is not available is skipped with its own reason.
"""

import sys
from pathlib import Path

import pytest

from rdbench.errors import BitstreamError, Unavailable
from rdbench.plugins import codec_class, codec_names
from rdbench.spec import get_codecs, settings_of
from rdbench.testing import check_codec
from rdbench.types import Codec

GOLDEN = Path(__file__).parents[1] / "golden"
NAMES = codec_names()
LEARNED = [name for name in NAMES if "weights" in settings_of(codec_class(name))]
RANDOM = [f"{name}:weights=random-tiny" for name in LEARNED]
"""Codecs with weights that need no file: they run everywhere."""

MAY_SKIP = {
    "segments sum to the file": "the codec reports no segments, which are optional",
    "rate rises along the ladder": "the codec has one operating point",
}


def has_weights(name: str) -> bool:
    """Whether a codec has weights here, so that its quality counts."""
    try:
        middle(name).check()
    except Unavailable:
        return name not in LEARNED
    return True


def middle(spec: str) -> Codec:
    """The operating point in the middle of the ladder."""
    points = get_codecs(spec)
    return points[len(points) // 2]


TRAINED = [name for name in NAMES if has_weights(name)]


@pytest.mark.parametrize("spec", [*TRAINED, *RANDOM, "command.toml"])
def test_a_codec_keeps_the_contract(spec: str, tmp_path: Path) -> None:
    try:
        results = check_codec(described(tmp_path / spec) if spec.endswith(".toml") else spec)
    except Unavailable as error:
        pytest.skip(str(error))
    if spec in TRAINED:
        skipped = {r.check: r.reason for r in results if r.status == "skip"}
        assert skipped.items() <= MAY_SKIP.items()


@pytest.mark.parametrize("spec", [*(n for n in TRAINED if n not in LEARNED), *RANDOM])
def test_bitstreams_of_other_codecs_are_refused(spec: str) -> None:
    codec = middle(spec)
    try:
        codec.check()
    except Unavailable as error:
        pytest.skip(str(error))
    paths = [p for p in GOLDEN.iterdir() if p.suffix != ".png"]
    own = {p.suffix for p in paths if p.stem == codec.name or p.stem.startswith(f"{codec.name}-")}
    others = [p for p in paths if p.suffix not in own]  # codecs of one format read each other's
    assert others
    for path in others:
        with pytest.raises(BitstreamError):
            codec.decode(path.read_bytes())


def described(file: Path) -> str:
    """The path of a description of two commands."""
    program = f"{sys.executable} {Path(__file__).parent / 'external' / 'stand_in_codec.py'}"
    file.write_text(
        f"name = 'command'\nformat = 'png'\nladder.quality = [10, 50, 90]\n"
        f"encode = '{program} encode {{input}} {{output}} {{quality}}'\n"
        f"decode = '{program} decode {{input}} {{output}}'\n"
    )
    return str(file)
