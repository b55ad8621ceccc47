"""The program: ``rdbench``, and ``python -m rdbench`` for torchrun and where no script is on PATH.

Nothing slow is imported before signals are handled, so Ctrl-C is one line from the start on. It is
imported by every worker process too.
"""

import os
import signal
import sys
from types import FrameType

from rdbench.errors import RdbenchError, Stopped

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def main() -> None:
    """Run the command line; an error is one line on stderr and exit status 1.

    Ctrl-C and SIGTERM end it with one line and status 128 + signal, as shells count it: at once
    while it starts or ends, and after cleaning up while a command runs. A second one does not wait
    for that.
    """
    _on_signal(_leave)
    try:
        _run_command()
    except Stopped as stop:
        notes = getattr(stop, "__notes__", [])
        _on_signal(lambda number, _: None)  # one line, whatever is pressed meanwhile
        print("; ".join(["rdbench: stopped", *notes]), file=sys.stderr, flush=True)
        _on_signal(lambda number, _: os._exit(128 + number))
        sys.exit(128 + stop.signal_number)


def _run_command() -> None:
    try:
        from rdbench.cli.app import app

        _on_signal(_stop)
        app()
    except RdbenchError as error:
        print(f"rdbench: {error}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        print(f"rdbench: {_what_failed(error)}", file=sys.stderr)
        sys.exit(1)
    finally:
        _on_signal(_leave)


def _what_failed(error: OSError) -> str:
    """Say which file it was, and why: a name too long, a folder that may not be entered."""
    from rdbench.errors import printable

    where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
    return printable(f"{where}{error.strerror or error}")


def _on_signal(handler: "signal._HANDLER") -> None:
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup and shells' `&` have it
            signal.signal(number, handler)


def _stop(number: int, frame: FrameType | None) -> None:
    _on_signal(_leave)
    raise Stopped(number)


def _leave(number: int, frame: FrameType | None) -> None:
    show_cursor = "\x1b[?25h" if sys.stderr.isatty() else ""  # a progress bar hides it
    os.write(2, f"{show_cursor}rdbench: stopped\n".encode())
    os._exit(128 + number)


if __name__ == "__main__":
    main()
