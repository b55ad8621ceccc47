"""Everything rdbench raises on purpose.

RdbenchError        one line that says what to do; the command line prints it alone
├── UsageError      a name, setting or option that does not exist or does not fit
├── DataError       an image, data set, curve file or folder that is not what it must be
├── Unavailable     what cannot be had here (program, weights, device), and the way to get it
├── BitstreamError  bytes that cannot be decoded: cut, corrupt, foreign, of other weights
├── EncoderError    an image that a codec could not encode: too small, program failed
└── WorkerError     a worker process that died or ran out of time
Stopped             the user's signal to end; no error
RdbenchWarning      a result that stands but must be read with care
"""


class RdbenchError(Exception):
    """Base of every error a user can cause or mend."""


class UsageError(RdbenchError):
    """A name, setting or option that does not exist or does not fit."""


class DataError(RdbenchError):
    """An image, data set, curve file or report folder that is not what it must be."""


class Unavailable(RdbenchError):
    """Something that cannot be had on this machine; the message says how to get it."""


class BitstreamError(RdbenchError):
    """Bytes that cannot be decoded."""


class EncoderError(RdbenchError):
    """An image that this codec could not encode."""


class WorkerError(RdbenchError):
    """A worker process that died or ran out of time."""


class Stopped(BaseException):
    """Ctrl-C or SIGTERM reached a command; its notes say what is left to the user.

    No ``KeyboardInterrupt``: command-line libraries swallow that one and print their own words.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number


class RdbenchWarning(UserWarning):
    """A result that stands but must be read with care."""
