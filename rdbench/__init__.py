"""rdbench measures and explains image codecs: how good, how fast, and why.

from rdbench import run, load, bd_rate

run("jpeg", "kodak", "reports/")                       # records, on disk
curves = load("reports/", "kodak")                     # measured and published, by name
print(bd_rate(curves["vtm18"], curves["jpeg"]).bd_rate_percent)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rdbench.analysis.bd import bd_psnr, bd_rate
    from rdbench.analysis.selection import load
    from rdbench.datasets import load_dataset
    from rdbench.match import match_codecs
    from rdbench.rescoring import rescore
    from rdbench.store import Store
    from rdbench.sweep import run
    from rdbench.timing import time_codecs
    from rdbench.types import Bitstream, Codec, Record, Segment

_HOMES = {
    "Bitstream": "rdbench.types",
    "Codec": "rdbench.types",
    "Record": "rdbench.types",
    "Segment": "rdbench.types",
    "Store": "rdbench.store",
    "bd_psnr": "rdbench.analysis.bd",
    "bd_rate": "rdbench.analysis.bd",
    "load": "rdbench.analysis.selection",
    "load_dataset": "rdbench.datasets",
    "match_codecs": "rdbench.match",
    "rescore": "rdbench.rescoring",
    "run": "rdbench.sweep",
    "time_codecs": "rdbench.timing",
}

__all__ = [
    "Bitstream",
    "Codec",
    "Record",
    "Segment",
    "Store",
    "bd_psnr",
    "bd_rate",
    "load",
    "load_dataset",
    "match_codecs",
    "rescore",
    "run",
    "time_codecs",
]


def __getattr__(name: str) -> Any:
    """Import on first use, so that ``import rdbench`` and ``rdbench --help`` are quick."""
    if name not in _HOMES:
        raise AttributeError(f"module 'rdbench' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
