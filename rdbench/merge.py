"""Merge report folders: the parts of a job array, or what several machines measured.

Records are compared by key and by the SHA-256 of their bitstreams. A verified record takes the
place of a failed one. Of two verified records of one key, the one that was in the folder first is
kept, so the order of the parts decides; where their bitstreams or scores differ, the conflict is
named. Merging the same parts again adds what they have gained since.
"""

import dataclasses
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from rdbench.columns import plain
from rdbench.errors import DataError, RdbenchWarning, UsageError
from rdbench.store import Store, key_of, no_records
from rdbench.types import Record

_AT_ONCE = 1000  # records read and written at a time
_SAME = 1e-6  # relative difference between equal scores of different machines


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a part that was not merged.

    Attributes:
        kind: ``conflict``, with what is kept, or ``damaged``.
    """

    kind: str
    part: str
    what: str
    reason: str

    def row(self) -> dict[str, str]:
        """One row of a table; see PROBLEMS."""
        return asdict(self)


PROBLEMS = plain("kind", "part", "what", "reason")
"""How people see problems."""


@dataclass(slots=True)
class Merged:
    """What a merge did.

    Attributes:
        n_new: records and other results that were added, the failed ones among them.
        n_failed: failed records that were added.
        n_known: records and other results that the folder already had.
    """

    n_new: int = 0
    n_failed: int = 0
    n_known: int = 0
    problems: list[Problem] = field(default_factory=list)


def merge(
    out: str | Path,
    parts: Sequence[str | Path],
    on_progress: Callable[[int, int], None] = lambda done, n: None,
) -> Merged:
    """Merge report folders into one; the parts stay as they are and may still be written to.

    Args:
        out: the folder that gets everything; made where it is missing.
        parts: folders to merge into it, in the order of precedence.
        on_progress: called with the number of parts done and that of all.

    Raises:
        UsageError: a part is ``out`` itself.
        DataError: a part holds no records, or ``out`` cannot be written.
    """
    folders = [Path(part) for part in parts]
    for folder in folders:
        if not (folder / "records.sqlite").is_file():
            raise no_records(folder)
        if folder.resolve() == Path(out).resolve():
            raise UsageError(f"{folder} cannot be merged into itself")
    merged = Merged()
    with Store(out) as store:
        for done, folder in enumerate(folders):
            on_progress(done, len(folders))
            try:
                source = Store(folder, create=False)
            except DataError as error:
                merged.problems.append(Problem("damaged", str(folder), "", str(error)))
                continue
            with source:
                _Part(store, source, merged).merge()
        on_progress(len(folders), len(folders))
    return merged


class _Part:
    """One part on its way into a folder."""

    def __init__(self, store: Store, source: Store, merged: Merged) -> None:
        self._store = store
        self._source = source
        self._merged = merged
        self._names: dict[str, str] = {}  # data set in the part -> its name in the folder

    def merge(self) -> None:
        """Merge the records, then the other results."""
        for records in self._records():
            self._merge_context()
            self._merge_records([r for record in records for r in self._renamed(record)])
        results: dict[str, dict[tuple[str, ...], dict[str, Any]]] = {}
        with self._damage_named():
            results = {kind: self._source.results(kind) for kind in self._source.kinds()}
        self._merge_context()
        for kind, found in results.items():
            before = self._store.results(kind)
            for key, body in found.items():
                self._merge_result(kind, key, body, before)

    def _records(self) -> Iterator[list[Record]]:
        """The records of the part, some at a time."""
        found = self._source.records()
        while True:
            records: list[Record] = []
            with self._damage_named():
                records += islice(found, _AT_ONCE)
            if not records:
                return
            yield records

    def _merge_context(self) -> None:
        """Merge data sets, protocols and descriptions.

        A sweep writes them before the records that need them. So what was read of a part that is
        being written needs nothing that is read later.
        """
        images: dict[str, dict[str, str]] = {}
        protocols: dict[str, dict[str, Any]] = {}
        descriptions: list[tuple[str, str, str, str]] = []
        with self._damage_named():
            images = self._source.datasets()
            protocols = self._source.protocols()
            descriptions = self._source.descriptions()
        for name in images.keys() - self._names.keys():
            self._merge_dataset(name, images[name])
        for fingerprint in protocols.keys() - self._store.protocols().keys():
            self._store.remember_protocol(fingerprint, protocols[fingerprint])
        known = {described[:2] for described in self._store.descriptions()}
        for described in descriptions:
            if described[:2] not in known:
                self._store.remember_description(*described)

    def _merge_dataset(self, name: str, images: dict[str, str]) -> None:
        """Merge a data set; of one that grew meanwhile, the folder gets all images."""
        source = self._source.source_of(name)
        before: dict[str, str] = {}
        for known, files in self._store.datasets().items():
            if self._store.source_of(known) == source:
                before |= files
        changed = sorted(i for i in images.keys() & before.keys() if images[i] != before[i])
        if changed:
            reason = f"it has another image {changed[0]} than the data set of that place before"
            self._problem("conflict", f"data set {name}", f"{reason}; all its records are left out")
            return
        self._names[name] = self._store.remember_dataset(name, source, before | images)

    def _renamed(self, record: Record) -> list[Record]:
        """The record with the name of its data set in the folder; [] where that was left out."""
        name = self._names.get(record.dataset)
        return [] if name is None else [dataclasses.replace(record, dataset=name)]

    def _merge_records(self, records: Sequence[Record]) -> None:
        """Add what the folder lacks, compare what it has."""
        keys = [key_of(record) for record in records]
        kept, damaged = self._store.checked(keys)
        left = {*self._store.left_to_do(keys), *damaged}
        before = {key_of(record): record for record in kept}
        new = []
        for key, record in zip(keys, records, strict=True):
            if key in before and (key not in left or record.error is not None):
                self._merged.n_known += 1
                self._compare(before[key], record)
            elif self._merge_bitstream(record.bitstream_sha256, record.error, _name(record)):
                new.append(record)
        self._store.add_all(new)
        self._merged.n_new += len(new)
        self._merged.n_failed += sum(record.error is not None for record in new)

    def _merge_bitstream(self, digest: str, error: str | None, what: str) -> bool:
        """Copy a bitstream and check it; False where a result needs it and it is damaged."""
        if not digest:
            return True
        try:
            data = self._source.bitstream(digest)
        except DataError as damage:
            if error is None:
                self._problem("damaged", what, str(damage))
            return error is not None
        self._store.keep(digest, data)
        return True

    def _compare(self, kept: Record, other: Record) -> None:
        """Name a conflict between two records of one key; add scores that only the other has."""
        if kept.error is not None or other.error is not None:
            return
        if kept.bitstream_sha256 != other.bitstream_sha256:
            texts = [f"{r.bitstream_sha256[:12]} of {r.n_bytes} bytes" for r in (kept, other)]
            reason = f"bitstream {texts[0]} is kept, {texts[1]} is left out"
            self._problem("conflict", _name(kept), reason)
            return
        more = {n: score for n, score in other.scores.items() if n not in kept.scores}
        if more:
            self._store.put_scores(kept, more)
        for name in kept.scores.keys() & other.scores.keys():
            mine, theirs = kept.scores[name], other.scores[name]
            if not math.isclose(mine, theirs, rel_tol=_SAME, abs_tol=_SAME):
                reason = f"{name} {mine:.6g} is kept, {theirs:.6g} of the same bitstream is not"
                self._problem("conflict", _name(kept), reason)

    def _merge_result(
        self,
        kind: str,
        key: tuple[str, ...],
        body: dict[str, Any],
        before: Mapping[tuple[str, ...], dict[str, Any]],
    ) -> None:
        """Add a result other than a record; of two timings, the newer one is kept."""
        if "dataset" in body:
            if body["dataset"] not in self._names:
                return
            name = self._names[body["dataset"]]
            key = tuple(name if text == body["dataset"] else text for text in key)
            body = body | {"dataset": name}
        what = " ".join([kind, *key])
        kept = before.get(key)
        if kept is not None and not str(body.get("created", "")) > str(kept.get("created", "")):
            self._merged.n_known += 1
            if "created" not in body and body != kept:
                self._problem("conflict", what, "the result that the folder had first is kept")
        elif self._merge_bitstream(str(body.get("bitstream_sha256", "")), body.get("error"), what):
            self._store.put_result(kind, key, body)
            self._merged.n_new += 1

    @contextmanager
    def _damage_named(self) -> Iterator[None]:
        """Make a problem of whatever of the part cannot be read within."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", RdbenchWarning)
            try:
                yield
            except DataError as error:
                self._problem("damaged", "", str(error))
        for warning in caught:
            self._problem("damaged", "", str(warning.message))

    def _problem(self, kind: str, what: str, reason: str) -> None:
        problem = Problem(kind, str(self._source.folder), what, reason)
        if problem not in self._merged.problems:
            self._merged.problems.append(problem)


def _name(record: Record) -> str:
    return f"{record.spec} on {record.dataset}/{record.image}"
