"""The file format of the learned codecs: a header that tells all, then the segments.

    bytes   what
    1       0xA0 + number of the codec in CODECS
    1       number of segments n
    1-5     height, LEB128
    1-5     width, LEB128
    4       rate parameter (lambda, or a quantization regulator), float32, little-endian
    4       start of the weights' SHA-256
    1       bits b that hold the length of a segment in bytes
    n*b/8   lengths of the segments, least significant bit first, rounded up to whole bytes
    4       CRC-32 of all of the above
    rest    the segments, each with a check of its own (see entropy.py)

A file that is cut at the end of a segment is a valid file of lower quality for a codec that can
decode from its first segments; ``unpack_partial`` reads it.
"""

import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from rdbench.errors import BitstreamError

CODECS = {"qarv": 1, "hyperprior": 2}
"""Number of each codec in the first byte of a file."""

MAX_PIXELS = 2**28
"""Largest image; bounds what a header can make the decoder allocate."""

_MAGIC = 0xA0
_FINGERPRINT_BYTES = 4
_FIXED = struct.Struct(f"<f{_FINGERPRINT_BYTES}sB")
_CRC = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Header:
    """What the decoder must know before the first segment.

    Attributes:
        codec: name in CODECS.
        height, width: size of the image in pixels.
        parameter: the rate parameter, rounded to float32 when written.
        fingerprint: SHA-256 of the weights as hexadecimal digits; its first 8 digits are kept.
    """

    codec: str
    height: int
    width: int
    parameter: float
    fingerprint: str


def pack(header: Header, segments: Sequence[bytes]) -> bytes:
    """The file; its header takes ``len(pack(...)) - sum of the segments' lengths`` bytes."""
    n_bits = max((len(segment) for segment in segments), default=0).bit_length()
    lengths = sum(len(segment) << (n_bits * i) for i, segment in enumerate(segments))
    fingerprint = bytes.fromhex(header.fingerprint)[:_FINGERPRINT_BYTES]
    head = b"".join(
        (
            bytes((_MAGIC + CODECS[header.codec], len(segments))),
            _leb128(header.height),
            _leb128(header.width),
            _FIXED.pack(header.parameter, fingerprint, n_bits),
            lengths.to_bytes(_n_bytes(n_bits * len(segments)), "little"),
        )
    )
    return b"".join((head, _CRC.pack(zlib.crc32(head)), *segments))


def unpack_partial(data: bytes, codec: str, fingerprint: str) -> tuple[Header, list[bytes | None]]:
    """The header and the segments; None for those that are not whole.

    Args:
        data: the file.
        codec: the codec that it must be of.
        fingerprint: SHA-256 of the weights that it must have been made with, hexadecimal.

    Raises:
        BitstreamError: the header is cut or corrupt, or not of this codec and these weights.
    """
    try:
        header, lengths, start = _read_header(data)
    except (IndexError, struct.error):
        raise BitstreamError("the file ends inside its header") from None
    if header.codec != codec:
        raise BitstreamError(f"the file is of codec {header.codec}, not {codec}")
    if not fingerprint.startswith(header.fingerprint):
        raise BitstreamError(
            f"the file was made with weights {header.fingerprint}..., "
            f"these are {fingerprint[: 2 * _FINGERPRINT_BYTES]}..."
        )
    ends = list(accumulate(lengths, initial=start))
    if ends[-1] < len(data):
        raise BitstreamError(f"{len(data) - ends[-1]} bytes follow the last segment")
    return header, [data[a:b] if b <= len(data) else None for a, b in pairwise(ends)]


def _read_header(data: bytes) -> tuple[Header, list[int], int]:
    """Header, lengths of the segments, and where the first one starts."""
    codec = {_MAGIC + number: name for name, number in CODECS.items()}.get(data[0])
    if codec is None:
        raise BitstreamError(f"no file of a learned codec: it starts with byte 0x{data[0]:02x}")
    n_segments = data[1]
    height, at = _read_leb128(data, 2)
    width, at = _read_leb128(data, at)
    parameter, fingerprint, n_bits = _FIXED.unpack_from(data, at)
    at += _FIXED.size
    end = at + _n_bytes(n_bits * n_segments)
    if zlib.crc32(data[:end]) != _CRC.unpack_from(data, end)[0]:
        raise BitstreamError("the header is corrupt (CRC mismatch)")
    if not 0 < height * width <= MAX_PIXELS or not math.isfinite(parameter):
        raise BitstreamError(f"no image has {width}x{height} pixels and parameter {parameter}")
    packed = int.from_bytes(data[at:end], "little")
    lengths = [(packed >> (n_bits * i)) & ((1 << n_bits) - 1) for i in range(n_segments)]
    header = Header(codec, height, width, parameter, fingerprint.hex())
    return header, lengths, end + _CRC.size


def _n_bytes(n_bits: int) -> int:
    return (n_bits + 7) // 8


def _leb128(value: int) -> bytes:
    """Seven bits a byte, the least significant first, the high bit set on all but the last."""
    groups = [(value >> shift) & 0x7F for shift in range(0, max(value.bit_length(), 1), 7)]
    return bytes([group | 0x80 for group in groups[:-1]] + groups[-1:])


def _read_leb128(data: bytes, at: int) -> tuple[int, int]:
    """The value and the position after it; five bytes at most."""
    value = 0
    for i in range(5):
        value |= (data[at + i] & 0x7F) << (7 * i)
        if data[at + i] < 0x80:
            return value, at + i + 1
    raise BitstreamError("the header is corrupt (a size of more than five bytes)")
