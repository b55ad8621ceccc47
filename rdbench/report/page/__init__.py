"""The report: one HTML page that needs no network.

``data.py`` computes what it shows, ``assets/`` holds a template, a style sheet, small JavaScript
modules and, in ``vendor/``, the two libraries they draw with. The modules stay apart in the page:
an import map holds each as a ``data:`` address, so there is no bundler and nothing to build.
"""

import datetime
import functools
import json
from collections.abc import Callable, Iterable
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rdbench.curve import Curve
from rdbench.errors import DataError
from rdbench.report.page.data import METRICS, comparison_json, comparisons
from rdbench.report.plots import LANDMARKS
from rdbench.store import Store


def page_data(
    folder: str | Path,
    imported: Iterable[Curve] = (),
    on_progress: Callable[[str, int, int], None] = lambda what, done, n: None,
) -> dict[str, Any]:
    """What the page shows, ready for JSON.

    Args:
        folder: report folder.
        imported: curves from files, to be shown beside.
        on_progress: called with (what, done, of how many).

    Raises:
        DataError: the folder holds no records.
    """
    with Store(folder, create=False) as store:
        found = comparisons(store, imported)
    return {
        "title": Path(folder).resolve().name,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "rdbench": version("rdbench"),
        "metrics": [{"key": k, "name": v[0], "axis": v[1]} for k, v in METRICS.items()],
        "landmarks": LANDMARKS,
        "datasets": [
            comparison_json(c, functools.partial(on_progress, f"BD-rates on {c.dataset}"))
            for c in found
        ],
    }


def render(data: dict[str, Any]) -> str:
    """The page that shows ``data``."""
    import jinja2

    assets = files("rdbench.report.page").joinpath("assets")
    texts = {
        file.name: file.read_text(encoding="utf-8")
        for folder in (assets, assets.joinpath("vendor"))
        for file in folder.iterdir()
        if file.name.endswith((".js", ".css", ".html"))
    }
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["json"] = _script_json
    modules = {name: text for name, text in texts.items() if name.endswith(".js")}
    vendor = [modules.pop(name) for name in ("d3.min.js", "plot.min.js")]
    imports = {name: "data:text/javascript," + quote(text) for name, text in modules.items()}
    return environment.from_string(texts["page.html"]).render(
        data=data, style=texts["page.css"], vendor=vendor, imports={"imports": imports}
    )


def _script_json(value: Any) -> Any:
    """JSON that may stand inside a script element."""
    import markupsafe

    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return markupsafe.Markup(text.replace("<", "\\u003c"))


def write_page(
    folder: str | Path,
    out: Path,
    imported: Iterable[Curve] = (),
    on_progress: Callable[[str, int, int], None] = lambda what, done, n: None,
) -> Path:
    """Write the report of a folder; arguments as in `page_data`.

    Raises:
        DataError: the folder holds no records, or the file cannot be written.
    """
    text = render(page_data(folder, imported, on_progress))
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot write {out}: {error.strerror}") from None
    return out
