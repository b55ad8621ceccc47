"""Codecs of libraries in this process: against other decoders and hostile bytes."""

import io
import re
import struct
import sys
import types
from pathlib import Path

import imagecodecs
import numpy as np
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PilImage
from sample import photograph

from rdbench.errors import BitstreamError, EncoderError, Unavailable, UsageError
from rdbench.types import Codec, Image
from rdbench_codecs.conventional import headers, lossless, mozjpeg
from rdbench_codecs.conventional.avif import Avif
from rdbench_codecs.conventional.hevc import Hevc
from rdbench_codecs.conventional.htj2k import Htj2k
from rdbench_codecs.conventional.jpeg import Jpeg
from rdbench_codecs.conventional.jpeg2000 import Jpeg2000
from rdbench_codecs.conventional.jpegli import Jpegli
from rdbench_codecs.conventional.jpegxr import JpegXr
from rdbench_codecs.conventional.jxl import Jxl
from rdbench_codecs.conventional.limits import MAX_PIXELS
from rdbench_codecs.conventional.mozjpeg import MozJpeg
from rdbench_codecs.conventional.webp import Webp

GOLDEN = Path(__file__).parents[2] / "golden"
FILES: dict[str, Codec] = {
    "jpeg-420.jpg": Jpeg(),
    "webp.webp": Webp(),
    "jpeg2000.j2k": Jpeg2000(),
    "avif.avif": Avif(),
    "jxl.jxl": Jxl(),
    "hevc.heic": Hevc(),
    "jpegli.jpg": Jpegli(),
    "mozjpeg.jpg": MozJpeg(),
    "htj2k.j2k": Htj2k(),
    "jpegxr.jxr": JpegXr(),
    "png.bin": lossless.Png(),
    "qoi.qoi": lossless.Qoi(),
    "webp-lossless.webp": lossless.WebpLossless(),
    "jxl-lossless.jxl": lossless.JxlLossless(),
    "htj2k-lossless.j2k": lossless.Htj2kLossless(),
    "jpegls.jls": lossless.JpegLs(),
    "jpegxr-lossless.jxr": lossless.JpegXrLossless(),
}
PHOTO: Image = np.ascontiguousarray(photograph("astronaut")[:128, 128:320])


def available(codec: Codec) -> Codec:
    """The codec; skips the test where it is not installed."""
    try:
        codec.check()
    except Unavailable as error:
        pytest.skip(str(error))
    return codec


def with_pillow(data: bytes) -> Image:
    return np.asarray(PilImage.open(io.BytesIO(data)))


def name_of(value: object) -> str:
    """A name for a parameter that is the same in all processes."""
    return str(getattr(value, "__name__", value))


@pytest.mark.parametrize(
    ("codec", "other_decoder", "tolerance"),
    [
        (Jpeg(quality=60), with_pillow, 1),
        (Jpeg(quality=60, subsampling="444", optimize=True), with_pillow, 1),
        (Webp(quality=60), with_pillow, 1),
        (Jpeg2000(bpp=1.5), imagecodecs.jpeg2k_decode, 1),
        (Avif(quality=60), imagecodecs.avif_decode, 2),
        (Avif(quality=60, tune="ssimulacra2"), imagecodecs.avif_decode, 2),
        (MozJpeg(quality=60), with_pillow, 1),
        (MozJpeg(quality=60, subsampling="444"), with_pillow, 1),
    ],
    ids=name_of,
)
def test_another_decoder_sees_the_same(codec: Codec, other_decoder, tolerance: int) -> None:
    data = available(codec).encode(PHOTO).data
    difference = codec.decode(data).astype(int) - other_decoder(data)
    assert np.abs(difference).max() <= tolerance


def test_jpegli_and_libjpeg_see_nearly_the_same() -> None:
    """jpegli's decoder keeps more than 8 bits and rounds later: single samples differ by more."""
    data = available(Jpegli(quality=60)).encode(PHOTO).data
    difference = Jpegli().decode(data).astype(float) - with_pillow(data)
    assert np.sqrt(np.mean(difference**2)) < 2


@pytest.mark.parametrize(
    ("codec", "other_decoder"),
    [
        (lossless.Png(), with_pillow),
        (lossless.Qoi(), with_pillow),
        (lossless.WebpLossless(effort=30, method=2), with_pillow),
        (lossless.Jpeg2000Lossless(), imagecodecs.jpeg2k_decode),
        (lossless.Htj2kLossless(), imagecodecs.jpeg2k_decode),
    ],
    ids=name_of,
)
def test_another_decoder_finds_the_image(codec: Codec, other_decoder) -> None:
    assert np.array_equal(other_decoder(codec.encode(PHOTO).data), PHOTO)


@pytest.mark.parametrize("name", lossless.CODECS)
def test_lossless_codecs_return_noise_and_extremes(name: str) -> None:
    noise = np.random.default_rng(5).integers(0, 256, (29, 43, 3), dtype=np.uint8)
    noise[:9] = np.where(noise[:9] > 127, 255, 0)
    codec = lossless.CODECS[name]()
    assert codec.lossless
    assert np.array_equal(codec.decode(codec.encode(noise).data), noise)


def test_openjph_sees_the_same_but_for_samples_that_wrap_around() -> None:
    data = Htj2k().encode(PHOTO).data
    difference = Htj2k().decode(data).astype(int) - imagecodecs.htj2k_decode(data)
    assert np.abs((difference + 128) % 256 - 128).max() <= 1


def test_htj2k_clips_samples_out_of_range() -> None:
    """The photo has black and white areas; a sample that wraps around is off by almost 256."""
    error = Htj2k().decode(Htj2k().encode(PHOTO).data).astype(int) - PHOTO
    assert np.abs(error).max() < 128


def test_jpegxr_says_what_it_cannot_code(capfd: pytest.CaptureFixture[str]) -> None:
    narrow = np.ascontiguousarray(PHOTO[:, :16])
    with pytest.raises(EncoderError, match="only if wider than 16 pixels"):
        JpegXr(quality=0.3).encode(narrow)
    assert JpegXr(quality=0.3).encode(PHOTO[:, :17]).data
    assert JpegXr(quality=0.5).encode(narrow).data
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("codec", [c for c in FILES.values() if c.lossless], ids=lambda c: c.name)
def test_noise_is_larger_than_its_pixels_and_comes_back(codec: Codec) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (96, 64, 3), np.uint8)
    data = available(codec).encode(noise).data
    assert len(data) > 0.99 * noise.size
    assert np.array_equal(codec.decode(data), noise)


@pytest.mark.parametrize(
    "name",
    ["jpegxr.jxr", "jpegxr-lossless.jxr", "jpegls.jls", "qoi.qoi", "htj2k.j2k", "mozjpeg.jpg"],
)
def test_a_file_without_its_last_bytes_is_refused(name: str) -> None:
    data = (GOLDEN / name).read_bytes()
    codec = available(FILES[name])
    codec.decode(data)
    with pytest.raises(BitstreamError, match="cut short"):
        codec.decode(data[:-9])


def test_jpegxr_with_two_sizes_is_refused() -> None:
    data = (GOLDEN / "jpegxr.jxr").read_bytes()
    with pytest.raises(BitstreamError, match="two different sizes"):
        JpegXr().decode(data.replace(b"\0\x2e\0\x20", b"\0\x2f\0\x20", 1))


def test_jpegxr_of_another_pixel_format_is_refused() -> None:
    grey = imagecodecs.jpegxr_encode(PHOTO[..., 0], 1.0)
    with pytest.raises(BitstreamError, match="a JPEG XR file that is not 8-bit RGB"):
        JpegXr().decode(bytes(grey))


@pytest.mark.parametrize(
    ("codec", "missing"), [(Jpegli(), "pyjpegli"), (MozJpeg(), "pyvips")], ids=str
)
def test_what_is_not_installed_says_how(
    monkeypatch: pytest.MonkeyPatch, codec: Codec, missing: str
) -> None:
    mozjpeg._pyvips.cache_clear()
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(Unavailable, match=r"pip install 'rdbench\[codecs\]'"):
        codec.encode(PHOTO)


def test_mozjpeg_needs_a_libvips_that_holds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other builds ignore the number of the table."""
    mozjpeg._pyvips.cache_clear()
    monkeypatch.setitem(sys.modules, "pyvips", types.ModuleType("pyvips"))
    monkeypatch.setattr(mozjpeg, "_save", lambda *_: b"the same file")
    with pytest.raises(Unavailable, match="this libvips has no MozJPEG"):
        MozJpeg().check()


@pytest.mark.parametrize("optimize", [False, True])
@pytest.mark.parametrize("subsampling", ["420", "422", "444"])
def test_jpeg_writes_what_pillow_writes(subsampling: str, optimize: bool) -> None:
    """Two bindings, one library: with equal settings, equal bytes."""
    file = io.BytesIO()
    PilImage.fromarray(PHOTO).save(
        file, "JPEG", quality=40, subsampling=":".join(subsampling), optimize=optimize
    )
    assert Jpeg(40, subsampling, optimize).encode(PHOTO).data == file.getvalue()  # type: ignore[arg-type]


def stripes() -> Image:
    """Columns of two colours of one brightness: nothing but chroma detail."""
    image = np.empty((64, 64, 3), np.uint8)
    image[:, ::2] = (160, 100, 120)
    image[:, 1::2] = (90, 135, 120)
    return image


@pytest.mark.parametrize(
    ("codec", "keeps"),
    [
        (Jpeg(95, "444"), True),
        (Jpeg(95, "420"), False),
        (Jpegli(95), False),
        (MozJpeg(95), False),
        (MozJpeg(95, "444"), True),
        (Htj2k(0.01), True),
        (JpegXr(0.49), False),
        (JpegXr(0.8), True),
        (Webp(95), False),
        (Avif(90), True),
        (Avif(90, "420"), False),
        (Hevc(qp=17), True),
        (Jpeg2000(bpp=6.0), True),
    ],
    ids=str,
)
def test_chroma_sampling_is_what_it_is_called(codec: Codec, keeps: bool) -> None:
    error = codec.decode(available(codec).encode(stripes()).data).astype(int) - stripes()
    assert (np.abs(error).mean() < 8) == keeps


def test_hevc_is_coded_as_stated() -> None:
    image = pillow_heif.open_heif(Hevc(qp=27).encode(PHOTO).data)
    assert image.info["chroma"] == 444
    assert image.info["bit_depth"] == 8
    nclx = image.info["nclx_profile"]
    assert (nclx["matrix_coefficients"], nclx["full_range_flag"]) == (6, 1)
    assert not image.info["exif"]
    assert not image.info["metadata"]
    assert not image.info["thumbnails"]


def test_hevc_qp_is_that_of_luma_and_chroma() -> None:
    """Noise shows the quantiser: an error of step^2 / 12, step = 2^((QP - 4) / 6) (H.265, 8.6)."""
    noise = np.random.default_rng(3).integers(64, 192, (64, 64, 3), dtype=np.uint8)
    to_ycbcr = np.array([[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]])
    for qp in (22, 34):
        codec = Hevc(qp=qp)
        error = (codec.decode(codec.encode(noise).data).astype(float) - noise) @ to_ycbcr.T
        expected = 2 ** ((qp - 4) / 3) / 12
        assert np.all(np.abs(np.mean(error**2, axis=(0, 1)) / expected - 1.1) < 0.15)


def test_jpeg2000_holds_the_rate() -> None:
    image = photograph("astronaut")
    for bpp in (0.25, 1.0, 3.0):
        rate = 8 * len(Jpeg2000(bpp=bpp).encode(image).data) / image[..., 0].size
        assert 0.97 * bpp < rate < 1.001 * bpp


def test_jpeg2000_converts_to_luma_and_chroma() -> None:
    """Without the transform, grey would be coded three times: 4.8 dB less at the same rate."""
    grey = np.repeat(photograph("coffee")[:256, :256, 1:2], 3, axis=2)
    file = io.BytesIO()
    options = {"quality_mode": "rates", "quality_layers": [24.0], "irreversible": True, "mct": 0}
    PilImage.fromarray(grey).save(file, "JPEG2000", **options)

    def mse(data: bytes) -> float:
        return float(np.mean((Jpeg2000().decode(data).astype(float) - grey) ** 2))

    assert mse(Jpeg2000(bpp=1.0).encode(grey).data) < 0.5 * mse(file.getvalue())


def test_avif_is_tuned_for_psnr() -> None:
    """At no more bytes than libavif's own choice for still images, a higher PSNR."""

    def point(codec: Codec) -> tuple[int, float]:
        data = codec.encode(PHOTO).data
        return len(data), float(np.mean((codec.decode(data).astype(float) - PHOTO) ** 2))

    own_bytes, own_mse = point(Avif(70, tune="iq"))
    tuned = [point(Avif(quality)) for quality in range(50, 71, 2)]
    assert any(n_bytes <= own_bytes and mse < own_mse for n_bytes, mse in tuned)


@pytest.mark.parametrize(
    "name", ["jpeg-420.jpg", "avif.avif", "jpeg2000.j2k", "hevc.heic", "mozjpeg.jpg"]
)
def test_no_metadata(name: str) -> None:
    data = available(FILES[name]).encode(PHOTO).data
    for word in (b"Exif", b"http", b"ICC_PROFILE", b"prof", b"OpenJPEG", b"x265", b"libaom"):
        assert word not in data


def claiming_giants() -> dict[str, bytes]:
    """The kept files with 65535x65535 (WebP: 16383x16383) where they say their size."""
    giant = struct.pack(">II", 65535, 65535)
    largest = (1 << 28) - 1
    jxl_header = (1 << 21 | 65534 << 3 | 2 << 1).to_bytes(3, "little")
    changes = {
        "jpeg-420.jpg": (re.escape(struct.pack(">HH", 33, 47)), b"\xff" * 4),
        "webp.webp": (re.escape(struct.pack("<HH", 47, 33)), b"\xff\x3f" * 2),
        "jpeg2000.j2k": (re.escape(struct.pack(">II", 47, 33)), giant),
        "avif.avif": (rb"(?s)(?<=ispe\0\0\0\0).{8}", giant),
        "hevc.heic": (rb"(?s)(?<=ispe\0\0\0\0).{8}", giant),
        "jxl.jxl": (rb"(?s)^\xff\x0a.{8}", b"\xff\x0a" + jxl_header + b"\x01" * 5),
        "jpegls.jls": (rb"(?s)(?<=\xff\xf7..\x08)....", b"\xff" * 4),
        "qoi.qoi": (re.escape(struct.pack(">II", 47, 33)), giant),
        "png.bin": (re.escape(struct.pack(">II", 47, 33)), giant),
        "webp-lossless.webp": (rb"(?s)(?<=\x2f).{4}", struct.pack("<I", largest)),
    }
    for name in ("jpegli.jpg", "mozjpeg.jpg"):
        changes[name] = changes["jpeg-420.jpg"]
    for name in ("htj2k.j2k", "htj2k-lossless.j2k"):
        changes[name] = changes["jpeg2000.j2k"]
    changes["jxl-lossless.jxl"] = changes["jxl.jxl"]
    files = {}
    for name, (pattern, replacement) in changes.items():
        data = (GOLDEN / name).read_bytes()
        files[name] = re.sub(pattern, replacement.replace(b"\\", rb"\\"), data, count=1)
        assert files[name] != data
    for name in ("jpegxr.jxr", "jpegxr-lossless.jxr"):
        data = (GOLDEN / name).read_bytes()
        directory = data.replace(b"\x80\xbc\4\0\1\0\0\0\x2f\0", b"\x80\xbc\4\0\1\0\0\0\0\xff")
        directory = directory.replace(b"\x81\xbc\4\0\1\0\0\0\x21\0", b"\x81\xbc\4\0\1\0\0\0\0\xff")
        files[name] = directory.replace(b"\0\x2e\0\x20", b"\xfe\xff\xfe\xff", 1)
        assert directory != data != files[name]
    return files


@pytest.mark.parametrize("name", FILES)
def test_size_bombs_are_refused(name: str) -> None:
    codec = available(FILES[name])
    with pytest.raises(BitstreamError):
        codec.decode(claiming_giants()[name])


@pytest.mark.parametrize("name", sorted(FILES.keys() - {"jpeg2000.j2k", "avif.avif", "hevc.heic"}))
def test_size_is_read_before_the_library_sees_the_bytes(name: str) -> None:
    codec = available(FILES[name])
    with pytest.raises(BitstreamError, match="the header claims"):
        codec.decode(claiming_giants()[name])


@settings(max_examples=60)
@given(st.integers(1, 4096), st.integers(1, 4096))
def test_jxl_size_header(height: int, width: int) -> None:
    """Our reading of the size against libjxl's writing of it."""
    if height * width > 1 << 20:
        width = max(1, (1 << 20) // height)
    flat = np.zeros((height, width, 3), np.uint8)
    data = imagecodecs.jpegxl_encode(flat, effort=1, distance=5.0, usecontainer=False)
    assert headers.jxl(bytes(data)) == (width, height)


@pytest.mark.parametrize("ratio", [(1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1)])
def test_jxl_size_header_with_a_ratio(ratio: tuple[int, int]) -> None:
    width, height = 40 * ratio[0], 40 * ratio[1]
    flat = np.zeros((height, width, 3), np.uint8)
    data = imagecodecs.jpegxl_encode(flat, effort=1, distance=5.0, usecontainer=False)
    assert headers.jxl(bytes(data)) == (width, height)


@pytest.mark.parametrize("name", [name for name in FILES if not name.endswith(".jxr")])
@settings(max_examples=40)
@given(st.data())
def test_damaged_files_decode_or_say_so(name: str, data: st.DataObject) -> None:
    available(FILES[name])
    damaged = bytearray((GOLDEN / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        decoded = FILES[name].decode(bytes(damaged))
    except BitstreamError:
        return
    assert decoded.dtype == np.uint8
    assert decoded.shape[2] == 3


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK"])
def test_images_that_are_not_rgb(mode: str) -> None:
    file = io.BytesIO()
    codec, kind = (Webp(), "WEBP") if mode == "RGBA" else (Jpeg(), "JPEG")
    image = PilImage.fromarray(PHOTO).convert(mode)
    if mode == "RGBA":
        image.putalpha(128)
    image.save(file, kind)
    with pytest.raises(BitstreamError):
        codec.decode(file.getvalue())


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Jpeg(quality=0), "jpeg: quality=0 is not between 1 and 100"),
        (lambda: Webp(quality=101), "webp: quality=101"),
        (lambda: Webp(method=7), "webp: method=7"),
        (lambda: Jpeg2000(bpp=0.0), "jpeg2000: bpp=0"),
        (lambda: Avif(quality=-1), "avif: quality=-1"),
        (lambda: Avif(speed=11), "avif: speed=11"),
        (lambda: Jxl(distance=0.0), "jxl: distance=0"),
        (lambda: Jxl(effort=10), "jxl: effort=10"),
        (lambda: Hevc(qp=52), "hevc: qp=52"),
        (lambda: Jpegli(quality=0), "jpegli: quality=0"),
        (lambda: MozJpeg(quality=101), "mozjpeg: quality=101"),
        (lambda: MozJpeg(table=9), "mozjpeg: table=9"),
        (lambda: Htj2k(step=0.0), "htj2k: step=0"),
        (lambda: JpegXr(quality=1.0), "jpegxr: quality=1"),
        (lambda: lossless.Png(level=10), "png: level=10"),
        (lambda: lossless.JxlLossless(effort=0), "jxl-lossless: effort=0"),
    ],
)
def test_settings_out_of_range(make, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        make()


def test_images_over_the_limit_are_refused() -> None:
    giant = np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (1, MAX_PIXELS + 1, 3))
    for codec in (c for c in FILES.values() if not isinstance(c, Jpegli | MozJpeg)):
        with pytest.raises(EncoderError, match="over the limit of"):
            codec.encode(giant)


def test_what_a_library_refuses_is_an_encoder_error() -> None:
    with pytest.raises(EncoderError, match="cannot encode 20000x1 pixels"):
        Webp().encode(np.zeros((1, 20000, 3), np.uint8))
