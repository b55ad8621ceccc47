"""The contract of ``rdbench.types.Codec``, held over every codec that is registered.

A learned codec without weights is tested with tiny random ones. A codec that cannot run here (no
program) is skipped once, with its own reason.
"""

import dataclasses
import pickle
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from skimage import data as photos

from rdbench.errors import BitstreamError, EncoderError, Unavailable
from rdbench.registry import codec_class, codec_names, codecs_from_spec, spec_of
from rdbench.types import Codec, Image, Reconstruction
from rdbench_codecs.external.description import load

SIZES = [(1, 1), (1, 17), (17, 1), (7, 9), (33, 47), (64, 40)]
FEW_SIZES = [(1, 1), (33, 47)]
SLOW = {"vtm18", "qarv", "qarv-scalable", "mbt2018", "bmshj2018-hyperprior"}
"""Codecs that take long for the smallest image: fewer sizes, smaller images."""

TINY = "random-tiny"
"""Weights of the learned codecs that have none here."""

GOLDEN = Path(__file__).parents[1] / "golden"
NAMES = codec_names()


def runnable(cls: type[Codec]) -> Codec:
    """The middle of a codec's ladder, with random weights where it has none here."""
    ladder = cls().ladder()
    point = ladder[len(ladder) // 2]
    try:
        point.check()
    except Unavailable:
        if not hasattr(point, "weights"):
            raise
        point = dataclasses.replace(point, weights=TINY)  # type: ignore[type-var]
        point.check()
    return point


def is_trained(codec: Codec) -> bool:
    """False where random weights stand in, which make a codec that works but codes badly."""
    return getattr(codec, "weights", "") != TINY


HERE: dict[str, Codec] = {}
MISSING: dict[str, str] = {}
for name in NAMES:
    try:
        HERE[name] = runnable(codec_class(name))
    except Unavailable as error:
        MISSING[name] = str(error)
RUNNABLE = sorted(HERE)
TRAINED = [name for name in RUNNABLE if is_trained(HERE[name])]


@pytest.fixture(scope="module", params=[*RUNNABLE, "command.toml"])
def codec(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Codec:
    """Every codec that can run here."""
    if request.param in HERE:
        return HERE[request.param]
    return runnable(described(tmp_path_factory.mktemp("command") / request.param))


def described(file: Path) -> type[Codec]:
    """A codec of two commands."""
    program = f"{sys.executable} {Path(__file__).parent / 'external' / 'stand_in_codec.py'}"
    file.write_text(
        f"name = 'command'\nformat = 'png'\nladder.quality = [10, 50, 90]\n"
        f"encode = '{program} encode {{input}} {{output}} {{quality}}'\n"
        f"decode = '{program} decode {{input}} {{output}}'\n"
    )
    return load(file)


def sizes(codec: Codec) -> list[tuple[int, int]]:
    return FEW_SIZES if codec.name in SLOW else SIZES


def photo(height: int, width: int) -> Image:
    return photos.astronaut()[20 : 20 + height, 150 : 150 + width]  # type: ignore[no-any-return]


def psnr_db(image: Image, decoded: Reconstruction) -> float:
    levels = decoded * 255.0 if decoded.dtype == np.float32 else decoded.astype(float)
    return float(10 * np.log10(255**2 / max(np.mean((levels - image) ** 2), 1e-10)))


def fresh(codec: Codec) -> Codec:
    return dataclasses.replace(codec)  # type: ignore[type-var]


@pytest.mark.parametrize("name", NAMES)
def test_a_codec_has_the_name_that_it_is_registered_by(name: str) -> None:
    if name in MISSING:
        pytest.skip(MISSING[name])
    assert HERE[name].name == name


def test_class_attributes(codec: Codec) -> None:
    assert codec.name
    assert codec.title.strip() == codec.title != ""
    assert "\n" not in codec.title
    fields = {f.name: f for f in dataclasses.fields(codec)}  # type: ignore[arg-type]
    for parameter in codec.rate_parameters:
        assert fields[parameter].compare, "a rate parameter belongs to the identity"
    assert bool(codec.ladder_values) <= bool(codec.rate_parameters)
    steps = np.diff([float(v) for v in codec.ladder_values])
    assert np.all(steps > 0) or np.all(steps < 0)


def test_value_object(codec: Codec) -> None:
    again = fresh(codec)
    assert (again, hash(again), repr(again)) == (codec, hash(codec), repr(codec))
    assert eval(repr(codec), {type(codec).__name__: type(codec)}) == codec
    assert pickle.loads(pickle.dumps(codec)) == codec
    for field in dataclasses.fields(codec):  # type: ignore[arg-type]
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(codec, field.name, getattr(codec, field.name))


def test_points_of_the_ladder_differ(codec: Codec) -> None:
    ladder = codec.ladder()
    assert len(set(ladder)) == len(ladder)
    assert codec in ladder


@pytest.mark.parametrize("name", RUNNABLE)
def test_spec_rebuilds_the_codec(name: str) -> None:
    codec = HERE[name]
    for point in (codec, *codec.ladder()):
        assert codecs_from_spec(spec_of(point)) == [point]


def test_versions_and_fingerprint(codec: Codec) -> None:
    versions = codec.versions()
    assert isinstance(versions, Mapping)
    assert all(type(k) is str and type(v) is str and v for k, v in versions.items())
    assert type(codec.fingerprint()) is str
    assert codec.fingerprint() == fresh(codec).fingerprint()


def test_round_trip_at_every_size(codec: Codec) -> None:
    reasons: list[str] = []
    for height, width in sizes(codec):
        image = photo(height, width)
        try:
            bitstream = codec.encode(image)
        except EncoderError as error:
            reasons.append(str(error))
            continue
        decoded = fresh(codec).decode(bitstream.data)
        assert decoded.shape == image.shape
        assert decoded.dtype in (np.uint8, np.float32)
        if decoded.dtype == np.float32:
            assert 0 <= decoded.min() <= decoded.max() <= 1
        if bitstream.segments:
            assert sum(s.n_bytes for s in bitstream.segments) == len(bitstream.data)
        if is_trained(codec):
            # One pixel in a padding of zeros is little: better than black, and no more.
            least_db = 14 if image.size > 3 else psnr_db(image, np.zeros_like(image))
            quality_db = psnr_db(image, decoded)
            assert quality_db > least_db, f"{width}x{height}: another image came back"
    assert all(reasons), "an EncoderError must say why"


def test_same_input_same_bytes(codec: Codec) -> None:
    image = photo(33, 47)
    before = image.copy()
    before.flags.writeable = False
    first = codec.encode(before).data
    assert type(first) is bytes
    assert np.array_equal(before, image), "encode changed the image"
    assert fresh(codec).encode(image).data == first, "a view of a larger image, not contiguous"


@pytest.mark.parametrize("name", TRAINED)
def test_rate_rises_along_the_ladder(name: str) -> None:
    codec = HERE[name]
    ladder = codec.ladder()
    last = len(ladder) - 1
    picks, side = ({0, last // 2}, 64) if codec.name in SLOW else ({0, last // 2, last}, 256)
    image = photo(side, side)
    points = [ladder[i] for i in sorted(picks)]
    n_bytes = [len(p.encode(image).data) for p in points]
    assert n_bytes == sorted(set(n_bytes)), [repr(p) for p in points]


def test_bytes_that_are_no_bitstream(codec: Codec) -> None:
    data = codec.encode(photo(64, 40)).data
    noise = np.random.default_rng(1).bytes(len(data))
    cut = [data[: len(data) * n // 4] for n in (0, 1, 2, 3)]
    for wrong in [*cut, data[:1], noise, b"\0" * 64, b"garbage" * 40, data[::-1]]:
        with pytest.raises(BitstreamError) as caught:
            codec.decode(wrong)
        assert str(caught.value)
        assert "\n" not in str(caught.value)


def test_bitstreams_of_other_codecs(codec: Codec) -> None:
    own = {"command": "jpeg"}.get(codec.name, codec.name)
    paths = [p for p in GOLDEN.iterdir() if p.suffix != ".png" and p.stem.split("-")[0] != own]
    assert paths
    for path in paths:
        with pytest.raises(BitstreamError):
            codec.decode(path.read_bytes())
