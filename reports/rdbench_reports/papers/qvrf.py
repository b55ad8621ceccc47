"""QVRF (Tong et al. 2023, https://arxiv.org/abs/2303.05744), table by table, figure by figure."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rdbench.analysis.paper import Evidence, Finding, Item, Missing, Paper, Plot, Value
from rdbench.analysis.variable_rate import variable_rate_penalty
from rdbench.curve import Curve
from rdbench.errors import DataError, Unavailable, UsageError
from rdbench.registry import codec_from_spec
from rdbench.types import Record
from rdbench_reports.papers.common import (
    Row,
    diagram,
    entry,
    measured_notes,
    n_parameters,
    panel,
    rd_plot,
    table,
    to_measure,
    to_train,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIXED = {
    "bmshj2018-hyperprior": "bmshj2018-hyperprior",
    "mbt2018": "mbt2018",
    "cheng2020-attn": "cheng2020-attn-retrained",
}
"""Baseline -> its published fixed-rate curve that the paper compares with."""

_TITLES = {
    "bmshj2018-hyperprior": "Ballé et al. 2018",
    "mbt2018": "Minnen et al. 2018",
    "cheng2020-attn": "Cheng et al. 2020",
}
_METHODS = ("qvrf", "cui2021", "song2021", "theis2017")
_OURS = "qvrf-cheng2020-attn"


def _table_1(evidence: Evidence) -> Finding:
    values = []
    for row in table("qvrf", "table1"):
        method = str(row["method"]).split()[0]
        for baseline, fixed in FIXED.items():
            codec = f"{method}-{baseline}"
            published = evidence.published("kodak", codec), evidence.published("kodak", fixed)
            own = evidence.measured("kodak", codec), evidence.measured("kodak", baseline)
            here = tuple(next(iter(curves), None) for curves in own)
            values.append(
                Value(
                    codec,
                    f"BD-rate against {baseline} (%)",
                    row[baseline],
                    _penalty(*published),
                    _penalty(*here),
                )
            )
    missing = [
        Missing(
            "curves of cui2021 on the three baselines: neither weights nor curves were published",
            to_train("cui2021-mbt2018"),
        ),
        *(m for b in FIXED for m in to_measure(b, ["kodak"], evidence)),
    ]
    notes = (
        "mean over thirds of the common range of log rate; the paper takes four points each at low,"
        " medium and high rates and does not say which",
        *measured_notes(evidence, "kodak", [f"qvrf-{baseline}" for baseline in FIXED]),
    )
    return Finding(tuple(values), notes=notes, missing=tuple(missing))


def _penalty(variable: Curve | None, fixed: Curve | None) -> float | None:
    if variable is None or fixed is None:
        return None
    try:
        return variable_rate_penalty(variable, fixed).mean_of_intervals_percent
    except DataError:
        return None


def _table_2(evidence: Evidence) -> Finding:
    values = [value for row in table("qvrf", "table2") for value in _extra_values(evidence, row)]
    missing = [
        Missing(f"extra MACs on {baseline} here", _count_macs(baseline, evidence.folder))
        for baseline in ("bmshj2018-hyperprior", "cheng2020-attn")
        if _extra_macs(evidence, f"qvrf-{baseline}", baseline) is None
    ]
    notes = ("here: networks of the published widths, at the highest rate",)
    return Finding(tuple(values), notes=notes, missing=tuple(missing))


def _extra_values(evidence: Evidence, row: Row) -> list[Value]:
    """A line of the table: what every method adds to one baseline."""
    count: Callable[[str, str], float | None]
    if row["quantity"] == "params":
        what, count = "extra parameters (%)", _extra_parameters
    else:
        what, count = "extra MACs (%)", functools.partial(_extra_macs, evidence)
    baseline = row["model"]
    codecs = {method: f"{method}-{baseline}" for method in _METHODS}
    return [
        Value(codec, what, row[method], here=count(codec, baseline))
        for method, codec in codecs.items()
    ]


def _extra_macs(evidence: Evidence, codec: str, baseline: str) -> float | None:
    return evidence.extra_macs(f"{codec}:weights=random", f"{baseline}:weights=random")


def _count_macs(baseline: str, folder: Path) -> str:
    """The command that counts them and keeps them in the report folder."""
    codecs = "".join(f" --codec {method}-{baseline}:weights=random" for method in _METHODS)
    return f"rdbench complexity{codecs} --reference {baseline}:weights=random --out {folder}"


def _extra_parameters(codec: str, baseline: str) -> float:
    """Parameters that a method adds to one fixed-rate model of the same widths, in percent."""
    fixed = n_parameters(codec_from_spec(f"{baseline}:weights=random").ladder()[-1])
    return 100 * (n_parameters(codec_from_spec(f"{codec}:weights=random")) - fixed) / fixed


def _table_r1(evidence: Evidence) -> Finding:
    rows = table("qvrf", "tableR1")
    curves = evidence.measured("kodak", _OURS)
    records: list[Record | None] = [None] * len(rows)
    if curves:
        found = [r for r in evidence.records(curves[0]) if r.image.startswith("kodim01")]
        found.sort(key=lambda r: r.n_bytes or 0)
        records[: len(found)] = found[: len(rows)]
    values = [
        value
        for number, (row, record) in enumerate(zip(rows, records, strict=True), start=1)
        for value in _r1_values(number, row, record)
    ]
    notes = (
        "row 2 as printed: its total and latent rates do not add up; the total is probably 0.37451",
        *measured_notes(evidence, "kodak", [_OURS]),
    )
    return Finding(tuple(values), notes=notes, missing=to_measure(_OURS, ["kodak"], evidence))


def _r1_values(number: int, row: Row, record: Record | None) -> list[Value]:
    label = f"rate {number}"
    parts = {} if record is None else _bpp_by_segment(record)
    scores = {} if record is None else record.scores
    total = row["latent_bpp"] + row["side_bpp"]
    return [
        Value(label, "total (bpp)", row["total_bpp"], total, record.bpp if record else None),
        Value(label, "latent (bpp)", row["latent_bpp"], here=parts.get("y")),
        Value(label, "side information (bpp)", row["side_bpp"], here=parts.get("z")),
        Value(label, "PSNR (dB)", row["psnr_db"], here=scores.get("psnr_rgb")),
        Value(label, "MS-SSIM", row["ms_ssim"], here=scores.get("ms_ssim")),
    ]


def _bpp_by_segment(record: Record) -> dict[str, float]:
    n_pixels = record.width * record.height
    return {segment.name: 8 * segment.n_bytes / n_pixels for segment in record.segments}


def _equation_7(evidence: Evidence) -> Finding:
    published = entry("qvrf", "equation7")
    fit, missing = _fit(evidence)
    slope, intercept = (fit.slope, fit.intercept) if fit else (None, None)
    values = (
        Value(_OURS, "slope", published["slope"], here=slope),
        Value(_OURS, "intercept", published["intercept"], here=intercept),
    )
    plot = Plot("figure-3", lambda: _draw_fit(published["slope"], published["intercept"], fit))
    return Finding(values, (plot,), missing=missing)


def _fit(evidence: Evidence) -> tuple[Any, tuple[Missing, ...]]:
    """The line through the regulators of the weights that were measured, or of the default ones."""
    own = evidence.measured("kodak", _OURS)
    codec: Any = codec_from_spec(own[0].specs[0] if own else _OURS)
    try:
        return codec.regulator_fit(), ()
    except (Unavailable, UsageError) as error:
        return None, (Missing("regulators of trained weights", str(error)),)


def _draw_fit(slope: float, intercept: float, fit: Any) -> "Figure":
    from matplotlib.figure import Figure

    from rdbench.report.plots import COLUMN_IN

    figure = Figure(figsize=(COLUMN_IN, 2.6), layout="constrained")
    axes = figure.subplots()
    a = np.array([1.0, (10 - intercept) / slope])
    axes.plot(a, slope * a + intercept, "--", color="#D55E00",
              label=f"published: {slope} a + {intercept}")  # fmt: skip
    if fit:
        regulators = np.asarray(fit.regulators)
        roots = np.sqrt(np.asarray(fit.lambdas) / fit.lambdas[0])
        line = f"fit here: {fit.slope:.4f} a {fit.intercept:+.4f}"
        blue = "#0072B2"
        axes.plot(regulators, roots, "o", color=blue, label="regulators here")
        axes.plot(regulators, fit.slope * regulators + fit.intercept, color=blue, lw=1, label=line)
    axes.set_xlabel("Quantization regulator a")
    axes.set_ylabel(r"$\sqrt{\lambda / \lambda_{\mathrm{ref}}}$", parse_math=True)
    axes.legend(fontsize=7)
    return figure


def _figure_2(evidence: Evidence) -> Finding:
    return _curves(evidence, "figure-2", {"Kodak": "kodak"}, ("cheng2020-attn",), (
        Missing("continuous rates", f"rdbench run --codec {_OURS}:a=1,1.5,2.5,4,6,9 -d kodak"),
        *to_measure(_OURS, ["kodak"], evidence),
    ))  # fmt: skip


def _figure_a2(evidence: Evidence) -> Finding:
    return _curves(evidence, "figure-a2", {"Kodak": "kodak"}, ("cheng2020-attn",), (
        Missing(
            "QVRF trained with eleven multipliers up to 1.44: neither weights nor a curve were "
            "published",
            "put the multipliers into a copy of the recipe `paper`; " + to_train(_OURS),
        ),
    ))  # fmt: skip


def _curves(
    evidence: Evidence,
    name: str,
    datasets: dict[str, str],
    baselines: Sequence[str],
    missing: tuple[Missing, ...],
    metrics: Sequence[str] = ("psnr_rgb",),
) -> Finding:
    """A panel for every data set, baseline and metric: every method, and the fixed-rate models."""
    found = {
        (title, metric): [
            c
            for baseline in baselines
            for c in _of_baseline(evidence, dataset, baseline)
            if c.has(metric)
        ]
        for title, dataset in datasets.items()
        for metric in metrics
    }
    there = {key: curves for key, curves in found.items() if curves}
    plots = (
        (rd_plot(name, lambda: [panel(t, c, metric) for (t, metric), c in there.items()]),)
        if there
        else ()
    )
    return Finding(plots=plots, missing=missing)


def _of_baseline(evidence: Evidence, dataset: str, baseline: str) -> list[Curve]:
    """Every method on a baseline, and its fixed-rate models of the same pictures."""
    methods = evidence.curves(dataset, *(f"{method}-{baseline}" for method in _METHODS))
    fixed = evidence.curves(dataset, FIXED[baseline]) if dataset == "kodak" else []
    return methods + fixed + evidence.measured(dataset, baseline)


def _figure_4(evidence: Evidence) -> Finding:
    plot = rd_plot(
        "figure-4",
        lambda: [
            panel(_TITLES[baseline], _of_baseline(evidence, "kodak", baseline))
            for baseline in FIXED
        ],
    )
    rivals = Missing(
        "cui2021, song2021, theis2017: neither weights nor curves were published",
        "; ".join(to_train(f"{method}-mbt2018") for method in _METHODS[1:]),
    )
    return Finding(plots=(plot,), missing=(rivals,))


def _figure_5(evidence: Evidence) -> Finding:
    found = _two_metrics(evidence, "figure-5", "CLIC validation", "clic2020-valid-professional")
    note = (
        "CompressAI publishes mbt2018 on the CLIC 2020 test sets only (clic2020-test-professional, "
        "clic2020-test-mobile): other pictures, not drawn"
    )
    return replace(found, notes=(note,))


def _figure_6(evidence: Evidence) -> Finding:
    return _two_metrics(evidence, "figure-6", "JPEG AI", "jpegai")


def _two_metrics(evidence: Evidence, name: str, title: str, dataset: str) -> Finding:
    missing = (
        Missing(
            f"cui2021-mbt2018 on {dataset}: neither weights nor a curve were published",
            to_train("cui2021-mbt2018", dataset),
        ),
        *to_measure("mbt2018", [dataset], evidence),
    )
    metrics = ("psnr_rgb", "ms_ssim")
    return _curves(evidence, name, {title: dataset}, ("mbt2018",), missing, metrics)


PAPER = Paper(
    "qvrf",
    "QVRF: A Quantization-error-aware Variable Rate Framework for Learned Image Compression "
    "(ICIP 2023)",
    "https://arxiv.org/abs/2303.05744",
    (
        Item("Table 1", "BD-rate of variable-rate models against fixed-rate models", _table_1),
        Item("Table 2", "Extra parameters and MACs over one fixed-rate model", _table_2),
        Item("Table R1", "Rate of latent and side information, kodim01", _table_r1),
        diagram("Figure 1", "Where the regulator acts"),
        Item("Figure 2", "Discrete and continuous rates against fixed-rate models", _figure_2),
        Item("Figure 3", "Regulators against the root of lambda, equation 7", _equation_7),
        Item("Figure 4", "Variable-rate methods on three baselines, Kodak", _figure_4),
        Item("Figure 5", "On CLIC validation", _figure_5),
        Item("Figure 6", "On JPEG AI", _figure_6),
        diagram("Figure A1", "A larger regulator needs more bits"),
        Item("Figure A2", "Eleven multipliers", _figure_a2),
    ),
)
