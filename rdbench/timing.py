"""Measure how long encoding and decoding take, stage by stage.

Operating points are timed one after the other. Each gets its own process, with the given number of
threads on as many cores. Each image size is coded once to warm up. Each image is then coded several
times; its time is the median. Times are wall time; the clock waits for a GPU in use.
"""

import dataclasses
import datetime
import functools
import os
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from rdbench.columns import FLAG, Column, plain
from rdbench.datasets import Dataset, ImageFile, load_dataset
from rdbench.errors import RdbenchError, Unavailable, UsageError
from rdbench.images import read_image
from rdbench.spec import curve_of, get_codec, get_codecs, identify, rate_of, require_files
from rdbench.stages import listen
from rdbench.store import Store
from rdbench.sweep import machine, remember
from rdbench.types import Codec, CurveKey, WeightsKind, from_json, with_weights
from rdbench.workers import processes

if TYPE_CHECKING:
    import psutil

BUSY = 0.1
"""Number of cores in use by other processes above which a machine is too busy to time on."""

_OTHER = "other"  # what no stage accounts for


@dataclass(frozen=True, slots=True)
class Quartiles:
    """Quartiles of the time over the images, in seconds."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, runs: "Sequence[_Run]") -> Self:
        """Return the quartiles of the runs, one per image."""
        return cls(*np.quantile([run.seconds for run in runs], (0.25, 0.5, 0.75)).tolist())


@dataclass(frozen=True, slots=True)
class Timing:
    """How long one operating point takes on the images of a data set.

    Attributes:
        rate: the setting of the rate, as in a spec; "" where there is none.
        n_repeats: how many times each image was coded after the warm-up.
        encode_s, decode_s: quartiles over the images of each image's median.
        stages: ``encode`` and ``decode`` -> stage -> median over the images, in seconds; {} where
            the codec reports no stages. ``other`` is the time outside all stages.
        device: name of the processor or GPU.
        threads: threads and cores given to the process.
        peak_memory_bytes: peak memory of the process, or of a program that it ran.
        peak_gpu_bytes: peak memory allocated on the GPU; None without one.
        others_cores: cores that other processes used meanwhile.
        created: when, ISO 8601, UTC.
    """

    codec: str
    spec: str
    rate: str
    fingerprint: str
    dataset: str
    n_images: int
    n_repeats: int
    encode_s: Quartiles
    decode_s: Quartiles
    stages: Mapping[str, Mapping[str, float]]
    device: str
    on_gpu: bool
    threads: int
    peak_memory_bytes: int
    peak_gpu_bytes: int | None
    others_cores: float
    machine: Mapping[str, Any]
    created: str
    weights_kind: WeightsKind = ""

    def __repr__(self) -> str:
        seconds = f"encode {self.encode_s.median:.3g} s, decode {self.decode_s.median:.3g} s"
        return f"<Timing {self.spec} on {self.dataset}: {seconds}, {self.on}>"

    @property
    def busy(self) -> bool:
        """Whether other processes may have slowed it down."""
        return self.others_cores > BUSY

    @property
    def on(self) -> str:
        """Processor and threads, as tables show them."""
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return "GPU" if self.on_gpu else f"CPU, {threads}"

    @property
    def curve(self) -> CurveKey | None:
        """The curve that the operating point is on; None where its codec is not available."""
        try:
            return curve_of(get_codec(self.spec), self.fingerprint)
        except RdbenchError:
            return None

    @property
    def label(self) -> str:
        """The codec, with its weights unless they are the published ones."""
        return with_weights(self.codec, self.weights_kind)

    def row(self) -> dict[str, Any]:
        """One row of a table: all but the stages and the machine; see TIMES."""
        row = dataclasses.asdict(self)
        for name in ("stages", "machine"):
            del row[name]
        for name, q in (("encode_s", self.encode_s), ("decode_s", self.decode_s)):
            row |= {name: q.median, f"{name}_low": q.low, f"{name}_high": q.high}
        return row | {
            "label": self.label,
            "on": self.on,
            "peak_bytes": self.peak_gpu_bytes or self.peak_memory_bytes,
            "flag": f"busy: {self.others_cores:.1f} cores" if self.busy else None,
        }

    def stage_rows(self) -> list[dict[str, Any]]:
        """One row for each direction and stage, longest first; see STAGES."""
        return [
            {
                "label": self.label,
                "on": self.on,
                "direction": direction,
                "stage": name,
                "stage_s": seconds,
                "percent": 100 * seconds / sum(stages.values()),
            }
            for direction, stages in self.stages.items()
            for name, seconds in sorted(stages.items(), key=lambda item: -item[1])
        ]


TIMES = (
    Column("label", "codec"),
    Column("rate", "setting"),
    Column("on"),
    Column("encode_s", "encode", "s", 4),
    Column("encode_s_low", "encode quartiles", "s",
           template="{encode_s_low:.4f}-{encode_s_high:.4f}"),
    Column("decode_s", "decode", "s", 4),
    Column("decode_s_low", "decode quartiles", "s",
           template="{decode_s_low:.4f}-{decode_s_high:.4f}"),
    Column("peak_bytes", "peak memory", "MiB", 0, scale=2**-20),
    FLAG,
)  # fmt: skip
"""How people see `Timing.row`."""

STAGES = (
    Column("label", "codec"),
    *plain("on", "direction", "stage"),
    Column("stage_s", "time", "s", 4),
    Column("percent", "share", "%", 1),
)
"""How people see `Timing.stage_rows`."""


@dataclass(frozen=True, slots=True)
class _Task:
    codec: Codec
    images: tuple[ImageFile, ...]
    n_repeats: int
    threads: int


def time_codecs(
    codecs: Sequence[str],
    dataset: Dataset | str = "sample",
    out: str | Path = "reports",
    *,
    threads: int = 1,
    n_repeats: int = 3,
    on_busy_machine: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, n: None,
) -> list[Timing]:
    """Time codecs one after the other and keep the results in the report folder.

    Args:
        codecs: specs; without its rate parameter a codec is timed at the highest rate of its
            ladder, as in QARV's Table 1.
        dataset: data set, its name, or a folder of images.
        out: report folder; replaces an earlier timing of the same on the same machine.
        threads: threads of numerical libraries, and cores to use.
        on_busy_machine: time even if other processes use the machine; the result is flagged.

    Raises:
        UsageError, DataError: a name, setting or image is wrong.
        Unavailable: a codec is not available, or the machine is busy.
        RdbenchError: whatever the codec raises.
    """
    cores = _cores()
    if not 1 <= threads <= len(cores) or n_repeats < 1:
        raise UsageError(f"threads are 1 to {len(cores)} on this machine, repeats 1 or more")
    data = dataset if isinstance(dataset, Dataset) else load_dataset(dataset)
    points = [point for spec in codecs for point in _points(spec)]
    for point in points:
        point.check()
    require_files(points)
    before = _cpu_seconds()
    time.sleep(1.0)
    busy = _others_cores(before)
    if busy > BUSY and not on_busy_machine:
        raise Unavailable(
            f"other processes keep {busy:.1f} cores busy; stop them, or pass --busy to time "
            "anyway and flag the result"
        )
    found = []
    with Store(out) as store:
        data = remember(store, data)
        for number, point in enumerate(points):
            on_progress(number, len(points))
            timing = _time_alone(point, data, threads, n_repeats)
            key = (timing.spec, timing.fingerprint, data.name, timing.device, str(threads))
            store.put_result("timing", key, dataclasses.asdict(timing))
            found.append(timing)
    return found


def timings(folder: str | Path) -> list[Timing]:
    """Return the timings of a report folder; [] where it holds no records."""
    if not (Path(folder) / "records.sqlite").is_file():
        return []
    with Store(folder, create=False) as store:
        return [from_json(Timing, body) for body in store.results("timing").values()]


def highest_rate(spec: str) -> str:
    """Return the rate at which a codec is timed by default, as in `Timing.rate`."""
    return _rate(get_codecs(spec)[-1])


def n_cores() -> int:
    """Cores that this process may use."""
    return len(_cores())


def _points(spec: str) -> list[Codec]:
    """Return the operating points of a spec; only the highest rate where it sets none."""
    points = get_codecs(spec)
    is_ladder = len(points) > 1 and tuple(points) == points[0].ladder()
    return points[-1:] if is_ladder else points


def _rate(codec: Codec) -> str:
    name, value = rate_of(codec)
    return "" if value is None else f"{name}={value:g}"


def _time_alone(codec: Codec, data: Dataset, threads: int, n_repeats: int) -> Timing:
    """Time an operating point in a process of its own."""
    task = _Task(codec, data.files, n_repeats, threads)
    before = _cpu_seconds()
    # The process is waited for here, so that its time counts as ours.
    with processes(1, threads) as map_tasks:
        ((_, result),) = map_tasks(_measure, [task])
    others_cores = _others_cores(before)
    if isinstance(result, BaseException):
        raise result
    identity = identify(codec)
    return Timing(
        codec=codec.name,
        spec=identity.spec,
        rate=_rate(codec),
        fingerprint=identity.fingerprint,
        weights_kind=identity.weights.kind if identity.weights else "",
        dataset=data.name,
        n_images=len(data.files),
        n_repeats=n_repeats,
        threads=threads,
        others_cores=others_cores,
        machine=machine(),
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **result,
    )


def _measure(task: _Task) -> dict[str, Any]:
    """Time every image in both directions; runs in its own process."""
    import cv2

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, _cores()[: task.threads])
    cv2.setNumThreads(task.threads)
    codec, decoder = task.codec, dataclasses.replace(task.codec)  # type: ignore[type-var]
    sizes: set[tuple[int, ...]] = set()
    encoded: list[_Run] = []
    decoded: list[_Run] = []
    for image_file in task.images:
        image = read_image(image_file.path)
        if image.shape not in sizes:
            decoder.decode(codec.encode(image).data)
            sizes.add(image.shape)
        encode, repeats = functools.partial(codec.encode, image), range(task.n_repeats)
        encoded.append(_median([_run(encode) for _ in repeats]))
        decode = functools.partial(decoder.decode, encode().data)
        decoded.append(_median([_run(decode) for _ in repeats]))
    on_gpu = codec.on_gpu
    return {
        "encode_s": Quartiles.of(encoded),
        "decode_s": Quartiles.of(decoded),
        "stages": {"encode": _median(encoded).stages, "decode": _median(decoded).stages},
        "on_gpu": on_gpu,
        "peak_memory_bytes": _peak_memory_bytes(),
        **(_gpu() if on_gpu else {"device": machine()["processor"], "peak_gpu_bytes": None}),
    }


@dataclass(frozen=True, slots=True)
class _Run:
    """Seconds of a call, and of its stages."""

    seconds: float
    stages: Mapping[str, float]


def _run(call: Callable[[], object]) -> _Run:
    """Time a call and its stages; the time outside all stages counts as a stage of its own."""
    with listen(_clock) as watch:
        started = _clock()
        call()
        seconds = _clock() - started
    stages = dict(watch.seconds)
    return _Run(seconds, stages | {_OTHER: seconds - sum(stages.values())} if stages else {})


def _median(runs: Sequence[_Run]) -> _Run:
    """Median of the times, and of every stage's."""
    names = dict.fromkeys(name for run in runs for name in run.stages)
    stages = {name: median(run.stages.get(name, 0.0) for run in runs) for name in names}
    return _Run(median(run.seconds for run in runs), stages)


def _clock() -> float:
    """Return the time in seconds once a GPU in use has finished its work."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter()


def _cpu_seconds() -> tuple[float, float, float]:
    """Wall time, and the CPU time of all processes and of this one with its children."""
    import psutil

    every = psutil.cpu_times()
    busy = sum(every) - every.idle - getattr(every, "iowait", 0.0)
    return time.perf_counter(), busy, sum(os.times()[:4])


def _others_cores(before: tuple[float, float, float]) -> float:
    """Return how many cores other processes have used since `_cpu_seconds` gave ``before``."""
    wall, busy, own = (b - a for a, b in zip(before, _cpu_seconds(), strict=True))
    return max(0.0, (busy - own) / wall)


def _cores() -> list[int]:
    """Return the numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _peak_memory_bytes() -> int:
    """Return the peak memory of this process, or of a program that it ran or runs."""
    import resource

    import psutil

    users = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    peak = max(resource.getrusage(who).ru_maxrss for who in users)
    running = (_memory_bytes(child) for child in psutil.Process().children(recursive=True))
    return max(peak * (1 if sys.platform == "darwin" else 1024), *running, 0)


def _memory_bytes(process: "psutil.Process") -> int:
    """Return the peak memory of a running process; where that is not known, what it has now."""
    status = Path(f"/proc/{process.pid}/status")
    peak = re.search(r"VmHWM:\s+(\d+) kB", status.read_text() if status.exists() else "")
    return 1024 * int(peak[1]) if peak else int(process.memory_info().rss)


def _gpu() -> dict[str, Any]:
    """Name of the GPU, and the most memory allocated on it."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return {"device": "GPU of another process", "peak_gpu_bytes": None}
    peak = int(torch.cuda.max_memory_allocated())
    return {"device": str(torch.cuda.get_device_name()), "peak_gpu_bytes": peak}
