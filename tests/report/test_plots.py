"""Figures show names as they are, and nothing is cut, covered or mistaken for another."""

import itertools
import re
import shlex
import shutil
import subprocess
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.text import Text
from typer.testing import CliRunner

from rdbench import run
from rdbench.analysis.bd import bd_rate
from rdbench.analysis.saving import rate_saving
from rdbench.cli import options
from rdbench.cli.app import app
from rdbench.curve import Curve, PerImage
from rdbench.errors import RdbenchError, RdbenchWarning, UsageError
from rdbench.published import list_curves
from rdbench.report import diagrams, fonts
from rdbench.report.diagrams import Design, Diagram, Series
from rdbench.report.export import compressai_files
from rdbench.report.names import printed_name
from rdbench.report.pgfplots import pgfplots_text
from rdbench.report.plots import Panel, plot_curves, rd_figure, save
from rdbench.report.strips import strips_figure
from rdbench.report.style import pair, styled


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
    dark = np.asarray(PIL.Image.open(png).convert("L")) < 150
    assert has_block(dark, 20)  # wider than a marker


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


def rd(name, factor=1.0, source="measured", variable=True, n=5, kind="psnr_rgb"):
    rates = factor * 0.1 * 2.0 ** np.arange(n)
    return Curve(
        codec=name, dataset="set", source=source, bpp=rates, variable_rate=variable,
        scores={kind: 30 + 4 * np.log2(rates / factor)},
    )  # fmt: skip


def drawn(curves, **design):
    """The figure and the axes of a diagram, as they are on paper."""
    with styled():
        figure = rd_figure([Panel("set", "psnr_rgb", curves)], Design(**design))
        figure.draw_without_rendering()
    return figure, figure.axes[0]


def markers(axes):
    """Pixels of the markers shown, and their radius, by line."""
    pixels = axes.figure.dpi / 72
    for line in axes.get_lines():
        if line.get_marker() not in ("", "None") and line.get_linestyle() == "None":
            spots = axes.transData.transform(line.get_xydata())[line.get_markevery()]
            yield line, spots, line.get_markersize() * pixels / 2


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("width", [3.5, 7.16])
@pytest.mark.parametrize("n", [2, 9])
def test_every_marker_is_whole_and_every_point_has_one(width, n, log):
    curves = [rd(f"codec {i}", 1 + i / 5) for i in range(n)]
    _, axes = drawn(curves, width_in=width, log=log, legend="below")
    left, bottom, right, top = axes.bbox.extents
    shown = list(markers(axes))
    assert [len(spots) for _, spots, _ in shown] == [5] * n
    for _, spots, radius in shown:
        assert (spots - radius >= [left, bottom]).all()
        assert (spots + radius <= [right, top]).all()


@given(
    st.lists(st.tuples(st.floats(0.001, 20), st.floats(0, 60)), min_size=1, max_size=12),
    st.booleans(),
)
@settings(max_examples=8)
def test_no_points_make_a_marker_leave_the_axes(points, log):
    bpp, psnr = np.array(sorted(points)).T
    curve = Curve(codec="c", dataset="set", source="measured", bpp=bpp, scores={"psnr_rgb": psnr})
    _, axes = drawn([curve, rd("other", source="published")], log=log, legend="below")
    left, bottom, right, top = axes.bbox.extents
    for _, spots, radius in markers(axes):
        assert (spots - radius >= [left - 0.01, bottom - 0.01]).all()
        assert (spots + radius <= [right + 0.01, top + 0.01]).all()


def test_a_published_point_in_the_margin_has_a_whole_marker_or_none():
    n_shown = set()
    for factor in (1.001, 1.004, 1.008, 1.012, 1.05):
        _, axes = drawn([rd("own"), rd("other", factor, "published")], legend="below")
        *_, right, _ = axes.bbox.extents
        for _, spots, radius in markers(axes):
            assert (spots[:, 0] + radius <= right).all()
            n_shown.add(len(spots))
    assert n_shown == {4, 5}


def test_what_is_beyond_the_axes_has_no_marker():
    _, axes = drawn([rd("a"), rd("b", 1.1)], xlim=(0.15, 0.9), legend="below")
    (_, first, _), _ = markers(axes)
    assert axes.get_xlim() == (0.15, 0.9)
    assert len(first) == 3
    low, high = axes.get_ylim()
    assert low < 30 + 4 * np.log2(0.15 / 1.1)
    assert high > 30 + 4 * np.log2(0.9)


def test_no_two_curves_share_colour_and_marker():
    with styled():
        pairs = [pair(number) for number in range(144)]
    assert len(set(pairs)) == 144
    for start in range(132):
        assert len(dict(pairs[start : start + 12])) == 12
        assert len({marker for _, marker in pairs[start : start + 12]}) >= 11
    curves = [rd(f"codec {i}", 1 + i / 10) for i in range(30)]
    _, axes = drawn(curves, legend="none")
    seen = [(line.get_color(), line.get_marker()) for line, _, _ in markers(axes)]
    assert len(set(seen)) == len(curves)


def test_colours_and_markers_stay_in_all_panels():
    a, b, c = rd("a"), rd("b", 1.2), rd("c", 1.4)
    with styled():
        figure = rd_figure([Panel("one", "psnr_rgb", [a, b, c]), Panel("two", "psnr_rgb", [c])])
    one, two = figure.axes[:2]
    third = [line for line, _, _ in markers(one)][2]
    (alone,) = [line for line, _, _ in markers(two)]
    assert (alone.get_color(), alone.get_marker()) == (third.get_color(), third.get_marker())


def test_dashes_are_models_for_each_rate_and_hollow_markers_are_published():
    curves = [rd("own fixed", variable=False), rd("fixed", 1.2, "published", False),
              rd("variable", 1.4, "published"), rd("imported", 1.6, "imported")]  # fmt: skip
    figure, _ = drawn(curves, legend="below")
    dashed = {text.get_text(): handle.is_dashed() for text, handle in legend(figure)}
    hollow = {
        text.get_text(): handle.get_markerfacecolor() == "white" for text, handle in legend(figure)
    }
    assert [name for name in dashed if dashed[name]] == ["own fixed", "fixed"]
    assert [name for name in hollow if hollow[name]] == ["fixed", "variable"]
    explained = figure.legends[0].get_title().get_text()
    assert explained == "dashed: a model for each rate; hollow: published"
    assert list(dashed)[:2] == ["own fixed", "imported"]  # own ones first, then the best
    figure, _ = drawn(curves[1:3], legend="below")
    assert not any(handle.get_markerfacecolor() == "white" for _, handle in legend(figure))


def legend(figure):
    (box,) = figure.legends
    return list(zip(box.get_texts(), box.legend_handles, strict=True))


@pytest.mark.parametrize("where", ["auto", "below", "right"])
@pytest.mark.parametrize("width", [3.5, 7.16])
def test_no_text_leaves_the_figure_or_touches_another_or_a_marker(where, width):
    curves = [rd(f"codec number {i}", 1 + i / 2) for i in range(4)]
    figure, axes = drawn(curves, width_in=width, legend=where)
    ticks = {id(t) for axis in (axes.xaxis, axes.yaxis) for t in axis.get_ticklabels(which="both")}
    texts = [
        t for t in figure.findobj(Text)
        if t.get_visible() and t.get_text().strip() and id(t) not in ticks
    ]  # fmt: skip
    boxes = {t.get_text(): t.get_window_extent() for t in texts}
    assert len(boxes) > 6
    for one, other in itertools.combinations(boxes.values(), 2):
        assert not one.overlaps(other)
    for name, box in boxes.items():
        assert 0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert 0 <= box.y0 < box.y1 <= figure.bbox.y1
        for _, spots, radius in markers(axes):
            assert not any(box.padded(radius).contains(*spot) for spot in spots)
        inside = [c for c in box.corners() if axes.bbox.contains(*c)]
        assert len(inside) in (0, 4), f"{name} crosses the edge of the axes"


def test_names_are_next_to_lines_where_there_is_room():
    apart = [rd("far", 1.0), rd("off", 3.0)]
    figure, axes = drawn(apart)
    assert not figure.legends
    colours = {line.get_color() for line, _, _ in markers(axes)}
    assert {t.get_text(): t.get_color() in colours for t in axes.texts} == {
        "far": True,
        "off": True,
    }
    close = [rd(f"codec {i}", 1 + i / 1000) for i in range(4)]
    figure, axes = drawn(close)
    assert len(figure.legends) == 1
    assert not axes.texts


def test_an_inset_shows_its_part_and_has_a_legend_below():
    figure, axes = drawn([rd("a"), rd("b", 1.2)], inset=(0.2, 0.4))
    (inset,) = axes.child_axes
    low, high = inset.get_xlim()
    assert 0.19 < low <= 0.2
    assert 0.4 <= high < 0.41
    assert len(figure.legends) == 1


@pytest.mark.parametrize("low", [False, True])
def test_an_inset_hides_no_marker(low):
    """Three curves go up from left to right; a fourth runs where the inset is by default."""
    fourth = Curve(
        codec="low", dataset="set", source="measured", bpp=np.array([0.7, 1.1, 1.6]),
        scores={"psnr_rgb": np.array([18.0, 19.5, 20.5])},
    )  # fmt: skip
    curves = [rd("a"), rd("b", 1.1), rd("c", 1.2)] + [fourth] * low
    _, axes = drawn(curves, inset=(0.2, 0.4))
    (inset,) = axes.child_axes
    box = inset.get_tightbbox()
    for _, spots, _ in markers(axes):
        assert not any(box.contains(*spot) for spot in spots)
    middle = axes.transAxes.transform((0.5, 0.3))[1]
    assert (inset.bbox.y0 > middle) == low


def test_printed_names():
    assert printed_name("vtm18", "vtm18") == "VTM 18.0"
    assert printed_name("mbt2018-mean", "mbt2018-mean") == "Minnen et al. 2018 (mean)"
    assert printed_name("jpeg", "jpeg:subsampling=444,optimize=True") == (
        "JPEG (subsampling=444, optimize=True)"
    )
    assert printed_name("qarv", "qarv (reduced network)") == "QARV (reduced network)"
    assert printed_name("mbt2018.ms-ssim", "mbt2018.ms-ssim") == "Minnen et al. 2018 (MS-SSIM)"
    assert printed_name("dcae", "DCAE") == "DCAE"
    assert printed_name("mine", "mine:a=1") == "mine:a=1"
    every = {(c.codec, c.label) for c in list_curves()}
    names = {(codec, printed_name(codec, label)) for codec, label in every}
    assert len({name for _, name in names}) == len(names)
    assert not any(re.fullmatch("[a-z0-9-]+", name) for _, name in names)


def test_names_of_ones_own(tmp_path):
    _, axes = drawn([rd("a"), rd("b", 3)], names={"a": "Ours", "set": "Kodak"}, title=None)
    assert {t.get_text() for t in axes.texts} == {"Ours", "b"}
    assert axes.get_title(loc="left") == "Kodak"


def test_a_style_file_changes_colours_and_markers(tmp_path):
    file = tmp_path / "mine.mplstyle"
    file.write_text("axes.prop_cycle: cycler(color=['112233', '445566'], marker=['h', 'H'])\n")
    with styled(str(file)):
        assert [pair(n) for n in range(2)] == [("#112233", "h"), ("#445566", "H")]
    with styled("latex"):
        import matplotlib as mpl

        assert mpl.rcParams["font.family"][0] == "cmr10"
    with pytest.raises(UsageError, match="no style 'x': give `latex`"), styled("x"):
        pass


def test_pgfplots_has_every_point():
    curves = [rd("a_b", variable=False), rd("ours", 1.5)]
    with styled():
        text = pgfplots_text([Panel("set", "psnr_rgb", curves).diagram()], Design(3.5))
    plots = re.findall(r"\\addplot\[(.*?)\] coordinates \{(.*?)\};", text, re.S)
    assert ["dashed" in options for options, _ in plots] == [True, False]
    for (_, points), one in zip(plots, curves, strict=True):
        pairs = [(float(x), float(y)) for x, y in re.findall(r"\((.*?),(.*?)\)", points)]
        assert np.allclose(pairs, np.column_stack(one.points("psnr_rgb")), rtol=1e-4)
    assert r"\addlegendentry{a\_b}" in text
    assert "dashed: a model for each rate};" in text
    assert text.count(r"\begin{") == text.count(r"\end{") == 2


def test_pgfplots_has_the_names_of_the_legend_where_and_in_the_order_they_are_asked_for():
    curves = [rd("a", 3), rd("b", 2), rd("c", 1)]
    both = [Panel("set", "psnr_rgb", some).diagram() for some in (curves, curves[1:])]
    with styled():
        in_pdf = [t.get_text() for t in rd_figure([Panel("set", "psnr_rgb", curves)],
                  Design(3.5, legend="below")).legends[0].get_texts()]  # fmt: skip
        below, right, none = (
            pgfplots_text(both, Design(7.16, legend=legend)) for legend in ("auto", "right", "none")
        )
    for text in (below, right):
        assert re.findall(r"addlegendentry\{(.)\}", text) == in_pdf == ["c", "b", "a"]
    assert "addlegend" not in none
    first, last = (text.index(r"\addlegendimage") for text in (right, below))
    assert right.index("anchor=north west") < first
    assert below.index("anchor=north}") < last
    assert "legend columns=1]" in right
    widths = [float(re.search(r"width=([\d.]+)in", text)[1]) for text in (below, right)]
    assert widths == [3.58, pytest.approx((7.16 - 0.46) / 2)]


def test_computed_lines_have_a_few_markers_of_their_own():
    x = np.linspace(30, 40, 100)
    series = [Series(rd(name), x, x + n, is_marked=False) for n, name in enumerate("ab")]
    diagram = Diagram("set", "PSNR (dB)", "Rate saved (%)", series)
    with styled():
        figure = diagrams.draw([diagram], Design(3.5))
        text = pgfplots_text([diagram], Design(3.5))
    found = [(line.get_marker(), len(spots)) for line, spots, _ in markers(figure.axes[0])]
    assert [shape for shape, _ in found] == ["o", "s"]
    assert all(2 <= n <= 4 for _, n in found)
    assert text.count("mark repeat=25") == 2


def test_pgfplots_leaves_out_an_empty_band_and_broad_legends():
    diagram = Panel("set", "psnr_rgb", [rd("a_b" * 12), rd("b", 2)]).diagram()
    none = np.full_like(diagram.series[0].x, np.nan)
    one = replace(diagram.series[0], band=(none, none))
    with styled():
        text = pgfplots_text([replace(diagram, series=[one, *diagram.series[1:]])], Design(3.5))
    assert "fill" not in text.replace("fill=", "")
    assert "legend columns=1]" in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("legend", ["below", "right"])
def test_pgfplots_compiles(legend, tmp_path):
    curves = [rd("50 % ^ ~", 1.5), rd("b", 2, variable=False)]
    diagram = Panel("a_b & #1", "psnr_rgb", curves).diagram()
    with styled():
        text = pgfplots_text([diagram, diagram], Design(7.16, legend=legend))
    preamble = text.splitlines()[0].removeprefix("% needs ")
    (tmp_path / "a.tex").write_text(
        f"\\documentclass{{article}}\\usepackage[margin=0.6in]{{geometry}}{preamble}\n"
        f"\\begin{{document}}\\noindent\n{text}\\end{{document}}\n"
    )
    words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "a.tex"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in (tmp_path / "a.log").read_text(errors="replace")


def test_letters_that_the_font_of_latex_lacks_are_in_another_font():
    with styled("latex"):
        figure = diagrams.draw(
            [Panel("set", "psnr_rgb", [rd("a_b"), rd("c", 2)]).diagram()], Design(3.5)
        )
        fonts.use_fonts_for_names(figure)
    families = {t.get_text(): t.get_fontfamily()[0] for t in figure.axes[0].texts}
    assert families == {"a_b": "STIXGeneral", "c": "cmr10"}


@pytest.mark.filterwarnings("error")
def test_the_style_of_latex_warns_of_nothing(tmp_path, caplog):
    known = [(c, bd_rate(with_images("ref", 1, 0), c)) for c in [with_images("c", 2, 1)]]
    with styled("latex"):
        panel = Panel("set", "psnr_rgb", [rd("a", 1), rd("c", 2)])
        found = [
            diagrams.draw([panel.diagram()], Design(3.5)),
            strips_figure(known, "set", with_images("ref", 1, 0), Design(3.5)),
        ]
        for place, figure in enumerate(found):
            save(figure, tmp_path / str(place), ["pdf"])
    assert caplog.records == []


def with_images(name, factor, seed):
    rng = np.random.default_rng(seed)
    rates = factor * np.array([0.1, 0.2, 0.4, 0.8, 1.6])[:, None] * np.exp(rng.normal(0, 0.1, 8))
    psnr = 30 + 4 * np.log2(rates / factor) + np.linspace(0, 3, 8)
    table = PerImage(tuple(f"{i}.png" for i in range(8)), rates, {"psnr_rgb": psnr})
    return Curve(
        codec=name, dataset="set", source="measured", bpp=rates.mean(axis=1),
        scores={"psnr_rgb": psnr.mean(axis=1)}, per_image=table,
    )  # fmt: skip


@pytest.mark.parametrize("method", ["poly3", "pchip"])
def test_a_codec_of_three_quarters_of_the_rate_saves_a_quarter_everywhere(method):
    anchor, test = with_images("a", 1, 0), with_images("b", 0.75, 0)
    found = rate_saving(anchor, test, "psnr", method, n_resamples=50)
    assert np.allclose(found.percent, 25)
    low, high = found.band
    known = np.isfinite(low)
    assert known.any()
    assert np.allclose(low[known], 25)
    assert np.allclose(high[known], 25)
    assert rate_saving(anchor, rd("c", 0.5), "psnr", method).band is None


def test_the_mean_of_the_log_rates_saved_is_the_bd_rate():
    anchor, test = with_images("a", 1, 0), with_images("b", 0.8, 1)
    found = rate_saving(anchor, test, "psnr", "pchip", n=2001)
    mean = np.trapezoid(np.log1p(-found.percent / 100), found.quality) / np.ptp(found.quality)
    assert 100 * np.expm1(mean) == pytest.approx(
        bd_rate(anchor, test, "psnr", "pchip").bd_rate_percent, abs=0.01
    )
    low, high = found.band
    known = np.isfinite(low)
    inside = (low <= found.percent) & (found.percent <= high)
    assert inside[known].mean() > 0.9


def test_strips_have_a_point_for_each_image():
    anchor = with_images("a", 1, 0)
    found = [(c, bd_rate(anchor, c)) for c in (with_images("b", 0.8, 1), with_images("c", 0.7, 2))]
    with styled():
        figure = strips_figure(found, "set", anchor, Design(3.5))
    (axes,) = figure.axes
    discs = [line for line in axes.get_lines() if line.get_marker() == "o"]
    for line, (_, figures) in zip(discs, found, strict=True):
        assert np.allclose(line.get_xdata(), [value for _, value in figures.per_image])
    assert [t.get_text() for t in axes.texts][:2] == ["b", "c"]
    extremes = {min(f.per_image, key=lambda p: p[1])[0].removesuffix(".png") for _, f in found}
    assert extremes <= {t.get_text() for t in axes.texts}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A report folder with three codecs on two images of one's own."""
    data, out = tmp_path_factory.mktemp("data") / "own", tmp_path_factory.mktemp("reports")
    data.mkdir()
    ramp = np.linspace(0, 200, 64)[:, None, None] + np.zeros((64, 64, 3))
    for seed in range(2):
        noise = np.random.default_rng(seed).normal(0, 8, ramp.shape)
        PIL.Image.fromarray((ramp + noise).clip(0, 255).astype(np.uint8)).save(data / f"{seed}.png")
    ladder = "quality=20,40,60,80"
    run([f"jpeg:{ladder}", f"webp:{ladder}", f"avif:{ladder}"], str(data), out)
    return out


def plot(*words):
    """(exit status, names of the files, messages)."""
    done = CliRunner().invoke(app, ["plot", *map(str, words)])
    assert done.exception is None or isinstance(done.exception, RdbenchError | SystemExit)
    said = f"{done.stderr}\n{done.exception or ''}"
    return done.exit_code, [Path(line).name for line in done.stdout.splitlines()], said


def svg_of(out, *words):
    """The text of the only figure that a command draws."""
    status, files, said = plot(*words, "--format", "svg", "--force", "--out", out)
    assert status == 0, said
    (file,) = files
    return (out / file).read_text()


def test_a_figure_with_bd_rates(measured, tmp_path):
    words = (measured, "-m", "psnr", "--bd-rate", "-a", "jpeg", "--name", "webp=Ours")
    text = svg_of(tmp_path, *words)
    assert re.search(r">Ours \((\u2212|\+)\d+\.\d %\)</text>", text)
    assert ">JPEG</text>" in text
    assert "in parentheses: BD-rate against JPEG" in text
    text = svg_of(tmp_path, *words, "--name", "JPEG=Theirs")
    assert ">Theirs</text>" in text
    assert "in parentheses: BD-rate against Theirs" in text
    status, _, said = plot(measured, "--bd-rate", "-a", "vtm18", "--out", tmp_path, "--force")
    assert status == 1
    assert "own: no vtm18; anchors there: avif, jpeg, webp" in said


def test_names_are_found_in_whatever_case(measured, tmp_path):
    text = svg_of(tmp_path, measured, "-m", "psnr", "--name", "WebP=Ours=1", "--name", "OWN=My set")
    assert ">Ours=1</text>" in text
    assert ">My set</text>" in text
    known = ["a:x=1", "a", "b"]
    assert options.printed_names(["A:X=1=y=z"], known, "") == {"a:x=1": "y=z"}


def test_figures_of_rate_saved_and_of_images(measured, tmp_path):
    words = (measured, "-m", "psnr", "-a", "jpeg")
    assert "Rate saved against JPEG (%)" in svg_of(tmp_path, *words, "--figure", "saving")
    text = svg_of(tmp_path, *words, "--figure", "images", "-c", "webp", "-c", "jpeg")
    assert "BD-rate against JPEG (%)" in text
    assert ">WebP</text>" in text
    assert ">AVIF</text>" not in text
    shown = ("-c", "webp", "--name", "Jpeg=Theirs")  # the anchor itself is not drawn
    saved, images = (svg_of(tmp_path, *words, *shown, "--figure", f) for f in ("saving", "images"))
    assert "Rate saved against Theirs (%)" in saved
    assert "BD-rate against Theirs (%)" in images
    status, _, said = plot(*words, "--figure", "images", "--format", "tex", "--out", tmp_path)
    assert (status, "only curves and savings" in said) == (1, True)


def test_a_grid_is_one_figure(measured, tmp_path):
    words = ("--dataset", "kodak", "--dataset", "tecnick", "-c", "qarv", "-c", "vtm18")
    text = svg_of(tmp_path, "nowhere", *words, "--grid", "-m", "psnr", "--bd-rate")
    assert text.index(">kodak</text>") < text.index(">tecnick</text>")
    assert ">QARV (\u22125.9 %, \u22128.9 %)</text>" in text


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--xlim", "1"), "--xlim takes LOW,HIGH, not '1'"),
        (("--xlim", "2,1"), "--xlim takes LOW,HIGH"),
        (("--ylim", "1,nan"), "--ylim takes LOW,HIGH"),
        (("--inset", "1,2,3,4,5,6"), "--inset takes LOW,HIGH or"),
        (("--name", "qarv"), "--name takes CURVE=TEXT, not 'qarv'"),
        (
            ("--name", "nosuch=Ours"),
            "--name nosuch=Ours: no codec, curve or data set of that name "
            "in this figure; there are avif, jpeg, webp, own",
        ),
        (("--style", "x"), "no style 'x'"),
        (("-c", "jpag"), "did you mean 'jpeg'"),
        (("--published", "vtm81"), "did you mean 'vtm18'"),
    ],
)
def test_what_plot_refuses(measured, tmp_path, words, says):
    status, files, said = plot(measured, "--out", tmp_path / "out", *words)
    assert (status, files) == (1, [])
    assert says in said
    assert not (tmp_path / "out").exists()


GALLERY = Path(__file__).parents[2] / "docs/gallery"
PAGE = (GALLERY / "README.md").read_text(encoding="utf-8")


def test_every_command_of_the_gallery_parses_and_every_image_is_there():
    blocks = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    assert len(lines) > 10
    for line in lines:
        command, (_, *words) = typer.main.get_command(app), shlex.split(line)
        command, words = command.commands[words[0]], words[1:]
        command.make_context(command.name, words)
    for name in re.findall(r"!\[.+?\]\((\S+)\)", PAGE):
        assert (GALLERY / name).stat().st_size < 60_000
