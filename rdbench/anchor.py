"""Is the anchor on this machine the anchor of the literature?"""

from collections.abc import Iterator

from rdbench.datasets import load_dataset
from rdbench.errors import DataError, RdbenchError, UsageError
from rdbench.metrics import DEFAULT_PROTOCOL
from rdbench.published import AnchorPoint, anchor_points
from rdbench.spec import get_codec, identify
from rdbench.sweep import Task, measure
from rdbench.types import Check


def verify_anchor(name: str, n_images: int = 2) -> Iterator[Check]:
    """Check a codec's installation, then encode images and compare with shipped points.

    Yields:
        The codec's own checks, then one check an image: same bytes, same PSNR to 1e-4 dB.

    Raises:
        Unavailable: the codec is not available on this machine.
        UsageError: no points are shipped for it.
    """
    points = anchor_points(name)[:n_images]
    if not points:
        raise UsageError(f"no points are shipped to verify codec {name!r} with")
    codec = get_codec(points[0].spec)
    codec.check()
    yield from codec.self_checks()
    for point in points:
        yield _compare(point)


def _compare(point: AnchorPoint) -> Check:
    title = f"{point.spec} on {point.image}"
    try:
        (image,) = load_dataset(f"{point.dataset}[{point.image}]").files
    except DataError as error:
        return Check(title, False, str(error))
    if image.sha256 != point.image_sha256:
        raise DataError(f"{image.path} is not the image of the shipped point")
    codec = get_codec(point.spec)
    record, _ = measure(Task(codec, identify(codec), point.dataset, image, DEFAULT_PROTOCOL))
    if record.error is not None:
        raise RdbenchError(f"{title}: {record.error}")
    psnr_db = record.scores["psnr_rgb"]
    same = record.n_bytes == point.n_bytes and abs(psnr_db - point.psnr_rgb) < 1e-4
    return Check(
        title,
        same,
        f"{record.n_bytes} bytes, {psnr_db:.5f} dB; shipped {point.n_bytes} bytes, "
        f"{point.psnr_rgb:.5f} dB",
    )
