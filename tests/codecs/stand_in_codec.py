"""A small JPEG program for the tests of the command codec: Pillow behind a command line.

stand_in_codec.py encode INPUT OUTPUT QUALITY
stand_in_codec.py decode INPUT OUTPUT
stand_in_codec.py encode-yuv INPUT OUTPUT WIDTH HEIGHT, decode-yuv INPUT OUTPUT WIDTH HEIGHT
stand_in_codec.py version | fail | hang | nothing | wrong-size | grey
"""

import pathlib
import sys
import time
import zlib


def main(action: str, *arguments: str) -> None:
    if action == "encode":
        source, target, quality = arguments
        image = open_picture(source)
        image.save(target, "JPEG", quality=int(float(quality)))
    elif action == "decode":
        source, target = arguments
        open_picture(source, "JPEG").save(target)
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
    elif action == "grey":
        open_picture(arguments[0]).convert("L").save(arguments[1])
    elif action == "version":
        print("\nstand-in 1.2\nmore")
    elif action == "fail":
        sys.exit("progress\nthis is why")
    elif action == "hang":
        time.sleep(600)


def open_picture(path: str, *formats: str):
    from PIL import Image

    return Image.open(path, formats=formats or None)


if __name__ == "__main__":
    main(*sys.argv[1:])
