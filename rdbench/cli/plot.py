"""``rdbench plot``: figures of rate-distortion curves."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rdbench.analysis.bd import bd_rate
from rdbench.analysis.comparison import Comparison, Figures, compare, figures
from rdbench.analysis.delta import Method
from rdbench.analysis.measured import notes_on
from rdbench.analysis.saving import rate_saving
from rdbench.analysis.selection import DEFAULT_ANCHOR, is_own, measured, named, select, shown_by
from rdbench.cli import options
from rdbench.cli.console import grouped, progress, say, warn
from rdbench.curve import Curve, metric_name
from rdbench.errors import DataError, RdbenchError, UsageError
from rdbench.files import output_files
from rdbench.importers import import_curves
from rdbench.metrics import METRICS
from rdbench.published import list_curves
from rdbench.report.diagrams import LEGENDS, Design, Diagram, Key, in_order, key_of
from rdbench.report.plots import (
    ALL_FORMATS,
    FORMATS,
    LANDMARKS,
    Panel,
    panels_of,
    saving_diagram,
    write_diagrams,
    write_figures,
)
from rdbench.report.strips import strips_figure
from rdbench.report.style import COLUMN_IN, LATEX, PAGE_IN, styled
from rdbench.store import kept_in, run_command

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES = ("curves", "saving", "images")

FigureKind = Annotated[
    str,
    options.choice(
        "--figure",
        FIGURES,
        "What to draw: quality over rate, rate saved over quality, or BD-rates of each image",
        "-f",
    ),
]
Formats = Annotated[
    list[str],
    options.choice(
        "--format", ALL_FORMATS, f"Format, default: {', '.join(FORMATS)}; tex is for pgfplots"
    ),
]
Datasets = Annotated[
    list[str],
    typer.Option("--dataset", "-d", metavar="DATASET",
                 help="Only this data set; default: those with own curves. Repeatable."),
]  # fmt: skip
Limits = Annotated[str, typer.Option(metavar="LOW,HIGH", help="Range of the axis.")]


def plot(
    folder: options.Folder = options.REPORTS,
    figure: FigureKind = "curves",
    codec: options.CurveNames = options.ALL,
    dataset: Datasets = options.ALL,
    metric: Annotated[
        list[str],
        options.choice("--metric", ["psnr", *METRICS], "Only this metric; default: measured", "-m"),
    ] = options.ALL,
    published: Annotated[
        list[str],
        options.curves(
            "--published",
            help="Published curves to show: none, all, or names separated by commas. Default: "
            f"{', '.join(LANDMARKS)}; with --codec: those of that name.",
        ),
    ] = options.ALL,
    grid: Annotated[
        bool, typer.Option("--grid", help="One figure: a column per data set, a row per metric.")
    ] = False,
    bd_rates: Annotated[
        bool, typer.Option("--bd-rate", help="Print BD-rates behind the names.")
    ] = False,
    anchor: options.Anchor = "",
    method: options.Method = "poly3",
    xlim: Limits = "",
    ylim: Limits = "",
    log: Annotated[bool, typer.Option("--log", help="Logarithmic rate axis.")] = False,
    title: Annotated[
        str | None, typer.Option(help="Title; default: the data set; an empty text for none.")
    ] = None,
    name: options.Names = options.ALL,
    legend: Annotated[
        str,
        options.choice(
            "--legend",
            LEGENDS,
            "Where names are (auto: at the lines or below; below, right: outside the diagram)",
        ),
    ] = "auto",
    inset: Annotated[
        str,
        typer.Option(
            metavar="LOW,HIGH[,BOTTOM,TOP]", help="Range of rates that is also shown enlarged."
        ),
    ] = "",
    style: Annotated[
        str,
        typer.Option(
            metavar="FILE", help=f"Style file or style of matplotlib, or `{LATEX}` for its letters."
        ),
    ] = "",
    form: Formats = options.ALL,
    out: Annotated[Path | None, options.out("Folder to write; default: FOLDER/figures.")] = None,
    width: Annotated[
        float,
        typer.Option(
            min=2.0,
            max=100.0,
            help=f"Width in inches: {COLUMN_IN} for a column of a paper, {PAGE_IN} for a page.",
        ),
    ] = PAGE_IN,
    force: options.Force = False,
    files: options.CurveFiles = options.ALL,
) -> None:
    """Draw figures for a paper: rate-distortion curves, rate saved, BD-rates by image.

    Shows every measured metric over rate for each data set, as PNG, PDF and SVG. Your own curves
    have filled markers, published ones hollow markers. A dashed line is a codec with a model for
    each rate. `rdbench board --out` draws BD-rate over year and complexity.

    Example: rdbench plot reports --codec qarv --codec vtm18 --name qarv=Ours --width 3.5
    """
    design = Design(
        width, {}, title, _range(xlim, "--xlim"), _range(ylim, "--ylim"), log, legend,
        _window(inset),
    )  # fmt: skip
    imported = import_curves(files, dataset[0] if len(dataset) == 1 else None)
    own = [*imported, *measured(folder)]
    wanted = _Wanted(folder, dataset, codec, options.published_names(published), metric)
    curves = wanted.choose(own)
    shown = {c.dataset for c in curves}
    anchors = [c for c in (*own, *list_curves()) if c.is_called(anchor or DEFAULT_ANCHOR)]
    known = [*curves, *(c for c in anchors if c.dataset in shown)]
    names = options.printed_names(name, _names_in(known), "this figure")
    design = replace(design, names=names, keys=tuple(sorted(map(key_of, curves), key=in_order)))
    replace_files, target = force or out is None, out or folder / "figures"
    output_files([target], kept_in(folder), force=True)
    comparison = partial(_compare, wanted, imported, anchor, curves)
    datasets = {c.dataset for c in own} | set(dataset)
    with styled(style), progress("drawing"):
        if figure == "images":
            written = write_figures(
                _strips(comparison, wanted.panels(curves), method, design),
                target, datasets, form or FORMATS, replace_files,
            )  # fmt: skip
        else:
            drawn = (
                _savings(comparison, wanted.panels(curves), method, design)
                if figure == "saving"
                else _curves(comparison, wanted.panels(curves), method, design, bd_rates)
            )
            pages = _pages(drawn, grid, figure)
            written = write_diagrams(pages, target, datasets, form or FORMATS, replace_files)
    typer.echo("\n".join(map(str, written)))
    for curve in filter(is_own, curves):
        for note in notes_on(curve):
            say(f"{curve.label} on {curve.dataset}: {note.message}")


@dataclass(frozen=True)
class _Wanted:
    """What is asked for."""

    folder: Path
    datasets: Sequence[str]
    codecs: Sequence[str]
    published: Sequence[str]
    metrics: Sequence[str]

    def choose(self, own: Sequence[Curve]) -> list[Curve]:
        """Return the curves to draw, own ones first.

        Raises:
            UsageError: a name that no curve has, or nothing to draw.
        """
        datasets = self.datasets or {c.dataset for c in own}
        here = [c for c in (*own, *list_curves()) if c.dataset in datasets]
        if self.codecs and here:
            here = named(here, self.codecs)
        curves = list(filter(self.is_shown, here))
        if not any(self.panels(curves)):
            on = f" on {', '.join(map(repr, self.datasets))}" if self.datasets else ""
            advice = self._how_to_measure(sorted({c.dataset for c in own}))
            raise UsageError(f"no curve to draw in {self.folder}{on}; {advice}")
        return curves

    def is_shown(self, curve: Curve) -> bool:
        return shown_by(self.published or (() if self.codecs else LANDMARKS))(curve)

    def panels(self, curves: Sequence[Curve]) -> list[Panel]:
        """Return a panel for each data set and metric."""
        metrics = [metric_name(metric) for metric in self.metrics]
        return list(panels_of(curves, metrics, self.datasets))

    def _how_to_measure(self, known: Sequence[str]) -> str:
        if self.datasets and known:
            return f"there are some on {', '.join(known)}"
        dataset = self.datasets[0] if self.datasets else "sample"
        return f"measure one, such as `{run_command('jpeg', dataset, self.folder)}`"


Compare = Callable[[Panel], Comparison]


def _compare(
    wanted: _Wanted, imported: Sequence[Curve], anchor: str, curves: Sequence[Curve], panel: Panel
) -> Comparison:
    """Pair the curves of a panel with the anchor, and say which that is."""
    selection = select(wanted.folder, panel.title, imported)
    shown = {(c.label, c.source) for c in curves if c.dataset == panel.title}
    found = compare(selection, anchor, (), panel.metric, lambda c: (c.label, c.source) in shown)
    warn(*found.notes)
    return found


Drawn = tuple[Panel, Diagram, Design]


def _curves(
    comparison: Compare, panels: Sequence[Panel], method: Method, design: Design, bd_rates: bool
) -> list[Drawn]:
    """Quality over rate, with BD-rates behind the names where they are asked for."""
    if not bd_rates:
        return [(panel, panel.diagram(), design) for panel in panels]
    drawn: list[Drawn] = []
    found_any = False
    for panel in panels:
        pairs = comparison(panel)
        found = _bd_rates(pairs, panel, method)
        found_any |= bool(found.found)
        suffixes = {
            key_of(c): f"{figure.bd_rate_percent:+.1f} %".replace("-", "\u2212")
            for c, figure in found.found
        }
        anchors = [design.plain_name(anchor) for anchor, _ in pairs.pairs[:1]]
        note = "".join(f"in parentheses: BD-rate against {name}" for name in anchors)
        drawn.append((panel, panel.diagram(), replace(design, suffixes=suffixes, note=note)))
    if not found_any:
        raise RdbenchError("no BD-rate to print: see above")
    return drawn


def _bd_rates(comparison: Comparison, panel: Panel, method: Method) -> Figures:
    found = figures(comparison, partial(bd_rate, metric=panel.metric, method=method))
    warn(*grouped(found.notes))
    return found


def _savings(
    comparison: Compare, panels: Sequence[Panel], method: Method, design: Design
) -> list[Drawn]:
    """Rate saved over quality."""
    drawn: list[Drawn] = []
    for panel in panels:
        savings = []
        for anchor, test in comparison(panel).pairs:
            try:
                savings.append(rate_saving(anchor, test, panel.metric, method))
            except (DataError, UsageError) as error:
                warn(f"{test.label} on {test.dataset}: {error}")
        if savings:
            anchor_name = design.plain_name(savings[0].anchor)
            diagram = saving_diagram(panel.title, panel.metric, savings, anchor_name)
            drawn.append((panel, diagram, replace(design, log=False)))
    if not drawn:
        raise RdbenchError("no rate saved to draw: see above")
    return drawn


def _strips(
    comparison: Compare, panels: Sequence[Panel], method: Method, design: Design
) -> dict[tuple[str, ...], "Figure"]:
    """BD-rates image by image."""
    drawn: dict[tuple[str, ...], Figure] = {}
    for panel in panels:
        pairs = comparison(panel)
        found = _bd_rates(pairs, panel, method).found
        known = [(c, f) for c, f in found if any(v is not None for _, v in f.per_image)]
        if known:
            known.sort(key=lambda entry: -entry[1].rank)
            anchor = pairs.pairs[0][0]
            key = (panel.title, panel.metric, "images")
            drawn[key] = strips_figure(known, panel.title, anchor, design)
    if not drawn:
        raise RdbenchError("no codec has scores of each image on both sides: see above")
    return drawn


def _pages(
    drawn: Sequence[Drawn], grid: bool, figure: str
) -> Mapping[tuple[str, ...], tuple[list[Diagram], Design]]:
    """Parts of a file name -> diagrams and their design: one figure each, or one for all."""
    end = () if figure == "curves" else (figure,)
    if not grid:
        return {(p.title, p.metric, *end): ([diagram], design) for p, diagram, design in drawn}
    n_datasets = len({panel.title for panel, _, _ in drawn})
    metrics = list(dict.fromkeys(panel.metric for panel, _, _ in drawn))
    ordered = sorted(drawn, key=lambda entry: metrics.index(entry[0].metric))
    is_full = len(ordered) == n_datasets * len(metrics)
    design = replace(
        ordered[0][2],
        suffixes=_all_suffixes([design.suffixes for _, _, design in ordered]),
        n_columns=n_datasets if is_full and n_datasets > 1 else 0,
    )
    return {("grid", figure): ([diagram for _, diagram, _ in ordered], design)}


def _all_suffixes(texts: Sequence[Mapping[Key, str]]) -> dict[Key, str]:
    """What is printed behind a name that is shared by lines of several diagrams."""
    keys = dict.fromkeys(key for suffixes in texts for key in suffixes)
    return {key: ", ".join(suffixes.get(key, "\u2013") for suffixes in texts) for key in keys}


def _names_in(curves: Sequence[Curve]) -> list[str]:
    """Codecs, labels and data sets of curves."""
    names = [(c.codec, c.dataset, c.label) for c in curves]
    return [name for group in zip(*names, strict=True) for name in group]


def _numbers(text: str, option: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(word) for word in text.split(",")) if text else ()
    except ValueError:
        numbers = (math.nan,)
    rises = all(a < b for a, b in zip(numbers[::2], numbers[1::2], strict=False))
    if len(numbers) % 2 or not all(map(math.isfinite, numbers)) or not rises:
        raise UsageError(f"{option} takes LOW,HIGH, not {text!r}")
    return numbers


def _range(text: str, option: str) -> tuple[float, float] | None:
    numbers = _numbers(text, option)
    if len(numbers) > 2:
        raise UsageError(f"{option} takes LOW,HIGH, not {text!r}")
    return (numbers[0], numbers[1]) if numbers else None


def _window(text: str) -> tuple[float, ...]:
    numbers = _numbers(text, "--inset")
    if len(numbers) > 4:
        raise UsageError(f"--inset takes LOW,HIGH or LOW,HIGH,BOTTOM,TOP, not {text!r}")
    return numbers
