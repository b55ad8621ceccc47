"""Records in the JSON that Codec-Compare reads, for its viewer.

A batch is one curve on one data set: constants that hold for all of it, then one row per image and
operating point. A list names the batches of a data set; the viewer opens it with ``?load=LIST``.
The viewer takes null and empty text for the number 0, so a field that a row lacks is left out of
the batch, and so are rows that failed.

Source: https://github.com/webmproject/codec-compare, README.md and src/entry_loader.ts, v0.6.6.
"""

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from rdbench.curve import Curve
from rdbench.metrics import METRICS, Metric
from rdbench.report.export import file_names
from rdbench.types import CurveKey, Record

EXACT_DB = 99.0
"""What an infinite number of dB is written as, like the files of Codec-Compare's own generator."""

_KNOWN = {
    "psnr_rgb": "psnr",
    "ms_ssim": "msssim",
    "butteraugli": "p3-norm",
    "butteraugli_max": "butteraugli",
}
"""Names that the viewer has for our metrics, where they differ from ours."""

_IN_DB = ("ms_ssim", "ms_ssim_y", "ssim")
"""Similarities written in dB, as the viewer expects: it matches values that differ by 1 %."""

_CONSTANTS = {
    "name": "Name of this batch",
    "codec": "Name of the codec used to generate this data",
    "version": "Version of the codec used to generate this data",
    "time": "Timestamp of when this data was generated",
    "source_data_set": "Name of the data set in rdbench",
    "encoding_cmd": "A command that encodes the original image",
    "settings": "Settings of the codec other than the rate parameter",
    "weights": "SHA-256 of weights or configuration; empty where there are none",
    "rate": "What the encoded size counts",
    "scored": "What is scored",
    "protocol": "Fingerprint of the protocol in rdbench",
    "machine": "Where the times were measured",
    "times": "How the times were measured",
}

_Value = str | int | float
_Group = tuple[str, CurveKey | None, str]


def codec_compare_files(curves: Iterable[Curve], records: Iterable[Record]) -> dict[str, str]:
    """Return file name -> content: one batch per curve, and ``DATASET.json``, a list of batches.

    Args:
        curves: measured curves; those without a verified record are left out.
        records: what the curves were made of.
    """
    groups: dict[_Group, list[Record]] = defaultdict(list)
    for record in records:
        if record.error is None and record.n_bytes is not None:
            groups[record.dataset, record.curve, record.protocol].append(record)
    batches = {
        (curve.dataset, curve.label): _batch(curve, rows)
        for curve in curves
        if (rows := groups[curve.dataset, curve.key, curve.protocol["fingerprint"]])
    }
    datasets = list(dict.fromkeys(dataset for dataset, _ in batches))
    names = file_names([*((dataset,) for dataset in datasets), *batches])
    files = {f"{names[key]}.json": batch for key, batch in batches.items()}
    for dataset in datasets:
        members = [[f"{names[key]}.json"] for key in batches if key[0] == dataset]
        files[f"{names[dataset,]}.json"] = json.dumps(members, indent=1) + "\n"
    return files


def _batch(curve: Curve, records: Sequence[Record]) -> str:
    constants, fields = _constants(curve, records), _fields(records)
    body = {
        "constant_descriptions": [{name: _CONSTANTS[name]} for name in constants],
        "constant_values": list(constants.values()),
        "field_descriptions": [{name: about} for name, about, _ in fields],
    }
    rows = [json.dumps(row) for row in zip(*(values for *_, values in fields), strict=True)]
    head = json.dumps(body, indent=1).removesuffix("\n}")
    return head + ',\n "field_values": [\n  ' + ",\n  ".join(rows) + "\n ]\n}\n"


def _constants(curve: Curve, records: Sequence[Record]) -> dict[str, str]:
    runs = [r.provenance for r in records]
    machines = [run["machine"] for run in runs if run.get("machine")]
    used = [pair for run in runs for pair in run.get("versions", {}).items()]
    versions = [value if value.startswith(name) else f"{name} {value}" for name, value in used]
    first = records[0]
    values = {
        "name": curve.label,
        "codec": curve.codec,
        "version": _listed(versions),
        "time": max(r.created for r in records),
        "source_data_set": curve.dataset,
        "encoding_cmd": "rdbench encode ${original_name} --codec ${spec}",
        "settings": ",".join(f"{name}={value}" for name, value in first.settings),
        "weights": _listed(r.fingerprint for r in records if r.fingerprint),
        "rate": "estimated bits, not bytes" if curve.estimated else "all bytes of the file",
        "scored": str(curve.protocol.get("scored", "")),
        "protocol": first.protocol,
        "times": f"one call each; for {sum(r.timed_alone for r in records)} of {len(records)} rows "
        "no other job of the sweep ran",
        "machine": _listed(f"{m['processor']}, {m['cores']} cores" for m in machines),
    }
    return {name: values[name] for name in _CONSTANTS}


def _listed(words: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(words))


def _fields(records: Sequence[Record]) -> list[tuple[str, str, list[_Value]]]:
    """(name, description, one value per record) of the fields that all records have."""
    parameter = records[0].rate_parameter.rstrip("_") or "rate_parameter"
    getters: dict[str, tuple[str, Callable[[Record], _Value | None]]] = {
        "original_name": ("Original image file name", lambda r: r.image),
        "spec": ("Operating point of the codec in rdbench", lambda r: r.spec),
        "width": ("Pixel columns in the original image", lambda r: r.width),
        "height": ("Pixel rows in the original image", lambda r: r.height),
        "encoded_size": ("Size of the encoded image in bytes", lambda r: r.n_bytes),
        parameter: ("Rate parameter of the codec", lambda r: r.rate_value),
        "encoding_time": ("Wall time of the call in seconds", lambda r: r.encode_s),
        "decoding_time": ("Wall time of the call in seconds", lambda r: r.decode_s),
    }
    for metric in METRICS.values():
        name = _KNOWN.get(metric.name, metric.name)
        getters[name] = (_about(metric), partial(_score, metric=metric))
    columns = [(name, about, [get(r) for r in records]) for name, (about, get) in getters.items()]
    return [
        (name, about, [v for v in values if v is not None])
        for name, about, values in columns
        if all(value is not None for value in values)
    ]


def _score(record: Record, metric: Metric) -> float | None:
    """A score as Codec-Compare has it, in dB where the metric has such a form; None if unknown."""
    score = record.scores.get(metric.name)
    if score is None:
        return EXACT_DB if record.exact and metric.unit == "dB" else None
    if metric.name in _IN_DB:
        error = metric.best - score
        return -10 * math.log10(error) if error > 0 else EXACT_DB
    return score if math.isfinite(score) else None


def _about(metric: Metric) -> str:
    in_db = metric.name in _IN_DB
    unit = ", in dB: -10 log10(1 - x)" if in_db else ", in dB" * (metric.unit == "dB")
    exact = f"; {EXACT_DB:g} if nothing was lost" if unit else ""
    better = "higher" if in_db else metric.better
    return f"Distortion metric {metric.title}{unit}; {better} is better{exact}. {metric.source}"
