"""Published weights of the networks.

Fixed-rate ones: CompressAI's model zoo (``compressai/zoo/image.py``), BSD-3-Clause-Clear; the last
part of a file's name is the start of its SHA-256. QVRF: its authors' drive, cheng2020-attn alone.
"""

import re
from collections.abc import Iterator

from rdbench_codecs.learned.weights import Checkpoint

_ROOT = "https://compressai.s3.amazonaws.com/models/v1"
_TERMS = "CompressAI model zoo, BSD-3-Clause-Clear"

# Name of each network's files, and the starts of their SHA-256 by quality, from 1 on.
_FILES = """
bmshj2018-factorized-prior 446d5c7f 87279a02 5c6f152b 1ed4405a 866ba797 9b02ea3a 6dfd6734 5232faa3
bmshj2018-factorized-ms-ssim 9781d705 4a584386 5352f123 4f91b847 b3a88897 ee028763 8c265a29 8811bd14
bmshj2018-hyperprior 7eb97409 93677231 6d87be32 de1b779c f8b614e1 1ab9c41e 3804dcbd a583f0cf
bmshj2018-hyperprior-ms-ssim 5cf249be 1ff60d1f 92dd7878 4377354e c34afc8d 3a6d8229 8747d3bc cc15b5f3
mbt2018-mean e522738d e54a039d 723404a8 6dba02a3 d504e8eb a19628ab d5d441d1 8089ae3e
mbt2018-mean-ms-ssim 5bf9c0b6 e2a1bf3f 640ce819 12626c13 1be7f059 b83bf379 ddf9644c 0cc7b94f
mbt2018 3f36cd77 43b70cdd 22901978 456e2af9 b4a046dd 7052e5ea 8ba2bf82 dd0097aa
mbt2018-ms-ssim 2878436b c41cb208 d0dd64e8 a120e037 9b30e3b7 f8b3626f 16e6ff50 0cb49d43
cheng2020-anchor dad2ebff a29008eb e49be189 98b0b468 23852949 4c052b1a
cheng2020_anchor-ms-ssim 20f521db c7ff5812 c23e22d5 0e658304 c0a95e77 f2dc1913
cheng2020_attn-mse 465f2b64 e0805385 2d07bbdf f7b0ccf2 26c8920e 730501f2
cheng2020_attn-ms-ssim c5381d91 5dad201d 5c9be841 8b2f647e 5ca1f34c 216423ec
"""


def checkpoint_name(codec: str, quality: int, metric: str) -> str:
    """Name of a fixed-rate checkpoint, such as ``mbt2018:quality=3``."""
    return f"{codec}:quality={quality}" + ("" if metric == "mse" else f",metric={metric}")


def _of_the_zoo(file: str, *hashes: str) -> Iterator[Checkpoint]:
    """The checkpoints of one network: one per quality."""
    metric = "ms-ssim" if file.endswith("-ms-ssim") else "mse"
    codec = re.sub("-(prior|mse|ms-ssim)$", "", file).replace("_", "-")
    for quality, sha256 in enumerate(hashes, 1):
        url = f"{_ROOT}/{file}-{quality}-{sha256}.pth.tar"
        yield Checkpoint(checkpoint_name(codec, quality, metric), codec, url, sha256, _TERMS)


CHECKPOINTS = (
    *(c for line in _FILES.strip().splitlines() for c in _of_the_zoo(*line.split())),
    Checkpoint(
        name="qvrf-cheng2020-attn",
        codec="qvrf-cheng2020-attn",
        url="https://drive.google.com/file/d/1aydW2y2yohjD-cfcQKZv-SIO_FhDF4M-/view",
        file="qvrf-cheng2020-attn.pth.tar",
        terms="published by the authors of QVRF (Tong et al. 2023), BSD-3-Clause-Clear",
    ),
)
