"""The programs of my-codec: pixels rounded to multiples of a step, compressed with zlib.

MODULE.py encode INPUT.ppm OUTPUT STEP
MODULE.py decode INPUT OUTPUT.ppm

It needs Python alone. Any program that reads and writes files can take its place.
"""

import sys
import zlib
from pathlib import Path


def encode(source: Path, target: Path, step: int) -> None:
    """A PPM file is its header, such as "P6 768 512 255", and then its samples."""
    if not 1 <= step <= 128:
        sys.exit(f"step {step} is not between 1 and 128")
    data = source.read_bytes()
    header = b" ".join(data.split(maxsplit=4)[:4]) + b"\n"
    n_samples = 3 * int(header.split()[1]) * int(header.split()[2])
    levels = bytes(sample // step for sample in data[len(data) - n_samples :])
    target.write_bytes(bytes([step]) + zlib.compress(header + levels, 9))


def decode(source: Path, target: Path) -> None:
    """All that the encoder chose is in the file: the step is its first byte."""
    data = source.read_bytes()
    try:
        step, (header, _, levels) = data[0], zlib.decompress(data[1:]).partition(b"\n")
    except (IndexError, zlib.error) as error:
        sys.exit(f"not a file of this program: {error}")
    samples = bytes(min(255, level * step + step // 2) for level in levels)
    target.write_bytes(header + b"\n" + samples)


if __name__ == "__main__":
    action, source, target, *steps = sys.argv[1:]
    if action == "encode":
        encode(Path(source), Path(target), round(float(steps[0])))
    else:
        decode(Path(source), Path(target))
