"""Plan a sweep: what is left to do, how long it takes, how much disk and memory it needs."""

import heapq
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from rdbench.columns import Column, plain
from rdbench.costs import Cost, known_costs
from rdbench.datasets import Dataset
from rdbench.metrics import DEFAULT_PROTOCOL, Protocol
from rdbench.store import Store
from rdbench.sweep import Part, Task, chosen, tasks_of
from rdbench.types import Codec

START_S = 1.5
"""Seconds until a worker process is ready."""
READ_S_PER_MEGAPIXEL = 0.05
"""Seconds to read and check an image, which a worker does once for small images."""
TASK_S = 0.008
"""Seconds per task for all but the codec, the image and the metrics."""
_LARGE = 2**21  # pixels: larger images are read for every task
_RECORD_BYTES = 1500  # of the database


@dataclass(slots=True)
class Row:
    """What is left of one curve."""

    codec: str
    n_tasks: int = 0
    n_done: int = 0
    megapixels: float = 0.0
    worker_s: float = 0.0
    n_bytes: float = 0.0
    known: bool = True
    peak_memory_bytes: int | None = None
    sources: set[str] = field(default_factory=set)

    def row(self) -> dict[str, Any]:
        """One row of a table; see PLANS."""
        return {
            "codec": self.codec,
            "n_tasks": self.n_tasks,
            "n_done": self.n_done,
            "n_left": self.n_tasks - self.n_done,
            "megapixels": self.megapixels,
            "worker_s": self.worker_s if self.known else None,
            "n_bytes": round(self.n_bytes) if self.known else None,
            "peak_memory_bytes": self.peak_memory_bytes,
            "times": sorted(self.sources - {""}) or None,
        }


PLANS = (
    Column("codec"),
    Column("n_tasks", "tasks"),
    Column("n_done", "done"),
    Column("n_left", "left"),
    Column("megapixels", "left", "MP", 1),
    Column("worker_s", "CPU time", "h", 3, scale=1 / 3600),
    Column("n_bytes", "disk", "MiB", 1, scale=2**-20),
    Column("peak_memory_bytes", "peak memory", "MiB", 0, scale=2**-20),
    *plain("times"),
)
"""How people see `Row.row`."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a sweep will take.

    Attributes:
        makespan_s: seconds until the last of the workers is done, by simulation; codecs whose times
            are not known are left out.
    """

    rows: tuple[Row, ...]
    jobs: int
    makespan_s: float

    @property
    def unknown(self) -> list[str]:
        """Curves with tasks left whose times are not known."""
        return [row.codec for row in self.rows if not row.known]


@dataclass(frozen=True, slots=True)
class Step:
    """A task as the simulation sees it.

    Attributes:
        point: what has to be prepared first, which takes ``prepare_s`` once in each worker.
        image: what has to be read first, which takes ``read_s`` once in each worker.
    """

    seconds: float
    point: object = None
    prepare_s: float = 0.0
    image: object = None
    read_s: float = 0.0


def plan(
    codecs: Sequence[Codec | str] | Codec | str,
    datasets: Sequence[Dataset | str] | Dataset | str = "sample",
    out: str | Path = "reports",
    *,
    jobs: int = 1,
    protocol: Protocol = DEFAULT_PROTOCOL,
    part: Part | None = None,
) -> Plan:
    """Say what `rdbench.sweep.run` will take with the same arguments; nothing is written.

    Args:
        jobs: workers, with one thread each.

    Raises:
        UsageError, DataError, Unavailable: as `rdbench.sweep.run`.
    """
    points, sets = chosen(codecs, datasets)
    exists = (Path(out) / "records.sqlite").is_file()
    with Store(out, create=False) if exists else nullcontext() as store:
        if store:
            sets = [replace(d, name=store.name_of(d.name, d.source, d.images)) for d in sets]
        tasks = tasks_of(points, sets, protocol, part)
        left = [tasks[key] for key in (store.missing(tasks) if store else tasks)]
        known = known_costs(points, store)
    rows = _rows(tasks.values(), known)
    for row in rows.values():
        row.n_done = row.n_tasks
    for task in left:
        rows[task.identity.curve.spec].n_done -= 1
    scoring = _scoring_s(protocol)
    steps = []
    for task in left:
        step = _step(task, known[task.codec], scoring)
        _add(rows[task.identity.curve.spec], task, known[task.codec], step)
        steps += [step] if step else []
    return Plan(tuple(rows.values()), jobs, makespan_s(steps, jobs))


def makespan_s(steps: Iterable[Step], jobs: int) -> float:
    """Return when the last step ends if each worker takes the next one as soon as it is free."""
    end = 0.0
    free = [(START_S, number) for number in range(jobs)]
    ready: list[set[object]] = [set() for _ in range(jobs)]
    for step in steps:
        now, number = heapq.heappop(free)
        first = {step.point: step.prepare_s, step.image: step.read_s}
        now += step.seconds + sum(s for what, s in first.items() if what not in ready[number])
        ready[number].update(first)
        end = max(end, now)
        heapq.heappush(free, (now, number))
    return end


def _rows(tasks: Iterable[Task], known: Mapping[Codec, Cost]) -> dict[str, Row]:
    """Return a row for each curve, with its tasks counted."""
    rows: dict[str, Row] = {}
    for task in tasks:
        name = task.identity.curve.spec
        row = rows.setdefault(name, Row(name))
        row.n_tasks += 1
        memory = known[task.codec].peak_memory_bytes
        row.peak_memory_bytes = max(filter(None, (row.peak_memory_bytes, memory)), default=None)
    return rows


def _add(row: Row, task: Task, cost: Cost, step: Step | None) -> None:
    """Add a task that is left to the row of its curve."""
    megapixels = _megapixels(task)
    row.megapixels += megapixels
    row.n_bytes += _RECORD_BYTES + megapixels * (cost.n_bytes or 0.0)
    row.known &= step is not None
    row.worker_s += step.seconds if step else 0.0
    row.sources.add(cost.source)


def _step(task: Task, cost: Cost, scoring_s: float) -> Step | None:
    """Return a task for the simulation; None where its time is not known."""
    if cost.seconds is None:
        return None
    megapixels = _megapixels(task)
    read_s, large = READ_S_PER_MEGAPIXEL * megapixels, megapixels * 1e6 > _LARGE
    seconds = TASK_S + megapixels * (cost.seconds + scoring_s) + read_s * large
    return Step(seconds, task.codec, cost.prepare_s, task.file.sha256, read_s * (not large))


def _megapixels(task: Task) -> float:
    return task.file.width * task.file.height / 1e6


def _scoring_s(protocol: Protocol) -> float:
    """Seconds per megapixel to score a reconstruction."""
    costs = json.loads(files("rdbench.metrics").joinpath("costs.json").read_text("utf-8"))
    per_metric: dict[str, float] = costs["ms_per_megapixel"]
    return sum(per_metric.get(name, 0.0) for name in protocol.metrics) / 1000
