"""Bitstreams kept in ``tests/golden`` must decode, today and tomorrow, to the images next to them.

Where the format fixes every sample, exactly; elsewhere (inverse wavelets and colour conversions in
floating point) to within a rounding step or two. ``python
tests/codecs/conventional/test_golden.py`` makes the files that are missing; making one again is a
change of format and belongs into the changelog.
"""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage
from sample import photograph

from rdbench.errors import Unavailable
from rdbench.types import Codec, Image
from rdbench_codecs.conventional import lossless
from rdbench_codecs.conventional.avif import Avif
from rdbench_codecs.conventional.ffmpeg import SvtAv1, Vvenc
from rdbench_codecs.conventional.hevc import Hevc
from rdbench_codecs.conventional.htj2k import Htj2k
from rdbench_codecs.conventional.jpeg import Jpeg
from rdbench_codecs.conventional.jpeg2000 import Jpeg2000
from rdbench_codecs.conventional.jpegli import Jpegli
from rdbench_codecs.conventional.jpegxr import JpegXr
from rdbench_codecs.conventional.jxl import Jxl
from rdbench_codecs.conventional.mozjpeg import MozJpeg
from rdbench_codecs.conventional.null import Null
from rdbench_codecs.conventional.vtm import Vtm18
from rdbench_codecs.conventional.webp import Webp

GOLDEN = Path(__file__).parents[2] / "golden"
KEPT: dict[str, tuple[Codec, int]] = {
    "null.raw": (Null(), 0),
    "jpeg-420.jpg": (Jpeg(quality=75), 1),
    "jpeg-444-optimized.jpg": (Jpeg(quality=75, subsampling="444", optimize=True), 1),
    "webp.webp": (Webp(quality=75), 1),
    "jpeg2000.j2k": (Jpeg2000(bpp=2.0), 1),
    "avif.avif": (Avif(quality=60), 2),
    "jxl.jxl": (Jxl(distance=1.0), 2),
    "hevc.heic": (Hevc(qp=27), 1),
    "vtm18.vvc": (Vtm18(qp=32), 0),
    "jpegli.jpg": (Jpegli(quality=75), 1),
    "mozjpeg.jpg": (MozJpeg(quality=75), 1),
    "htj2k.j2k": (Htj2k(step=0.04), 1),
    "jpegxr.jxr": (JpegXr(quality=0.6), 0),
    "vvenc.vvenc": (Vvenc(qp=27), 1),
    "svt-av1.svtav1": (SvtAv1(qp=22), 1),
}
"""File name -> the codec that made it, and by how much a sample may differ."""
LOSSLESS: dict[str, Codec] = {
    "png.bin": lossless.Png(),
    "qoi.qoi": lossless.Qoi(),
    "webp-lossless.webp": lossless.WebpLossless(),
    "jxl-lossless.jxl": lossless.JxlLossless(),
    "jpeg2000-lossless.j2k": lossless.Jpeg2000Lossless(),
    "htj2k-lossless.j2k": lossless.Htj2kLossless(),
    "jpegls.jls": lossless.JpegLs(),
    "jpegxr-lossless.jxr": lossless.JpegXrLossless(),
}
"""File name -> the codec that made it; the photo comes back."""


def photo() -> Image:
    """A face, at a size that no block size divides."""
    return np.ascontiguousarray(photograph("astronaut")[60:93, 180:227])


@pytest.mark.parametrize("name", KEPT)
def test_golden_bitstream(name: str) -> None:
    codec, tolerance = KEPT[name]
    try:
        codec.check()
    except Unavailable as error:
        pytest.skip(str(error))
    decoded = codec.decode((GOLDEN / name).read_bytes()).astype(int)
    expected = np.asarray(PilImage.open(GOLDEN / f"{name}.png")).astype(int)
    assert decoded.shape == expected.shape
    assert np.abs(decoded - expected).max() <= tolerance


@pytest.mark.parametrize("name", LOSSLESS)
def test_golden_bitstream_of_a_lossless_codec(name: str) -> None:
    assert np.array_equal(LOSSLESS[name].decode((GOLDEN / name).read_bytes()), photo())


@pytest.mark.parametrize("name", KEPT)
def test_golden_images_show_the_photo(name: str) -> None:
    expected = np.asarray(PilImage.open(GOLDEN / f"{name}.png")).astype(float)
    mse = np.mean((expected - photo()) ** 2)
    assert 10 * np.log10(255**2 / max(mse, 1e-9)) > 27


def make() -> None:
    """Write the files that are missing."""
    for name, (codec, _) in KEPT.items():
        if not (GOLDEN / name).exists():
            data = codec.encode(photo()).data
            (GOLDEN / name).write_bytes(data)
            PilImage.fromarray(codec.decode(data)).save(GOLDEN / f"{name}.png", optimize=True)
    for name, codec in LOSSLESS.items():
        if not (GOLDEN / name).exists():
            (GOLDEN / name).write_bytes(codec.encode(photo()).data)


if __name__ == "__main__":
    make()
