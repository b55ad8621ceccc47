"""``rdbench plan``: what a sweep will take."""

import datetime
from typing import Annotated

import typer

from rdbench.cli import options
from rdbench.cli.console import print_json, print_rows, say, warn
from rdbench.cli.run import SAMPLE, PartOf, Scored
from rdbench.metrics import DEFAULT_PROTOCOL, Protocol
from rdbench.plan import PLANS
from rdbench.plan import plan as plan_sweep
from rdbench.sweep import Part


def plan(
    codec: options.CodecSpecs,
    dataset: options.ImageSets = SAMPLE,
    out: options.OutFolder = options.REPORTS,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Number of workers.")] = 1,
    part: PartOf = None,
    scored: Scored = DEFAULT_PROTOCOL.scored,
    device: options.Device = None,
    weights: options.WeightsOf = None,
    as_json: options.AsJson = False,
) -> None:
    """Estimate what a sweep will take: tasks, time, disk and memory.

    Takes the options of `rdbench run` and measures nothing. Times are those of the report folder,
    or typical ones of another machine for codecs that it does not have. The total is simulated for
    --jobs workers with one thread each.

    Example: rdbench plan --codec jpeg --codec jxl --dataset sample --jobs 2
    """
    found = plan_sweep(
        options.with_settings(codec, device=device, weights=weights),
        dataset,
        out,
        jobs=jobs,
        protocol=Protocol(scored=scored),
        part=Part.parse(part) if part is not None else None,
    )
    rows = [row.row() for row in found.rows]
    if as_json:
        print_json({"jobs": jobs, "makespan_s": found.makespan_s, "codecs": rows})
        return
    print_rows(PLANS, rows, as_json)
    if found.unknown:
        warn(f"no times are known for {', '.join(found.unknown)}: the total is without them")
    workers = f"{jobs} worker{'s' if jobs > 1 else ''}"
    say(f"about {datetime.timedelta(seconds=round(found.makespan_s))} on {workers}: {out}")
