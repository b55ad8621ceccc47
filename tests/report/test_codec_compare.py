"""Files for Codec-Compare, read as its viewer reads them."""

import dataclasses
import json
import math

import pytest
from example_folder import fill
from typer.testing import CliRunner

from rdbench import get_codec, load_dataset, read_image, run
from rdbench.analysis.measured import measured_curves
from rdbench.cli.app import app
from rdbench.report.codec_compare import codec_compare_files
from rdbench.store import Store

RECOGNIZED = {
    "original_name", "width", "height", "quality", "encoded_size", "encoding_time",
    "decoding_time", "psnr", "msssim",
}  # fmt: skip
"""Names of fields that mean something to the viewer (src/entry.ts, v0.6.6)."""


def read_list(folder, name):
    """Paths in a list of batches: each entry of an array is made a string, as JavaScript does."""
    entries = json.loads((folder / name).read_text())
    assert isinstance(entries, list)
    assert entries
    return [",".join(entry) for entry in entries]


def read_batch(text):
    """What the viewer refuses is refused, and so is what it would take for a 0.

    Returns:
        The constants, and the rows as name -> value.
    """
    batch = json.loads(text, parse_constant=pytest.fail)  # NaN and Infinity are not JSON
    names = {}
    for kind in ("constant", "field"):
        for one in batch[f"{kind}_descriptions"]:
            ((name, about),) = one.items()
            assert isinstance(about, str)
            assert about
            names.setdefault(kind, []).append(name)
    assert len(set(names["field"])) == len(names["field"])
    constants = dict(zip(names["constant"], batch["constant_values"], strict=True))
    assert all(isinstance(value, str) for value in constants.values())
    rows = [dict(zip(names["field"], row, strict=True)) for row in batch["field_values"]]
    for name in names["field"]:
        kinds = {"text" if isinstance(row[name], str) else "number" for row in rows}
        assert len(kinds) == 1, f"{name} is text in some rows and a number in others"
        for row in rows:
            assert row[name] != ""
            assert isinstance(row[name], str) or math.isfinite(row[name])
    return constants, rows


def export(folder, out):
    result = CliRunner().invoke(app, ["export", str(folder), "--format", "codec-compare",
                                      "--out", str(out)])  # fmt: skip
    assert result.exit_code == 0, result.stderr


def test_the_viewer_finds_a_batch_per_curve(tmp_path):
    fill(tmp_path, failing="beta")
    export(tmp_path, tmp_path / "out")
    batches = read_list(tmp_path / "out", "kodak.json")
    assert len(batches) == 3
    read = {name: read_batch((tmp_path / "out" / name).read_text()) for name in batches}
    assert {constants["codec"] for constants, _ in read.values()} == {"alpha", "beta", "jpeg"}
    with Store(tmp_path) as store:
        records = list(store.records())
    for constants, rows in read.values():
        own = [r for r in records if r.codec == constants["codec"] and r.error is None]
        assert constants["time"] == max(r.created for r in own)
        assert len(rows) == len(own)
        for row, record in zip(rows, own, strict=True):
            assert set(row) - {"spec"} == RECOGNIZED
            assert (row["original_name"], row["width"]) == (record.image, record.width)
            assert isinstance(row["encoded_size"], int)
            assert row["encoded_size"] == record.n_bytes
            assert row["psnr"] == record.scores["psnr_rgb"]
            assert row["msssim"] == pytest.approx(-10 * math.log10(1 - record.scores["ms_ssim"]))
            assert row["quality"] == record.rate_value


def changed(tmp_path, change):
    """The rows of one codec, some of whose records are changed."""
    fill(tmp_path, codecs=("jpeg",))
    with Store(tmp_path) as store:
        records, datasets = list(store.records()), store.datasets()
    records = [dataclasses.replace(r, **change) if i % 3 == 0 else r for i, r in enumerate(records)]
    files = codec_compare_files(measured_curves(records, datasets), records)
    return read_batch(files["kodak-jpeg.json"])


def test_what_a_row_lacks_is_left_out(tmp_path):
    _, rows = changed(tmp_path, {"decode_s": None, "scores": {"psnr_rgb": 30.0}})
    assert set(rows[0]) - {"spec"} == RECOGNIZED - {"decoding_time", "msssim"}


def test_a_lossless_row_has_the_decibels_of_their_generator(tmp_path):
    _, rows = changed(tmp_path, {"scores": {"ms_ssim": 1.0}})
    assert {rows[0]["psnr"], rows[0]["msssim"]} == {99.0}
    assert rows[1]["psnr"] < 60


def test_the_command_encodes_the_row(tmp_path):
    run("jpeg:quality=50", "sample", tmp_path)
    export(tmp_path, tmp_path / "out")
    (name,) = read_list(tmp_path / "out", "sample.json")
    constants, rows = read_batch((tmp_path / "out" / name).read_text())
    files = {file.name: file.path for file in load_dataset("sample").files}
    command = constants["encoding_cmd"]
    for name, value in rows[0].items():
        command = command.replace(f"${{{name}}}", str(value))
    program, verb, image, option, spec = command.split()
    assert (program, verb, option) == ("rdbench", "encode", "--codec")
    encoded = get_codec(spec).encode(read_image(files[image]))
    assert len(encoded.data) == rows[0]["encoded_size"]
