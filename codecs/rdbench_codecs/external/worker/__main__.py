"""A process that encodes and decodes with a class of its own Python environment.

    PYTHON /path/to/worker

It serves one codec over its standard input and output; docs/worker_protocol.md describes the
messages. It needs Python 3.7 and numpy, and ends when its input does.
"""

import json
import os
import platform
import select
import struct
import sys
import threading
import time
from typing import Any, BinaryIO, Dict, Iterable, List, Tuple  # noqa: UP035

PROTOCOL = 1
MAGIC = b"RDBW"
LENGTH = struct.Struct("<I")

interfaces = None  # type: Any

Header = Dict[str, Any]  # noqa: UP006
Message = Tuple[Header, List[Any]]  # noqa: UP006


class Service:
    """What a host can call: each method takes a request and gives the reply, without its number."""

    def load(self, request: Header, blobs: List[Any]) -> Message:  # noqa: UP006
        """Make the codec."""
        self._path = request["path"]
        make = interfaces.load_class(self._path, request["class"])
        # Two objects: nothing reaches the decoder but the bytes.
        self._encoder = interfaces.adapt(make(**request["settings"]))
        self._decoder = interfaces.adapt(make(**request["settings"]))
        return {
            "estimated": bool(self._encoder.estimated),
            "on_gpu": bool(self._encoder.on_gpu),
            "source_sha256": interfaces.source_sha256(self._path),
            "versions": {name: version_of(name) for name in request["versions"]},
        }, []

    def encode(self, request: Header, blobs: List[Any]) -> Message:  # noqa: UP006
        """Encode an image."""
        import numpy as np

        image = np.frombuffer(blobs[0], np.uint8).reshape(request["shape"])
        encoded, seconds = self._timed(self._encoder, "encode", image)
        segments = [[str(name), int(size), bits] for name, size, bits in encoded.segments]
        reply = {"segments": segments, "estimated_bits": encoded.estimated_bits}
        return dict(reply, seconds=seconds), [bytes(encoded.data)]

    def decode(self, request: Header, blobs: List[Any]) -> Message:  # noqa: UP006
        """Decode what `encode` made."""
        import numpy as np

        image, seconds = self._timed(self._decoder, "decode", bytes(blobs[0]))
        image = np.ascontiguousarray(image)
        reply = {"shape": image.shape, "dtype": str(image.dtype), "seconds": seconds}
        return reply, [image.reshape(-1).view(np.uint8).data]

    def _timed(self, codec: Any, method: str, argument: Any) -> Tuple[Any, float]:  # noqa: UP006
        """What a method returns, and its seconds, those of the GPU included."""
        codec.synchronize()
        started = time.perf_counter()
        result = getattr(codec, method)(argument)
        codec.synchronize()
        return result, time.perf_counter() - started

    def reason(self, error: BaseException) -> str:
        """What went wrong, in one line, which must not hold a whole image."""
        return str(interfaces.failed(getattr(self, "_path", ""), error))[:500]


def main() -> None:
    """Serve one request after the other."""
    source, target = take_streams()
    import_interfaces()
    threading.Thread(target=leave_with_host, args=(source.fileno(),), daemon=True).start()
    version = platform.python_version()
    send(target, {"protocol": PROTOCOL, "python": version}, [])
    own, service = os.getpid(), Service()
    while True:
        request, blobs = receive(source)
        try:
            reply, data = getattr(service, request["call"])(request, blobs)
        except BaseException as error:  # sys.exit() too: the next image may be coded
            reply, data = {"error": service.reason(error)}, []
        if os.getpid() != own:  # the codec forked, and its child came back
            os._exit(1)
        send(target, dict(reply, number=request["number"]), data)


def take_streams() -> Tuple[BinaryIO, BinaryIO]:  # noqa: UP006
    """Input and output of this process, for messages alone: what is printed goes to stderr."""
    source, target = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return source, target


def import_interfaces() -> None:
    """Import the module next to this one, and leave its name and folder to those of the codec."""
    global interfaces
    import interfaces as module  # type: ignore[import-not-found]

    interfaces = module
    del sys.modules["interfaces"], sys.path[0]


def leave_with_host(descriptor: int) -> None:
    """End this process when the host is gone, whatever the codec is doing."""
    poll = select.poll()
    poll.register(descriptor, 0)  # no event but the end
    poll.poll()
    os._exit(0)


def receive(source: BinaryIO) -> Message:
    """Read one message."""
    if bytes(read(source, len(MAGIC))) != MAGIC:
        raise ValueError("not a message of the protocol")
    (length,) = LENGTH.unpack(read(source, LENGTH.size))
    header = json.loads(read(source, length).decode())
    return header, [read(source, n_bytes) for n_bytes in header["blobs"]]


def read(source: BinaryIO, n_bytes: int) -> bytearray:
    """Read so many bytes; where the stream ends before, so does this process."""
    data = bytearray(n_bytes)
    if source.readinto(data) != n_bytes:  # type: ignore[attr-defined]
        sys.exit(0)
    return data


def send(target: BinaryIO, header: Header, blobs: Iterable[Any]) -> None:
    """Write one message."""
    blobs = list(blobs)
    text = json.dumps(dict(header, blobs=[len(blob) for blob in blobs])).encode()
    for part in [MAGIC + LENGTH.pack(len(text)) + text] + blobs:  # noqa: RUF005
        target.write(part)
    target.flush()


def version_of(package: str) -> str:
    """Version of an installed package."""
    try:
        from importlib.metadata import version
    except ImportError:  # Python 3.7
        return str(getattr(__import__(package), "__version__", "unknown"))
    return version(package)


if __name__ == "__main__":
    main()
