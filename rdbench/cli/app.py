"""All commands, put together.

Packages add commands of their own under the entry-point group ``rdbench.commands``: a function, or
a ``typer.Typer`` with several.
"""

import sys
import warnings
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from rdbench.cli.console import Verbosity, warn
from rdbench.errors import RdbenchWarning
from rdbench.plugins import plugins

HEADINGS = {
    "Measure": "run plan match encode decode timing complexity latents",
    "Compare": "bdrate board plot tables report audit variable-rate-penalty",
    "Papers": "reproduce anchor cite",
    "Codecs": "train",  # where packages add theirs
    "Manage": "codecs datasets curves metrics export publish rescore merge verify repair check "
    "consistency doctor",
}
"""Commands by the heading they have in ``rdbench --help``.

Each is a module of this package that holds a function of its name, or a ``typer.Typer`` called
``app``.
"""

LISTS = ("codecs", "datasets", "curves", "metrics")
"""Commands with a ``list``, of which ``rdbench list NAME`` is another spelling."""


def _show_warning(
    message: Warning | str, category: type[Warning], *args: Any, **kwargs: Any
) -> None:
    """A warning of ours is one line for people; others are shown as they always are."""
    if issubclass(category, RdbenchWarning):
        warn(f"rdbench: {message}")
    else:
        _show_other_warning(message, category, *args, **kwargs)


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


def _set_verbosity(ctx: typer.Context, option: typer.CallbackParam, given: bool) -> None:
    """Set `Verbosity` from -q or -v. The program resets it; its commands only add to it."""
    is_set = ctx.parent is not None and getattr(Verbosity, str(option.name))
    setattr(Verbosity, str(option.name), given or is_set)


def _shared(flag: str, short: str, about: str) -> Any:
    """An option that may stand before and after the name of a command."""
    return typer.Option(flag, short, expose_value=False, callback=_set_verbosity, help=about)


@app.callback()
def program(
    show_version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version."),
    ] = False,
    quiet: Annotated[bool, _shared("--quiet", "-q", "Print results and errors only.")] = False,
    verbose: Annotated[bool, _shared("--verbose", "-v", "Print a line for each step.")] = False,
) -> None:
    """Measure and explain image codecs: rate, distortion, time, and why."""


def _add(name: str, command: Any, heading: str) -> None:
    if isinstance(command, typer.Typer):
        app.add_typer(command, name=name, rich_help_panel=heading)
    else:
        app.command(name, rich_help_panel=heading)(command)


def _add_all() -> None:
    listing = typer.Typer(help="The same as `rdbench codecs list`, `rdbench datasets list`, ...")
    for heading, names in HEADINGS.items():
        for name in names.split():
            function = name.replace("-", "_")
            module = import_module(f"rdbench.cli.{function}")
            _add(name, getattr(module, "app", None) or getattr(module, function), heading)
            if name in LISTS:
                listing.command(name)(module.list_)
        if heading == "Codecs":
            for name, command in plugins("rdbench.commands"):
                _add(name, command, heading)
    app.add_typer(listing, name="list", hidden=True)


_add_all()
