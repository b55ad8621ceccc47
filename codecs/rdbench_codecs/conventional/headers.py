"""Width and height from the headers of files, read before a library sees the bytes.

Every function takes a whole file, returns (width, height) in pixels and raises BitstreamError where
the file is of another format or ends too early.
"""

import struct

from rdbench.errors import BitstreamError

_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
_JXL_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_JXR_RGB8, _JXR_SHORT = 0x71, 0x80  # OUTPUT_CLR_FMT and OUTPUT_BITDEPTH; SHORT_HEADER_FLAG
_JXR_WIDTH, _JXR_HEIGHT, _JXR_OFFSET, _JXR_BYTES = 0xBC80, 0xBC81, 0xBCC0, 0xBCC1


def jpeg(data: bytes) -> tuple[int, int]:
    """Read the frame header of a JPEG (ITU-T T.81, B.2.2) or JPEG-LS file (T.87, C.2.2).

    Libraries fill what is missing of a file with grey and only warn, so its end must be there.
    """
    if not data.startswith(b"\xff\xd8"):
        raise BitstreamError("not a JPEG file")
    if not data.endswith(b"\xff\xd9"):
        raise BitstreamError("cut short: there is no end-of-image marker")
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        if data[at + 1] in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    raise BitstreamError("a JPEG file without a frame header")


def webp(data: bytes) -> tuple[int, int]:
    """Read a simple lossy WebP file (RFC 9649, 2.5; RFC 6386, 9.1)."""
    if data[:4] != b"RIFF" or data[8:16] != b"WEBPVP8 " or data[23:26] != b"\x9d\x01\x2a":
        raise BitstreamError("not a lossy WebP file")
    width, height = data[26:28], data[28:30]
    return int.from_bytes(width, "little") & 0x3FFF, int.from_bytes(height, "little") & 0x3FFF


def webp_lossless(data: bytes) -> tuple[int, int]:
    """Read a simple lossless WebP file (RFC 9649, 2.6 and 3.4)."""
    if data[:4] != b"RIFF" or data[8:16] != b"WEBPVP8L" or data[20:21] != b"\x2f":
        raise BitstreamError("not a lossless WebP file")
    bits = int.from_bytes(data[21:25], "little")
    return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)


def jpeg2000(data: bytes) -> tuple[int, int]:
    """Read the SIZ segment of a JPEG 2000 codestream, HT blocks or not (ITU-T T.800, A.5.1)."""
    if data[:4] != b"\xff\x4f\xff\x51" or len(data) < 24:
        raise BitstreamError("not a JPEG 2000 codestream")
    if not data.endswith(b"\xff\xd9"):
        raise BitstreamError("cut short: there is no end-of-codestream marker")
    right, bottom, left, top = struct.unpack_from(">4I", data, 8)
    return right - left, bottom - top


def jxl(data: bytes) -> tuple[int, int]:
    """Read the SizeHeader of a JPEG XL codestream (ISO/IEC 18181-1, annex D.2)."""
    if not data.startswith(b"\xff\x0a"):
        raise BitstreamError("not a JPEG XL codestream")
    bits = int.from_bytes(data[2:14], "little")

    def read(n_bits: int) -> int:
        nonlocal bits
        value, bits = bits & ((1 << n_bits) - 1), bits >> n_bits
        return value

    def side() -> int:
        return 8 * (1 + read(5)) if small else 1 + read((9, 13, 18, 30)[read(2)])

    small = read(1)
    height = side()
    ratio = read(3)
    if ratio == 0:
        return side(), height
    numerator, denominator = _JXL_RATIOS[ratio - 1]
    return height * numerator // denominator, height


def jpegxr(data: bytes) -> tuple[int, int]:
    """Read the first directory of a JPEG XR file and its image header (ITU-T T.832, A.7 and 8.3).

    jxrlib decodes a file that was cut and fills what is missing; the directory says how many bytes
    there should be. It divides by zero on some damaged headers of other pixel formats.
    """
    if data[:4] != b"II\xbc\x01" or len(data) < 8:
        raise BitstreamError("not a JPEG XR file")
    entries = _directory(data, int.from_bytes(data[4:8], "little"))
    try:
        size = entries[_JXR_WIDTH], entries[_JXR_HEIGHT]
        start, n_bytes = entries[_JXR_OFFSET], entries[_JXR_BYTES]
    except KeyError:
        raise BitstreamError("a JPEG XR file without a size") from None
    if start + n_bytes > len(data) or n_bytes < 20:
        raise BitstreamError(f"cut short: {len(data)} of at least {start + n_bytes} bytes")
    flags, pixel_format = data[start + 10 : start + 12]
    if pixel_format != _JXR_RGB8:
        raise BitstreamError("a JPEG XR file that is not 8-bit RGB")
    sides = struct.unpack_from(">HH" if flags & _JXR_SHORT else ">II", data, start + 12)
    if size != (sides[0] + 1, sides[1] + 1):
        raise BitstreamError("a JPEG XR file with two different sizes")
    return size


def _directory(data: bytes, at: int) -> dict[int, int]:
    """Tag -> value of the entries of a directory as in TIFF, little-endian."""
    (n_entries,) = struct.unpack("<H", data[at : at + 2].ljust(2, b"\0"))
    entries = data[at + 2 : at + 2 + 12 * n_entries]
    if len(entries) < 12 * n_entries:
        raise BitstreamError("a JPEG XR file that ends in its directory")
    return {tag: value for tag, _, _, value in struct.iter_unpack("<HHII", entries)}


def png(data: bytes) -> tuple[int, int]:
    """Read the IHDR chunk of a PNG file (ISO/IEC 15948, 11.2.1)."""
    if data[:8] != b"\x89PNG\r\n\x1a\n" or data[12:16] != b"IHDR" or len(data) < 24:
        raise BitstreamError("not a PNG file")
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def qoi(data: bytes) -> tuple[int, int]:
    """Read the header of a QOI file, and check that its end is there.

    Source: https://qoiformat.org/qoi-specification.pdf.
    """
    if data[:4] != b"qoif" or len(data) < 22:
        raise BitstreamError("not a QOI file")
    if not data.endswith(bytes(7) + b"\1"):
        raise BitstreamError("cut short: the end marker is missing")
    width, height = struct.unpack_from(">II", data, 4)
    return width, height
