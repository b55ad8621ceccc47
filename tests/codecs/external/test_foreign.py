"""A codec in another Python process: what it measures, and all the ways in which it fails."""

import importlib.util
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PilImage
from processes import new_tag, sleepers, wait_for

from rdbench import Record, Store, run, testing
from rdbench.errors import DataError, Unavailable, WorkerError
from rdbench.spec import get_codec, get_codecs
from rdbench.stages import listen
from rdbench.testing import check_codec
from rdbench_codecs.external import foreign, host
from rdbench_codecs.external.description import load

pytestmark = pytest.mark.skipif(os.name != "posix", reason="other programs run on POSIX only")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="processes are found through /proc")
FAULTY = Path(__file__).with_name("faulty_codec.py")
CODEC = """
import zlib, struct
import numpy as np

class Steps:
    def __init__(self, step=8):
        self.step = step

    def compress(self, image):
        print("printed")
        return struct.pack("<II", *image.shape[:2]) + zlib.compress((image // self.step).tobytes())

    def decompress(self, data):
        height, width = struct.unpack_from("<II", data)
        levels = np.frombuffer(zlib.decompress(data[8:]), np.uint8).reshape(height, width, 3)
        return np.clip(levels * float(self.step) + self.step // 2, 0, 255).astype(np.uint8)
"""
STEPS = {
    "name": "steps",
    "python": sys.executable,
    "class": "codec.py:Steps",
    "ladder": {"step": [64, 16, 8]},
    "versions": ["numpy"],
}


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where private folders are made; afterwards there is none, and no worker."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    foreign.end_workers()
    assert list(folder.iterdir()) == []


@pytest.fixture
def tag() -> str:
    return new_tag()


def write(folder: Path, keys: dict[str, Any], code: str = CODEC) -> Path:
    """A description and the file that it names."""
    (folder / "codec.py").write_text(code)
    lines = []
    for key, value in keys.items():
        table = value.items() if isinstance(value, dict) else ()
        lines += [f"{key}.{name} = {as_toml(item)}" for name, item in table]
        lines += [] if isinstance(value, dict) else [f"{key} = {as_toml(value)}"]
    file = folder / "codec.toml"
    file.write_text("\n".join(lines))
    return file


def as_toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)


def noise(height: int = 33, width: int = 47) -> Any:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_it_codes_in_another_process(tmp_path: Path) -> None:
    file = write(tmp_path, STEPS)
    codec = get_codec(f"{file}:step=16")
    codec.check()
    assert not foreign._workers
    bitstream = codec.encode(noise())
    assert bitstream.segments == ()
    decoded = codec.decode(bitstream.data)
    assert np.array_equal(decoded, noise() // 16 * 16 + 8)
    versions = {"steps python": sys.version.split()[0], "steps numpy": np.__version__}
    assert codec.versions() == versions
    assert not codec.on_gpu
    assert not codec.estimated
    assert [getattr(p, "step") for p in get_codecs(str(file))] == [64, 16, 8]  # noqa: B009


def test_it_keeps_the_contract(tmp_path: Path, temporary: Path) -> None:
    testing._decoding_process.cache_clear()  # one of its own, with this test's folder
    results = check_codec(str(write(tmp_path, STEPS)))
    assert sum(r.status == "pass" for r in results) >= 15
    testing._decoding_process().shutdown()
    testing._decoding_process.cache_clear()
    foreign.end_workers()
    wait_for(lambda: not list(temporary.iterdir()))


def test_settings_reach_the_class_and_the_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"one")
    code = CODEC.replace("step=8", "step=8, weights='', more=()").replace(
        "self.step = step", "self.step = step; assert open(weights).read() in more"
    )
    settings = {"weights": "{here}/weights.bin", "more": ["one", "two"]}
    file = write(tmp_path, STEPS | {"settings": settings}, code)
    codec = load(file)()
    codec.prepare()
    before = codec.fingerprint()
    (tmp_path / "weights.bin").write_bytes(b"two")
    assert codec.fingerprint() != before
    assert load(write(tmp_path, STEPS, code))().fingerprint() != before
    title = STEPS | {"settings": settings, "title": "T", "timeout_s": 5}
    (tmp_path / "weights.bin").write_bytes(b"one")
    assert load(write(tmp_path, title, code))().fingerprint() == before


def test_a_checkpoint_per_rate_is_named_by_the_rate_and_belongs_to_the_fingerprint(
    tmp_path: Path,
) -> None:
    code = CODEC.replace("step=8", "step=8, weights=''").replace(
        "self.step = step", "self.step = step; assert open(weights).read() == str(step)"
    )
    for step in (64, 16, 8):
        (tmp_path / f"q{step}.pth").write_text(str(step))
    text = STEPS | {"settings": {"weights": "{here}/q{step}.pth"}}
    points = get_codecs(str(write(tmp_path, text, code)))
    for codec in points:
        codec.prepare()
    assert not points[0].variable_rate
    assert load(write(tmp_path, STEPS, code)).variable_rate
    before = [codec.fingerprint() for codec in points]
    assert len(set(before)) == 3
    (tmp_path / "q16.pth").write_text("trained again")
    after = [codec.fingerprint() for codec in points]
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False, True]


def test_a_changed_file_is_another_codec(tmp_path: Path) -> None:
    codec = load(write(tmp_path, STEPS))()
    other = load(write(tmp_path, STEPS, CODEC + "\n# changed"))()
    assert codec != other
    assert codec.fingerprint() != other.fingerprint()
    with pytest.raises(WorkerError, match="was changed"):
        codec.prepare()


def test_variables_of_this_python_stay_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    code = CODEC + "import os\nassert 'PYTHONPATH' not in os.environ\n"
    load(write(tmp_path, STEPS, code))().prepare()


def test_a_command_line_with_placeholders(tmp_path: Path) -> None:
    script = (
        f'echo "= A banner ="; echo RDB; test -f "$1/__main__.py" && exec {sys.executable} "$2"'
    )
    (tmp_path / "my python").write_text(f"#!/bin/sh\n{script}")
    (tmp_path / "my python").chmod(0o755)
    codec = load(write(tmp_path, STEPS | {"python": "'{here}/my python' {worker}"}))()
    assert codec.decode(codec.encode(noise()).data).shape == (33, 47, 3)


def test_time_in_and_outside_the_worker(tmp_path: Path) -> None:
    code = CODEC.replace('print("printed")', "import time; time.sleep(0.2)")
    codec = load(write(tmp_path, STEPS, code))()
    codec.prepare()
    with listen() as watch:
        codec.encode(noise())
    assert set(watch.seconds) == {"transport", "worker"}
    assert watch.seconds["worker"] >= 0.2
    assert 0 < watch.seconds["transport"] < watch.seconds["worker"]


def test_the_operating_points_used_last_stay_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign, "_N_KEPT", 2)
    first, second, third = get_codecs(str(write(tmp_path, STEPS)))
    for point in (first, second):
        point.prepare()
    kept = foreign._workers[first]
    first.encode(noise(4, 4))
    third.encode(noise(4, 4))
    assert next(iter(foreign._workers.items())) == (first, kept)
    assert list(foreign._workers) == [first, third]


def test_two_objects_so_that_the_decoder_sees_bytes_only(tmp_path: Path) -> None:
    code = CODEC.replace("print(", "self.image = image; print(") + (
        "\nclass Cheat(Steps):\n    def decompress(self, data):\n        return self.image\n"
    )
    codec = load(write(tmp_path, STEPS | {"class": "codec.py:Cheat"}, code))()
    with pytest.raises(Exception, match="has no attribute 'image'"):
        codec.decode(codec.encode(noise()).data)


# What goes wrong before there is a codec


@pytest.mark.parametrize(
    ("python", "reason"),
    [
        ("no-such-python", "no program no-such-python"),
        ("true", r"the worker ended \(exit status 0\)"),
        ("cat", r"the worker ended .*: .*cat: .*: Is a directory"),
        ("yes", "65537 bytes before its first message|it sent 65536 bytes"),
        ("sh -c 'sleep 600'", "the worker was stopped after 2 s"),
        ("sh -c 'exit 9'", r"the worker ended \(exit status 9\): it printed nothing"),
        (f"{sys.executable} {{here}}/old_worker.py", "speaks version 99 of the protocol"),
        (f"{sys.executable} -c 'import no_such'", "ModuleNotFoundError: No module named 'no_such'"),
    ],
)
def test_pythons_that_are_none(tmp_path: Path, python: str, reason: str) -> None:
    header = '{"protocol": 99, "blobs": []}'
    (tmp_path / "old_worker.py").write_text(
        f"import os; os.write(1, b'RDBW' + bytes([{len(header)}, 0, 0, 0]) + b'{header}'); input()"
    )
    codec = load(write(tmp_path, STEPS | {"python": python, "timeout_s": 2}))()
    with pytest.raises(Unavailable, match=reason):
        codec.check()


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import no_such_module", "line 1: ModuleNotFoundError: No module named 'no_such_module'"),
        ("class Other: pass", "has no class 'Steps'"),
        ("class Steps:\n    def __init__(self, step): 0", "Steps.*neither compress and decompress"),
        ("def Steps(step): raise RuntimeError('no GPU')", "line 1: RuntimeError: no GPU"),
        ("class Steps: pass", "TypeError: Steps.. takes no arguments"),
    ],
)
def test_classes_that_cannot_be_loaded(tmp_path: Path, code: str, reason: str) -> None:
    codec = load(write(tmp_path, STEPS, code))()
    for use in (codec.prepare, codec.check):
        with pytest.raises(Unavailable, match=reason):
            use()
    assert not foreign._workers


WRONG: list[tuple[dict[str, object], str]] = [
    ({"python": None}, "'python' is missing"),
    ({"class": None}, "'class' is missing"),
    ({"encode": "x"}, "unknown key 'encode'; known are name, python"),
    ({"class": "codec.py"}, 'class must be "FILE:NAME"'),
    ({"class": "none.py:Steps"}, r"none\.py: No such file"),
    ({"python": "{input}"}, r"python cannot use \{input\}; it can use \{here\}, \{worker\}"),
    ({"python": "p 'x"}, "python: No closing quotation"),
    ({"settings": {"step": 3}}, "the rate parameter cannot be called 'step'"),
    ({"settings": {"x": float("nan")}}, "settings cannot be sent"),
    ({"versions": [1]}, "versions must be names of packages"),
]


@pytest.mark.parametrize(("change", "reason"), WRONG, ids=[r for _, r in WRONG])
def test_wrong_descriptions(tmp_path: Path, change: dict[str, object], reason: str) -> None:
    keys = {k: v for k, v in (STEPS | change).items() if v is not None}
    with pytest.raises(DataError, match=rf"codec\.toml: .*{reason}"):
        load(write(tmp_path, keys))


# Faults while it codes


def faults() -> list[tuple[Any, str, str]]:
    spec = importlib.util.spec_from_file_location("faulty_codec", FAULTY)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return list(module.FAULTS)


def images(folder: Path, first_samples: list[int]) -> Path:
    """A folder of small images with these first samples."""
    folder.mkdir()
    for number, sample in enumerate(first_samples):
        pixels = np.random.default_rng(number).integers(0, 256, (16, 16, 3), np.uint8)
        pixels[0, 0, 0] = sample
        PilImage.fromarray(pixels).save(folder / f"{number:02}.png")
    return folder


def require_good(record: Record) -> None:
    assert record.error is None
    assert record.encode_s
    assert record.decode_s
    transport_s = record.provenance["transport_s"]
    assert 0 < transport_s["encode"] < record.encode_s
    assert 0 < transport_s["decode"] < record.decode_s
    assert record.exact
    assert record.n_bytes == 4 + 16 * 16 * 3


def faulty(folder: Path, tag: str) -> Path:
    keys = {
        "name": "faulty",
        "python": sys.executable,
        "class": "codec.py:Faulty",
        "settings": {"tag": tag},
    }
    return write(folder, keys, FAULTY.read_text())


@LINUX
def test_every_fault_fails_its_image_and_no_other(
    tmp_path: Path, tag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = host.Worker.ask

    def ask_with_a_short_limit(worker: host.Worker, call: str, *blobs: Any, **header: Any) -> Any:
        worker._timeout_s = 60.0 if call == "load" else 2.0
        return ask(worker, call, *blobs, **header)

    monkeypatch.setattr(host.Worker, "ask", ask_with_a_short_limit)
    expected = faults()
    assert len(expected) >= 20
    samples = [n for number in range(len(expected)) for n in (number + 1, 0)]
    codec = faulty(tmp_path, tag)
    outcome = run(str(codec), str(images(tmp_path / "images", samples)), tmp_path / "out")
    assert len(outcome.records) == len(samples)
    for sample, record in zip(samples, outcome.records, strict=True):
        fault, _, reason = expected[sample - 1] if sample else (None, "", "")
        if reason:
            assert record.error, fault
            assert re.search(reason, record.error.replace("codec.py", "faulty_codec.py")), fault
            assert not record.scores
        else:
            require_good(record)
    foreign.end_workers()
    assert sleepers(tag) == []


@LINUX
def test_nothing_outlives_a_killed_driver(tmp_path: Path, tag: str, temporary: Path) -> None:
    hanging = [n for n, (f, _, _) in enumerate(faults(), 1) if f.__name__ == "hangs"]
    folder, codec = images(tmp_path / "images", [0, *hanging]), faulty(tmp_path, tag)
    code = "import sys, rdbench; rdbench.run(*sys.argv[1:])"
    words = [sys.executable, "-c", code, str(codec), str(folder), str(tmp_path / "out")]
    driver = subprocess.Popen(words)
    wait_for(lambda: len(sleepers(tag)) == 1)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    wait_for(lambda: not sleepers(tag) and not list(temporary.iterdir()))
    with Store(tmp_path / "out") as store:
        (record,) = store.records()
    require_good(record)


@LINUX
def test_a_worker_in_a_container_leaves_with_its_host(tmp_path: Path, tag: str) -> None:
    """What runs in a container is not a child of the host: it must notice the end of its input."""
    client = tmp_path / "client"
    inside = f"cd / && exec {sys.executable} $1 {tag}"
    client.write_text(f"#!/bin/sh\ncat | env -i setsid sh -c '{inside}' sh $1 | cat")
    client.chmod(0o755)
    code = CODEC.replace('print("printed")', "import time; time.sleep(600)")
    keys = STEPS | {"python": "{here}/client", "timeout_s": 5}
    codec = load(write(tmp_path, keys, code))()
    codec.prepare()
    assert sleepers(tag)
    with pytest.raises(WorkerError, match="was stopped after 5 s"):
        codec.encode(noise())
    wait_for(lambda: not sleepers(tag))


def test_the_number_of_threads_reaches_a_worker(tmp_path: Path) -> None:
    line = "import os; assert os.environ['OMP_NUM_THREADS'] == '3'"
    code = CODEC.replace('print("printed")', line)
    (record,) = run(
        f"{write(tmp_path, STEPS, code)}:step=8", str(images(tmp_path / "i", [0])),
        tmp_path / "out", threads=3,
    ).records  # fmt: skip
    assert record.error is None


def test_a_worker_that_dies_between_calls_is_replaced(tmp_path: Path) -> None:
    codec = load(write(tmp_path, STEPS))()
    data = codec.encode(noise()).data
    (worker,) = foreign._workers.values()
    worker._process.kill()
    wait_for(lambda: not worker.alive)
    assert codec.encode(noise()).data == data
    assert [*foreign._workers.values()] != [worker]


def test_the_versions_of_the_protocol_agree() -> None:
    text = (host.FOLDER / "__main__.py").read_text()
    assert f"\nPROTOCOL = {host.PROTOCOL}\n" in text
