"""The checks for authors of codecs: every broken codec fails first the check that is about it."""

import dataclasses
import re
from typing import ClassVar

import numpy as np
import pytest
from program import rdbench_anew as program
from toy_codecs import FAULTS, InAFile, Steps

from rdbench.errors import BitstreamError, EncoderError, Unavailable, UsageError
from rdbench.testing import check_codec, run_checks
from rdbench.types import Bitstream, Codec, Weights

BROKEN: list[tuple[str, str, type[Codec]]] = []


def broken(check, says):
    """Register a codec that must fail a check, with this advice."""

    def add(cls):
        BROKEN.append((check, says, dataclasses.dataclass(frozen=True)(cls)))
        return cls

    return add


@broken("name and title", "use one word without spaces")
class Spaces(Steps):
    name: ClassVar[str] = "two words"


@broken("name and title", "write one line for people")
class NoTitle(Steps):
    title: ClassVar[str] = ""


@broken("registered under its name", "the name 'jpeg' is registered for Jpeg")
class Impostor(Steps):
    name: ClassVar[str] = "jpeg"


@broken("rate parameters", "rate parameter 'quality' is not a field")
class NoField(Steps):
    rate_parameters: ClassVar[tuple[str, ...]] = ("step", "quality")


@broken("ladder", "must rise or fall strictly")
class Shuffled(Steps):
    ladder_values: ClassVar[tuple[int, ...]] = (96, 16, 48)


@broken("rate rises along the ladder", "order ladder_values by rising rate")
class Backwards(Steps):
    ladder_values: ClassVar[tuple[int, ...]] = (16, 32, 64)


@broken("spec round trip", "annotate the fields with")
class TupleSetting(Steps):
    window: tuple = (3, 3)


@broken("impossible settings", "raise ValueError with the allowed range")
class Unchecked(Steps):
    def __post_init__(self):
        pass


@broken("versions and weights", "must map names to texts")
class NoVersion(Steps):
    def versions(self):
        return {"zlib": None}


@broken("versions and weights", "depends on nothing but the fields")
class Moody(Steps):
    def fingerprint(self):
        return str(np.random.default_rng().random())


@broken("versions and weights", "must return rdbench.Weights or None")
class OddWeights(Steps):
    def identify_weights(self):
        return "weights.npz"

    def fingerprint(self):
        return ""


@broken("round trip at every size", "came back with shape")
class Padded(Steps):
    def decode(self, data):
        pixels = super().decode(data)
        odd = pixels.shape[0] % 8 and pixels.shape != (33, 47, 3)
        return np.pad(pixels, ((0, 1), (0, 0), (0, 0))) if odd else pixels


@broken("round trip at every size", "decode must return uint8 or float32, not float64")
class Wide(Steps):
    def decode(self, data):
        return super().decode(data) / 255.0 * 255


@broken("round trip at every size", "must be in [0, 1]; clip them")
class Unclipped(Steps):
    def decode(self, data):
        return super().decode(data).astype(np.float32) / 200


@broken("round trip at every size", "an EncoderError without a message")
class Silent(Steps):
    def encode(self, image):
        if image.shape[0] == 1:
            raise EncoderError
        return super().encode(image)


@broken("the same image comes back", "check the order of axes and the range")
class Negative(Steps):
    def decode(self, data):
        return 255 - super().decode(data)


@broken("the same image comes back", "the codec is lossless, but samples changed")
class Promising(Steps):
    lossless: ClassVar[bool] = True


@broken("same image same bytes", "encode changed its image")
class Scribbler(Steps):
    def encode(self, image):
        if image.base is not None and image.shape == (33, 47, 3):
            image.setflags(write=True)
            image[0, 0] = 0
        return super().encode(image)


@broken("same image same bytes", "fix threads and seeds")
class Layout(Steps):
    def encode(self, image):
        bitstream = super().encode(image)
        return bitstream if image.flags.c_contiguous else Bitstream(bitstream.data + b" ")


@broken("broken bytes are refused", "decodes to an image")
class Trusting(Steps):
    def decode(self, data):
        try:
            return super().decode(data)
        except BitstreamError:
            return np.zeros((4, 4, 3), np.uint8)


@broken("broken bytes are refused", "raise rdbench.BitstreamError")
class Raw(Steps):
    def decode(self, data):
        if not data.startswith(b"step"):
            raise KeyError("mark")
        return super().decode(data)


@broken("broken bytes are refused", "the error must be one line")
class Wordless(Steps):
    def decode(self, data):
        try:
            return super().decode(data)
        except BitstreamError:
            raise BitstreamError("two\nlines") from None


def as_importable(monkeypatch, cls):
    """Make pickle find a class that a decorator replaced, or that a script defined."""
    import sys

    module = sys.modules.setdefault(cls.__module__, type(sys)(cls.__module__))
    monkeypatch.setattr(module, cls.__qualname__, cls, raising=False)


def test_the_codec_of_the_examples_passes(monkeypatch):
    as_importable(monkeypatch, Steps)
    results = check_codec(Steps())
    skipped = {r.check: r.reason for r in results if r.status == "skip"}
    assert skipped.keys() == {
        "registered under its name",
        "another process decodes the file",
        "segments sum to the file",
    }
    assert "another process cannot load the codec" in skipped["another process decodes the file"]
    assert all(skipped.values())
    assert len(results) == 17


@pytest.mark.parametrize(("checks", "says", "cls"), FAULTS, ids=[f[2].__name__ for f in FAULTS])
def test_a_codec_with_one_fault_fails_the_check_of_it(checks, says, cls, tmp_path):
    codec = cls(folder=str(tmp_path)) if cls is InAFile else cls()
    failed = {r.check: r.reason for r in run_checks(codec) if r.status == "fail"}
    assert tuple(failed) == checks, failed
    assert re.search(says, failed[checks[0]])


@pytest.mark.parametrize(("check", "says", "cls"), BROKEN, ids=[b[2].__name__ for b in BROKEN])
def test_a_broken_codec_fails_a_check_with_advice(check, says, cls, monkeypatch):
    as_importable(monkeypatch, cls)
    failed = {r.check: r.reason for r in run_checks(cls()) if r.status == "fail"}
    assert next(iter(failed), None) == check, failed
    assert says in failed[check]
    with pytest.raises(AssertionError, match=f"breaks the contract of codecs:\n  {check}: "):
        check_codec(cls())


def test_a_class_that_is_not_frozen_is_named():
    class Loose(Steps):
        def __eq__(self, other):
            return self is other

        __hash__ = object.__hash__

    failed = {r.check for r in run_checks(Loose()) if r.status == "fail"}
    assert {"frozen dataclass", "pickling"} <= failed


def test_random_weights_are_not_judged_by_quality(monkeypatch):
    @dataclasses.dataclass(frozen=True)
    class Random(Negative):
        def identify_weights(self):
            return Weights("random", "0" * 64)

    as_importable(monkeypatch, Negative)
    results = {r.check: r for r in run_checks(Random())}
    for check in ("the same image comes back", "rate rises along the ladder"):
        assert (results[check].status, results[check].reason) == ("skip", "random weights")


def test_what_cannot_run_or_is_unknown_is_not_checked():
    class Missing(Steps):
        def check(self):
            raise Unavailable("no program; install it")

    with pytest.raises(Unavailable, match="install it"):
        check_codec(Missing())
    with pytest.raises(UsageError, match="no codec named 'steeps'"):
        check_codec("steeps")


def test_the_command_prints_a_table_and_json():
    status, table, note = program("check", "null")
    assert status == 0
    assert re.search(r"rate rises along the ladder +skip +the codec has one operating point", table)
    assert "null: 16 passed, 1 skipped, 0 failed" in note
    status, rows, _ = program("check", "jpeg:quality=50", "--json")
    assert status == 0
    assert '"check": "pickling"' in rows
    assert program("check", "jpgg")[0] == 1
