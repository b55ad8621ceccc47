"""Stages of coding: codecs mark them, a stopwatch times them; without one they have no effect.

    with stage("entropy coding"):
        ...

A codec names its stages; ``rdbench timing`` times them. Stages may be nested: the time of a
stage does not include that of the stages inside it. Names in use: ``transform``,
``entropy parameters``, ``entropy coding``, ``copies``, ``file``; of a codec in another process,
``worker`` is its own time and ``transport`` the rest. A sweep records ``transport``.

Codecs whose entropy coding depends on the scales that a network computes also tell those;
``rdbench consistency`` compares them between machines.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

_IDLE = nullcontext()
_watch: "Stopwatch | None" = None
_collected: "dict[str, EntropyParameters] | None" = None


def stage(name: str) -> AbstractContextManager[None]:
    """Tell that what follows belongs to a stage; only the listener's own thread is timed."""
    watch = _watch
    if watch is None or watch.thread != threading.get_ident():
        return _IDLE
    return watch.stage(name)


def tell_seconds(name: str, seconds: float) -> None:
    """Give a stage time that another process measured, out of that of the current stage."""
    watch = _watch
    if watch is not None and watch.thread == threading.get_ident():
        watch.tell_seconds(name, seconds)


@contextmanager
def listen(clock: Callable[[], float] = time.perf_counter) -> "Iterator[Stopwatch]":
    """Time the stages of what runs inside, on this thread.

    Args:
        clock: seconds; where a GPU works, it waits for it before it tells the time.
    """
    global _watch
    before, _watch = _watch, Stopwatch(clock)
    try:
        yield _watch
    finally:
        _watch = before


class Stopwatch:
    """Seconds of each stage, without the stages inside it.

    Attributes:
        seconds: name -> seconds so far.
        thread: the thread that is timed.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.thread = threading.get_ident()
        self._clock = clock
        self._open: list[str] = []
        self._since = clock()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """A stage from here to the end of the context."""
        self._turn()
        self._open.append(name)
        try:
            yield
        finally:
            self._turn()
            self._open.pop()

    def tell_seconds(self, name: str, seconds: float) -> None:
        """Take time from the innermost stage and give it to another."""
        self.seconds[name] += seconds
        if self._open:
            self.seconds[self._open[-1]] -= seconds

    def _turn(self) -> None:
        """Give the time since the last turn to the innermost stage."""
        now = self._clock()
        if self._open:
            self.seconds[self._open[-1]] += now - self._since
        self._since = now


@dataclass
class EntropyParameters:
    """What entropy coding of one latent depended on, in the order of coding.

    Attributes:
        symbols: the integers.
        scales: the scale that the network gave for each, within the range of the tables.
        tables: the probability table that was used for each.
    """

    symbols: list[npt.NDArray[np.int32]] = field(default_factory=list)
    scales: list[npt.NDArray[np.float32]] = field(default_factory=list)
    tables: list[npt.NDArray[np.integer]] = field(default_factory=list)


def tell_entropy_parameters(
    latent: str,
    symbols: npt.NDArray[np.int32],
    scales: npt.NDArray[np.float32],
    tables: npt.NDArray[np.integer],
) -> None:
    """Tell symbols of a latent, and their scales and tables, all (n,); no effect unless collected.

    Args:
        latent: its name.
        symbols, scales, tables: as in `EntropyParameters`.
    """
    if _collected is not None:
        found = _collected.setdefault(latent, EntropyParameters())
        found.symbols.append(symbols)
        found.scales.append(scales)
        found.tables.append(tables)


def collects_entropy_parameters() -> bool:
    """Return whether `tell_entropy_parameters` has an effect."""
    return _collected is not None


@contextmanager
def collect_entropy_parameters() -> Iterator[dict[str, EntropyParameters]]:
    """Collect what is told inside, by latent."""
    global _collected
    before, _collected = _collected, {}
    try:
        yield _collected
    finally:
        _collected = before
