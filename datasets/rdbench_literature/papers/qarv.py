"""QARV (Duan et al. 2023, https://arxiv.org/abs/2302.08899), table by table, figure by figure."""

import functools
import shlex
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from rdbench.analysis.latents import latent_rows
from rdbench.analysis.paper import Evidence, Finding, Item, Missing, Paper, Plot, Value
from rdbench.curve import Curve
from rdbench.errors import Unavailable
from rdbench.registry import codec_from_spec
from rdbench.timing import Timing, highest_rate, n_cores
from rdbench_literature.papers.common import (
    Row,
    diagram,
    drawn_notes,
    measured_notes,
    n_parameters,
    n_parameters_of_ladder,
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

DATASETS = {"kodak": "Kodak", "tecnick": "Tecnick", "clic2022": "CLIC 2022"}
_OURS = ("qarv", "mbt2018-mean", "cheng2020-anchor", "mbt2018")
"""Methods of Table 1 that are codecs here."""
_CONTEXT = ("vtm18", "qres-vae", "cheng2020-anchor", "mbt2018", "mbt2018-mean", "bpg444")
_ELSEWHERE = Missing(
    "tinylic, stf, invcompress, global-reference: no codec here, no published curve",
    "run their authors' programs (Table 6) and save their results as JSON; "
    "rdbench bdrate --anchor vtm18 --dataset kodak --curve RESULTS.json",
)
_THREADS = 8  # of Table 1's latencies
_FIRST_LAMBDA, _LAST_LAMBDA = 16.0, 2048.0
_N_BINS = 7  # of Figure 12
_MAX_BPP = 2.4  # of Figures 6 and 13


def _table_1(evidence: Evidence) -> Finding:
    rows = table("qarv", "table1")
    values = [v for row in rows for v in _bd_rates(evidence, row)]
    values += [_parameters(row) for row in rows]
    values += [v for row in rows for v in _latencies(evidence, row)]
    missing = [_ELSEWHERE]
    for codec in _OURS:
        missing += to_measure(codec, DATASETS, evidence)
    missing += _to_time(evidence)
    notes = (
        "GMM & Attention is CompressAI's cheng2020-anchor: 115.3 M parameters and +4.540 % on "
        "Kodak; cheng2020-attn has 128.4 M and +6.371 %",
        "parameters here: counted in networks of the published configuration, all models of a "
        "codec together",
        "mbt2018: 158.54 M parameters, which the paper cuts to 158",
        "latencies of the paper: Core i7-10700K, 8 threads, and GTX 1080 Ti, highest rate of each, "
        "mean of the 24 images; here: median of the 24 images, on other machines",
        *(n for d in DATASETS for n in measured_notes(evidence, d, _OURS)),
        *_timing_notes(evidence),
    )
    return Finding(tuple(values), notes=notes, missing=tuple(missing))


def _bd_rates(evidence: Evidence, row: Row) -> list[Value]:
    codec = row["method"]
    found = {dataset: evidence.bd_rates(dataset, codec) for dataset in DATASETS}
    weights = {
        dataset: weights_note(curve)
        for dataset in DATASETS
        for curve in evidence.measured(dataset, codec)[:1]
    }
    values = [
        Value(
            codec, f"BD-rate {title} (%)", row[dataset], recomputed, here, weights.get(dataset, "")
        )
        for (dataset, title), (recomputed, here) in zip(
            DATASETS.items(), found.values(), strict=True
        )
    ]
    recomputed, here = (_mean_of_all(column) for column in zip(*found.values(), strict=True))
    note = "" if here is None else ", ".join(dict.fromkeys(filter(None, weights.values())))
    return [*values, Value(codec, "BD-rate average (%)", row["average"], recomputed, here, note)]


def _mean_of_all(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def _parameters(row: Row) -> Value:
    method = row["method"]
    here = n_parameters_of_ladder(f"{method}:weights=random") / 1e6 if method in _OURS else None
    return Value(method, f"parameters, {_models(row)} (M)", row["params_million"],
                 here=here)  # fmt: skip


def _models(row: Row) -> str:
    return "1 model" if row["models"] == 1 else f"{row['models']} models"


def _latencies(evidence: Evidence, row: Row) -> list[Value]:
    found = {
        device: _comparable_timing(evidence, row["method"], device) for device in ("cpu", "gpu")
    }
    return [
        Value(
            row["method"],
            f"{direction}, {device.upper()} (s)",
            row[f"{device}_{direction}_s"],
            here=getattr(timing, f"{direction}_s").median if timing else None,
            note=_timed_on(timing) if timing else "",
        )
        for device, timing in found.items()
        for direction in ("encode", "decode")
    ]


def _comparable_timing(evidence: Evidence, codec: str, device: str) -> Timing | None:
    """The latest timing that can stand beside the paper's; one with its threads where there is."""
    if codec not in _OURS:
        return None
    found = [
        t
        for t in evidence.timings(codec, "kodak")
        if t.on_gpu == (device == "gpu") and _timing_objection(t) is None
    ]
    return min(found, key=lambda t: t.threads != _THREADS, default=None)


def _timing_objection(timing: Timing) -> str | None:
    """Why a timing cannot stand beside the paper's; None where it can.

    Random numbers in a network of the published size are as fast as its published weights.
    """
    if timing.weights_kind == "reduced" or not _is_of_full_size(timing):
        return "a reduced network"
    if timing.busy:
        return f"other processes kept {timing.others_cores:.1f} cores busy"
    highest = highest_rate(f"{timing.codec}:weights=random")
    return None if timing.rate == highest else f"at {timing.rate}, the paper times {highest}"


def _is_of_full_size(timing: Timing) -> bool:
    """False for random numbers in a network of another size, such as ``random-tiny``."""
    if timing.weights_kind != "random":
        return True
    name, value = timing.rate.split("=")
    published = codec_from_spec(f"{timing.codec}:weights=random,{name}={value}")
    return n_parameters(codec_from_spec(timing.spec)) == n_parameters(published)


def _timed_on(timing: Timing) -> str:
    parts = [timing.on, timing.device]
    if timing.weights_kind != "published":
        parts.append(f"{timing.weights_kind} weights")
    return ", ".join(parts)


def _timing_notes(evidence: Evidence) -> list[str]:
    """The timings on Kodak that do not stand in the table, and why."""
    return [
        f"not compared: timing of {t.spec}, {t.on}: {why}"
        for codec in _OURS
        for t in evidence.timings(codec, "kodak")
        if (why := _timing_objection(t))
    ]


def _to_time(evidence: Evidence) -> list[Missing]:
    """How to get the latencies that are not there, with the paper's threads where there are."""
    missing = []
    threads = min(_THREADS, n_cores())
    for device, setting in {"cpu": "", "gpu": ",device=cuda"}.items():
        absent = [c for c in _OURS if _comparable_timing(evidence, c, device) is None]
        if absent:
            codecs = " ".join(f"--codec {codec}:weights=random{setting}" for codec in absent)
            where = " (needs a GPU)" if device == "gpu" else ""
            what = f"latencies on the {device.upper()} here of {', '.join(absent)}{where}"
            out = shlex.quote(str(evidence.folder))
            way_out = (
                "rdbench datasets fetch kodak; rdbench timing "
                f"{codecs} --dataset kodak --threads {threads} --out {out}"
            )
            missing.append(Missing(what, way_out))
    return missing


_ABLATION = (
    "the paper's networks: 500,000 iterations with batches of 16; Table 1's: 2 million of 32"
)


def _table_2(evidence: Evidence) -> Finding:
    values = [
        Value(f"position {row['position']}, {row['normalization']} norm", "BD-rate Kodak (%)",
              row["kodak"])
        for row in table("qarv", "table2")
    ]  # fmt: skip
    configs = ("affine0", "affine1", "affine3", "affine4", "group", "instance")
    return Finding(tuple(values), notes=(_ABLATION,), missing=(_untrained(evidence, *configs),))


def _table_3(evidence: Evidence) -> Finding:
    values = []
    for row in table("qarv", "table3"):
        name = f"{row['config'].lower()}{row['n_latents']}"
        label = f"{row['config']}, N = {row['n_latents']}"
        values.append(Value(label, "BD-rate Kodak (%)", row["kodak"]))
        values.append(_count(label, name, row["params_million"]))
    missing = _untrained(evidence, "a2", "b2", "c2", "a3", "b3", "c3")
    return Finding(tuple(values), notes=(_ABLATION,), missing=(missing,))


def _table_4(evidence: Evidence) -> Finding:
    names = {"convnext": "base", "nat": "nat"}
    values = []
    for row in table("qarv", "table4"):
        values.append(Value(row["block"], "BD-rate Kodak (%)", row["kodak"]))
        values.append(_count(row["block"], names[row["block"]], row["params_million"]))
    notes = (
        _ABLATION,
        "nat: the paper does not print its widths; ours were chosen to match its parameters, so "
        "that their agreement confirms nothing",
    )
    return Finding(tuple(values), notes=notes, missing=(_untrained(evidence, "nat"),))


def _table_7(evidence: Evidence) -> Finding:
    rows = table("qarv", "table7")
    values = [Value(row["p_lambda"], "BD-rate Kodak (%)", row["kodak"]) for row in rows]
    missing = Missing(
        "BD-rates here: weights were not published",
        f"{to_train('qarv', evidence, config='log-lambda')}; {_to_compare(evidence)}",
    )
    notes = ("the paper's networks: 1 million iterations, half of Table 1's",)
    return Finding(tuple(values), notes=notes, missing=(missing,))


def _table_8(evidence: Evidence) -> Finding:
    names = {3: "c3", 5: "n5", 7: "n7", 9: "base", 11: "n11"}
    values = [_count(f"N = {n}", name, None) for n, name in names.items() if n != 3]
    notes = ("the paper prints this table as an image; its numbers are not at hand",)
    return Finding(tuple(values), notes=notes, missing=(_untrained(evidence, "n5", "n7", "n11"),))


def _count(label: str, config: str, published: Decimal | None) -> Value:
    here = n_parameters_of_ladder(f"qarv:weights=random-{config}") / 1e6
    return Value(label, "parameters (M)", published, here=here)


def _untrained(evidence: Evidence, *configs: str) -> Missing:
    return Missing(
        f"BD-rates here: weights of {', '.join(configs)} were not published",
        "put the configuration's name into a copy of the recipe `ablation`; "
        f"{to_train('qarv', evidence, config='ablation')}; {_to_compare(evidence)}",
    )


def _to_compare(evidence: Evidence) -> str:
    """The command that prints the BD-rates of every curve of QARV that was measured."""
    folder = shlex.quote(str(evidence.folder))
    return f"rdbench bdrate {folder} --anchor vtm18 --codec qarv --dataset kodak"


def _figure_6(evidence: Evidence) -> Finding:
    return _panels(evidence, "psnr_rgb", "figure-6", (_ELSEWHERE,))


def _figure_13(evidence: Evidence) -> Finding:
    return _panels(
        evidence,
        "ms_ssim",
        "figure-13",
        (
            Missing(
                "QARV trained for MS-SSIM: neither weights nor a curve were published",
                to_train("qarv", evidence, config="ms-ssim"),
            ),
        ),
    )


def _panels(evidence: Evidence, metric: str, name: str, missing: tuple[Missing, ...]) -> Finding:
    names: tuple[str, ...] = ("qarv", *_CONTEXT)
    notes: tuple[str, ...] = ()
    if metric == "ms_ssim":
        # The paper's networks are trained for MS-SSIM here; programs are what they are.
        names = ("qarv", "vtm18", "bpg444", *(f"{codec}.ms-ssim" for codec in _CONTEXT))
        notes = ("qarv here: trained for MSE, unless its weights are of the recipe `ms-ssim`",)
    panels = {
        title: [c for c in evidence.curves(dataset, *names) if c.has(metric)]
        for dataset, title in DATASETS.items()
    }
    plot = rd_plot(name, lambda: [panel(t, c, metric, _MAX_BPP) for t, c in panels.items() if c])
    absent = [m for d, t in DATASETS.items() if not panels[t]
              for m in to_measure("qarv", [d], evidence)]  # fmt: skip
    drawn = [n for d in DATASETS for n in drawn_notes(evidence, d, ("qarv",))]
    return Finding(
        plots=(plot,), notes=(*(notes if drawn else ()), *drawn), missing=(*missing, *absent)
    )


def _figure_7(evidence: Evidence) -> Finding:
    missing = Missing(
        "QARV at a fixed rate, with CConv and with QSF: neither weights nor curves were published",
        "; ".join(
            to_train("qarv", evidence, config=config) for config in ("fixed", "cconv", "qsf")
        ),
    )
    return _every_qarv(evidence, "figure-7", missing)


def _figure_9(evidence: Evidence) -> Finding:
    missing = Missing(
        "QARV trained with lambda up to 32 ... 1024: neither weights nor curves were published",
        "put lambda_range into a copy of the recipe `ablation`; "
        + to_train("qarv", evidence, config="ablation"),
    )
    return _every_qarv(evidence, "figure-9", missing)


def _every_qarv(evidence: Evidence, name: str, missing: Missing) -> Finding:
    """The published curve and the measured ones of QARV, of whatever weights."""
    curves = evidence.curves("kodak", "qarv", "vtm18")
    plot = rd_plot(name, lambda: [panel("Kodak", curves, "psnr_rgb", _MAX_BPP)])
    notes = drawn_notes(evidence, "kodak", ("qarv",))
    return Finding(plots=(plot,), notes=notes, missing=(missing,))


def _figure_11(evidence: Evidence) -> Finding:
    own = evidence.drawable("kodak", "qarv")
    codec: Any = codec_from_spec(own[0].specs[0] if own else "qarv")
    try:
        codec.check()
    except Unavailable as error:
        return Finding(missing=(Missing("images from some of their latents", str(error)),))
    from rdbench_literature.papers.subsets import subsets_figure

    weights = codec.identify_weights()
    reduced = ", a reduced network" if weights and weights.kind == "reduced" else ""
    note = (
        f"drawn with weights={codec.weights}{reduced}, images of the data set sample; "
        "`rdbench qarv subsets` does it for any image"
    )
    plot = Plot("figure-11", lambda: subsets_figure(codec))
    return Finding(plots=(plot,), notes=(note,))


def _figure_12(evidence: Evidence) -> Finding:
    curve = evidence.best("kodak", "qarv")
    if curve is None:
        return Finding(missing=to_measure("qarv", ["kodak"], evidence))
    note = f"edges from the {curve.source} curve, rates between its points by log lambda"
    return Finding(plots=(Plot("figure-12", lambda: _bins(curve)),), notes=(note,))


def _bins(curve: Curve) -> "Figure":
    """Edges of bins of equal mass, uniform in the cube root and in the log of lambda."""
    from matplotlib.figure import Figure

    from rdbench.report.plots import PAGE_IN

    share = np.linspace(0, 1, _N_BINS + 1)
    roots = _FIRST_LAMBDA ** (1 / 3), _LAST_LAMBDA ** (1 / 3)
    lambdas = {
        "(a) uniform in the cube root of λ": (roots[0] + share * (roots[1] - roots[0])) ** 3,
        "(b) uniform in log λ": _FIRST_LAMBDA * (_LAST_LAMBDA / _FIRST_LAMBDA) ** share,
    }
    bpp, psnr = curve.points("psnr_rgb")
    log_lambda = np.log([value for value in curve.rate_values if value is not None])
    figure = Figure(figsize=(PAGE_IN, 2.6), layout="constrained")
    for axes, (title, edges) in zip(
        figure.subplots(1, 2, sharey=True), lambdas.items(), strict=True
    ):
        axes.plot(bpp, psnr, "o-", markersize=3, color="#0072B2")
        for edge in np.interp(np.log(edges), log_lambda, bpp):
            axes.axvline(edge, color="black", linestyle="--", linewidth=0.8)
        axes.set_title(title, loc="left", fontsize=8)
        axes.set_xlabel("Rate (bits per pixel)")
    figure.axes[0].set_ylabel("PSNR (dB, RGB)")
    return figure


def _figure_14(_: Evidence) -> Finding:
    missing = Missing(
        "loss and BD-rate over training: the authors' logs were not published",
        "rdbench train qarv --config ablation --data PICTURES --validate kodak",
    )
    return Finding(missing=(missing,))


def _figure_15(evidence: Evidence) -> Finding:
    curves = evidence.curves("kodak", "qarv-scalable", "qarv", "vtm18", "jpeg2000")
    if not evidence.drawable("kodak", "qarv-scalable"):
        way_out = "rdbench datasets fetch kodak; rdbench weights fetch qarv; " + to_run(
            "qarv-scalable:lambda=2048", evidence
        )
        return Finding(missing=(Missing("QARV's files cut after each latent", way_out),))
    plot = rd_plot("figure-15", lambda: [panel("Kodak", curves, "psnr_rgb", _MAX_BPP)])
    missing = Missing("DPICT and other scalable codecs: no codec here, no published curve",
                      "run their authors' programs and save their results as JSON; rdbench bdrate "
                      "--anchor vtm18 --dataset kodak --curve RESULTS.json")  # fmt: skip
    notes = drawn_notes(evidence, "kodak", ("qarv-scalable",))
    return Finding(plots=(plot,), notes=notes, missing=(missing,))


def _figure_16(evidence: Evidence) -> Finding:
    curves = evidence.drawable("kodak", "qarv")
    rows = [_shares(evidence, curve) for curve in curves]
    if not any(rows):
        missing = Missing(
            "rate by latent",
            "rdbench datasets fetch kodak; rdbench weights fetch qarv; " + to_run("qarv", evidence),
        )
        return Finding(missing=(missing,))
    plots = [
        Plot(f"figure-16-{number}", functools.partial(_draw_shares, one))
        for number, one in enumerate(rows, start=1)
    ]
    return Finding(plots=tuple(plots), notes=drawn_notes(evidence, "kodak", ("qarv",)))


def _shares(evidence: Evidence, curve: Curve) -> list[dict[str, Any]]:
    return latent_rows(evidence.records(curve), {"kodak": evidence.images("kodak")})


def _draw_shares(rows: Sequence[dict[str, Any]]) -> "Figure":
    from rdbench.report.latents import shares_figure

    return shares_figure(rows, f"Kodak, {rows[0]['curve']}")


def _settings(note: str) -> Finding:
    return Finding(notes=(note,))


PAPER = Paper(
    "qarv",
    "QARV: Quantization-Aware ResNet VAE for Lossy Image Compression (TPAMI 2023)",
    "https://arxiv.org/abs/2302.08899",
    (
        Item("Table 1", "Complexity, latency, and BD-rate against VTM 18.0", _table_1),
        Item("Table 2", "Where the adaptive affine sits, and the norm", _table_2),
        Item("Table 3", "Latent blocks A, B, C", _table_3),
        Item("Table 4", "Residual blocks", _table_4),
        Item("Table 5", "Training settings", lambda _: _settings("settings: nothing to measure")),
        Item("Table 6", "Sources of the baselines", lambda _: _settings(
            "programs of others: mbt2018-mean, mbt2018 and cheng2020-anchor (GMM & Attention) are "
            "codecs here")),
        Item("Table 7", "How lambda is sampled in training", _table_7),
        Item("Table 8", "Number of latents", _table_8),
        diagram("Figure 1", "A VAE, and one for lossy compression"),
        diagram("Figure 2", "Hyperprior and ResNet VAE"),
        diagram("Figure 3", "Training, compression, decompression"),
        diagram("Figure 4", "Autoregressive context models as special cases"),
        diagram("Figure 5", "The network"),
        Item("Figure 6", "PSNR over rate on three test sets", _figure_6),
        Item("Figure 7", "Methods of variable rate", _figure_7),
        diagram("Figure 8", "Positions of the adaptive affine"),
        Item("Figure 9", "Ranges of lambda in training", _figure_9),
        diagram("Figure 10", "Latent blocks A, B, C"),
        Item("Figure 11", "Images decoded from some of their latents", _figure_11),
        Item("Figure 12", "Equal shares of lambda on the curve", _figure_12),
        Item("Figure 13", "MS-SSIM over rate on three test sets", _figure_13),
        Item("Figure 14", "Loss and BD-rate over training", _figure_14),
        Item("Figure 15", "Scalable coding", _figure_15),
        Item("Figure 16", "Rate by latent", _figure_16),
    ),
)  # fmt: skip
