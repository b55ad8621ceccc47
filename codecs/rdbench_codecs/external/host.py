"""The host's side of the worker protocol: a process of another Python environment, and its end.

docs/worker_protocol.md describes the messages.
"""

import fcntl
import json
import math
import os
import select
import signal
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple

from rdbench.errors import Unavailable, WorkerError
from rdbench_codecs.external.programs import (
    Limits,
    PrivateFolder,
    ProgramError,
    private_folder,
    tail,
)

FOLDER = Path(__file__).with_name("worker")
"""The program of the worker; it may be copied to where the other Python is."""

PROTOCOL = 1
_MAGIC = b"RDBW"
_LENGTH = struct.Struct("<I")
_MOST_HEADER = 1 << 20
_MOST_BLOB = 1 << 31
_MOST_BANNER = 1 << 16
_LIMITS = Limits(1 << 40)  # a codec may fetch weights of any size; what it prints is limited
_LOOK_EVERY_MS = 1000
_EXIT_S = 5.0
_PIPE_BYTES = 1 << 20  # fewer changes between host and worker than 64 KiB


class CodecError(Exception):
    """What the codec of a worker raised: type and message."""


class Reply(NamedTuple):
    """What a worker answered: the header and the blobs of its message."""

    header: dict[str, Any]
    blobs: list[bytearray]


class Worker:
    """A process that serves one codec. It never outlives `end`, this process, or an error of its.

    Attributes:
        python: version of its Python.
        end: ends the process and whatever it started.
    """

    end: Callable[[], None]

    def __init__(self, command: Sequence[str | Path], name: str, timeout_s: float) -> None:
        """Start a process and wait until it is ready.

        Raises:
            WorkerError: it ended, ran too long or answered something else.
            Unavailable: it speaks another version of the protocol.
        """
        self._name = name
        self._timeout_s = timeout_s
        self._end_of_call = time.monotonic() + timeout_s
        self._number = 0
        self._lock = threading.Lock()
        with ExitStack() as stack:
            self._folder: PrivateFolder = stack.enter_context(private_folder())
            running = self._folder.running(command, _LIMITS, subprocess.PIPE, subprocess.PIPE)
            self._process = stack.enter_context(running)
            assert self._process.stdin
            assert self._process.stdout
            self._to = stack.enter_context(self._process.stdin).fileno()
            self._from = stack.enter_context(self._process.stdout).fileno()
            os.set_blocking(self._to, False)
            for pipe in (self._to, self._from):
                _enlarge(pipe)
            self.python = self._hello()
            self.end = stack.pop_all().close

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def ask(self, call: str, *blobs: bytes | memoryview, **header: Any) -> Reply:
        """Have the worker do something.

        Raises:
            CodecError: its codec raised an error; the worker can be asked again.
            WorkerError: it ended, ran too long or did not keep to the protocol. It is ended.
        """
        with self._lock:
            try:
                self._end_of_call = time.monotonic() + self._timeout_s
                self._number += 1
                self._folder.forget_printed()
                self._send({"call": call, "number": self._number, **header}, blobs)
                reply = self._receive()
                if reply.header.get("number") != self._number:
                    raise self._broken(f"reply to request {reply.header.get('number')}")
            except BaseException:
                self.end()
                raise
        if "error" in reply.header:
            raise CodecError(str(reply.header["error"])[:400])
        return reply

    def _hello(self) -> str:
        """The first message, whatever was printed before it: some containers greet."""
        seen = bytearray()
        while not seen.endswith(_MAGIC):
            seen += self._read(1)
            if len(seen) > _MOST_BANNER:
                raise self._broken(f"{_MOST_BANNER} bytes before its first message")
        hello = self._body().header
        if hello.get("protocol") != PROTOCOL:
            raise Unavailable(
                f"{self._name}: the worker speaks version {hello.get('protocol')} of the protocol, "
                f"and this rdbench version {PROTOCOL}; copy the folder {FOLDER} again"
            )
        return str(hello.get("python"))

    def _send(self, header: dict[str, Any], blobs: Sequence[bytes | memoryview]) -> None:
        views = [memoryview(blob).cast("B") for blob in blobs]
        text = json.dumps({**header, "blobs": [len(view) for view in views]}).encode()
        for part in (memoryview(_MAGIC + _LENGTH.pack(len(text)) + text), *views):
            rest = part
            while rest:
                self._wait(self._to, select.POLLOUT)
                try:
                    rest = rest[os.write(self._to, rest) :]
                except BlockingIOError:
                    continue
                except BrokenPipeError:
                    raise self._died() from None

    def _receive(self) -> Reply:
        start = bytes(self._read(len(_MAGIC)))
        if start != _MAGIC:
            raise self._broken(f"{start!r} instead of a message")
        return self._body()

    def _body(self) -> Reply:
        """What follows the magic bytes of a message."""
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size))
        if length > _MOST_HEADER:
            raise self._broken(f"a header of {length} bytes")
        try:
            header = json.loads(self._read(length))
            sizes = [int(size) for size in header["blobs"]]
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            raise self._broken(f"a header that cannot be read ({error})") from None
        if not all(0 <= size <= _MOST_BLOB for size in sizes):
            raise self._broken(f"blobs of {sizes} bytes")
        return Reply(header, [self._read(size) for size in sizes])

    def _read(self, n_bytes: int) -> bytearray:
        data = bytearray(n_bytes)
        rest = memoryview(data)
        while rest:
            self._wait(self._from, select.POLLIN)
            got = os.readv(self._from, [rest])
            if not got:
                raise self._died()
            rest = rest[got:]
        return data

    def _wait(self, pipe: int, event: int) -> None:
        """Wait until a pipe is ready, and watch the process meanwhile."""
        poll = select.poll()
        poll.register(pipe, event)
        while True:
            left_ms = math.ceil(1000 * (self._end_of_call - time.monotonic()))
            if left_ms <= 0:
                raise self._error(f"the worker was stopped after {self._timeout_s:g} s")
            if poll.poll(min(_LOOK_EVERY_MS, left_ms)):
                return
            if not self.alive:  # a child of its holds the pipe open
                raise self._died()
            try:
                self._folder.check_written("the worker", _LIMITS)
            except ProgramError as error:
                raise self._error(str(error)) from None

    def _died(self) -> WorkerError:
        try:
            status = self._process.wait(_EXIT_S)
        except subprocess.TimeoutExpired:
            return self._broken("the end of its output")
        how = f"exit status {status}"
        if status < 0:
            how = signal.Signals(-status).name
            how += "; out of memory?" if how == "SIGKILL" else ""
        return self._error(f"the worker ended ({how})")

    def _broken(self, what: str) -> WorkerError:
        return self._error(f"the worker does not keep to the protocol: it sent {what}")

    def _error(self, what: str) -> WorkerError:
        """What happened, and the end of what the worker printed in this call."""
        return WorkerError(f"{self._name}: {what}: {tail(self._folder.printed())}")


def _enlarge(pipe: int) -> None:
    """Give a pipe a larger buffer, where the system has one."""
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with suppress(OSError):  # over the user's limit for all pipes
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
