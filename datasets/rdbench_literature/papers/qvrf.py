"""QVRF (Tong et al. 2023, https://arxiv.org/abs/2303.05744), table by table, figure by figure."""

import functools
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rdbench.analysis.paper import Evidence, Finding, Item, Missing, Paper, Plot, Value
from rdbench.analysis.variable_rate import variable_rate_penalty
from rdbench.curve import Curve
from rdbench.errors import DataError, Unavailable, UsageError
from rdbench.registry import codec_from_spec
from rdbench.types import Record
from rdbench_literature.papers.common import (
    Row,
    diagram,
    drawn_notes,
    entry,
    measured_notes,
    n_parameters,
    panel,
    rd_plot,
    table,
    to_measure,
    to_run,
    to_train,
    weights_note,
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
_RELEASED = tuple(baseline for baseline, fixed in FIXED.items() if fixed == baseline)
"""Baselines whose fixed-rate networks are CompressAI's in the paper, too."""

_METHODS = ("qvrf", "cui2021", "song2021", "theis2017")
_OURS = "qvrf-cheng2020-attn"


def _table_1(evidence: Evidence) -> Finding:
    values = [
        _against_fixed(evidence, str(row["method"]).split()[0], baseline, row[baseline])
        for row in table("qvrf", "table1")
        for baseline in FIXED
    ]
    missing = [
        Missing(
            "curves of cui2021 on the three baselines: neither weights nor curves were published",
            "; ".join(to_train(f"cui2021-{baseline}", evidence) for baseline in FIXED),
        ),
        Missing(
            "qvrf on bmshj2018-hyperprior and mbt2018 here: weights were not published",
            "; ".join(to_train(f"qvrf-{b}", evidence) for b in FIXED if f"qvrf-{b}" != _OURS),
        ),
        *to_measure(_OURS, ["kodak"], evidence),
        *(m for b in _RELEASED for m in to_measure(b, ["kodak"], evidence)),
    ]
    codecs = (*(f"{m}-{b}" for m in ("qvrf", "cui2021") for b in FIXED), *_RELEASED)
    notes = (
        "mean over thirds of the common range of log rate; the paper takes four points each at low,"
        " medium and high rates and does not say which",
        "cheng2020-attn: the paper compares with eight networks of its own, whose published curve "
        "stands for them here, too; CompressAI's networks are others",
        *measured_notes(evidence, "kodak", codecs),
    )
    return Finding(tuple(values), notes=notes, missing=tuple(missing))


def _against_fixed(
    evidence: Evidence, method: str, baseline: str, printed: Decimal | None
) -> Value:
    """A cell of Table 1: a method against the fixed-rate networks that the paper compares with."""
    codec, fixed = f"{method}-{baseline}", FIXED[baseline]
    own = next(iter(evidence.measured("kodak", codec)), None)
    fixed_here = evidence.best("kodak", fixed)
    here = _penalty(own, fixed_here)
    note = ""
    if own is not None and fixed_here is not None and here is not None:
        against = f"against the {fixed_here.source} {fixed_here.label}"
        note = ", ".join(filter(None, (weights_note(own), against)))
    return Value(
        codec,
        f"BD-rate against {baseline} (%)",
        printed,
        _penalty(evidence.published("kodak", codec), evidence.published("kodak", fixed)),
        here,
        note,
    )


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
    notes = (
        "here: networks of the published widths, at the highest rate",
        "the paper does not define how it counts operations; its figures are near those of one "
        "pass, here encoder and decoder are counted together",
        "song2021: its transforms on these baselines are ours, the published ones are of another "
        "network",
        "theis2017 on cheng2020-attn: eight scales for each of 192 channels are 0.00518 %; the "
        "paper's figure would be 2048 scales",
    )
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
    out = shlex.quote(str(folder))
    codecs = "".join(f" --codec {method}-{baseline}:weights=random" for method in _METHODS)
    return f"rdbench complexity{codecs} --reference {baseline}:weights=random --out {out}"


def _extra_parameters(codec: str, baseline: str) -> float:
    """Parameters that a method adds to one fixed-rate model of the same widths, in percent."""
    fixed = n_parameters(codec_from_spec(f"{baseline}:weights=random").ladder()[-1])
    return 100 * (n_parameters(codec_from_spec(f"{codec}:weights=random")) - fixed) / fixed


def _table_r1(evidence: Evidence) -> Finding:
    rows = table("qvrf", "tableR1")
    curve = next(iter(evidence.measured("kodak", _OURS)), None)
    records = {} if curve is None else _by_index(evidence.records(curve))
    note = "" if curve is None else weights_note(curve)
    values = [
        value
        for number, row in enumerate(rows)
        for value in _r1_values(number, row, records.get(number), note)
    ]
    notes = (
        "row 2 as printed: its total and latent rates do not add up; the total is probably 0.37451",
        "total recomputed: latent plus side information as printed; total here: bytes of the whole "
        "file, header included",
        *measured_notes(evidence, "kodak", [_OURS]),
    )
    return Finding(tuple(values), notes=notes, missing=to_measure(_OURS, ["kodak"], evidence))


def _by_index(records: Sequence[Record]) -> dict[int, Record]:
    """Records of kodim01 by the regulator that gives their rate: the paper's rows, lowest first.

    Points of other rates (``a=``, ``lambda=``) are rows of no table.
    """
    return {
        int(r.rate_value): r
        for r in records
        if r.image == "kodim01.png" and r.rate_parameter == "index" and r.rate_value is not None
    }


def _r1_values(number: int, row: Row, record: Record | None, note: str) -> list[Value]:
    label = f"rate {number + 1}"
    parts = {} if record is None else _bpp_by_segment(record)
    scores = {} if record is None else record.scores
    sum_of_parts = float(row["latent_bpp"] + row["side_bpp"])
    bpp = None if record is None else record.bpp
    return [
        Value(label, quantity, row[column], recomputed, here, "" if here is None else note)
        for quantity, column, recomputed, here in (
            ("total (bpp)", "total_bpp", sum_of_parts, bpp),
            ("latent (bpp)", "latent_bpp", None, parts.get("y")),
            ("side information (bpp)", "side_bpp", None, parts.get("z")),
            ("PSNR (dB)", "psnr_db", None, scores.get("psnr_rgb")),
            ("MS-SSIM", "ms_ssim", None, scores.get("ms_ssim")),
        )
    ]


def _bpp_by_segment(record: Record) -> dict[str, float]:
    n_pixels = record.width * record.height
    return {segment.name: 8 * segment.n_bytes / n_pixels for segment in record.segments}


def _equation_7(evidence: Evidence) -> Finding:
    published = entry("qvrf", "equation7")
    fit, note, missing = _fit(evidence)
    slope, intercept = (fit.slope, fit.intercept) if fit else (None, None)
    values = (
        Value(_OURS, "slope", published["slope"], here=slope, note=note),
        Value(_OURS, "intercept", published["intercept"], here=intercept, note=note),
    )
    line = float(published["slope"]), float(published["intercept"])
    return Finding(values, (Plot("figure-3", lambda: _draw_fit(*line, fit)),), missing=missing)


def _fit(evidence: Evidence) -> tuple[Any, str, tuple[Missing, ...]]:
    """The line through regulators that were learned, what weights they are of, or what is missing.

    Of the weights that were measured, else of the published ones where they are here. Reduced and
    random networks, and regulators that training left where they began, say nothing of the paper.
    """
    own = next(iter(evidence.measured("kodak", _OURS)), None)
    codec: Any = codec_from_spec(own.specs[0] if own else f"{_OURS}:weights=published")
    try:
        fit = codec.regulator_fit()
    except (Unavailable, UsageError) as error:
        why = str(error).partition(";")[0]
    else:
        if _were_learned(fit):
            return fit, weights_note(own) if own else "", ()
        why = "the regulators of the measured weights are where training began"
    way_out = f"rdbench weights fetch {_OURS}; rdbench qvrf fit --codec {_OURS}:weights=published"
    return None, "", (Missing(f"regulators of trained weights: {why}", way_out),)


def _were_learned(fit: Any) -> bool:
    """False for regulators at sqrt(lambda / lambda_ref), where training begins."""
    start = np.sqrt(np.asarray(fit.lambdas) / fit.lambdas[0])
    return not np.allclose(fit.regulators, start, rtol=1e-3)


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
        Missing("continuous rates", to_run(f"{_OURS}:a=1,1.5,2.5,4,6,9", evidence)),
        *to_measure(_OURS, ["kodak"], evidence),
    ))  # fmt: skip


def _figure_a2(evidence: Evidence) -> Finding:
    return _curves(evidence, "figure-a2", {"Kodak": "kodak"}, ("cheng2020-attn",), (
        Missing(
            "QVRF trained with eleven multipliers up to 1.44: neither weights nor a curve were "
            "published",
            "put the multipliers into a copy of the recipe `paper`; " + to_train(_OURS, evidence),
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
    codecs = [c for b in baselines for c in (*(f"{method}-{b}" for method in _METHODS), b)]
    notes = tuple(
        n for dataset in datasets.values() for n in drawn_notes(evidence, dataset, codecs)
    )
    return Finding(plots=plots, notes=notes, missing=missing)


def _of_baseline(evidence: Evidence, dataset: str, baseline: str) -> list[Curve]:
    """Every method on a baseline, and its fixed-rate models of the same images."""
    methods = evidence.curves(dataset, *(f"{method}-{baseline}" for method in _METHODS))
    fixed = evidence.curves(dataset, FIXED[baseline]) if dataset == "kodak" else []
    return methods + fixed + evidence.drawable(dataset, baseline)


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
        "; ".join(to_train(f"{method}-mbt2018", evidence) for method in _METHODS[1:]),
    )
    codecs = [c for b in FIXED for c in (*(f"{method}-{b}" for method in _METHODS), b)]
    notes = drawn_notes(evidence, "kodak", codecs)
    return Finding(plots=(plot,), notes=notes, missing=(rivals,))


def _figure_5(evidence: Evidence) -> Finding:
    found = _two_metrics(evidence, "figure-5", "CLIC validation", "clic2020-valid-professional")
    note = (
        "CompressAI publishes mbt2018 on the CLIC 2020 test sets only (clic2020-test-professional, "
        "clic2020-test-mobile): other images, not drawn"
    )
    return replace(found, notes=(note, *found.notes))


def _figure_6(evidence: Evidence) -> Finding:
    return _two_metrics(evidence, "figure-6", "JPEG AI", "jpegai")


def _two_metrics(evidence: Evidence, name: str, title: str, dataset: str) -> Finding:
    missing = (
        Missing(
            f"cui2021-mbt2018 on {dataset}: neither weights nor a curve were published",
            to_train("cui2021-mbt2018", evidence, dataset),
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
