"""Reading and writing images: what becomes an 8-bit sRGB array, and what is refused.

======================  ==========================================================================
8-bit RGB               as it is; colour profiles are ignored, as the literature does
8-bit grey, palette     converted to RGB, which changes no pixel
EXIF orientation        applied, so that the image is measured as it is seen; other metadata is
                        not read, so it cannot be in the way
opaque alpha            dropped
transparent alpha       refused: put the image on a background first
over 8 bits, CMYK, ...  refused: convert first, so that you know and control the conversion
animation, pages        refused, except a camera's JPEG with a preview: its main image is read
cut or corrupt file     refused where the file shows it: checksums (PNG), code words (JPEG), length
======================  ==========================================================================
"""

import io
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL.ExifTags
import PIL.Image

from rdbench.errors import DataError
from rdbench.files import replacing
from rdbench.types import Image

SUFFIXES = (
    ".bmp", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif",
    ".tiff", ".webp",
)  # fmt: skip
"""File types that a folder of images may hold."""

_FORMATS = ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_DIRECT = ("1", "L", "RGB", "P")
_ALPHA = ("LA", "PA", "RGBA")

_UPRIGHT = {
    2: PIL.Image.Transpose.FLIP_LEFT_RIGHT,
    3: PIL.Image.Transpose.ROTATE_180,
    4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
    5: PIL.Image.Transpose.TRANSPOSE,
    6: PIL.Image.Transpose.ROTATE_270,
    7: PIL.Image.Transpose.TRANSVERSE,
    8: PIL.Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> what turns the image upright."""


def read_image(path: Path) -> Image:
    """Read an image as 8-bit sRGB.

    Returns:
        uint8 array, shape (height, width, 3).

    Raises:
        DataError: the file is missing, cut, corrupt or of a kind that needs a conversion first.
    """
    shown = printable(path)
    try:
        return _decode(shown, _content(path, shown))
    except DataError:
        raise
    except PIL.UnidentifiedImageError:
        raise DataError(
            f"{shown} is not an image that can be read (BMP, JPEG, PNG, PNM, TIFF, WebP)"
        ) from None
    except PIL.Image.DecompressionBombError:
        raise DataError(
            f"{shown} has more than {2 * (PIL.Image.MAX_IMAGE_PIXELS or 0):,} pixels, "
            "the most that an image may have; cut it into smaller ones"
        ) from None
    except Exception as error:
        # Broken files raise anything inside Pillow (struct.error, KeyError, ...): always say whose.
        raise DataError(f"{shown} cannot be read: {error or type(error).__name__}") from None


def printable(path: Path | str) -> str:
    r"""A path as text; bytes that are not UTF-8 are written ``\xe9``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def write_image(image: Image, path: Path) -> None:
    """Write an 8-bit sRGB image; the suffix decides the type. Folders are made as needed.

    Raises:
        DataError: it cannot be written.
    """
    try:
        with replacing(path) as partial:
            PIL.Image.fromarray(image).save(partial)
    except ValueError as error:
        raise DataError(f"cannot write {path}: {error}") from None


def _content(path: Path, shown: str) -> bytes:
    try:
        if not path.is_file():  # a pipe would be waited for without end
            what = "is not a file" if path.exists() else "does not exist"
            raise DataError(f"no image at {shown}: it {what}")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{shown} cannot be read: {error.strerror or error}") from None


def _decode(shown: str, data: bytes) -> Image:
    data = _without_ancillary(data) if data.startswith(_PNG) else data
    with PIL.Image.open(io.BytesIO(data), formats=_FORMATS) as image:
        _refuse_what_needs_a_choice(shown, image)
        image.load()
        if image.format in ("JPEG", "MPO"):
            _refuse_corrupt_jpeg(data)
        return np.asarray(_opaque(shown, _upright(image)).convert("RGB"))


def _upright(image: PIL.Image.Image) -> PIL.Image.Image:
    try:
        turn = _UPRIGHT.get(image.getexif().get(PIL.ExifTags.Base.Orientation, 1))
    except Exception:  # unreadable metadata says nothing; the pixels are whole
        return image
    return image if turn is None else image.transpose(turn)


def _refuse_what_needs_a_choice(shown: str, image: PIL.Image.Image) -> None:
    n_frames = getattr(image, "n_frames", 1)
    if n_frames > 1 and image.format != "MPO":  # MPO: a JPEG and its previews
        raise DataError(f"{shown} holds {n_frames} frames; save one as a PNG")
    if image.mode not in _DIRECT + _ALPHA or _bits_per_sample(image) > 8:
        raise DataError(
            f"{shown} is not 8-bit RGB or grey (mode {image.mode}, "
            f"{_bits_per_sample(image)} bits a sample); convert it to 8-bit RGB first"
        )


def _bits_per_sample(image: PIL.Image.Image) -> int:
    """Bits a sample in the file; Pillow reads 16-bit RGB as 8-bit without a word."""
    for _, _, _, arguments in image.tile:  # type: ignore[attr-defined]
        raw_mode, *rest = arguments if isinstance(arguments, tuple) else (arguments,)
        if ";16" in str(raw_mode) or (image.format == "PPM" and rest and rest[0] > 255):
            return 16
    return {"I": 32, "F": 32}.get(image.mode, 16 if image.mode.startswith("I;16") else 8)


def _opaque(shown: str, image: PIL.Image.Image) -> PIL.Image.Image:
    if image.mode not in _ALPHA and "transparency" not in image.info:
        return image
    rgba = image.convert("RGBA")
    if rgba.getchannel("A").getextrema() != (255, 255):
        raise DataError(f"{shown} is transparent in places; put it on a background first")
    return rgba


def _refuse_corrupt_jpeg(data: bytes) -> None:
    """Raise ValueError where libjpeg says that a JPEG is corrupt.

    libjpeg conceals damage, and no binding of it here passes on its warnings. libjxl parses every
    code word when it repacks a JPEG and stops at the first that is wrong, but also at good files of
    unusual kinds (4:1:1, arithmetic coding, long tails). So libjpeg is asked about those only: in
    a process of its own, as it writes its warnings to stderr.
    """
    import imagecodecs

    try:
        imagecodecs.jpegxl_encode_jpeg(data)
    except imagecodecs.JpegxlError:
        warnings = [line for line in _libjpeg_warnings(data) if line.startswith(_DAMAGE)]
        if warnings:
            raise ValueError(f"libjpeg says: {warnings[0]}") from None


_DAMAGE = ("Corrupt JPEG data", "Premature end of JPEG")
_SHOW_WARNINGS = """
import sys, cv2, numpy
cv2.imdecode(numpy.frombuffer(sys.stdin.buffer.read(), numpy.uint8), cv2.IMREAD_COLOR)
"""


def _libjpeg_warnings(data: bytes) -> list[str]:
    program = [sys.executable, "-c", _SHOW_WARNINGS]
    done = subprocess.run(program, input=data, capture_output=True, check=False)
    return done.stderr.decode(errors="replace").splitlines()


_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = (b"tRNS", b"eXIf", b"acTL", b"fcTL", b"fdAT")
_PNG_ORIENTATION = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0")
_MOST_TEXT = 2**20  # bytes; Pillow's own limit for one text of a PNG


def _without_ancillary(data: bytes) -> bytes:
    """The PNG with nothing but what decides its pixels and its orientation.

    Pillow inflates every text and colour profile, and refuses the image for a large or broken
    one; and it does not look at the checksums of the pixels.

    Raises:
        ValueError: the file is cut, or a checksum is wrong.
    """
    kept = [_PNG]
    for kind, chunk in _chunks(data):
        if kind in (b"tEXt", b"zTXt", b"iTXt"):
            needed = _is_orientation(kind, chunk[8:-4])
        else:
            needed = kind[:1].isupper() or kind in _PNG_KEPT
        if needed:
            if zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:]):
                raise ValueError(f"the checksum of its {kind.decode('latin-1')} chunk is wrong")
            kept.append(chunk)
    return b"".join(kept)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and bytes of every chunk of a PNG, to the last."""
    at, kind = len(_PNG), b""
    while kind != b"IEND":
        if at + 12 > len(data):
            raise ValueError("the file is cut")
        n_bytes, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + n_bytes
        if end > len(data):
            raise ValueError("the file is cut")
        yield kind, data[at:end]
        at = end


def _is_orientation(kind: bytes, text: bytes) -> bool:
    """Whether a text may hold the orientation, and is no larger than Pillow reads."""
    keyword = next((k for k in _PNG_ORIENTATION if text.startswith(k)), None)
    if keyword is None or len(text) > _MOST_TEXT:
        return False
    if kind == b"tEXt" or (kind == b"iTXt" and text[len(keyword) :][:1] == b"\0"):
        return True
    packed = text[len(keyword) :].lstrip(b"\0\1")
    inflater = zlib.decompressobj()
    try:
        return len(inflater.decompress(packed, _MOST_TEXT)) < _MOST_TEXT
    except zlib.error:
        return False
