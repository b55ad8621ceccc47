"""How figures look: fonts, colours, markers, and styles of one's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rdbench.errors import UsageError

COLUMN_IN, PAGE_IN = 3.5, 7.16
"""Widths in inches of a column and of a page in two columns (IEEE transactions)."""

# Okabe and Ito, "Color Universal Design" (2008), without its yellow, which does not print; then
# dark colours of Tol, "Colour schemes" (2021), and grey.
COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000",
    "#882255", "#332288", "#999933", "#661100", "#888888",
)  # fmt: skip
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "d", "p")
"""Shapes that stay apart in print and for the colour-blind, where colours may not."""

STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 8,
    "text.parse_math": False,  # a name may have a dollar sign
    "axes.prop_cycle": f"cycler(color={list(COLOURS)})",
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "rdbench",
}

LATEX = "latex"
"""Name of the style with the letters of LaTeX."""

_LATEX_STYLE: Any = {
    "font.family": ["cmr10", "STIXGeneral", "DejaVu Serif"],  # the later ones have what cmr10 lacks
    "mathtext.fontset": "cm",
    "axes.unicode_minus": False,
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
}


@contextmanager
def styled(style: str = "") -> Iterator[None]:
    """Draw in the style of rdbench, and what ``style`` changes of it.

    Args:
        style: ``latex``, the name of a style of matplotlib, or the path of a style file. Its
            ``axes.prop_cycle`` gives colours, and markers if it has them.

    Raises:
        UsageError: there is no such style, or it cannot be read.
    """
    import matplotlib as mpl
    from matplotlib import style as styles

    more: Any = [_LATEX_STYLE] if style == LATEX else [_known(style)] if style else []
    with mpl.rc_context():
        try:
            styles.use([STYLE, *more])
        except (OSError, ValueError) as error:
            raise UsageError(f"cannot use style {style}: {error}") from None
        yield


def _known(style: str) -> str:
    from matplotlib import style as styles

    if style in styles.available or Path(style).is_file():
        return style
    raise UsageError(
        f"no style {style!r}: give `{LATEX}`, a file of matplotlib's settings, or one of "
        f"{', '.join(styles.available)}"
    )


def pair(number: int) -> tuple[str, str]:
    """Return colour and marker of a figure's curve by its number, in the style in use.

    Any twelve in a row differ in both, and the first 144 in one of them.
    """
    import matplotlib as mpl

    properties = mpl.rcParams["axes.prop_cycle"].by_key()
    colours = properties.get("color", COLOURS)
    markers = properties.get("marker", MARKERS)
    turn = number + number // len(colours) if len(colours) == len(markers) else number
    return colours[number % len(colours)], markers[turn % len(markers)]
