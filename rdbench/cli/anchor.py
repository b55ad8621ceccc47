"""``rdbench anchor``: is the anchor here the anchor of the literature?"""

from typing import Annotated

import typer

from rdbench.anchor import verify_anchor
from rdbench.cli.console import AsJson, print_rows
from rdbench.columns import plain
from rdbench.errors import RdbenchError

app = typer.Typer(help="Check the anchor that BD-rates refer to.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Check the anchor that BD-rates refer to."""


@app.command()
def verify(
    codec: Annotated[str, typer.Option("--codec", "-c", help="The anchor.")] = "vtm18",
    as_json: AsJson = False,
) -> None:
    """Version, configuration, bit depth, rounding, and images encoded against shipped points.

    Example: rdbench anchor verify
    """
    checks = list(verify_anchor(codec))
    rows = [{"check": c.name, "ok": c.ok, "detail": c.detail} for c in checks]
    print_rows(plain("check", "ok", "detail"), rows, as_json)
    bad = [c.name for c in checks if not c.ok]
    if bad:
        raise RdbenchError(f"{codec} here is not the published anchor: {', '.join(bad)}")
