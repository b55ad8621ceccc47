"""A codec whose code runs in another Python environment, described in a TOML file.

::

    name = "their-mbt2018"
    python = "/envs/old/bin/python"        # a Python with all that the code imports
    class = "mine.py:MyCodec"              # file, relative to this one, and class or function
    settings = {architecture = "mbt2018"}  # its other keyword arguments (default: none)
    ladder = {quality = [1, 2, 3]}         # the one that sets the rate; lowest rate first
    title = "mbt2018, their code"          # for people (default: the name)
    versions = ["torch", "compressai"]     # of these packages go into every record (default: none)
    timeout_s = 600                        # for loading, one encoding or decoding (default: 3600)

``rdbench run --codec their.toml`` measures the ladder, ``--codec their.toml:quality=2`` one point.
`rdbench_codecs.external.worker.interfaces` describes what a class may look like: it compresses
arrays to bytes, or tensors as in CompressAI, or it estimates its rate.

``{here}`` in a text of ``settings`` is the folder of the TOML file: ``"{here}/weights.pth"``. The
name of the ladder in braces is its value: ``"{here}/q{quality}.pth"``, a checkpoint per rate. Files
that settings name, the Python file, and those next to it that it imports belong to the fingerprint.

``python`` may be several words, split as a shell would: they start a Python, and a folder to run is
added. In it, ``{worker}`` is that folder::

    python = "conda run -n old --no-capture-output python"
    python = "uv run --project {here} python"
    python = "docker run --rm -i -v {here}:{here}:ro -v {worker}:{worker}:ro IMAGE python"
    python = "apptainer exec --nv -B {here} -B {worker} image.sif python"

The process loads the codec once per operating point and serves it until rdbench ends:
docs/worker_protocol.md. It makes two objects, so that nothing reaches the decoder but the bytes.
The four operating points that were used last stay loaded. A process that crashes or hangs fails the
image it worked on; the next image gets a new process.

PYTHONPATH and other variables of rdbench's own Python are not passed on. The number of threads is,
as OMP_NUM_THREADS (to a container: ``-e OMP_NUM_THREADS``).
"""

import atexit
import dataclasses
import hashlib
import json
import math
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from rdbench.errors import Unavailable, WorkerError
from rdbench.stages import stage, tell_seconds
from rdbench.types import Bitstream, Image, Reconstruction, Segment
from rdbench_codecs.conventional.limits import decoding, encoding
from rdbench_codecs.external.described import (
    KEYS,
    Definition,
    DescribedCodec,
    check_command,
    check_keys,
    ladder_of,
    require,
)
from rdbench_codecs.external.host import FOLDER, CodecError, Reply, Worker
from rdbench_codecs.external.worker.interfaces import CodecFileError, source_sha256
from rdbench_codecs.learned.weights import sha256

_NEEDED = ("name", "python", "class")
_KEYS = {**dict.fromkeys(_NEEDED, str), "settings": dict, "versions": list, **KEYS}
_OTHERS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
_N_KEPT = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Foreign(Definition):
    """What a TOML file says of a codec in another Python environment.

    Attributes:
        path, class_name: the two parts of the key ``class``.
        source_sha256: of the Python file, and of those next to it that it imports.
        settings: JSON of the fixed arguments.
    """

    python: str
    path: str
    class_name: str
    source_sha256: str
    settings: str = "{}"
    versions: tuple[str, ...] = ()

    @property
    def variable_rate(self) -> bool:
        """Whether no setting has a value of its own per operating point, such as a checkpoint."""
        return not any(f"{{{name}}}" in self.settings for name in self.parameters)

    def arguments(self, rate: Mapping[str, float]) -> dict[str, Any]:
        """The settings, with the folder and the rate parameter filled in."""
        known = {"here": self.here} | {name: f"{value:.15g}" for name, value in rate.items()}
        return {name: _filled(value, known) for name, value in json.loads(self.settings).items()}

    def start(self) -> Worker:
        """A worker without a codec; Unavailable or WorkerError where it does not start."""
        without = [word for name in _OTHERS for word in ("-u", name)]
        command = self.command(self.python, worker=FOLDER)
        return Worker(["/usr/bin/env", *without, *command, FOLDER], self.name, self.timeout_s)


class ForeignCodec(DescribedCodec):
    """A codec in another Python environment."""

    definition: ClassVar[Foreign]

    def encode(self, image: Image) -> Bitstream:
        """What the worker encodes."""
        with encoding(image), stage("transport"):
            pixels = np.ascontiguousarray(image)
            worker = _worker(self)
            reply = worker.ask("encode", pixels.data, shape=pixels.shape)
            with _reading(worker):
                tell_seconds("worker", _number(reply.header["seconds"]))
                return _bitstream(reply)

    def decode(self, data: bytes) -> Reconstruction:
        """What the worker decodes."""
        with decoding(), stage("transport"):
            worker = _worker(self)
            reply = worker.ask("decode", data)
            with _reading(worker):
                tell_seconds("worker", _number(reply.header["seconds"]))
                return _image(reply)

    def check(self) -> None:
        """Load the codec once per process; Unavailable where that fails."""
        if self.definition not in _facts:
            try:
                _loaded(self).end()
            except WorkerError as error:
                raise Unavailable(str(error)) from None

    def prepare(self) -> None:
        """Load the codec."""
        _worker(self)

    @property
    def on_gpu(self) -> bool:
        """Whether the codec is on a GPU."""
        self.check()
        return bool(_facts[self.definition]["on_gpu"])

    @property
    def estimated(self) -> bool:
        """Whether the codec only estimates its rate."""
        self.check()
        return bool(_facts[self.definition]["estimated"])

    def versions(self) -> Mapping[str, str]:
        """Versions of Python and of packages in the other environment."""
        self.check()
        versions = _facts[self.definition]["versions"]
        return {f"{self.name} {name}": version for name, version in versions.items()}

    def fingerprint(self) -> str:
        """SHA-256 of what the file says of the bits, of the code, and of files in settings."""
        d = self.definition
        files = [sha256(Path(v)) for v in d.arguments(self.settings()).values() if _is_file(v)]
        text = repr((d.source_sha256, d.class_name, d.settings, files))
        return hashlib.sha256(text.encode()).hexdigest()


def foreign(keys: dict[str, Any], here: str) -> Foreign:
    """The checked content of a file; DataError says what is wrong with it, and what to do."""
    check_keys(keys, _NEEDED, _KEYS)
    check_command("python", keys["python"], {}, {"here": here, "worker": FOLDER})
    file, _, class_name = keys.pop("class").rpartition(":")
    require(file and class_name, 'class must be "FILE:NAME", such as "mine.py:MyCodec"')
    path = (Path(here) / file).resolve()
    settings, versions = keys.pop("settings", {}), tuple(keys.pop("versions", ()))
    parameters, values = ladder_of(keys.pop("ladder", {}), settings)
    require(all(type(name) is str for name in versions), "versions must be names of packages")
    try:
        text = json.dumps(settings, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        require(False, f"settings cannot be sent ({error}); use texts, numbers, true and false")
    try:
        sha256 = source_sha256(str(path))
    except CodecFileError as error:
        require(False, f"class: {error}")
    return Foreign(
        here=here, path=str(path), class_name=class_name, source_sha256=sha256, settings=text,
        parameters=parameters, values=values, versions=versions, **keys,
    )  # fmt: skip


def _filled(value: Any, known: Mapping[str, str]) -> Any:
    if type(value) is str:
        for name, text in known.items():
            value = value.replace(f"{{{name}}}", text)
    return value


def _is_file(value: Any) -> bool:
    return type(value) is str and bool(value) and Path(value).is_file()


# Workers of this process


_lock = threading.Lock()
_workers: dict[ForeignCodec, Worker] = {}
"""Those kept loaded, the one used last at the end."""
_facts: dict[Foreign, dict[str, Any]] = {}
"""What a worker said of its codec when it loaded it: ``estimated``, ``on_gpu``, ``versions``."""


def _worker(codec: ForeignCodec) -> Worker:
    """The worker that serves an operating point, started where there is none."""
    with _lock:
        worker = _workers.pop(codec, None)
        if worker is None or not worker.alive:
            if worker is not None:
                worker.end()  # its children may live
            end_workers(_N_KEPT - 1)
            worker = _loaded(codec)
        _workers[codec] = worker
        return worker


def _loaded(codec: ForeignCodec) -> Worker:
    d = codec.definition
    worker = d.start()
    try:
        reply = worker.ask(
            "load", path=d.path, **{"class": d.class_name}, versions=d.versions,
            settings={**d.arguments(codec.settings()), **codec.settings()},
        ).header  # fmt: skip
    except CodecError as error:
        worker.end()
        text = f"{codec.name}: {d.python} cannot load {d.class_name!r}: {error}"
        raise Unavailable(text) from None
    if reply.get("source_sha256") != d.source_sha256:
        worker.end()
        raise WorkerError(f"{d.path} was changed, or is another file there; run again")
    reply["versions"] = {"python": worker.python} | {
        str(name): str(version) for name, version in dict(reply.get("versions", {})).items()
    }
    _facts[d] = reply
    return worker


def end_workers(n_kept: int = 0) -> None:
    """End the workers of this process but those used last."""
    for codec in list(_workers)[: max(0, len(_workers) - n_kept)]:
        _workers.pop(codec).end()


atexit.register(end_workers)


# Replies


@contextmanager
def _reading(worker: Worker) -> Iterator[None]:
    """End a worker whose reply cannot be used: the next one may be that of another request."""
    try:
        yield
    except (ValueError, TypeError, LookupError) as error:
        worker.end()
        message = f"a reply that cannot be used ({error})"
        raise WorkerError(f"the worker does not keep to the protocol: {message}") from None


def _bitstream(reply: Reply) -> Bitstream:
    (data,), segments = reply.blobs, tuple(_segment(*s) for s in reply.header["segments"])
    estimate = reply.header["estimated_bits"]
    if estimate is None:
        return Bitstream(bytes(data), segments)
    return Bitstream(bytes(data), segments, _number(estimate))


def _segment(name: str, n_bytes: int, ideal_bits: float | None) -> Segment:
    bits = None if ideal_bits is None else _number(ideal_bits)
    return Segment(str(name), int(_number(n_bytes)), bits)


def _image(reply: Reply) -> Reconstruction:
    (data,), shape = reply.blobs, reply.header["shape"]
    kind = {"uint8": np.uint8, "float32": np.float32}[reply.header["dtype"]]
    return np.frombuffer(data, kind).reshape(shape)


def _number(value: Any) -> float:
    """A number of a reply; ValueError where it is none, negative or infinite."""
    if type(value) not in (int, float) or not 0 <= value < math.inf:
        raise ValueError(f"{value!r:.40} is not a number of zero or more")
    return float(value)
