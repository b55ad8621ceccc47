"""Made-up records."""

import hashlib

from rdbench.types import Record, Segment

DATA = b"bits"


def record(image="a.png", spec="toy:q=1", error=None, n_bytes=4, **changes):
    return Record(
        codec="toy", spec=spec, rate_parameter="q", rate_value=1.0, fingerprint="",
        dataset="set", image=image, image_sha256=hashlib.sha256(image.encode()).hexdigest(),
        width=4, height=2, protocol="p", created="2026-01-01T00:00:00+00:00", n_bytes=n_bytes,
        scores={"psnr_rgb": 30.5}, segments=(Segment("y", 4, 31.5),), encode_s=0.1, decode_s=0.2,
        timed_alone=True, bitstream_sha256=hashlib.sha256(DATA).hexdigest(),
        provenance={"command": "rdbench run", "jobs": 1}, error=error, **changes,
    )  # fmt: skip
