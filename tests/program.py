"""The program as people start it."""

import os
import subprocess
import sys

PROGRAM = (sys.executable, "-m", "rdbench")


def rdbench(*words, cwd=None, **environment):
    """Run the program; (exit status, stdout, stderr)."""
    done = subprocess.run(
        [*PROGRAM, *map(str, words)],
        capture_output=True, text=True, cwd=cwd, env={**os.environ, **environment}, timeout=120,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr
