"""VVenC and SVT-AV1: against other decoders, and the errors where something is missing."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PilImage
from sample import photograph

from rdbench.errors import BitstreamError, EncoderError, Unavailable, UsageError
from rdbench.types import Image
from rdbench_codecs.conventional import ffmpeg
from rdbench_codecs.conventional.colour import from_yuv420p10, from_yuv444, to_yuv420p10
from rdbench_codecs.conventional.ffmpeg import FfmpegCodec, SvtAv1, Vvenc
from rdbench_codecs.conventional.y4m import read_y4m

GOLDEN = Path(__file__).parents[2] / "golden"
PHOTO: Image = np.ascontiguousarray(photograph("astronaut")[:96, 128:256])
CODECS = [Vvenc(qp=24), SvtAv1(qp=18)]


@pytest.fixture
def program() -> Path:
    """The program; the test is skipped where it is not installed."""
    try:
        for codec in CODECS:
            codec.check()
    except Unavailable as error:
        pytest.skip(str(error))
    return ffmpeg._ffmpeg()


def decoded(program: Path, data: bytes, stream: str, *options: str) -> bytes:
    """What ffmpeg itself makes of a raw stream."""
    before = [arg for arg in options if arg.startswith("lib")]
    decoder = ["-c:v", *before] if before else []
    after = options[len(before) :]
    command = [program, "-loglevel", "error", *decoder, "-f", stream, "-i", "-", "-frames:v", "1"]
    output = ["-f", "rawvideo", *after, "-"]
    return subprocess.run([*command, *output], input=data, capture_output=True, check=True).stdout


def psnr_db(one: Image, other: Image) -> float:
    return float(10 * np.log10(255**2 / np.mean((one.astype(float) - other) ** 2)))


@pytest.mark.parametrize("codec", CODECS, ids=str)
def test_colours_are_those_that_ffmpeg_sees(program: Path, codec: FfmpegCodec) -> None:
    """BT.601, full range: swscale finds the same colours but for its chroma filter.

    The AV1 stream says so itself; for VVC swscale is told.
    """
    data = codec.encode(PHOTO).data
    scale = ["-vf", "scale=in_range=full:in_color_matrix=bt601"] if codec.stream == "vvc" else []
    rgb = decoded(program, data[4:], codec.stream, *scale, "-pix_fmt", "rgb24")
    seen = np.frombuffer(rgb, np.uint8).reshape(PHOTO.shape)
    assert psnr_db(codec.decode(data), seen) > 42
    assert psnr_db(codec.decode(data), PHOTO) > 36


def test_dav1d_and_libaom_see_the_same(program: Path) -> None:
    data = SvtAv1(qp=18).encode(PHOTO).data[4:]
    planes = [decoded(program, data, "obu", lib) for lib in ("libdav1d", "libaom-av1")]
    assert planes[0] == planes[1]
    assert len(planes[0]) == 3 * PHOTO[..., 0].size


def test_the_decoder_of_vvc_sees_what_vtm_saw(program: Path) -> None:
    """The kept bitstream and image are VTM's; 10 bit of ffmpeg are rounded as VTM rounds."""
    data = (GOLDEN / "vtm18.vvc").read_bytes()
    samples = np.frombuffer(decoded(program, data, "vvc", "-pix_fmt", "yuv444p10le"), "<u2")
    expected = np.asarray(PilImage.open(GOLDEN / "vtm18.vvc.png"))
    planes = ((samples.astype(int) + 2) >> 2).clip(0, 255).astype(np.uint8)
    assert np.array_equal(from_yuv444(planes.reshape(3, *expected.shape[:2])), expected)


@pytest.mark.parametrize("codec", CODECS, ids=str)
def test_a_file_is_the_size_and_the_stream(program: Path, codec: FfmpegCodec) -> None:
    image = np.ascontiguousarray(PHOTO[:33, :21])
    bitstream = codec.encode(image)
    assert bitstream.data[:4] == bytes([21, 0, 33, 0])
    assert [(s.name, s.n_bytes) for s in bitstream.segments] == [
        ("header", 4),
        ("payload", len(bitstream.data) - 4),
    ]
    assert b"warning" not in bitstream.data
    with pytest.raises(
        BitstreamError, match="the stream holds 22x34 pixels of 420p10, not the 20x"
    ):
        codec.decode(bytes([19, 0, 33, 0]) + bitstream.data[4:])


@pytest.mark.parametrize("codec", CODECS, ids=str)
def test_the_header_is_read_before_the_program_starts(program: Path, codec: FfmpegCodec) -> None:
    for data, reason in (
        (b"\1\0\1\0", "too few"),
        (b"\xff" * 90, "the header claims"),
        (bytes(90), "the header claims"),
    ):
        with pytest.raises(BitstreamError, match=reason):
            codec.decode(data)


def test_versions_name_program_and_encoder(program: Path) -> None:
    for codec in CODECS:
        versions = codec.versions()
        assert versions.keys() == {"ffmpeg", codec.encoder}
        assert all(any(c.isdigit() for c in version) for version in versions.values())


def test_what_is_not_installed_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    for call in (lambda: CODECS[0].encode(PHOTO), lambda: CODECS[1].decode(bytes(90))):
        with pytest.raises(Unavailable, match=r"pip install 'rdbench\[ffmpeg\]'"):
            call()


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("#!/bin/sh\necho ffmpeg version 9.1", "has no libvvenc, or it does not run"),
        ("#!/nowhere/sh", "does not start"),
    ],
)
def test_another_ffmpeg_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, reason: str
) -> None:
    program = tmp_path / "ffmpeg"
    program.write_text(f"{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(ffmpeg, "_ffmpeg", lambda: program)
    with pytest.raises(Unavailable, match=reason):
        Vvenc().check()


def test_settings_and_images_out_of_range(monkeypatch: pytest.MonkeyPatch) -> None:
    for make, reason in (
        (lambda: Vvenc(qp=64), "vvenc: qp=64"),
        (lambda: SvtAv1(qp=0), "svt-av1: qp=0"),
        (lambda: SvtAv1(preset=11), "svt-av1: preset=11"),
    ):
        with pytest.raises(UsageError, match=reason):
            make()
    monkeypatch.setattr(ffmpeg, "_ffmpeg", lambda: Path("/nowhere"))
    long = np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (1, 65536, 3))
    with pytest.raises(EncoderError, match="sides over 65535"):
        Vvenc().encode(long)


def test_planes_of_flat_colours() -> None:
    """By hand: red of BT.601 has Y = 0.299, Cb = -0.299 / 1.772, Cr = 0.701 / 1.402, times 1023."""
    red = np.zeros((4, 6, 3), np.uint8)
    red[..., 0] = 255
    luma, u, v = np.split(np.frombuffer(to_yuv420p10(red), "<u2"), [24, 30])
    assert set(luma) == {round(0.299 * 1023)}
    assert set(u) == {round(512 - 0.299 / 1.772 * 1023)}
    assert set(v) == {1023}  # 512 + 511.5 rounds to an even 1024, which 10 bits do not hold


def test_chroma_is_half_as_large_and_luma_is_not() -> None:
    grey = np.repeat(photograph("coffee")[:64, :64, :1], 3, axis=2)
    planes = to_yuv420p10(grey)
    assert len(planes) == 2 * 64 * 64 * 3 // 2
    assert np.array_equal(from_yuv420p10(planes, 64, 64), grey)
    assert 40 < Vvenc().colour_ceiling(photograph("coffee")[:64, :63]) < 60


@settings(max_examples=30)
@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255))
def test_flat_colours_come_back_nearly(red: int, green: int, blue: int) -> None:
    image = np.full((4, 4, 3), (red, green, blue), np.uint8)
    returned = from_yuv420p10(to_yuv420p10(image), 4, 4).astype(int)
    assert np.abs(returned - image).max() <= 1


def test_y4m_of_another_kind_is_refused() -> None:
    header = b"YUV4MPEG2 W4 H2 F1:1 C%b XYSCSS=420P10 XCOLORRANGE=FULL\nFRAME\n"
    good = read_y4m(header % b"420p10" + bytes(24), "420")
    assert good == ("420p10", 4, 2, bytes(24))
    assert read_y4m(header % b"444" + bytes(24), "444").samples == bytes(24)
    for data in (header % b"444" + bytes(24), b"RIFF", header % b"420p10" + bytes(23)):
        with pytest.raises(BitstreamError, match="the decoder did not write"):
            read_y4m(data, "420")
