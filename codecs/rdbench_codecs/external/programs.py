"""External programs: each run in a private folder, within limits, and none left behind.

When a program ends or its time is up, its process group is killed.

A shell that waits for the end of its input watches every private folder. When the folder is done
with, or this process ends in whatever way (an error, Ctrl-C, kill -9), its input closes. It then
kills the group, and on Linux every process that carries the name of the private folder in its
environment or works in the folder, such as a daemon in a session of its own, and deletes the
folder. A process that leaves all three escapes.

A program may write files up to a limit, four times as much in all, and print 64 MiB.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from rdbench.errors import Unavailable

_MARK = "RDBENCH_PRIVATE_FOLDER"
# What is killed may have started another process in the meantime: more than one round.
_WATCH = f"""
group=
while read -r line; do group=$line; done
left() {{
    grep -lsF "{_MARK}=$1" /proc/[0-9]*/environ
    find /proc/[0-9]*/cwd -maxdepth 0 '(' -lname "$1" -o -lname "$1/*" -o -lname "$1 (*" ')'
}}
[ -z "$group" ] || kill -9 "-$group"
for round in 1 2 3 4 5 6 7 8 9 10; do
    pids=$(left "$1" | cut -d/ -f3)
    [ -n "$pids" ] || break
    kill -9 $pids
done
rm -rf -- "$1" || {{ chmod -R u+rwx -- "$1"; rm -rf -- "$1"; }}
"""
# A limit that is lower already stays. Where memory runs out, the program is to go and not we.
_LIMITED = """
ulimit -c 0; ulimit -f "$1" || :; [ -z "$2" ] || ulimit -v "$2" || :
[ ! -w /proc/self/oom_score_adj ] || echo 1000 >/proc/self/oom_score_adj || :
shift 2
exec "$@"
"""
_LOG = "printed.log"
_LOG_BYTES = 64 << 20
_LEAST_BYTES = 64 << 20
_TOTAL = 4
_LOOK_EVERY_S = 1.0


class ProgramError(Exception):
    """A program failed, ran out of time, or did not write what it should have."""


class Limits(NamedTuple):
    """What a program may use.

    Attributes:
        file_bytes: size of each file that it writes.
        memory_bytes: its address space; None for no limit.
    """

    file_bytes: int
    memory_bytes: int | None = None

    def wrap(self, command: Sequence[str | Path]) -> list[str | Path]:
        """``command`` started under these limits, and without core dumps."""
        kib = str(self.memory_bytes // 1024) if self.memory_bytes else ""
        return ["/bin/sh", "-c", _LIMITED, "rdbench", str(self.file_bytes // 512), kib, *command]


def limits_for(raw_bytes: int) -> Limits:
    """Limits of a program that works on an image of so many bytes: eight times that, or 64 MiB.

    There is no limit on memory: runtimes such as Java's or CUDA's reserve far more than they use.
    """
    return Limits(max(_LEAST_BYTES, 8 * raw_bytes))


def find_program(names: Sequence[str], folder: str | None, remedy: str) -> Path:
    """Return the first of ``names`` that is a program in ``folder``, or on PATH if that is None.

    Raises:
        Unavailable: there is none; ``remedy`` says how to fix it.
    """
    for name in names:
        found = shutil.which(name, path=folder)
        if found:
            return Path(found).absolute()
    where = f"in {folder}" if folder else "on PATH"
    raise Unavailable(f"no program {' or '.join(names)} {where}; {remedy}")


class PrivateFolder:
    """A folder for the files of one task, and the programs run in it."""

    def __init__(self, path: Path, watcher: IO[bytes], log: IO[bytes]) -> None:
        self.path = path
        self._watcher = watcher
        self._log = log  # opened for appending: it can be emptied while a program writes

    def run(self, command: Sequence[str | Path], timeout_s: float, limits: Limits) -> None:
        """Run a program that must end with status 0.

        After ``timeout_s`` seconds it is killed with all of its children.

        Raises:
            ProgramError: it ended with another status, ran too long, or wrote too much.
        """
        status, printed = self.outcome(command, timeout_s, limits)
        if status:
            how = f"killed by signal {-status}" if status < 0 else f"status {status}"
            raise ProgramError(f"{Path(command[0]).name} failed ({how}): {tail(printed)}")

    def outcome(
        self, command: Sequence[str | Path], timeout_s: float, limits: Limits | None = None
    ) -> tuple[int, str]:
        """Run a program; its exit status and the end of what it printed."""
        limits, name = limits or limits_for(0), Path(command[0]).name
        with self.running(command, limits) as process:
            status = self._wait(process, name, timeout_s, limits)
        printed = self.printed()
        if status in (126, 127):  # of a shell or a loader: no program, or none for this machine
            raise ProgramError(f"{name} cannot be executed: {tail(printed)}")
        return status, printed

    @contextmanager
    def running(
        self,
        command: Sequence[str | Path],
        limits: Limits,
        stdin: int = subprocess.DEVNULL,
        stdout: int | None = None,
    ) -> Iterator[subprocess.Popen[bytes]]:
        """A program that is killed with its children at the end of the context.

        What it prints goes to a file, see `printed`; its output too, where ``stdout`` is None.
        """
        self.forget_printed()
        process = subprocess.Popen(
            limits.wrap(command),
            cwd=self.path,
            env={**os.environ, _MARK: str(self.path)},
            stdin=stdin,
            stdout=self._log if stdout is None else stdout,
            stderr=self._log,
            start_new_session=True,
        )
        try:
            self._watch(str(process.pid))
            yield process
        finally:
            _kill_group(process)
            self._watch("")  # the number may become that of another group

    def printed(self) -> str:
        """The end of what the program printed, at most 1 MB."""
        self._log.seek(max(0, self._log.seek(0, os.SEEK_END) - 1_000_000))
        return self._log.read().decode(errors="replace")

    def forget_printed(self) -> None:
        """Empty the file of what the program printed."""
        self._log.truncate(0)

    def _wait(
        self, process: subprocess.Popen[bytes], name: str, timeout_s: float, limits: Limits
    ) -> int:
        """The exit status; ProgramError where the program runs too long or writes too much."""
        end = time.monotonic() + timeout_s
        status = None
        while status is None:
            try:
                status = process.wait(max(0.0, min(_LOOK_EVERY_S, end - time.monotonic())))
            except subprocess.TimeoutExpired:
                if time.monotonic() >= end:
                    raise ProgramError(f"{name} was stopped after {timeout_s:g} s") from None
            self.check_written(name, limits)
        return status

    def check_written(self, program: str, limits: Limits) -> None:
        """ProgramError where a file, or all together, are over the limit."""
        total, most = 0, limits.file_bytes // 512 * 512  # as far as the kernel lets a file grow
        for file, n_bytes in _sizes(self.path):
            total += n_bytes + 4096  # what an empty file takes, about
            if file == _LOG and n_bytes >= min(_LOG_BYTES, most):
                raise ProgramError(f"{program} printed more than {_mib(min(_LOG_BYTES, most))}")
            if n_bytes >= most:
                raise ProgramError(f"{program} wrote a file of more than {_mib(most)}: {file}")
        if total > _TOTAL * most:
            raise ProgramError(f"{program} wrote more than {_mib(_TOTAL * most)} in all")

    def _watch(self, group: str) -> None:
        self._watcher.write(f"{group}\n".encode())
        self._watcher.flush()

    def output(self, name: str) -> Path:
        """The path of a file that a program should have written; ProgramError where it is not."""
        path = self.path / name
        if path.exists() and not path.is_file():
            raise ProgramError(f"the program made {name} something that is not a file")
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
        with (path / _LOG).open("a+b", buffering=0) as log:
            yield PrivateFolder(path, watcher.stdin, log)
    finally:
        watcher.stdin.close()
        watcher.wait()


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a program and what it left behind in its process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: zombies alone
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _sizes(folder: Path) -> Iterator[tuple[str, int]]:
    """Name and size of everything below a folder."""
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            with contextlib.suppress(OSError):  # deleted meanwhile
                yield name, (Path(root) / name).lstat().st_size


def _mib(n_bytes: int) -> str:
    return f"{n_bytes / 2**20:.0f} MiB"


def tail(printed: str) -> str:
    """The last lines in one."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    return " | ".join(lines[-3:])[-400:] or "it printed nothing"
