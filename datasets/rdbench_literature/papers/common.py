"""Helpers shared by the modules of the papers."""

import json
import shlex
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import cache, partial
from importlib.resources import files
from typing import Any

from rdbench.analysis.paper import Evidence, Finding, Item, Missing, Plot
from rdbench.curve import Curve
from rdbench.report.plots import Panel, rd_figure
from rdbench.spec import get_codec

Row = Mapping[str, Any]


@cache
def _tables() -> dict[str, Any]:
    file = files("rdbench_literature").joinpath("published", "paper_tables.json")
    text = file.read_text(encoding="utf-8")
    # Decimals keep trailing zeros as printed in the paper.
    body: dict[str, Any] = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    return body


def table(paper: str, name: str) -> list[Row]:
    """Return the rows of a paper's table, each a mapping from column to value."""
    body = _tables()[paper][name]
    return [dict(zip(body["columns"], row, strict=True)) for row in body["rows"]]


def entry(paper: str, name: str) -> Row:
    """Return the numbers of a paper that are not in a table, such as those of an equation."""
    found: Row = _tables()[paper][name]
    return found


def without_data(name: str, caption: str, note: str = "diagram: nothing to measure") -> Item:
    """Make an item for a table or figure that contains no measurements."""
    return Item(name, caption, lambda _: Finding(notes=(note,)))


def rd_finding(
    evidence: Evidence,
    name: str,
    panels: Iterable[Panel],
    missing: Iterable[Missing],
    notes: Iterable[str] = (),
) -> Finding:
    """Draw rate-distortion panels into the figure ``name``, and name the measured curves in them.

    Panels without a curve that has their metric are left out.
    """
    shown = [p for p in panels if any(c.has(p.metric) for c in p.curves)]
    curves = [c for p in shown for c in p.curves if c.source == "measured" and c.has(p.metric)]
    return Finding(
        plots=(Plot(name, partial(rd_figure, shown)),) if shown else (),
        notes=(*notes, *drawn_notes(evidence, curves)),
        missing=tuple(missing),
    )


@cache
def n_parameters(codec: Any) -> int:
    """Count the parameters of a learned codec's network."""
    return int(codec.parameter_counts()["total"])


def millions_of_ladder(spec: str) -> float:
    """Count the parameters, in millions, of all models that a codec needs for its rates."""
    codec = get_codec(spec)
    models = (codec,) if codec.variable_rate else codec.ladder()
    return sum(map(n_parameters, models)) / 1e6


def measured_curve(evidence: Evidence, dataset: str, codec: str) -> Curve | None:
    """Return the measured curve that is compared with the paper, if there is one."""
    return next(iter(evidence.measured(dataset, codec)), None)


_KINDS = {"other": "full-size network, not the published weights", "reduced": "a reduced network"}


def weights_note(curve: Curve | None) -> str:
    """Name the weights of a measured curve, unless they are the published ones."""
    if curve is None or curve.weights_kind not in _KINDS:
        return ""
    return f"{curve.key} ({_KINDS[curve.weights_kind]})"


def measured_notes(evidence: Evidence, dataset: str, codecs: Iterable[str]) -> tuple[str, ...]:
    """Name the measured curves that are compared with the paper, and why others are not."""
    notes = []
    for codec in codecs:
        if (own := measured_curve(evidence, dataset, codec)) is not None:
            notes.append(f"{codec} measured on {dataset}: {_description(own)}")
        notes += [
            f"not compared, on {dataset}: {curve.key}: {why}"
            for curve in evidence.own(dataset, codec)
            if (why := evidence.objection(curve))
        ]
    return tuple(notes)


def drawn_notes(evidence: Evidence, curves: Iterable[Curve]) -> tuple[str, ...]:
    """Name measured curves, with their weights and scores if those differ from the paper's."""
    notes = (
        f"{curve.codec} measured on {curve.dataset}: "
        f"{_description(curve, evidence.other_scores(curve))}"
        for curve in curves
    )
    return tuple(dict.fromkeys(notes))


def _description(curve: Curve, *more: str | None) -> str:
    return ", ".join(filter(None, (str(curve.key), _KINDS.get(curve.weights_kind), *more)))


def unpublished(what: str, *steps: str) -> Missing:
    """Describe networks that authors did not publish, and the steps that train them."""
    return Missing(f"{what}: neither weights nor curves were published", "; ".join(steps))


def to_train(codec: str, evidence: Evidence, dataset: str = "kodak", config: str = "paper") -> str:
    """Return the commands that train a codec by a recipe and measure it as the paper does."""
    folder = f"{codec}-{config}"
    spec = f"{codec}:weights={folder}/weights.safetensors"
    return (
        f"rdbench train {codec} --config {config} --data IMAGES --out {folder}; "
        f"{to_run(spec, evidence, dataset)}"
    )


def to_measure(codec: str, datasets: Iterable[str], evidence: Evidence) -> tuple[Missing, ...]:
    """Describe the data sets on which a codec was not measured, and how to measure it there."""
    absent = [dataset for dataset in datasets if not evidence.measured(dataset, codec)]
    if not absent:
        return ()
    what = f"{codec} measured on {', '.join(absent)} with its published weights"
    return (Missing(what, to_fetch_and_run(codec, evidence, *absent, weights=codec)),)


def to_fetch_and_run(spec: str, evidence: Evidence, *datasets: str, weights: str) -> str:
    """Return the commands that fetch data sets and weights, and measure operating points."""
    fetch = "".join(f"rdbench datasets fetch {dataset}; " for dataset in datasets)
    return f"{fetch}rdbench weights fetch {weights}; {to_run(spec, evidence, *datasets)}"


def to_run(spec: str, evidence: Evidence, *datasets: str) -> str:
    """Return the command that measures operating points as the paper does."""
    options = "".join(f" --dataset {dataset}" for dataset in datasets)
    out = shlex.quote(str(evidence.folder))
    return f"rdbench run --codec {spec}{options} --scored {evidence.scored} --out {out}"
