"""``rdbench anchor``: is the anchor here the anchor of the literature?"""

import typer

from rdbench.anchor import verify_anchor
from rdbench.cli import options
from rdbench.cli.console import print_rows, progress
from rdbench.columns import plain
from rdbench.errors import RdbenchError

app = typer.Typer(help="Check the anchor that BD-rates refer to.", no_args_is_help=True)


@app.command()
def verify(codec: options.CodecSpec = "vtm18", as_json: options.AsJson = False) -> None:
    """Compare the anchor's version and configuration, and two encoded images, with known results.

    Example: rdbench anchor verify
    """
    with progress(f"checking {codec}"):
        checks = list(verify_anchor(codec))
    print_rows(
        plain("check", "ok", "detail"),
        [{"check": c.name, "ok": c.ok, "detail": c.detail} for c in checks],
        as_json,
    )
    if bad := [c.name for c in checks if not c.ok]:
        raise RdbenchError(f"{codec} here is not the published anchor: {', '.join(bad)}")
