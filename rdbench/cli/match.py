"""``rdbench match``: codecs at one rate or one quality, image by image."""

from collections import Counter

import typer

from rdbench.cli import options
from rdbench.cli.console import print_rows, progress, warn
from rdbench.errors import UsageError
from rdbench.match import IMAGES, MEANS, image_rows, match_codecs, match_rows
from rdbench.rate_control import TOLERANCE


def match(
    codec: options.CodecSpecs,
    anchor: options.Anchor = "",
    bpp: options.ToBpp = None,
    psnr: options.ToPsnr = None,
    ms_ssim: options.ToMsSsim = None,
    quality: options.ToQuality = "",
    dataset: options.ImageSet = "sample",
    out: options.OutFolder = options.REPORTS,
    jobs: options.Jobs = 1,
    threads: options.Threads = 1,
    per_image: options.PerImage = False,
    device: options.Device = None,
    weights: options.WeightsOf = None,
    as_json: options.AsJson = False,
) -> None:
    """Compare codecs at one rate or quality.

    The rate parameter of each codec is searched for every image until the target is met within 1 %,
    so nothing is interpolated. Gains are relative to the anchor, or to the first codec without one.
    Existing results are used.

    Example: rdbench match --codec jpeg2000 --codec webp --bpp 0.5
    """
    target = options.target_of(quality, bpp=bpp, psnr_rgb=psnr, ms_ssim=ms_ssim)
    if target is None:
        raise UsageError("give a target: --bpp, --psnr, --ms-ssim or --target")
    specs = options.with_settings([anchor] * bool(anchor) + codec, device=device, weights=weights)
    with progress("matching") as advance:
        found = match_codecs(
            specs, dataset, *target, out, jobs=jobs, threads=threads, on_progress=advance
        )
    if per_image:
        print_rows(IMAGES, image_rows(found), as_json)
    else:
        print_rows(MEANS, match_rows(found), as_json)
    for curve, n in Counter(m.curve.spec for m in found if m.error is None and not m.met).items():
        warn(
            f"{curve}: {n} images miss the target by more than {TOLERANCE:.0%}, because its rate "
            "parameter takes integers only; the gains are at the nearest rates"
        )
    failures = [m for m in found if m.error is not None]
    warn(*(f"failed: {m.curve} on {m.image}: {m.error}" for m in failures))
    if failures:
        raise typer.Exit(1)
