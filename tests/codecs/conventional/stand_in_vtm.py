"""Stands in for VTM's two programs in tests: the same command lines, a copy instead of a codec.

``stand_in_vtm.py FOLDER ROLE ARGUMENTS...``: ROLE is ``encoder`` or ``decoder``. FOLDER holds the
file ``mode.json`` (role -> behaviour) and gets ``encoder.json`` and ``decoder.json``: the arguments
and the files seen. A hanging program holds a lock on ``hanging``; it is dead when the lock is free.
"""

import fcntl
import json
import pathlib
import struct
import sys
import time
import zlib

MAGIC = b"\x00\x00\x00\x01copy"
VERSIONS = {"old": "17.2", "silent": ""}


def main(folder: pathlib.Path, role: str, arguments: list[str]) -> None:
    mode = json.loads((folder / "mode.json").read_text()).get(role, "copy")
    version = VERSIONS.get(mode, "18.0")
    if version:
        print(f"VVCSoftware: VTM {role.title()} Version {version} [Linux][64 bit]", flush=True)
    if not arguments:
        print("        --help                   this help text")
        sys.exit(1)
    (folder / f"{role}.json").write_text(json.dumps(arguments))
    if mode == "hang":
        with (folder / "hanging").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            (folder / "started").touch()
            time.sleep(600)
    if mode == "fail":
        print("some progress\nERROR: In function stand-in: it failed as told", file=sys.stderr)
        sys.exit(3)
    if mode == "nothing":
        return
    {"encoder": encode, "decoder": decode}[role](arguments, mode)


def encode(arguments: list[str], mode: str) -> None:
    given = dict(a.removeprefix("--").split("=", 1) for a in arguments if a.startswith("--"))
    width, height = int(given["SourceWidth"]), int(given["SourceHeight"])
    planes = pathlib.Path(given["InputFile"]).read_bytes()
    assert len(planes) == 3 * width * height
    assert pathlib.Path(arguments[arguments.index("-c") + 1]).is_file()
    packed = zlib.compress(planes)
    head = MAGIC + struct.pack("<HHI", width, height, zlib.crc32(packed))
    pathlib.Path(given["BitstreamFile"]).write_bytes(head + packed)
    pathlib.Path("rec.yuv").write_bytes(planes)


def decode(arguments: list[str], mode: str) -> None:
    given = dict(zip(arguments[::2], arguments[1::2], strict=True))
    data = pathlib.Path(given["-b"]).read_bytes()
    width, height, crc = struct.unpack_from("<HHI", data, len(MAGIC))
    packed = data[len(MAGIC) + 8 :]
    if not data.startswith(MAGIC) or zlib.crc32(packed) != crc:
        sys.exit("ERROR: not a bitstream of the stand-in")
    planes = zlib.decompress(packed)
    samples, depth = planes, ""
    if given["-d"] == "0":
        samples = b"".join(struct.pack("<H", value << 2) for value in planes)
        depth = "p10"
    header = f"YUV4MPEG2 W{width} H{height} F50:1 Ip A0:0 C444{depth}\nFRAME\n".encode()
    wrong = {
        "short": header + samples[:-1],
        "two": header + samples + b"FRAME\n" + samples,
        "bomb": header.replace(b"W", b"W9999999") + samples,
        "chroma": header.replace(b"C444", b"C420") + samples,
        "noise": bytes(range(256)) * 4,
    }
    pathlib.Path(given["-o"]).write_bytes(wrong.get(mode, header + samples))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
