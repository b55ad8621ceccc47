"""``rdbench verify``: is everything in a report folder still whole?"""

from typing import Annotated

import typer

from rdbench.cli import options
from rdbench.cli.console import print_rows, progress, say
from rdbench.verify import FAULTS
from rdbench.verify import verify as verify_folder


def verify(
    folder: options.Folder = options.REPORTS,
    repair: Annotated[
        bool, typer.Option("--repair", help="Move damaged bitstreams to FOLDER/damaged.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Check every record and bitstream of a report folder.

    Bitstreams are compared with their SHA-256. The exit status is 1 if anything is missing or
    damaged. After `--repair`, run the same sweep or match again to measure the affected records.

    Example: rdbench verify reports
    """
    with progress("verifying") as advance:
        found = verify_folder(folder, repair=repair, on_progress=advance)
    print_rows(FAULTS, [fault.row() for fault in found.faults], as_json)
    say(
        f"{found.n_records} records and {found.n_results} other results, "
        f"{found.n_bitstreams} bitstreams, {len(found.faults)} faults: {folder}"
    )
    if found.database_damaged:
        say(f"`rdbench repair {folder}` saves what can be read of the database")
    kinds = {fault.kind for fault in found.faults}
    if "damaged" in kinds and not repair:
        say(f"`rdbench verify --repair {folder}` moves damaged bitstreams to {folder}/damaged")
    if kinds & {"missing", "damaged"}:
        say("then run the same commands again to measure what is missing or damaged")
    if found.faults:
        raise typer.Exit(1)
