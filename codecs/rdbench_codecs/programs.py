"""External programs: each run in a private folder, with a time limit, and none left behind.

A shell that waits for the end of its input watches every private folder. When the folder is done
with, or this process ends in whatever way (an error, Ctrl-C, kill -9), its input closes; it then
kills the program that may still be running, with all of its children, and deletes the folder.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from rdbench.errors import Unavailable

_WATCH = """
group=
while read -r line; do group=$line; done
[ -n "$group" ] && kill -9 "-$group"
rm -rf -- "$1"
"""
_LIMITED = """
ulimit -c 0; ulimit -v "$1"; ulimit -f "$2"
shift 2
exec "$@"
"""
_LOG = "printed.log"


class ProgramError(Exception):
    """A program failed, ran out of time, or did not write what it should have."""


class Limits(NamedTuple):
    """What a program that reads untrusted bytes may use: memory, and size of each file."""

    memory_bytes: int
    file_bytes: int

    def wrap(self, command: Sequence[str | Path]) -> list[str | Path]:
        """``command`` started under these limits, and without core dumps."""
        kib, blocks = str(self.memory_bytes // 1024), str(self.file_bytes // 512)
        return ["/bin/sh", "-c", _LIMITED, "rdbench-limits", kib, blocks, *command]


def find_program(names: Sequence[str], folder: str | None, remedy: str) -> Path:
    """The first of ``names`` that is a program in ``folder``, or on PATH where that is None.

    Raises:
        Unavailable: there is none; ``remedy`` tells what to do.
    """
    for name in names:
        found = shutil.which(name, path=folder)
        if found:
            return Path(found).absolute()
    where = f"in {folder}" if folder else "on PATH"
    raise Unavailable(f"no program {' or '.join(names)} {where}; {remedy}")


class PrivateFolder:
    """A folder for the files of one task, and the programs run in it."""

    def __init__(self, path: Path, watcher: IO[bytes]) -> None:
        self.path = path
        self._watcher = watcher

    def run(
        self, command: Sequence[str | Path], timeout_s: float, limits: Limits | None = None
    ) -> None:
        """Run a program that must end with status 0.

        Args:
            command: the program and its arguments.
            timeout_s: seconds after which it is killed with all of its children.
            limits: what it may use.

        Raises:
            ProgramError: it ended with another status, or ran too long.
        """
        status, printed = self.outcome(command, timeout_s, limits)
        if status:
            how = f"killed by signal {-status}" if status < 0 else f"status {status}"
            raise ProgramError(f"{Path(command[0]).name} failed ({how}): {_tail(printed)}")

    def outcome(
        self, command: Sequence[str | Path], timeout_s: float, limits: Limits | None = None
    ) -> tuple[int, str]:
        """Run a program; its exit status and the end of what it printed."""
        with (self.path / _LOG).open("w+b") as log:
            process = subprocess.Popen(
                limits.wrap(command) if limits else command,
                cwd=self.path,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                self._watch(str(process.pid))
                status = process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                name = Path(command[0]).name
                raise ProgramError(f"{name} was stopped after {timeout_s:g} s") from None
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                self._watch("")
            log.seek(max(0, log.seek(0, os.SEEK_END) - 1_000_000))
            return status, log.read().decode(errors="replace")

    def _watch(self, group: str) -> None:
        self._watcher.write(f"{group}\n".encode())
        self._watcher.flush()

    def output(self, name: str) -> Path:
        """The path of a file that a program should have written; ProgramError where it is not."""
        path = self.path / name
        if not path.is_file() or path.stat().st_size == 0:
            raise ProgramError(f"the program ended without an error but wrote no {name}")
        return path


@contextmanager
def private_folder() -> Iterator[PrivateFolder]:
    """A new folder that is gone, with whatever still runs in it, however this process ends."""
    if os.name != "posix":
        raise Unavailable("external programs are run on Linux and macOS only")
    path = Path(tempfile.mkdtemp(prefix="rdbench-"))
    watcher = subprocess.Popen(
        ["/bin/sh", "-c", _WATCH, "rdbench-watch", path],
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert watcher.stdin is not None
    try:
        yield PrivateFolder(path, watcher.stdin)
    finally:
        watcher.stdin.close()
        watcher.wait()


def _tail(printed: str) -> str:
    """The last lines in one."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    return " | ".join(lines[-3:])[-400:] or "it printed nothing"
