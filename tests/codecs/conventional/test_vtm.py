"""The driving of VTM's programs, with a stand-in; and the programs themselves where they are."""

import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sample import photograph

from rdbench.errors import BitstreamError, EncoderError, Unavailable, UsageError
from rdbench_codecs.conventional import vtm
from rdbench_codecs.conventional.colour import colour_ceiling, from_yuv444, to_yuv444
from rdbench_codecs.conventional.vtm import Vtm18

STAND_IN = Path(__file__).with_name("stand_in_vtm.py")


@pytest.fixture(autouse=True)
def _temporary_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One of the test's own, to see what is left in it."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))


class Programs:
    """A folder with the stand-ins."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.behave()
        (folder / vtm.CONFIG).write_text("QP : 32\n")
        for role in ("encoder", "decoder"):
            program = folder / f"{role.title()}AppStatic"
            program.write_text(
                f'#!/bin/sh\nexec {sys.executable} -I -S "{STAND_IN}" "{folder}" {role} "$@"\n'
            )
            program.chmod(0o755)

    def behave(self, **modes: str) -> None:
        (self.folder / "mode.json").write_text(json.dumps(modes))

    def arguments(self, role: str) -> list[str]:
        seen: list[str] = json.loads((self.folder / f"{role}.json").read_text())
        return seen


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    folder = tmp_path / "bin"
    folder.mkdir()
    return Programs(folder)


@pytest.fixture
def codec(programs: Programs) -> Vtm18:
    return Vtm18(qp=47, programs=str(programs.folder))


def make_image(height: int, width: int) -> np.ndarray:
    return np.ascontiguousarray(photograph("astronaut")[:height, :width])


def leftovers() -> list[Path]:
    return list(Path(tempfile.gettempdir()).iterdir())


def test_round_trip_is_the_colour_conversion_alone(codec: Vtm18) -> None:
    image = make_image(24, 40)
    bitstream = codec.encode(image)
    decoded = Vtm18(qp=47, programs=codec.programs).decode(bitstream.data)
    assert np.array_equal(decoded, from_yuv444(to_yuv444(image)))
    assert leftovers() == []


def test_command_lines_are_the_published_recipe(codec: Vtm18, programs: Programs) -> None:
    codec.decode(codec.encode(make_image(24, 40)).data)
    assert programs.arguments("encoder") == [
        "-c",
        str(programs.folder / "encoder_intra_vtm.cfg"),
        "--InputFile=input.yuv",
        "--BitstreamFile=output.vvc",
        "--SourceWidth=40",
        "--SourceHeight=24",
        "--InputChromaFormat=444",
        "--FrameRate=1",
        "--FramesToBeEncoded=1",
        "--QP=47",
    ]
    assert programs.arguments("decoder") == ["-b", "input.vvc", "-o", "output.y4m", "-d", "8"]


@pytest.mark.parametrize(("height", "width"), [(24, 41), (25, 40), (1, 1), (33, 47)])
def test_only_sizes_that_are_not_multiples_of_8_are_padded(
    codec: Vtm18, programs: Programs, height: int, width: int
) -> None:
    assert codec.decode(codec.encode(make_image(height, width)).data).shape == (height, width, 3)
    assert programs.arguments("encoder")[-1] == "--ConformanceWindowMode=1"


@pytest.mark.parametrize("mode", ["fail", "nothing"])
def test_failing_encoder(codec: Vtm18, programs: Programs, mode: str) -> None:
    programs.behave(encoder=mode)
    with pytest.raises(EncoderError, match=r"failed as told|wrote no output\.vvc"):
        codec.encode(make_image(8, 8))
    assert leftovers() == []


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("fail", "status 3.*failed as told"),
        ("nothing", "wrote no output.y4m"),
        ("noise", "did not write a 4:4:4 image"),
        ("chroma", "did not write a 4:4:4 image"),
        ("short", "did not write one image"),
        ("two", "did not write one image"),
        ("bomb", "the header claims"),
    ],
)
def test_failing_decoder(codec: Vtm18, programs: Programs, mode: str, reason: str) -> None:
    data = codec.encode(make_image(8, 8)).data
    programs.behave(decoder=mode)
    with pytest.raises(BitstreamError, match=reason):
        codec.decode(data)
    assert leftovers() == []


def is_free(lock: Path) -> bool:
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, "waited for 30 s in vain"
        time.sleep(0.02)


def test_hanging_programs_are_stopped(programs: Programs) -> None:
    codec = Vtm18(programs=str(programs.folder), encode_timeout_s=0.3, decode_timeout_s=0.3)
    codec.check()
    programs.behave(encoder="hang", decoder="hang")
    with pytest.raises(EncoderError, match=r"EncoderAppStatic was stopped after 0\.3 s"):
        codec.encode(make_image(8, 8))
    with pytest.raises(BitstreamError, match=r"DecoderAppStatic was stopped after 0\.3 s"):
        codec.decode(b"anything")
    assert is_free(programs.folder / "hanging")
    assert leftovers() == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_when_we_are_killed(programs: Programs, number: signal.Signals) -> None:
    programs.behave(encoder="hang")
    code = (
        "import sys, numpy; from rdbench_codecs.conventional.vtm import Vtm18\n"
        "Vtm18(programs=sys.argv[1]).encode(numpy.zeros((8, 8, 3), numpy.uint8))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, programs.folder],
        env={**os.environ, "TMPDIR": tempfile.gettempdir()},
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell may ignore it
    )
    wait_until((programs.folder / "started").exists)
    assert leftovers() != []
    assert not is_free(programs.folder / "hanging")
    process.send_signal(number)
    process.wait(30)
    wait_until(lambda: is_free(programs.folder / "hanging"))
    wait_until(lambda: leftovers() == [])


@pytest.mark.parametrize("role", ["encoder", "decoder"])
def test_another_version_is_refused_unless_told(programs: Programs, role: str) -> None:
    programs.behave(**{role: "old"})
    with pytest.raises(Unavailable, match=r"is VTM 17\.2, not 18\.0.*vtm18:version=17\.2"):
        Vtm18(programs=str(programs.folder)).check()
    programs.behave(encoder="old", decoder="old")
    told = Vtm18(version="17.2", programs=str(programs.folder))
    for name in ("EncoderAppStatic", "DecoderAppStatic"):
        os.utime(programs.folder / name, ns=(1, 1))  # versions are read once per build
    told.check()
    assert told.decode(told.encode(make_image(8, 8)).data).shape == (8, 8, 3)
    assert told != Vtm18()


def test_a_program_that_does_not_say_its_version(programs: Programs) -> None:
    programs.behave(encoder="silent")
    with pytest.raises(Unavailable, match="does not say which version"):
        Vtm18(programs=str(programs.folder)).check()


def test_a_program_for_another_machine(programs: Programs) -> None:
    (programs.folder / "EncoderAppStatic").write_bytes(b"\x7fELF rubbish")
    with pytest.raises(Unavailable, match="does not start"):
        Vtm18(programs=str(programs.folder)).check()


def test_missing_programs_say_where_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"no program EncoderAppStatic or .*RDBENCH_VTM"):
        Vtm18(programs=str(tmp_path)).check()


def test_programs_are_found_by_variable_and_path(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("Encoder", "Decoder"):
        (programs.folder / f"{name}AppStatic").rename(programs.folder / f"{name}App")
    monkeypatch.setenv("RDBENCH_VTM", str(programs.folder))
    Vtm18().check()
    monkeypatch.delenv("RDBENCH_VTM")
    monkeypatch.setenv("PATH", f"{programs.folder}{os.pathsep}{os.environ['PATH']}")
    Vtm18().check()


def test_configuration_is_found_and_fingerprinted(programs: Programs, tmp_path: Path) -> None:
    config = programs.folder / vtm.CONFIG
    codec = Vtm18(programs=str(programs.folder))
    assert codec.fingerprint() == hashlib.sha256(config.read_bytes()).hexdigest()
    (tmp_path / "cfg").mkdir()
    config.rename(tmp_path / "cfg" / vtm.CONFIG)
    codec.check()
    (tmp_path / "cfg" / vtm.CONFIG).rename(tmp_path / "mine.cfg")
    with pytest.raises(Unavailable, match=r"no encoder_intra_vtm\.cfg.*vtm18:config=PATH"):
        codec.check()
    Vtm18(programs=str(programs.folder), config=str(tmp_path / "mine.cfg")).check()


def test_self_checks_find_a_foreign_configuration(codec: Vtm18) -> None:
    outcome = {check.name: check.ok for check in codec.self_checks()}
    assert outcome == {
        "program version": True,
        "configuration file": False,
        "colour conversion rounds": True,
        "bit depth": True,
    }


def test_self_checks_find_a_decoder_of_another_depth(codec: Vtm18, programs: Programs) -> None:
    programs.behave(decoder="chroma")
    assert [c.ok for c in codec.self_checks() if c.name == "bit depth"] == [False]


def test_ladder_is_the_published_one() -> None:
    assert [point.qp for point in Vtm18().ladder()] == list(range(50, 14, -1))


def test_bad_qp() -> None:
    with pytest.raises(UsageError, match="qp=64"):
        Vtm18(qp=64)


def test_colour_conversion_is_opencv_on_bgr() -> None:
    import cv2

    image = make_image(64, 64)
    reference = cv2.cvtColor(image[..., ::-1].copy(), cv2.COLOR_BGR2YUV)
    assert np.array_equal(to_yuv444(image).transpose(1, 2, 0), reference)
    assert np.array_equal(
        from_yuv444(to_yuv444(image)), cv2.cvtColor(reference, cv2.COLOR_YUV2BGR)[..., ::-1]
    )


def test_colour_ceiling_shows_rounding_and_saturation() -> None:
    assert 52 < colour_ceiling(make_image(512, 512)) < 54
    assert colour_ceiling(np.full((8, 8, 3), 128, np.uint8)) == float("inf")
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 255
    assert from_yuv444(to_yuv444(red))[0, 0].tolist() == [221, 17, 1]
    assert colour_ceiling(red) < 25


@pytest.fixture(scope="module")
def real() -> Vtm18:
    codec = Vtm18(qp=47)
    try:
        codec.check()
    except Unavailable as error:
        pytest.skip(str(error))
    return codec


def test_real_programs_pass_their_checks(real: Vtm18) -> None:
    assert [c for c in real.self_checks() if not c.ok] == []


def test_real_programs_code_a_photograph(real: Vtm18) -> None:
    """Bytes and pixels of VTM 18.0 itself, run by hand with the published arguments."""
    image = make_image(64, 96)
    data = real.encode(image).data
    assert (len(data), hashlib.sha256(data).hexdigest()[:16]) == (127, "de001ffadbbe6c62")
    decoded = real.decode(data)
    assert decoded.shape == image.shape


def test_real_decoder_refuses_what_is_cut(real: Vtm18) -> None:
    data = (Path(__file__).parents[2] / "golden" / "vtm18.vvc").read_bytes()
    for n_bytes in (0, 4, 20, 50, len(data) // 2, len(data) - 8):
        with pytest.raises(BitstreamError):
            real.decode(data[:n_bytes])
