"""Read the TOML file that describes a codec.

A codec of two commands has the keys of `rdbench_codecs.external.command`, a class of another Python
environment those of `rdbench_codecs.external.foreign`.
"""

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

from rdbench.errors import DataError
from rdbench_codecs.external.command import CommandCodec, commands
from rdbench_codecs.external.described import Definition, DescribedCodec, made
from rdbench_codecs.external.foreign import ForeignCodec, foreign


def load(path: Path | str, text: str | None = None) -> type[DescribedCodec]:
    """The codec class that a TOML file describes.

    ``text`` is its content where that was kept elsewhere; None to read the file.

    Raises:
        DataError: the file cannot be read, or a key is missing, unknown or wrong.
    """
    path = Path(path).absolute()
    try:
        if text is None:  # editors on Windows begin with a mark
            text = path.read_text(encoding="utf-8-sig")
        base, definition = _read(tomllib.loads(text), str(path.parent))
    except (OSError, ValueError, DataError) as error:
        raise DataError(f"{path}: {error}") from None
    except RecursionError:
        raise DataError(f"{path}: it is nested too deeply; write plain keys") from None
    return made(base, dataclasses.replace(definition, file=str(path), text=text))


def _read(keys: dict[str, Any], here: str) -> tuple[type[DescribedCodec], Definition]:
    """The kind of codec, and its definition."""
    if "class" in keys or "python" in keys:
        return ForeignCodec, foreign(keys, here)
    return CommandCodec, commands(keys, here)
