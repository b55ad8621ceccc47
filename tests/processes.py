"""Processes that tests start and look for: each sleeps a number of seconds that no other does."""

import time
import uuid
from collections.abc import Callable

import psutil


def new_tag() -> str:
    """A number of seconds that no other process on the machine sleeps."""
    return str(10_000 + uuid.uuid4().int % 10**9)


def sleepers(tag: str) -> list[int]:
    """The processes whose last word is a tag."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if words[-1:] == [tag] and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process.pid)
    return found


def wait_for(condition: Callable[[], bool]) -> None:
    """Fail when it does not come true within 30 s."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "deadline"
        time.sleep(0.02)
