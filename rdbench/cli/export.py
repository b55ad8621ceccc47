"""``rdbench export``: the records of a report folder in other formats."""

import sys
from pathlib import Path
from typing import Annotated

from rdbench.analysis.measured import measured_curves
from rdbench.cli import options
from rdbench.errors import UsageError
from rdbench.files import output_file, output_files, write_text
from rdbench.report.codec_compare import codec_compare_files
from rdbench.report.export import compressai_files, to_csv, to_json, to_parquet
from rdbench.store import Store, kept_in

FORMS = ("csv", "json", "parquet", "compressai", "codec-compare")
_FOLDERS = {"compressai": compressai_files, "codec-compare": codec_compare_files}


def export(
    folder: options.Folder = options.REPORTS,
    form: Annotated[str, options.choice("--format", FORMS, "Format")] = "csv",
    out: Annotated[
        Path | None,
        options.out("File to write (compressai, codec-compare: folder); default: stdout."),
    ] = None,
    force: options.Force = False,
) -> None:
    """Print or write every record.

    One row per record; compressai and codec-compare write one file per curve.

    Example: rdbench export reports --format csv
    """
    with Store(folder, create=False) as store:
        records = list(store.records())
        curves = measured_curves(records, store.datasets(), store.protocols())
    if form in ("csv", "json"):
        text = to_csv(records) if form == "csv" else to_json(records)
        if out is None:
            sys.stdout.write(text)
        else:
            write_text(_file(out, folder), text)
    elif form == "parquet":
        to_parquet(records, _file(_needed(out, "FILE.parquet"), folder))
    else:
        target, texts = _needed(out, "FOLDER"), _FOLDERS[form](curves, records)
        output_files([target / name for name in texts], kept_in(folder), force)
        for name, text in texts.items():
            write_text(target / name, text)


def _file(out: Path, folder: Path) -> Path:
    return output_file(out, out, kept_in(folder))


def _needed(out: Path | None, what: str) -> Path:
    if out is None:
        raise UsageError(f"this format is not printed: add --out {what}")
    return out
