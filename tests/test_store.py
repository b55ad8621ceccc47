"""The store: nothing lost, doubled or half-written, and clear words when it cannot."""

import dataclasses
import sqlite3
import threading

import pytest
from made_up import DATA, record

from rdbench.errors import DataError
from rdbench.store import Store, key_of


def test_what_goes_in_comes_out(tmp_path):
    with Store(tmp_path) as store:
        store.add(record(), DATA)
    with Store(tmp_path, create=False) as store:
        (found,) = store.records()
        assert found == record()
        assert found.bpp == 8 * 4 / 8
        assert store.bitstream(found.bitstream_sha256) == DATA
        assert list(store.records(dataset="other")) == []
        with pytest.raises(TypeError, match="no column"):
            list(store.records(colour="red"))


def test_a_verified_record_stays_and_a_failed_one_is_replaced(tmp_path):
    with Store(tmp_path) as store:
        store.add(record(error="no luck", n_bytes=None))
        assert store.left_to_do([key_of(record())]) == [key_of(record())]
        store.add(record(), DATA)
        assert store.left_to_do(map(key_of, (record(), record("b.png")))) == [
            key_of(record("b.png"))
        ]
        store.add(record(n_bytes=99), DATA)
        store.add(record(error="later failure"))
        (found,) = store.records()
        assert (found.error, found.n_bytes) == (None, 4)


def test_identity_of_a_record(tmp_path):
    changes = [
        {"spec": "toy:q=2"}, {"fingerprint": "w"}, {"dataset": "d"},
        {"image_sha256": "0"}, {"protocol": "float"},
    ]  # fmt: skip
    keys = {key_of(dataclasses.replace(record(), **change)) for change in changes}
    assert len(keys | {key_of(record())}) == 6
    assert key_of(dataclasses.replace(record(), encode_s=9.0)) == key_of(record())


def test_bitstreams_are_kept_once_and_checked(tmp_path):
    with Store(tmp_path) as store:
        store.add(record("a.png"), DATA)
        store.add(record("b.png"), DATA)
        files = [p for p in (tmp_path / "bitstreams").rglob("*") if p.is_file()]
        assert len(files) == 1
        files[0].write_bytes(b"bats")
        with pytest.raises(DataError, match="corrupt"):
            store.bitstream(record().bitstream_sha256)
        files[0].unlink()
        with pytest.raises(DataError, match="missing"):
            store.bitstream(record().bitstream_sha256)


def test_scores_are_added_without_touching_the_rest(tmp_path):
    with Store(tmp_path) as store:
        store.add(record(), DATA)
        store.put_scores(record(), {"vif": 0.5})
        (found,) = store.records()
        assert found.scores == {"psnr_rgb": 30.5, "vif": 0.5}


def test_two_writers_at_once(tmp_path):
    def write(part):
        with Store(tmp_path) as store:
            for i in range(100):
                store.add(record(f"{i + 50 * part}.png"), DATA)

    threads = [threading.Thread(target=write, args=(part,)) for part in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Store(tmp_path) as store:
        assert len(list(store.records())) == 200


def test_a_reader_meets_a_writer_of_another_run(tmp_path):
    """A record whose run was added after reading began is read, or is not there yet."""

    def write(statement):
        if "FROM records" in statement and not list(other.records()):
            changed = {**record().provenance, "jobs": 2}
            other.add(dataclasses.replace(record(), provenance=changed), DATA)

    with Store(tmp_path) as other, Store(tmp_path, create=False) as store:
        store._db.set_trace_callback(write)
        found = list(store.records())
        store._db.set_trace_callback(None)
        assert [r.provenance["jobs"] for r in store.records()] == [2]
        assert found in ([], list(other.records()))


def test_a_writer_waits_for_one_that_makes_the_database(tmp_path):
    other = sqlite3.connect(
        tmp_path / "records.sqlite", isolation_level=None, check_same_thread=False
    )
    other.execute("BEGIN IMMEDIATE")
    end = threading.Timer(0.2, other.execute, ["ROLLBACK"])
    end.start()
    with Store(tmp_path) as store:
        assert list(store.records()) == []
    end.join()
    other.close()


def test_a_lock_that_stays_is_not_taken_for_a_full_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("rdbench.store._WAIT_S", 0.1)
    Store(tmp_path).close()
    other = sqlite3.connect(tmp_path / "records.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with Store(tmp_path) as store, pytest.raises(DataError, match="locked") as caught:
        store.add(record(), DATA)
    other.close()
    assert "another process keeps it locked" in str(caught.value)
    assert "make room" not in str(caught.value)


def test_folders_that_cannot_be_used(tmp_path):
    with pytest.raises(DataError, match="no records in"):
        Store(tmp_path / "nothing", create=False)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="is not a folder"):
        Store(tmp_path / "file")
    (tmp_path / "records.sqlite").write_text("no database, however long this text may be" * 100)
    with pytest.raises(DataError, match="not a report's database"):
        Store(tmp_path)
    newer = tmp_path / "newer"
    Store(newer).close()
    db = sqlite3.connect(newer / "records.sqlite")
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(DataError, match="newer rdbench"):
        Store(newer)
    db = sqlite3.connect(newer / "records.sqlite")
    db.execute("PRAGMA user_version = 3")
    db.close()
    with pytest.raises(DataError, match=r"older rdbench.*measure again in another folder"):
        Store(newer, create=False)


def test_the_command_that_makes_records_makes_some(tmp_path):
    import re
    import shlex

    from typer.testing import CliRunner

    from rdbench.cli.app import app

    folder = tmp_path / "my reports"
    with pytest.raises(DataError, match="no records in") as caught:
        Store(folder, create=False)
    command = re.search("`rdbench (.*)`", str(caught.value)).group(1)
    assert CliRunner().invoke(app, shlex.split(command)).exit_code == 0
    with Store(folder, create=False) as store:
        assert len(list(store.records())) == 30
