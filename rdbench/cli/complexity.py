"""``rdbench complexity``: what learned codecs compute and store."""

from pathlib import Path
from typing import Annotated, Any

import typer

from rdbench.analysis.complexity import complexity as count
from rdbench.analysis.complexity import extra
from rdbench.cli import options
from rdbench.cli.console import print_rows, track
from rdbench.registry import codecs_from_spec
from rdbench.store import Store
from rdbench.types import Codec


def complexity(
    codec: options.CodecSpecs,
    reference: Annotated[
        str | None,
        typer.Option(help="Also print what each codec has more than this one, in percent."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Report folder that keeps the results.")
    ] = None,
    weights: options.WeightsOf = None,
    as_json: options.AsJson = False,
) -> None:
    """Count parameters and MACs per pixel.

    Encoder and decoder are counted separately while an image is coded; what both compute counts for
    both. Element-wise products count only in the percentages, as one MAC each. A codec without a
    rate is counted at the highest rate of its ladder. The numbers do not depend on weights.

    Example: rdbench complexity --codec qarv --weights random
    """
    specs = options.with_settings(codec, weights=weights)
    rows: list[dict[str, Any]] = []
    for spec in track("complexity", specs):
        point = _highest_rate(spec)
        cost = count(point)
        row: dict[str, Any] = {
            "codec": spec,
            "weights": _WEIGHTS.get(point.weights_kind()),
            "models": cost.n_models,
            "ladder_params_million": cost.ladder_parameters / 1e6,
            "params_million": cost.parameters["total"] / 1e6,
            "encoder_params_million": cost.parameters["encoder"] / 1e6,
            "decoder_params_million": cost.parameters["decoder"] / 1e6,
            "encoder_kmacs_per_pixel": cost.encoder.macs_per_pixel / 1e3,
            "decoder_kmacs_per_pixel": cost.decoder.macs_per_pixel / 1e3,
        }
        if reference:
            more = extra(point, _highest_rate(reference))
            row |= {
                "extra_params_percent": more.parameters_percent,
                "extra_macs_percent": more.macs_percent,
            }
        rows.append(row)
        if out:
            with Store(out) as store:
                store.put_result("complexity", (spec, reference or ""), row)
    print_rows(rows, as_json)


_WEIGHTS = {"reduced": "reduced network", "random": "random", "other": "not the published ones"}


def _highest_rate(spec: str) -> Codec:
    return codecs_from_spec(spec)[-1]
