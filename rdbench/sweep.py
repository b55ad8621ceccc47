"""Codecs x images -> records: encode, decode from the bytes, score, keep; resume."""

import datetime
import functools
import hashlib
import os
import platform
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, TypeVar

import numpy as np

from rdbench.costs import peak_memory_bytes
from rdbench.datasets import Dataset, ImageFile, load_dataset, sha256_of
from rdbench.errors import DataError, RdbenchError, UsageError
from rdbench.images import read_image
from rdbench.metrics import DEFAULT_PROTOCOL, METRICS, Protocol, score
from rdbench.spec import Identity, get_codecs, identified
from rdbench.stages import listen
from rdbench.store import Key, Store
from rdbench.types import Codec, Image, Reconstruction, Record
from rdbench.workers import MapTasks, check_settings, visible_gpus, workers

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Part:
    """One of several shares of a sweep, such as that of one job of a job array.

    The tasks are dealt in turn in the order of the command, whatever is done already. So every job
    that gets the same command with another number has its own share, and shares differ by one task
    at most.
    """

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the part that ``3/20`` names.

        Raises:
            UsageError: it names none.
        """
        found = re.fullmatch(r"(\d+)/(\d+)", text)
        number, of = map(int, found.groups()) if found else (0, 0)
        if not 1 <= number <= of:
            raise UsageError(f"--part {text}: give NUMBER/OF, such as 1/20 to 20/20")
        return cls(number, of)

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """Return the items that belong to this part."""
        return items[self.number - 1 :: self.of]


@dataclass(frozen=True, slots=True)
class Task:
    """One image through one operating point, and the settings that its record keeps."""

    codec: Codec
    identity: Identity
    dataset: str
    file: ImageFile
    protocol: Protocol
    alone: bool = True
    settings: Mapping[str, Any] = field(default_factory=dict)
    memory_bytes: int | None = None

    @property
    def needs(self) -> tuple[tuple[str, float], ...]:
        """What a worker of a cluster must offer; memory where it is known."""
        memory = (("memory", float(self.memory_bytes)),) if self.memory_bytes else ()
        return ((("GPU", 1.0),) if self.codec.on_gpu else ()) + memory

    @property
    def key(self) -> Key:
        """The key of its record."""
        return Key(self.identity.spec, self.identity.fingerprint, self.dataset, self.file.sha256,
                   self.protocol.fingerprint)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sweep is.

    Attributes:
        n_left: tasks that had no verified record at the start.
        n_made: how many of these have been tried since.
        n_failed: how many of these failed.
        record: the record that was just made, or None.
    """

    n_left: int
    n_made: int = 0
    n_failed: int = 0
    record: Record | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a sweep did.

    Attributes:
        records: the record of every task asked for, verified or failed, in a stable order.
        n_made: how many of them this call made.
        datasets: data set -> (image's name -> SHA-256) of the images measured on.
    """

    records: tuple[Record, ...]
    n_made: int
    n_wanted: int
    datasets: Mapping[str, Mapping[str, str]]

    def __repr__(self) -> str:
        n_failed, n_records = len(self.failures), len(self.records)
        return f"<Outcome: {n_records} records, {self.n_measured} new, {n_failed} failed>"

    @property
    def failures(self) -> tuple[Record, ...]:
        """The records that say why there is no result."""
        return tuple(r for r in self.records if r.error is not None)

    @property
    def n_measured(self) -> int:
        """Results that this call added."""
        return max(0, self.n_made - len(self.failures))

    @property
    def n_missing(self) -> int:
        """Tasks asked for that have no record."""
        return self.n_wanted - len(self.records)


def run(
    codecs: Sequence[Codec | str] | Codec | str,
    datasets: Sequence[Dataset | str] | Dataset | str = "sample",
    out: str | Path = "reports",
    *,
    jobs: int = 0,
    threads: int = 1,
    timeout_s: float | None = None,
    cluster: str | None = None,
    protocol: Protocol = DEFAULT_PROTOCOL,
    part: Part | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
    on_message: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Measure codecs on data sets; what the report folder already holds is not measured again.

    Each result is written as soon as it is ready, so the same call resumes an interrupted sweep.
    Failed records are measured again, and so are those whose bitstream is missing or of another
    size.

    Args:
        codecs: operating points, or specs such as ``"jpeg"`` (its default ladder) and
            ``"vtm18:qp=22,27"``.
        datasets: data sets, their names, or folders of images.
        jobs: worker processes; 0 works in this process, so a codec that crashes ends it.
        threads: threads that numerical libraries may use in each process.
        timeout_s: seconds one image may take, or None; needs ``jobs`` of at least 1.
        cluster: a Dask cluster to work on: ``local:N``, ``slurm:N`` or the address of a scheduler,
            see `rdbench.cluster.dask`; its workers, not ``jobs``, decide how much runs at a time,
            and no time limit can be given.
        part: measure this share of the tasks only; `rdbench.merge` puts the parts together.
        on_progress: called at the start and after every record.
        on_message: called with lines for people: which weights codecs use, what a sweep waits for.

    Raises:
        UsageError, DataError: a name, setting, image or folder is wrong; nothing was measured.
        Unavailable: a codec is not available; nothing was measured.
        DataError: the report folder was moved, deleted or replaced meanwhile.
        WorkerError: worker processes keep dying as they start, or the cluster is gone.

    Examples:
        >>> outcome = run("jpeg:quality=25,75", "sample", "reports/")  # doctest: +SKIP
        >>> [(r.image, r.bpp, r.scores["psnr_rgb"]) for r in outcome.records]  # doctest: +SKIP
    """
    check_settings(jobs, threads, timeout_s, cluster)
    points, sets = chosen(codecs, datasets)
    for remark in dict.fromkeys(filter(None, (codec.remark() for codec in points))):
        on_message(remark)
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    settings = {"command": command, "jobs": jobs, "threads": threads, "cluster": cluster}
    with Store(out) as store:
        store.remember_protocol(protocol.fingerprint, protocol.description)
        sets = [remember(store, data) for data in sets]
        alone = jobs <= 1 and cluster is None and part is None
        tasks = tasks_of(points, sets, protocol, part, alone, settings)
        memory = peak_memory_bytes(points, store)

        def wanted(keys: Iterable[Key]) -> list[Task]:
            return [replace(t, memory_bytes=memory[t.codec]) for t in map(tasks.__getitem__, keys)]

        for codec, identity in points.items():
            store.remember_codec(codec, identity.fingerprint)
        gpus = visible_gpus() if any(codec.on_gpu for codec in points) else []
        start = partial(workers, jobs, threads, timeout_s, cluster, gpus, on_message)
        left = store.left_to_do(tasks)
        progress = Progress(len(left))
        on_progress(progress)
        progress = _measured(wanted(left), store, start, progress, on_progress)
        store.check_place()
        found, damaged = store.checked(tasks)
        if damaged:  # which only reading them shows
            progress = replace(progress, n_left=progress.n_left + len(damaged), record=None)
            progress = _measured(wanted(damaged), store, start, progress, on_progress)
            found, _ = store.checked(tasks)
    return Outcome(tuple(found), progress.n_made, len(tasks), {d.name: d.images for d in sets})


def _measured(
    left: Sequence[Task],
    store: Store,
    start: Callable[[], AbstractContextManager[MapTasks]],
    progress: Progress,
    on_progress: Callable[[Progress], None],
) -> Progress:
    """Do tasks on workers, keep what they give, and return how far the sweep is then."""
    if not left:
        return progress
    with start() as map_tasks:
        for task, result in map_tasks(measure, left):
            failed = isinstance(result, BaseException)
            made = (_record(task, {"error": reason(result)}), None) if failed else result
            store.add(*made)
            n_failed = progress.n_failed + (made[0].error is not None)
            n_made = progress.n_made + 1
            progress = replace(progress, n_made=n_made, n_failed=n_failed, record=made[0])
            on_progress(progress)
    return progress


def chosen(
    codecs: Sequence[Codec | str] | Codec | str, datasets: Sequence[Dataset | str] | Dataset | str
) -> tuple[dict[Codec, Identity], list[Dataset]]:
    """Return the operating points, each with its identity, and the data sets of a sweep.

    Raises:
        UsageError, DataError, Unavailable: as `run`.
    """
    sets = [d if isinstance(d, Dataset) else load_dataset(d) for d in _listed(datasets)]
    specs = [get_codecs(c) if isinstance(c, str) else [c] for c in _listed(codecs)]
    points = identified(point for ladder in specs for point in ladder)
    if not points:
        raise UsageError("no codec given (`rdbench codecs list` shows all)")
    return points, sets


def tasks_of(
    points: Mapping[Codec, Identity],
    sets: Sequence[Dataset],
    protocol: Protocol,
    part: Part | None = None,
    alone: bool = True,
    settings: Mapping[str, Any] = MappingProxyType({}),
) -> dict[Key, Task]:
    """Return the tasks of a sweep, or of a part of it, in the order in which they are done."""
    # Paths are absolute, for workers elsewhere.
    located = [(d.name, [replace(f, path=f.path.absolute()) for f in d.files]) for d in sets]
    every = (
        Task(codec, identity, name, file, protocol, alone, settings)
        for name, files in located
        for codec, identity in points.items()
        for file in files
    )
    tasks = {task.key: task for task in every}
    return dict(part.share([*tasks.items()])) if part else tasks


def remember(store: Store, data: Dataset) -> Dataset:
    """Keep in a report folder which images a data set has; the set under its name there."""
    return replace(data, name=store.remember_dataset(data.name, data.source, data.images))


def _listed(value: Any) -> list[Any]:
    return [value] if isinstance(value, str | Codec | Dataset) else list(value)


def measure(task: Task) -> tuple[Record, bytes | None]:
    """Encode an image, decode the bytes with another object, and score what came out.

    Returns:
        The record, with the reason where something failed, and the bitstream where there is one.
    """
    results: dict[str, Any] = {}
    bitstream = None
    transport_s: dict[str, float] = {}
    try:
        image = _read(task.file)
        _prepare(task.codec)
        bitstream, encode_s, transport_s["encode"] = _timed(task.codec.encode, image)
        results |= {
            "encode_s": encode_s,
            "n_bytes": bitstream.n_bytes,
            "segments": bitstream.segments,
            "bitstream_sha256": hashlib.sha256(bitstream.data).hexdigest(),
        }
        decoder = replace(task.codec)  # type: ignore[type-var]
        decoded, decode_s, transport_s["decode"] = _timed(decoder.decode, bitstream.data)
        if task.codec.lossless:
            _require_equal(image, decoded)
        results |= {"scores": score(image, decoded, task.protocol), "decode_s": decode_s}
        if task.codec.estimated:  # nothing was coded
            results |= {"encode_s": None, "decode_s": None}
    except Exception as error:
        results["error"] = reason(error)
    record = _record(task, results)
    if any(transport_s.values()):
        record = replace(record, provenance={**record.provenance, "transport_s": transport_s})
    return record, bitstream.data if bitstream else None


def _timed(call: Callable[[Any], Any], value: Any) -> tuple[Any, float, float]:
    """What a call returns, its seconds, and those of them that moving data to a process took."""
    with listen() as watch:
        started = time.perf_counter()
        result = call(value)
        seconds = time.perf_counter() - started
    return result, seconds, watch.seconds["transport"]


def _require_equal(image: Image, decoded: Reconstruction) -> None:
    if not np.array_equal(image, decoded):
        raise DataError("the codec is lossless, but another image came back")


@functools.cache
def _prepare(codec: Codec) -> None:
    """Prepare an operating point, once in a process."""
    codec.prepare()


def _read(file: ImageFile) -> Image:
    """The pixels, read-only; small images stay in memory for the next operating point."""
    small = file.width * file.height <= 2**21
    return (_read_checked if small else _read_checked.__wrapped__)(file.path, file.sha256)


@functools.lru_cache(maxsize=32)
def _read_checked(path: Path, sha256: str) -> Image:
    """The pixels of the file that the record will name: a sweep of hours may outlive an image."""
    image = read_image(path)
    if sha256_of(path) != sha256:
        raise DataError(f"{path} was changed while the sweep ran; run the same command again")
    image.flags.writeable = False
    return image


def reason(error: BaseException) -> str:
    """One line that says what happened; the type too where it is not one of ours."""
    text = " ".join(str(error).split()) or "no reason given"
    return text if isinstance(error, RdbenchError) else f"{type(error).__name__}: {text}"


def _record(task: Task, results: Mapping[str, Any]) -> Record:
    """Return the record of a task: its description and its results."""
    identity, file = task.identity, task.file
    return Record(
        codec=task.codec.name,
        spec=identity.spec,
        settings=identity.curve.settings,
        variable_rate=task.codec.variable_rate,
        rate_parameter=identity.rate_parameter,
        rate_value=identity.rate_value,
        estimated=task.codec.estimated,
        fingerprint=identity.fingerprint,
        weights=identity.weights,
        dataset=task.dataset,
        image=file.name,
        image_sha256=file.sha256,
        width=file.width,
        height=file.height,
        protocol=task.protocol.fingerprint,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        timed_alone=task.alone,
        provenance={
            "versions": {
                **_versions(),
                **task.codec.versions(),
                **{k: v for m in task.protocol.metrics for k, v in METRICS[m].versions.items()},
            },
            "metrics": {name: METRICS[name].version for name in task.protocol.metrics},
            "machine": machine(),
            **task.settings,
        },
        **results,
    )


@functools.cache
def _versions() -> dict[str, str]:
    python = {"python": platform.python_version()}
    return python | {name: version(name) for name in ("rdbench", "numpy")}


@functools.cache
def machine() -> dict[str, Any]:
    """What this machine is: system, processor, number of cores."""
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(
        r"^model name\s*: (.+)", cpuinfo.read_text() if cpuinfo.exists() else "", re.M
    )
    processor = found[1] if found else platform.processor() or platform.machine()
    return {"system": platform.platform(), "processor": processor, "cores": os.cpu_count()}
