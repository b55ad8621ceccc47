"""``rdbench encode`` and ``rdbench decode``: single images to files and back."""

from pathlib import Path
from typing import Annotated

import typer

from rdbench.cli.console import AsJson, Force, print_rows, say
from rdbench.columns import BPP, Column
from rdbench.errors import DataError, UsageError
from rdbench.files import files_of_spec, output_file, write_bytes
from rdbench.images import read_image, write_image
from rdbench.metrics import METRICS, score
from rdbench.metrics.protocol import to_8bit
from rdbench.rate_control import Found, encode_to
from rdbench.spec import get_codec, spec_of
from rdbench.types import Image

CodecSpec = Annotated[str, typer.Option("--codec", "-c", help="NAME[:KEY=VALUE,...].")]


def encode(
    image_file: Annotated[Path, typer.Argument(help="Image to encode.")],
    codec: CodecSpec,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write; default PICTURE.CODEC.")
    ] = None,
    target_bpp: Annotated[float | None, typer.Option(help="Bits per pixel to meet.")] = None,
    target_psnr: Annotated[float | None, typer.Option(help="PSNR in dB to meet.")] = None,
    target_ms_ssim: Annotated[float | None, typer.Option(help="MS-SSIM to meet.")] = None,
    target_bytes: Annotated[float | None, typer.Option(help="Size in bytes to meet.")] = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Encode one image, to a target if wanted.

    The target is met within 1 % by at most ten encodes, by searching the codec's rate parameter; as
    near as its steps allow where it takes whole numbers only.

    Example: rdbench encode photo.png --codec jpeg2000 --target-bpp 0.5
    """
    image = read_image(image_file)
    wanted = {
        "bpp": target_bpp,
        "psnr_rgb": target_psnr,
        "ms_ssim": target_ms_ssim,
        "bytes": target_bytes,
    }
    targets = [(name, value) for name, value in wanted.items() if value is not None]
    if len(targets) > 1:
        raise UsageError("give one target: --target-bpp, -psnr, -ms-ssim or -bytes")
    point = get_codec(codec)
    point.check()
    default = image_file.with_suffix(f".{point.name}")
    target_file = output_file(out, default, [image_file, *files_of_spec(codec)], force)
    if targets:
        target, value = targets[0]
        found = encode_to(target, point, image, value)
    else:
        bitstream = point.encode(image)
        found = Found(point, bitstream, float(len(bitstream.data)), 1)
    write_bytes(target_file, found.bitstream.data)
    print_rows(ENCODED, [_row(found, image, target_file)], as_json)
    if not found.met:
        say(f"{point.name} comes no nearer: its rate parameter takes whole numbers only")


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


def decode(
    file: Annotated[Path, typer.Argument(help="File to decode.")],
    codec: CodecSpec,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Image to write; default FILE.png.")
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Decode what is whole of a file that was cut.")
    ] = False,
    force: Force = False,
) -> None:
    """Decode one file to an image.

    Example: rdbench decode photo.jpeg2000 --codec jpeg2000
    """
    point = get_codec(codec)
    point.check()
    default = file.with_name(f"{file.name}.png")
    target = output_file(out, default, [file, *files_of_spec(codec)], force)
    try:
        data = file.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror}") from None
    image = to_8bit(point.decode_partial(data) if partial else point.decode(data))
    write_image(image, target)
    say(f"{target}: {image.shape[1]}x{image.shape[0]}")
