"""Everything rdbench raises on purpose, and what its messages share.

RdbenchError        one line that says what to do; the command line prints it alone
├── UsageError      a name, setting or option that does not exist or does not fit
├── DataError       an image, data set, curve file or folder that is not what it must be
├── Unavailable     something not available on this machine, and how to get it
├── BitstreamError  bytes that cannot be decoded: cut, corrupt, foreign, of other weights
├── EncoderError    an image that a codec could not encode: too small, program failed
└── WorkerError     a worker process that died or ran out of time
Stopped             the user's signal to end; not an error
RdbenchWarning      a valid result that must be read with care
"""

import difflib
import unicodedata
from collections.abc import Iterable


class RdbenchError(Exception):
    """Base of all errors that a user can cause or fix."""


class UsageError(RdbenchError):
    """A name, setting or option that does not exist or does not fit."""


class DataError(RdbenchError):
    """An image, data set, curve file or report folder that is not what it must be."""


class Unavailable(RdbenchError):
    """Something is not available on this machine; the message says how to get it."""


class BitstreamError(RdbenchError):
    """Bytes that cannot be decoded."""


class EncoderError(RdbenchError):
    """An image that this codec could not encode."""


class WorkerError(RdbenchError):
    """A worker process that died or ran out of time."""


class Stopped(BaseException):
    """Ctrl-C or SIGTERM reached a command; its notes say what to do next.

    Not a ``KeyboardInterrupt``: command-line libraries catch that one and print their own words.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number


class RdbenchWarning(UserWarning):
    """A valid result that must be read with care."""


def closest(word: str, words: Iterable[str]) -> str:
    """Return a hint such as ``; did you mean 'jpeg'?``, or an empty text."""
    matches = difflib.get_close_matches(word, list(words), n=1, cutoff=0.5)
    return f"; did you mean {matches[0]!r}?" if matches else ""


_ESCAPED = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode categories that move the cursor, turn the text around or cannot be written at all."""


def printable(text: str) -> str:
    """Return ``text`` as a terminal may show it: control characters as Python escapes them."""
    if text.isprintable():
        return text
    return "".join(
        c.encode("unicode_escape").decode("ascii") if unicodedata.category(c) in _ESCAPED else c
        for c in text
    )
