"""``rdbench match``: codecs at one rate or one quality, image by image."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from rdbench.cli.console import AsJson, print_rows, progress_bar, say
from rdbench.errors import UsageError
from rdbench.match import IMAGES, MEANS, Match, image_rows, match_codecs, match_rows
from rdbench.rate_control import TOLERANCE


def match(
    codec: Annotated[
        list[str],
        typer.Option("--codec", "-c", help="NAME[:KEY=VALUE,...]; the first is compared with."),
    ],
    bpp: Annotated[float | None, typer.Option(help="Bits per pixel to meet.")] = None,
    psnr: Annotated[float | None, typer.Option(help="PSNR in dB to meet.")] = None,
    ms_ssim: Annotated[float | None, typer.Option("--ms-ssim", help="MS-SSIM to meet.")] = None,
    dataset: Annotated[
        str, typer.Option("--dataset", "-d", help="Data set or folder of images.")
    ] = "sample",
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Report folder; results are added to it.")
    ] = Path("reports"),
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes.")] = 1,
    threads: Annotated[int, typer.Option(min=1, help="Threads a process may use.")] = 1,
    per_image: Annotated[
        bool, typer.Option("--per-image", help="One row an image and codec.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare codecs at one rate or quality.

    Each codec's rate parameter is searched for every image until the target is met within 1 %, so
    the table needs no interpolation. What was found before is used.

    Example: rdbench match --codec jpeg2000 --codec webp --bpp 0.5
    """
    wanted = {"bpp": bpp, "psnr_rgb": psnr, "ms_ssim": ms_ssim}
    given = [(name, value) for name, value in wanted.items() if value is not None]
    if len(given) != 1:
        raise UsageError("give one target: --bpp, --psnr or --ms-ssim")
    ((target, value),) = given
    with progress_bar("matching") as bar:
        task = bar.add_task("", total=None, note="")
        found = match_codecs(
            codec,
            dataset,
            target,
            value,
            out,
            jobs=jobs,
            threads=threads,
            on_progress=lambda done, n: bar.update(task, completed=done, total=n),
        )
    if per_image:
        print_rows(IMAGES, image_rows(found), as_json)
    else:
        print_rows(MEANS, match_rows(found), as_json)
    say(*_misses(found))
    failures = [m for m in found if m.error is not None]
    for m in failures:
        say(f"failed: {m.curve} on {m.image}: {m.error}")
    if failures:
        raise typer.Exit(1)


def _misses(found: Sequence[Match]) -> list[str]:
    """A line for every codec whose steps are too coarse to meet the target."""
    missed = Counter(m.curve.spec for m in found if m.error is None and not m.met)
    return [
        f"{curve}: {n} images are as near as whole numbers of its rate parameter allow, not "
        f"within {TOLERANCE:.0%}; what it gains is taken there"
        for curve, n in missed.items()
    ]
