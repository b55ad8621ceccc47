"""What one image through `rdbench run` enters: project files, functions, and repeated look-ups.

    RDBENCH_DATA=... python benchmarks/hops.py [--list]

The command runs in this process, under ``sys.setprofile``; the imports are done before it starts.
"""

import argparse
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path
from types import FrameType

from typer.testing import CliRunner

from rdbench.cli.app import app

COMMAND = ("run", "--codec", "qarv:lambda=64", "--dataset", "kodak[kodim03]")
REPEATED = (
    "weights.py:locate", "weights.py:sha256", "datasets.py:sha256_of", "types.py:identify_weights",
    "codec.py:identify_weights", "codec.py:fingerprint", "codec.py:check", "store.py:__init__",
    "store.py:_record", "store.py:_read", "spec.py:_split",
)  # fmt: skip
"""Calls that should happen once, or once per use."""


def traced(command: tuple[str, ...]) -> Counter[str]:
    """Calls of every project function by ``FILE:FUNCTION`` while a command runs."""
    root, calls = f"{Path(__file__).parents[1]}{os.sep}", Counter[str]()

    def note(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(root) and "<" not in code.co_name:
            calls[f"{os.path.relpath(code.co_filename, root)}:{code.co_name}"] += 1

    import rdbench.sweep
    import rdbench.workers

    # A worker process cannot be traced from here, so the work is done in this one.
    rdbench.sweep.workers = lambda *_: rdbench.workers.in_process(1)  # type: ignore[attr-defined]
    sys.setprofile(note)
    try:
        done = CliRunner().invoke(app, command)
    finally:
        sys.setprofile(None)
    if done.exit_code:
        raise SystemExit(done.output)
    return calls


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", action="store_true", help="Print every function and its calls.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        calls = traced((*COMMAND, "--out", folder))
    if options.list:
        for name, number in sorted(calls.items()):
            print(f"{number:7}  {name}")
    files = {name.partition(":")[0] for name in calls}
    engine = [name for name in calls if name.startswith("rdbench/")]
    print(f"{len(files)} files, {len(calls)} functions, {sum(calls.values())} calls")
    n_files = len({name.partition(":")[0] for name in engine})
    print(f"{n_files} files and {len(engine)} functions of rdbench/")
    for suffix in REPEATED:
        number = sum(n for name, n in calls.items() if name.rpartition("/")[2] == suffix)
        print(f"{number:7}  {suffix}" if number else "", end="\n" if number else "")


if __name__ == "__main__":
    main()
