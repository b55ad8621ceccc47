"""Reading many records: quick ways agree with careful ones, and damage is found by each."""

import dataclasses
import json
import sqlite3

import numpy as np
import pytest
from example_folder import fill
from hypothesis import given
from hypothesis import strategies as st
from made_up import DATA, record

from rdbench.analysis import large
from rdbench.analysis.measured import measured_curves
from rdbench.errors import RdbenchWarning
from rdbench.report.page import data as page_data
from rdbench.report.page import make_page
from rdbench.store import _COLUMNS, _JSON_COLUMNS, Store, _record, key_of
from rdbench.types import Record, from_json

RUN = {"command": "rdbench run"}


def row_of(made):
    """A record as the database gives it, by column."""
    row = dataclasses.asdict(made) | {"settings": dict(made.settings), "provenance": 1}
    row |= {name: json.dumps(row[name]) for name in _JSON_COLUMNS}
    return {name: int(v) if isinstance(v, bool) else v for name, v in row.items()}


def carefully(row, key):
    """The record of a row, field by field as the types of `Record` say; None where one is wrong."""
    try:
        values = row | {name: json.loads(row[name]) for name in _JSON_COLUMNS}
        values |= {name: bool(row[name]) for name in ("timed_alone", "variable_rate", "estimated")}
        values["settings"] = values["settings"].items()
        made = from_json(Record, values | {"provenance": {1: RUN}[row["provenance"]]})
    except (ValueError, TypeError, LookupError, AttributeError):
        return None
    sizes = [made.width - 1, made.height - 1, *(s.n_bytes for s in made.segments)]
    sizes.append((0 if made.error else -1) if made.n_bytes is None else made.n_bytes)
    return made if min(sizes) >= 0 and key_of(made).digest == key else None


def quickly(row, key):
    try:
        return _record((key, *(row[name] for name in _COLUMNS)), {1: RUN})
    except (ValueError, TypeError, LookupError, AttributeError):
        return None


BODIES = [
    "null", "{}", "[]", '"x"', "{", '{"psnr_rgb": 30}', '{"psnr_rgb": "good"}', '{"a": null}',
    '{"a": true}', '{"a": [1]}', '[{"name": "y", "n_bytes": 4}]', '[{"name": 1, "n_bytes": 4}]',
    '[{"name": "y", "n_bytes": -1}]', '[{"name": "y", "n_bytes": true}]', '[{"n_bytes": 4}]',
    '[{"name": "y", "n_bytes": 4, "ideal_bits": "x"}]', '[{"name": "y", "n_bytes": 4, "more": 1}]',
    '{"q": "1"}', '{"q": 1}', '{"kind": "random", "sha256": "a", "configuration": ""}',
    '{"kind": "odd", "sha256": "a", "configuration": ""}',
]  # fmt: skip
VALUES = [None, "", "text", b"bytes", -1, 0, 1, 99, 2.5, float("inf"), *BODIES]


@given(st.sampled_from(sorted(set(_COLUMNS) - {"timed_alone", "variable_rate", "estimated"})),
       st.sampled_from(VALUES), st.booleans())  # fmt: skip
def test_a_damaged_row_is_refused_as_the_types_say(column, value, failed):
    made = record(error="no luck" if failed else None)
    row = row_of(made) | {column: value}
    key = key_of(made).digest
    assert quickly(row_of(made), key) == dataclasses.replace(made, provenance=RUN)
    assert quickly(row, key) == carefully(row, key)


@pytest.mark.parametrize("per_lookup", [0, 10**9])
def test_keys_are_looked_up_or_all_rows_are_read(tmp_path, monkeypatch, per_lookup):
    monkeypatch.setattr("rdbench.store._ROWS_PER_LOOKUP", per_lookup)
    made = [record(f"{n}.png") for n in range(20)]
    wanted = [key_of(r) for r in (made[3], made[7], record("new.png"))]
    with Store(tmp_path) as store:
        store.keep(record().bitstream_sha256, DATA)
        store.add_all(made)
        assert [*store.records(wanted)] == [made[3], made[7]]
        assert store.checked(wanted) == ([made[3], made[7]], [])
        assert store.missing(wanted) == store.left_to_do(wanted) == [wanted[-1]]
        store.bitstream_path(record().bitstream_sha256).unlink()
        assert store.missing(wanted) == wanted
        assert {r.error for r in store.records(wanted)} == {None}
        assert store.left_to_do(wanted) == wanted
        assert {r.error for r in store.records(wanted)} == {"its bitstream is missing or damaged"}


def spoil(folder, change):
    with sqlite3.connect(folder / "records.sqlite") as db:
        db.execute(f"UPDATE records SET {change}")
    db.close()


@pytest.mark.parametrize("column", ["bitstream_sha256 = x'00'", "bitstream_sha256 = char(0)"])
def test_a_bitstream_without_a_name_is_missing(tmp_path, column):
    with Store(tmp_path) as store:
        store.add(record(), DATA)
    spoil(tmp_path, column)
    with Store(tmp_path) as store:
        assert store.left_to_do([key_of(record())]) == [key_of(record())]


def test_damage_becomes_a_failure_where_it_is_noticed(tmp_path):
    with Store(tmp_path) as store:
        store.add(record(), DATA)
    spoil(tmp_path, "scores = '[]'")
    with Store(tmp_path) as store:
        assert store.left_to_do([key_of(record())]) == []
        assert store.checked([key_of(record())]) == ([], [key_of(record())])
        assert [r.error for r in store.records()] == ["the record is damaged"]
        store.add(record(), DATA)
        assert [*store.records()] == [record()]


@pytest.fixture
def folder(tmp_path):
    """Records whose data set has another order than they have, and one image twice."""
    fill(tmp_path, failing="beta")
    with Store(tmp_path) as store:
        images = store.datasets()["kodak"]
        twice = {"copy.png": images["kodim02.png"], **dict(reversed(images.items()))}
        store.remember_dataset("kodak", "kodak", twice)
    return tmp_path


def read(folder):
    """The curves of a folder record by record, and in columns."""
    with Store(folder, create=False) as store:
        datasets, protocols = store.datasets(), store.protocols()
        one_by_one = measured_curves(store.records(), datasets, protocols)
        found = large.large_curves(store, "kodak", datasets["kodak"], protocols)
    return one_by_one, [curve for curve, _ in found]


def plain(curve):
    """A curve as comparable values; notes of failures without their reasons."""
    table = curve.per_image
    arrays = {"bpp": curve.bpp, "table": table.bpp, **curve.scores, **table.scores}
    fields = dataclasses.asdict(dataclasses.replace(curve, per_image=None, notes=(), scores={}))
    notes = [(n.kind, n.message.partition("; ")[0], n.metric) for n in curve.notes]
    return {n: str(a.tolist()) for n, a in arrays.items()}, fields | {"bpp": None}, notes


def test_curves_in_columns_are_those_of_records(folder):
    """To the last bit, with incomplete points, notes and labels."""
    one_by_one, in_columns = read(folder)
    assert [plain(c) for c in in_columns] == [plain(c) for c in one_by_one]
    assert [len(c.bpp) for c in in_columns] == [5, 4, 5]


def test_exact_and_missing_scores_in_columns(folder):
    spoil(folder, "scores = '{\"ms_ssim\": 1}' WHERE codec = 'alpha'")
    spoil(folder, "scores = '{\"psnr_rgb\": 30.5}' WHERE image = 'kodim01.png' AND codec = 'jpeg'")
    one_by_one, in_columns = read(folder)
    assert [plain(c) for c in in_columns] == [plain(c) for c in one_by_one]
    assert [{n.kind for n in c.notes} for c in in_columns] == [
        {"lossless"}, {"incomplete"}, {"undefined"},
    ]  # fmt: skip
    assert np.isnan(in_columns[2].scores["ms_ssim"]).all()


@pytest.mark.parametrize(
    "change",
    ["scores = '{'", "scores = ''", "scores = '{},{}'",
     "scores = '{\"psnr_rgb\": \"30\"}'", "n_bytes = 'abc'", "n_bytes = -1",
     "width = 0", "encode_s = 'fast'", "provenance = 99", "image_sha256 = 'of another image'"],
)  # fmt: skip
def test_a_damaged_record_has_no_part_in_a_mean(folder, change):
    spoil(folder, f"{change} WHERE codec = 'jpeg' AND rate_value = 20 AND image = 'kodim02.png'")
    with pytest.warns(RdbenchWarning, match=r"jpeg:quality=20 on kodak/kodim02.png is damaged"):
        one_by_one, in_columns = read(folder)
    assert [plain(c) for c in in_columns] == [plain(c) for c in one_by_one]
    assert len(in_columns[2].bpp) == 4


def test_a_page_of_a_large_data_set_has_the_same_means_and_says_what_it_lacks(folder, monkeypatch):
    own = {"published": ["none"]}
    small = make_page(folder, **own).data["datasets"][0]
    monkeypatch.setattr(page_data, "MOST_IMAGES", 3)
    page = make_page(folder, images=1, **own)
    (large_set,) = page.data["datasets"]
    assert small["left_out"] is None
    assert "means alone" in large_set["left_out"]
    assert (large_set["images"], large_set["n_images"], page.album.images) == ([], 5, {})
    for one, other in zip(small["curves"], large_set["curves"], strict=True):
        same = {"per_image", "n_bytes", "notes", "provenance", "times"}
        assert {n: v for n, v in other.items() if n not in same} == {
            n: v for n, v in one.items() if n not in same
        }
        assert other["per_image"] is None
        if one["key"] != "beta":
            assert other["times"] == one["times"]
            assert other["provenance"] == one["provenance"]
    for anchor, tests in small["bd_rates"]["psnr_rgb"].items():
        for test, figure in tests.items():
            found = large_set["bd_rates"]["psnr_rgb"][anchor][test]
            assert found.get("bd_rate") == figure.get("bd_rate")
            assert found.get("ci") is None
