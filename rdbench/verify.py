"""Whether everything in a report folder is whole: records, bitstreams, leftovers."""

import os
import warnings
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rdbench.columns import plain
from rdbench.errors import DataError, RdbenchWarning
from rdbench.store import Store

_User = tuple[str, object]
"""What needs a bitstream, and how many bytes it tells; None where it does not."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something in a report folder that is not as it should be.

    Attributes:
        kind: ``missing``, ``damaged``, ``orphaned`` or ``leftover``.
        used_by: the results that need it; "" if none is known.
    """

    kind: str
    what: str
    used_by: str
    reason: str

    def row(self) -> dict[str, str]:
        """One line of a table."""
        return asdict(self)


FAULTS = plain("kind", "what", "used_by", "reason")
"""How people see faults."""


@dataclass(frozen=True, slots=True)
class Verified:
    """How much was checked, and what is wrong.

    Attributes:
        database_damaged: whether SQLite finds the database damaged, see `rdbench.repair`.
    """

    n_records: int
    n_results: int
    n_bitstreams: int
    faults: tuple[Fault, ...]
    database_damaged: bool = False


def verify(
    folder: str | Path,
    repair: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, n: None,
) -> Verified:
    """Check every record and bitstream of a report folder.

    Args:
        repair: True to move damaged bitstreams to ``damaged/``, so that the next run replaces them.

    Raises:
        DataError: the folder holds no records, or its database cannot be read at all.
    """
    with Store(folder, create=False) as store:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", RdbenchWarning)
            problems = store.damage()
            damaged = bool(problems)
            needed, n_records, n_results = _needed(store, problems)
        problems += [str(w.message) for w in caught]
        faults = [Fault("damaged", str(store.path), "", text) for text in problems]
        found = _files(store)
        for done, (digest, users) in enumerate(needed.items()):
            on_progress(done, len(needed))
            if users:
                faults += _faults(store, digest, users, repair)
        faults += _strays(store, found, needed.keys())
        return Verified(n_records, n_results, len(found), tuple(faults), damaged)


def _needed(store: Store, problems: list[str]) -> tuple[dict[str, list[_User]], int, int]:
    """Digest of each bitstream that the database names -> the verified results that need it.

    What a damaged database does not give becomes a problem.
    """
    needed: dict[str, list[_User]] = defaultdict(list)
    n_records = n_results = 0
    try:
        for record in store.records():
            n_records += 1
            users = needed[record.bitstream_sha256] if record.bitstream_sha256 else []
            if record.error is None:
                name = f"{record.spec} on {record.dataset}/{record.image}"
                users.append((name, record.stored_bytes))
        for body in store.results("match").values():
            n_results += 1
            name = f"match {body.get('spec')} on {body.get('dataset')}/{body.get('image')}"
            needed[str(body.get("bitstream_sha256"))].append((name, body.get("n_bytes")))
        for read in (store.datasets, store.protocols):
            read()
    except DataError as error:
        problems.append(str(error))
    return needed, n_records, n_results


def _faults(store: Store, digest: str, users: Sequence[_User], repair: bool) -> Iterator[Fault]:
    """Why a bitstream cannot be used, or which results tell another size than it has."""
    path = store.bitstream_path(digest)
    try:
        size = len(store.bitstream(digest))
    except DataError as error:
        kind = "damaged" if os.path.lexists(path) else "missing"
        more = f" and {len(users) - 1} more" if len(users) > 1 else ""
        yield Fault(kind, str(path), users[0][0] + more, str(error).partition("; ")[0])
        if repair and kind == "damaged":
            store.set_aside(digest)
        return
    for name, n_bytes in users:
        if n_bytes not in (None, size):
            reason = f"it tells {n_bytes} bytes, its bitstream has {size}; measure it again"
            yield Fault("damaged", str(store.path), name, reason)


def _files(store: Store) -> list[Path]:
    """Everything in the folder of bitstreams."""
    folder = store.folder / "bitstreams"
    return sorted(path for part in _listed(folder) for path in _listed(part) or [part])


def _listed(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _strays(store: Store, found: Iterable[Path], needed: Collection[str]) -> Iterator[Fault]:
    """Files that no record needs: they do no harm and can be deleted."""
    for path in found:
        if path.is_dir() and path.parent == store.folder / "bitstreams":
            continue
        if path.name.startswith(".partial-"):
            yield Fault("leftover", str(path), "", "from an interrupted run; it can be deleted")
        elif path.name not in needed or store.bitstream_path(path.name) != path:
            yield Fault("orphaned", str(path), "", "no record needs it; it can be deleted")
