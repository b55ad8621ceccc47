"""A sweep: what is measured, what fails and how, and that nothing is done twice."""

import hashlib
from contextlib import contextmanager
from typing import ClassVar

import numpy as np
import PIL.Image
import pytest
from cluster_tasks import die_and_say_gpu, gpu_of
from toy_codecs import Toy, unsendable
from typer.testing import CliRunner

from rdbench import store as store_module
from rdbench.cli.app import app
from rdbench.datasets import load_dataset
from rdbench.errors import Unavailable, UsageError
from rdbench.metrics import Protocol
from rdbench.rescoring import rescore
from rdbench.store import Store
from rdbench.sweep import run
from rdbench.types import Weights
from rdbench.workers import processes, visible_gpus
from rdbench_codecs.conventional.null import Null


def test_a_record_says_everything(photos, tmp_path):
    outcome = run(Toy(step=16), photos, tmp_path)
    record = outcome.records[0]
    assert (record.codec, record.spec) == ("toy", "toy:step=16,trouble=,width=0")
    assert (record.rate_parameter, record.rate_value) == ("step", 16.0)
    assert record.image == "30.png"
    assert record.image_sha256 == load_dataset(photos).files[0].sha256
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
    assert (seen[0].n_left, seen[-1].n_made) == (2, 2)
    after = {record.spec + record.image: record for record in again.records}
    for before in first.records:
        assert after[before.spec + before.image] == before  # bytes, scores, times and all


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


@pytest.mark.parametrize("gpus", [[], ["0", "1"], ["GPU-abc"]])
def test_worker_processes_see_one_gpu_each(gpus, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "all")
    with processes(2, 1, gpus=gpus) as map_tasks:
        found = {result[:2] for _, result in map_tasks(gpu_of, range(8))}
    assert {gpu for gpu, _ in found} == set(gpus or ["all"])
    assert len(found) == 2


def test_a_worker_that_is_replaced_keeps_its_gpu():
    with processes(1, 1, gpus=["3", "4"]) as map_tasks:
        found = [result for _, result in map_tasks(die_and_say_gpu, range(3))]
    assert (found[0], found[2]) == ("3", "3")


def test_gpus_that_the_environment_names(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, GPU-abc")
    assert visible_gpus() == ["2", "GPU-abc"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_gpus() == []
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    assert visible_gpus() == ["0", "1", "2"]


def test_tasks_on_a_gpu_get_the_gpus(photos, tmp_path, monkeypatch):
    class OnGpu(Toy):
        on_gpu = True

    given = []

    @contextmanager
    def workers(jobs, threads, timeout_s, cluster, gpus, on_wait):
        given.append(gpus)
        yield lambda function, tasks: ((task, function(task)) for task in tasks)

    monkeypatch.setattr("rdbench.sweep.workers", workers)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,6")
    run(Toy(), photos, tmp_path)
    run(OnGpu(step=4), photos, tmp_path)
    assert given == [[], ["5", "6"]]


def test_more_jobs_than_tasks(photos, tmp_path):
    assert run(Toy(), photos, tmp_path, jobs=8).n_measured == 2


def test_results_that_cannot_be_sent_fail_their_own_task():
    with processes(2, 1) as map_tasks:
        found = dict(map_tasks(unsendable, ["lambda", "fine", "bad exception"]))
    assert found["fine"] == "fine"
    assert "local object" in str(found["lambda"])
    assert "Foreign: a, b" in str(found["bad exception"])


def test_every_task_asked_for_is_accounted_for(photos, tmp_path, monkeypatch):
    """Workers that stop early must not look like success."""

    @contextmanager
    def lazy(*_):
        yield lambda function, tasks: iter(())

    monkeypatch.setattr("rdbench.sweep.workers", lazy)
    assert run(Toy(), photos, tmp_path).n_missing == 2
    words = ["run", "--codec", "null", "--dataset", photos, "--out", str(tmp_path)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1
    assert "2 were not measured" in done.stderr


def test_failed_tasks_do_not_count_as_measured(photos, tmp_path):
    (tmp_path / "bad.toml").write_text(
        'name = "bad"\nformat = "png"\n'
        'encode = "false {input} {output}"\ndecode = "false {input} {output}"\n'
    )
    words = ["run", "--codec", str(tmp_path / "bad.toml"), "--dataset", photos]
    done = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "out")])
    assert done.exit_code == 1
    assert "0 measured, 0 already done, 2 failed" in done.stderr


def test_settings_that_a_cluster_cannot_honour_are_refused(photos, tmp_path):
    for settings in ({"jobs": 2}, {"timeout_s": 1.0}):
        with pytest.raises(UsageError, match="do not go together"):
            run("null", photos, tmp_path / "out", cluster="tcp://localhost:1", **settings)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"threads": 10**20}, "threads 1 to"),
        ({"threads": 0}, "threads 1 to"),
        ({"timeout_s": 1e300}, "a time limit is over 0 and at most"),
        ({"timeout_s": float("nan")}, "a time limit is over 0 and at most"),
        ({"timeout_s": -1.0}, "a time limit is over 0 and at most"),
    ],
)
def test_numbers_that_no_machine_takes_are_refused(photos, tmp_path, settings, reason):
    with pytest.raises(UsageError, match=reason):
        run("null", photos, tmp_path / "out", jobs=1, **settings)
    assert not (tmp_path / "out").exists()


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
    n_images = len(load_dataset(photos).files)
    for step in (11, 13):
        mine = [call for call in made if call.endswith(f" {step}")]
        coded = [f"encode {step}", f"decode {step}"] * n_images
        assert mine == [f"prepare {step}", *coded]


def test_what_cannot_be_prepared_is_a_row_with_a_reason(photos, tmp_path):
    outcome = run(Toy(trouble="raise in prepare"), photos, tmp_path / "out")
    assert {record.error for record in outcome.failures} == {"no weights"}
    assert all(record.encode_s is None for record in outcome.records)


class Weighted(Toy):
    """Counts how often its weights are identified."""

    calls: ClassVar[int] = 0

    def identify_weights(self):
        Weighted.calls += 1
        return Weights("random", "ab" * 32, "N=1")


def test_weights_are_identified_once_for_all_images(photos, tmp_path):
    outcome = run([Weighted(step=16), Weighted(step=8)], photos, tmp_path)
    assert Weighted.calls == 2
    assert {r.weights for r in outcome.records} == {Weights("random", "ab" * 32, "N=1")}
    assert {r.fingerprint for r in outcome.records} == {"ab" * 32}
    with Store(tmp_path) as store:
        assert tuple(store.records()) == outcome.records


def test_a_sweep_reads_back_its_own_records_only(photos, tmp_path, monkeypatch):
    run(Toy(step=8), photos, tmp_path)
    read, record = [], store_module._record
    monkeypatch.setattr(store_module, "_record", lambda *row: read.append(row) or record(*row))
    assert len(run(Toy(step=4), photos, tmp_path).records) == len(read) == 2


def test_comparisons_read_the_records_once(photos, tmp_path, monkeypatch):
    qualities = "jpeg:quality=20,40,60,80", "webp:quality=20,40,60,80"
    run(qualities, photos, tmp_path)
    opened, start = [], Store.__init__
    monkeypatch.setattr(Store, "__init__", lambda *a, **k: opened.append(a) or start(*a, **k))
    for words in (["bdrate"], ["tables", "--table", "bdrate"]):
        opened.clear()
        done = CliRunner().invoke(app, [*words, "--anchor", "webp", str(tmp_path)])
        assert (done.exit_code, len(opened)) == (0, 1), done.output
    opened.clear()
    words = ["run", "--codec", "null", "--dataset", photos, "--out", str(tmp_path)]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert len(opened) == 1
