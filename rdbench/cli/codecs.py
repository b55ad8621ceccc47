"""``rdbench codecs``: what can be run, and with which settings."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, get_args

import typer

from rdbench.cli import options
from rdbench.cli.console import print_json, say
from rdbench.errors import Unavailable, printable
from rdbench.plugins import codec_class, codec_names, family_of
from rdbench.spec import settings_of
from rdbench.types import Codec, kinds_of

app = typer.Typer(help="List codecs and their settings.", no_args_is_help=True)


@app.command("list")
def list_(
    show_all: Annotated[
        bool, typer.Option("--all", help="Also show codecs that are not available, and why.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """List codecs by family, with their settings.

    The first setting is the rate parameter, with the values that are measured by default. A program
    of your own becomes a codec through a description file: `--codec FILE.toml`.

    Example: rdbench codecs list
    """
    rows = [codec_row(name) for name in codec_names()]
    shown = [row for row in rows if show_all or row["available"]]
    if as_json:
        print_json(shown)
    else:
        typer.echo("\n".join(map(printable, _lines(shown))))
    if n_hidden := len(rows) - len(shown):
        say(f"{n_hidden} more are not available; `rdbench codecs list --all` shows why")


def codec_row(name: str) -> dict[str, Any]:
    """Describe a codec: its family, its settings, and why it is not available, if so."""
    cls, reason = None, None
    try:
        cls = codec_class(name)
        cls().check()
    except Unavailable as error:
        reason = str(error)
    return {
        "codec": name,
        "family": family_of(name),
        "title": cls.title if cls else "",
        "settings": [*_settings(cls)] if cls else [],
        "available": reason is None,
        "reason": reason,
    }


def _settings(cls: type[Codec]) -> Iterator[dict[str, Any]]:
    """Name, values and default of each setting of a codec, the rate parameter first."""
    rate = next(iter(cls.rate_parameters), "")
    fields = sorted(settings_of(cls).items(), key=lambda item: item[1].name != rate)
    for name, field in fields:
        kinds = kinds_of(cls)[field.name]
        yield {
            "setting": name,
            "values": [
                str(v) for kind in kinds for v in get_args(kind) or _WORDS.get(kind, ("TEXT",))
            ],
            "default": field.default,
            "ladder": list(cls.ladder_values) if field.name == rate else None,
        }


_WORDS: dict[Any, Sequence[str]] = {bool: ("false", "true"), int: ("INTEGER",), float: ("NUMBER",)}


def _lines(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Codecs below their families; those with the same settings share one list of them."""
    families: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for row in rows:
        groups = families.setdefault(row["family"], {})
        groups.setdefault(str(row["settings"]), []).append(row)
    for family, groups in families.items():
        yield family
        for codecs in groups.values():
            for row in codecs:
                yield f"  {row['codec']:<30}  {row['title']}".rstrip()
                if row["reason"]:
                    yield f"      not available: {row['reason']}"
            for setting in codecs[0]["settings"]:
                yield f"      {setting['setting']:<14}  {_described(setting)}"
        yield ""


def _described(setting: dict[str, Any]) -> str:
    """The values of a setting and its default, for people."""
    ladder, default = setting["ladder"] or (), setting["default"]
    points = [f"{value:g}" if isinstance(value, float) else str(value) for value in ladder]
    if len(points) > 9:
        points = [*points[:3], f"... {points[-1]} ({len(points)} points)"]
    text = ", ".join(points) or "|".join(setting["values"])
    if default in (None, ""):
        return text
    return f"{text}; default {str(default).lower() if isinstance(default, bool) else default}"
