"""The program as people start it."""

import os
import signal
import subprocess
import sys
import time

import psutil

PROGRAM = (sys.executable, "-m", "rdbench")


def rdbench(*words, cwd=None, **environment):
    """Run the program; (exit status, stdout, stderr)."""
    done = subprocess.run(
        [*PROGRAM, *map(str, words)],
        capture_output=True, text=True, cwd=cwd, env={**os.environ, **environment}, timeout=120,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def start(*words):
    """Start the program in a group of its own, as a terminal does, with Ctrl-C at work.

    Shells start background jobs with SIGINT ignored, and their children inherit that.
    """
    return subprocess.Popen(
        [*PROGRAM, *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def wait_until(happened, process, seconds=60):
    """Wait for what a running program will do; its end or the deadline is a failure."""
    deadline = time.monotonic() + seconds
    while not (found := happened()):
        if process.poll() is not None:
            raise AssertionError(f"it ended (status {process.returncode}) before that happened")
        assert time.monotonic() < deadline, f"that did not happen in {seconds} s"
        time.sleep(0.002)
    return found


def worker_processes(process):
    """Worker processes of a running program, from the moment they start."""
    try:
        children = psutil.Process(process.pid).children()
        return [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    except psutil.NoSuchProcess:
        return []
