"""Names of files and codecs as a terminal or a figure may show them."""

import unicodedata

_ESCAPED = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode categories that move the cursor, turn the text around or cannot be written at all."""


def printable(text: str) -> str:
    """Return ``text`` with its control characters as Python escapes them; the rest as it is."""
    if text.isprintable():
        return text
    return "".join(_escaped(c) if unicodedata.category(c) in _ESCAPED else c for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
