"""``rdbench anchor``: is the anchor here the anchor of the literature?"""

import typer

from rdbench.anchor import verify_anchor
from rdbench.cli import options
from rdbench.cli.console import print_rows, progress
from rdbench.columns import plain
from rdbench.errors import RdbenchError

app = typer.Typer(
    name="anchor", help="Check the anchor that BD-rates refer to.", no_args_is_help=True
)


@app.callback()
def _group() -> None:
    """Check the anchor that BD-rates refer to."""


@app.command()
def verify(codec: options.CodecSpec = "vtm18", as_json: options.AsJson = False) -> None:
    """Compare the anchor's version and configuration, and two encoded images, with known results.

    Example: rdbench anchor verify
    """
    with progress(f"checking {codec}"):
        checks = list(verify_anchor(codec))
    rows = [{"check": c.name, "ok": c.ok, "detail": c.detail} for c in checks]
    print_rows(plain("check", "ok", "detail"), rows, as_json)
    bad = [c.name for c in checks if not c.ok]
    if bad:
        raise RdbenchError(f"{codec} here is not the published anchor: {', '.join(bad)}")
