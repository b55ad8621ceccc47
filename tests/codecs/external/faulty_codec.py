"""A codec that fails in as many ways as a program can: the first sample of an image says how.

It stores pixels as they are. Faults are named functions; an image whose first sample is 0 has none.
`FAULTS` gives each fault, when encoding (e) or decoding (d), and what the record must say.
"""

import ctypes
import fcntl
import os
import signal
import stat
import struct
import subprocess
import sys
import time

SIZE = struct.Struct("<HH")


class Faulty:
    """Pixels as they are."""

    def __init__(self, quality=1, tag="0", late=False):
        self.tag, self.late = tag, late

    def compress(self, image):
        fail("e", image.reshape(-1)[0], self.tag)
        return SIZE.pack(*image.shape[:2]) + image.tobytes()

    def decompress(self, data):
        import numpy as np

        fail("d", data[SIZE.size], self.tag)
        image = np.frombuffer(data, np.uint8, offset=SIZE.size)
        return image.reshape(*SIZE.unpack_from(data), 3)


def fail(where, sample, tag):
    """Do what the first sample of the image asks for."""
    if not sample:
        print("printed by a good call")
        os.write(1, b"printed below Python\n")
        return
    fault, when, _ = FAULTS[sample - 1]
    if when == where:
        fault(tag)


def raises(_):
    raise ValueError("the latents\nare NaN")


def raises_much(_):
    raise ValueError("much " * 1_000_000)


def exits(_):
    sys.exit("no more")


def interrupted(_):
    raise KeyboardInterrupt


def no_memory(_):
    bytearray(1 << 62)


def aborts(_):
    print("about to abort")
    os.abort()


def segfaults(_):
    ctypes.string_at(0)


def leaves(_):
    os.write(2, b"one\ntwo\nthree\nfour\n")
    os._exit(3)


def killed(_):
    os.kill(os.getpid(), signal.SIGKILL)


def hangs(tag):
    subprocess.Popen(["setsid", "sleep", tag])
    time.sleep(600)


def stops_itself(_):
    os.kill(os.getpid(), signal.SIGSTOP)


def floods(_):
    while True:
        os.write(2, b"x" * (1 << 20))


def reads_input(_):
    input()


def garbage(_):
    os.write(protocol_pipe(), b"epoch 1: loss 0.3\n")


def cut_short(_):
    os.write(protocol_pipe(), message('{"blobs": [1000]}') + b"few")
    os._exit(0)


def huge_header(_):
    os.write(protocol_pipe(), b"RDBW" + struct.pack("<I", 1 << 31))


def no_json(_):
    os.write(protocol_pipe(), message("{{"))


def other_request(_):
    os.write(protocol_pipe(), message('{"number": 1, "seconds": 1, "blobs": []}'))


def no_image(_):
    number = sys._getframe(6).f_locals["request"]["number"]
    text = '{"number": %d, "seconds": 1, "shape": [16, 16, 3], "dtype": "object", "blobs": [768]}'
    os.write(protocol_pipe(), message(text % number) + bytes(768))


def negative_time(_):
    number = sys._getframe(6).f_locals["request"]["number"]
    text = '{"number": %d, "seconds": NaN, "segments": [], "estimated_bits": null, "blobs": [1]}'
    os.write(protocol_pipe(), message(text % number) + b"x")


def forks_and_returns(_):
    os.fork()
    time.sleep(0.2)


def dies_with_child(_):
    if os.fork() == 0:
        time.sleep(600)
    os._exit(7)


def child_survives(tag):
    subprocess.Popen(["sleep", tag])
    subprocess.Popen(["setsid", "sleep", tag])


def message(header):
    """A message of the protocol without blobs."""
    return b"RDBW" + struct.pack("<I", len(header)) + header.encode()


def protocol_pipe():
    """The descriptor that replies are written to."""
    for fd in range(3, 256):
        try:
            is_pipe = stat.S_ISFIFO(os.fstat(fd).st_mode)
        except OSError:
            continue
        if is_pipe and fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_WRONLY:
            return fd
    raise AssertionError("no pipe")


BROKEN = "does not keep to the protocol: "
ENCODE = "cannot encode 16x16 pixels: .*faulty_codec.py, line "
FAULTS = (
    (raises, "e", ENCODE + r"\d+: ValueError: the latents are NaN$"),
    (raises, "d", r"cannot decode: .*faulty_codec.py, line \d+: ValueError: the latents are NaN$"),
    (raises_much, "e", ENCODE + r"\d+: ValueError: (much ){10,60}[much]{,4}$"),
    (exits, "e", ENCODE + r"\d+: SystemExit: no more$"),
    (interrupted, "d", "cannot decode: .*KeyboardInterrupt"),
    (no_memory, "e", ENCODE + r"\d+: (MemoryError|OverflowError)"),
    (aborts, "e", r"the worker ended \(SIGABRT\): about to abort"),
    (segfaults, "d", r"the worker ended \(SIGSEGV\): it printed nothing"),
    (leaves, "e", r"the worker ended \(exit status 3\): two \| three \| four"),
    (killed, "d", r"the worker ended \(SIGKILL; out of memory\?\)"),
    (hangs, "e", r"the worker was stopped after 2 s"),
    (stops_itself, "d", r"the worker was stopped after 2 s"),
    (floods, "e", "the worker printed more than 64 MiB: "),
    (reads_input, "e", ENCODE + r"\d+: EOFError"),
    (garbage, "e", BROKEN + "it sent b'epoc' instead of a message"),
    (cut_short, "e", r"the worker ended \(exit status 0\)"),
    (huge_header, "d", BROKEN + "it sent a header of 2147483648 bytes"),
    (no_json, "e", BROKEN + "it sent a header that cannot be read"),
    (other_request, "d", BROKEN + "it sent reply to request 1"),
    (no_image, "d", BROKEN + "a reply that cannot be used .*object"),
    (negative_time, "e", BROKEN + "a reply that cannot be used"),
    (dies_with_child, "e", r"the worker ended \(exit status 7\)"),
    (forks_and_returns, "e", ""),
    (child_survives, "d", ""),
)
