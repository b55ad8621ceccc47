"""A published folder: the page of a report and its data, as files that any static host serves.

========================  =====================================================================
``index.html``            the page of `rdbench report`
``records.csv``, ``.json``  every record
``codec-compare/``        batches for the viewer of Codec-Compare, and a list per data set
``bitstreams/ab/abcd...``  files of the records, named by their SHA-256, on request
``published.json``        the files above with their SHA-256
========================  =====================================================================

Only files that ``published.json`` names, and that are as they were written, are replaced or
removed. Other files in the folder stay.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from rdbench.analysis.measured import measured_curves
from rdbench.errors import DataError, UsageError
from rdbench.files import output_files, write_bytes, write_text
from rdbench.report.codec_compare import codec_compare_files
from rdbench.report.export import to_csv, to_json
from rdbench.report.page import Page, render
from rdbench.store import Store, kept_in
from rdbench.types import Record

LIST = "published.json"

_DOWNLOADS = {"records.csv": "CSV", "records.json": "JSON"}
"""Files that the page links to -> what it calls them; it adds the lists for Codec-Compare."""


@dataclass(frozen=True)
class _File:
    sha256: str
    read: Callable[[], bytes]


def publish(
    folder: Path,
    out: Path,
    make: Callable[[], Page],
    inputs: Iterable[Path] = (),
    bitstreams: bool = False,
) -> Page:
    """Write a published folder, or refresh one; return its page.

    A refresh that was interrupted is completed by the next one.

    Args:
        folder: report folder that the page shows.
        out: folder to write.
        make: computes the page, once the folder to write was checked.
        inputs: files that must not be replaced.
        bitstreams: whether the bitstreams of all verified records are published.

    Raises:
        DataError: a file cannot be written, or a bitstream is missing or damaged.
        UsageError: the folder holds other files, or a file there is not the one that was written.
    """
    known = _listed(out)
    page = make()
    with Store(folder, create=False) as store:
        records = list(store.records())
        curves = measured_curves(records, store.datasets(), store.protocols())
        batches = codec_compare_files(curves, records)
        texts = {"records.csv": to_csv(records), "records.json": to_json(records), ".nojekyll": ""}
        texts |= {f"codec-compare/{name}": text for name, text in batches.items()}
        files = {name: _text(text) for name, text in texts.items()}
        if bitstreams:
            files |= _bitstreams(store, records)
        lists = [f"codec-compare/{name}" for name, text in batches.items() if text[0] == "["]
        downloads = _DOWNLOADS | {name: f"Codec-Compare ({Path(name).stem})" for name in lists}
        files["index.html"] = _text(render(page, downloads))  # last: all it links to is there
        _write(out, files, known, [*kept_in(folder), *inputs])
    return page


def _text(text: str) -> _File:
    data = text.encode("utf-8", "surrogateescape")
    return _File(hashlib.sha256(data).hexdigest(), lambda: data)


def _bitstreams(store: Store, records: Sequence[Record]) -> dict[str, _File]:
    digests = {r.bitstream_sha256 for r in records if r.error is None and r.bitstream_sha256}
    return {
        f"bitstreams/{digest[:2]}/{digest}": _File(digest, partial(store.bitstream, digest))
        for digest in sorted(digests)
    }


def _listed(out: Path) -> dict[str, list[str]]:
    """File in a published folder -> SHA-256 that it may have; none where the folder is empty."""
    if not os.path.lexists(out) or (out.is_dir() and not any(out.iterdir())):
        return {}
    path = out / LIST
    if not path.is_file():
        raise UsageError(
            f"{out} holds something that rdbench did not publish; name an empty or a new folder"
        )
    try:
        files: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8"))["files"]
        checked = {name: [str(digest) for digest in known] for name, known in files.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is damaged ({error}); publish into another folder") from None
    return {name: known for name, known in checked.items() if _is_inside(out, name)}


def _is_inside(out: Path, name: str) -> bool:
    """Whether a name leads to a place in the folder, through no link."""
    path = PurePosixPath(name)
    is_plain = not path.is_absolute() and ".." not in path.parts
    return is_plain and (out / name).parent.resolve() == out.resolve() / path.parent


def _write(
    out: Path, files: Mapping[str, _File], known: Mapping[str, list[str]], inputs: Sequence[Path]
) -> None:
    output_files([out / name for name in (*files, LIST)], inputs, force=True)
    allowed = {name: [*known.get(name, ()), file.sha256] for name, file in files.items()}
    there = {name: _sha256(out / name) for name in files}
    for name, digest in there.items():
        if digest not in (None, *allowed[name]) or not _is_inside(out, name):
            raise UsageError(
                f"{out / name} is not the file that was published; move it away, or publish into "
                "another folder"
            )
    # The list names what may be there at any moment, so that the next run knows it.
    _remember(out, {**known, **allowed})
    for name, file in files.items():
        if there[name] != file.sha256:
            write_bytes(out / name, file.read())
    for name in known.keys() - files.keys():
        if _sha256(out / name) in known[name]:
            _remove(out, name)
    _remember(out, {name: [file.sha256] for name, file in files.items()})


def _sha256(path: Path) -> str | None:
    """SHA-256 of a file; "" of what is none, None where there is nothing."""
    if not os.path.lexists(path):
        return None
    if path.is_symlink() or not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remove(out: Path, name: str) -> None:
    """Remove a file, and its folders where they are empty then."""
    path = out / name
    path.unlink()
    for parent in path.parents:
        if parent == out or any(parent.iterdir()):
            break
        parent.rmdir()


def _remember(out: Path, files: Mapping[str, Sequence[str]]) -> None:
    body = {"about": "Files that `rdbench publish` wrote, and their SHA-256.", "files": files}
    write_text(out / LIST, json.dumps(body, indent=1) + "\n")
