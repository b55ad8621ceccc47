"""FID and KID: known, so that published curves of them are ranked, plotted and compared.

They compare the statistics of two sets of images, so no image has a value. Nothing here computes
them: the network's weights would have to be those of the original TensorFlow release.
"""

import functools
import math
from typing import Never

from rdbench.errors import Unavailable
from rdbench.metrics.metric import Metric
from rdbench.types import Image, Reconstruction


def _refuse(title: str) -> Never:
    """Raise Unavailable, with the programs that compute it."""
    raise Unavailable(
        f"{title} is of a set of images, not of one: published curves are compared, and your own "
        "come from torch-fidelity, which downloads pt_inception-2015-12-05-6726825d.pth"
    )


def _metric(name: str, title: str, source: str, worst: float) -> Metric:
    def function(image: Image, reconstruction: Reconstruction) -> Never:
        _refuse(title)

    return Metric(
        name=name,
        title=f"{title} (256x256 patches)",
        source=source,
        function=function,
        worst=worst,
        best=0,
        check=functools.partial(_refuse, title),
    )


FID_256 = _metric(
    "fid_256",
    "FID/256",
    "Heusel et al. 2017, patches as Mentzer et al. 2020; published curves only",
    math.inf,
)
KID = _metric("kid", "KID/256", "Binkowski et al. 2018; published curves only", math.inf)
