"""``rdbench report``: everything a folder holds as one page."""

from pathlib import Path
from typing import Annotated

import typer

from rdbench.cli.console import progress_bar
from rdbench.published import import_lossy_vae


def report(
    folder: Annotated[Path, typer.Argument(help="Report folder.")] = Path("reports"),
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write; default FOLDER/report.html.")
    ] = None,
    files: Annotated[
        list[Path], typer.Option("--curve", help="A JSON file of CompressAI or lossy-vae, too.")
    ] = [],  # noqa: B006
) -> None:
    """Write one HTML page that needs no network.

    Curves, BD-rates against any anchor, rate by latent, times, and where every number comes from.

    Example: rdbench report reports
    """
    from rdbench.report.page import write_page

    imported = [import_lossy_vae(path) for path in files]
    with progress_bar("report") as bar:
        task = bar.add_task("", total=None, note="")
        path = write_page(
            folder,
            out or folder / "report.html",
            imported,
            lambda what, done, n: bar.update(task, completed=done, total=n, note=what),
        )
    typer.echo(path)
