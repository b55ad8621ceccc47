"""The program as people start it."""

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

PROGRAM = (sys.executable, "-m", "rdbench")

# Each run is a process of its own, forked from one that has imported what most commands need: that
# takes the program a second and a half, torch not counted, and the tests run it hundreds of times.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["rdbench.__main__", "rdbench.cli.app", "torch", "cv2"])


def rdbench_anew(*words, **environment):
    """Run the program where imports or processes that outlive `main` matter; as `rdbench`."""
    done = subprocess.run(
        [*PROGRAM, *map(str, words)],
        capture_output=True, text=True, env={**os.environ, **environment}, timeout=120,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def rdbench(*words, cwd=None, **environment):
    """Run the program; (exit status, stdout, stderr)."""
    with tempfile.TemporaryDirectory() as folder:
        outputs = Path(folder, "stdout"), Path(folder, "stderr")
        arguments = [*map(str, words)], cwd or Path.cwd(), {**os.environ, **environment}, outputs
        process = _FORKS.Process(target=_run, args=arguments)
        process.start()
        process.join(120)
        if process.exitcode is None:
            process.kill()
            raise TimeoutError(f"still running after 120 s: rdbench {' '.join(arguments[0])}")
        return process.exitcode, *(file.read_bytes().decode() for file in outputs)


def _run(words, cwd, environment, outputs):
    """Be the program, in a process that did nothing else."""
    from rdbench.__main__ import main

    for number, file in enumerate(outputs, 1):
        os.dup2(os.open(file, os.O_CREAT | os.O_WRONLY), number)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["rdbench", *words]
    main()


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
