"""What a metric is: a function of two images with a name, a unit, a range and a source."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from typing import Literal

import numpy as np

from rdbench.columns import Column
from rdbench.decibel import Averaging, FloatArray, error_to_db
from rdbench.errors import Unavailable
from rdbench.types import Image, Reconstruction


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A measure of how far a reconstruction is from its original.

    ``worst`` and ``best`` hold the range and the direction, so everything that ranks, plots or
    searches asks `quality` or `log_quality`, which rise for every metric.

    Attributes:
        name: key in the scores of a record.
        title: name in tables and figures.
        source: where the formula is defined.
        function: (original, reconstruction), both (height, width, 3), to the value; None where the
            metric is not defined for these two images.
        worst, best: the ends of the range; infinite where there is none. The best value is that of
            two equal images, unless the source says otherwise.
        unit: unit of the value, ``1`` where it has none.
        shown_in_db: whether curves show ``-10 log10(best - value)``, as papers do for MS-SSIM.
        version: raised whenever the same images would give another value.
        check: raises Unavailable, with how to fix it, if the metric is not available.
        libraries: optional distributions that compute it, recorded with their versions.
    """

    name: str
    title: str
    source: str
    function: Callable[[Image, Reconstruction], float | None]
    worst: float
    best: float
    unit: str = "1"
    shown_in_db: bool = False
    version: int = 1
    check: Callable[[], None] = lambda: None
    libraries: tuple[str, ...] = ()

    @property
    def better(self) -> Literal["higher", "lower"]:
        """Which values are better."""
        return "higher" if self.best > self.worst else "lower"

    @property
    def in_db(self) -> bool:
        """Whether its quality is in dB, so that its mean can be one of errors."""
        return self.shown_in_db or self.unit == "dB"

    @property
    def averaging(self) -> Averaging:
        """How curves average it over images, as CompressAI, lossy-vae and most papers do."""
        return "db_of_mean" if self.shown_in_db else "mean_of_db"

    def quality(self, scores: FloatArray) -> FloatArray:
        """Return qualities, which rise: in dB where `in_db`, negated where lower is better."""
        if self.shown_in_db:
            return error_to_db(self.best - np.asarray(scores, np.float64))
        return scores if self.better == "higher" else -scores

    @property
    def quality_title(self) -> str:
        """Title of an axis that shows qualities."""
        sign = "-" if self.better == "lower" else ""
        name, _, rest = self.title.partition(" (")
        about = ", ".join(filter(None, ("dB" if self.in_db else "", rest.rstrip(")"))))
        return f"{sign}{name} ({about})" if about else f"{sign}{name}"

    def log_quality(self, score: float) -> float:
        """Return minus the logarithm of the distance to ``best``, or of the error behind a dB.

        A difference of 0.01 is 1 % of the error, whatever the metric.
        """
        if self.unit == "dB":
            return score * math.log(10) / 10
        return -math.log(abs(self.best - score)) if score != self.best else math.inf

    @property
    def versions(self) -> dict[str, str]:
        """The optional libraries that compute it, and their versions."""
        return {name: metadata.version(name) for name in self.libraries}

    @property
    def column(self) -> Column:
        """The column of its scores in tables."""
        title = self.title.partition(" (")[0]
        if self.unit == "dB":
            return Column(self.name, title, "dB", 2)
        if max(map(abs, filter(math.isfinite, (self.worst, self.best)))) > 1:
            return Column(self.name, title, digits=2)
        return Column(self.name, title, digits=4)


def needs(title: str, extra: str, *modules: str) -> None:
    """Raise Unavailable unless optional modules are installed.

    Args:
        title: of the metric.
        extra: extra of this package that installs them.
        modules: names as imported.
    """
    for module in modules:
        if find_spec(module) is None:
            raise Unavailable(f"{title} needs {module}: pip install 'rdbench[{extra}]'")


@contextmanager
def importing(module: str) -> Iterator[None]:
    """Turn a failure to import an optional module into Unavailable.

    A torchvision that was built for another PyTorch fails like this, and all that need it.
    """
    try:
        yield
    except Exception as error:
        raise Unavailable(f"{module} cannot be imported ({error}); reinstall it") from error
