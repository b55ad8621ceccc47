"""Hyperprior codecs: Balle 2018, Minnen 2018, Cheng 2020; QVRF and other variable rates on them."""

import os

from rdbench_codecs.hyperprior.codec import CODECS

__all__ = ["CODECS"]

# torch takes large tensors from huge pages, whose first use costs a fifth of that of small ones.
# It reads this once, at its first tensor.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
