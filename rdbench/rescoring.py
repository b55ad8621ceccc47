"""New metrics for old records, from their kept bitstreams."""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rdbench.datasets import ImageFile, load_dataset
from rdbench.errors import DataError, RdbenchError
from rdbench.images import read_image
from rdbench.metrics import METRICS, Protocol, available, score
from rdbench.store import Store
from rdbench.sweep import reason
from rdbench.types import Codec, Record
from rdbench.workers import workers


@dataclass(frozen=True, slots=True)
class Rescored:
    """How many records got new scores, and a line for each that could not be rescored."""

    n_records: int
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Task:
    """A record, its codec, the metrics it lacks, how it is scored, and where it is kept."""

    record: Record
    codec: Codec
    metrics: tuple[str, ...]
    scored: Any
    image: ImageFile
    folder: Path


def rescore(
    out: str | Path = "reports",
    metrics: Sequence[str] = (),
    *,
    jobs: int = 0,
    on_progress: Callable[[int, int], None] = lambda done, n: None,
) -> Rescored:
    """Compute additional metrics for existing records, from their kept bitstreams.

    Nothing is encoded again, and no score that is there is changed. A record is decoded only by the
    codec that made it.

    Args:
        metrics: names of metrics; () for all available ones.

    Raises:
        UsageError: no such metric.
        DataError: the folder holds no records.
        Unavailable: a metric is not available; the message says what it needs.
    """
    for name in metrics:
        Protocol(metrics=(name,))
        METRICS[name].check()
    wanted = set(metrics or available())
    problems: list[str] = []
    n_records = 0
    with Store(out, create=False) as store:
        lacking = [r for r in store.records() if r.error is None and wanted - r.scores.keys()]
        tasks = list(_tasks(store, lacking, wanted, problems))
        with workers(jobs, 1, None, None) as map_tasks:
            for done, (task, result) in enumerate(map_tasks(_rescore, tasks), start=1):
                if isinstance(result, BaseException):
                    problems.append(_line(task.record, result))
                elif result:
                    store.put_scores(task.record, result)
                    n_records += 1
                on_progress(done, len(tasks))
    return Rescored(n_records, tuple(problems))


def _tasks(
    store: Store, records: Iterable[Record], wanted: set[str], problems: list[str]
) -> Iterator[_Task]:
    """Yield the tasks; add a line to ``problems`` per record whose codec or image is missing."""
    protocols = store.protocols()
    codec_of = functools.cache(_or_error(store.codec_of))
    images_of = functools.cache(_or_error(functools.partial(_images, store)))
    for record in records:
        codec = codec_of(record.codec, record.spec, record.fingerprint)
        files = images_of(record.dataset)
        try:
            if error := next((e for e in (codec, files) if isinstance(e, RdbenchError)), None):
                raise error
            if record.image_sha256 not in files:
                raise DataError("the image is no longer in its data set, or was changed")
            if record.protocol not in protocols:
                raise DataError(f"protocol {record.protocol} is not known; measure it again")
        except RdbenchError as error:
            problems.append(_line(record, error))
            continue
        yield _Task(
            record,
            codec,
            tuple(sorted(wanted - record.scores.keys())),
            protocols[record.protocol]["scored"],
            files[record.image_sha256],
            store.folder,
        )


def _or_error(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, returning the error that it would raise, so that a cache keeps that too."""

    def call(*args: Any) -> Any:
        try:
            return function(*args)
        except RdbenchError as error:
            return error

    return call


def _images(store: Store, dataset: str) -> dict[str, ImageFile]:
    """SHA-256 -> image."""
    return {p.sha256: p for p in load_dataset(store.source_of(dataset)).files}


def _line(record: Record, error: BaseException) -> str:
    return f"{record.spec} on {record.dataset}/{record.image}: {reason(error)}"


def _rescore(task: _Task) -> dict[str, float]:
    with Store(task.folder, create=False) as store:
        data = store.bitstream(task.record.bitstream_sha256)
    decoded = task.codec.decode(data)
    return score(read_image(task.image.path), decoded, Protocol(task.scored, task.metrics))
