"""What can be read of a damaged database is saved, and nothing else is touched."""

import json
import random
import shutil
import sqlite3

import pytest
from made_up import DATA, record
from program import rdbench
from typer.testing import CliRunner

from rdbench.cli.app import app
from rdbench.errors import DataError
from rdbench.repair import repair
from rdbench.store import Store
from rdbench.verify import verify

PAGE = 4096


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder of 400 records; its database has no log."""
    folder = tmp_path_factory.mktemp("whole")
    with Store(folder) as store:
        store.remember_protocol("p", {"scored": "8-bit"})
        store.remember_dataset("set", "set", {f"{n}.png": str(n) for n in range(400)})
        store.put_result("timing", ("toy",), {"codec": "toy"})
        store.keep(record().bitstream_sha256, DATA)
        store.add_all(record(f"{n}.png") for n in range(400))
    return folder


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "folder")


def records(folder):
    with Store(folder, create=False) as store:
        return {r.image: r for r in store.records()}


def spoil(path, first, n, seed):
    data = bytearray(path.read_bytes())
    data[first * PAGE : (first + n) * PAGE] = random.Random(seed).randbytes(n * PAGE)
    path.write_bytes(data)


@pytest.mark.filterwarnings("ignore::rdbench.errors.RdbenchWarning")
@pytest.mark.parametrize("seed", range(8))
def test_rows_outside_the_damaged_pages_are_saved(whole, folder, seed):
    path, before = folder / "records.sqlite", records(whole)
    n_pages = path.stat().st_size // PAGE
    roots = sqlite3.connect(whole / "records.sqlite").execute(
        "SELECT max(rootpage) FROM sqlite_master"
    )
    # Behind the roots of the tables: without its root, a table is lost.
    spoil(path, random.Random(seed).randrange(roots.fetchone()[0] + 1, n_pages), 1, seed)
    damaged = path.read_bytes()
    assert verify(folder).database_damaged
    saved = {found.table: found for found in repair(folder)}
    after = records(folder)
    assert after.items() <= before.items()
    assert len(after) == saved["records"].n_saved >= 400 - 60
    assert saved["records"].complete == (len(after) == 400)
    assert not verify(folder).database_damaged
    assert (folder / "records.sqlite.damaged").read_bytes() == damaged
    assert repair(folder) == []
    assert sorted(p.name for p in folder.iterdir()) == [
        "bitstreams", "records.sqlite", "records.sqlite.damaged",
    ]  # fmt: skip


@pytest.mark.filterwarnings("ignore::rdbench.errors.RdbenchWarning")
def test_a_truncated_database(folder):
    path = folder / "records.sqlite"
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    status, _, said = rdbench("verify", folder)
    assert (status, f"rdbench repair {folder}" in said) == (1, True), said
    done = CliRunner().invoke(app, ["repair", str(folder), "--json"])
    assert done.exit_code == 0
    saved = {row["table"]: row for row in json.loads(done.stdout)}
    assert saved["records"]["n_saved"] == len(records(folder)) > 0
    with Store(folder) as store:
        missing = record("0.png")
        store.add(missing, DATA)
        assert missing in store.records()


def test_records_whose_run_is_lost_are_kept(folder):
    db = sqlite3.connect(folder / "records.sqlite")
    (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'runs'").fetchone()
    db.close()
    spoil(folder / "records.sqlite", root - 1, 1, 0)
    repair(folder)
    found = records(folder)
    assert len(found) == 400
    assert found["0.png"].provenance == {"lost": "run 1 of a damaged database"}
    assert found["0.png"].scores == record().scores


def test_what_is_in_the_log_is_saved(whole, tmp_path):
    with Store(shutil.copytree(whole, tmp_path / "live")) as store:
        store._db.execute("PRAGMA wal_autocheckpoint = 0")
        store.add(record("last.png"))
        folder = shutil.copytree(tmp_path / "live", tmp_path / "folder")
    n_pages = (folder / "records.sqlite").stat().st_size // PAGE
    spoil(folder / "records.sqlite", n_pages - 1, 1, 0)
    repair(folder)
    assert "last.png" in records(folder)


def test_a_folder_that_is_whole_or_lost_is_left_alone(folder, tmp_path):
    before = (folder / "records.sqlite").read_bytes()
    done = CliRunner().invoke(app, ["repair", str(folder)])
    assert "not damaged, nothing was changed" in done.stderr
    assert (folder / "records.sqlite").read_bytes() == before
    (folder / "records.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(DataError, match=r"nothing of .* can be read"):
        repair(folder)
    assert sorted(p.name for p in folder.iterdir()) == ["bitstreams", "records.sqlite"]
    with pytest.raises(DataError, match="no records in"):
        repair(tmp_path / "nothing")


def test_a_database_that_is_being_written_is_left_alone(folder):
    n_pages = (folder / "records.sqlite").stat().st_size // PAGE
    spoil(folder / "records.sqlite", n_pages - 3, 1, 0)
    other = sqlite3.connect(folder / "records.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DataError, match="another process writes"):
        repair(folder)
    other.close()
