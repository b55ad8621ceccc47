"""A sweep: what is measured, what fails and how, and that nothing is done twice."""

import hashlib

import numpy as np
import PIL.Image
import pytest
from toy_codecs import Toy

from rdbench.datasets import load_dataset
from rdbench.errors import Unavailable, UsageError
from rdbench.metrics import Protocol
from rdbench.rescoring import rescore
from rdbench.store import Store
from rdbench.sweep import run
from rdbench_codecs.null import Null


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of two pictures, 40x20 and 30x20."""
    folder = tmp_path_factory.mktemp("photos")
    for width in (40, 30):
        pixels = np.random.default_rng(width).integers(0, 256, (20, width, 3), dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(folder / f"{width}.png")
    return str(folder)


def test_a_record_says_everything(photos, tmp_path):
    outcome = run(Toy(step=16), photos, tmp_path)
    record = outcome.records[0]
    assert (record.codec, record.spec) == ("toy", "toy:step=16,trouble=,width=0")
    assert (record.rate_parameter, record.rate_value) == ("step", 16.0)
    assert record.image == "30.png"
    assert record.image_sha256 == load_dataset(photos).pictures[0].sha256
    assert record.n_bytes == 4 + 3 * 20 * 30 == sum(s.n_bytes for s in record.segments)
    assert record.bpp == pytest.approx(24 + 32 / 600)
    assert 20 < record.scores["psnr_rgb"] < 40
    assert "ms_ssim" not in record.scores  # too small for five scales
    assert record.encode_s > 0
    assert record.decode_s > 0
    assert record.timed_alone
    assert record.provenance["versions"].keys() >= {"rdbench", "python", "numpy"}
    assert record.provenance["machine"]["cores"] >= 1
    with Store(tmp_path) as store:
        data = store.bitstream(record.bitstream_sha256)
    assert hashlib.sha256(data).hexdigest() == record.bitstream_sha256
    assert len(data) == record.n_bytes


def test_what_is_there_is_not_done_again(photos, tmp_path):
    first = run([Toy(step=s) for s in (64, 16)], photos, tmp_path)
    assert (first.n_made, len(first.records)) == (4, 4)
    seen = []
    again = run([Toy(step=s) for s in (64, 16, 4)], photos, tmp_path, on_progress=seen.append)
    assert (again.n_made, len(again.records)) == (2, 6)
    assert (seen[0].n_wanted, seen[0].n_left, seen[-1].n_made) == (6, 2, 2)
    assert again.records[:1] != first.records[:1] or again.records == first.records


def test_protocols_do_not_mix(photos, tmp_path):
    run(Null(), photos, tmp_path)
    assert run(Null(), photos, tmp_path, protocol=Protocol("float")).n_made == 2
    with Store(tmp_path) as store:
        assert {p["scored"] for p in store.protocols().values()} == {"8-bit", "float"}


@pytest.mark.parametrize(
    ("trouble", "says"),
    [
        ("raise in encode", "RuntimeError: two lines"),
        ("raise in decode", "RuntimeError: two lines"),
        ("write in encode", "read-only"),
        ("shape", "(19, 40, 3)"),
        ("nan", "not finite"),
        ("float64", "float64"),
    ],
)
def test_a_failure_is_a_row_with_a_reason(photos, tmp_path, trouble, says):
    outcome = run(Toy(trouble=trouble, width=40), photos, tmp_path)
    (failed,) = outcome.failures
    assert failed.image == "40.png"
    assert says in failed.error
    assert not failed.scores
    assert (failed.n_bytes is None) == ("encode" in trouble)
    assert [r.error for r in outcome.records if r.image == "30.png"] == [None]
    assert run(Toy(trouble=trouble, width=40), photos, tmp_path).n_made == 1  # tried again


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_dying_worker_fails_its_own_picture_only(photos, tmp_path, jobs):
    codecs = [Toy(trouble="die in decode", width=40), Toy(step=8), Toy(step=4)]
    outcome = run(codecs, photos, tmp_path, jobs=jobs)
    assert len(outcome.records) == 6
    (failed,) = outcome.failures
    assert failed.image == "40.png"
    assert "worker process died" in failed.error
    assert [r.timed_alone for r in outcome.records] == [jobs == 1] * 6


def test_a_time_limit_stops_what_hangs(photos, tmp_path):
    codecs = [Toy(trouble="hang in encode", width=40), Toy(step=8)]
    outcome = run(codecs, photos, tmp_path, jobs=1, timeout_s=2.0)
    (failed,) = outcome.failures
    assert failed.error == "stopped after 2 s"
    assert len(outcome.records) == 4


def test_nothing_is_started_when_something_is_wrong(photos, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(Unavailable, match="make one"):
        run([Null(), Toy(trouble="unavailable")], photos, out)
    with pytest.raises(UsageError, match="no codec named"):
        run(["null", "nul"], photos, out)
    with pytest.raises(UsageError, match="no data set or folder"):
        run("null", "kodka", out)
    with pytest.raises(UsageError, match="no codec given"):
        run([], photos, out)
    with pytest.raises(UsageError, match="process of its own"):
        run("null", photos, out, timeout_s=1)
    assert not out.exists()


def test_rescoring_decodes_what_is_kept(photos, tmp_path):
    big = tmp_path / "big"
    big.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (170, 170, 3), dtype=np.uint8)
    PIL.Image.fromarray(pixels).save(big / "a.png")
    out = tmp_path / "out"
    fast = Protocol(metrics=("psnr_rgb",))
    (before,) = run("jpeg:quality=50", str(big), out, protocol=fast).records
    assert "ms_ssim" not in before.scores
    assert rescore(out, ["psnr_rgb", "ms_ssim"]).n_records == 1
    with Store(out) as store:
        (after,) = store.records()
    assert after.scores["psnr_rgb"] == before.scores["psnr_rgb"]
    (direct,) = run("jpeg:quality=50", str(big), tmp_path / "direct").records
    assert after.scores == direct.scores
    assert rescore(out, ["psnr_rgb", "ms_ssim"]).n_records == 0
    with Store(out) as store:
        store.bitstream_path(after.bitstream_sha256).unlink()
        store._db.execute("UPDATE records SET scores = '{}'")
    failed = rescore(out, ["psnr_rgb", "ms_ssim"])
    assert failed.n_records == 0
    assert "missing" in failed.problems[0]


def test_an_operating_point_is_prepared_once_before_it_is_timed(photos, tmp_path, monkeypatch):
    calls = tmp_path / "calls"
    monkeypatch.setenv("TOY_CALLS", str(calls))
    points = [Toy(step=step, trouble="count") for step in (11, 13)]
    run(points, photos, tmp_path / "out")
    made = calls.read_text().splitlines()
    n_pictures = len(load_dataset(photos).pictures)
    for step in (11, 13):
        mine = [call for call in made if call.endswith(f" {step}")]
        coded = [f"encode {step}", f"decode {step}"] * n_pictures
        assert mine == [f"prepare {step}", *coded]


def test_what_cannot_be_prepared_is_a_row_with_a_reason(photos, tmp_path):
    outcome = run(Toy(trouble="raise in prepare"), photos, tmp_path / "out")
    assert {record.error for record in outcome.failures} == {"no weights"}
    assert all(record.encode_s is None for record in outcome.records)
