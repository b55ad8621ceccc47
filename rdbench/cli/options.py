"""Options that several commands share: written once, with one default and one help text each.

Completion calls the functions that return names in a process of its own each time Tab is pressed:
they import nothing slow.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from rdbench.analysis.bd import METHODS
from rdbench.datasets import manifests
from rdbench.errors import UsageError
from rdbench.metrics import METRICS
from rdbench.published import list_curves
from rdbench.registry import closest, codec_class, codec_names, settings_of

REPORTS = Path("reports")
ALL: list[Any] = []
"""The default of options that choose some of many."""


def dataset_names() -> list[str]:
    """Names of the registered data sets."""
    return list(manifests())


def curve_names() -> list[str]:
    """Names of codecs, and of the published curves."""
    return list(dict.fromkeys([*codec_names(), *(curve.codec for curve in list_curves())]))


def choice(flag: str, values: Iterable[str], about: str, *more_flags: str) -> Any:
    """An option with a few possible values, which are checked and completed.

    Args:
        flag: such as ``--method``.
        values: what it may be.
        about: what it chooses, for the help.
        more_flags: other spellings, such as ``-m``.
    """
    known = list(values)

    def check(given: Any) -> Any:
        for value in given if isinstance(given, list | tuple) else [given]:
            if value not in known:
                hint = closest(value, known)
                raise UsageError(f"{flag} is one of {', '.join(known)}, not {value!r}{hint}")
        return given

    return typer.Option(
        flag,
        *more_flags,
        help=f"{about}: {', '.join(known)}.",
        metavar="NAME",
        callback=check,
        autocompletion=lambda: known,
    )


_CODEC: Any = {"metavar": "SPEC", "autocompletion": codec_names}
_DATASET: Any = {"metavar": "DATASET", "autocompletion": dataset_names}
_CURVE: Any = {"metavar": "CURVE", "autocompletion": curve_names}

CodecSpec = Annotated[
    str, typer.Option("--codec", "-c", help="Codec, as NAME or NAME:KEY=VALUE,...", **_CODEC)
]
CodecSpecs = Annotated[
    list[str],
    typer.Option(
        "--codec",
        "-c",
        help="Codec, as NAME or NAME:KEY=VALUE,..., or a .toml description. Repeatable.",
        **_CODEC,
    ),
]
CurveNames = Annotated[
    list[str],
    typer.Option(
        "--codec", "-c", help="Only this codec or curve; default: all. Repeatable.", **_CURVE
    ),
]
Anchor = Annotated[
    str,
    typer.Option(
        "--anchor", "-a", help="Codec or curve to compare with, also with settings.", **_CURVE
    ),
]
ImageSet = Annotated[
    str, typer.Option("--dataset", "-d", help="Data set or folder of images.", **_DATASET)
]
ImageSets = Annotated[
    list[str],
    typer.Option("--dataset", "-d", help="Data set or folder of images. Repeatable.", **_DATASET),
]
OnlyDataset = Annotated[
    str | None,
    typer.Option("--dataset", "-d", help="Only this data set; default: all.", **_DATASET),
]
DatasetName = Annotated[
    str, typer.Argument(help="Data set; `rdbench datasets list` shows all.", **_DATASET)
]
Metric = Annotated[str, choice("--metric", ["psnr", *METRICS], "What is compared", "-m")]
Metrics = Annotated[
    list[str], choice("--metric", METRICS, "Only this metric; default: all available", "-m")
]
Method = Annotated[str, choice("--method", METHODS, "Interpolation")]
CurveFiles = Annotated[
    list[Path],
    typer.Option("--curve", help="Also use this JSON file of CompressAI or lossy-vae. Repeatable."),
]
Folder = Annotated[Path, typer.Argument(help="Report folder.")]
OutFolder = Annotated[
    Path, typer.Option("--out", "-o", help="Report folder that the results are added to.")
]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=1, metavar="N", help="Number of processes.")]
Threads = Annotated[int, typer.Option("--threads", min=1, metavar="N", help="Threads per process.")]
ToBpp = Annotated[
    float | None, typer.Option("--bpp", metavar="BPP", help="Rate to meet, in bits per pixel.")
]
ToPsnr = Annotated[float | None, typer.Option("--psnr", metavar="DB", help="PSNR to meet, in dB.")]
ToMsSsim = Annotated[
    float | None, typer.Option("--ms-ssim", metavar="X", help="MS-SSIM to meet, below 1.")
]
Device = Annotated[
    str | None,
    typer.Option(
        "--device", metavar="NAME", help="Device of the learned codecs: cpu, cuda, cuda:N."
    ),
]
WeightsOf = Annotated[
    str | None,
    typer.Option(
        "--weights", metavar="NAME", help="Weights of the learned codecs: a name or a file."
    ),
]
PerImage = Annotated[bool, typer.Option("--per-image", help="Print one row per image.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Force = Annotated[bool, typer.Option("--force", help="Replace existing files.")]


def with_settings(specs: Sequence[str], **settings: str | None) -> list[str]:
    """Add settings to every spec whose codec has them.

    Args:
        specs: such as ``["jpeg", "qarv:lambda=64"]``.
        settings: such as ``device="cuda"``; None for one that is not given.

    Returns:
        Such as ``["jpeg", "qarv:lambda=64,device=cuda"]``.

    Raises:
        UsageError: no codec has one of the settings.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    known = [settings_of(codec_class(spec.partition(":")[0])).keys() for spec in specs]
    for name in given:
        if not any(name in names for names in known):
            raise UsageError(f"--{name}: none of these codecs has that setting: {', '.join(specs)}")
    return [
        _joined(spec, [f"{name}={value}" for name, value in given.items() if name in names])
        for spec, names in zip(specs, known, strict=True)
    ]


def _joined(spec: str, settings: Sequence[str]) -> str:
    name, _, own = spec.partition(":")
    return f"{name}:{','.join([own] * bool(own) + list(settings))}" if settings else spec
