"""Codecs x pictures -> records: encode, decode from the bytes, score, keep; go on where it was."""

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

from rdbench.datasets import Dataset, Picture, load_dataset
from rdbench.errors import RdbenchError, UsageError
from rdbench.images import read_image
from rdbench.metrics import DEFAULT_PROTOCOL, METRICS, Protocol, available, score
from rdbench.registry import codec_from_spec, codecs_from_spec, curve_of, rate_of, spec_of
from rdbench.store import Key, Store, key_of
from rdbench.types import Codec, Image, Record
from rdbench.workers import workers


@dataclass(frozen=True, slots=True)
class Task:
    """One picture through one operating point."""

    codec: Codec
    dataset: str
    picture: Picture
    protocol: Protocol


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sweep is: tasks wanted in all, left at its start, made and failed since."""

    n_wanted: int
    n_left: int
    n_made: int
    n_failed: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a sweep did.

    Attributes:
        records: the record of every task asked for, verified or failed, in a stable order.
        n_made: how many of them this call made.
    """

    records: tuple[Record, ...]
    n_made: int

    @property
    def failures(self) -> tuple[Record, ...]:
        """The records that say why there is no result."""
        return tuple(r for r in self.records if r.error is not None)


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
    when it is called again. Failed records are tried again.

    Args:
        codecs: operating points, or specs such as ``"jpeg"`` (its default ladder) and
            ``"vtm18:qp=22,27"``.
        datasets: data sets, their names, or folders of pictures.
        out: the report folder.
        jobs: processes to work in; 0 works in this one, and a codec that crashes takes it along.
        threads: threads that numerical libraries may use in each process.
        timeout_s: seconds one picture may take, or None; needs ``jobs`` of at least 1.
        scheduler: address of a Dask scheduler to work on instead of this machine.
        protocol: how pictures are scored.
        on_progress: called at the start and after every record.

    Returns:
        All records asked for, and how many are new.

    Raises:
        UsageError, DataError: a name, setting, picture or folder is wrong; nothing was measured.
        Unavailable: a codec cannot run here; nothing was measured.

    Example:
        >>> outcome = run("jpeg:quality=25,75", "sample", "reports/")  # doctest: +SKIP
        >>> [(r.image, r.bpp, r.scores["psnr_rgb"]) for r in outcome.records]  # doctest: +SKIP
    """
    if jobs < 0 or threads < 1:
        raise UsageError("jobs must be 0 or more and threads 1 or more")
    if timeout_s is not None and jobs == 0:
        raise UsageError("a time limit needs a process of its own: give jobs=1 or more")
    sets = [d if isinstance(d, Dataset) else load_dataset(d) for d in _listed(datasets)]
    points = _operating_points(_listed(codecs))
    tasks = {
        _key(codec, data.name, picture, protocol): Task(codec, data.name, picture, protocol)
        for data in sets
        for codec in points
        for picture in data.pictures
    }
    alone = jobs <= 1 and scheduler is None
    settings = {"command": _command(), "jobs": jobs, "threads": threads, "scheduler": scheduler}
    with Store(out) as store:
        store.remember_protocol(protocol.fingerprint, protocol.description)
        for data in sets:
            images = {p.name: p.sha256 for p in data.pictures}
            store.remember_dataset(data.name, data.source, images)
        ordered = list(tasks.values())
        left = [ordered[i] for i in store.left_to_do(tasks)]
        progress = Progress(len(tasks), len(left), 0, 0)
        on_progress(progress)
        if left:
            with workers(jobs, threads, timeout_s, scheduler) as results:
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
        found = tuple(record for record in store.records() if key_of(record) in tasks)
    return Outcome(found, progress.n_made)


def rescore(
    out: str | Path = "reports",
    metrics: Sequence[str] = (),
    *,
    jobs: int = 0,
    on_progress: Callable[[int, int], None] = lambda done, n: None,
) -> int:
    """Compute the scores that verified records lack, from their kept bitstreams.

    Nothing is encoded again, and no score that is there is changed.

    Args:
        out: the report folder.
        metrics: names of metrics; () for all that can be computed here.
        jobs: processes to work in; 0 works in this one.
        on_progress: called with (records done, records to do).

    Returns:
        The number of records that got new scores.

    Raises:
        UsageError: no such metric.
        DataError: a data set or bitstream is missing or not what it was.
        Unavailable: a metric cannot be computed here; the message says what it needs.
    """
    for name in metrics:
        Protocol(metrics=(name,))
        METRICS[name].check()
    wanted = set(metrics or available())
    with Store(out, create=False) as store:
        protocols = {name: d["scored"] for name, d in store.protocols().items()}
        lacking = [r for r in store.records() if r.error is None and wanted - r.scores.keys()]
        pictures = _pictures(store, {record.dataset for record in lacking})
        tasks = [
            _Rescore(
                record,
                tuple(sorted(wanted - record.scores.keys())),
                protocols[record.protocol],
                pictures[record.dataset, record.image_sha256],
                store.folder,
            )
            for record in lacking
        ]
        n_rescored = 0
        with workers(jobs, 1, None, None) as results:
            for done, (task, result) in enumerate(results(_rescore, tasks), start=1):
                if isinstance(result, BaseException):
                    raise result
                if result:
                    store.put_scores(task.record, result)
                    n_rescored += 1
                on_progress(done, len(tasks))
    return n_rescored


@dataclass(frozen=True, slots=True)
class _Rescore:
    """A record, the metrics it lacks, how it is scored, and where it is kept."""

    record: Record
    metrics: tuple[str, ...]
    scored: Any
    picture: Picture
    folder: Path


def _pictures(store: Store, datasets: Iterable[str]) -> dict[tuple[str, str], Picture]:
    """(data set, SHA-256) -> picture."""
    return {
        (name, picture.sha256): picture
        for name in datasets
        for picture in load_dataset(store.source_of(name)).pictures
    }


def _rescore(task: _Rescore) -> dict[str, float]:
    record = task.record
    with Store(task.folder, create=False) as store:
        data = store.bitstream(record.bitstream_sha256)
    decoded = codec_from_spec(record.spec).decode(data)
    return score(Protocol(task.scored, task.metrics), _read(task.picture), decoded)


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


def _key(codec: Codec, dataset: str, picture: Picture, protocol: Protocol) -> Key:
    return spec_of(codec), codec.fingerprint(), dataset, picture.sha256, protocol.fingerprint


def _command() -> str:
    import shlex

    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


def _record_and_bytes(
    task: Task, result: tuple[Record, bytes | None] | BaseException
) -> tuple[Record, bytes | None]:
    if isinstance(result, BaseException):
        return replace(_blank(task), error=_reason(result)), None
    return result


def measure(task: Task) -> tuple[Record, bytes | None]:
    """Encode a picture, decode the bytes with another object, and score what came out.

    Returns:
        The record, with the reason where something failed, and the bitstream where there is one.
    """
    record, bitstream = _blank(task), None
    try:
        image = _read(task.picture)
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
        scores = score(task.protocol, image, decoded)
        record = replace(record, decode_s=decode_s, scores=scores)
    except Exception as error:
        record = replace(record, error=_reason(error))
    return record, bitstream.data if bitstream else None


@functools.cache
def _prepare(codec: Codec) -> None:
    """Prepare an operating point, once in a process."""
    codec.prepare()


def _read(picture: Picture) -> Image:
    """The pixels, read-only; small pictures stay in memory for the next operating point."""
    small = picture.width * picture.height <= 2**21
    image = _read_small(picture.path, picture.sha256) if small else read_image(picture.path)
    image.flags.writeable = False
    return image


@functools.lru_cache(maxsize=32)
def _read_small(path: Path, sha256: str) -> Image:
    return read_image(path)


def _reason(error: BaseException) -> str:
    """One line that says what happened; the type too where it is not one of ours."""
    text = " ".join(str(error).split()) or "no reason given"
    return text if isinstance(error, RdbenchError) else f"{type(error).__name__}: {text}"


def _blank(task: Task) -> Record:
    """The record of a task before anything is known of its result."""
    codec, picture = task.codec, task.picture
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
        image=picture.name,
        image_sha256=picture.sha256,
        width=picture.width,
        height=picture.height,
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
