"""JPEG, WebP, JPEG 2000, AVIF, JPEG XL, HEVC: against other decoders and hostile bytes."""

import io
import re
import struct
from pathlib import Path

import imagecodecs
import numpy as np
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PilImage
from sample import photograph

from rdbench.errors import BitstreamError, EncoderError, UsageError
from rdbench.types import Codec, Image
from rdbench_codecs.conventional.avif import Avif
from rdbench_codecs.conventional.hevc import Hevc
from rdbench_codecs.conventional.jpeg import Jpeg
from rdbench_codecs.conventional.jpeg2000 import Jpeg2000
from rdbench_codecs.conventional.jxl import Jxl
from rdbench_codecs.conventional.limits import MAX_PIXELS
from rdbench_codecs.conventional.webp import Webp

GOLDEN = Path(__file__).parents[2] / "golden"
FILES: dict[str, Codec] = {
    "jpeg-420.jpg": Jpeg(),
    "webp.webp": Webp(),
    "jpeg2000.j2k": Jpeg2000(),
    "avif.avif": Avif(),
    "jxl.jxl": Jxl(),
    "hevc.heic": Hevc(),
}
PHOTO: Image = np.ascontiguousarray(photograph("astronaut")[:128, 128:320])


def with_pillow(data: bytes) -> Image:
    return np.asarray(PilImage.open(io.BytesIO(data)))


@pytest.mark.parametrize(
    ("codec", "other_decoder", "tolerance"),
    [
        (Jpeg(quality=60), with_pillow, 1),
        (Jpeg(quality=60, subsampling="444", optimize=True), with_pillow, 1),
        (Webp(quality=60), with_pillow, 1),
        (Jpeg2000(bpp=1.5), imagecodecs.jpeg2k_decode, 1),
        (Avif(quality=60), imagecodecs.avif_decode, 2),
    ],
    ids=["jpeg-420", "jpeg-444", "webp", "jpeg2000", "avif"],
)
def test_another_decoder_sees_the_same(codec: Codec, other_decoder, tolerance: int) -> None:
    data = codec.encode(PHOTO).data
    difference = codec.decode(data).astype(int) - other_decoder(data)
    assert np.abs(difference).max() <= tolerance


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
        (Webp(95), False),
        (Avif(90), True),
        (Avif(90, "420"), False),
        (Hevc(qp=17), True),
        (Jpeg2000(bpp=6.0), True),
    ],
    ids=str,
)
def test_chroma_sampling_is_what_it_is_called(codec: Codec, keeps: bool) -> None:
    error = codec.decode(codec.encode(stripes()).data).astype(int) - stripes()
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


@pytest.mark.parametrize("name", ["jpeg-420.jpg", "avif.avif", "jpeg2000.j2k", "hevc.heic"])
def test_no_metadata(name: str) -> None:
    data = FILES[name].encode(PHOTO).data
    for word in (b"Exif", b"http", b"ICC_PROFILE", b"prof", b"OpenJPEG", b"x265", b"libaom"):
        assert word not in data


def claiming_giants() -> dict[str, bytes]:
    """The kept files with 65535x65535 (WebP: 16383x16383) where they say their size."""
    giant = struct.pack(">II", 65535, 65535)
    jxl_header = (1 << 21 | 65534 << 3 | 2 << 1).to_bytes(3, "little")
    changes = {
        "jpeg-420.jpg": (re.escape(struct.pack(">HH", 33, 47)), b"\xff" * 4),
        "webp.webp": (re.escape(struct.pack("<HH", 47, 33)), b"\xff\x3f" * 2),
        "jpeg2000.j2k": (re.escape(struct.pack(">II", 47, 33)), giant),
        "avif.avif": (rb"(?s)(?<=ispe\0\0\0\0).{8}", giant),
        "hevc.heic": (rb"(?s)(?<=ispe\0\0\0\0).{8}", giant),
        "jxl.jxl": (rb"(?s)^\xff\x0a.{8}", b"\xff\x0a" + jxl_header + b"\x01" * 5),
    }
    files = {}
    for name, (pattern, replacement) in changes.items():
        data = (GOLDEN / name).read_bytes()
        files[name] = re.sub(pattern, replacement.replace(b"\\", rb"\\"), data)
        assert files[name] != data
    return files


@pytest.mark.parametrize("name", FILES)
def test_size_bombs_are_refused(name: str) -> None:
    with pytest.raises(BitstreamError):
        FILES[name].decode(claiming_giants()[name])


@pytest.mark.parametrize("name", ["jpeg-420.jpg", "webp.webp", "jxl.jxl"])
def test_size_is_read_before_the_library_sees_the_bytes(name: str) -> None:
    with pytest.raises(BitstreamError, match="the header claims"):
        FILES[name].decode(claiming_giants()[name])


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4096), st.integers(1, 4096))
def test_jxl_size_header(height: int, width: int) -> None:
    """Our reading of the size against libjxl's writing of it."""
    from rdbench_codecs.conventional import headers

    if height * width > 1 << 20:
        width = max(1, (1 << 20) // height)
    flat = np.zeros((height, width, 3), np.uint8)
    data = imagecodecs.jpegxl_encode(flat, effort=1, distance=5.0, usecontainer=False)
    assert headers.jxl(bytes(data)) == (width, height)


@pytest.mark.parametrize("ratio", [(1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1)])
def test_jxl_size_header_with_a_ratio(ratio: tuple[int, int]) -> None:
    from rdbench_codecs.conventional import headers

    width, height = 40 * ratio[0], 40 * ratio[1]
    flat = np.zeros((height, width, 3), np.uint8)
    data = imagecodecs.jpegxl_encode(flat, effort=1, distance=5.0, usecontainer=False)
    assert headers.jxl(bytes(data)) == (width, height)


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_damaged_files_decode_or_say_so(name: str, data: st.DataObject) -> None:
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
    ],
)
def test_settings_out_of_range(make, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        make()


def test_images_over_the_limit_are_refused() -> None:
    giant = np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (1, MAX_PIXELS + 1, 3))
    for codec in FILES.values():
        with pytest.raises(EncoderError, match="over the limit of"):
            codec.encode(giant)


def test_what_a_library_refuses_is_an_encoder_error() -> None:
    with pytest.raises(EncoderError, match="cannot encode 20000x1 pixels"):
        Webp().encode(np.zeros((1, 20000, 3), np.uint8))
