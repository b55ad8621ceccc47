"""Codecs of libraries that run in this process: errors, limits and versions, once for all."""

import io
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import imagecodecs
import numpy as np
from PIL import Image as PilImage
from PIL import __version__ as pillow_version
from PIL import features

from rdbench.types import Bitstream, Image
from rdbench_codecs.conventional.limits import (
    RangedCodec,
    decoding,
    encoding,
    require_rgb,
    require_size,
)


class LibraryCodec(RangedCodec):
    """A codec of one call to encode and one to decode."""

    @abstractmethod
    def compress(self, image: Image) -> Any:
        """Return the file of an image, bytes or what can be made into them."""

    @abstractmethod
    def decompress(self, data: bytes) -> Any:
        """Return the pixels; check the size with ``require_size`` before memory is allocated."""

    def encode(self, image: Image) -> Bitstream:
        """One file."""
        self.check()
        with encoding(image):
            # Libraries read rows, or all of an image, as one piece of memory.
            return Bitstream(bytes(self.compress(np.ascontiguousarray(image))))

    def decode(self, data: bytes) -> Image:
        """The pixels."""
        self.check()
        with decoding():
            return require_rgb(self.decompress(data))


class ImagecodecsCodec(LibraryCodec):
    """A codec of the package imagecodecs.

    Class attributes:
        library: name of the library for the record, and of the module of imagecodecs.
    """

    library: ClassVar[tuple[str, str]]

    def versions(self) -> Mapping[str, str]:
        """Of the binding and the library."""
        name, module = self.library
        version = getattr(imagecodecs, f"{module}_version")
        return {"imagecodecs": imagecodecs.__version__, name: version()}


class PillowCodec(LibraryCodec):
    """A codec of Pillow.

    Class attributes:
        format: Pillow's name of the format.
        library: name of the library for the record, and of Pillow's feature.
    """

    format: ClassVar[str]
    library: ClassVar[tuple[str, str]]

    @abstractmethod
    def options(self) -> Mapping[str, Any]:
        """Return what Pillow's ``save`` is given."""

    def compress(self, image: Image) -> bytes:
        file = io.BytesIO()
        PilImage.fromarray(image).save(file, self.format, **self.options())
        return file.getvalue()

    def decompress(self, data: bytes) -> Image:
        with PilImage.open(io.BytesIO(data), formats=(self.format,)) as image:
            require_size(*image.size)
            return np.asarray(image)

    def versions(self) -> Mapping[str, str]:
        """Of the binding and the library."""
        name, feature = self.library
        return {"pillow": pillow_version, name: features.version(feature) or ""}
