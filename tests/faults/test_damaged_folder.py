"""A report folder that was damaged, or whose codecs changed: named, healed, never misread."""

import hashlib
import json
import os
import shutil
import sqlite3
import sys

import numpy as np
import PIL.Image
import pytest
from program import rdbench

from rdbench import load_curves, rescore, run
from rdbench.datasets import load_dataset
from rdbench.store import Store
from rdbench.verify import verify

TOOL = """import sys, PIL.Image
mode, source, target, *quality = sys.argv[1:]
image = PIL.Image.open(source)
if mode == "encode":
    image.save(target, "JPEG", quality=int(quality[0]))
else:
    image.point(lambda v: {change}).save(target, "PNG")
"""


def description(folder, name, change="v"):
    """A codec of two commands; what it decodes is changed."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(TOOL.replace("{change}", change))
    text = (
        f'name = "{name}"\nformat = "png"\nladder = {{quality = [50]}}\n'
        f'encode = "{sys.executable} {{here}}/{name}.py encode {{input}} {{output}} {{quality}}"\n'
        f'decode = "{sys.executable} {{here}}/{name}.py decode {{input}} {{output}}"\n'
    )
    (folder / f"{name}.toml").write_text(text)
    return folder / f"{name}.toml"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of two images."""
    folder = tmp_path_factory.mktemp("photos")
    for seed in (1, 2):
        pixels = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(folder / f"{seed}.png")
    return folder


@pytest.fixture
def measured(photos, tmp_path):
    out = tmp_path / "out"
    run(["jpeg:quality=50", "webp:quality=50"], str(photos), out)
    return out


def streams(out, codec="jpeg"):
    with Store(out, create=False) as store:
        return [store.bitstream_path(r.bitstream_sha256) for r in store.records(codec=codec)]


def forget_scores(out):
    db = sqlite3.connect(out / "records.sqlite")
    db.execute("UPDATE records SET scores = '{}'")
    db.commit()
    db.close()


def test_a_description_cannot_take_the_name_of_a_registered_codec(photos, tmp_path):
    file = description(tmp_path / "codecs", "jpeg")
    status, _, said = rdbench("run", "-c", file, "-d", photos, "-o", tmp_path / "out")
    assert status == 1
    assert str(file) in said
    assert "'jpeg' belongs to a registered codec" in said


def test_described_codecs_travel_with_their_records(photos, tmp_path):
    file = description(tmp_path / "codecs", "mine", "v // 2")
    out = tmp_path / "out"
    before = run(str(file), str(photos), out).records
    file.unlink()
    forget_scores(out)
    (tmp_path / "elsewhere").mkdir()
    status, _, said = rdbench("rescore", out, "-m", "psnr_rgb", cwd=tmp_path / "elsewhere")
    assert status == 0, said
    with Store(out) as store:
        after = {r.image: r.scores["psnr_rgb"] for r in store.records()}
    assert after == {r.image: r.scores["psnr_rgb"] for r in before}
    status, _, said = rdbench("report", out, "--images", "2", cwd=tmp_path / "elsewhere")
    assert (status, said) == (0, "")
    assert rdbench("audit", out)[0] == 0


def test_two_codecs_of_one_name_are_told_apart(photos, tmp_path):
    out = tmp_path / "out"
    first = description(tmp_path / "codecs", "mine")
    second = description(tmp_path / "codecs", "other", "255 - v")
    second.write_text(second.read_text().replace('name = "other"', 'name = "mine"'))
    for file in (first, second):
        assert not run(str(file), str(photos), out).failures

    def scores():
        with Store(out) as store:
            return {(r.fingerprint, r.image): r.scores["psnr_rgb"] for r in store.records()}

    before = scores()
    assert len(set(before.values())) == 4
    forget_scores(out)
    first.unlink()
    second.unlink()
    assert rescore(out, ["psnr_rgb"]).problems == ()
    assert scores() == before


def test_another_codec_of_the_name_never_decodes(measured):
    db = sqlite3.connect(measured / "records.sqlite")
    parts = "spec", "dataset", "image_sha256", "protocol"
    query = f"SELECT key, {', '.join(parts)} FROM records WHERE codec = 'jpeg'"
    for key, spec, *others in db.execute(query).fetchall():
        made = hashlib.sha256("\0".join([spec, "abc", *others]).encode()).hexdigest()
        db.execute("UPDATE records SET fingerprint = 'abc', key = ? WHERE key = ?", (made, key))
    db.execute("UPDATE records SET scores = '{}'")
    db.commit()
    db.close()
    status, _, said = rdbench("rescore", measured, "-m", "psnr_rgb")
    assert status == 1
    assert said.count("was measured with another codec or other weights") == 2
    assert "2 records rescored, 2 not" in said
    status, printed, said = rdbench("audit", measured)
    assert (status, "webp" in printed + said) == (1, True)
    assert "was measured with another codec" in said
    assert "was measured with another codec" in rdbench("report", measured)[2]


def truncated(path):
    path.write_bytes(path.read_bytes()[:-1])


def emptied(path):
    path.write_bytes(b"")


def changed(path):
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)


def removed(path):
    path.unlink()


def made_a_folder(path):
    path.unlink()
    path.mkdir()


DAMAGES = [truncated, emptied, changed, removed, made_a_folder]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_named_and_healed(photos, measured, damage):
    assert verify(measured).faults == ()
    before = [r.bitstream_sha256 for r in Store(measured).records()]
    path = streams(measured)[0]
    damage(path)
    status, printed, _ = rdbench("verify", measured, "--json")
    (fault,) = json.loads(printed)
    assert (status, fault["what"]) == (1, str(path))
    assert "jpeg:quality=50" in fault["used_by"]
    forget_scores(measured)
    for command in (["rescore", measured, "-m", "psnr_rgb"], ["audit", measured]):
        status, _, said = rdbench(*command)
        assert (status, str(path) in said) == (1, True), command
    with Store(measured) as store:
        assert sum("psnr_rgb" in r.scores for r in store.records()) == 3
    rdbench("verify", measured, "--repair")
    outcome = run(["jpeg:quality=50", "webp:quality=50"], str(photos), measured)
    assert outcome.n_made == 1
    assert verify(measured).faults == ()
    assert [r.bitstream_sha256 for r in Store(measured).records()] == before


def test_a_run_heals_what_it_can_see(photos, measured):
    first, second = streams(measured)
    first.unlink()
    truncated(second)
    assert run("jpeg:quality=50", str(photos), measured).n_made == 2
    assert verify(measured).faults == ()


def test_leftovers_are_named(measured):
    part = streams(measured)[0].parent
    (part / ".partial-x").write_bytes(b"half")
    (part / ("ab" * 32)).write_bytes(b"no record")
    assert sorted(f.kind for f in verify(measured).faults) == ["leftover", "orphaned"]
    assert rdbench("verify", measured)[0] == 1


def test_kept_matches_without_a_bitstream_are_searched_again(tmp_path):
    command = ("match", "-c", "jpeg", "--bpp", "0.5", "-d", "sample", "-o", tmp_path)
    command = (*command, "--per-image", "--json")
    found = json.loads(rdbench(*command)[1])
    with Store(tmp_path) as store:
        paths = [store.bitstream_path(m["bitstream_sha256"]) for m in found]
    paths[0].unlink()
    changed(paths[1])
    assert len(verify(tmp_path).faults) == 2
    assert json.loads(rdbench(*command)[1]) == found
    assert verify(tmp_path).faults == ()


def test_points_after_rescoring_have_other_columns(photos, tmp_path):
    out = tmp_path / "out"
    for spec, more in (("jpeg:quality=50", None), ("jpeg:quality=50,75", "ssim")):
        if more:
            assert rdbench("rescore", out, "-m", more)[0] == 0
        status, printed, said = rdbench("run", "-c", spec, "-d", photos, "-o", out)
        assert status == 0, said
    header, *rows = printed.splitlines()
    assert "SSIM" in header.split()
    assert ["-" in row.split() for row in rows] == [False, True]
    for form, name in (("markdown", "SSIM"), ("csv", ",ssim,")):
        status, printed, said = rdbench("tables", out, "--table", "points", "--format", form)
        assert (status, name in printed) == (0, True), said


@pytest.mark.filterwarnings("default::rdbench.errors.RdbenchWarning")
def test_a_record_that_cannot_be_read_is_named_and_measured_again(photos, measured):
    db = sqlite3.connect(measured / "records.sqlite")
    db.execute("UPDATE records SET scores = '{\"psnr' WHERE codec = 'jpeg' AND image = '1.png'")
    db.commit()
    db.close()
    status, printed, said = rdbench("export", measured)
    assert (status, len(printed.splitlines())) == (0, 4)
    assert (
        f"jpeg:quality=50,subsampling=420,optimize=False on {photos.name}/1.png is damaged" in said
    )
    assert rdbench("verify", measured)[0] == 1
    assert run("jpeg:quality=50", str(photos), measured).n_made == 1
    assert rdbench("verify", measured)[0] == 0


@pytest.mark.filterwarnings("default::rdbench.errors.RdbenchWarning")
@pytest.mark.parametrize(
    "change",
    [
        "n_bytes = 'abc'",
        "n_bytes = -5",
        "n_bytes = NULL",
        "n_bytes = n_bytes + 1",
        "width = 0",
        "image_sha256 = 'of another image'",
        "rate_value = 'high'",
        "scores = '[1, 2]'",
        'scores = \'{"psnr_rgb": "good"}\'',
        "segments = '[{\"name\": 1}]'",
        "provenance = 99",
    ],
)
def test_what_a_column_cannot_hold_is_named_and_measured_again(photos, measured, change):
    db = sqlite3.connect(measured / "records.sqlite")
    db.execute(f"UPDATE records SET {change} WHERE codec = 'jpeg' AND image = '1.png'")
    db.commit()
    db.close()
    assert "Traceback" not in rdbench("export", measured)[2]
    status, printed, said = rdbench("verify", measured)
    assert (status, "jpeg:quality=50" in printed) == (1, True), printed + said
    assert run("jpeg:quality=50", str(photos), measured).n_made == 1
    assert rdbench("verify", measured)[0] == 0


def test_no_command_stumbles_over_a_damaged_record(measured):
    db = sqlite3.connect(measured / "records.sqlite")
    db.execute("UPDATE records SET n_bytes = 'abc' WHERE codec = 'jpeg' AND image = '1.png'")
    db.commit()
    db.close()
    for command in ("export", "plot", "audit", "tables", "bdrate", "report", "rescore"):
        assert "Traceback" not in rdbench(command, measured)[2]


@pytest.mark.filterwarnings("default::rdbench.errors.RdbenchWarning")
def test_a_data_set_or_a_protocol_that_cannot_be_read_is_a_fault(measured):
    for table, column in (("datasets", "images"), ("protocols", "body")):
        db = sqlite3.connect(measured / "records.sqlite")
        ((before,),) = db.execute(f"SELECT {column} FROM {table}").fetchall()
        db.execute(f"UPDATE {table} SET {column} = '[1]'")
        db.commit()
        for command in ("export", "tables", "audit"):
            assert "Traceback" not in rdbench(command, measured)[2]
        status, printed, _ = rdbench("verify", measured)
        assert (status, "is damaged" in printed) == (1, True)
        db.execute(f"UPDATE {table} SET {column} = ?", (before,))
        db.commit()
        db.close()
        assert rdbench("verify", measured)[0] == 0


def test_a_damaged_page_is_one_line(measured):
    file = measured / "records.sqlite"
    data = bytearray(file.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    file.write_bytes(data)
    for command in ("export", "verify", "audit", "rescore"):
        status, _, said = rdbench(command, measured)
        assert status == 1
        assert "Traceback" not in said
        assert "damaged" in said or "verify" in command


def test_a_database_of_another_program_is_left_alone(photos, tmp_path):
    db = sqlite3.connect(tmp_path / "records.sqlite")
    db.execute("CREATE TABLE songs (name TEXT)")
    db.commit()
    db.close()
    before = (tmp_path / "records.sqlite").read_bytes()
    for command in (["run", "-c", "null", "-d", photos, "-o", tmp_path], ["export", tmp_path]):
        status, _, said = rdbench(*command)
        assert (status, "not a report's database but that of another program" in said) == (1, True)
    assert (tmp_path / "records.sqlite").read_bytes() == before


@pytest.mark.parametrize("name", ["plain", "what? #1 100%25"])
def test_a_folder_that_may_only_be_read_loses_nothing(photos, tmp_path, name, monkeypatch):
    """As a colleague sees it: the last records are still in the WAL."""
    live = tmp_path / "live"
    with Store(live) as store:
        run("jpeg:quality=50", str(photos), live)
        store._db.execute("PRAGMA wal_autocheckpoint = 0")
        run("webp:quality=50", str(photos), live)
        shutil.copytree(live, tmp_path / name)
    for file in (tmp_path / name).iterdir():
        file.chmod(0o555 if file.is_dir() else 0o444)
    (tmp_path / name).chmod(0o555)
    access = os.access
    monkeypatch.setattr(os, "access", lambda p, mode: mode != os.W_OK and access(p, mode))
    with Store(tmp_path / name, create=False) as store:
        assert [r.codec for r in store.records()] == ["jpeg"] * 2 + ["webp"] * 2
    (tmp_path / name).chmod(0o755)


def test_equal_files_give_one_mean_everywhere(photos, tmp_path):
    folder = tmp_path / "twice"
    shutil.copytree(photos, folder)
    shutil.copy(folder / "2.png", folder / "a_copy_of_2.png")
    out = tmp_path / "out"
    status, printed, said = rdbench(
        "run", "-c", "jpeg:quality=50", "-d", folder, "-o", out, "--json"
    )
    assert status == 0, said
    (row,) = json.loads(printed)
    curve = load_curves(out, load_dataset(str(folder)).name)["jpeg"]
    assert (row["n_measured"], row["n_images"]) == (3, 3)
    assert row["bpp"] == pytest.approx(curve.bpp[0], rel=1e-12)
    assert row["psnr_rgb"] == pytest.approx(curve.scores["psnr_rgb"][0], rel=1e-12)
    status, printed, _ = rdbench("audit", out, "--json")
    assert json.loads(printed)[0]["bpp"] == pytest.approx(row["bpp"], rel=1e-12)
    assert rdbench("report", out, "--images", "3")[0] == 0
    command = ("match", "-c", "jpeg", "--bpp", "4", "-d", folder, "-o", out)
    command = (*command, "--per-image", "--json")
    assert [m["image"] for m in json.loads(rdbench(*command)[1])] == [
        "1.png",
        "2.png",
        "a_copy_of_2.png",
    ]
