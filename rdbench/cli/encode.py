"""``rdbench encode``: one image to a file."""

from pathlib import Path
from typing import Annotated

import typer

from rdbench.cli import options
from rdbench.cli.console import print_rows, progress, warn
from rdbench.columns import BPP, Column
from rdbench.files import files_of_spec, output_file, write_bytes
from rdbench.images import read_image
from rdbench.metrics import METRICS, score
from rdbench.rate_control import Found, encode_to
from rdbench.spec import get_codec, require_files, spec_of
from rdbench.types import Image


def encode(
    image_file: Annotated[Path, typer.Argument(help="Image to encode.")],
    codec: options.CodecSpec,
    out: Annotated[Path | None, options.out("File to write; default: IMAGE.CODEC.")] = None,
    bpp: options.ToBpp = None,
    psnr: options.ToPsnr = None,
    ms_ssim: options.ToMsSsim = None,
    quality: options.ToQuality = "",
    n_bytes: options.ToBytes = None,
    device: options.Device = None,
    weights: options.WeightsOf = None,
    force: options.Force = False,
    as_json: options.AsJson = False,
) -> None:
    """Encode one image, to a target if one is given.

    The codec's rate parameter is searched until the target is met within 1 %, in at most ten
    encodes. A parameter that takes integers only comes as near as its steps allow.

    Example: rdbench encode photo.png --codec jpeg2000 --bpp 0.5
    """
    image = read_image(image_file)
    target = options.target_of(quality, bpp=bpp, psnr_rgb=psnr, ms_ssim=ms_ssim, bytes=n_bytes)
    (spec,) = options.with_settings([codec], device=device, weights=weights)
    point = get_codec(spec)
    point.check()
    require_files([point])
    default = image_file.with_suffix(f".{point.name}")
    file = output_file(out, default, [image_file, *files_of_spec(spec)], force)
    with progress(f"encoding {image_file.name}"):
        if target:
            name, value = target
            found = encode_to(name, point, image, value)
        else:
            bitstream = point.encode(image)
            found = Found(point, bitstream, float(len(bitstream.data)), 1)
        row = _row(found, image, file)
    write_bytes(file, found.bitstream.data)
    print_rows(ENCODED, [row], as_json)
    if not found.met:
        warn(f"{point.name} comes no nearer: its rate parameter takes integers only")


ENCODED = (
    Column("file"),
    Column("spec", "operating point"),
    Column("n_bytes", "size", "bytes"),
    BPP,
    METRICS["psnr_rgb"].column,
    Column("n_encodes", "encodes"),
)


def _row(found: Found, image: Image, file: Path) -> dict[str, object]:
    decoded = found.codec.decode(found.bitstream.data)
    n_bytes = len(found.bitstream.data)
    return {
        "file": str(file),
        "spec": spec_of(found.codec),
        "n_bytes": n_bytes,
        "bpp": 8 * n_bytes / (image.shape[0] * image.shape[1]),
        "psnr_rgb": score(image, decoded).get("psnr_rgb"),
        "n_encodes": found.n_encodes,
    }
