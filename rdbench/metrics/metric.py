"""What a metric is: a function of two images with a name, a unit, a version and a source."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from rdbench.columns import Column
from rdbench.types import Image, Reconstruction


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A measure of how far a reconstruction is from its original.

    Attributes:
        name: key in the scores of a record.
        title: name in tables and figures.
        source: where the formula is defined.
        function: (original, reconstruction), both (height, width, 3), to the value; None where the
            metric is not defined for these two images.
        unit: unit of the value, ``1`` where it has none.
        version: raised whenever the same images would give another value.
        better: whether higher or lower values are better.
        check: raises Unavailable, with how to fix it, if the metric is not available.
    """

    name: str
    title: str
    source: str
    function: Callable[[Image, Reconstruction], float | None]
    unit: str = "1"
    version: int = 1
    better: Literal["higher", "lower"] = "higher"
    check: Callable[[], None] = lambda: None

    @property
    def column(self) -> Column:
        """The column of its scores in tables."""
        title = self.title.partition(" (")[0]
        if self.unit == "dB":
            return Column(self.name, title, "dB", 2, paper_digits=5)
        return Column(self.name, title, digits=4, paper_digits=6)
