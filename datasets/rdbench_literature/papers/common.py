"""What the papers' modules share."""

import json
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from rdbench.analysis.complexity import Countable
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
    file = files("rdbench_literature").joinpath("published", "paper_tables.json")
    text = file.read_text(encoding="utf-8")
    # Decimals keep the zeros at the end of what a paper prints.
    body: dict[str, Any] = json.loads(text, parse_float=Decimal, parse_int=Decimal)
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


_KINDS = {"other": "full-size network, not the published weights", "reduced": "a reduced network"}


def weights_note(curve: Curve) -> str:
    """What a value rests on where it is not the published weights: the weights of a curve."""
    if curve.weights_kind not in _KINDS:
        return ""
    return f"{curve.key} ({_KINDS[curve.weights_kind]})"


def measured_notes(evidence: Evidence, dataset: str, codecs: Iterable[str]) -> tuple[str, ...]:
    """Which measured curve stands for each codec, and which ones do not and why."""
    notes = []
    for codec in codecs:
        own = evidence.measured(dataset, codec)[:1]
        notes += [f"{codec} here, on {dataset}: {_described(curve)}" for curve in own]
        notes += [
            f"not compared, on {dataset}: {curve.key}: {why}"
            for curve in evidence.own(dataset, codec)
            if (why := evidence.objection(curve))
        ]
    return tuple(notes)


def drawn_notes(evidence: Evidence, dataset: str, codecs: Iterable[str]) -> tuple[str, ...]:
    """Which measured curves a figure shows: their weights, and scores unlike the paper's."""
    return tuple(
        f"{codec} here, on {dataset}: "
        + ", ".join(filter(None, (_described(curve), evidence.other_scores(curve))))
        for codec in codecs
        for curve in evidence.drawable(dataset, codec)
    )


def _described(curve: Curve) -> str:
    kind = _KINDS.get(curve.weights_kind)
    return ", ".join(filter(None, (str(curve.key), kind)))


def to_train(codec: str, evidence: Evidence, dataset: str = "kodak", config: str = "paper") -> str:
    """Commands that train a codec by a recipe and measure it as the paper does."""
    folder = f"{codec}-{config}"
    return (
        f"rdbench train {codec} --config {config} --data PICTURES --out {folder}; "
        f"rdbench run --codec {codec}:weights={folder}/weights.safetensors {_on(evidence, dataset)}"
    )


def to_measure(codec: str, datasets: Iterable[str], evidence: Evidence) -> tuple[Missing, ...]:
    """How to get a codec's measured curves on the data sets where there is none."""
    absent = [dataset for dataset in datasets if not evidence.measured(dataset, codec)]
    if not absent:
        return ()
    fetched = "".join(f"rdbench datasets fetch {dataset}; " for dataset in absent)
    return (
        Missing(
            f"{codec} measured on {', '.join(absent)} with its published weights",
            f"{fetched}rdbench weights fetch {codec}; "
            f"rdbench run --codec {codec} {_on(evidence, *absent)}",
        ),
    )


def to_run(spec: str, evidence: Evidence, dataset: str = "kodak") -> str:
    """The command that measures operating points as the paper does."""
    return f"rdbench run --codec {spec} {_on(evidence, dataset)}"


def _on(evidence: Evidence, *datasets: str) -> str:
    """The options that put results into the report folder under the paper's protocol."""
    return " ".join(
        [
            *(f"--dataset {dataset}" for dataset in datasets),
            f"--scored {evidence.scored}",
            f"--out {shlex.quote(str(evidence.folder))}",
        ]
    )
