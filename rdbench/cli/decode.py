"""``rdbench decode``: a file back to an image."""

from pathlib import Path
from typing import Annotated

import typer

from rdbench.cli import options
from rdbench.cli.console import progress, say
from rdbench.errors import DataError
from rdbench.files import files_of_spec, output_file
from rdbench.images import write_image
from rdbench.metrics.protocol import to_8bit
from rdbench.spec import get_codec


def decode(
    file: Annotated[Path, typer.Argument(help="File to decode.")],
    codec: options.CodecSpec,
    out: Annotated[Path | None, options.out("Image to write; default: FILE.png.")] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Decode a truncated file as far as it is complete.")
    ] = False,
    device: options.Device = None,
    weights: options.WeightsOf = None,
    force: options.Force = False,
) -> None:
    """Decode one file to an image.

    Example: rdbench decode photo.jpeg2000 --codec jpeg2000
    """
    (spec,) = options.with_settings([codec], device=device, weights=weights)
    point = get_codec(spec)
    point.check()
    default = file.with_name(f"{file.name}.png")
    target = output_file(out, default, [file, *files_of_spec(spec)], force)
    try:
        data = file.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror}") from None
    with progress(f"decoding {file.name}"):
        image = to_8bit(point.decode_partial(data) if partial else point.decode(data))
    write_image(image, target)
    extent = f", {point.decoded_part(data)}" if partial else ""
    say(f"{target}: {image.shape[1]}x{image.shape[0]}{extent}")
