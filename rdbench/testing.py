"""The contract of codecs as checks that any package can run on its own codec.

    from rdbench.testing import check_codec

    def test_my_codec() -> None:
        check_codec("my-codec")          # or an operating point: check_codec(MyCodec(step=8))

``rdbench check my-codec`` prints the same checks as a table. They need no test framework. One check
decodes in a process of its own, so a script that calls them needs ``if __name__ == "__main__":``.
"""

import dataclasses
import itertools
import os
import pickle
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from rdbench.errors import BitstreamError, EncoderError, RdbenchError, UsageError
from rdbench.plugins import codec_class, codec_names
from rdbench.spec import get_codec, get_codecs, spec_of
from rdbench.types import Bitstream, Codec, Image, Reconstruction, Weights
from rdbench.workers import do, unpickled

Status = Literal["pass", "fail", "skip"]

SIZES = ((1, 1), (1, 17), (17, 1), (7, 9), (33, 47), (64, 40))
"""Heights and widths that are encoded; codecs must pad what they cannot code."""

_FEW_SIZES = ((1, 1), (33, 47))
_SLOW_S = 0.5
_LEAST_DB = 14.0
"""PSNR that any trained codec reaches on the test image at the middle of its ladder."""
_SAME_DB = 40.0
"""PSNR between decodings of one file that differ by nothing but the rounding of other threads."""
_OTHER_ORDER_DB = 1.0
"""By how much another order of the channels fits better where they were exchanged."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check of the contract found; ``reason`` says why it did not pass."""

    check: str
    status: Status
    reason: str = ""


class _Skip(Exception):
    """A check does not apply; the text says why."""


def check_codec(codec: Codec | str) -> list[CheckResult]:
    """Check a codec against the contract of `rdbench.Codec`.

    Args:
        codec: an operating point, or a spec such as ``"my-codec:quality=50"``; without a rate
            parameter the middle of the default ladder is checked.

    Returns:
        One result per check, none of which failed.

    Raises:
        AssertionError: checks failed; one line for each says what happened and how to fix it.
        UsageError: no such codec or setting.
        Unavailable: the codec cannot run on this machine.
    """
    results = list(run_checks(codec))
    failed = [f"{r.check}: {r.reason}" for r in results if r.status == "fail"]
    if failed:
        name = codec if isinstance(codec, str) else spec_of(codec)
        raise AssertionError("\n  ".join([f"{name} breaks the contract of codecs:", *failed]))
    return results


def run_checks(codec: Codec | str) -> Iterator[CheckResult]:
    """Run the checks of `check_codec` one by one and yield each result, failed ones too.

    Raises:
        UsageError: no such codec or setting.
        Unavailable: the codec cannot run on this machine.
    """
    if isinstance(codec, str):
        points = get_codecs(codec)
        codec = points[len(points) // 2]
    codec.check()
    subject = _Subject(codec)
    for check in _CHECKS:
        yield _run(check, subject)


def _run(check: "Callable[[_Subject], None]", subject: "_Subject") -> CheckResult:
    name = check.__name__.lstrip("_").replace("_", " ")
    try:
        check(subject)
    except _Skip as skip:
        return CheckResult(name, "skip", str(skip))
    except AssertionError as failure:
        return CheckResult(name, "fail", str(failure))
    except Exception as error:  # a codec may raise anything: that is what is tested
        reason = f"{type(error).__name__}: {error}"
        return CheckResult(name, "fail", f"an error that the codec should not raise ({reason})")
    return CheckResult(name, "pass")


def _require(condition: bool, failure: str) -> None:
    if not condition:
        raise AssertionError(failure)


class _Subject:
    """The codec under test, and what several checks need of it."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec

    @property
    def fresh(self) -> Codec:
        """An equal codec without the state that the first may keep."""
        return dataclasses.replace(self.codec)  # type: ignore[type-var]

    @cached_property
    def bitstream(self) -> Bitstream:
        """A bitstream of an image of odd sides."""
        return self.codec.encode(_image(33, 47))

    @cached_property
    def is_slow(self) -> bool:
        """Whether the smallest images take long, so that fewer are tried."""
        self.codec.decode(self.bitstream.data)
        started = time.perf_counter()
        self.codec.decode(self.codec.encode(_image(33, 47)).data)
        return time.perf_counter() - started > _SLOW_S

    @property
    def is_trained(self) -> bool:
        """False for random weights: such a codec works, but codes badly."""
        weights = self.codec.identify_weights()
        return weights is None or weights.kind != "random"


def _image(height: int, width: int) -> Image:
    """A deterministic image with slopes, waves, an edge, strong colours and some noise."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / 9), np.cos(y / 7), np.sin((x + y) / 11)]
    pixels = np.stack([128 + 60 * wave for wave in waves], axis=-1)
    pixels[(x // 24 + y // 20) % 3 == 1] += (40, -50, 30)
    pixels += np.random.default_rng(0).normal(0, 6, pixels.shape)
    return pixels.round().clip(0, 255).astype(np.uint8)


def _levels(image: Reconstruction) -> npt.NDArray[np.float64]:
    """Samples from 0 to 255."""
    return image.astype(np.float64) * (255.0 if image.dtype == np.float32 else 1.0)


def _psnr_db(image: Reconstruction, decoded: Reconstruction) -> float:
    error = np.mean((_levels(decoded) - _levels(image)) ** 2)
    return float(10 * np.log10(255**2 / max(float(error), 1e-10)))


def _are_alike(one: Reconstruction, other: Reconstruction) -> bool:
    """Whether two images differ by less than half a level of 255 everywhere."""
    if one.shape != other.shape:
        return False
    return bool(np.abs(_levels(one) - _levels(other)).max() <= 0.5)


class _Task(NamedTuple):
    """What another process is to decode.

    Attributes:
        folder: working folder, for paths among the codec's settings.
        encode_ns: when encode started and ended, by the clock of file systems.
    """

    codec: Codec
    data: bytes
    folder: str
    encode_ns: tuple[int, int]


def _decode_alone(task: _Task) -> Reconstruction | str:
    """Decode in this process, which has encoded no image; the image, or what went wrong."""
    os.chdir(task.folder)
    opened = _watch_files()
    opened.clear()
    try:
        found: Reconstruction | str = task.codec.decode(task.data)
    except BaseException as error:  # SystemExit, too, is an error of the codec
        found = f"decode fails in another process ({type(error).__name__}: {error})"
    for path in tuple(opened):
        with suppress(OSError, ValueError):
            if task.encode_ns[0] <= Path(path).stat().st_mtime_ns <= task.encode_ns[1]:
                return f"decode reads {path}, which encode wrote"
    return found


@cache
def _watch_files() -> list[str]:
    """A list to which this process adds every file that Python code opens, from now on."""
    opened: list[str] = []

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str):
            opened.append(arguments[0])

    sys.addaudithook(note)
    return opened


@cache
def _decoding_process() -> ProcessPoolExecutor:
    """The process that decodes for this one, until this one ends; it encodes nothing."""
    ignore_ctrl_c = (signal.SIGINT, signal.SIG_IGN)
    return ProcessPoolExecutor(1, get_context("spawn"), signal.signal, ignore_ctrl_c)


def _in_decoding_process(function: Callable[[Any], Any], task: Any) -> Any:
    """The result, or the error where the task cannot be unpickled or the process died."""
    try:
        return unpickled(_decoding_process().submit(do, pickle.dumps((function, task))).result())
    except BrokenExecutor as error:
        _decoding_process.cache_clear()
        return error
    except Exception as error:  # pickling raises what the codec's class raises
        return error


def _file_time_ns() -> int:
    """Now, by the clock that file systems use, which is coarser than that of `time`."""
    with tempfile.NamedTemporaryFile() as file:
        return os.fstat(file.fileno()).st_mtime_ns


def _name_and_title(subject: _Subject) -> None:
    codec = subject.codec
    named = bool(codec.name) and not set(codec.name) & set(" \t\n:,=")
    _require(named, f"name is {codec.name!r}: use one word without spaces, ':', ',' and '='")
    one_line = bool(codec.title) and codec.title == " ".join(codec.title.split())
    _require(one_line, f"title is {codec.title!r}: write one line for people")


def _registered_under_its_name(subject: _Subject) -> None:
    name = subject.codec.name
    if name not in codec_names():
        raise _Skip("not registered; add it to the entry points 'rdbench.codecs' of its package")
    cls = codec_class(name)
    failure = f"the name {name!r} is registered for {cls.__qualname__}: give each class its name"
    _require(cls is type(subject.codec), failure)


def _frozen_dataclass(subject: _Subject) -> None:
    codec = subject.codec
    frozen = dataclasses.is_dataclass(codec) and type(codec).__dataclass_params__.frozen
    _require(frozen, f"decorate {type(codec).__name__} with @dataclass(frozen=True)")
    same = subject.fresh == codec and hash(subject.fresh) == hash(codec)
    _require(same, "a copy is not equal: leave __eq__ and __hash__ to the dataclass")


def _pickling(subject: _Subject) -> None:
    failure = "it comes back changed from a worker process: keep what is loaded out of the fields"
    _require(pickle.loads(pickle.dumps(subject.codec)) == subject.codec, failure)


def _rate_parameters(subject: _Subject) -> None:
    codec = subject.codec
    fields = {f.name: f for f in dataclasses.fields(codec)}  # type: ignore[arg-type]
    for name in codec.rate_parameters:
        what = f"rate parameter {name!r}"
        _require(name in fields, f"{what} is not a field of the dataclass")
        _require(fields[name].compare, f"{what} has compare=False, but belongs to the identity")
    named = bool(codec.rate_parameters) or not codec.ladder_values
    _require(named, "ladder_values without rate_parameters: name the field that they are for")


def _ladder(subject: _Subject) -> None:
    steps = np.diff([float(value) for value in subject.codec.ladder_values])
    is_strict = bool(np.all(steps > 0) or np.all(steps < 0))
    _require(is_strict, "ladder_values must rise or fall strictly, lowest rate first")
    ladder = subject.codec.ladder()
    _require(len(set(ladder)) == len(ladder) > 0, "two points of ladder() are equal")


def _spec_round_trip(subject: _Subject) -> None:
    for point in (subject.codec, *subject.codec.ladder()):
        text = spec_of(point)
        try:
            again: object = get_codec(text, type(point))
        except UsageError as error:
            again = error
        _require(
            again == point,
            f"the spec {text!r} makes {again!r}: annotate the fields with int, float, bool, str or "
            "Literal, and let None replace an empty text",
        )


def _impossible_settings(subject: _Subject) -> None:
    """Numbers that no codec can use are refused in words, never with an error of a library."""
    cls = type(subject.codec)
    for parameter in cls.rate_parameters:
        for value in ("-1000000", "nan"):
            setting = f"{parameter.rstrip('_')}={value}"
            try:
                get_codec(f"{cls.name}:{setting}", cls).encode(_image(33, 47))
            except RdbenchError:
                continue
            except Exception as error:
                raise AssertionError(
                    f"{setting} ends in {type(error).__name__}: {error}; raise ValueError with the "
                    "allowed range in __post_init__"
                ) from None


def _versions_and_weights(subject: _Subject) -> None:
    versions = subject.codec.versions()
    texts = isinstance(versions, Mapping) and all(
        type(key) is str and type(value) is str and value for key, value in versions.items()
    )
    _require(texts, f"versions() must map names to texts, not {versions!r}")
    weights = subject.codec.identify_weights()
    failure = f"identify_weights() must return rdbench.Weights or None, not {weights!r}"
    _require(weights is None or isinstance(weights, Weights), failure)
    fingerprint = subject.codec.fingerprint()
    _require(
        type(fingerprint) is str and fingerprint == subject.fresh.fingerprint(),
        "fingerprint() must be a text that depends on nothing but the fields and the weights",
    )


def _another_process_decodes_the_file(subject: _Subject) -> None:
    """Nothing but the bytes leads from the encoder to the decoder."""
    fix = "decode sees nothing but its bytes: put what it needs into Bitstream.data"
    subject.codec.decode(subject.bitstream.data)  # compiles, and writes caches, where any do
    started_ns = _file_time_ns()
    data = subject.codec.encode(_image(33, 47)[::-1].copy()).data
    # Not the codec itself: what encode left in the object would be pickled with it.
    task = _Task(subject.fresh, data, str(Path.cwd()), (started_ns, _file_time_ns()))
    expected = subject.codec.decode(data)
    found = _in_decoding_process(_decode_alone, task)
    if isinstance(found, BrokenExecutor):
        raise AssertionError(
            "the process that decodes died: find out why decode ends it (in a script of your own, "
            "call the checks under `if __name__ == '__main__':`)"
        )
    if isinstance(found, Exception):
        _require(_are_alike(subject.fresh.decode(data), expected), f"a copy does not decode; {fix}")
        raise _Skip(
            f"another process cannot load the codec ({found}); so --jobs does not work with it: "
            "define its class in a module"
        )
    _require(not isinstance(found, str), f"{found}; {fix}")
    same = found.shape == expected.shape and _psnr_db(found, expected) > _SAME_DB
    _require(same, f"another process decodes another image; {fix}")


def _round_trip_at_every_size(subject: _Subject) -> None:
    for height, width in _FEW_SIZES if subject.is_slow else SIZES:
        size, image = f"{width}x{height} pixels", _image(height, width)
        try:
            bitstream = subject.codec.encode(image)
        except EncoderError as error:  # the codec says that it cannot encode that size
            _require(bool(str(error)), "an EncoderError without a message: say why")
            continue
        decoded = subject.codec.decode(bitstream.data)
        shape, kind = decoded.shape, decoded.dtype
        _require(type(bitstream.data) is bytes, f"{size}: Bitstream.data must be bytes")
        failure = f"{size} came back with shape {shape}: store the size in the bitstream"
        _require(shape == image.shape, failure)
        is_known = kind in (np.uint8, np.float32)
        _require(is_known, f"{size}: decode must return uint8 or float32, not {kind}")
        is_clipped = kind == np.uint8 or bool(decoded.min() >= 0 and decoded.max() <= 1)
        _require(is_clipped, f"{size}: float32 values must be in [0, 1]; clip them")


def _the_same_image_comes_back(subject: _Subject) -> None:
    if not subject.is_trained:
        raise _Skip("random weights")
    image, decoded = _image(33, 47), subject.codec.decode(subject.bitstream.data)
    if decoded.shape != image.shape:
        raise _Skip("an image of another size comes back")
    order = _best_order_of_channels(image, decoded)
    _require(
        order == "RGB",
        f"the channels come back as {order}: images are RGB; libraries such as OpenCV want BGR, so "
        "convert with image[..., ::-1] before encoding and after decoding",
    )
    _require(
        not subject.codec.lossless or bool(np.array_equal(image, decoded)),
        "the codec is lossless, but samples changed: correct it, or leave `lossless` False",
    )
    quality_db = _psnr_db(image, decoded)
    _require(
        quality_db > _LEAST_DB,
        f"another image comes back ({quality_db:.1f} dB): check the order of axes and the range of "
        "values",
    )


def _best_order_of_channels(image: Image, decoded: Reconstruction) -> str:
    """Names of the channels in the order in which ``decoded`` fits best; RGB unless it is clear."""
    order = "RGB"
    best_db = max(_LEAST_DB, _psnr_db(image, decoded) + _OTHER_ORDER_DB)
    for axes in itertools.permutations(range(3)):
        if (quality_db := _psnr_db(image[..., axes], decoded)) > best_db:
            order, best_db = "".join("RGB"[axis] for axis in axes), quality_db
    return order


def _segments_sum_to_the_file(subject: _Subject) -> None:
    bitstream = subject.bitstream
    if not bitstream.segments:
        raise _Skip("the codec reports no segments, which are optional")
    total = sum(segment.n_bytes for segment in bitstream.segments)
    _require(
        total == bitstream.n_bytes,
        f"segments hold {total} bytes and the file {bitstream.n_bytes}: count every byte once",
    )


def _same_image_same_bytes(subject: _Subject) -> None:
    large = _image(40, 60)[::-1]
    view = large[3:36, 5:52]  # neither contiguous nor writable, and upside down, as callers have it
    view.flags.writeable = False
    before = view.copy()
    subject.codec.encode(before)  # what a codec keeps from the image before has its own check
    first = subject.codec.encode(view).data
    _require(bool(np.array_equal(before, view)), "encode changed its image; work on a copy")
    _require(
        subject.fresh.encode(before).data == first,
        "the same image gives other bytes the second time, or from a view of a larger array: "
        "fix threads and seeds, and do not depend on the memory layout",
    )


def _the_order_of_images_does_not_matter(subject: _Subject) -> None:
    fix = "keep nothing between images: no module variable, class attribute or file"
    codec, image, other = subject.codec, _image(33, 47), 255 - _image(33, 47)[:, ::-1]
    data = codec.encode(image).data
    decoded = codec.decode(data)
    other_data = codec.encode(other).data
    failure = f"decode gives another image after another image was encoded; {fix}"
    _require(_are_alike(codec.decode(data), decoded), failure)
    codec.decode(other_data)
    failure = f"decode gives another image after another file was decoded; {fix}"
    _require(_are_alike(codec.decode(data), decoded), failure)
    codec.encode(other)
    failure = f"encode gives other bytes after another image was encoded; {fix}"
    _require(codec.encode(image).data == data, failure)


def _rate_rises_along_the_ladder(subject: _Subject) -> None:
    ladder = subject.codec.ladder()
    if len(ladder) == 1:
        raise _Skip("the codec has one operating point")
    if not subject.is_trained:
        raise _Skip("random weights")
    last = len(ladder) - 1
    picks, side = ({0, last // 2}, 64) if subject.is_slow else ({0, last // 2, last}, 256)
    points = [ladder[i] for i in sorted(picks)]
    n_bytes = [point.encode(_image(side, side)).n_bytes for point in points]
    _require(
        n_bytes == sorted(set(n_bytes)),
        f"{n_bytes} bytes at {', '.join(map(spec_of, points))}: order ladder_values by rising rate",
    )


def _broken_bytes_are_refused(subject: _Subject) -> None:
    data = subject.bitstream.data
    n_bytes = len(data)
    noise = np.random.default_rng(1).bytes(n_bytes)
    cuts = sorted({0, 1, n_bytes // 4, n_bytes // 2, 3 * n_bytes // 4})
    wrong = {f"the first {n} of {n_bytes} bytes": data[:n] for n in cuts}
    wrong |= {"noise": noise, "zeros": bytes(64), "text": b"garbage" * 40, "reversed": data[::-1]}
    for what, bad in wrong.items():
        _require_refusal(subject.codec, what, bad)


def _require_refusal(codec: Codec, what: str, data: bytes) -> None:
    how = "check lengths and a marker in decode, and raise rdbench.BitstreamError"
    try:
        codec.decode(data)
    except BitstreamError as error:
        one_line = bool(str(error)) and "\n" not in str(error)
        _require(one_line, f"{what}: the error must be one line, not {str(error)!r}")
    except Exception as error:
        raise AssertionError(f"{what} ends in {type(error).__name__}: {error}; {how}") from None
    else:
        raise AssertionError(f"{what} decodes to an image; {how}")


_CHECKS: tuple[Callable[[_Subject], None], ...] = (
    _name_and_title,
    _registered_under_its_name,
    _frozen_dataclass,
    _pickling,
    _rate_parameters,
    _ladder,
    _spec_round_trip,
    _impossible_settings,
    _versions_and_weights,
    _another_process_decodes_the_file,
    _round_trip_at_every_size,
    _the_same_image_comes_back,
    _segments_sum_to_the_file,
    _same_image_same_bytes,
    _the_order_of_images_does_not_matter,
    _rate_rises_along_the_ladder,
    _broken_bytes_are_refused,
)
