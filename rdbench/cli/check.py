"""``rdbench check``: the contract of codecs, for authors of one."""

from collections import Counter
from typing import Annotated

import typer

from rdbench.cli import options
from rdbench.cli.console import print_rows, say
from rdbench.columns import plain
from rdbench.testing import run_checks


def check(
    codec: Annotated[
        str, typer.Argument(help="Codec to check: NAME[:KEY=VALUE,...], or a .toml or .py file.")
    ],
    as_json: options.AsJson = False,
) -> None:
    """Check a codec against the contract that every codec must keep.

    Round trips at odd sizes, determinism, broken files, segments, settings and more. The exit
    status is 1 if a check fails. The same checks run in Python: rdbench.testing.check_codec.

    Example: rdbench check jpeg
    """
    results = list(run_checks(codec))
    rows = [{"check": r.check, "status": r.status, "reason": r.reason or None} for r in results]
    print_rows(plain("check", "status", "reason"), rows, as_json)
    count = Counter(r.status for r in results)
    say(f"{codec}: {count['pass']} passed, {count['skip']} skipped, {count['fail']} failed")
    if count["fail"]:
        raise typer.Exit(1)
