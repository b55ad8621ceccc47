"""Reading and writing pictures: what becomes an 8-bit sRGB array, and what is refused.

======================  ==========================================================================
8-bit RGB               as it is; colour profiles are ignored, as the literature does
8-bit grey, palette     converted to RGB, which changes no pixel
EXIF orientation        applied, so that the picture is measured as it is seen
opaque alpha            dropped
transparent alpha       refused: put the picture on a background first
over 8 bits, CMYK, ...  refused: convert first, so that the conversion is yours and known
animation               refused
cut or corrupt file     refused
======================  ==========================================================================
"""

from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps

from rdbench.errors import DataError
from rdbench.files import replacing
from rdbench.types import Image

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp")
"""File types that a folder of pictures may hold."""

_DIRECT = ("1", "L", "RGB", "P")
_ALPHA = ("LA", "PA", "RGBA")


def read_image(path: Path) -> Image:
    """Read a picture as 8-bit sRGB.

    Args:
        path: a file of one of SUFFIXES.

    Returns:
        uint8 array, shape (height, width, 3).

    Raises:
        DataError: the file is missing, cut, corrupt or of a kind that needs a conversion first.
    """
    try:
        with PIL.Image.open(path) as picture:
            _refuse_what_needs_a_choice(path, picture)
            upright = PIL.ImageOps.exif_transpose(picture)
            return np.asarray(_opaque(path, upright).convert("RGB"))
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"no picture at {path}") from None
    except PIL.UnidentifiedImageError:
        raise DataError(f"{path} is not a picture that can be read") from None
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read: {error}") from None


def write_image(image: Image, path: Path) -> None:
    """Write an 8-bit sRGB picture; the suffix decides the type. Folders are made as needed.

    Raises:
        DataError: it cannot be written.
    """
    try:
        with replacing(path) as partial:
            PIL.Image.fromarray(image).save(partial)
    except ValueError as error:
        raise DataError(f"cannot write {path}: {error}") from None


def _refuse_what_needs_a_choice(path: Path, picture: PIL.Image.Image) -> None:
    if getattr(picture, "n_frames", 1) > 1:
        raise DataError(f"{path} holds {picture.n_frames} frames; save one as a PNG")  # type: ignore[attr-defined]
    if picture.mode not in _DIRECT + _ALPHA or _bits_per_sample(picture) > 8:
        raise DataError(
            f"{path} is not 8-bit RGB or grey (mode {picture.mode}, "
            f"{_bits_per_sample(picture)} bits a sample); convert it to 8-bit RGB first"
        )


def _bits_per_sample(picture: PIL.Image.Image) -> int:
    """Bits a sample in the file; Pillow reads 16-bit RGB as 8-bit without a word."""
    for _, _, _, arguments in picture.tile:  # type: ignore[attr-defined]
        raw_mode, *rest = arguments if isinstance(arguments, tuple) else (arguments,)
        if ";16" in str(raw_mode) or (picture.format == "PPM" and rest and rest[0] > 255):
            return 16
    return {"I": 32, "F": 32}.get(picture.mode, 16 if picture.mode.startswith("I;16") else 8)


def _opaque(path: Path, picture: PIL.Image.Image) -> PIL.Image.Image:
    if picture.mode not in _ALPHA and "transparency" not in picture.info:
        return picture
    rgba = picture.convert("RGBA")
    if rgba.getchannel("A").getextrema() != (255, 255):
        raise DataError(f"{path} is transparent in places; put it on a background first")
    return rgba
