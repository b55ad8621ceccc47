"""All commands, put together.

Packages add commands of their own under the entry-point group ``rdbench.commands``: a function, or
a ``typer.Typer`` with several.
"""

import sys
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from typing import Annotated, Any, TextIO

import typer
from typer.core import TyperGroup

from rdbench.cli import (
    anchor,
    audit,
    bdrate,
    codecs,
    complexity,
    curves,
    datasets,
    decode,
    doctor,
    encode,
    export,
    latents,
    match,
    metrics,
    plot,
    report,
    reproduce,
    rescore,
    run,
    tables,
    timing,
    variable_rate_penalty,
    verify,
)
from rdbench.cli.console import Verbosity, warn
from rdbench.errors import RdbenchWarning
from rdbench.registry import plugins

COMMANDS = {
    "Measure": (
        run.run,
        match.match,
        encode.encode,
        decode.decode,
        timing.timing,
        complexity.complexity,
        latents.latents,
    ),
    "Compare": (
        bdrate.bdrate,
        plot.plot,
        tables.tables,
        report.report,
        audit.audit,
        variable_rate_penalty.variable_rate_penalty,
    ),
    "Papers": (reproduce.reproduce, anchor.app),
    "Learned codecs": tuple(plugins("rdbench.commands")),
    "Manage": (
        codecs.app,
        datasets.app,
        curves.app,
        metrics.app,
        export.export,
        rescore.rescore,
        verify.verify,
        doctor.doctor,
    ),
}
"""Commands by the heading they have in ``rdbench --help``; those of packages with their names."""


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
        warn(f"rdbench: {message}")
    else:
        _show_other_warning(message, category, filename, lineno, file, line)


_show_other_warning, warnings.showwarning = warnings.showwarning, _show_warning


class _Program(TyperGroup):
    """The commands under headings, piped too; -q and -v before and after a command's name."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        shared = [option for option in self.params if option.name in ("quiet", "verbose")]
        for command in _leaves(self):
            command.params += shared

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands in plain text; rich has headings of its own."""
        headings: dict[str, list[tuple[str, str]]] = {}
        for name, command in self.commands.items():
            if not command.hidden:
                about = command.get_short_help_str(limit=200)
                heading = getattr(command, "rich_help_panel", None) or "Commands"
                headings.setdefault(heading, []).append((name, about))
        for heading, rows in headings.items():
            with formatter.section(heading):
                formatter.write_dl(rows, col_max=21)


def _leaves(group: TyperGroup) -> Iterator[Any]:
    """Every command without subcommands."""
    for command in group.commands.values():
        if isinstance(command, TyperGroup):
            yield from _leaves(command)
        else:
            yield command


app = typer.Typer(
    name="rdbench",
    cls=_Program,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Help is read by people with a terminal as panels, and piped as plain text.
    rich_markup_mode="markdown" if sys.stdout.isatty() else None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rdbench {version('rdbench')}")
        raise typer.Exit


def _set_quiet(ctx: typer.Context, given: bool) -> None:
    Verbosity.quiet = given or (ctx.parent is not None and Verbosity.quiet)


def _set_verbose(ctx: typer.Context, given: bool) -> None:
    Verbosity.verbose = given or (ctx.parent is not None and Verbosity.verbose)


@app.callback()
def program(
    show_version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version."),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet",
            "-q",
            expose_value=False,
            callback=_set_quiet,
            help="Print results and errors only.",
        ),
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            "-v",
            expose_value=False,
            callback=_set_verbose,
            help="Print a line for each step.",
        ),
    ] = False,
) -> None:
    """Measure and explain image codecs: rate, distortion, time, and why."""


def _add(heading: str, command: Any) -> None:
    name, command = command if isinstance(command, tuple) else (None, command)
    if isinstance(command, typer.Typer):
        app.add_typer(command, name=name or command.info.name, rich_help_panel=heading)
    else:
        app.command(name, rich_help_panel=heading)(command)


for heading, commands in COMMANDS.items():
    for command in commands:
        _add(heading, command)

listing = typer.Typer(help="The same as `rdbench codecs list`, `rdbench datasets list`, ...")
for noun in (codecs, datasets, curves, metrics):
    listing.command(noun.app.info.name)(noun.list_)
app.add_typer(listing, name="list", hidden=True)
