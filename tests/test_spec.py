"""Specs and codecs: what is written is what is run, and what is wrong is named."""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdbench import spec
from rdbench.errors import DataError, UsageError
from rdbench.spec import get_codecs, identify, rate_of, spec_of
from rdbench.types import Bitstream, Codec


@dataclass(frozen=True)
class Toy(Codec):
    """A codec with every kind of setting."""

    name: ClassVar[str] = "toy"
    title: ClassVar[str] = "toy"
    rate_parameters: ClassVar[tuple[str, ...]] = ("lambda_", "index")
    ladder_values: ClassVar[tuple[float, ...]] = (1.0, 2.0)

    lambda_: float | None = 16.0
    index: int | None = None
    mode: Literal["fast", "best"] = "fast"
    level: Literal[420, 444] = 444
    exact: bool = False
    device: str = dataclasses.field(default="cpu", compare=False)

    def __post_init__(self):
        if self.lambda_ is not None and self.lambda_ <= 0:
            raise ValueError("lambda must be positive")

    def encode(self, image):
        return Bitstream(image.tobytes())

    def decode(self, data):
        raise NotImplementedError

    def fingerprint(self):
        return "0123456789abcdef"


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    find = spec.codec_class
    monkeypatch.setattr(spec, "codec_class", lambda n: Toy if n == "toy" else find(n))


@pytest.mark.parametrize("settings", [{"mode": "slow"}, {"level": "444"}])
def test_a_choice_is_checked_however_a_codec_is_made(settings):
    with pytest.raises(UsageError, match=r"codec 'toy': (mode|level)=.* is not one of"):
        Toy(**settings)
    with pytest.raises(UsageError, match="is not one of"):
        dataclasses.replace(Toy(), **settings)


def test_values_and_ladder():
    assert get_codecs("toy") == [Toy(lambda_=1.0), Toy(lambda_=2.0)]
    assert get_codecs("toy:lambda=16,512") == [Toy(lambda_=16.0), Toy(lambda_=512.0)]
    assert get_codecs("toy:mode=best,exact=yes") == [
        Toy(lambda_=1.0, mode="best", exact=True),
        Toy(lambda_=2.0, mode="best", exact=True),
    ]
    assert get_codecs("toy:index=3,lambda=4") == [Toy(lambda_=4.0, index=3)]
    assert get_codecs("toy:lambda=1,level=420,444") == [
        Toy(lambda_=1.0, level=420),
        Toy(lambda_=1.0, level=444),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("toi:lambda=1", "no codec named 'toi'"),
        ("jpg", "did you mean 'jpeg'"),
        ("toy:lamda=1", "did you mean 'lambda'"),  # codespell:ignore
        ("toy:zzz=1", "it has lambda, index, mode, level, exact, device"),
        ("toy:lambda=x", "lambda='x' is not a number"),
        ("toy:mode=slow", "one of fast, best"),
        ("toy:exact=perhaps", "true or false"),
        ("toy:lambda=-1", "lambda must be positive"),
        ("toy:lambda=1,lambda=2", "twice"),
        ("toy:5", "NAME:KEY=VALUE"),
        ("toy:lambda=", "NAME:KEY=VALUE"),
        ("", "no codec named"),
    ],
)
def test_wrong_specs_are_explained(text, says):
    with pytest.raises(UsageError, match=says.replace("(", r"\(")):
        get_codecs(text)


def test_a_suffix_alone_is_not_a_codec():
    with pytest.raises(UsageError, match=r"no codec named '\.toml'"):
        get_codecs(".toml")


def test_missing_description_file():
    with pytest.raises(DataError, match=r"no codec description at 'nowhere\.toml'"):
        get_codecs("nowhere.toml")


def test_spec_leaves_out_what_is_not_identity():
    assert spec_of(Toy(device="cuda")) == spec_of(Toy())
    assert spec_of(Toy(lambda_=5)) == spec_of(Toy(lambda_=5.0))
    assert identify(Toy(lambda_=5.0)).curve == identify(Toy(lambda_=6.0)).curve
    assert str(identify(Toy()).curve) == "toy:mode=fast,level=444,exact=False@0123456789ab"
    assert identify(Toy(mode="best")).curve != identify(Toy()).curve
    assert rate_of(Toy(lambda_=5.0)) == ("lambda", 5.0)
    assert rate_of(Toy(lambda_=None, index=2)) == ("index", 2.0)


@given(
    st.builds(
        Toy,
        lambda_=st.floats(1e-300, 1e300),
        index=st.none() | st.integers(0, 7),
        mode=st.sampled_from(["fast", "best"]),
        level=st.sampled_from([420, 444]),
        exact=st.booleans(),
    )
)
def test_a_spec_rebuilds_its_codec(codec):
    assert get_codecs(spec_of(codec)) == [codec]
