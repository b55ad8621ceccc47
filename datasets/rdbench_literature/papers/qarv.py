"""QARV (Duan et al. 2023, https://arxiv.org/abs/2302.08899): its tables and figures."""

import shlex
from collections.abc import Iterable
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from rdbench.analysis.latents import latent_rows
from rdbench.analysis.paper import Evidence, Finding, Item, Missing, Paper, Plot, Value
from rdbench.curve import Curve
from rdbench.errors import Unavailable
from rdbench.report.latents import shares_figure
from rdbench.report.plots import Panel
from rdbench.report.style import PAGE_IN
from rdbench.spec import get_codec
from rdbench.timing import Timing, highest_rate, n_cores
from rdbench_literature.papers.common import (
    Row,
    drawn_notes,
    measured_curve,
    measured_notes,
    millions_of_ladder,
    n_parameters,
    rd_finding,
    table,
    to_fetch_and_run,
    to_measure,
    to_train,
    unpublished,
    weights_note,
    without_data,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DATASETS = {"kodak": "Kodak", "tecnick": "Tecnick", "clic2022-test": "CLIC 2022"}
_CODECS = ("qarv", "mbt2018-mean", "cheng2020-anchor", "mbt2018")
"""Methods of Table 1 that rdbench has as codecs."""
_CONTEXT = ("vtm18", "qres-vae", "cheng2020-anchor", "mbt2018", "mbt2018-mean", "bpg444")
_COMPARE_FILE = (
    "save their results as JSON; rdbench bdrate --anchor vtm18 --dataset kodak --curve RESULTS.json"
)
_NO_CODEC = Missing(
    "tinylic, stf, invcompress, global-reference: no codec in rdbench",
    f"run their authors' programs (Table 6) and {_COMPARE_FILE}",
)
_THREADS = 8  # of Table 1's latencies
_FIRST_LAMBDA, _LAST_LAMBDA = 16.0, 2048.0
_N_BINS = 7  # of Figure 12
_MAX_BPP = 2.4  # of Figures 6 and 13


def _table_1(evidence: Evidence) -> Finding:
    rows = table("qarv", "table1")
    values = (
        *(value for row in rows for value in _bd_rates(evidence, row)),
        *map(_parameters, rows),
        *(value for row in rows for value in _latencies(evidence, row)),
    )
    missing = (
        _NO_CODEC,
        *(m for codec in _CODECS for m in to_measure(codec, DATASETS, evidence)),
        *_to_time(evidence),
    )
    notes = (
        "GMM & Attention is CompressAI's cheng2020-anchor: 115.3 M parameters and +4.540 % on "
        "Kodak. cheng2020-attn has 128.4 M and +6.371 %",
        "parameters: counted in networks of the published configuration, summed over all models "
        "of a codec",
        "mbt2018: 158.54 M parameters; the paper truncates this to 158",
        "latencies in the paper: Core i7-10700K, 8 threads, and GTX 1080 Ti, highest rate of each "
        "codec, mean of the 24 images. Measured latencies: median of the 24 images, on other "
        "machines",
        *(n for d in DATASETS for n in measured_notes(evidence, d, _CODECS)),
        *_timing_notes(evidence),
    )
    return Finding(values, notes=notes, missing=missing)


def _bd_rates(evidence: Evidence, row: Row) -> list[Value]:
    """Compare the BD-rates of one method on each data set, and their average."""
    codec = row["method"]
    found = [evidence.bd_rates(dataset, codec) for dataset in DATASETS]
    notes = [weights_note(measured_curve(evidence, dataset, codec)) for dataset in DATASETS]
    means = _mean_of_all(pair[0] for pair in found), _mean_of_all(pair[1] for pair in found)
    note = "" if means[1] is None else ", ".join(dict.fromkeys(filter(None, notes)))
    titles = {**DATASETS, "average": "average"}
    return [
        Value(codec, f"BD-rate {title} (%)", row[column], *pair, text)
        for (column, title), pair, text in zip(
            titles.items(), [*found, means], [*notes, note], strict=True
        )
    ]


def _mean_of_all(values: Iterable[float | None]) -> float | None:
    """Average the values; return None if any of them is missing."""
    every = list(values)
    known = [value for value in every if value is not None]
    return float(np.mean(known)) if len(known) == len(every) else None


def _parameters(row: Row) -> Value:
    method, n_models = row["method"], row["models"]
    here = millions_of_ladder(f"{method}:weights=random") if method in _CODECS else None
    models = "1 model" if n_models == 1 else f"{n_models} models"
    return Value(method, f"parameters, {models} (M)", row["params_million"], here=here)


def _latencies(evidence: Evidence, row: Row) -> list[Value]:
    found = {d: _comparable_timing(evidence, row["method"], d) for d in ("cpu", "gpu")}
    return [
        Value(
            row["method"],
            f"{direction}, {device.upper()} (s)",
            row[f"{device}_{direction}_s"],
            here=getattr(timing, f"{direction}_s").median if timing else None,
            note=_conditions(timing) if timing else "",
        )
        for device, timing in found.items()
        for direction in ("encode", "decode")
    ]


def _comparable_timing(evidence: Evidence, codec: str, device: str) -> Timing | None:
    """Return the latest comparable timing, preferably with the paper's number of threads."""
    if codec not in _CODECS:
        return None
    found = [
        t
        for t in evidence.timings(codec, "kodak")
        if t.on_gpu == (device == "gpu") and _timing_objection(t) is None
    ]
    return min(found, key=lambda t: t.threads != _THREADS, default=None)


def _timing_objection(timing: Timing) -> str | None:
    """Return why a timing cannot be compared with the paper, or None if it can.

    Random weights in a network of the published size are as fast as the published weights.
    """
    if timing.weights_kind == "reduced" or not _is_full_size(timing):
        return "a reduced network"
    if timing.busy:
        return f"other processes kept {timing.others_cores:.1f} cores busy"
    highest = highest_rate(f"{timing.codec}:weights=random")
    return None if timing.rate == highest else f"at {timing.rate}, the paper times {highest}"


def _is_full_size(timing: Timing) -> bool:
    """Return False for random weights of another size, such as ``random-tiny``."""
    if timing.weights_kind != "random":
        return True
    published = get_codec(f"{timing.codec}:weights=random,{timing.rate}")
    return n_parameters(get_codec(timing.spec)) == n_parameters(published)


def _conditions(timing: Timing) -> str:
    weights = [] if timing.weights_kind == "published" else [f"{timing.weights_kind} weights"]
    return ", ".join([timing.on, timing.device, *weights])


def _timing_notes(evidence: Evidence) -> list[str]:
    """Name the timings on Kodak that are not in the table, and why."""
    return [
        f"not compared: timing of {t.spec}, {t.on}: {why}"
        for codec in _CODECS
        for t in evidence.timings(codec, "kodak")
        if (why := _timing_objection(t))
    ]


def _to_time(evidence: Evidence) -> list[Missing]:
    """Describe how to measure missing latencies, with the paper's threads if there are as many."""
    missing = []
    options = f"--threads {min(_THREADS, n_cores())} --out {shlex.quote(str(evidence.folder))}"
    for device, setting, where in (("cpu", "", ""), ("gpu", ",device=cuda", " (needs a GPU)")):
        absent = [c for c in _CODECS if _comparable_timing(evidence, c, device) is None]
        if absent:
            codecs = " ".join(f"--codec {codec}:weights=random{setting}" for codec in absent)
            what = f"measured latencies on the {device.upper()} of {', '.join(absent)}{where}"
            command = f"rdbench timing {codecs} --dataset kodak {options}"
            missing.append(Missing(what, f"rdbench datasets fetch kodak; {command}"))
    return missing


def _table_2(evidence: Evidence) -> Finding:
    networks = [
        (f"position {row['position']}, {row['normalization']} norm", "", row)
        for row in table("qarv", "table2")
    ]
    configs = ("affine0", "affine1", "affine3", "affine4", "group", "instance")
    return _ablation(evidence, networks, configs)


def _table_3(evidence: Evidence) -> Finding:
    networks = [
        (
            f"{row['config']}, N = {row['n_latents']}",
            f"{row['config']}{row['n_latents']}".lower(),
            row,
        )
        for row in table("qarv", "table3")
    ]
    return _ablation(evidence, networks, ("a2", "b2", "c2", "a3", "b3", "c3"))


def _table_4(evidence: Evidence) -> Finding:
    configs = {"convnext": "base", "nat": "nat"}
    networks = [(row["block"], configs[row["block"]], row) for row in table("qarv", "table4")]
    note = (
        "nat: the paper does not print its widths. Ours were chosen to match its number of "
        "parameters, so their agreement confirms nothing"
    )
    return _ablation(evidence, networks, ("nat",), note)


def _ablation(
    evidence: Evidence,
    networks: Iterable[tuple[str, str, Row]],
    untrained: Iterable[str],
    *notes: str,
) -> Finding:
    """Compare networks that the paper trained for its ablation studies.

    Each has a label, a configuration whose parameters are counted (or ""), and a row of the table.
    Weights of the configurations ``untrained`` were not published.
    """
    values = []
    for label, config, row in networks:
        values.append(Value(label, "BD-rate Kodak (%)", row["kodak"]))
        values += [_count(label, config, row["params_million"])] if config else []
    schedule = (
        "the paper's networks: 500,000 iterations with batches of 16. Table 1: 2 million with "
        "batches of 32"
    )
    missing = (_untrained(evidence, *untrained),)
    return Finding(tuple(values), notes=(schedule, *notes), missing=missing)


def _count(label: str, config: str, published: Decimal | None = None) -> Value:
    here = millions_of_ladder(f"qarv:weights=random-{config}")
    return Value(label, "parameters (M)", published, here=here)


def _table_7(evidence: Evidence) -> Finding:
    rows = table("qarv", "table7")
    values = [Value(row["p_lambda"], "BD-rate Kodak (%)", row["kodak"]) for row in rows]
    missing = Missing(
        "measured BD-rates: weights were not published",
        f"{to_train('qarv', evidence, config='log-lambda')}; {_to_compare(evidence)}",
    )
    notes = ("the paper's networks: 1 million iterations, half of Table 1",)
    return Finding(tuple(values), notes=notes, missing=(missing,))


def _table_8(evidence: Evidence) -> Finding:
    configs = {5: "n5", 7: "n7", 9: "base", 11: "n11"}
    values = tuple(_count(f"N = {n}", config) for n, config in configs.items())
    notes = ("the paper prints this table as an image; its numbers are not available",)
    return Finding(values, notes=notes, missing=(_untrained(evidence, "n5", "n7", "n11"),))


def _untrained(evidence: Evidence, *configs: str) -> Missing:
    return Missing(
        f"measured BD-rates: weights of {', '.join(configs)} were not published",
        "copy the recipe `ablation` and set `config` to the configuration's name; "
        f"{to_train('qarv', evidence, config='ablation')}; {_to_compare(evidence)}",
    )


def _to_compare(evidence: Evidence) -> str:
    """Return the command that prints the BD-rates of all measured curves of QARV."""
    folder = shlex.quote(str(evidence.folder))
    return f"rdbench bdrate {folder} --anchor vtm18 --codec qarv --dataset kodak"


def _figure_6(evidence: Evidence) -> Finding:
    panels = _panels(evidence, "psnr_rgb", "qarv", *_CONTEXT)
    return rd_finding(evidence, "figure-6", panels.values(), (_NO_CODEC,))


def _figure_13(evidence: Evidence) -> Finding:
    # The paper's networks are trained for MS-SSIM in this figure; VTM and BPG are not.
    trained = [f"{codec}.ms-ssim" for codec in _CONTEXT]
    panels = _panels(evidence, "ms_ssim", "qarv", "vtm18", "bpg444", *trained)
    absent = [d for d, p in panels.items() if not any(c.has(p.metric) for c in p.curves)]
    missing = (
        unpublished("QARV trained for MS-SSIM", to_train("qarv", evidence, config="ms-ssim")),
        *to_measure("qarv", absent, evidence),
    )
    note = "measured qarv: trained for MSE, unless its weights are from the recipe `ms-ssim`"
    return rd_finding(evidence, "figure-13", panels.values(), missing, (note,))


def _panels(evidence: Evidence, metric: str, *codecs: str) -> dict[str, Panel]:
    """Return a panel per data set."""
    return {
        dataset: Panel(title, metric, evidence.curves(dataset, *codecs), _MAX_BPP)
        for dataset, title in DATASETS.items()
    }


def _on_kodak(evidence: Evidence, name: str, missing: Missing, *codecs: str) -> Finding:
    panel = _panels(evidence, "psnr_rgb", *codecs)["kodak"]
    return rd_finding(evidence, name, [panel], (missing,))


def _figure_7(evidence: Evidence) -> Finding:
    steps = [to_train("qarv", evidence, config=c) for c in ("fixed", "cconv", "qsf")]
    missing = unpublished("QARV at a fixed rate, with CConv and with QSF", *steps)
    return _on_kodak(evidence, "figure-7", missing, "qarv", "vtm18")


def _figure_9(evidence: Evidence) -> Finding:
    missing = unpublished(
        "QARV trained with lambda up to 32 ... 1024",
        "copy the recipe `ablation` and set `lambda_range`",
        to_train("qarv", evidence, config="ablation"),
    )
    return _on_kodak(evidence, "figure-9", missing, "qarv", "vtm18")


def _figure_11(evidence: Evidence) -> Finding:
    own = evidence.drawable("kodak", "qarv")
    codec: Any = get_codec(own[0].specs[0] if own else "qarv")
    try:
        codec.check()
    except Unavailable as error:
        return Finding(missing=(Missing("images from subsets of their latents", str(error)),))
    # Needs torch, which is not needed for anything else here.
    from rdbench_literature.papers.subsets import subsets_figure

    weights = codec.identify_weights()
    reduced = ", a reduced network" if weights and weights.kind == "reduced" else ""
    note = (
        f"drawn with weights={codec.weights}{reduced} and images of the data set sample. "
        "`rdbench qarv subsets` draws the same for any image"
    )
    return Finding(plots=(Plot("figure-11", partial(subsets_figure, codec)),), notes=(note,))


def _figure_12(evidence: Evidence) -> Finding:
    curve = evidence.best("kodak", "qarv")
    if curve is None:
        return Finding(missing=to_measure("qarv", ["kodak"], evidence))
    note = (
        f"edges from the {curve.source} curve; rates between its points interpolated in log lambda"
    )
    return Finding(plots=(Plot("figure-12", partial(_bins, curve)),), notes=(note,))


def _bins(curve: Curve) -> "Figure":
    """Draw edges of bins of equal mass, uniform in the cube root and in the log of lambda."""
    from matplotlib.figure import Figure

    share = np.linspace(0, 1, _N_BINS + 1)
    roots = _FIRST_LAMBDA ** (1 / 3), _LAST_LAMBDA ** (1 / 3)
    lambdas = {
        "(a) uniform in the cube root of λ": (roots[0] + share * (roots[1] - roots[0])) ** 3,
        "(b) uniform in log λ": _FIRST_LAMBDA * (_LAST_LAMBDA / _FIRST_LAMBDA) ** share,
    }
    bpp, psnr = curve.points("psnr_rgb")
    log_lambda = np.log([value for value in curve.rate_values if value is not None])
    figure = Figure(figsize=(PAGE_IN, 2.6), layout="constrained")
    every = figure.subplots(1, 2, sharey=True)
    for axes, (title, edges) in zip(every, lambdas.items(), strict=True):
        axes.plot(bpp, psnr, "o-", markersize=3, color="#0072B2")
        for edge in np.interp(np.log(edges), log_lambda, bpp):
            axes.axvline(edge, color="black", linestyle="--", linewidth=0.8)
        axes.set_title(title, loc="left", fontsize=8)
        axes.set_xlabel("Rate (bits per pixel)")
    figure.axes[0].set_ylabel("PSNR (dB, RGB)")
    return figure


def _figure_14(_: Evidence) -> Finding:
    missing = Missing(
        "loss and BD-rate during training: the authors' logs were not published",
        "rdbench train qarv --config ablation --data IMAGES --validate kodak",
    )
    return Finding(missing=(missing,))


def _figure_15(evidence: Evidence) -> Finding:
    if not evidence.drawable("kodak", "qarv-scalable"):
        spec = "qarv-scalable:lambda=2048"
        how = to_fetch_and_run(spec, evidence, "kodak", weights="qarv")
        return Finding(missing=(Missing("QARV's files truncated after each latent", how),))
    missing = Missing(
        "DPICT and other scalable codecs: no codec in rdbench, no published curve",
        f"run their authors' programs and {_COMPARE_FILE}",
    )
    codecs = ("qarv-scalable", "qarv", "vtm18", "jpeg2000")
    return _on_kodak(evidence, "figure-15", missing, *codecs)


def _figure_16(evidence: Evidence) -> Finding:
    curves = evidence.drawable("kodak", "qarv")
    shares = [
        rows
        for curve in curves
        if (rows := latent_rows(evidence.records(curve), {"kodak": evidence.images("kodak")}))
    ]
    if not shares:
        how = to_fetch_and_run("qarv", evidence, "kodak", weights="qarv")
        return Finding(missing=(Missing("rate per latent", how),))
    plots = tuple(
        Plot(f"figure-16-{n}", partial(shares_figure, rows, f"Kodak, {rows[0]['curve']}"))
        for n, rows in enumerate(shares, start=1)
    )
    return Finding(plots=plots, notes=drawn_notes(evidence, curves))


PAPER = Paper(
    "qarv",
    "QARV: Quantization-Aware ResNet VAE for Lossy Image Compression (TPAMI 2023)",
    "https://arxiv.org/abs/2302.08899",
    (
        Item("Table 1", "Complexity, latency, and BD-rate against VTM 18.0", _table_1),
        Item("Table 2", "Position of the adaptive affine, and the normalization", _table_2),
        Item("Table 3", "Latent blocks A, B, C", _table_3),
        Item("Table 4", "Residual blocks", _table_4),
        without_data("Table 5", "Training settings", "settings: nothing to measure"),
        without_data(
            "Table 6",
            "Sources of the baselines",
            "programs of other authors; mbt2018-mean, mbt2018 and cheng2020-anchor "
            "(GMM & Attention) are codecs in rdbench",
        ),
        Item("Table 7", "Sampling of lambda in training", _table_7),
        Item("Table 8", "Number of latents", _table_8),
        without_data("Figure 1", "A VAE, and one for lossy compression"),
        without_data("Figure 2", "Hyperprior and ResNet VAE"),
        without_data("Figure 3", "Training, compression, decompression"),
        without_data("Figure 4", "Autoregressive context models as special cases"),
        without_data("Figure 5", "The network"),
        Item("Figure 6", "PSNR over rate on three test sets", _figure_6),
        Item("Figure 7", "Variable-rate methods", _figure_7),
        without_data("Figure 8", "Positions of the adaptive affine"),
        Item("Figure 9", "Ranges of lambda in training", _figure_9),
        without_data("Figure 10", "Latent blocks A, B, C"),
        Item("Figure 11", "Images decoded from subsets of their latents", _figure_11),
        Item("Figure 12", "Equal shares of lambda on the curve", _figure_12),
        Item("Figure 13", "MS-SSIM over rate on three test sets", _figure_13),
        Item("Figure 14", "Loss and BD-rate during training", _figure_14),
        Item("Figure 15", "Scalable coding", _figure_15),
        Item("Figure 16", "Rate per latent", _figure_16),
    ),
)
