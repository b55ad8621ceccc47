"""Figures of rate-distortion curves, in print and on screen."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rdbench.analysis.saving import Saving
from rdbench.curve import Curve, quality_title
from rdbench.errors import UsageError
from rdbench.files import output_files, write_figure, write_text
from rdbench.metrics import METRICS
from rdbench.report.diagrams import Design, Diagram, Series, draw
from rdbench.report.export import file_names
from rdbench.report.fonts import quiet_fonts, use_fonts_for_names
from rdbench.report.pgfplots import pgfplots_text
from rdbench.report.style import PAGE_IN, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("png", "pdf", "svg")
"""Formats of a figure unless told otherwise."""

ALL_FORMATS = (*FORMATS, "tex")
"""``tex`` is for pgfplots, and for diagrams only."""

LANDMARKS = ("vtm18", "bpg444", "qarv", "mbt2018-mean")
"""Published curves that a figure shows unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One rate-distortion diagram of a figure.

    Attributes:
        metric: ``psnr_rgb`` or another.
        curves: of one data set; those without the metric are left out.
        max_bpp: where the rate axis ends; None for where the curves do.
    """

    title: str
    metric: str
    curves: Sequence[Curve]
    max_bpp: float | None = None

    def diagram(self) -> Diagram:
        """Return quality over rate."""
        series = [Series(c, *c.points(self.metric)) for c in self.curves if self._has(c)]
        xlim = None if self.max_bpp is None else (0.0, self.max_bpp)
        return Diagram(
            self.title, "Rate (bits per pixel)", quality_title(self.metric), series, xlim
        )

    def _has(self, curve: Curve) -> bool:
        """Whether any point can be drawn; that of a lossless image has no finite quality."""
        return curve.has(self.metric) and len(curve.points(self.metric)[0]) > 0

    @property
    def is_empty(self) -> bool:
        """Whether no curve can be drawn."""
        return not any(map(self._has, self.curves))


def saving_diagram(title: str, metric: str, savings: Sequence[Saving], anchor: str) -> Diagram:
    """Return how much rate is saved against an anchor over quality.

    Args:
        savings: of one anchor.
        anchor: its name.
    """
    series = [Series(s.test, s.quality, s.percent, s.band, False) for s in savings]
    return Diagram(title, quality_title(metric), f"Rate saved against {anchor} (%)", series,
                   zero=anchor)  # fmt: skip


def plot_curves(
    curves: Iterable[Curve],
    out: str | Path,
    formats: Sequence[str] = FORMATS,
    width_in: float = PAGE_IN,
    replace: bool = True,
    datasets: Iterable[str] = (),
) -> list[Path]:
    """Draw quality over rate, one figure per data set and measured metric.

    Args:
        curves: curves of any data sets; points without a mean are left out.
        out: folder of the files, ``DATASET-METRIC.FORMAT``.
        formats: of png (300 dpi), pdf, svg, tex (for pgfplots).
        replace: False to refuse to replace existing files, before the first is written.
        datasets: others that have figures in the folder, whose files keep their names.

    Raises:
        UsageError: a file exists and ``replace`` is False.
        DataError: a file cannot be written.
    """
    curves, design = list(curves), Design(width_in)
    named: dict[tuple[str, ...], tuple[list[Diagram], Design]] = {
        (p.title, p.metric): ([p.diagram()], design) for p in panels_of(curves)
    }
    every = {*datasets, *(curve.dataset for curve in curves)}
    with styled():
        return write_diagrams(named, Path(out), every, formats, replace)


def write_diagrams(
    figures: "Mapping[tuple[str, ...], tuple[list[Diagram], Design]]",
    out: Path,
    datasets: Iterable[str],
    formats: Sequence[str],
    force: bool,
) -> list[Path]:
    """Draw diagrams into a folder, in the style in use; see `write_figures`.

    Args:
        figures: parts of a file name -> the diagrams of a figure, and their design.
    """
    paths = _paths(figures, out, datasets, formats, force)
    written: list[Path] = []
    for key, (diagrams, design) in figures.items():
        images = [one for one in formats if one != "tex"]
        written += save(draw(diagrams, design), paths[key], images) if images else []
        for file in _files(paths[key], ["tex"] if "tex" in formats else []):
            write_text(file, pgfplots_text(diagrams, design))
            written.append(file)
    return written


def write_figures(
    figures: "Mapping[tuple[str, ...], Figure]",
    out: Path,
    datasets: Iterable[str],
    formats: Sequence[str],
    force: bool,
) -> list[Path]:
    """Write figures into a folder.

    Args:
        figures: parts of a file name -> figure.
        datasets: all that have figures in the folder, whose files keep their names.
        force: whether existing files are replaced.

    Raises:
        UsageError: a file exists and ``force`` is False, or a format is for diagrams only.
        DataError: a file cannot be written.
    """
    if "tex" in formats:
        raise UsageError("only curves and savings can be written for pgfplots")
    paths = _paths(figures, out, datasets, formats, force)
    return [file for key, one in figures.items() for file in save(one, paths[key], formats)]


def _paths(
    keys: Iterable[tuple[str, ...]],
    out: Path,
    datasets: Iterable[str],
    formats: Sequence[str],
    force: bool,
) -> dict[tuple[str, ...], Path]:
    """Paths without suffix, after the check that no file must be replaced."""
    keys = list(keys)
    ends = {key[1:] for key in keys} | {(metric,) for metric in METRICS}
    names = file_names(sorted({*keys, *((name, *end) for name in datasets for end in ends)}))
    paths = {key: out / names[key] for key in keys}
    output_files([file for path in paths.values() for file in _files(path, formats)], force=force)
    return paths


def panels_of(
    curves: Sequence[Curve], metrics: Sequence[str] = (), datasets: Sequence[str] = ()
) -> Iterator[Panel]:
    """A panel for each data set and metric that has curves, or those of them asked for."""
    for dataset in datasets or sorted({curve.dataset for curve in curves}):
        here = [c for c in curves if c.dataset == dataset]
        for metric in metrics or METRICS:
            panel = Panel(dataset, metric, here)
            if not panel.is_empty:
                yield panel


def save(figure: "Figure", path: Path, formats: Iterable[str] = FORMATS) -> list[Path]:
    """Write a figure as ``PATH.FORMAT``; the same records give the same file, to the byte."""
    written = _files(path, formats)
    use_fonts_for_names(figure)
    with quiet_fonts():
        figure.draw_without_rendering()
    figure.set_layout_engine("none")  # one layout for all formats
    for file in written:
        no_dates = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(file.suffix)
        with quiet_fonts():
            write_figure(file, figure, dpi=300, metadata=no_dates)
    return written


def _files(path: Path, formats: Iterable[str]) -> list[Path]:
    return [path.with_name(f"{path.name}.{suffix}") for suffix in formats]


def rd_figure(panels: Sequence[Panel], design: Design | None = None) -> "Figure":
    """Draw quality over rate, at most three panels a row; see `rdbench.report.diagrams.draw`."""
    return draw([panel.diagram() for panel in panels], design or Design())
