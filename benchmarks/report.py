"""Measure the HTML report of 30 codecs x 24 images x 16 rates: size, time to make, time to open.

    python benchmarks/report.py [--codecs 30] [--images 24] [--rates 16]

The opening time is from the start of navigation until everything is drawn, in a running browser;
median of five. Needs playwright and a Chromium on PATH.
"""

import argparse
import hashlib
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

from rdbench.metrics import DEFAULT_PROTOCOL
from rdbench.report.page import make_page, write_page
from rdbench.store import Store
from rdbench.types import Record

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
PAINTED = """() => new Promise((done) =>
  requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now()))))"""


def example(codec: int, rate: int, place: int, n_rates: int) -> Record:
    """Return a synthetic record; quality rises with rate."""
    name, image = f"codec{codec:02d}", f"kodim{place + 1:02d}.png"
    noise = np.random.default_rng((codec, rate, place)).normal(0, 0.05, 2)
    bpp = 0.1 * 20 ** (rate / (n_rates - 1)) * (1 + 0.03 * place)
    psnr = 36 + 3 * np.log2(bpp) - 0.06 * codec - 0.1 * place + noise[0]
    return Record(
        codec=name, spec=f"{name}:quality={rate}", rate_parameter="quality",
        rate_value=float(rate), fingerprint="", dataset="kodak", image=image,
        image_sha256=_digest(image), width=768, height=512,
        protocol=DEFAULT_PROTOCOL.fingerprint, created="2026-01-01T00:00:00+00:00",
        n_bytes=round(bpp * 768 * 512 / 8),
        scores={"psnr_rgb": psnr, "ms_ssim": 1 - 10 ** (-(psnr / 2.6 + noise[1]) / 10)},
        encode_s=0.01 * (1 + codec), decode_s=0.01,
        bitstream_sha256=_digest(f"{name}{rate}{image}"),
        provenance={"command": f"rdbench run --codec {name}", "jobs": 2, "threads": 1},
    )  # fmt: skip


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("codecs", 30), ("images", 24), ("rates", 16)):
        parser.add_argument(f"--{name}", type=int, default=default)
    n = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        with Store(folder) as store:
            images = [f"kodim{i + 1:02d}.png" for i in range(n.images)]
            store.remember_dataset("kodak", "kodak", {name: _digest(name) for name in images})
            protocol = DEFAULT_PROTOCOL
            store.remember_protocol(protocol.fingerprint, protocol.description)
            for codec in range(n.codecs):
                for rate in range(n.rates):
                    for image in range(n.images):
                        store.add(example(codec, rate, image, n.rates))
        out = Path(folder) / "report.html"
        started = time.perf_counter()
        write_page(make_page(folder), out)
        print(f"making the page: {time.perf_counter() - started:.1f} s")
        print(f"size: {out.stat().st_size / 1e6:.2f} MB")
        seconds = opening_s(out)
        print(
            f"opening: {statistics.median(seconds):.2f} s ({min(seconds):.2f}-{max(seconds):.2f})"
        )


def opening_s(page: Path, n_times: int = 5) -> list[float]:
    """Return the seconds from the start of navigation to the frame after everything is drawn."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        found = []
        for _ in range(n_times):
            tab = browser.new_page(viewport={"width": 1400, "height": 900})
            tab.goto(page.as_uri())
            found.append(tab.evaluate(PAINTED) / 1e3)
            tab.close()
        browser.close()
    return found


if __name__ == "__main__":
    main()
