"""``rdbench cite``: BibTeX of the codecs in a figure or table."""

from typing import Annotated

import typer

from rdbench.analysis.selection import measured, named
from rdbench.cli import options
from rdbench.cli.console import warn
from rdbench.errors import UsageError
from rdbench.published import bibliography, facts, list_curves


def cite(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="[CURVE]...",
            help="Codecs or curves; default: all that `rdbench plot` draws from --folder.",
            autocompletion=options.curve_names,
            show_default=False,
        ),
    ] = options.ALL,
    folder: Annotated[str, typer.Option("--folder", metavar="FOLDER", help="Report folder.")] = str(
        options.REPORTS
    ),
) -> None:
    """Print BibTeX of codecs, each work once.

    Example: rdbench cite MLIC++ "Cool-chic 5.0" vtm18
    """
    codecs = list(dict.fromkeys(codec for name in names for codec in _codecs(name)))
    codecs = codecs or _drawn(folder)
    entries = {key: bibliography()[key] for codec in codecs for key in facts(codec).get("cite", ())}
    typer.echo("\n\n".join(entries.values()))
    if missing := [codec for codec in codecs if not facts(codec).get("cite")]:
        warn(f"no citation is known: {', '.join(missing)}")


def _codecs(name: str) -> list[str]:
    """The codecs of a name: one that has a citation, or those of the curves called so."""
    return [name] if facts(name) else [curve.codec for curve in named(list_curves(), [name])]


def _drawn(folder: str) -> list[str]:
    """The codecs that `rdbench plot` draws from a report folder.

    Raises:
        UsageError: nothing was measured there.
    """
    from rdbench.report.plots import LANDMARKS

    own = measured(folder)
    if not own:
        raise UsageError(f"nothing was measured in {folder}; name the curves to cite")
    datasets = {curve.dataset for curve in own}
    landmarks = [c for c in list_curves() if c.dataset in datasets and c.codec in LANDMARKS]
    return list(dict.fromkeys(curve.codec for curve in [*own, *landmarks]))
