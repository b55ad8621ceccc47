"""A report folder of made-up records that looks like a real one."""

import hashlib
from pathlib import Path

import numpy as np

from rdbench.metrics import DEFAULT_PROTOCOL
from rdbench.store import Store
from rdbench.types import Record, Segment

WIDTH, HEIGHT = 768, 512


def fill(
    folder: Path,
    codecs: tuple[str, ...] = ("alpha", "beta", "jpeg"),
    n_images: int = 4,
    n_rates: int = 5,
    failing: str = "",
    title: str = "kodak",
) -> None:
    """Write records of every codec, image and rate.

    Args:
        failing: a codec whose last record failed.
        title: what the machine of the records calls itself.
    """
    images = {f"kodim{i + 1:02d}.png": _digest(f"kodim{i}") for i in range(n_images)}
    protocol = DEFAULT_PROTOCOL
    with Store(folder) as store:
        store.remember_protocol(protocol.fingerprint, protocol.description)
        store.remember_dataset("kodak", "kodak", images)
        for number, codec in enumerate(codecs):
            for rate in range(n_rates):
                for place, (image, sha256) in enumerate(images.items()):
                    store.add(
                        _record(
                            number,
                            codec,
                            rate,
                            n_rates,
                            place,
                            image,
                            sha256,
                            title,
                            codec == failing,
                        )
                    )


def _record(number, codec, rate, n_rates, place, image, sha256, title, fails) -> Record:
    noise = np.random.default_rng((number, rate, place)).normal(0, 0.03, 2)
    bpp = 0.1 * 20 ** (rate / (n_rates - 1)) * (1 + 0.15 * place)
    psnr = 30 + 6 * np.log2(bpp / (0.4 + 0.05 * number)) / 2 + noise[0] - 0.8 * place
    ms_ssim = 1 - 10 ** (-(12 + 5 * np.log2(bpp / 0.4) / 2 + noise[1]) / 10)
    n_bytes = round(bpp * WIDTH * HEIGHT / 8)
    failed = fails and rate == n_rates - 1 and place == 0
    z, y = n_bytes // 5, n_bytes - n_bytes // 5 - 20
    parts = (Segment("header", 20), Segment("z", z, 8.0 * z), Segment("y", y, 8.0 * (y - 10)))
    return Record(
        codec=codec, spec=f"{codec}:quality={10 * rate}", rate_parameter="quality",
        rate_value=10.0 * rate, fingerprint="", dataset="kodak", image=image, image_sha256=sha256,
        width=WIDTH, height=HEIGHT, protocol=DEFAULT_PROTOCOL.fingerprint,
        created=f"2026-01-0{1 + rate % 9}T00:00:00+00:00",
        n_bytes=None if failed else n_bytes,
        scores={} if failed else {"psnr_rgb": psnr, "ms_ssim": ms_ssim},
        segments=parts if number == 0 and not failed else (),
        encode_s=0.02 * (1 + number), decode_s=0.01 * (1 + number) * (1 + 0.1 * place),
        timed_alone=number != 1, bitstream_sha256=_digest(f"{codec}{rate}{place}"),
        provenance={
            "command": f"rdbench run --codec {codec}", "jobs": 1, "threads": 1,
            "machine": {"processor": title, "cores": 2, "system": "Linux"},
            "versions": {"rdbench": "0.1.0", codec: "1.2"}, "metrics": {"psnr_rgb": "1"},
        },
        error="no luck" if failed else None,
    )  # fmt: skip


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
