"""A Dask scheduler and workers as processes of their own."""

import contextlib
import socket
import subprocess
import sys

from program import wait_until


def dask_process(command, *words):
    return subprocess.Popen(
        [sys.executable, "-m", f"distributed.cli.dask_{command}", *words, "--no-dashboard"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextlib.contextmanager
def ended(process):
    """The process, killed when it is no longer needed."""
    try:
        yield process
    finally:
        process.kill()
        process.wait(30)


@contextlib.contextmanager
def scheduler():
    """A scheduler's process and its address; it has no workers."""
    port = free_port()
    with ended(dask_process("scheduler", "--port", str(port), "--host", "127.0.0.1")) as process:
        wait_until(lambda: listening(port), process)
        yield process, f"tcp://127.0.0.1:{port}"
