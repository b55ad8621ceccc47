"""Codecs that crash, hang, fork, print gigabytes or return something else fail their own images."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from toy_codecs import Toy

from rdbench.sweep import run


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_dying_worker_fails_its_own_image_only(photos, tmp_path, jobs):
    codecs = [Toy(trouble="die in decode", width=40), Toy(step=8), Toy(step=4)]
    outcome = run(codecs, photos, tmp_path, jobs=jobs)
    assert len(outcome.records) == 6
    (failed,) = outcome.failures
    assert failed.image == "40.png"
    assert "worker process died" in failed.error
    assert [r.timed_alone for r in outcome.records] == [jobs == 1] * 6


@pytest.mark.parametrize(
    ("trouble", "says"),
    [
        ("die in pickle", "TypeError: a codec that cannot be sent"),
        ("die in unpickle", "worker process died (exit status 9)"),
        ("raise in unpickle", "ImportError: a codec that cannot be loaded"),
        ("exit in decode", "SystemExit: 3"),
        ("raise foreign in encode", "Foreign: a, b"),
        ("kill in decode", "worker process died (SIGKILL; out of memory?)"),
    ],
)
def test_trouble_with_processes_fails_its_own_images_only(photos, tmp_path, trouble, says):
    codecs = [Toy(trouble=trouble), Toy(step=8), Toy(step=4)]
    outcome = run(codecs, photos, tmp_path, jobs=2)
    assert [says in r.error for r in outcome.failures] == [True] * 2, outcome.failures
    assert {r.spec for r in outcome.failures} == {f"toy:step=16,trouble={trouble},width=0"}
    assert (len(outcome.records), outcome.n_measured, outcome.n_missing) == (6, 4, 0)


def test_sys_exit_in_a_codec_does_not_end_the_sweep(photos, tmp_path):
    outcome = run([Toy(trouble="exit in decode"), Toy(step=8)], photos, tmp_path)
    assert [r.error for r in outcome.failures] == ["RuntimeError: SystemExit: 3"] * 2


def test_a_time_limit_stops_what_hangs(photos, tmp_path):
    codecs = [Toy(trouble="hang in encode", width=40), Toy(step=8)]
    outcome = run(codecs, photos, tmp_path, jobs=1, timeout_s=2.0)
    (failed,) = outcome.failures
    assert failed.error == "stopped after 2 s"
    assert len(outcome.records) == 4


@pytest.mark.parametrize("jobs", [0, 2])
@pytest.mark.parametrize(
    ("trouble", "says"),
    [
        ("nothing in encode", "AttributeError"),
        ("nothing in decode", "AttributeError"),
        ("memory in encode", "MemoryError"),
        ("exhaust in decode", "RecursionError"),
    ],
)
def test_a_codec_that_returns_nothing_fails_its_own_image(photos, tmp_path, trouble, says, jobs):
    outcome = run([Toy(trouble=trouble, width=40), Toy(step=8)], photos, tmp_path, jobs=jobs)
    (failed,) = outcome.failures
    assert (failed.image, len(outcome.records)) == ("40.png", 4)
    assert says in failed.error


class Lossless(Toy):
    """Promises what it does not keep."""

    lossless = True


def test_another_image_has_its_own_quality_or_breaks_a_promise(photos, tmp_path):
    other, same = Toy(step=1, trouble="another in decode"), Toy(step=1)
    outcome = run([other, same], photos, tmp_path / "lossy")
    quality = {r.spec: r.scores.get("psnr_rgb") for r in outcome.records}
    assert quality.pop("toy:step=1,trouble=,width=0") is None  # infinite
    assert all(value < 12 for value in quality.values())
    broken = Lossless(step=1, trouble="another in decode", width=40)
    (failed,) = run(broken, photos, tmp_path / "lossless").failures
    assert failed.error == "the codec is lossless, but another image came back"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("jobs", [0, 2])
def test_a_child_that_a_codec_forks_does_not_do_its_work_again(photos, tmp_path, jobs):
    steps = [Toy(step=step, trouble="fork in encode") for step in (64, 16, 4)]
    outcome = run(steps, photos, tmp_path, jobs=jobs)
    assert (len(outcome.records), outcome.n_made) == (6, 6)
    assert outcome.failures == ()
    assert len({r.bitstream_sha256 for r in outcome.records}) == 6


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_worker_that_dies_and_leaves_a_child_is_noticed(photos, tmp_path):
    started = time.monotonic()
    codecs = [Toy(trouble="leave a child and die in encode", width=40), Toy(step=8)]
    (failed,) = run(codecs, photos, tmp_path, jobs=1).failures
    assert "worker process died" in failed.error
    assert time.monotonic() - started < 60  # the child holds the pipe open for two minutes


PRINTS = """
import sys
sys.path.insert(0, {tests!r})
from toy_codecs import Toy
from rdbench.sweep import run
if __name__ == "__main__":
    outcome = run(Toy(trouble="print in encode"), {photos!r}, {out!r}, jobs=1)
    print([r.error for r in outcome.records])
"""


def test_what_codecs_print_does_not_mix_with_results(photos, tmp_path, request):
    megabytes = 1000 if request.config.getoption("--faults-long") else 10
    script = tmp_path / "script.py"
    tests = str(Path(__file__).parents[1])
    script.write_text(PRINTS.format(tests=tests, photos=photos, out=str(tmp_path / "out")))
    environment = {**os.environ, "TOY_MEGABYTES": str(megabytes), "PYTHONPATH": tests}
    done = subprocess.run(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        timeout=200, env=environment,
    )  # fmt: skip
    assert done.stdout == "[None, None]\n"
