"""Figures show names as they are."""

import warnings

import numpy as np
import PIL.Image
import pytest

from rdbench.curve import Curve
from rdbench.errors import RdbenchWarning
from rdbench.report import fonts
from rdbench.report.export import compressai_files
from rdbench.report.plots import plot_curves


def curve(label: str, dataset: str = "set", times: float = 1) -> Curve:
    return Curve(
        codec="c", label=label, dataset=dataset, source="measured",
        bpp=times * np.array([0.1, 0.2, 0.4, 0.8]),
        scores={"psnr_rgb": np.array([30.0, 33, 36, 39])},
    )  # fmt: skip


@pytest.mark.parametrize("name", ["$5$x", "$x", r"$\frac$", r"$\nonsense{$", "a_b^c", "_hidden"])
@pytest.mark.filterwarnings("error")
def test_a_name_is_not_read_as_mathematics(tmp_path, name):
    (svg,) = plot_curves(
        [curve(name, f"set {name}"), curve("b", f"set {name}", 2)], tmp_path, ["svg"]
    )
    text = svg.read_text()
    assert f">{name}</text>" in text
    assert f">set {name}</text>" in text


def test_control_characters_do_not_break_lines(tmp_path):
    (svg,) = plot_curves([curve("a\nb"), curve("c\x1b")], tmp_path, ["svg"])
    assert r">a\nb</text>" in svg.read_text()
    assert r">c\x1b</text>" in svg.read_text()


@pytest.fixture
def font(tmp_path, monkeypatch):
    """An installed font that draws 中 as a full square, and has nothing else."""
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen
    from matplotlib.font_manager import FontEntry, fontManager

    pen = TTGlyphPen(None)
    for draw, point in (("moveTo", (0, 0)), ("lineTo", (0, 900)), ("lineTo", (900, 900)),
                        ("lineTo", (900, 0))):  # fmt: skip
        getattr(pen, draw)(point)
    pen.closePath()
    square = pen.glyph()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "square"])
    builder.setupCharacterMap({ord("中"): "square"})
    builder.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "square": square})
    builder.setupHorizontalMetrics({".notdef": (1000, 0), "square": (1000, 0)})
    builder.setupHorizontalHeader(ascent=900, descent=-100)
    builder.setupNameTable({"familyName": "Squares", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(tmp_path / "squares.ttf")
    entry = FontEntry(
        fname=str(tmp_path / "squares.ttf"), name="Squares", style="normal", variant="normal",
        weight=400, stretch="normal", size="scalable",
    )  # fmt: skip
    monkeypatch.setattr(fontManager, "ttflist", [*dejavu(), entry])
    fontManager._findfont_cached.cache_clear()
    fonts._glyphs.cache_clear()
    yield "Squares"
    fontManager._findfont_cached.cache_clear()
    fonts._glyphs.cache_clear()


def dejavu():
    from matplotlib.font_manager import fontManager

    return [f for f in fontManager.ttflist if f.name.startswith(("DejaVu", "Last Resort"))]


@pytest.mark.filterwarnings("error")
def test_a_font_that_has_the_characters_is_used(tmp_path, font):
    png, svg, _ = plot_curves([curve("中中"), curve("b", times=2)], tmp_path, ["png", "svg", "pdf"])
    assert font in svg.read_text()
    assert ">中中</text>" in svg.read_text()
    black = np.asarray(PIL.Image.open(png).convert("L")) < 60
    legend = black[-black.shape[0] // 6 :]
    assert has_block(legend, 20)


def has_block(black, side):
    """Whether a full square of ``side`` pixels is black somewhere."""
    sums = np.pad(black.astype(int).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    full = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    return bool((full == side * side).any())


def test_characters_that_no_font_has_are_reported_once(tmp_path, monkeypatch):
    from matplotlib.font_manager import fontManager

    monkeypatch.setattr(fontManager, "ttflist", dejavu())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        plot_curves([curve("中文"), curve("b", times=2)], tmp_path, ["png", "svg"])
    (said,) = caught
    assert issubclass(said.category, RdbenchWarning)
    assert "no installed font has 中文" in str(said.message)


def test_no_two_data_sets_share_a_file(tmp_path):
    curves = [curve("a", name) for name in ("=set", "_set", "_SET", "set/b", "set_b")]
    written = plot_curves(curves, tmp_path, ["svg"])
    assert len({path.name.casefold() for path in written}) == 5
    assert {"_SET-psnr_rgb.svg", "set_b-psnr_rgb.svg"} < {path.name for path in written}
    for one in curves:
        (again,) = plot_curves([one], tmp_path, ["svg"], datasets=[c.dataset for c in curves])
        assert again in written
        assert f">{one.dataset}</text>" in again.read_text()


def test_no_two_curves_share_a_file():
    pairs = (("=set", "a"), ("_set", "a"), ("s", "a-b"), ("s-a", "b"), ("s", "a:b"), ("s", "a=b"))
    files = compressai_files([curve(label, dataset) for dataset, label in pairs], [])
    assert len({name.casefold() for name in files}) == len(pairs)
    assert "_set-a.json" in files
