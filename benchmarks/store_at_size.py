"""Time a report folder of 2 million records: open, resume, summarize, export, data of the page.

    python benchmarks/store_at_size.py [--records 2000000] [--folder FOLDER]

Records are those of 20 curves with 20 operating points each, on as many images as it takes. Each
has a bitstream of its own. With --folder the records are kept and used again.
"""

import argparse
import dataclasses
import hashlib
import json
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

from rdbench.analysis.measured import measured_curves
from rdbench.analysis.summary import summarize
from rdbench.metrics import DEFAULT_PROTOCOL
from rdbench.report.export import to_csv
from rdbench.report.page import make_page
from rdbench.store import Key, Store
from rdbench.types import Record, Segment

RUN = {"command": "rdbench run", "jobs": 2, "metrics": {"psnr_rgb": "1", "ms_ssim": "1"}}
N_BYTES = 32
N_CODECS, N_PRESETS, N_RATES = 10, 2, 20


def images(n_records: int) -> dict[str, str]:
    """Name and SHA-256 of the images that make so many records."""
    n_images = n_records // (N_CODECS * N_PRESETS * N_RATES)
    return {f"{n:05}.png": hashlib.sha256(str(n).encode()).hexdigest() for n in range(n_images)}


def points() -> Iterator[Record]:
    """Yield a record of each operating point; its image, scores and bitstream are left out."""
    for codec, preset, rate in product(range(N_CODECS), range(N_PRESETS), range(N_RATES)):
        yield Record(
            codec=f"codec{codec}", spec=f"codec{codec}:quality={rate},preset={preset}",
            settings=(("preset", str(preset)),), rate_parameter="quality", rate_value=float(rate),
            fingerprint="", dataset="made-up", image="", image_sha256="", width=768, height=512,
            protocol=DEFAULT_PROTOCOL.fingerprint, created="2026-01-01T00:00:00+00:00",
            n_bytes=N_BYTES, segments=(Segment("all", N_BYTES, 8.0 * N_BYTES),),
            encode_s=0.01, decode_s=0.01, provenance=RUN,
        )  # fmt: skip


def keys(n_records: int) -> Iterator[Key]:
    """Yield the keys of all records."""
    chosen = images(n_records).values()
    for point, sha256 in product(points(), chosen):
        yield Key(point.spec, "", "made-up", sha256, point.protocol)


def rows(folder: Path, n_records: int) -> Iterator[dict[str, Any]]:
    """Yield rows of the table of records; write the bitstream of each."""
    for point in points():
        row = {f.name: getattr(point, f.name) for f in dataclasses.fields(Record)}
        row["settings"] = json.dumps(dict(point.settings))
        row["segments"] = json.dumps([dataclasses.asdict(s) for s in point.segments])
        row |= {"weights": "null", "provenance": 1}
        for number, (image, sha256) in enumerate(images(n_records).items()):
            data = hashlib.sha256(f"{point.spec} {image}".encode()).digest()
            digest = hashlib.sha256(data).hexdigest()
            file = os.open(f"{folder}/bitstreams/{digest[:2]}/{digest}", os.O_CREAT | os.O_WRONLY)
            os.write(file, data)
            os.close(file)
            psnr, ms_ssim = (
                25 + point.rate_value + number % 100 / 100, 0.9 + point.rate_value / 250
            )  # fmt: skip
            key = Key(point.spec, "", "made-up", sha256, point.protocol)
            yield row | {
                "key": key.digest, "image": image, "image_sha256": sha256,
                "scores": f'{{"psnr_rgb": {psnr}, "ms_ssim": {ms_ssim}}}',
                "bitstream_sha256": digest,
            }  # fmt: skip


def fill(folder: Path, n_records: int) -> None:
    """Write the records in one transaction, as the store would, and a bitstream for each."""
    with Store(folder) as store:
        store.remember_protocol(DEFAULT_PROTOCOL.fingerprint, DEFAULT_PROTOCOL.description)
        store.remember_dataset("made-up", "made-up", images(n_records))
        for part in range(256):
            (folder / "bitstreams" / f"{part:02x}").mkdir(parents=True)
        store._db.executescript("PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000; BEGIN")
        store._db.execute("INSERT INTO runs VALUES (1, ?)", [json.dumps(RUN, sort_keys=True)])
        names = ["key", *(f.name for f in dataclasses.fields(Record))]
        values = ", ".join(f":{name}" for name in names)
        insert = f"INSERT INTO records ({', '.join(names)}) VALUES ({values})"
        store._db.executemany(insert, rows(folder, n_records))
        store._db.execute("COMMIT")


def timed(what: str, call: Callable[[], Any]) -> Any:
    """Call and print how long it took, in wall and in CPU time, and the most memory so far."""
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    result = call()
    wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{what}: {wall_s:.2f} s ({cpu_s:.2f} s of CPU), peak {peak_gib:.2f} GiB", flush=True)
    return result


def measure(folder: Path, n_records: int) -> None:
    """Time what commands do with the folder."""
    new = [Key(f"new:{n}", "", "made-up", "", "") for n in range(1000)]
    wanted = [*keys(n_records), *new]
    with timed("open", lambda: Store(folder, create=False)) as store:
        left = timed("resume (left_to_do)", lambda: store.left_to_do(wanted))
        assert left == new, len(left)
        timed("page data", lambda: make_page(folder).data)
        found = timed("read all records", lambda: list(store.records()))
        timed("summarize", lambda: summarize(found, store.datasets()))
        timed("export as CSV", lambda: len(to_csv(found)))
        protocols = store.protocols()
        timed("curves", lambda: measured_curves(found, store.datasets(), protocols))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=2_000_000)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = given.folder or Path(made)
        if not (folder / "records.sqlite").exists():
            timed(f"write {given.records} records", lambda: fill(folder, given.records))
        measure(folder, given.records)


if __name__ == "__main__":
    main()
