"""Fonts for names in any script: an installed font stands in for what the default one lacks."""

import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from rdbench.errors import RdbenchWarning

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PREFERRED = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei", "Droid Sans Fallback", "Microsoft YaHei", "PingFang SC", "Hiragino Sans",
    "Arial Unicode MS", "Noto Sans",
)  # fmt: skip
"""Families tried first; after them any that is installed."""

_OWN = "DejaVu Sans"
_TEX = "cmr10"
_NOT_ASCII = frozenset('_<>|{}\\"')
"""Characters in whose places Computer Modern has others, such as a dot for the underscore."""
_PLACEHOLDER = "Last Resort"
"""A font that has a box for everything."""


def use_fonts_for_names(figure: "Figure") -> None:
    """Let every text of a figure use the installed fonts that have its characters.

    Warns once where no installed font has a character: it is drawn as a box.
    """
    from matplotlib.text import Text

    texts = [t for t in figure.findobj(Text) if isinstance(t, Text)]
    for text in texts:
        if _TEX in text.get_fontfamily() and _NOT_ASCII & set(text.get_text()):
            text.set_fontfamily([name for name in text.get_fontfamily() if name != _TEX])
    characters = {c for t in texts for c in t.get_text() if c.isprintable() and not c.isspace()}
    families, lacking = _covering(characters - _glyphs(_OWN))
    for text in texts if families else []:
        text.set_fontfamily([*text.get_fontfamily(), *families])
    if lacking:
        warnings.warn(
            f"no installed font has {''.join(sorted(lacking))}: figures show boxes; install one, "
            "such as Noto Sans CJK",
            RdbenchWarning,
            stacklevel=2,
        )


@contextmanager
def quiet_fonts() -> Iterator[None]:
    """Silence warnings of single glyphs and weights; rdbench warns once for all.

    Also that numbers in Computer Modern should be mathematics, which no text of a figure is, and
    that its files have odd dates.
    """
    logs = [logging.getLogger(name) for name in ("matplotlib.font_manager", "fontTools")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"Glyph .* missing from")
            warnings.filterwarnings("ignore", "cmr10 font should")
            yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)


def _covering(characters: Iterable[str]) -> tuple[list[str], set[str]]:
    """Installed families that together have the characters, and the characters that none has."""
    lacking, families = set(characters), []
    for family in _families() if lacking else ():
        found = lacking & _glyphs(family)
        if found:
            families.append(family)
            lacking -= found
        if not lacking:
            break
    return families, lacking


def _families() -> list[str]:
    """Installed families in the order in which they are tried."""
    from matplotlib.font_manager import fontManager

    names = {font.name for font in fontManager.ttflist if not font.name.startswith(_PLACEHOLDER)}
    return [n for n in PREFERRED if n in names] + sorted(names - {*PREFERRED, _OWN})


@cache
def _glyphs(family: str) -> frozenset[str]:
    """The characters that a family has."""
    from matplotlib.font_manager import fontManager
    from matplotlib.ft2font import FT2Font

    path = next(font.fname for font in fontManager.ttflist if font.name == family)
    return frozenset(map(chr, FT2Font(path).get_charmap()))
