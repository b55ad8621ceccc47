"""Images for the page: what kept bitstreams decode to, near the same rate for every codec."""

import base64
import hashlib
import io
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image

from rdbench.analysis.selection import DEFAULT_ANCHOR
from rdbench.curve import to_quality
from rdbench.datasets import ImageFile, load_dataset
from rdbench.errors import RdbenchError, UsageError, closest
from rdbench.images import read_image
from rdbench.match import Match, match_image, match_of
from rdbench.metrics.protocol import to_8bit
from rdbench.report.page.data import Comparison, Json
from rdbench.store import Store
from rdbench.types import Codec, Image, Record

_WHITE_HOT = 0.995  # quantile of a bit map that gets its brightest colour
_THUMBNAIL = 240, 112
"""Largest width and height of a thumbnail in pixels: twice those it is shown at."""

Point = Record | Match
"""An image through an operating point, with a kept bitstream."""


class Album:
    """Images as lossless WebP in base64, each distinct one once.

    Attributes:
        images: name, the start of the file's SHA-256 -> base64 text.
    """

    def __init__(self) -> None:
        self.images: dict[str, str] = {}

    def add(self, image: Image) -> str:
        """Keep an image and return its name."""
        return self._keep(PIL.Image.fromarray(image), lossless=True, quality=60)

    def add_thumbnail(self, image: Image) -> str:
        """Keep a small copy of an image and return its name."""
        small = PIL.Image.fromarray(image)
        small.thumbnail(_THUMBNAIL)
        return self._keep(small, quality=70)

    def _keep(self, image: PIL.Image.Image, **options: Any) -> str:
        file = io.BytesIO()
        image.save(file, "WEBP", method=4, **options)
        name = hashlib.sha256(file.getvalue()).hexdigest()[:16]
        self.images[name] = base64.b64encode(file.getvalue()).decode("ascii")
        return name


Wanted = int | Sequence[str]
"""Images to look at: so many of each data set, or by name, with or without suffix."""


@dataclass(frozen=True)
class Looks:
    """Which images are looked at, and at which rates.

    Attributes:
        match_rate: encode at the rate of the anchor what can be encoded at any rate.
    """

    images: Wanted
    rates_bpp: Sequence[float]
    match_rate: bool = False


def images_of(wanted: Wanted, images: Iterable[str]) -> list[str]:
    """Names of the images of a data set that are asked for."""
    if isinstance(wanted, int):
        return list(images)[:wanted]
    return [image for image in images if {image, image.rpartition(".")[0]} & set(wanted)]


def check_names(wanted: Wanted, comparisons: Iterable[Comparison]) -> None:
    """Raise UsageError for the name of an image that no data set has."""
    known = [image for c in comparisons for image in c.images]
    for name in () if isinstance(wanted, int) else wanted:
        if not images_of([name], known):
            raise UsageError(f"no data set here has an image {name!r}{closest(name, known)}")


def image_json(
    store: Store,
    comparison: Comparison,
    looks: Looks,
    album: Album,
    on_progress: Callable[[int, int], None] = lambda done, n: None,
) -> tuple[list[Json], list[str]]:
    """What the viewer shows of a data set.

    For every image, measured curve and rate, what is nearest to the rate is decoded from its kept
    bitstream: a record, or what `rdbench match` found. To match rates, the point of the anchor
    that is nearest sets the rate, the others are encoded at it, and the folder keeps the results.
    The rate stays as it is where the anchor was not measured.

    Returns:
        An entry for each image, and a line for each thing that could not be shown.
    """
    names = images_of(looks.images, comparison.images)
    if not names or comparison.large:
        return [], []
    try:
        files = {p.name: p for p in load_dataset(store.source_of(comparison.dataset)).files}
    except RdbenchError as error:
        return [], [f"no images of {comparison.dataset}: {error}"]
    changed = [n for n in names if n in files and files[n].sha256 != comparison.images[n]]
    gone = [n for n in names if n not in files]
    names = [n for n in names if n not in {*changed, *gone}]
    # The names under which a data set has the file of an image, which is measured once.
    same = {
        n: {m for m, s in comparison.images.items() if s == comparison.images[n]} for n in names
    }
    entries = {name: _entry(files[name], album) for name in names}
    missing = [f"{n} was changed since it was measured" for n in changed]
    missing += [f"{n} is no longer in its data set" for n in gone]
    aims = _aims(comparison, same, looks)
    if looks.match_rate:
        missing += _match(store, comparison, aims, files, same, on_progress)
    points = _points(store, comparison)
    chosen = [
        (name, key, rate, point)
        for name, rate, key in aims
        if (point := nearest(points[key], same[name], aims[name, rate, key]))
    ]
    views: dict[tuple[str, str, str], Json] = {}
    for done, (name, key, rate, point) in enumerate(chosen):
        on_progress(done, len(chosen))
        what = point.spec, point.fingerprint, point.bitstream_sha256
        try:
            view = views[what] = views.get(what) or _view(store, point, files[name], album)
        except RdbenchError as error:
            missing.append(f"{key} on {name}: {error}")
            continue
        aim = aims[name, rate, key]
        entries[name]["views"].append({"key": key, "target": rate, "aim": aim, **view})
    return list(entries.values()), list(dict.fromkeys(missing))


def _points(store: Store, comparison: Comparison) -> dict[str, list[Point]]:
    """Records and matches of each measured curve."""
    matches = [m for body in store.results("match").values() if (m := match_of(body)) is not None]
    found: dict[str, list[Point]] = {}
    for key, records in comparison.records.items():
        wanted = comparison.dataset, comparison.curves[key].key
        found[key] = [*records, *(m for m in matches if (m.dataset, m.curve) == wanted)]
    return found


_Aims = Mapping[tuple[str, float, str], float]
"""(Image, rate asked for, key of a curve) -> the rate at which it is looked at."""


def _aims(comparison: Comparison, same: Mapping[str, Collection[str]], looks: Looks) -> _Aims:
    """The rate of every image: that of the anchor's nearest record, for the others to match."""
    aims: dict[tuple[str, float, str], float] = {}
    for name, rate in product(same, looks.rates_bpp):
        aims |= {(name, rate, key): rate for key in comparison.records}
        reference = _reference(comparison)
        if looks.match_rate and reference is not None:
            point = nearest(comparison.records[reference], same[name], rate)
            others = comparison.records.keys() - {reference}
            aims |= {(name, rate, key): point.bpp for key in others if point and point.bpp}
    return aims


def _reference(comparison: Comparison) -> str | None:
    """The measured curve whose rates others match: the anchor; None where it was not measured."""
    names = (comparison.anchor or DEFAULT_ANCHOR,)
    return next((key for key in names if key in comparison.records), None)


def _match(
    store: Store,
    comparison: Comparison,
    aims: _Aims,
    files: Mapping[str, ImageFile],
    same: Mapping[str, Collection[str]],
    on_progress: Callable[[int, int], None],
) -> list[str]:
    """Encode images at their rates with all codecs that have one; a line for each failure."""
    problems = []
    for done, ((name, _, key), aim) in enumerate(aims.items()):
        on_progress(done, len(aims))
        curve, records = comparison.curves[key], comparison.records[key]
        start = nearest(records, same[name], aim)
        is_variable = curve.variable_rate and curve.rate_parameter and key != _reference(comparison)
        if not is_variable or start is None:
            continue
        try:
            codec = store.codec_of(start.codec, start.spec, start.fingerprint)
            match_image(store, codec, comparison.dataset, files[name], "bpp", aim)
        except RdbenchError as error:
            problems.append(f"{key} on {name} at {aim:.4g} bpp: {error}")
    return problems


def nearest(points: Iterable[Point], images: Collection[str], rate_bpp: float) -> Point | None:
    """The verified point of an image whose rate is closest to ``rate_bpp`` as a ratio.

    Args:
        images: names that the image goes by.
    """
    good = [p for p in points if p.image in images and p.error is None and p.bpp]
    return min(good, key=lambda p: abs(math.log((p.bpp or 1) / rate_bpp)), default=None)


def _entry(image: ImageFile, album: Album) -> Json:
    original = read_image(image.path)
    return {
        "name": image.name,
        "width": image.width,
        "height": image.height,
        "original": album.add(original),
        "thumbnail": album.add_thumbnail(original),
        "views": [],
    }


def _view(store: Store, point: Point, image: ImageFile, album: Album) -> Json:
    codec = store.codec_of(point.codec, point.spec, point.fingerprint)
    decoded = to_8bit(codec.decode(store.bitstream(point.bitstream_sha256)))
    known = {
        name: float(to_quality(name, np.array(score)))
        for name, score in point.scores.items()
        if score is not None
    }
    # An MS-SSIM of 1 is infinite in dB, like the PSNR of a lossless image: both are omitted.
    quality = {name: value for name, value in known.items() if math.isfinite(value)}
    return {
        "spec": point.spec,
        "bpp": point.bpp,
        "n_bytes": point.n_bytes,
        "quality": quality,
        "image": album.add(decoded),
        "maps": list(_bit_maps(codec, image, album)),
    }


def _bit_maps(codec: Codec, file: ImageFile, album: Album) -> Iterator[Json]:
    """Where the bits of each latent go and, first, of all together."""
    image = read_image(file.path)
    maps = {name: bits_per_pixel(m, *image.shape[:2]) for name, m in codec.bit_maps(image).items()}
    if len(maps) > 1:
        maps = {"all latents": sum(maps.values(), np.zeros(image.shape[:2], np.float32)), **maps}
    for name, bits in maps.items():
        brightest = float(np.quantile(bits, _WHITE_HOT)) or 1.0
        yield {
            "name": name,
            "bpp": float(bits.mean()),
            "brightest": brightest,
            "image": album.add(_coloured(bits / brightest)),
        }


def bits_per_pixel(
    bits: npt.NDArray[np.float32], height: int, width: int
) -> npt.NDArray[np.float32]:
    """Spread the bits at each position of a latent over the pixels that it covers.

    Args:
        bits: (rows, columns), over the image padded to a whole number of positions.
        height, width: of the image. A position is a square of pixels whose side is a power of
            two.

    Returns:
        (height, width).
    """
    ratio = max(height / bits.shape[0], width / bits.shape[1], 1)
    side = 2 ** math.ceil(math.log2(ratio))
    spread = bits.repeat(side, axis=0).repeat(side, axis=1)[:height, :width]
    return np.asarray(spread / side**2, np.float32)


def _coloured(values: npt.NDArray[np.float32]) -> Image:
    """Values from 0 to 1 as colours from dark to bright."""
    from matplotlib import colormaps

    rgba: npt.NDArray[np.uint8] = colormaps["inferno"](np.clip(values, 0, 1), bytes=True)
    return rgba[..., :3]
