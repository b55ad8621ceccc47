"""All commands, put together.

Packages add commands of their own under the entry-point group ``rdbench.commands``: a function, or
a ``typer.Typer`` with several.
"""

import warnings
from typing import TextIO

import typer

from rdbench.cli import (
    anchor,
    audit,
    bdrate,
    check,
    complexity,
    data,
    doctor,
    export,
    files,
    latents,
    listing,
    match,
    penalty,
    plot,
    report,
    reproduce,
    run,
    tables,
    timing,
    train,
    verify,
)
from rdbench.cli.console import say
from rdbench.errors import RdbenchWarning
from rdbench.registry import plugins


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A warning of ours is one line for people; others are shown as they always are."""
    if issubclass(category, RdbenchWarning):
        say(f"rdbench: {message}")
    else:
        _show_other_warning(message, category, filename, lineno, file, line)


_show_other_warning, warnings.showwarning = warnings.showwarning, _show_warning

app = typer.Typer(
    name="rdbench",
    help="Measure and explain image codecs: rate, distortion, time, and why.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
COMMANDS = (
    run.run,
    bdrate.bdrate,
    plot.plot,
    tables.tables,
    match.match,
    report.report,
    reproduce.reproduce,
    latents.latents,
    audit.audit,
    complexity.complexity,
    timing.timing,
    train.train,
    files.encode,
    files.decode,
    export.export,
    export.rescore,
    verify.verify,
    check.check,
    doctor.doctor,
)
for command in COMMANDS:
    app.command()(command)
app.command("variable-rate-penalty")(penalty.penalty)
app.add_typer(listing.app, name="list")
app.add_typer(data.app, name="datasets")
app.add_typer(anchor.app, name="anchor")
for name, command in plugins("rdbench.commands"):
    if isinstance(command, typer.Typer):
        app.add_typer(command, name=name)
    else:
        app.command(name)(command)
