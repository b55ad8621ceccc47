"""Options that several commands share: written once, with one default and one help text each.

Completion calls the functions that return names in a process of its own each time Tab is pressed:
they import nothing slow.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, BadParameter, Option

from rdbench.analysis.delta import METHODS
from rdbench.analysis.delta import Method as _Method
from rdbench.curve import metric_name
from rdbench.datasets import manifests, names_of_list
from rdbench.errors import UsageError, closest
from rdbench.metrics import METRICS
from rdbench.plugins import codec_class, codec_names
from rdbench.published import list_curves
from rdbench.spec import settings_of, split

REPORTS = Path("reports")
_NAMES_SHOWN = 12  # of those that may be meant
ALL: list[Any] = []
"""The default of options that choose some of many."""


def curve_names() -> list[str]:
    """Names of codecs, and of the published curves."""
    return list(dict.fromkeys([*codec_names(), *(curve.codec for curve in list_curves())]))


def choice(flag: str, values: Iterable[str], about: str, *more_flags: str) -> Any:
    """An option with a few possible values, which are checked, completed and named in the help."""
    known = list(values)

    def check(given: Any) -> Any:
        for value in given if isinstance(given, list | tuple) else [given]:
            if value is not None and value not in known:
                hint = closest(value, known)
                raise BadParameter(f"{value!r} is not one of {', '.join(known)}{hint}")
        return given

    return Option(
        flag,
        *more_flags,
        help=f"{about}: {', '.join(known)}.",
        metavar="NAME",
        callback=check,
        autocompletion=lambda: known,
    )


def curves(*flags: str, help: str) -> Any:
    """An option that names curves."""
    return Option(*flags, metavar="CURVE", autocompletion=curve_names, help=help)


def out(about: str) -> Any:
    """The option that names what a command writes."""
    return Option("--out", "-o", help=about)


def _target(name: str, unit: str, about: str) -> Any:
    return Option(f"--{name}", f"--target-{name}", metavar=unit, help=about)


_CODEC: Any = {"metavar": "SPEC", "autocompletion": codec_names}
_DATASET: Any = {"metavar": "DATASET", "autocompletion": lambda: list(manifests())}
_SPEC = "Codec, as NAME or NAME:KEY=VALUE,..., or a .toml or .py file."
_IMAGES = "Data set or folder of images; NAME[IMAGE] is one of its images."
_CURVE_FILE = "Also use this curve file: JSON, CSV, text or Markdown. Repeatable."

CodecSpec = Annotated[str, Option("--codec", "-c", help=_SPEC, **_CODEC)]
CodecSpecs = Annotated[list[str], Option("--codec", "-c", help=f"{_SPEC} Repeatable.", **_CODEC)]
CurveNames = Annotated[
    list[str],
    curves("--codec", "-c", help="Only this codec or curve; default: all. Repeatable."),
]
Anchor = Annotated[
    str,
    curves(
        "--anchor",
        "-a",
        help="Codec or curve to compare with, also with settings; default: vtm18, or where there "
        "is none the one with most points in common with the measured curves.",
    ),
]
Published = Annotated[
    list[str],
    curves(
        "--published",
        help="Published curves to show: none, all, or names separated by commas; an anchor may be "
        "any. Default: all.",
    ),
]
ImageSet = Annotated[str, Option("--dataset", "-d", help=_IMAGES, **_DATASET)]
ImageSets = Annotated[
    list[str], Option("--dataset", "-d", help=f"{_IMAGES} Repeatable.", **_DATASET)
]
OnlyDataset = Annotated[
    str | None, Option("--dataset", "-d", help="Only this data set; default: all.", **_DATASET)
]
DatasetName = Annotated[
    str, Argument(help="Data set; `rdbench datasets list` shows all.", **_DATASET)
]
Metric = Annotated[str, choice("--metric", ["psnr", *METRICS], "What is compared", "-m")]
Metrics = Annotated[
    list[str], choice("--metric", METRICS, "Only this metric; default: all available", "-m")
]
Method = Annotated[_Method, choice("--method", METHODS, "Interpolation")]
CurveFiles = Annotated[list[Path], Option("--curve", metavar="FILE", help=_CURVE_FILE)]
Names = Annotated[
    list[str],
    Option(
        "--name",
        metavar="CURVE=TEXT",
        help="What to print for a codec, curve or data set. Repeatable.",
    ),
]
Folder = Annotated[Path, Argument(metavar="FOLDER", help="Report folder.")]
OutFolder = Annotated[
    Path, Option("--out", "-o", metavar="FOLDER", help="Report folder to add results to.")
]
Jobs = Annotated[int, Option("--jobs", "-j", min=1, metavar="N", help="Processes.")]
Threads = Annotated[int, Option("--threads", min=1, metavar="N", help="Threads per process.")]
Images = Annotated[
    str | None,
    Option(
        help="Images to show: names separated by commas, or a number per data set.",
        show_default="1",
    ),
]
Rates = Annotated[str, Option("--bpp", help="Rates to show them at: bpp separated by commas.")]
MatchRate = Annotated[
    bool,
    Option(
        "--match-rate",
        help="Encode them at the rate of the anchor, within 1 % where the codec can.",
    ),
]
PageAnchor = Annotated[
    str,
    curves(
        "--anchor",
        "-a",
        help="Codec or curve that the page begins with as the anchor, whatever --published says; "
        "default: vtm18, or else the measured curve with most points.",
    ),
]
Title = Annotated[str, Option(help="Heading; default: the folder's name.")]
PageNote = Annotated[
    Path | None, Option("--note", help="Markdown file with your words on the results.")
]
Earlier = Annotated[
    list[Path],
    Option(
        "--earlier",
        metavar="FOLDER",
        help="Report folder of an earlier run of the same codecs, to show what changed. "
        "Repeatable.",
    ),
]
ToBpp = Annotated[float | None, _target("bpp", "BPP", "Rate to meet.")]
ToPsnr = Annotated[float | None, _target("psnr", "DB", "PSNR to meet.")]
ToMsSsim = Annotated[float | None, _target("ms-ssim", "X", "MS-SSIM to meet.")]
ToQuality = Annotated[
    str, Option("--target", metavar="METRIC=X", help="Score to meet, such as ssimulacra2=70.")
]
ToBytes = Annotated[float | None, _target("bytes", "N", "Size to meet.")]
Device = Annotated[
    str | None, Option("--device", metavar="NAME", help="Device of learned codecs, such as cuda.")
]
WeightsOf = Annotated[
    str | None, Option("--weights", metavar="NAME", help="Weights of learned codecs: name or file.")
]
Years = Annotated[
    str, Option("--year", metavar="YEAR", help="Only codecs of a year or range: 2024, 2022-2025.")
]
PerImage = Annotated[bool, Option("--per-image", help="Print one row per image.")]
AsJson = Annotated[bool, Option("--json", help="Print JSON instead of a table.")]
Force = Annotated[bool, Option("--force", help="Replace existing files.")]


def with_settings(specs: Sequence[str], **settings: str | None) -> list[str]:
    """Add settings to every spec whose codec has them.

    ``device="cuda"`` makes ``["jpeg", "qarv:lambda=64"]`` ``["jpeg",
    "qarv:lambda=64,device=cuda"]``; a setting that is None is not given.

    Raises:
        UsageError: no codec has one of the settings.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    known = [settings_of(codec_class(split(spec)[0])).keys() for spec in specs]
    for name in given:
        if not any(name in names for names in known):
            raise UsageError(f"--{name}: none of these codecs has that setting: {', '.join(specs)}")
    result = []
    for spec, names in zip(specs, known, strict=True):
        own = [f"{name}={value}" for name, value in given.items() if name in names]
        separator = "," if split(spec)[1] else ":"
        result.append(f"{spec}{separator}{','.join(own)}" if own else spec)
    return result


def published_names(given: Sequence[str]) -> list[str]:
    """Return the words of what was given for `Published`."""
    return [word.strip() for text in given for word in names_of_list(text) if word.strip()]


def printed_names(given: Sequence[str], known: Iterable[str], where: str) -> dict[str, str]:
    """Return what to print for each known name that was given for `Names`, in whatever case.

    Args:
        known: codecs, labels and data sets.
        where: what they are in, for messages.

    Raises:
        UsageError: text without a name, or a name that is not known.
    """
    known = list(dict.fromkeys(known))
    names: dict[str, str] = {}
    for text in given:
        if "=" not in text[1:]:
            raise UsageError(f"--name takes CURVE=TEXT, not {text!r}")
        found = [name for name in known if text.casefold().startswith(f"{name.casefold()}=")]
        if not found:
            some = [*known[:_NAMES_SHOWN], *(["..."] if known[_NAMES_SHOWN:] else [])]
            hint = closest(text.partition("=")[0], known)
            raise UsageError(
                f"--name {text}: no codec, curve or data set of that name in {where}; "
                f"there are {', '.join(some)}{hint}"
            )
        # a label may have equals signs of its own
        names |= {name: text.split("=", name.count("=") + 1)[-1] for name in found}
    return names


def target_of(quality: str = "", **given: float | None) -> tuple[str, float] | None:
    """Return what is to be met and how much of it; None where nothing is.

    Args:
        quality: what was given for `ToQuality`, or "".
        given: what was given for the other targets, by their names; None for nothing.

    Raises:
        UsageError: several are given, or the first is not a metric and a number.
    """
    targets = [(name, value) for name, value in given.items() if value is not None]
    if quality:
        name, _, text = quality.partition("=")
        try:
            targets.append((metric_name(name), float(text)))
        except ValueError:
            raise UsageError(f"--target takes METRIC=NUMBER, not {quality!r}") from None
    if len(targets) > 1:
        raise UsageError("give one target, not " + " and ".join(name for name, _ in targets))
    return targets[0] if targets else None


def years(text: str) -> tuple[int, int]:
    """Return the first and last year of what was given for `Years`.

    Raises:
        UsageError: it is not a year or a range.
    """
    first, _, last = text.partition("-")
    if text and not (first.isdecimal() and (last or first).isdecimal()):
        raise UsageError(f"--year {text}: give a year or a range, such as 2024 or 2022-2025")
    return int(first or 0), int(last or first or 0)
