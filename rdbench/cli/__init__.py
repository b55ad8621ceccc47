"""The command line: parse, call one library function, print."""

import os
import signal
import sys

import typer

from rdbench.cli import anchor, bdrate, data, doctor, export, listing, plot, run
from rdbench.cli.console import say
from rdbench.errors import RdbenchError

app = typer.Typer(
    name="rdbench",
    help="Measure and explain image codecs: rate, distortion, time, and why.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
    rich_markup_mode=None,
)
for command in (run.run, bdrate.bdrate, plot.plot, export.export, export.rescore, doctor.doctor):
    app.command()(command)
app.add_typer(listing.app, name="list")
app.add_typer(data.app, name="datasets")
app.add_typer(anchor.app, name="anchor")


def main() -> None:
    """Run the command line; an error is one line on stderr and exit status 1."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        app()
    except RdbenchError as error:
        say(f"rdbench: {error}")
        sys.exit(1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
