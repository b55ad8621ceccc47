"""Records and bitstreams of a report folder.

``records.sqlite`` (WAL) holds one row per record under a unique key over what makes it: spec,
fingerprint, data set, image and protocol. ``bitstreams/ab/abcd...`` holds each distinct bitstream
once, named by its SHA-256. A bitstream is in place before its record is; a record is written whole
or not at all; a verified record is never overwritten, a failed one is replaced when tried again.
``descriptions`` holds the files that describe codecs, so that their records can be decoded later.
A damaged bitstream is moved to ``damaged/`` when it is replaced.
"""

import dataclasses
import hashlib
import json
import os
import shlex
import sqlite3
import stat
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache, lru_cache
from itertools import chain, compress
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple, Self, get_args, get_type_hints

from rdbench.errors import DataError, RdbenchWarning
from rdbench.plugins import described_class
from rdbench.spec import get_codec
from rdbench.types import Codec, Record, Segment, Weights, from_json

SCHEMA_VERSION = 5

_COLUMNS = tuple(f.name for f in dataclasses.fields(Record))
_JSON_COLUMNS = ("scores", "segments", "settings", "weights")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (id INTEGER PRIMARY KEY, body TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS protocols (fingerprint TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS datasets (
    name TEXT PRIMARY KEY, source TEXT NOT NULL, images TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS records (
    key TEXT PRIMARY KEY,
    codec TEXT NOT NULL, spec TEXT NOT NULL, settings TEXT NOT NULL,
    variable_rate INTEGER NOT NULL, rate_parameter TEXT NOT NULL, rate_value REAL,
    fingerprint TEXT NOT NULL, weights TEXT NOT NULL,
    dataset TEXT NOT NULL, image TEXT NOT NULL, image_sha256 TEXT NOT NULL,
    width INTEGER NOT NULL, height INTEGER NOT NULL,
    protocol TEXT NOT NULL, created TEXT NOT NULL,
    n_bytes INTEGER, estimated INTEGER NOT NULL, scores TEXT NOT NULL, segments TEXT NOT NULL,
    encode_s REAL, decode_s REAL, timed_alone INTEGER NOT NULL,
    bitstream_sha256 TEXT NOT NULL,
    provenance INTEGER NOT NULL REFERENCES runs (id),
    error TEXT
);
CREATE TABLE IF NOT EXISTS descriptions (
    codec TEXT NOT NULL, fingerprint TEXT NOT NULL, path TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (codec, fingerprint)
);
CREATE TABLE IF NOT EXISTS results (
    kind TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, key)
);
CREATE INDEX IF NOT EXISTS records_in_order
ON records (dataset, codec, settings, rate_value, spec, image);
"""

_INSERT = f"""
INSERT INTO records (key, {", ".join(_COLUMNS)})
SELECT :key, {", ".join("runs.id" if c == "provenance" else f":{c}" for c in _COLUMNS)}
FROM runs WHERE body = :provenance
ON CONFLICT (key) DO UPDATE SET {", ".join(f"{c} = excluded.{c}" for c in _COLUMNS)}
WHERE records.error IS NOT NULL
"""  # names come from the dataclass, never from outside

_WAIT_S = 60.0  # for other processes that write

_BUSY = f"another process keeps it locked for over {_WAIT_S:g} s; wait for it or end it"
_REMEDY = (
    "make room there or get the right to write, or work on another folder "
    "(a copy, or one that a run names with --out)"
)

_IN_KEYS = "key IN (SELECT value FROM json_each(?))"  # one value however many keys there are
_ROWS_PER_LOOKUP = 8  # rows that are read in the time that it takes to look up one key

_OUR_TABLES = {"runs", "protocols", "records"}


class Key(NamedTuple):
    """What makes a record."""

    spec: str
    fingerprint: str
    dataset: str
    image_sha256: str
    protocol: str

    @property
    def digest(self) -> str:
        """The key as the database keeps it."""
        return hashlib.sha256("\0".join(self).encode()).hexdigest()


class PointCost(NamedTuple):
    """What the verified records of an operating point took, as means per megapixel.

    Attributes:
        seconds: encoding and decoding.
        n_bytes: of the bitstream.
    """

    codec: str
    spec: str
    fingerprint: str
    settings: tuple[tuple[str, str], ...]
    rate_value: float | None
    seconds: float
    n_bytes: float


@dataclasses.dataclass(frozen=True, slots=True)
class Point:
    """The verified records of an operating point in columns, which are read faster than records.

    Attributes:
        records: some of them; for each run at least the first and the last by date.
        image_sha256: of each record; all other columns are in this order.
        n_pixels: width times height.
        scores: metric -> scores, None where a record has none.
    """

    records: tuple[Record, ...]
    image_sha256: Sequence[str]
    n_bytes: Sequence[int]
    n_pixels: Sequence[int]
    encode_s: Sequence[float | None]
    decode_s: Sequence[float | None]
    timed_alone: Sequence[int]
    scores: Mapping[str, Sequence[float | None]]


def key_of(record: Record) -> Key:
    """What makes ``record`` the one it is."""
    return Key(
        record.spec, record.fingerprint, record.dataset, record.image_sha256, record.protocol
    )


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from another one at the same path; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def kept_in(folder: Path) -> list[Path]:
    """Return what a report folder keeps: the database, its journals, and the bitstreams.

    Journals exist only during a write. SQLite treats any file with such a name as a journal.
    """
    names = (f"records.sqlite{end}" for end in ("", "-wal", "-shm", "-journal"))
    return [*map(folder.joinpath, names), folder / "bitstreams"]


def no_records(folder: Path) -> DataError:
    """What to say of a folder without records, with a command that makes some."""
    command = run_command("jpeg", "sample", folder)
    return DataError(f"no records in {folder}; measure some, such as `{command}`")


def run_command(codec: str, dataset: str, folder: Path) -> str:
    """Return the command that measures a codec on a data set, as it is typed."""
    options = {"--codec": codec, "--dataset": dataset, "--out": str(folder)}
    return shlex.join(["rdbench", "run", *(word for pair in options.items() for word in pair)])


class Store:
    """An open report folder.

    Examples:
        >>> with Store("reports/") as store:  # doctest: +SKIP
        ...     for record in store.records(dataset="kodak"):
        ...         print(record.spec, record.image, record.bpp)

    Args:
        folder: the report folder; made where it is missing.
        create: False to refuse a folder that holds no records.

    Raises:
        DataError: the folder cannot be read or written, its database is not a report's, or it
            was written by another version.
    """

    def __init__(self, folder: str | Path, create: bool = True) -> None:
        self.folder = Path(folder)
        self.path = self.folder / "records.sqlite"
        self._bitstreams = f"{self.folder}/bitstreams/"
        if not create and not self.path.is_file():
            raise no_records(self.folder)
        writable = all(os.access(path, os.W_OK) for path in (self.folder, self.path))
        self.read_only = not create and not writable
        with self._errors("read" if self.read_only else "write"):
            if not self.read_only:
                self.folder.mkdir(parents=True, exist_ok=True)
            uri = self._read_only_uri() if self.read_only else self.path.absolute().as_uri()
            self._db = sqlite3.connect(uri, uri=True, timeout=_WAIT_S, isolation_level=None)
            self._opened = _identity(self.path)
            is_new = self._refuse_others()
            if not self.read_only:
                self._db.execute("PRAGMA synchronous = FULL")  # records survive a power failure
                if is_new:
                    self._prepare()

    def _read_only_uri(self) -> str:
        """How SQLite opens a database that it may not write, without losing what is in the WAL."""
        log, index = (self.path.with_name(self.path.name + end) for end in ("-wal", "-shm"))
        if log.exists() and log.stat().st_size and not index.exists():
            raise DataError(
                f"{self.path} has records in {log.name} that cannot be read without the right to "
                f"write to {self.folder}; copy the folder to where you may write"
            )
        mode = "mode=ro" if log.exists() and index.exists() else "immutable=1"
        return f"{self.path.absolute().as_uri()}?{mode}"

    def _refuse_others(self) -> bool:
        """Refuse the database of another program or version; True where it is new."""
        try:
            tables = {name for (name,) in self._db.execute("SELECT name FROM sqlite_master")}
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if tables and not tables >= _OUR_TABLES:
                raise DataError(
                    f"{self.path} is not a report's database but that of another program; "
                    "it was left as it is; give another folder"
                )
            if tables and version != SCHEMA_VERSION:
                newer = version > SCHEMA_VERSION
                raise DataError(
                    f"{self.path} was written by {'a newer' if newer else 'an older'} rdbench "
                    f"(format {version}, this one uses {SCHEMA_VERSION}); "
                    + ("upgrade this one" if newer else "measure again in another folder")
                )
        except BaseException:
            self._db.close()
            raise
        return not tables

    def _prepare(self) -> None:
        self._switch_to_wal()
        with self._transaction():
            for statement in filter(str.strip, _SCHEMA.split(";")):
                self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _switch_to_wal(self) -> None:
        """Wait while another process makes the database: SQLite itself does not wait here."""
        end = time.monotonic() + _WAIT_S
        while True:
            try:
                self._db.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                    raise
            time.sleep(0.05)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database; what was added is there whether or not this is called."""
        self._db.close()

    @contextmanager
    def _errors(self, doing: str = "write") -> Iterator[None]:
        """Turn errors of the disk or the database into one line that says how to fix it."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if doing == "read":
                raise DataError(f"cannot read {self.path}: {error}") from None
            remedy = _BUSY if error.sqlite_errorcode == sqlite3.SQLITE_BUSY else _REMEDY
            raise DataError(
                f"cannot write {self.path}: {error}; what was written before is kept; {remedy}, "
                "then run again"
            ) from None
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
                raise DataError(f"{self.path} is not a report's database: {error}") from None
            raise DataError(
                f"{self.path} is damaged: {error}; restore it from a copy, or save what can be "
                f"read with `rdbench repair {self.folder}`"
            ) from None
        except OSError as error:
            if os.path.lexists(self.folder) and not self.folder.is_dir():
                raise DataError(f"{self.folder} is not a folder; give another with --out") from None
            raise DataError(
                f"cannot write to {self.folder}: {error.strerror or error}; what was written "
                f"before is kept; {_REMEDY}, then run again"
            ) from None

    def check_place(self) -> None:
        """Check that the path still leads to the database that is open.

        Otherwise SQLite would write to a file that no longer has a name.

        Raises:
            DataError: the folder or the database was deleted, moved or replaced meanwhile.
        """
        now = _identity(self.path)
        if now == self._opened:
            return
        happened = "deleted or moved" if now is None else "replaced by another"
        raise DataError(
            f"{self.path} was {happened} while it was being written, so nothing more is written; "
            "if it was moved, what was written before is kept in the moved folder: move that back "
            "and run the same command again to resume; if it was deleted, its records are lost"
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All that is written within, or nothing."""
        with self._errors():
            self.check_place()
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def add(self, record: Record, bitstream: bytes | None = None) -> None:
        """Keep a record, and its bitstream where it has one.

        A verified record that is already there stays as it is.

        Raises:
            DataError: no room, no permission; nothing of the record is left behind.
        """
        if bitstream is not None:
            self.keep(record.bitstream_sha256, bitstream)
        self.add_all([record])

    def add_all(self, records: Iterable[Record]) -> None:
        """Keep records whose bitstreams are in place: all of them or none; see `add`."""
        with self._transaction():
            for record in records:
                row = dataclasses.asdict(record) | {"settings": dict(record.settings)}
                row |= {column: json.dumps(row[column]) for column in _JSON_COLUMNS}
                row |= {"key": key_of(record).digest}
                row["provenance"] = json.dumps(record.provenance, sort_keys=True)
                self._db.execute("INSERT OR IGNORE INTO runs (body) VALUES (:provenance)", row)
                self._db.execute(_INSERT, row)

    def keep(self, digest: str, data: bytes) -> None:
        """Keep a bitstream under its SHA-256, so that a power failure does not take it away."""
        with self._errors():
            self.check_place()
            path = self.bitstream_path(digest)
            if os.path.lexists(path):
                with suppress(DataError):
                    self.bitstream(digest)
                    return
                self.set_aside(digest)
            new = not path.parent.exists()
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, partial = tempfile.mkstemp(dir=path.parent, prefix=".partial-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                Path(partial).replace(path)
            finally:
                Path(partial).unlink(missing_ok=True)
            for folder in (path.parent, *((path.parent.parent, self.folder) if new else ())):
                _sync_folder(folder)

    def bitstream_path(self, digest: str) -> Path:
        """Where the bitstream with this SHA-256 is, or would be."""
        return self.folder / "bitstreams" / digest[:2] / digest

    def bitstream(self, digest: str) -> bytes:
        """A kept bitstream.

        Raises:
            DataError: it is missing, cannot be read or is not what its name says.
        """
        path = self.bitstream_path(digest)
        remedy = f"run `rdbench verify {self.folder}`"
        if not os.path.lexists(path):
            raise DataError(f"the bitstream {path} is missing; {remedy}")
        try:
            data = path.read_bytes()
        except OSError as error:
            raise DataError(
                f"the bitstream {path} cannot be read: {error.strerror}; {remedy}"
            ) from None
        if hashlib.sha256(data).hexdigest() != digest:
            raise DataError(f"the bitstream {path} is corrupt; {remedy}")
        return data

    def damage(self) -> list[str]:
        """What SQLite finds wrong with the database."""
        try:
            found = [str(text) for (text,) in self._db.execute("PRAGMA integrity_check")]
        except sqlite3.DatabaseError as error:
            found = [str(error)]
        return [" ".join(text.split()) for text in found if text != "ok"]

    def set_aside(self, digest: str) -> Path:
        """Move a damaged bitstream to ``damaged/`` and return its new path."""
        folder = self.folder / "damaged"
        names = (f"{digest}{end}" for end in ("", *(f".{n}" for n in range(1, 10_000))))
        with self._errors():
            folder.mkdir(exist_ok=True)
            target = next(p for p in map(folder.joinpath, names) if not os.path.lexists(p))
            return self.bitstream_path(digest).rename(target)

    def has_bitstream(self, digest: str, n_bytes: int | None) -> bool:
        """Return whether a bitstream exists; `bitstream` also checks its content.

        Args:
            n_bytes: the size it must have; None for any.
        """
        try:  # of a text, not a Path: a folder may hold millions
            found = os.stat(f"{self._bitstreams}{digest[:2]}/{digest}")  # noqa: PTH116
        except (OSError, TypeError, ValueError):  # a damaged row may hold anything
            return False
        return stat.S_ISREG(found.st_mode) and n_bytes in (None, found.st_size)

    def left_to_do(self, keys: Iterable[Key]) -> list[Key]:
        """Return the keys without a verified record whose bitstream is in place, in order.

        Records that lost their bitstream become failed ones; `add` replaces them. The records are
        not read: `checked` does that.
        """
        lost: list[str] = []
        left = self._missing(keys, lost)
        self._fail("its bitstream is missing or damaged", lost)
        return left

    def missing(self, keys: Iterable[Key]) -> list[Key]:
        """Return what `left_to_do` would return; nothing is changed."""
        return self._missing(keys, [])

    def _missing(self, keys: Iterable[Key], lost: list[str]) -> list[Key]:
        """Return keys as `left_to_do`; digests of those that lost their bitstream go to ``lost``.

        A row is asked for no more than a resume of millions of them needs.
        """
        left = {key.digest: key for key in keys}
        columns = "key, bitstream_sha256, CASE WHEN estimated THEN NULL ELSE n_bytes END"
        with self._errors("read"):
            for digest, *bitstream in self._select(columns, [*left], "error IS NULL"):
                if self.has_bitstream(*bitstream):
                    del left[digest]
                else:
                    lost.append(digest)
        return list(left.values())

    def checked(self, keys: Iterable[Key]) -> tuple[list[Record], list[Key]]:
        """Return the records of these keys, in a stable order, and the keys of damaged ones.

        Those become failed ones; `add` replaces them.
        """
        by_digest = {key.digest: key for key in keys}
        records, damaged = [], []
        with self._errors("read"):
            for row, found in self._read([*by_digest]):
                if isinstance(found, Record):
                    records.append(found)
                elif row["error"] is None:
                    damaged.append(row["key"])
        self._fail("the record is damaged", damaged)
        return records, [by_digest[digest] for digest in damaged]

    def _fail(self, why: str, digests: Iterable[str]) -> None:
        """Make records failed ones."""
        empty = "UPDATE records SET scores = '{}', segments = '[]', error = ? WHERE key = ?"
        if rows := [(why, digest) for digest in digests]:
            with self._transaction():
                self._db.executemany(empty, rows)

    def remember_codec(self, codec: Codec, fingerprint: str) -> None:
        """Keep the file that describes a codec, where there is one."""
        if (described := codec.description()) is not None:
            self.remember_description(codec.name, fingerprint, *described)

    def remember_description(self, codec: str, fingerprint: str, path: str, body: str) -> None:
        """Keep path and text of a file that describes a codec."""
        row = (codec, fingerprint, path, body)
        with self._transaction():
            self._db.execute("INSERT OR REPLACE INTO descriptions VALUES (?, ?, ?, ?)", row)

    def descriptions(self) -> list[tuple[str, str, str, str]]:
        """Files that describe codecs: name of the codec, its fingerprint, path, text."""
        with self._errors("read"):
            return self._db.execute("SELECT * FROM descriptions ORDER BY 1, 2").fetchall()

    def codec_of(self, name: str, spec: str, fingerprint: str) -> Codec:
        """The operating point of a record or another result: what decodes its bitstream.

        Raises:
            RdbenchError: the codec is not available here, or is not the one that was measured.
        """
        query = "SELECT path, body FROM descriptions WHERE codec = ? AND fingerprint = ?"
        with self._errors("read"):
            kept = self._db.execute(query, (name, fingerprint)).fetchone()
        codec = get_codec(spec, described_class(*kept) if kept else None)
        found = codec.fingerprint()
        if found != fingerprint:
            raise DataError(
                f"{spec} was measured with another codec or other weights (fingerprint "
                f"{fingerprint[:12] or 'none'}, here {found[:12] or 'none'}); restore those, "
                "or measure again"
            )
        return codec

    def records(self, keys: Iterable[Key] | None = None, **equal: str) -> Iterator[Record]:
        """Records in a stable order.

        One that cannot be read is left out with a warning that names it.

        Args:
            keys: keys of the records wanted; None for all.
            equal: column name -> value, for example ``dataset="kodak"``.
        """
        if unknown := equal.keys() - set(_COLUMNS):
            raise TypeError(f"records have no column {unknown.pop()!r}")
        digests = None if keys is None else [key.digest for key in keys]
        where = " AND ".join(f"{column} = ?" for column in equal) or "TRUE"
        with self._errors("read"):
            yield from self._readable(digests, where, *equal.values())

    def _readable(
        self, digests: Sequence[str] | None, where: str, *values: Any
    ) -> Iterator[Record]:
        """Records in a stable order; a warning for each that is damaged."""
        for row, found in self._read(digests, where, *values):
            if isinstance(found, Record):
                yield found
                continue
            name = f"{row['spec']} on {row['dataset']}/{row['image']}"
            text = f"{self.path}: the record {name} is damaged ({found}); "
            remedy = "it is left out; run the same sweep again to replace it"
            warnings.warn(text + remedy, RdbenchWarning, stacklevel=3)

    def _read(
        self, digests: Sequence[str] | None, where: str = "TRUE", *values: Any
    ) -> Iterator[tuple[Mapping[str, Any], Record | Exception]]:
        """Records in a stable order; for a damaged one, its row and why it cannot be read.

        A run is looked up when a record first names it: the open query holds one snapshot of the
        database, in which it is, though a sweep adds runs and records meanwhile.
        """
        columns = ("key", *_COLUMNS)
        order = "dataset, codec, settings, rate_value, spec, image, fingerprint, protocol"
        provenance: dict[int, Any] = {}
        for row in self._select(", ".join(columns), digests, f"{where} ORDER BY {order}", *values):
            try:
                if (number := row[_RUN]) not in provenance:
                    provenance[number] = self._provenance(number)
                yield {}, _record(row, provenance)
            except (AttributeError, LookupError, TypeError, ValueError) as error:
                yield dict(zip(columns, row, strict=True)), error

    def _select(
        self, columns: str, digests: Sequence[str] | None, where: str, *values: Any
    ) -> Iterator[tuple[Any, ...]]:
        """Rows of records, their key first; all rows are read where there are many to look up."""
        (n_rows,) = self._db.execute("SELECT MAX(rowid) FROM records").fetchone()
        if digests is not None and len(digests) * _ROWS_PER_LOOKUP < (n_rows or 0):
            where, values = f"{_IN_KEYS} AND {where}", (json.dumps(digests), *values)
            digests = None
        rows = self._db.execute(f"SELECT {columns} FROM records WHERE {where}", values)
        if digests is None:
            return rows
        wanted = frozenset(digests)
        return (row for row in rows if row[0] in wanted)

    def points(self, dataset: str) -> Iterator[Point]:
        """Operating points of a data set, one for each fingerprint and protocol.

        A record that cannot be read is left out with a warning that names it.
        """
        place = ("codec", "settings", "rate_value", "spec")
        query = f"SELECT DISTINCT {', '.join(place)} FROM records WHERE dataset = ?"
        kinds = "SELECT DISTINCT fingerprint, protocol FROM records WHERE "
        where = " AND ".join(f"{name} IS ?" for name in ("dataset", *place))
        good = f"{where} AND fingerprint = ? AND protocol = ? AND error IS NULL"
        with self._errors("read"):
            for found in self._db.execute(query, (dataset,)).fetchall():
                for kind in self._db.execute(kinds + where, (dataset, *found)).fetchall():
                    values = (dataset, *found, *kind)
                    point = self._columns(good, *values)
                    if point is None and (records := [*self._readable(None, good, *values)]):
                        point = _point_of(records)
                    if point is not None:
                        yield point

    def _columns(self, where: str, *values: Any) -> Point | None:
        """A point in columns; None where a value is not what it must be, or there is no record."""
        names = f"rowid, provenance, created, {', '.join(_POINT_COLUMNS.values())}"
        rows = self._db.execute(f"SELECT {names} FROM records WHERE {where}", values)
        columns = [*zip(*rows, strict=True)]
        if not columns or not all(map(_fits, columns, _POINT_TYPES)):
            return None
        found = dict(zip(_POINT_COLUMNS, columns[3:], strict=True))
        scores = _columns_of_scores(found.pop("scores"))
        chosen = ", ".join(map(str, _first_and_last(*columns[:3])))
        records = tuple(self._readable(None, f"rowid IN ({chosen})"))
        whole = scores is not None and len(records) == 1 + chosen.count(",")
        return Point(records, scores=scores or {}, **found) if whole else None

    def _provenance(self, number: int) -> Any:
        query = "SELECT body FROM runs WHERE id = ?"
        for (body,) in self._db.execute(query, (number,)):
            return json.loads(body)
        raise LookupError(f"its run {number} is missing")

    def costs(self) -> list[PointCost]:
        """What the operating points of this folder took."""
        per_megapixel = "AVG(1e6 * {} / width / height)"
        query = (
            "SELECT codec, spec, fingerprint, settings, rate_value, "
            f"{per_megapixel.format('(encode_s + decode_s)')}, {per_megapixel.format('n_bytes')} "
            "FROM records WHERE error IS NULL AND encode_s + decode_s IS NOT NULL "
            "GROUP BY codec, settings, rate_value, spec, fingerprint"
        )
        with self._errors("read"):
            found = self._db.execute(query).fetchall()
        return [
            PointCost(*row)._replace(settings=tuple(json.loads(row[3]).items())) for row in found
        ]

    def put_scores(self, record: Record, scores: Mapping[str, float]) -> None:
        """Add scores to a verified record, computed from its kept bitstream."""
        with self._transaction():
            self._db.execute(
                "UPDATE records SET scores = json_patch(scores, ?) WHERE key = ?",
                (json.dumps(scores), key_of(record).digest),
            )

    def remember_dataset(self, name: str, source: str, images: Mapping[str, str]) -> str:
        """Keep where a set comes from and which images (name -> SHA-256) make it up.

        A mean is over all of them or there is none.

        Args:
            source: its registered name, or the path of its folder.
            images: image's name -> SHA-256.

        Returns:
            The name of the set in this folder: two sources never share one. The same source keeps
            its name, and so do the same files elsewhere. Another set whose name is taken gets as
            much of its path as it needs (``images``, ``test/images``, ...).
        """
        with self._transaction():
            known = self._known_datasets()
            name = _free_name(name, source, images, known)
            # A copy does not take the place of a folder that exists.
            before, _ = known.get(name, ("", {}))
            kept = before if before and Path(before).is_dir() else source
            row = (name, kept, json.dumps(images))
            self._db.execute("INSERT OR REPLACE INTO datasets VALUES (?, ?, ?)", row)
        return name

    def name_of(self, name: str, source: str, images: Mapping[str, str]) -> str:
        """Return what `remember_dataset` would return; nothing is kept."""
        with self._errors("read"):
            return _free_name(name, source, images, self._known_datasets())

    def _known_datasets(self) -> dict[str, tuple[str, Any]]:
        """Name -> source and images."""
        rows = self._db.execute("SELECT name, source, images FROM datasets ORDER BY name")
        return {name: (source, json.loads(images)) for name, source, images in rows}

    def source_of(self, dataset: str) -> str:
        """What finds the data set again: its registered name or the path of its folder.

        Raises:
            DataError: this folder knows no such data set.
        """
        query = "SELECT source FROM datasets WHERE name = ?"
        with self._errors("read"):
            found = self._db.execute(query, (dataset,)).fetchone()
        if found is None:
            raise DataError(f"{self.path} does not say where data set {dataset!r} is")
        return str(found[0])

    def measured_datasets(self) -> list[str]:
        """Names of the data sets that have records."""
        query = "SELECT DISTINCT dataset FROM records ORDER BY dataset"
        with self._errors("read"):
            return [str(name) for (name,) in self._db.execute(query)]

    def datasets(self) -> dict[str, dict[str, str]]:
        """Data sets of this folder: name -> (image's name -> SHA-256)."""
        return self._bodies("data set", "SELECT name, images FROM datasets ORDER BY name")

    def remember_protocol(self, fingerprint: str, description: Mapping[str, Any]) -> None:
        """Keep the description of a protocol under its fingerprint."""
        with self._transaction():
            row = (fingerprint, json.dumps(description, sort_keys=True))
            self._db.execute("INSERT OR IGNORE INTO protocols VALUES (?, ?)", row)

    def put_result(self, kind: str, key: Sequence[str], body: Mapping[str, Any]) -> None:
        """Keep a result other than a record, such as a timing; replace one with the same key."""
        with self._transaction():
            row = (kind, "\0".join(key), json.dumps(body))
            self._db.execute("INSERT OR REPLACE INTO results VALUES (?, ?, ?)", row)

    def results(self, kind: str) -> dict[tuple[str, ...], dict[str, Any]]:
        """Every result of a kind, key -> body, in the order of the keys."""
        query = "SELECT key, body FROM results WHERE kind = ? ORDER BY key"
        found = self._bodies(f"{kind} result", query, kind)
        return {tuple(key.split("\0")): body for key, body in found.items()}

    def kinds(self) -> list[str]:
        """Kinds of the results other than records."""
        with self._errors("read"):
            query = "SELECT DISTINCT kind FROM results ORDER BY kind"
            return [kind for (kind,) in self._db.execute(query)]

    def protocols(self) -> dict[str, dict[str, Any]]:
        """Protocols of this folder: fingerprint -> description."""
        return self._bodies("protocol", "SELECT fingerprint, body FROM protocols")

    def _bodies(self, what: str, query: str, *values: str) -> dict[str, dict[str, Any]]:
        """Name -> JSON of rows; one that is damaged is left out with a warning that names it."""
        found = {}
        with self._errors("read"):
            for name, body in self._db.execute(query, values):
                try:
                    found[name] = from_json(dict[str, Any], json.loads(body))
                except ValueError as error:
                    shown = " ".join(name.split("\0"))
                    text = f"{self.path}: the {what} {shown} is damaged ({error}); it is left out"
                    warnings.warn(text, RdbenchWarning, stacklevel=3)
        return found


def _free_name(
    name: str, source: str, images: Mapping[str, str], known: Mapping[str, tuple[str, Any]]
) -> str:
    """Return the name that a data set has among those that are known, or a new one."""
    parts = Path(source).parts
    longer = ("/".join(parts[-n:]) for n in range(2, len(parts) + 1))
    names = [name, *(n for n in longer if len(n) > len(name)), f"registered/{name}"]
    own = next(n for n in names if known.get(n, (source, {}))[0] == source or known[n][1] == images)
    if own in known:
        return own
    elsewhere = (
        taken
        for taken, (_, files) in known.items()
        if files == images and taken.endswith("]") == name.endswith("]")  # a choice stays one
    )
    return next(elsewhere, own)


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder last; Windows and some network file systems cannot do that."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _accepted(hint: Any) -> set[type]:
    """Types that SQLite gives for a field; a number without a fraction may be an integer."""
    kinds = set(get_args(hint) or (hint,))
    return {int if kind is bool else kind for kind in kinds} | ({int} if float in kinds else set())


_ACCEPTED: Mapping[str, set[type]] = {
    **{name: _accepted(hint) for name, hint in get_type_hints(Record).items()},
    **{name: {str} for name in _JSON_COLUMNS},
    "provenance": {int},
}
_NUMBERS = frozenset([int, float])


@cache
def _misfit(types: tuple[type, ...]) -> str | None:
    """Name of the first column that may not have its type; there are few combinations."""
    pairs = zip(_COLUMNS, types, strict=True)
    return next((name for name, kind in pairs if kind not in _ACCEPTED[name]), None)


def _scores(text: str) -> dict[str, float]:
    scores: dict[str, float] = json.loads(text)
    if not _NUMBERS.issuperset(map(type, scores.values())):
        raise ValueError(f"scores cannot be {text:.40}")
    return scores


def _segments(text: str) -> tuple[Segment, ...]:
    segments = tuple(Segment(**body) for body in json.loads(text))
    for s in segments:
        counted = type(s.name) is str and type(s.n_bytes) is int and s.n_bytes >= 0
        if not counted or type(s.ideal_bits) not in (float, int, NoneType):
            raise ValueError(f"{s} cannot be")
    return segments


@lru_cache
def _settings(text: str) -> tuple[tuple[str, str], ...]:
    settings: tuple[tuple[str, str], ...] = from_json(
        tuple[tuple[str, str], ...], json.loads(text).items()
    )
    return settings


@lru_cache
def _weights(text: str) -> Weights | None:
    weights: Weights | None = from_json(Weights | None, json.loads(text))
    return weights


# How a record holds what a column has. Of a text that many records share, they hold one copy.
_SHARED = ("codec", "spec", "rate_parameter", "fingerprint", "dataset", "image", "image_sha256",
           "protocol", "created")  # fmt: skip
_READS: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(_SHARED, sys.intern),
    **dict.fromkeys(("timed_alone", "variable_rate", "estimated"), bool),
    "scores": _scores, "segments": _segments, "settings": _settings, "weights": _weights,
}  # fmt: skip
_READS_AT = [(_COLUMNS.index(name), read) for name, read in _READS.items()]
_RUN = 1 + _COLUMNS.index("provenance")  # in a row, whose first column is the key


def _record(row: tuple[Any, ...], provenance: Mapping[int, Mapping[str, Any]]) -> Record:
    """Make a record of a row.

    AttributeError, LookupError, TypeError or ValueError where the row is damaged.

    A folder may hold millions of rows, so types are checked all at once.
    """
    key, *values = row
    if (name := _misfit(tuple(map(type, values)))) is not None:
        raise ValueError(f"{name} cannot be {values[_COLUMNS.index(name)]!r:.40}")
    for place, read in _READS_AT:
        values[place] = read(values[place])
    values[_RUN - 1] = provenance[row[_RUN]]
    record = Record(*values)
    least = (-1 if record.error is None else 0) if record.n_bytes is None else record.n_bytes
    if least < 0 or record.width < 1 or record.height < 1:
        raise ValueError("its size cannot be")
    if key_of(record).digest != key:
        raise ValueError("its key is that of another record")
    return record


_POINT_COLUMNS = {
    "image_sha256": "image_sha256",
    "n_bytes": "CASE WHEN n_bytes >= 0 THEN n_bytes END",
    "n_pixels": "CASE WHEN width > 0 AND height > 0 THEN width * height END",
    "encode_s": "encode_s",
    "decode_s": "decode_s",
    "timed_alone": "timed_alone",
    "scores": "scores",
}
"""What `Point` has of each record, in its order; null where it cannot be."""
_TEXT: frozenset[type] = frozenset([str])
_INTEGER: frozenset[type] = frozenset([int])
_TIME: frozenset[type] = frozenset([int, float, NoneType])
_POINT_TYPES = (
    *(_INTEGER, _INTEGER, _TEXT), *(_TEXT, _INTEGER, _INTEGER, _TIME, _TIME, _INTEGER, _TEXT)
)  # fmt: skip


def _fits(column: Iterable[Any], types: frozenset[type]) -> bool:
    return types.issuperset(map(type, column))


def _columns_of_scores(texts: Sequence[str]) -> dict[str, list[float | None]] | None:
    """Scores of each metric; None where a text is not JSON, or not of scores.

    All texts are read as one, which is faster; where one is not JSON, neither is the whole, or it
    has another number of parts.
    """
    try:
        bodies = json.loads(f"[{','.join(texts)}]")
    except (ValueError, RecursionError):
        return None
    if (
        len(bodies) != len(texts)
        or not _fits(bodies, frozenset([dict]))
        or not _fits(chain.from_iterable(body.values() for body in bodies), _NUMBERS)
    ):
        return None
    metrics = set(chain.from_iterable(bodies))
    return {metric: [body.get(metric) for body in bodies] for metric in metrics}


def _first_and_last(rows: Sequence[int], runs: Sequence[int], dates: Sequence[str]) -> set[int]:
    """Row numbers of the first and the last record of each run by date."""
    chosen = set()
    for run in set(runs):
        dated = [*compress(zip(dates, rows, strict=True), map(run.__eq__, runs))]
        chosen |= {min(dated)[1], max(dated)[1]}
    return chosen


def _point_of(records: Sequence[Record]) -> Point:
    """The same of records that were read one by one."""
    metrics = set(chain.from_iterable(r.scores for r in records))
    return Point(
        records=tuple(records),
        image_sha256=[r.image_sha256 for r in records],
        n_bytes=[r.n_bytes or 0 for r in records],
        n_pixels=[r.width * r.height for r in records],
        encode_s=[r.encode_s for r in records],
        decode_s=[r.decode_s for r in records],
        timed_alone=[r.timed_alone for r in records],
        scores={metric: [r.scores.get(metric) for r in records] for metric in metrics},
    )
