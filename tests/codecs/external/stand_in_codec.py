"""A small JPEG program for the tests of the command codec: Pillow behind a command line.

stand_in_codec.py encode INPUT OUTPUT QUALITY
stand_in_codec.py decode INPUT OUTPUT
stand_in_codec.py encode-yuv INPUT OUTPUT WIDTH HEIGHT, decode-yuv INPUT OUTPUT WIDTH HEIGHT
stand_in_codec.py version | fail | hang | nothing | wrong-size | transparent | deep
stand_in_codec.py as-MODE INPUT OUTPUT
"""

import pathlib
import sys
import time
import zlib


def main(action: str, *arguments: str) -> None:
    if action == "encode":
        source, target, quality = arguments
        image = open_image(source)
        image.save(target, "JPEG", quality=int(float(quality)))
    elif action == "decode":
        source, target = arguments
        open_image(source, "JPEG").save(target)
    elif action == "encode-yuv":
        source, target, width, height = arguments
        planes = pathlib.Path(source).read_bytes()
        assert len(planes) == 3 * int(width) * int(height)
        pathlib.Path(target).write_bytes(zlib.compress(planes))
    elif action == "decode-yuv":
        source, target, width, height = arguments
        planes = zlib.decompress(pathlib.Path(source).read_bytes())
        assert len(planes) == 3 * int(width) * int(height)
        pathlib.Path(target).write_bytes(planes)
    elif action == "wrong-size":
        pathlib.Path(arguments[1]).write_bytes(b"12345")
    elif action.startswith("as-"):
        open_image(arguments[0]).convert(action.removeprefix("as-")).save(arguments[1])
    elif action == "transparent":
        image = open_image(arguments[0]).convert("RGBA")
        image.putalpha(128)
        image.save(arguments[1])
    elif action == "deep":
        write_deep(open_image(arguments[0]), arguments[1])
    elif action == "version":
        print("\nstand-in 1.2\nmore")
    elif action == "fail":
        sys.exit("progress\nthis is why")
    elif action == "hang":
        time.sleep(600)


def open_image(path: str, *formats: str):
    from PIL import Image

    return Image.open(path, formats=formats or None)


def write_deep(image, path: str) -> None:
    """A PNG file of 16 bits per sample, which Pillow cannot write."""
    import struct

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    width, height = image.size
    samples = bytes(v for sample in image.convert("RGB").tobytes() for v in (sample, 0))
    rows = (samples[i : i + 6 * width] for i in range(0, len(samples), 6 * width))
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    content = zlib.compress(b"".join(b"\0" + row for row in rows))
    file = chunk(b"IHDR", header) + chunk(b"IDAT", content) + chunk(b"IEND", b"")
    pathlib.Path(path).write_bytes(b"\x89PNG\r\n\x1a\n" + file)


if __name__ == "__main__":
    main(*sys.argv[1:])
