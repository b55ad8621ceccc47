"""Codecs that misbehave in every way a sweep must survive."""

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from rdbench.errors import Unavailable
from rdbench.types import Bitstream, Codec, Segment
from rdbench_codecs.conventional.null import Null


class Foreign(Exception):
    """An exception that pickles and does not unpickle."""

    def __init__(self, one, two):
        super().__init__(f"{one}, {two}")


def unsendable(task):
    """A function for workers whose results do not survive the way back."""
    if task == "bad exception":
        raise Foreign("a", "b")
    return (lambda: 0) if task == "lambda" else task


def revived(step, trouble, width):
    """What a worker makes of a pickled ``Toy``."""
    if trouble == "die in unpickle":
        os._exit(9)
    if trouble == "raise in unpickle":
        raise ImportError("a codec that cannot be loaded")
    return Toy(step, trouble, width)


@dataclass(frozen=True)
class Toy(Codec):
    """Quantises to multiples of ``step``; ``trouble`` befalls images of ``width``, or all."""

    name: ClassVar[str] = "toy"
    title: ClassVar[str] = "toy"
    rate_parameters: ClassVar[tuple[str, ...]] = ("step",)
    ladder_values: ClassVar[tuple[int, ...]] = (64, 16)

    step: int = 16
    trouble: str = ""
    width: int = 0

    def encode(self, image):
        if self.width in (0, image.shape[1]):
            if self.trouble == "nothing in encode":
                return None
            self.misbehave("encode", image)
        stream = Null().encode(image // self.step * self.step)
        return Bitstream(stream.data, (Segment("all", len(stream.data), 8.0 * len(stream.data)),))

    def decode(self, data):
        pixels = Null().decode(data)
        if self.width in (0, pixels.shape[1]):
            if self.trouble == "shape":
                return pixels[:-1]
            if self.trouble == "nothing in decode":
                return None
            if self.trouble == "another in decode":
                return 255 - pixels
            if self.trouble == "nan":
                return np.full(pixels.shape, np.nan, np.float32)
            if self.trouble == "float64":
                return pixels / 255.0
            self.misbehave("decode", pixels)
        return pixels

    def prepare(self):
        if self.trouble == "raise in prepare":
            raise Unavailable("no weights")
        self.count("prepare")

    def misbehave(self, where, pixels):
        self.count(where)
        if self.trouble == f"raise in {where}":
            raise RuntimeError("two\nlines")
        if self.trouble == f"die in {where}":
            os._exit(7)
        if self.trouble == f"kill in {where}":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.trouble == f"exit in {where}":
            sys.exit(3)
        if self.trouble == f"memory in {where}":
            np.empty(1 << 60, np.uint8)
        if self.trouble == f"exhaust in {where}":
            self.misbehave(where, pixels)
        if self.trouble == f"fork in {where}":
            os.fork()
        if self.trouble == f"leave a child and die in {where}" and os.fork():
            os._exit(7)
        elif self.trouble == f"leave a child and die in {where}":
            time.sleep(120)
        if self.trouble == f"print in {where}":
            for _ in range(int(os.environ["TOY_MEGABYTES"])):
                os.write(1, bytes(1 << 20))
        if self.trouble == f"raise foreign in {where}":
            raise Foreign("a", "b")
        if self.trouble == f"hang in {where}":
            time.sleep(600)
        if self.trouble == f"write in {where}" and where == "encode":
            pixels[0, 0, 0] = 1

    def __reduce__(self):
        if self.trouble == "die in pickle":
            raise TypeError("a codec that cannot be sent")
        return revived, (self.step, self.trouble, self.width)

    def count(self, call):
        if self.trouble == "count":
            with Path(os.environ["TOY_CALLS"]).open("a") as calls:
                calls.write(f"{call} {self.step}\n")

    def check(self):
        if self.trouble == "unavailable":
            raise Unavailable("toy is sold out; make one")
