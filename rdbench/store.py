"""Records and bitstreams of a report folder.

``records.sqlite`` (WAL) holds one row a record under a unique key over what makes it: spec,
fingerprint, data set, picture and protocol. ``bitstreams/ab/abcd...`` holds each distinct bitstream
once, named by its SHA-256. A bitstream is in place before its record is; a record is written whole
or not at all; a verified record is never overwritten, a failed one is replaced when tried again.
"""

import dataclasses
import hashlib
import json
import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from rdbench.errors import DataError
from rdbench.types import Record, Segment

SCHEMA_VERSION = 3

_COLUMNS = tuple(f.name for f in dataclasses.fields(Record))
_JSON_COLUMNS = ("scores", "segments")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (id INTEGER PRIMARY KEY, body TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS protocols (fingerprint TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS datasets (
    name TEXT PRIMARY KEY, source TEXT NOT NULL, images TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS records (
    key TEXT PRIMARY KEY,
    codec TEXT NOT NULL, spec TEXT NOT NULL, curve TEXT NOT NULL,
    rate_parameter TEXT NOT NULL, rate_value REAL, fingerprint TEXT NOT NULL,
    dataset TEXT NOT NULL, image TEXT NOT NULL, image_sha256 TEXT NOT NULL,
    width INTEGER NOT NULL, height INTEGER NOT NULL,
    protocol TEXT NOT NULL, created TEXT NOT NULL,
    n_bytes INTEGER, scores TEXT NOT NULL, segments TEXT NOT NULL,
    encode_s REAL, decode_s REAL, timed_alone INTEGER NOT NULL,
    bitstream_sha256 TEXT NOT NULL,
    provenance INTEGER NOT NULL REFERENCES runs (id),
    error TEXT, weights_kind TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS results (
    kind TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, key)
);
CREATE INDEX IF NOT EXISTS records_done ON records (key) WHERE error IS NULL;
CREATE INDEX IF NOT EXISTS records_by_curve ON records (dataset, codec, curve, rate_value, image);
"""

_INSERT = f"""
INSERT INTO records (key, {", ".join(_COLUMNS)})
VALUES (:key, {", ".join(f":{c}" for c in _COLUMNS)})
ON CONFLICT (key) DO UPDATE SET {", ".join(f"{c} = excluded.{c}" for c in _COLUMNS)}
WHERE records.error IS NOT NULL
"""  # names come from the dataclass, never from outside

Key = tuple[str, str, str, str, str]
"""(spec, fingerprint, dataset, image_sha256, protocol): what makes a record."""


def key_of(record: Record) -> Key:
    """What makes ``record`` the one it is."""
    return (
        record.spec,
        record.fingerprint,
        record.dataset,
        record.image_sha256,
        record.protocol,
    )


def _digest(key: Key) -> str:
    return hashlib.sha256("\0".join(key).encode()).hexdigest()


class Store:
    """An open report folder.

    Example:
        >>> with Store("reports/") as store:  # doctest: +SKIP
        ...     for record in store.records(dataset="kodak"):
        ...         print(record.spec, record.image, record.bpp)

    Args:
        folder: the report folder; made where it is missing.
        create: False to refuse a folder that holds no records.

    Raises:
        DataError: the folder cannot be read or written, or was written by a newer version.
    """

    def __init__(self, folder: str | Path, create: bool = True) -> None:
        self.folder = Path(folder)
        self.path = self.folder / "records.sqlite"
        if not create and not self.path.is_file():
            raise DataError(f"no records in {self.folder}; `rdbench run --out {folder}` makes some")
        with self._errors():
            if not create and not os.access(self.folder, os.W_OK):
                self._db = sqlite3.connect(f"file:{self.path}?immutable=1", uri=True)
                return
            self.folder.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, timeout=60, isolation_level=None)
            self._prepare()

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        with self._transaction():
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version < SCHEMA_VERSION:
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        if version > SCHEMA_VERSION:
            raise DataError(f"{self.path} was written by a newer rdbench; upgrade this one")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database; what was added is there whether or not this is called."""
        self._db.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn what the disk or the database has to say into one line with a way out."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise DataError(
                f"cannot write {self.path}: {error}; what was written before is kept; "
                "make room or give another folder with --out, then run again"
            ) from None
        except sqlite3.DatabaseError as error:
            raise DataError(f"{self.path} is not a report's database: {error}") from None
        except OSError as error:
            raise DataError(
                f"cannot write to {self.folder}: {error.strerror or error}; what was written "
                "before is kept; make room or give another folder with --out, then run again"
            ) from None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def add(self, record: Record, bitstream: bytes | None = None) -> None:
        """Keep a record, and its bitstream where it has one.

        A verified record that is already there stays as it is.

        Raises:
            DataError: no room, no permission; nothing of the record is left behind.
        """
        with self._errors():
            if bitstream is not None:
                self._keep(record.bitstream_sha256, bitstream)
            with self._transaction():
                row = {column: getattr(record, column) for column in _COLUMNS}
                row["key"] = _digest(key_of(record))
                row["scores"] = json.dumps(record.scores)
                row["segments"] = json.dumps([dataclasses.asdict(s) for s in record.segments])
                row["provenance"] = self._run_id(json.dumps(record.provenance, sort_keys=True))
                self._db.execute(_INSERT, row)

    def _run_id(self, body: str) -> int:
        """Number of the row of ``runs`` that holds a provenance."""
        self._db.execute("INSERT OR IGNORE INTO runs (body) VALUES (?)", (body,))
        (found,) = self._db.execute("SELECT id FROM runs WHERE body = ?", (body,)).fetchone()
        return int(found)

    def keep(self, data: bytes) -> str:
        """Keep a bitstream without a record; its SHA-256."""
        digest = hashlib.sha256(data).hexdigest()
        with self._errors():
            self._keep(digest, data)
        return digest

    def _keep(self, digest: str, data: bytes) -> None:
        path = self.bitstream_path(digest)
        if path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=path.parent, prefix=".partial-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(partial).replace(path)
        except BaseException:
            Path(partial).unlink(missing_ok=True)
            raise

    def bitstream_path(self, digest: str) -> Path:
        """Where the bitstream with this SHA-256 is, or would be."""
        return self.folder / "bitstreams" / digest[:2] / digest

    def bitstream(self, digest: str) -> bytes:
        """A kept bitstream.

        Raises:
            DataError: it is missing or not what its name says.
        """
        path = self.bitstream_path(digest)
        if not path.is_file():
            raise DataError(f"the bitstream {path} is missing")
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != digest:
            raise DataError(f"the bitstream {path} is corrupt; delete it and run again")
        return data

    def done(self) -> set[str]:
        """Digests of the keys of all verified records, to be asked with ``left_to_do``."""
        with self._errors():
            rows = self._db.execute("SELECT key FROM records WHERE error IS NULL")
            return {key for (key,) in rows}

    def left_to_do(self, keys: Iterable[Key]) -> list[int]:
        """Positions of the keys that have no verified record yet, in order."""
        done = self.done()
        return [i for i, key in enumerate(keys) if _digest(key) not in done]

    def records(self, **equal: str) -> Iterator[Record]:
        """Records in a stable order, those whose columns equal the given values.

        Args:
            equal: column name -> value, for example ``dataset="kodak"``.
        """
        if unknown := equal.keys() - set(_COLUMNS):
            raise TypeError(f"records have no column {unknown.pop()!r}")
        wanted = " AND ".join(f"{column} = ?" for column in equal)
        where = f"WHERE {wanted}" if wanted else ""
        with self._errors():
            runs = dict(self._db.execute("SELECT id, body FROM runs"))
            provenance = {number: json.loads(body) for number, body in runs.items()}
            rows = self._db.execute(
                f"SELECT {', '.join(_COLUMNS)} FROM records {where} "
                "ORDER BY dataset, codec, curve, rate_value, spec, image, fingerprint, protocol",
                tuple(equal.values()),
            )
            for row in rows:
                yield _record(dict(zip(_COLUMNS, row, strict=True)), provenance)

    def put_scores(self, record: Record, scores: Mapping[str, float]) -> None:
        """Add scores to a verified record, computed from its kept bitstream."""
        with self._errors(), self._transaction():
            self._db.execute(
                "UPDATE records SET scores = json_patch(scores, ?) WHERE key = ?",
                (json.dumps(scores), _digest(key_of(record))),
            )

    def remember_dataset(self, name: str, source: str, images: Mapping[str, str]) -> None:
        """Keep where a set comes from and which pictures (name -> SHA-256) make it up.

        A mean is over all of them or there is none.
        """
        with self._errors(), self._transaction():
            row = (name, source, json.dumps(images))
            self._db.execute("INSERT OR REPLACE INTO datasets VALUES (?, ?, ?)", row)

    def source_of(self, dataset: str) -> str:
        """What finds the data set again: its registered name or the path of its folder."""
        query = "SELECT source FROM datasets WHERE name = ?"
        with self._errors():
            (source,) = self._db.execute(query, (dataset,)).fetchone()
            return str(source)

    def datasets(self) -> dict[str, dict[str, str]]:
        """Data sets of this folder: name -> (picture's name -> SHA-256)."""
        with self._errors():
            rows = self._db.execute("SELECT name, images FROM datasets ORDER BY name")
            return {name: json.loads(images) for name, images in rows}

    def remember_protocol(self, fingerprint: str, description: Mapping[str, Any]) -> None:
        """Keep what a protocol's fingerprint stands for."""
        with self._errors(), self._transaction():
            self._db.execute(
                "INSERT OR IGNORE INTO protocols VALUES (?, ?)",
                (fingerprint, json.dumps(description, sort_keys=True)),
            )

    def put_result(self, kind: str, key: Sequence[str], body: Mapping[str, Any]) -> None:
        """Keep a result that is no record, such as a timing; one of the same key is replaced."""
        with self._errors(), self._transaction():
            row = (kind, "\0".join(key), json.dumps(body))
            self._db.execute("INSERT OR REPLACE INTO results VALUES (?, ?, ?)", row)

    def results(self, kind: str) -> dict[tuple[str, ...], dict[str, Any]]:
        """Every result of a kind, key -> body, in the order of the keys."""
        query = "SELECT key, body FROM results WHERE kind = ? ORDER BY key"
        with self._errors():
            rows = self._db.execute(query, (kind,))
            return {tuple(key.split("\0")): json.loads(body) for key, body in rows}

    def protocols(self) -> dict[str, dict[str, Any]]:
        """Protocols of this folder: fingerprint -> description."""
        with self._errors():
            return {
                fingerprint: json.loads(body)
                for fingerprint, body in self._db.execute("SELECT fingerprint, body FROM protocols")
            }


def _record(row: dict[str, Any], provenance: Mapping[int, Mapping[str, Any]]) -> Record:
    row |= {name: json.loads(row[name]) for name in _JSON_COLUMNS}
    row["segments"] = tuple(Segment(**segment) for segment in row["segments"])
    row["provenance"] = provenance[row["provenance"]]
    row["timed_alone"] = bool(row["timed_alone"])
    return Record(**row)
