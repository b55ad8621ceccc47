"""``rdbench complexity``: what learned codecs compute and store."""

from pathlib import Path
from typing import Annotated, Any

import typer

from rdbench.analysis.complexity import complexity as count
from rdbench.analysis.complexity import extra
from rdbench.cli.console import AsJson, print_rows
from rdbench.spec import get_codecs
from rdbench.store import Store
from rdbench.types import WEIGHTS_TITLES, Codec


def complexity(
    codec: Annotated[
        list[str], typer.Option("--codec", "-c", help="NAME[:KEY=VALUE,...]. Repeatable.")
    ],
    reference: Annotated[
        str | None,
        typer.Option(help="Also print what each has more than this one, in percent."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Report folder to keep the numbers in.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Count parameters and MACs per pixel.

    Encoder and decoder apart, counted while an image is coded: what both sides compute counts on
    both. Element-wise products count in the percentages alone, as one MAC each. Without its rate
    parameter a codec is taken at the highest rate of its ladder; weights=random will do.

    Example: rdbench complexity --codec qarv:weights=random
    """
    rows: list[dict[str, Any]] = []
    for spec in codec:
        point = _highest_rate(spec)
        cost, weights = count(point), point.identify_weights()
        row: dict[str, Any] = {
            "codec": spec,
            "weights": WEIGHTS_TITLES.get(weights.kind) if weights else None,
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


def _highest_rate(spec: str) -> Codec:
    return get_codecs(spec)[-1]
