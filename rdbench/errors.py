"""Everything rdbench raises on purpose.

RdbenchError            its message is one line that says what to do; the command line prints it alone
├── UsageError          a name, setting or option that does not exist or does not fit
├── DataError           a picture, data set, curve file or report folder that is not what it must be
├── Unavailable         what cannot be had here (program, weights, device), with the way to get it
├── BitstreamError      bytes that cannot be decoded: cut, corrupt, foreign, made with other weights
└── EncoderError        a codec could not encode this picture (too small, program failed, time limit)
RdbenchWarning          a result that stands but must be read with care
"""


class RdbenchError(Exception):
    """Base of every error a user can cause or mend."""


class UsageError(RdbenchError):
    """A name, setting or option that does not exist or does not fit."""


class DataError(RdbenchError):
    """A picture, data set, curve file or report folder that is not what it must be."""


class Unavailable(RdbenchError):
    """Something that cannot be had on this machine; the message says how to get it."""


class BitstreamError(RdbenchError):
    """Bytes that cannot be decoded."""


class EncoderError(RdbenchError):
    """A picture that this codec could not encode."""


class RdbenchWarning(UserWarning):
    """A result that stands but must be read with care."""
