"""Commands of the learned codecs: ``rdbench weights`` and ``rdbench qvrf``."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rdbench.cli.console import AsJson, print_rows, say
from rdbench.columns import Column, plain
from rdbench.errors import UsageError
from rdbench.files import files_of_spec, output_file, write_figure

if TYPE_CHECKING:
    from rdbench_codecs.hyperprior.codec import Qvrf

weights = typer.Typer(help="Weights of the learned codecs.", no_args_is_help=True)
qvrf = typer.Typer(help="Regulators of QVRF.", no_args_is_help=True)


@weights.command("list")
def weights_list(as_json: AsJson = False) -> None:
    """Weights that come along and published ones, and which are here.

    Example: rdbench weights list
    """
    from rdbench_codecs.learned.weights import BUNDLED, all_bundled, known, sha256

    rows = [
        {
            "name": BUNDLED,
            "codec": path.stem,
            "available": True,
            "sha256": sha256(path)[:8],
            "source": "bundled",
            "terms": f"rdbench weights card {path.stem}",
        }
        for path in all_bundled()
    ]
    rows += [
        {
            "name": c.name,
            "codec": c.codec,
            "available": c.path.is_file(),
            "sha256": c.sha256 or None,
            "source": c.url,
            "terms": c.terms,
        }
        for c in known()
    ]
    print_rows(CHECKPOINTS, rows, as_json)


CHECKPOINTS = plain("name", "codec", "available", "sha256", "source", "terms")


@weights.command("card")
def weights_card(
    codec: Annotated[str, typer.Argument(help="Codec whose weights come along.")],
) -> None:
    """Print what is known of the weights that come along: data, training, results.

    Example: rdbench weights card qarv
    """
    from rdbench_codecs.learned.weights import all_bundled, bundled

    if not bundled(codec).is_file():
        names = ", ".join(path.stem for path in all_bundled())
        raise UsageError(f"no weights are bundled for {codec!r}; there are some for {names}")
    typer.echo(bundled(codec).with_suffix(".md").read_text())


@weights.command("fetch")
def weights_fetch(
    name: Annotated[str, typer.Argument(help="Name of weights, or of a codec for all of its.")],
) -> None:
    """Download published weights and check them: hash as far as known, names, shapes.

    Example: rdbench weights fetch qarv
    """
    from rdbench_codecs.learned.weights import fetch, find, hash_note

    for checkpoint in find(name):
        path = fetch(checkpoint, partial(_check_network, checkpoint.codec))
        say(f"{checkpoint.name}: {path} ({hash_note(checkpoint)})")


def _check_network(codec: str, path: Path) -> None:
    """DataError where a file does not hold the network of a codec."""
    if codec == "qarv":
        from rdbench_codecs.qarv.model import load_network

        load_network(path)
        return
    from rdbench.plugins import codec_class
    from rdbench_codecs.hyperprior.codec import HyperpriorCodec
    from rdbench_codecs.hyperprior.loading import network_of
    from rdbench_codecs.learned.weights import read

    cls = codec_class(codec)
    if issubclass(cls, HyperpriorCodec):
        network_of(cls.baseline, cls.method, read(path)[0], path)


@qvrf.callback()
def _qvrf_group() -> None:
    """Regulators of QVRF."""


@qvrf.command("fit")
def qvrf_fit(
    codec: Annotated[
        str, typer.Option("--codec", "-c", help="A QVRF codec with its weights.")
    ] = "qvrf-cheng2020-attn",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Figure to write, such as fit.pdf.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fit the line between regulators and lambda.

    sqrt(lambda / lambda_ref) = slope * a + intercept, equation 7 and Figure 3 of QVRF.

    Example: rdbench qvrf fit --codec qvrf-mbt2018:weights=my.pth --out fit.pdf
    """
    point = _qvrf_point(codec)
    if out:
        output_file(out, out, files_of_spec(codec))
    fit = point.regulator_fit()
    row = {"codec": codec, "slope": fit.slope, "intercept": fit.intercept, "r2": fit.r2}
    print_rows(FIT, [row], as_json)
    if out:
        _draw_fit(fit, codec, out)
        say(str(out))


FIT = (*plain("codec", "slope", "intercept"), Column("r2", "R²"))


@qvrf.command("fix")
def qvrf_fix(
    codec: Annotated[
        str, typer.Option("--codec", "-c", help="A QVRF codec at one rate, with its weights.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write, .safetensors.")],
) -> None:
    """Write the fixed-rate network that a QVRF network is at one rate.

    It makes the same integers and the same image, and can be trained on at that rate.

    Example: rdbench qvrf fix --codec qvrf-mbt2018-mean:index=3 --out fixed.safetensors
    """
    point = _qvrf_point(codec)
    if out.suffix != ".safetensors":  # by which weights=PATH knows how to read it
        raise UsageError(f"{out} does not end in .safetensors; name such a file with --out")
    output_file(out, out, files_of_spec(codec))
    point.write_fixed(out)
    say(f"{out}: weights of {point.baseline}")


def _qvrf_point(spec: str) -> "Qvrf":
    """The operating point of a spec; UsageError where it is of another family."""
    from rdbench.spec import get_codec
    from rdbench_codecs.hyperprior.codec import Qvrf

    point = get_codec(spec)
    if not isinstance(point, Qvrf):
        raise UsageError(f"{spec!r} is no QVRF codec")
    return point


def _draw_fit(fit: Any, title: str, out: Path) -> None:
    import numpy as np
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.5, 2.8), layout="constrained")
    axes = figure.subplots()
    a = np.asarray(fit.regulators)
    axes.plot(a, np.sqrt(np.asarray(fit.lambdas) / fit.lambdas[0]), "o", label="regulators")
    ends = np.array([a.min(), a.max()])
    label = f"{fit.slope:.4f} a {round(fit.intercept, 4) + 0.0:+.4f}, R² = {fit.r2:.4f}"
    axes.plot(ends, fit.slope * ends + fit.intercept, "-", color="#D55E00", label=label)
    axes.set_xlabel("regulator a")
    axes.set_ylabel("√(λ / λ_ref)")
    axes.set_title(title, fontsize=8, loc="left", parse_math=False)
    axes.legend(fontsize=7, frameon=False)
    write_figure(out, figure, dpi=300)
