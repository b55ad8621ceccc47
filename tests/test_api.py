"""The public interface: complete, lazy, typed, and short when printed."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rdbench

PROJECT = Path(__file__).parents[1]
Y, X = np.mgrid[0:64, 0:80]
PHOTO = np.stack([3 * X, 3 * Y, X + Y], axis=-1).astype(np.uint8)


def test_every_public_name_is_there_and_nothing_else_is_listed():
    homes = [name for names in rdbench._HOMES.values() for name in names]
    assert sorted([*homes, "__version__"]) == sorted(rdbench.__all__) == sorted(dir(rdbench))
    for name in rdbench.__all__:
        assert getattr(rdbench, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'get_codek'"):
        rdbench.get_codek  # noqa: B018
    assert rdbench.__version__[0].isdigit()


def test_all_errors_are_public():
    import rdbench.errors

    errors = {
        name
        for name, value in vars(rdbench.errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert errors < set(rdbench.__all__)


def test_the_package_imports_nothing_slow():
    slow = "{'torch', 'matplotlib', 'pandas', 'numpy', 'typer'}"
    code = f"import sys, rdbench; print(sorted({slow} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_an_array_is_encoded_decoded_and_scored():
    codec = rdbench.get_codec("jpeg:quality=50")
    bitstream = codec.encode(PHOTO)
    decoded = codec.decode(bitstream.data)
    assert rdbench.score(PHOTO, decoded)["psnr_rgb"] > 25
    assert [c.quality for c in rdbench.get_codecs("jpeg:quality=50,60")] == [50, 60]


def test_records_are_a_table_with_the_columns_of_the_export(tmp_path):
    from rdbench.report.export import to_csv

    outcome = rdbench.run("jpeg:quality=10,50", "sample", tmp_path)
    table = rdbench.load_records(tmp_path)
    header = to_csv(outcome.records).splitlines()[0]
    assert ",".join(table.columns) == header
    assert len(table) == len(outcome.records)
    means = table.groupby("spec")["bpp"].mean()
    assert means.is_monotonic_increasing
    with pytest.raises(rdbench.DataError):
        rdbench.load_records(tmp_path / "nowhere")


def test_values_print_as_one_short_line(tmp_path):
    outcome = rdbench.run("jpeg:quality=10", "sample[astronaut]", tmp_path)
    record = outcome.records[0]
    assert repr(outcome) == "<Outcome: 1 records, 1 new, 0 failed>"
    assert repr(record).startswith(
        "<Record jpeg:quality=10,subsampling=420,optimize=False on sample[astronaut]/astronaut"
    )
    assert f"{record.bpp:.3f} bpp, psnr_rgb=" in repr(record)
    failed = rdbench.Record(**{f: getattr(record, f) for f in record.__slots__} | {"error": "no"})
    assert repr(failed).endswith(": failed: no>")
    curves = rdbench.load_curves(tmp_path, "kodak")
    assert repr(curves["qarv"]) == "<Curve qarv on kodak: 16 points, 0.21-2.21 bpp, published>"
    delta = rdbench.bd_rate(curves["vtm18"], curves["qarv"])
    assert repr(delta) == "<BdRate of qarv to vtm18 on kodak (psnr): -5.90 %>"
    data = rdbench.load_dataset("sample")
    assert repr(data) == f"<Dataset sample: {len(data.files)} images>"
    assert repr(data.files[0]).startswith("<ImageFile astronaut")
    bitstream = rdbench.get_codec("null").encode(PHOTO)
    assert repr(bitstream) == "<Bitstream: 15364 bytes (header 4, pixels 15360)>"


@settings(max_examples=25)
@given(st.integers(0, 3))
def test_a_curve_of_few_points_prints(n_points):
    bpp = np.arange(1.0, n_points + 1)
    curve = rdbench.Curve(codec="x", dataset="d", bpp=bpp, scores={}, source="measured")
    assert "\n" not in repr(curve)


USER_SCRIPT = """
import rdbench


def rate(spec: str, image: rdbench.Image) -> float:
    codec: rdbench.Codec = rdbench.get_codec(spec)
    bitstream: rdbench.Bitstream = codec.encode(image)
    scores: dict[str, float] = rdbench.score(image, codec.decode(bitstream.data))
    return 8 * len(bitstream.data) / image[..., 0].size + scores["psnr_rgb"]


def bd() -> float:
    curves: dict[str, rdbench.Curve] = rdbench.load_curves("reports", "kodak")
    try:
        return rdbench.bd_rate(curves["vtm18"], curves["jpeg"]).bd_rate_percent
    except rdbench.RdbenchError as error:
        print(error, rdbench.__version__)
    table = rdbench.load_records("reports")
    return float(table["bpp"].mean())
"""


def test_a_script_of_a_user_is_typed(tmp_path):
    (tmp_path / "script.py").write_text(USER_SCRIPT)
    options = ["--strict", "--cache-dir", ".mypy_cache"]  # the cache of the check before the tests
    words = [sys.executable, "-m", "mypy", *options, tmp_path / "script.py"]
    done = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
