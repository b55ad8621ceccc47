"""``rdbench repair``: save what can be read of a damaged database."""

from rdbench.cli import options
from rdbench.cli.console import print_rows, say
from rdbench.repair import TABLES
from rdbench.repair import repair as repair_folder


def repair(folder: options.Folder = options.REPORTS, as_json: options.AsJson = False) -> None:
    """Save what can be read of a report folder's damaged database.

    The damaged file is kept as records.sqlite.damaged. Run the same commands as before to measure
    again what was lost. `rdbench verify` says whether the database is damaged.

    Example: rdbench repair reports
    """
    found = repair_folder(folder)
    print_rows(TABLES, [saved.row() for saved in found], as_json)
    if not found:
        say(f"the database is not damaged, nothing was changed: {folder}")
    elif not all(saved.complete for saved in found):
        say(f"some rows are lost; run `rdbench verify {folder}` and the same sweeps again")
