"""Codecs x images -> records: encode, decode from the bytes, score, keep; go on where it was."""

import datetime
import functools
import hashlib
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rdbench.datasets import Dataset, ImageFile, load_dataset, sha256_of
from rdbench.errors import DataError, RdbenchError, UsageError
from rdbench.images import read_image
from rdbench.metrics import DEFAULT_PROTOCOL, METRICS, Protocol, score
from rdbench.registry import codecs_from_spec, curve_of, rate_of, spec_of
from rdbench.store import Key, Store, key_of
from rdbench.types import Codec, Image, Record
from rdbench.workers import check_settings, workers


@dataclass(frozen=True, slots=True)
class Task:
    """One image through one operating point."""

    codec: Codec
    dataset: str
    image: ImageFile
    protocol: Protocol


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sweep is.

    Attributes:
        n_wanted: tasks asked for.
        n_left: how many of them had no verified record at the start.
        n_made: how many of these have been tried since.
        n_failed: how many of these failed.
        waits_for: what the sweep waits for, or "".
    """

    n_wanted: int
    n_left: int
    n_made: int
    n_failed: int
    waits_for: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a sweep did.

    Attributes:
        records: the record of every task asked for, verified or failed, in a stable order.
        n_made: how many of them this call made.
        n_wanted: how many tasks were asked for.
    """

    records: tuple[Record, ...]
    n_made: int
    n_wanted: int

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
    scheduler: str | None = None,
    protocol: Protocol = DEFAULT_PROTOCOL,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Outcome:
    """Measure codecs on data sets; what the report folder already holds is not measured again.

    Every result is on disk the moment it exists, so a sweep that is killed goes on where it was
    when it is called again. Failed records are tried again, and so are those whose bitstream is
    missing or of another size.

    Args:
        codecs: operating points, or specs such as ``"jpeg"`` (its default ladder) and
            ``"vtm18:qp=22,27"``.
        datasets: data sets, their names, or folders of images.
        out: the report folder.
        jobs: processes to work in; 0 works in this one, and a codec that crashes takes it along.
        threads: threads that numerical libraries may use in each process.
        timeout_s: seconds one image may take, or None; needs ``jobs`` of at least 1.
        scheduler: address of a Dask scheduler to work on instead of this machine; its workers,
            not ``jobs``, decide how much runs at a time, and no time limit can be given.
        protocol: how images are scored.
        on_progress: called at the start, after every record, and when the sweep has to wait.

    Returns:
        All records asked for, and how many are new.

    Raises:
        UsageError, DataError: a name, setting, image or folder is wrong; nothing was measured.
        Unavailable: a codec cannot run here; nothing was measured.
        DataError: the report folder was moved, deleted or replaced meanwhile.
        WorkerError: worker processes keep dying as they start, or the cluster is gone.

    Example:
        >>> outcome = run("jpeg:quality=25,75", "sample", "reports/")  # doctest: +SKIP
        >>> [(r.image, r.bpp, r.scores["psnr_rgb"]) for r in outcome.records]  # doctest: +SKIP
    """
    check_settings(jobs, threads, timeout_s, scheduler)
    sets = [d if isinstance(d, Dataset) else load_dataset(d) for d in _listed(datasets)]
    points = _operating_points(_listed(codecs))
    alone = jobs <= 1 and scheduler is None
    settings = {"command": _command(), "jobs": jobs, "threads": threads, "scheduler": scheduler}
    with Store(out) as store:
        store.remember_protocol(protocol.fingerprint, protocol.description)
        tasks = _tasks([remember(store, data) for data in sets], points, protocol)
        for codec in points:
            store.remember_codec(codec)
        store.heal(tasks)
        ordered = list(tasks.values())
        left = [ordered[i] for i in store.left_to_do(tasks)]
        progress = Progress(len(tasks), len(left), 0, 0)
        on_progress(progress)

        def on_wait(what: str) -> None:
            on_progress(replace(progress, waits_for=what))

        if left:
            with workers(jobs, threads, timeout_s, scheduler, on_wait) as results:
                for task, result in results(measure, left):
                    record, bitstream = _record_and_bytes(task, result)
                    provenance = {**record.provenance, **settings}
                    record = replace(record, timed_alone=alone, provenance=provenance)
                    store.add(record, bitstream)
                    progress = replace(
                        progress,
                        n_made=progress.n_made + 1,
                        n_failed=progress.n_failed + (record.error is not None),
                    )
                    on_progress(progress)
        store.check_place()
        found = tuple(record for record in store.records() if key_of(record) in tasks)
    return Outcome(found, progress.n_made, len(tasks))


def _tasks(sets: Iterable[Dataset], points: Iterable[Codec], protocol: Protocol) -> dict[Key, Task]:
    """Every image through every operating point; paths are absolute, for workers elsewhere."""
    return {
        _key(codec, data.name, image, protocol): Task(
            codec, data.name, replace(image, path=image.path.absolute()), protocol
        )
        for data in sets
        for codec in points
        for image in data.files
    }


def remember(store: Store, data: Dataset) -> Dataset:
    """Keep in a report folder which images a data set has; the set under its name there."""
    return replace(data, name=store.remember_dataset(data.name, data.source, data.images))


def _listed(value: Any) -> list[Any]:
    return [value] if isinstance(value, str | Codec | Dataset) else list(value)


def _operating_points(codecs: Sequence[Codec | str]) -> list[Codec]:
    points = [
        point
        for codec in codecs
        for point in (codecs_from_spec(codec) if isinstance(codec, str) else [codec])
    ]
    if not points:
        raise UsageError("no codec given (`rdbench list codecs` shows all)")
    for point in points:
        point.check()
    return points


def _key(codec: Codec, dataset: str, image: ImageFile, protocol: Protocol) -> Key:
    return spec_of(codec), codec.fingerprint(), dataset, image.sha256, protocol.fingerprint


def _command() -> str:
    import shlex

    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


def _record_and_bytes(
    task: Task, result: tuple[Record, bytes | None] | BaseException
) -> tuple[Record, bytes | None]:
    if isinstance(result, BaseException):
        return replace(_blank(task), error=reason(result)), None
    return result


def measure(task: Task) -> tuple[Record, bytes | None]:
    """Encode an image, decode the bytes with another object, and score what came out.

    Returns:
        The record, with the reason where something failed, and the bitstream where there is one.
    """
    record, bitstream = _blank(task), None
    try:
        image = _read(task.image)
        _prepare(task.codec)
        started = time.perf_counter()
        bitstream = task.codec.encode(image)
        encode_s = time.perf_counter() - started
        record = replace(
            record,
            n_bytes=len(bitstream.data),
            segments=bitstream.segments,
            bitstream_sha256=hashlib.sha256(bitstream.data).hexdigest(),
            encode_s=encode_s,
        )
        decoder = replace(task.codec)  # type: ignore[type-var]
        started = time.perf_counter()
        decoded = decoder.decode(bitstream.data)
        decode_s = time.perf_counter() - started
        scores = score(image, decoded, task.protocol)
        record = replace(record, decode_s=decode_s, scores=scores)
    except Exception as error:
        record = replace(record, error=reason(error))
    return record, bitstream.data if bitstream else None


@functools.cache
def _prepare(codec: Codec) -> None:
    """Prepare an operating point, once in a process."""
    codec.prepare()


def _read(image_file: ImageFile) -> Image:
    """The pixels, read-only; small images stay in memory for the next operating point."""
    small = image_file.width * image_file.height <= 2**21
    read = _read_small if small else _read_checked
    image = read(image_file.path, image_file.sha256)
    image.flags.writeable = False
    return image


@functools.lru_cache(maxsize=32)
def _read_small(path: Path, sha256: str) -> Image:
    return _read_checked(path, sha256)


def _read_checked(path: Path, sha256: str) -> Image:
    """The pixels of the file that the record will name: a sweep of hours may outlive an image."""
    image = read_image(path)
    if sha256_of(path) != sha256:
        raise DataError(f"{path} was changed while the sweep ran; run the same command again")
    return image


def reason(error: BaseException) -> str:
    """One line that says what happened; the type too where it is not one of ours."""
    text = " ".join(str(error).split()) or "no reason given"
    return text if isinstance(error, RdbenchError) else f"{type(error).__name__}: {text}"


def _blank(task: Task) -> Record:
    """The record of a task before anything is known of its result."""
    codec, image = task.codec, task.image
    parameter, value = rate_of(codec)
    return Record(
        codec=codec.name,
        spec=spec_of(codec),
        curve=curve_of(codec),
        rate_parameter=parameter,
        rate_value=value,
        fingerprint=codec.fingerprint(),
        weights_kind=codec.weights_kind(),
        dataset=task.dataset,
        image=image.name,
        image_sha256=image.sha256,
        width=image.width,
        height=image.height,
        protocol=task.protocol.fingerprint,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        provenance={
            "versions": {**_versions(), **codec.versions()},
            "metrics": {name: METRICS[name].version for name in task.protocol.metrics},
            "machine": machine(),
        },
    )


@functools.cache
def _versions() -> dict[str, str]:
    return {
        "rdbench": version("rdbench"),
        "python": platform.python_version(),
        "numpy": version("numpy"),
    }


@functools.cache
def machine() -> dict[str, Any]:
    """What this machine is: system, processor, number of cores."""
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
    }


def _processor() -> str:
    for line in _lines(Path("/proc/cpuinfo")):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _lines(path: Path) -> Iterator[str]:
    if path.exists():
        yield from path.read_text().splitlines()
