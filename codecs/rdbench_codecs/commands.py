"""Commands of the codecs: ``rdbench new``, ``rdbench weights`` and ``rdbench qvrf``."""

import keyword
import re
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from rdbench.cli import options
from rdbench.cli.console import Verbosity, print_rows, progress, say
from rdbench.columns import Column, plain
from rdbench.errors import UsageError
from rdbench.files import files_of_spec, output_file, output_files, write_figure, write_text
from rdbench.plugins import codec_class, codec_names
from rdbench.spec import get_codec
from rdbench_codecs.hyperprior.codec import HyperpriorCodec, Qvrf
from rdbench_codecs.learned import weights as files

weights = typer.Typer(help="List and fetch weights of learned codecs.", no_args_is_help=True)
new = typer.Typer(help="Start a codec of your own.", no_args_is_help=True)
qvrf = typer.Typer(help="Analyse and convert networks of QVRF.", no_args_is_help=True)


TEMPLATES = {
    "class": (".py",),
    "compressai": (".py",),
    "onnx": (".py",),
    "command": (".toml", ".py"),
    "foreign": (".toml", ".py"),
}
"""Kinds of codecs that `new_codec` starts: suffixes of the files, that of the codec first."""

_KIND = (
    "What to start from: class (a Python class), compressai (a class like CompressAI's models), "
    "onnx (ONNX networks), command (two programs), foreign (a class in another Python environment)."
)


@new.command("codec")
def new_codec(
    name: Annotated[str, typer.Argument(help="Name of the codec and of its files.")],
    kind: Annotated[
        str, typer.Option(metavar="KIND", help=_KIND, autocompletion=lambda: list(TEMPLATES))
    ] = "class",
    out: Annotated[Path, options.out("Folder to write to.")] = Path(),
    force: options.Force = False,
) -> None:
    """Write a small codec that works, to replace with your own.

    It passes `rdbench check` as it is. The next commands are printed.

    Example: rdbench new codec mine --kind compressai
    """
    suffixes = TEMPLATES.get(kind)
    if suffixes is None:
        raise UsageError(f"no kind of codec is named {kind!r}; there are: {', '.join(TEMPLATES)}")
    class_name = _class_name(name)
    spec = f"{name}.toml" if ".toml" in suffixes else f"{name}.py:{class_name}"
    words = {
        "my-codec": name, "MyCodec": class_name, "MODULE": name, "FILE": spec,
        "PYTHON": sys.executable,
    }  # fmt: skip
    files = {out / f"{name}{suffix}": _template(f"{kind}{suffix}", words) for suffix in suffixes}
    output_files(files, force=force)
    for path, text in files.items():
        write_text(path, text)
        typer.echo(str(path))
    codec = out / spec
    say(f"Check it:   rdbench check {codec}")
    say(f"Measure it: rdbench run --codec {codec} --codec jpeg --dataset sample")


def _class_name(name: str) -> str:
    """The name of a codec as the name of a class."""
    if not re.fullmatch(r"[A-Za-z]\w*(-\w+)*", name, re.ASCII):
        raise UsageError(
            f"{name!r} cannot name a codec; use a letter, then letters, digits, - and _"
        )
    if name in codec_names():
        raise UsageError(f"{name!r} is a registered codec; choose another name")
    return "".join(word[:1].upper() + word[1:] for word in re.split("[-_]", name))


def _template(file: str, words: dict[str, str]) -> str:
    """The text of a template with other words in it."""
    text = (Path(__file__).parent / "templates" / f"of_{file}").read_text()
    class_name = words["MyCodec"]
    if keyword.iskeyword(class_name) or re.search(rf"\b{class_name}\b", text):
        raise UsageError(f"a class cannot be named {class_name} in this file; choose another name")
    return re.sub("|".join(words), lambda word: words[word[0]], text)


def _bundled_names() -> list[str]:
    """Codecs with bundled weights, for completion."""
    return [path.stem for path in files.all_bundled()]


def _published_names() -> list[str]:
    """Checkpoints, and codecs that have some, for completion."""
    return list(dict.fromkeys(name for c in files.known() for name in (c.codec, c.name)))


@weights.command("list")
def weights_list(as_json: options.AsJson = False) -> None:
    """List bundled and published weights, and which are on this machine.

    Example: rdbench weights list
    """
    rows: list[tuple[object, ...]] = []
    for path in files.all_bundled():
        card = f"rdbench weights card {path.stem}"
        rows.append((files.BUNDLED, path.stem, True, files.sha256(path)[:8], "bundled", card))
    for c in files.known():
        rows.append((c.name, c.codec, c.path.is_file(), c.sha256 or None, c.url, c.terms))
    keys = [column.key for column in CHECKPOINTS]
    print_rows(CHECKPOINTS, [dict(zip(keys, row, strict=True)) for row in rows], as_json)


CHECKPOINTS = plain("name", "codec", "available", "sha256", "source", "terms")


@weights.command("card")
def weights_card(
    codec: Annotated[
        str, typer.Argument(help="Codec with bundled weights.", autocompletion=_bundled_names)
    ],
) -> None:
    """Print the card of bundled weights: data, training, results.

    Example: rdbench weights card qarv
    """
    if codec not in _bundled_names():
        raise UsageError(f"no weights are bundled for {codec!r}, but {', '.join(_bundled_names())}")
    typer.echo(files.bundled(codec).with_suffix(".md").read_text())


@weights.command("fetch")
def weights_fetch(
    name: Annotated[
        str,
        typer.Argument(
            help="Checkpoint name, or a codec name to fetch all of its checkpoints.",
            autocompletion=_published_names,
        ),
    ],
) -> None:
    """Download published weights and check their hash, parameter names and shapes.

    Example: rdbench weights fetch qarv
    """
    for checkpoint in files.find(name):
        check = partial(_check_network, checkpoint.codec)
        path = files.fetch(checkpoint, check, progressbar=not Verbosity.quiet)
        say(f"{checkpoint.name}: {path} ({files.hash_note(checkpoint)})")


def _check_network(codec: str, path: Path) -> None:
    """DataError if a file does not hold the network of a codec."""
    if codec == "qarv":
        from rdbench_codecs.qarv.model import load_network

        load_network(path)
        return
    from rdbench_codecs.hyperprior.loading import network_of

    cls = codec_class(codec)
    if issubclass(cls, HyperpriorCodec):
        network_of(cls.baseline, cls.method, files.read(path)[0], path)


@qvrf.command("fit")
def qvrf_fit(
    codec: options.CodecSpec = "qvrf-cheng2020-attn",
    out: Annotated[Path | None, options.out("Figure to write, such as fit.pdf.")] = None,
    as_json: options.AsJson = False,
) -> None:
    """Fit the line between the regulators of a QVRF codec and lambda.

    sqrt(lambda / lambda_ref) = slope * a + intercept: equation 7 and Figure 3 of the paper.

    Example: rdbench qvrf fit --codec qvrf-mbt2018:weights=my.pth --out fit.pdf
    """
    point = _qvrf_point(codec)
    if out:
        output_file(out, out, files_of_spec(codec))
        _require_figure(out)
    with progress("fitting"):
        fit = point.regulator_fit()
    row = {"codec": codec, "slope": fit.slope, "intercept": fit.intercept, "r2": fit.r2}
    print_rows(FIT, [row], as_json)
    if out:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(3.5, 2.8), layout="constrained")
        axes = figure.subplots()
        axes.set_title(codec, fontsize=8, loc="left", parse_math=False)
        fit.draw(axes)
        write_figure(out, figure, dpi=300)
        say(str(out))


FIT = (*plain("codec", "slope", "intercept"), Column("r2", "R²"))


@qvrf.command("fix")
def qvrf_fix(
    codec: options.CodecSpec,
    out: Annotated[Path, options.out("File to write: NAME.safetensors.")],
) -> None:
    """Write a QVRF network at one rate as a fixed-rate network.

    It gives the same latents and the same image, and can be trained further at that rate.

    Example: rdbench qvrf fix --codec qvrf-mbt2018-mean:index=3 --out fixed.safetensors
    """
    point = _qvrf_point(codec)
    if out.suffix != ".safetensors":  # by which weights=PATH knows how to read it
        raise UsageError(f"{out} does not end in .safetensors; name such a file with --out")
    output_file(out, out, files_of_spec(codec))
    point.write_fixed(out)
    say(f"{out}: weights of {point.baseline}")


def _qvrf_point(spec: str) -> Qvrf:
    """The operating point of a spec; UsageError if it is of another family."""
    point = get_codec(spec)
    if not isinstance(point, Qvrf):
        raise UsageError(f"{spec!r} is not a QVRF codec")
    return point


def _require_figure(path: Path) -> None:
    """UsageError, before the work, for a suffix that no figure is written with."""
    from matplotlib.backend_bases import FigureCanvasBase

    formats = FigureCanvasBase.get_supported_filetypes()
    if path.suffix.removeprefix(".") not in formats:
        raise UsageError(f"cannot draw {path}; its suffix must be one of {', '.join(formats)}")
