"""Time a report folder of 2 million records: open, resume, summarize, export, data of the page.

    python benchmarks/store_at_size.py [--records 2000000] [--folder FOLDER]

Records are those of 20 curves with 20 operating points each, on as many images as it takes. All
share one bitstream. With --folder the records are kept and used again.
"""

import argparse
import dataclasses
import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice, product
from pathlib import Path
from typing import Any

from rdbench.analysis.measured import measured_curves
from rdbench.analysis.summary import summarize
from rdbench.metrics import DEFAULT_PROTOCOL
from rdbench.report.export import to_csv
from rdbench.report.page import make_page
from rdbench.store import Store, key_of
from rdbench.types import Record, Segment

DATA = b"one bitstream for all"
DIGEST = hashlib.sha256(DATA).hexdigest()
N_CODECS, N_PRESETS, N_RATES = 10, 2, 20


def images(n_records: int) -> dict[str, str]:
    """Name and SHA-256 of the images that make so many records."""
    n_images = n_records // (N_CODECS * N_PRESETS * N_RATES)
    return {f"{n:05}.png": hashlib.sha256(str(n).encode()).hexdigest() for n in range(n_images)}


def records(n_records: int) -> Iterator[Record]:
    """Yield records of distinct keys, with scores that grow with the rate."""
    chosen = images(n_records)
    for codec, preset in product(range(N_CODECS), range(N_PRESETS)):
        for rate in range(N_RATES):
            for number, (image, sha256) in enumerate(chosen.items()):
                yield Record(
                    codec=f"codec{codec}", spec=f"codec{codec}:quality={rate},preset={preset}",
                    settings=(("preset", str(preset)),),
                    rate_parameter="quality", rate_value=float(rate), fingerprint="",
                    dataset="made-up", image=image, image_sha256=sha256, width=768, height=512,
                    protocol=DEFAULT_PROTOCOL.fingerprint, created="2026-01-01T00:00:00+00:00",
                    n_bytes=len(DATA), scores={"psnr_rgb": 25.0 + rate + number % 100 / 100,
                                               "ms_ssim": 0.9 + rate / 250},
                    segments=(Segment("all", len(DATA), 8.0 * len(DATA)),),
                    encode_s=0.01, decode_s=0.01, bitstream_sha256=DIGEST,
                    provenance={"command": "rdbench run", "jobs": 2,
                                "metrics": {"psnr_rgb": "1", "ms_ssim": "1"}},
                )  # fmt: skip


def fill(folder: Path, n_records: int) -> None:
    """Write the records, many in a transaction."""
    made = records(n_records)
    with Store(folder) as store:
        store.remember_protocol(DEFAULT_PROTOCOL.fingerprint, DEFAULT_PROTOCOL.description)
        store.remember_dataset("made-up", "made-up", images(n_records))
        store.keep(DIGEST, DATA)
        while some := list(islice(made, 20_000)):
            store.add_all(some)


def timed(what: str, call: Callable[[], Any]) -> Any:
    """Call and print how long it took, in wall and in CPU time."""
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    result = call()
    wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
    print(f"{what}: {wall_s:.2f} s ({cpu_s:.2f} s of CPU)", flush=True)
    return result


def measure(folder: Path, n_records: int) -> None:
    """Time what commands do with the folder."""
    keys = [key_of(record) for record in records(n_records)]
    new = [key_of(dataclasses.replace(next(records(400)), spec=f"new:{n}")) for n in range(1000)]
    with timed("open", lambda: Store(folder, create=False)) as store:
        left = timed("resume (left_to_do)", lambda: store.left_to_do([*keys, *new]))
        assert left == new, len(left)
        found = timed("read all records", lambda: list(store.records()))
        timed("summarize", lambda: summarize(found, store.datasets()))
        timed("export as CSV", lambda: len(to_csv(found)))
        protocols = store.protocols()
        timed("curves", lambda: measured_curves(found, store.datasets(), protocols))
    timed("page data", lambda: make_page(folder).data)


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
