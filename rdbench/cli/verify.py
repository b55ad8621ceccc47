"""``rdbench verify``: is everything in a report folder still whole?"""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from rdbench.cli.console import AsJson, print_rows, say
from rdbench.verify import FAULTS
from rdbench.verify import verify as verify_folder


def verify(
    folder: Annotated[Path, typer.Argument(help="Report folder.")] = Path("reports"),
    repair: Annotated[
        bool, typer.Option("--repair", help="Move damaged bitstreams to FOLDER/damaged.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check every record and bitstream of a report folder.

    Bitstreams are compared with their SHA-256. The exit status is 1 if anything is missing or
    damaged. After `--repair`, run the same sweep or match again to measure the affected records.

    Example: rdbench verify reports
    """
    found = verify_folder(folder, repair=repair)
    print_rows(FAULTS, [dataclasses.asdict(fault) for fault in found.faults], as_json)
    say(
        f"{found.n_records} records and {found.n_results} other results, "
        f"{found.n_bitstreams} bitstreams, {len(found.faults)} faults: {folder}"
    )
    kinds = {fault.kind for fault in found.faults}
    if "damaged" in kinds and not repair:
        say(f"`rdbench verify --repair {folder}` moves damaged bitstreams to {folder}/damaged")
    if kinds & {"missing", "damaged"}:
        say("then run the same commands again to measure what is missing or damaged")
    if found.faults:
        raise typer.Exit(1)
