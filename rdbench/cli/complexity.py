"""``rdbench complexity``: what learned codecs compute and store."""

from pathlib import Path
from typing import Annotated, Any

import typer

from rdbench.analysis.complexity import complexity as count
from rdbench.cli.console import AsJson, print_rows
from rdbench.columns import CODEC, Column
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
    base = count(_highest_rate(reference)) if reference else None
    for spec in codec:
        point = _highest_rate(spec)
        cost, weights = count(point), point.identify_weights()
        row = {
            "codec": spec,
            "weights": WEIGHTS_TITLES.get(weights.kind) if weights else None,
            "n_models": cost.n_models,
            "ladder_parameters": cost.ladder_parameters,
            "encoder_parameters": cost.parameters["encoder"],
            "decoder_parameters": cost.parameters["decoder"],
            **cost.row(),
            "extra_parameters_percent": None,
            "extra_macs_percent": None,
            **(cost.extra(base) if base else {}),
        }
        rows.append(row)
        if out:
            with Store(out) as store:
                store.put_result("complexity", (spec, reference or ""), row)
    print_rows(COSTS, rows, as_json)


COSTS = (
    CODEC,
    Column("weights"),
    Column("n_models", "models"),
    Column("ladder_parameters", "parameters of all models", "M", 4, scale=1e-6),
    Column("parameters", "parameters", "M", 4, scale=1e-6),
    Column("encoder_parameters", "of the encoder", "M", 4, scale=1e-6),
    Column("decoder_parameters", "of the decoder", "M", 4, scale=1e-6),
    Column("encoder_macs_per_pixel", "encoder", "kMAC/pixel", 4, scale=1e-3),
    Column("decoder_macs_per_pixel", "decoder", "kMAC/pixel", 4, scale=1e-3),
    Column("extra_parameters_percent", "extra parameters", "%", 5),
    Column("extra_macs_percent", "extra MACs", "%", 5),
)


def _highest_rate(spec: str) -> Codec:
    return get_codecs(spec)[-1]
