"""Save what can be read of a damaged database of a report folder.

Every table is read row by row, past the pages that are damaged, into a new database. The damaged
one is kept next to it as ``records.sqlite.damaged``. What was lost is measured again by the same
commands as before; bitstreams are not touched.
"""

import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rdbench.columns import Column, plain
from rdbench.errors import DataError
from rdbench.store import Store, no_records

_TABLES = ("runs", "protocols", "datasets", "descriptions", "records", "results")
_LARGEST_GROWTH = 100  # of a truncated file; a header that asks for more is damaged
_LEAST_ROW_BYTES = 64  # for the most rows that a file can hold


@dataclass(frozen=True, slots=True)
class Saved:
    """How much of a table was saved.

    Attributes:
        complete: whether it was read without an error, so that nothing is lost.
    """

    table: str
    n_saved: int
    complete: bool

    def row(self) -> dict[str, Any]:
        """One row of a table; see TABLES."""
        return asdict(self)


TABLES = (Column("table"), Column("n_saved", "rows saved"), *plain("complete"))
"""How people see what was saved."""


def repair(folder: str | Path) -> list[Saved]:
    """Replace a damaged database by a new one with every row that can be read.

    Returns:
        What was saved; [] where the database is not damaged, and nothing was done.

    Raises:
        DataError: the folder has no records, nothing can be read, the disk cannot be written, or
            another process writes to the database.
    """
    folder = Path(folder)
    path = folder / "records.sqlite"
    if not path.is_file():
        raise no_records(folder)
    with suppress(DataError), Store(folder, create=False) as store:
        if not store.damage():
            return []
    try:
        with tempfile.TemporaryDirectory(prefix=".repair-", dir=folder) as made:
            found = _saved(path, Path(made))
            _set_aside(path)
            (Path(made) / path.name).replace(path)
    except OSError as error:
        raise DataError(f"cannot write to {folder}: {error.strerror or error}") from None
    return found


def _saved(path: Path, made: Path) -> list[Saved]:
    """Make a new database in a folder of its own, of all that can be read."""
    Store(made).close()
    _refuse_writers(path)
    with (
        closing(sqlite3.connect(_readable_copy(path, made))) as old,
        closing(sqlite3.connect(made / path.name, isolation_level=None)) as new,
    ):
        new.execute("BEGIN")
        found = [_copied(old, new, table, path.stat().st_size) for table in _TABLES]
        if not any(saved.n_saved for saved in found):
            raise DataError(
                f"nothing of {path} can be read; restore it from a copy, or measure again in "
                "another folder"
            )
        _name_lost_runs(new)
        new.execute("COMMIT")
    return found


def _refuse_writers(path: Path) -> None:
    with closing(sqlite3.connect(path.absolute().as_uri(), uri=True, timeout=1.0)) as db:
        try:
            db.execute("BEGIN IMMEDIATE")
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
                raise DataError(
                    f"another process writes to {path}; wait for it or end it"
                ) from None


def _readable_copy(path: Path, made: Path) -> Path:
    """Copy a database and its log; a truncated one, which SQLite refuses, gets empty pages."""
    copy = made / "damaged.sqlite"
    for end in ("", "-wal"):
        with suppress(FileNotFoundError):
            shutil.copyfile(path.with_name(path.name + end), copy.with_name(copy.name + end))
    with copy.open("r+b") as file:
        header = file.read(32)  # https://www.sqlite.org/fileformat.html, section 1.3
        page_size, n_pages = int.from_bytes(header[16:18]), int.from_bytes(header[28:32])
        if copy.stat().st_size < page_size * n_pages <= _LARGEST_GROWTH * path.stat().st_size:
            file.truncate(page_size * n_pages)
    return copy


def _copied(old: sqlite3.Connection, new: sqlite3.Connection, table: str, n_bytes: int) -> Saved:
    """Copy the rows of a table that can be read and that the new one takes."""
    columns = [name for _, name, *_ in new.execute(f"PRAGMA table_info({table})")]
    names = ", ".join(columns)
    marks = ", ".join("?" * (1 + len(columns)))
    insert = f"INSERT OR IGNORE INTO {table} (rowid, {names}) VALUES ({marks})"
    rows = _Rows(old, f"SELECT rowid, {names} FROM {table} NOT INDEXED", n_bytes)
    n_saved = sum(new.execute(insert, row).rowcount for row in rows)
    return Saved(table, n_saved, rows.complete)


class _Rows:
    """The rows of a table that can be read, each once: from both ends, then one by one between."""

    def __init__(self, db: sqlite3.Connection, query: str, n_bytes: int) -> None:
        self._db = db
        self._query = query
        self._n_bytes = n_bytes
        self.complete = False

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        low, high = 0, self._n_bytes // _LEAST_ROW_BYTES
        for row in self._read("ORDER BY rowid"):
            low = row[0]
            yield row
        if self.complete:
            return
        for row in self._read("AND rowid > ? ORDER BY rowid DESC", low):
            high = row[0]
            yield row
        for number in range(low + 1, high):
            yield from self._read("AND rowid = ?", number)
        self.complete = False

    def _read(self, where: str, *values: int) -> Iterator[tuple[Any, ...]]:
        """Rows up to the first that cannot be read."""
        try:
            yield from self._db.execute(f"{self._query} WHERE TRUE {where}", values)
            self.complete = True
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            self.complete = False


def _name_lost_runs(new: sqlite3.Connection) -> None:
    """Give records whose run was lost one that says so, so that their results can be used."""
    lost = "SELECT DISTINCT provenance FROM records WHERE provenance NOT IN (SELECT id FROM runs)"
    for (number,) in new.execute(lost).fetchall():
        body = json.dumps({"lost": f"run {number} of a damaged database"})
        new.execute("INSERT INTO runs (id, body) VALUES (?, ?)", (number, body))


def _set_aside(path: Path) -> None:
    """Rename the damaged database; its log goes first, lest it is taken for that of the new one."""
    ends = ("", *(f".{number}" for number in range(1, 1000)))
    names = (path.with_name(f"{path.name}.damaged{end}") for end in ends)
    target = next(name for name in names if not os.path.lexists(name))
    for end in ("-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            path.with_name(path.name + end).rename(target.with_name(target.name + end))
