"""``rdbench qarv``: what the latents carry, samples, interpolations."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from rdbench.cli import options
from rdbench.cli.console import print_rows, progress, say, track
from rdbench.columns import Column
from rdbench.errors import UsageError
from rdbench.files import files_of_spec, output_file, output_files
from rdbench.images import read_image, write_image
from rdbench.metrics import METRICS
from rdbench.metrics.protocol import to_8bit
from rdbench.metrics.psnr import psnr_rgb
from rdbench.spec import get_codec, spec_of
from rdbench_codecs.learned.container import MAX_PIXELS
from rdbench_codecs.qarv import explore
from rdbench_codecs.qarv.codec import Qarv
from rdbench_codecs.qarv.contact_sheet import GAP, contact_sheet
from rdbench_codecs.qarv.explore import KINDS

app = typer.Typer(
    help="See what the latents of QARV carry: subsets, samples, interpolations.",
    no_args_is_help=True,
)

SheetOut = Annotated[Path | None, options.out("Image file to write.")]


@app.command()
def subsets(
    image_file: Annotated[Path, typer.Argument(help="Image to take apart.")],
    codec: options.CodecSpec = "qarv",
    out: Annotated[Path | None, options.out("Folder to write; default: IMAGE-latents.")] = None,
    force: options.Force = False,
    as_json: options.AsJson = False,
) -> None:
    """Decode an image from its first latents, from all but one, and from one alone.

    Writes each decoded image and a contact sheet (Figure 11 of the paper); prints the rate of the
    kept latents and the PSNR. Latents that are left out are replaced by the mean of the prior.

    Example: rdbench qarv subsets photo.png --codec qarv:lambda=64
    """
    point, image = _qarv(codec), read_image(image_file)
    folder = out or image_file.with_name(f"{image_file.stem}-latents")
    numbers = range(1, point.config().n_latents + 1)
    files = [folder / f"{kind}-{i}.png" for kind in KINDS for i in numbers]
    output_files([*files, folder / "sheet.png"], [image_file, *files_of_spec(codec)], force)
    sheet = {kind: [GAP] for kind in KINDS}
    sheet["first"] = [("original", image)]
    rows = []
    with progress("subsets") as advance:
        for done, subset in enumerate(explore.subsets(point, image)):
            advance(done, len(KINDS) * point.config().n_latents)
            decoded, kept = to_8bit(subset.image), KINDS[subset.kind].format(subset.latent)
            row = {
                "spec": spec_of(point),
                "kept": kept,
                "ideal_bpp": subset.ideal_bits / (image.shape[0] * image.shape[1]),
                "psnr_rgb": psnr_rgb(image, decoded),
            }
            rows.append(row)
            sheet[subset.kind].append((_caption(row), decoded))
            write_image(decoded, folder / f"{subset.kind}-{subset.latent}.png")
    print_rows(SUBSETS, rows, as_json)
    write_image(contact_sheet(list(sheet.values())), folder / "sheet.png")
    say(str(folder / "sheet.png"))


SUBSETS = (
    Column("spec", "operating point"),
    Column("kept", "kept latents"),
    Column("ideal_bpp", "ideal rate", "bpp", 3),
    METRICS["psnr_rgb"].column,
)


@app.command()
def sample(
    codec: options.CodecSpec = "qarv",
    height: Annotated[int, typer.Option(min=1, help="Height of a sample in pixels.")] = 256,
    width: Annotated[int, typer.Option(min=1, help="Width of a sample in pixels.")] = 256,
    count: Annotated[int, typer.Option(min=1, help="Number of samples.")] = 12,
    temperature: Annotated[
        float,
        typer.Option(min=0, max=100, help="Factor on the spread of the prior; 0: its mean."),
    ] = 1.0,
    seed: Annotated[
        int,
        typer.Option(min=-(2**48), max=2**48, help="Seed of the first sample; the next adds 1."),
    ] = 0,
    out: SheetOut = None,
    force: options.Force = False,
) -> None:
    """Draw images from the prior alone, by default into samples.png.

    Example: rdbench qarv sample --codec qarv:lambda=16 --count 8
    """
    point = _qarv(codec)
    _refuse_giant(max(height, width) ** 2 * count, "--height, --width and --count")
    target = output_file(out, Path("samples.png"), files_of_spec(codec), force)
    tiles = [
        (f"seed {n}", to_8bit(point.sample(height, width, n, temperature)))
        for n in track("sampling", range(seed, seed + count))
    ]
    n_columns = min(count, 4)
    rows = [tiles[i : i + n_columns] for i in range(0, count, n_columns)]
    write_image(contact_sheet(rows, side=max(height, width)), target)
    say(f"{target}: {spec_of(point)}")


@app.command()
def interpolate(
    first: Annotated[Path, typer.Argument(help="Image to start from.")],
    second: Annotated[Path, typer.Argument(help="Image of the same size to end at.")],
    codec: options.CodecSpec = "qarv",
    steps: Annotated[int, typer.Option(min=2, help="Number of images, both ends included.")] = 7,
    out: SheetOut = None,
    force: options.Force = False,
) -> None:
    """Mix the latents of two images, by default into interpolation.png.

    Example: rdbench qarv interpolate a.png b.png --codec qarv:lambda=64
    """
    point = _qarv(codec)
    inputs = [first, second, *files_of_spec(codec)]
    target = output_file(out, Path("interpolation.png"), inputs, force)
    images = read_image(first), read_image(second)
    _refuse_giant(images[0].shape[0] * images[0].shape[1] * steps, "--steps, or smaller images")
    weights = [i / (steps - 1) for i in range(steps)]
    with progress("interpolating"):
        decoded = [to_8bit(each) for each in explore.interpolate(point, *images, weights)]
    row = [(f"{w:.2f}", each) for w, each in zip(weights, decoded, strict=True)]
    write_image(contact_sheet([row], side=256), target)
    say(f"{target}: {spec_of(point)}")


def _refuse_giant(n_pixels: int, options: str) -> None:
    """UsageError where the images of a sheet have more pixels than one may have."""
    if n_pixels > MAX_PIXELS:
        raise UsageError(
            f"that is {n_pixels:,} pixels in all, the limit is {MAX_PIXELS:,}; reduce {options}"
        )


def _qarv(spec: str) -> Qarv:

    point = get_codec(spec)
    if not isinstance(point, Qarv):
        raise UsageError(f"{spec!r} is not QARV")
    point.check()
    return point


def _caption(row: Mapping[str, Any]) -> str:
    psnr_db = row["psnr_rgb"]
    return row["kept"] if psnr_db is None else f"{row['kept']}: {psnr_db:.1f} dB"
