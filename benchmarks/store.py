"""Time a store of 200,000 records: fill it, open it, and find the tasks that are left.

python benchmarks/store.py [--records 200000]
"""

import argparse
import dataclasses
import hashlib
import tempfile
import time

from rdbench.store import Store, key_of
from rdbench.types import Record

DATA = b"one bitstream for all"
DIGEST = hashlib.sha256(DATA).hexdigest()


def example(number: int) -> Record:
    """Return record ``number`` of 24 images x many operating points."""
    point, image = divmod(number, 24)
    name = f"kodim{image + 1:02d}.png"
    return Record(
        codec=f"codec{point % 30}", spec=f"codec{point % 30}:quality={point // 30}",
        rate_parameter="quality", rate_value=float(point // 30),
        fingerprint="", dataset="kodak", image=name,
        image_sha256=hashlib.sha256(name.encode()).hexdigest(), width=768, height=512,
        protocol="8-bit", created="2026-01-01T00:00:00+00:00", n_bytes=len(DATA),
        scores={"psnr_rgb": 33.25, "ms_ssim": 0.9731}, encode_s=0.01, decode_s=0.01,
        bitstream_sha256=DIGEST,
        provenance={"command": "rdbench run", "jobs": 2},
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=200_000)
    n_records = parser.parse_args().records
    records = [example(number) for number in range(n_records)]
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        with Store(folder) as store:
            store.keep(DIGEST, DATA)
            for record in records:
                store.add(record)
        filled_s = time.perf_counter() - started
        each_ms = 1e3 * filled_s / n_records
        print(f"adding   {n_records} records: {filled_s:.1f} s, {each_ms:.3f} ms each")
        keys = [key_of(r) for r in records] + [
            key_of(dataclasses.replace(records[0], spec=f"new:quality={i}")) for i in range(1000)
        ]
        started = time.perf_counter()
        with Store(folder) as store:
            left = store.left_to_do(keys)
        seconds = time.perf_counter() - started
        assert len(left) == 1000
        print(f"opening and finding 1000 left to do among {len(keys)}: {seconds:.2f} s")


if __name__ == "__main__":
    main()
