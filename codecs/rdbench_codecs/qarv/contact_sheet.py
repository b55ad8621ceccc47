"""Contact sheets: small images side by side, a caption under each."""

from collections.abc import Sequence

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from rdbench.types import Image

Tile = tuple[str, Image]
"""Caption and image."""

GAP: Tile = ("", np.full((1, 1, 3), 255, np.uint8))
"""Leaves a place empty."""

_MARGIN, _CAPTION, _FONT_SIZE = 8, 20, 13


def contact_sheet(rows: Sequence[Sequence[Tile]], side: int = 192) -> Image:
    """Tiles in rows, on white; larger images are scaled down to ``side`` pixels."""
    tiles = [[(caption, _thumbnail(image, side)) for caption, image in row] for row in rows]
    width = max(tile.width for row in tiles for _, tile in row)
    height = max(tile.height for row in tiles for _, tile in row)
    step_x, step_y = width + _MARGIN, height + _CAPTION + _MARGIN
    size = _MARGIN + max(map(len, tiles)) * step_x, _MARGIN + len(tiles) * step_y
    sheet = PIL.Image.new("RGB", size, "white")
    draw, font = PIL.ImageDraw.Draw(sheet), PIL.ImageFont.load_default(_FONT_SIZE)
    for i, row in enumerate(tiles):
        for j, (caption, tile) in enumerate(row):
            x, y = _MARGIN + j * step_x, _MARGIN + i * step_y
            sheet.paste(tile, (x, y))
            draw.text((x, y + height + 2), caption, "black", font)
    return np.asarray(sheet)


def _thumbnail(pixels: Image, side: int) -> PIL.Image.Image:
    image = PIL.Image.fromarray(pixels)
    image.thumbnail((side, side), PIL.Image.Resampling.LANCZOS)
    return image
