"""Compare lossy-vae with rdbench's QARV, both with the bundled weights, on images.

python examples/codecs/lossy_vae/compare.py IMAGE...
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from rdbench.spec import get_codecs

THEIRS = Path(__file__).with_name("bundled.toml")

for path in sys.argv[1:]:
    image = np.asarray(Image.open(path).convert("RGB"))
    for theirs in get_codecs(str(THEIRS)):
        (ours,) = get_codecs(f"qarv:weights=bundled,lambda={theirs.lmb}")
        files = [codec.encode(image).data for codec in (ours, theirs)]
        one, other = (codec.decode(data) for codec, data in zip((ours, theirs), files, strict=True))
        levels = np.rint(255 * one) != np.rint(255 * other)
        print(
            f"{Path(path).name}  lambda {theirs.lmb}  bytes {len(files[0])} {len(files[1])}  "
            f"largest difference {np.abs(one - other).max():.1e}  other levels {levels.mean():.1e}"
        )
