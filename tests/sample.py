"""The bundled sample photographs as arrays."""

from rdbench.datasets import files_of
from rdbench.images import read_image
from rdbench.types import Image


def photograph(name: str) -> Image:
    """Return an image of the data set ``sample``: astronaut, coffee or chelsea."""
    (path,) = files_of("sample", [f"{name}.png"])
    return read_image(path).copy()
