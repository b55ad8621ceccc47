"""What the papers' modules share."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from rdbench.analysis.complexity import Countable
from rdbench.analysis.curves import WEIGHTS_NOTES
from rdbench.analysis.paper import Evidence, Finding, Item, Missing, Plot
from rdbench.curve import Curve
from rdbench.errors import UsageError
from rdbench.registry import codec_from_spec
from rdbench.types import Codec

if TYPE_CHECKING:
    from rdbench.report.plots import Panel

Row = Mapping[str, Any]


@cache
def _tables() -> dict[str, Any]:
    file = files("rdbench_reports").joinpath("published", "paper_tables.json")
    body: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return body


def table(paper: str, name: str) -> list[Row]:
    """Rows of a paper's table, column -> value."""
    body = _tables()[paper][name]
    return [dict(zip(body["columns"], row, strict=True)) for row in body["rows"]]


def entry(paper: str, name: str) -> Row:
    """What a paper says in an equation."""
    found: Row = _tables()[paper][name]
    return found


def diagram(name: str, caption: str) -> Item:
    """A figure that shows no data."""
    return Item(name, caption, lambda _: Finding(notes=("a diagram: nothing to measure",)))


def n_parameters(codec: Codec) -> int:
    """Parameters of a codec's network."""
    if not isinstance(codec, Countable):
        raise UsageError(f"{codec.name} has no network")
    return codec.parameter_counts()["total"]


def n_parameters_of_ladder(spec: str) -> int:
    """Parameters of all models that a codec needs for its ladder."""
    codec = codec_from_spec(spec)
    return sum(
        n_parameters(point) for point in ((codec,) if codec.variable_rate else codec.ladder())
    )


def rd_plot(
    name: str,
    panels: Callable[[], "Sequence[Panel]"],
) -> Plot:
    """A figure of rate-distortion panels."""

    def draw() -> Any:
        from rdbench.report.plots import rd_figure

        return rd_figure(panels())

    return Plot(name, draw)


def panel(
    title: str,
    curves: Sequence[Curve],
    metric: str = "psnr_rgb",
    max_bpp: float | None = None,
) -> "Panel":
    """A rate-distortion panel; see rdbench.report.plots.Panel."""
    from rdbench.report.plots import Panel

    return Panel(title, metric, curves, max_bpp)


def measured_notes(evidence: Evidence, dataset: str, codecs: Iterable[str]) -> tuple[str, ...]:
    """Which measured curve stands for each codec: its settings and weights."""
    return _notes(dataset, {codec: evidence.measured(dataset, codec)[:1] for codec in codecs})


def drawn_notes(evidence: Evidence, dataset: str, codecs: Iterable[str]) -> tuple[str, ...]:
    """Which curves a figure shows of each codec, those of reduced networks too."""
    return _notes(dataset, {codec: evidence.drawable(dataset, codec) for codec in codecs})


def _notes(dataset: str, found: Mapping[str, Sequence[Curve]]) -> tuple[str, ...]:
    return tuple(
        f"{codec} here, on {dataset}: {curve.provenance['curve']}"
        + (f", {note}" if (note := WEIGHTS_NOTES.get(curve.weights_kind)) else "")
        for codec, curves in found.items()
        for curve in curves
    )


def to_train(codec: str, dataset: str = "kodak", config: str = "paper") -> str:
    """Commands that train a codec by a recipe and measure it."""
    folder = f"{codec}-{config}"
    return (
        f"rdbench train {codec} --config {config} --data PICTURES --out {folder}; "
        f"rdbench run --codec {codec}:weights={folder}/weights.safetensors --dataset {dataset}"
    )


def to_measure(codec: str, datasets: Iterable[str], evidence: Evidence) -> tuple[Missing, ...]:
    """How to get a codec's measured curves on the data sets where there is none."""
    absent = [dataset for dataset in datasets if not evidence.measured(dataset, codec)]
    if not absent:
        return ()
    options = "".join(f" --dataset {dataset}" for dataset in absent)
    return (
        Missing(
            f"{codec} measured on {', '.join(absent)}",
            f"rdbench weights fetch {codec}; rdbench run --codec {codec}{options}",
        ),
    )
