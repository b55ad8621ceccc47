"""``rdbench complexity``: what learned codecs compute and store."""

from pathlib import Path
from typing import Annotated, Any

import typer

from rdbench.analysis.complexity import complexity as count
from rdbench.cli import options
from rdbench.cli.console import print_rows, track
from rdbench.columns import CODEC, Column
from rdbench.spec import get_codecs
from rdbench.store import Store
from rdbench.types import WEIGHTS_TITLES


def complexity(
    codec: options.CodecSpecs,
    reference: Annotated[
        str | None,
        typer.Option(help="Also print what each codec has more than this one, in percent."),
    ] = None,
    out: Annotated[Path | None, options.out("Report folder that keeps the results.")] = None,
    device: options.Device = None,
    weights: options.WeightsOf = None,
    as_json: options.AsJson = False,
) -> None:
    """Count parameters and MACs per pixel.

    Encoder and decoder are counted separately while an image is coded; what both compute counts for
    both. Element-wise products count only in the percentages, as one MAC each. A codec without a
    rate is counted at the highest rate of its ladder. The numbers do not depend on weights.

    Example: rdbench complexity --codec qarv --weights random
    """
    specs = options.with_settings(codec, device=device, weights=weights)
    rows: list[dict[str, Any]] = []
    base = count(get_codecs(reference)[-1]) if reference else None
    for spec in track("complexity", specs):
        point = get_codecs(spec)[-1]  # of the highest rate
        cost, used = count(point), point.identify_weights()
        row = {
            "codec": spec,
            "weights": WEIGHTS_TITLES.get(used.kind) if used else None,
            "n_models": cost.n_models,
            "ladder_parameters": cost.ladder_parameters,
            "encoder_parameters": cost.parameters["encoder"],
            "decoder_parameters": cost.parameters["decoder"],
            **cost.row(),
            **(cost.extra(base) if base else dict.fromkeys(EXTRA)),
        }
        rows.append(row)
        if out:
            with Store(out) as store:
                store.put_result("complexity", (spec, reference or ""), row)
    print_rows(COSTS, rows, as_json)


EXTRA = ("extra_parameters_percent", "extra_macs_percent")
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
