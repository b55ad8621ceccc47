"""Y4M files of one image, as video decoders write them: a line that says the size, then planes."""

import re
from typing import NamedTuple

from rdbench.errors import BitstreamError
from rdbench_codecs.conventional.limits import require_size

_HEADER = re.compile(rb"YUV4MPEG2 W(\d+) H(\d+) (?:[^\n]* )?C(\w+)[^\n]*\nFRAME\n")


class Y4m(NamedTuple):
    """A file of one image.

    Attributes:
        sample_format: such as ``444`` (8 bit) or ``420p10``.
        width, height: of the luma plane in pixels.
        samples: the planes, one after the other.
    """

    sample_format: str
    width: int
    height: int
    samples: bytes


def read_y4m(data: bytes, chroma: str) -> Y4m:
    """Take a file apart.

    Args:
        data: the file.
        chroma: how its sample format must begin: ``444`` or ``420``.

    Raises:
        BitstreamError: it is not one image of that chroma format, or over the limit of size.
    """
    header = _HEADER.match(data)
    if not header or not header[3].decode().startswith(chroma):
        raise BitstreamError(f"the decoder did not write a {':'.join(chroma)} image")
    width, height, sample_format = int(header[1]), int(header[2]), header[3].decode()
    require_size(width, height)
    n_chroma = width * height if chroma == "444" else -(-width // 2) * -(-height // 2)
    n_bytes = (width * height + 2 * n_chroma) * (2 if "p1" in sample_format else 1)
    if len(data) - header.end() != n_bytes:
        raise BitstreamError(f"the decoder did not write one image of {width}x{height} pixels")
    return Y4m(sample_format, width, height, data[header.end() :])
