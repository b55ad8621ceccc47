"""rdbench measures and explains image codecs: rate, distortion, time, and why.

    import rdbench

    rdbench.run("jpeg", "kodak", "reports/")                   # records, on disk
    curves = rdbench.load_curves("reports/", "kodak")          # measured and published, by name
    print(rdbench.bd_rate(curves["vtm18"], curves["jpeg"]).bd_rate_percent)

The public interface is ``rdbench.__all__``; ``examples/`` shows each part of it. For authors of
codecs, `rdbench.types`, `rdbench.errors`, `rdbench.stages` and `rdbench.testing` are public too.
Everything else may change without notice.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rdbench.analysis.bd import BdPsnr, BdRate, bd_psnr, bd_rate
    from rdbench.analysis.selection import load_curves
    from rdbench.curve import Curve
    from rdbench.datasets import Dataset, ImageFile, load_dataset
    from rdbench.errors import (
        BitstreamError,
        DataError,
        EncoderError,
        RdbenchError,
        RdbenchWarning,
        Unavailable,
        UsageError,
        WorkerError,
    )
    from rdbench.images import read_image, write_image
    from rdbench.importers import import_curves
    from rdbench.match import Match, match_codecs
    from rdbench.metrics import Protocol, score
    from rdbench.report.export import load_records
    from rdbench.report.page import write_report
    from rdbench.report.plots import plot_curves
    from rdbench.rescoring import Rescored, rescore
    from rdbench.spec import get_codec, get_codecs
    from rdbench.store import Store
    from rdbench.sweep import Outcome, run
    from rdbench.timing import Timing, time_codecs
    from rdbench.types import (
        Bitstream,
        Codec,
        Image,
        Reconstruction,
        Record,
        Segment,
        Weights,
    )

    __version__: str

_HOMES = {
    "rdbench.analysis.bd": ("BdPsnr", "BdRate", "bd_psnr", "bd_rate"),
    "rdbench.analysis.selection": ("load_curves",),
    "rdbench.curve": ("Curve",),
    "rdbench.datasets": ("Dataset", "ImageFile", "load_dataset"),
    "rdbench.errors": (
        "BitstreamError", "DataError", "EncoderError", "RdbenchError", "RdbenchWarning",
        "Unavailable", "UsageError", "WorkerError",
    ),
    "rdbench.images": ("read_image", "write_image"),
    "rdbench.match": ("Match", "match_codecs"),
    "rdbench.metrics": ("Protocol", "score"),
    "rdbench.importers": ("import_curves",),
    "rdbench.report.export": ("load_records",),
    "rdbench.report.page": ("write_report",),
    "rdbench.report.plots": ("plot_curves",),
    "rdbench.rescoring": ("Rescored", "rescore"),
    "rdbench.spec": ("get_codec", "get_codecs"),
    "rdbench.store": ("Store",),
    "rdbench.sweep": ("Outcome", "run"),
    "rdbench.timing": ("Timing", "time_codecs"),
    "rdbench.types": (
        "Bitstream", "Codec", "Image", "Reconstruction", "Record", "Segment", "Weights",
    ),
}  # fmt: skip

# Type checkers read a literal list only; a test holds the three lists together.
__all__ = [
    "BdPsnr", "BdRate", "Bitstream", "BitstreamError", "Codec", "Curve", "DataError", "Dataset",
    "EncoderError", "Image", "ImageFile", "Match", "Outcome", "Protocol", "RdbenchError",
    "RdbenchWarning", "Reconstruction", "Record", "Rescored", "Segment", "Store", "Timing",
    "Unavailable", "UsageError", "Weights", "WorkerError", "__version__", "bd_psnr", "bd_rate",
    "get_codec", "get_codecs", "import_curves", "load_curves", "load_dataset", "load_records",
    "match_codecs", "plot_curves", "read_image", "rescore", "run", "score", "time_codecs",
    "write_image", "write_report",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import on first use, so that ``import rdbench`` and ``rdbench --help`` are quick."""
    if name == "__version__":
        from importlib.metadata import version

        return version("rdbench")
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'rdbench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
