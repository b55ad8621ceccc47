"""QVRF (Tong et al. 2023, https://arxiv.org/abs/2303.05744): its tables and figures."""

import shlex
from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from rdbench.analysis.paper import Evidence, Finding, Item, Missing, Paper, Plot, Value
from rdbench.analysis.variable_rate import variable_rate_penalty
from rdbench.curve import Curve
from rdbench.errors import DataError, Unavailable, UsageError
from rdbench.report.plots import Panel
from rdbench.report.style import COLUMN_IN
from rdbench.spec import get_codec
from rdbench.types import Record
from rdbench_literature.papers.common import (
    Row,
    entry,
    measured_curve,
    measured_notes,
    n_parameters,
    rd_finding,
    table,
    to_measure,
    to_run,
    to_train,
    unpublished,
    weights_note,
    without_data,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIXED = {
    "bmshj2018-hyperprior": "bmshj2018-hyperprior",
    "mbt2018": "mbt2018",
    "cheng2020-attn": "cheng2020-attn-retrained",
}
"""Baseline -> the published fixed-rate curve that the paper compares with."""

_TITLES = {
    "bmshj2018-hyperprior": "Ballé et al. 2018",
    "mbt2018": "Minnen et al. 2018",
    "cheng2020-attn": "Cheng et al. 2020",
}
_FROM_COMPRESSAI = tuple(baseline for baseline, fixed in FIXED.items() if fixed == baseline)
"""Baselines whose fixed-rate networks in the paper are those of CompressAI."""

_METHODS = ("qvrf", "cui2021", "song2021", "theis2017")
_OURS = "qvrf-cheng2020-attn"


def _table_1(evidence: Evidence) -> Finding:
    values = tuple(
        _against_fixed(evidence, str(row["method"]).split()[0], baseline, row[baseline])
        for row in table("qvrf", "table1")
        for baseline in FIXED
    )
    missing = (
        unpublished(
            "curves of cui2021 on the three baselines",
            *(to_train(f"cui2021-{baseline}", evidence) for baseline in FIXED),
        ),
        Missing(
            "qvrf measured on bmshj2018-hyperprior and mbt2018: weights were not published",
            "; ".join(to_train(f"qvrf-{b}", evidence) for b in FIXED if f"qvrf-{b}" != _OURS),
        ),
        *(
            m
            for codec in (_OURS, *_FROM_COMPRESSAI)
            for m in to_measure(codec, ["kodak"], evidence)
        ),
    )
    codecs = (*(f"{m}-{b}" for m in ("qvrf", "cui2021") for b in FIXED), *_FROM_COMPRESSAI)
    notes = (
        "mean over thirds of the common range of log rate. The paper takes four points each at "
        "low, medium and high rates, but does not say which",
        "cheng2020-attn: the paper compares with eight networks of its own; their published curve "
        "is used here. CompressAI's networks are different",
        *measured_notes(evidence, "kodak", codecs),
    )
    return Finding(values, notes=notes, missing=missing)


def _against_fixed(
    evidence: Evidence, method: str, baseline: str, printed: Decimal | None
) -> Value:
    """Compare a method with the fixed-rate networks of the paper, for one cell of Table 1."""
    codec, fixed = f"{method}-{baseline}", FIXED[baseline]
    own = measured_curve(evidence, "kodak", codec)
    fixed_here = evidence.best("kodak", fixed)
    here = _penalty(own, fixed_here)
    note = ""
    if fixed_here is not None and here is not None:
        against = f"against the {fixed_here.source} {fixed_here.label}"
        note = ", ".join(filter(None, (weights_note(own), against)))
    recomputed = _penalty(evidence.published("kodak", codec), evidence.published("kodak", fixed))
    return Value(codec, f"BD-rate against {baseline} (%)", printed, recomputed, here, note)


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
        Missing(f"measured extra MACs on {baseline}", _to_count_macs(evidence, baseline))
        for baseline in ("bmshj2018-hyperprior", "cheng2020-attn")
        if _extra_macs(evidence, f"qvrf-{baseline}", baseline) is None
    ]
    notes = (
        "counted in networks of the published widths, at the highest rate",
        "the paper does not define how it counts operations. Its figures are close to those of one "
        "pass; rdbench counts encoder and decoder together",
        "song2021: rdbench has its own transforms for these baselines; the published ones belong "
        "to another network",
        "theis2017 on cheng2020-attn: eight scales for each of 192 channels are 0.00518 %; the "
        "paper's figure corresponds to 2048 scales",
    )
    return Finding(tuple(values), notes=notes, missing=tuple(missing))


def _extra_values(evidence: Evidence, row: Row) -> list[Value]:
    """Compare what each method adds to one baseline, for one row of Table 2."""
    baseline, values = row["model"], []
    here: float | None
    for method in _METHODS:
        codec = f"{method}-{baseline}"
        if row["quantity"] == "params":
            what, here = "extra parameters (%)", _extra_parameters(codec, baseline)
        else:
            what, here = "extra MACs (%)", _extra_macs(evidence, codec, baseline)
        values.append(Value(codec, what, row[method], here=here))
    return values


def _extra_macs(evidence: Evidence, codec: str, baseline: str) -> float | None:
    return evidence.extra_macs(f"{codec}:weights=random", f"{baseline}:weights=random")


def _to_count_macs(evidence: Evidence, baseline: str) -> str:
    """Return the command that counts extra MACs and stores them in the report folder."""
    out = shlex.quote(str(evidence.folder))
    codecs = "".join(f" --codec {method}-{baseline}:weights=random" for method in _METHODS)
    return f"rdbench complexity{codecs} --reference {baseline}:weights=random --out {out}"


def _extra_parameters(codec: str, baseline: str) -> float:
    """Return the parameters that a method adds to one fixed-rate model, in percent."""
    fixed = n_parameters(get_codec(f"{baseline}:weights=random").ladder()[-1])
    return 100 * (n_parameters(get_codec(f"{codec}:weights=random")) - fixed) / fixed


def _table_r1(evidence: Evidence) -> Finding:
    curve = measured_curve(evidence, "kodak", _OURS)
    records = {} if curve is None else _by_index(evidence.records(curve))
    values = tuple(
        value
        for number, row in enumerate(table("qvrf", "tableR1"))
        for value in _r1_values(number, row, records.get(number), weights_note(curve))
    )
    notes = (
        "row 2 as printed: its latent and side rates do not add up to its total, which is probably "
        "0.37451",
        "recomputed total: latent plus side information as printed. Measured total: bytes of the "
        "whole file, including the header",
        *measured_notes(evidence, "kodak", [_OURS]),
    )
    return Finding(values, notes=notes, missing=to_measure(_OURS, ["kodak"], evidence))


def _by_index(records: Iterable[Record]) -> dict[int, Record]:
    """Return the records of kodim01 by regulator index, which is the row of the paper's table.

    Other rates (``a=``, ``lambda=``) are not in the table.
    """
    return {
        int(r.rate_value): r
        for r in records
        if r.image == "kodim01.png" and r.rate_parameter == "index" and r.rate_value is not None
    }


def _r1_values(number: int, row: Row, record: Record | None, note: str) -> list[Value]:
    sizes: dict[str, float] = {}
    if record is not None:
        sizes = {s.name: 8 * s.n_bytes / (record.width * record.height) for s in record.segments}
    scores = {} if record is None else record.scores
    total = None if record is None else record.bpp
    sum_of_parts = float(row["latent_bpp"] + row["side_bpp"])
    columns = (
        ("total (bpp)", "total_bpp", sum_of_parts, total),
        ("latent (bpp)", "latent_bpp", None, sizes.get("y")),
        ("side information (bpp)", "side_bpp", None, sizes.get("z")),
        ("PSNR (dB)", "psnr_db", None, scores.get("psnr_rgb")),
        ("MS-SSIM", "ms_ssim", None, scores.get("ms_ssim")),
    )
    return [
        Value(
            f"rate {number + 1}", what, row[column], recomputed, here, "" if here is None else note
        )
        for what, column, recomputed, here in columns
    ]


def _equation_7(evidence: Evidence) -> Finding:
    published = entry("qvrf", "equation7")
    fit, note, missing = _fit(evidence)
    values = tuple(
        Value(_OURS, name, published[name], here=getattr(fit, name, None), note=note)
        for name in ("slope", "intercept")
    )
    line = float(published["slope"]), float(published["intercept"])
    return Finding(values, (Plot("figure-3", partial(_draw_fit, *line, fit)),), missing=missing)


def _fit(evidence: Evidence) -> tuple[Any, str, tuple[Missing, ...]]:
    """Fit the line through trained regulators.

    They come from the weights that were measured, or else from the published weights. Reduced and
    random networks and untrained regulators say nothing about the paper.

    Returns:
        The fit or None, a note on its weights, and what is missing if there is no fit.
    """
    own = measured_curve(evidence, "kodak", _OURS)
    codec: Any = get_codec(own.specs[0] if own else f"{_OURS}:weights=published")
    try:
        fit = codec.regulator_fit()
    except (Unavailable, UsageError) as error:
        why = str(error).partition(";")[0]
    else:
        if _were_trained(fit):
            return fit, weights_note(own), ()
        why = "the regulators of the measured weights still have their initial values"
    way_out = f"rdbench weights fetch {_OURS}; rdbench qvrf fit --codec {_OURS}:weights=published"
    return None, "", (Missing(f"regulators of trained weights: {why}", way_out),)


def _were_trained(fit: Any) -> bool:
    """Return False for regulators at sqrt(lambda / lambda_ref), their initial values."""
    initial = np.sqrt(np.asarray(fit.lambdas) / fit.lambdas[0])
    return not np.allclose(fit.regulators, initial, rtol=1e-3)


def _draw_fit(slope: float, intercept: float, fit: Any) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(COLUMN_IN, 2.6), layout="constrained")
    axes = figure.subplots()
    a = np.array([1.0, (10 - intercept) / slope])
    label = f"published: {slope} a + {intercept}"
    axes.plot(a, slope * a + intercept, "--", color="#D55E00", label=label)
    if fit:
        fit.draw(axes)
    axes.set_xlabel("regulator a")
    axes.set_ylabel("√(λ / λ_ref)")
    axes.legend(fontsize=7)
    return figure


def _figure_2(evidence: Evidence) -> Finding:
    missing = (
        Missing("continuous rates", to_run(f"{_OURS}:a=1,1.5,2.5,4,6,9", evidence, "kodak")),
        *to_measure(_OURS, ["kodak"], evidence),
    )
    return _curves(evidence, "figure-2", "kodak", {"cheng2020-attn": "Kodak"}, missing)


def _figure_a2(evidence: Evidence) -> Finding:
    missing = unpublished(
        "QVRF trained with eleven multipliers up to 1.44",
        "copy the recipe `paper` and set the multipliers",
        to_train(_OURS, evidence),
    )
    return _curves(evidence, "figure-a2", "kodak", {"cheng2020-attn": "Kodak"}, (missing,))


def _figure_4(evidence: Evidence) -> Finding:
    steps = [to_train(f"{method}-mbt2018", evidence) for method in _METHODS[1:]]
    missing = unpublished("cui2021, song2021, theis2017", *steps)
    return _curves(evidence, "figure-4", "kodak", _TITLES, (missing,))


def _figure_5(evidence: Evidence) -> Finding:
    note = (
        "CompressAI publishes mbt2018 only on the CLIC 2020 test sets (clic2020-professional-test, "
        "clic2020-mobile-test). These are other images, so the curve is not drawn"
    )
    dataset = "clic2020-professional-valid"
    return _two_metrics(evidence, "figure-5", dataset, "CLIC validation", note)


def _figure_6(evidence: Evidence) -> Finding:
    return _two_metrics(evidence, "figure-6", "jpegai-test", "JPEG AI")


def _two_metrics(evidence: Evidence, name: str, dataset: str, title: str, *notes: str) -> Finding:
    missing = (
        unpublished(
            f"cui2021-mbt2018 on {dataset}", to_train("cui2021-mbt2018", evidence, dataset)
        ),
        *to_measure("mbt2018", [dataset], evidence),
    )
    metrics = ("psnr_rgb", "ms_ssim")
    return _curves(evidence, name, dataset, {"mbt2018": title}, missing, metrics, notes)


def _curves(
    evidence: Evidence,
    name: str,
    dataset: str,
    baselines: dict[str, str],
    missing: tuple[Missing, ...],
    metrics: Sequence[str] = ("psnr_rgb",),
    notes: Sequence[str] = (),
) -> Finding:
    """Draw a panel per baseline (name -> title) and metric, with all methods."""
    panels = [
        Panel(title, metric, _of_baseline(evidence, dataset, baseline))
        for baseline, title in baselines.items()
        for metric in metrics
    ]
    return rd_finding(evidence, name, panels, missing, notes)


def _of_baseline(evidence: Evidence, dataset: str, baseline: str) -> list[Curve]:
    """Return the curves of all methods on a baseline, and of its fixed-rate models."""
    methods = evidence.curves(dataset, *(f"{method}-{baseline}" for method in _METHODS))
    fixed = evidence.curves(dataset, FIXED[baseline]) if dataset == "kodak" else []
    return methods + fixed + evidence.drawable(dataset, baseline)


PAPER = Paper(
    "qvrf",
    "QVRF: A Quantization-error-aware Variable Rate Framework for Learned Image Compression "
    "(ICIP 2023)",
    "https://arxiv.org/abs/2303.05744",
    (
        Item("Table 1", "BD-rate of variable-rate models against fixed-rate models", _table_1),
        Item("Table 2", "Extra parameters and MACs over one fixed-rate model", _table_2),
        Item("Table R1", "Rate of latent and side information, kodim01", _table_r1),
        without_data("Figure 1", "Where the regulator acts"),
        Item("Figure 2", "Discrete and continuous rates against fixed-rate models", _figure_2),
        Item("Figure 3", "Regulators against the root of lambda, equation 7", _equation_7),
        Item("Figure 4", "Variable-rate methods on three baselines, Kodak", _figure_4),
        Item("Figure 5", "On CLIC validation", _figure_5),
        Item("Figure 6", "On JPEG AI", _figure_6),
        without_data("Figure A1", "A larger regulator needs more bits"),
        Item("Figure A2", "Eleven multipliers", _figure_a2),
    ),
)
