"""Codecs that misbehave in every way a sweep must survive, or break one rule of the contract."""

import hashlib
import os
import runpy
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from rdbench.errors import BitstreamError, Unavailable
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


EXAMPLE = Path(__file__).parents[1] / "examples" / "your_own_codec.py"
Steps = runpy.run_path(str(EXAMPLE))["Steps"]
"""The codec of the documentation, which keeps the contract."""

FAULTS = []
"""(checks that fail, advice of the first, class), for codecs with one fault each."""

PROCESS = "another process decodes the file"
ORDER = "the order of images does not matter"
IN_MEMORY = r"decode fails in another process \((KeyError|BitstreamError): .*into Bitstream\.data"


def fault(*checks, says):
    """Register a codec that must fail these checks and no other; the first with this advice."""

    def add(cls):
        made = dataclass(frozen=True)(cls)
        FAULTS.append((checks, says, made))
        return made

    return add


_SEEN = {}


@fault(PROCESS, says=IN_MEMORY)
class InAGlobal(Steps):
    """The decoder looks the image up in a variable of the module."""

    def encode(self, image):
        stream = super().encode(image)
        _SEEN[stream.data] = super().decode(stream.data)
        return stream

    def decode(self, data):
        super().decode(data)
        return _SEEN[data]


@fault(PROCESS, says=IN_MEMORY)
class InTheClass(Steps):
    seen: ClassVar[dict] = {}

    def encode(self, image):
        stream = super().encode(image)
        self.seen[stream.data] = super().decode(stream.data)
        return stream

    def decode(self, data):
        super().decode(data)
        return self.seen[data]


@fault(PROCESS, says=IN_MEMORY)
class InTheObject(Steps):
    def encode(self, image):
        stream = super().encode(image)
        self.__dict__.setdefault("_seen", {})[stream.data] = super().decode(stream.data)
        return stream

    def decode(self, data):
        super().decode(data)
        return self.__dict__["_seen"][data] if "_seen" in self.__dict__ else {}[data]


@fault(PROCESS, says=r"decode reads .*\.npy, which encode wrote; .*into Bitstream.data")
class InAFile(Steps):
    folder: str = ""

    def path(self, data):
        return Path(self.folder, f"{hashlib.sha256(data).hexdigest()}.npy")

    def encode(self, image):
        stream = super().encode(image)
        np.save(self.path(stream.data), super().decode(stream.data))
        return stream

    def decode(self, data):
        super().decode(data)
        return np.load(self.path(data))


@fault(PROCESS, says=IN_MEMORY)
class SideInformation(Steps):
    """The file lacks its end, which the decoder gets in another way and no one counts."""

    tables: ClassVar[dict] = {}

    def encode(self, image):
        data = super().encode(image).data
        self.tables[data[:-8]] = data[-8:]
        return Bitstream(data[:-8])

    def decode(self, data):
        if data not in self.tables:
            raise BitstreamError("no table")
        return super().decode(data + self.tables[data])


@fault(PROCESS, ORDER, says="another process decodes another image")
class TheLastImage(Steps):
    last: ClassVar[list] = [np.zeros((33, 47, 3), np.uint8)]

    def encode(self, image):
        stream = super().encode(image)
        self.last[:] = [super().decode(stream.data)]
        return stream

    def decode(self, data):
        found = super().decode(data)
        return self.last[0] if found.shape == (33, 47, 3) else found


@fault(PROCESS, says="the process that decodes died")
class DiesElsewhere(Steps):
    encoders: ClassVar[set] = set()

    def encode(self, image):
        self.encoders.add(os.getpid())
        return super().encode(image)

    def decode(self, data):
        if os.getpid() not in self.encoders:
            os._exit(3)
        return super().decode(data)


@fault(ORDER, says="encode gives other bytes after another image was encoded; keep nothing")
class Predicting(Steps):
    """Codes the difference to the mean of the image before, which the file carries."""

    mean: ClassVar[list] = [0]

    def encode(self, image):
        mark = bytes(self.mean)
        self.mean[:] = [int(image.mean())]
        return Bitstream(mark + super().encode(image + mark[0]).data)

    def decode(self, data):
        if not data:
            raise BitstreamError("empty")
        return super().decode(data[1:]) - np.uint8(data[0])


@fault(ORDER, says="another image after another file was decoded; keep nothing between images")
class Drifting(Steps):
    """Adds a level where the image decoded before was bright."""

    before: ClassVar[list] = [False]

    def decode(self, data):
        found = super().decode(data)
        drifted = found // 2 * 2 + np.uint8(self.before[0])
        self.before[:] = [found.mean() > 127]
        return drifted


@fault(ORDER, says="another image after another image was encoded; keep nothing between images")
class Disturbed(Steps):
    """Adds a level that depends on the image encoded last."""

    mean: ClassVar[list] = [0]

    def encode(self, image):
        self.mean[:] = [int(image[0, 0, 0])]
        return super().encode(image)

    def decode(self, data):
        return super().decode(data) // 2 * 2 + np.uint8(self.mean[0] % 2)


@fault("the same image comes back", says="come back as BGR: images are RGB; .*convert with")
class BlueFirst(Steps):
    def decode(self, data):
        return super().decode(data)[..., ::-1]


@fault("the same image comes back", says="come back as GBR: images are RGB")
class Rotated(Steps):
    def encode(self, image):
        return super().encode(image[..., [1, 2, 0]])


@fault("the same image comes back", says="check the order of axes")
class UpsideDown(Steps):
    def decode(self, data):
        return super().decode(data)[::-1]


@fault("round trip at every size", says="came back with shape .*: store the size in the bitstream")
class Transposed(Steps):
    def decode(self, data):
        return super().decode(data).transpose(1, 0, 2)


@fault("segments sum to the file", says="segments hold .*: count every byte once")
class HeaderForgotten(Steps):
    def encode(self, image):
        data = super().encode(image).data
        return Bitstream(data, (Segment("levels", len(data) - 9),))


@fault("segments sum to the file", says="segments hold .*: count every byte once")
class HeaderTwice(Steps):
    def encode(self, image):
        data = super().encode(image).data
        return Bitstream(data, (Segment("header", 9), Segment("all", len(data))))
