"""The page in a real browser: every control, the address, the keyboard, axe, print."""

import csv
import re
import shutil
from urllib.parse import parse_qs
from xml.etree import ElementTree

import numpy as np
import PIL.Image
import pytest
from example_folder import fill

from rdbench import run
from rdbench.analysis.complexity import Complexity, Work
from rdbench.report.page import make_page, write_page

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect
axe = pytest.importorskip("axe_playwright_python.sync_playwright")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH")

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
CODECS = (
    "jpeg:quality=10,30,50,90",
    "webp:quality=5,30,60,90",
    "qarv:weights=random-tiny,lambda=16,128,512,2048",
)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A page of two data sets: a large one without images, a small one with images."""
    folder, earlier = tmp_path_factory.mktemp("reports"), tmp_path_factory.mktemp("earlier")
    fill(folder)
    fill(earlier, codecs=("alpha", "beta"), title="Another machine")
    images = tmp_path_factory.mktemp("data") / "small"
    images.mkdir()
    y, x = np.mgrid[:176, :240] / 240
    for name, phase in (("one.png", 0), ("two.png", 1)):
        waves = np.stack([np.sin(9 * x * y + c + phase) for c in range(3)], axis=-1)
        PIL.Image.fromarray(np.uint8(127 + 120 * waves)).save(images / name)
    run(CODECS, str(images), folder)
    out = folder / "report.html"
    with pytest.MonkeyPatch.context() as patch:
        cost = Complexity(1, 7, {"total": 7}, Work(2.0, 0.0), Work(3.0, 0.0))
        patch.setattr("rdbench.report.page.data.complexity", lambda codec: cost)  # takes seconds
        page = make_page(
            folder,
            images=2,
            rates_bpp=(0.5, 1.0),
            title="Three codecs",
            note="With *care* & <b>",
            earlier=[earlier],
        )
    write_page(page, out)
    return out.as_uri()


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser, report):
    """Opens the page with a state; nothing it does may end on the console or ask the network."""
    complaints, contexts = [], []

    def open_(state="", width=1300, **options):
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, **options))
        tab = contexts[-1].new_page()
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on(
            "request", lambda r: r.url.startswith(("file:", "data:")) or complaints.append(r.url)
        )
        tab.goto(f"{report}#{state}" if state else report)
        return tab

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


def state(tab):
    return {k: v[0] for k, v in parse_qs(tab.evaluate("location.hash.slice(1)")).items()}


def choices(control):
    return control.evaluate(
        "s => [...s.options].map(o => o.value).filter(v => v !== s.value && v !== '')"
    )


def use(tab, name):
    """Give a control another value; returns the value."""
    control = tab.locator(f"[data-state={name}]:visible").last
    kind = control.evaluate("c => c.tagName === 'SELECT' ? 'select' : c.type")
    if kind == "select":
        value = next((v for v in choices(control) if name == "right" and "qarv" in v), None)
        value = value or choices(control)[-1]
        control.select_option(value)
    elif kind in ("radio", "checkbox"):
        value = control.get_attribute("value") if kind == "radio" else "1"
        control.check()
    else:
        value = {"from": "0.2", "to": "1.5", "split": "30"}[name]
        control.fill(value)
    return value


def test_it_opens_with_every_figure(open_page):
    tab = open_page()
    for name in ("curves-chart", "strip-chart", "complexity-chart"):
        assert tab.locator(f"#{name} svg").is_visible()
    assert tab.locator("#bd-table tbody tr").count() > 3
    assert tab.locator("#sweep-table tbody tr").count() == 3
    assert state(tab) == {}


def test_the_first_screen_says_what_was_found(open_page):
    tab = open_page("dataset=kodak&anchor=vtm18", 1400)
    head = tab.locator(".masthead").inner_text()
    assert head.startswith("Three codecs\n")
    assert "against vtm18" in head
    assert re.search(r"Measured \d{4}-\d\d-\d\d", head)
    assert "With care & <b>" in head
    assert tab.locator(".masthead .note em").inner_text() == "care"
    found = dict(re.findall(r"(alpha|beta) *\n?([+−-][\d.]+) %", head))
    table = tab.locator("#bd-table tbody tr").all_inner_texts()
    rows = {row.split()[0]: row.replace("\u2212", "-") for row in table}
    for name, percent in found.items():
        assert float(percent.replace("\u2212", "-")) == pytest.approx(
            float(re.search(r"\t([+-][\d.]+)", rows[name])[1]), abs=0.051
        )
    assert set(found) == {"alpha", "beta"}
    axis = tab.locator("#curves-chart svg [aria-label='x-axis label']").bounding_box()
    assert axis["y"] + axis["height"] <= 900


@pytest.mark.parametrize("dataset", ["kodak", "small"])
def test_every_control_changes_the_page_and_the_address(open_page, dataset):
    tab = open_page(f"dataset={dataset}")
    names = tab.evaluate(
        "[...new Set([...document.querySelectorAll('[data-state]')].map(c => c.dataset.state))]"
    )
    modes = {"split": "slider", "gain": "difference", "bits": "bits"}
    used = set()
    for name in names:
        if name in modes and dataset == "small":
            tab.locator(f"[data-state=mode][value={modes[name]}]").check()
        control = tab.locator(f"[data-state={name}]:visible").last
        if name == "dataset" or not control.count():
            continue
        if control.evaluate("c => c.tagName") == "SELECT" and not choices(control):
            continue
        assert state(tab).get(name) != (value := use(tab, name))
        assert state(tab)[name] == value
        used.add(name)
    common = {"metric", "anchor", "theme", "axis", "image", "from", "to", "hidden", "cost"}
    viewer = {"view", "bpp", "left", "right", "zoom", "mode", "split", "gain", "bits"}
    assert used >= common | (viewer if dataset == "small" else set())
    body = "document.querySelector('main').innerHTML.replace(/plot-clip-\\d+/g, '')"
    again = open_page(tab.evaluate("location.hash.slice(1)"))
    assert again.evaluate(body) == tab.evaluate(body)
    controls = "[...document.querySelectorAll('[data-state]')].map(c => [c.value, c.checked])"
    assert again.evaluate(controls) == tab.evaluate(controls)


def test_an_anchor_has_the_metric_unless_one_was_chosen(open_page):
    """The published curve of vtm18 has no MS-SSIM."""
    tab = open_page("dataset=kodak&metric=ms_ssim")
    assert tab.locator("#anchor").input_value() != "vtm18"
    first = tab.locator("#bd-table tbody tr").first.inner_text()
    assert re.search(r"[+−-]\d", first)
    chosen = open_page("dataset=kodak&metric=ms_ssim&anchor=vtm18")
    assert "vtm18 has no MS-SSIM on kodak" in chosen.locator("#bd-table").inner_text()
    chosen.locator("[data-state=metric][value=psnr_rgb]").check()
    assert chosen.locator("#bd-table tbody tr").count() > 3


def test_an_address_typed_in_is_followed(open_page):
    tab = open_page("metric=ms_ssim")
    tab.evaluate("location.hash = '#metric=psnr_rgb&axis=log'")
    expect(tab.locator("[data-state=axis][value=log]")).to_be_checked()
    assert tab.locator("[data-state=metric][value=psnr_rgb]").is_checked()


def test_the_back_button_returns_to_the_view_before(open_page):
    tab = open_page("dataset=kodak")
    tab.locator("[data-state=metric][value=ms_ssim]").check()
    tab.locator("#anchor").select_option("beta")
    tab.locator("[data-state=from]").fill("0.2")  # no entry of its own
    assert state(tab)["anchor"] == "beta"
    tab.go_back()
    assert tab.locator("#anchor").input_value() == "alpha"
    assert state(tab) == {"dataset": "kodak", "metric": "ms_ssim"}
    tab.go_back()
    assert tab.locator("[data-state=metric][value=psnr_rgb]").is_checked()
    tab.go_forward()
    assert tab.locator("[data-state=metric][value=ms_ssim]").is_checked()


def test_a_copied_link_shows_the_same_view(open_page):
    tab = open_page("dataset=small", permissions=["clipboard-read", "clipboard-write"])
    tab.locator("#viewer-right-choice").select_option("webp")
    tab.locator("#viewer-mode [value=difference]").check()
    tab.locator("[data-curve=jpeg]").uncheck()
    tab.locator("#images").evaluate("section => section.scrollIntoView()")
    tab.locator("#copy-link").evaluate("button => button.click()")
    tab.get_by_text("Copied.").wait_for()
    link = tab.evaluate("navigator.clipboard.readText()").partition("#")[2]
    named = {k: v[0] for k, v in parse_qs(link).items()}
    assert named["anchor"] == "jpeg"  # a default is named as well
    other = open_page(link)
    assert other.locator("#viewer-right-choice").input_value() == "webp"
    assert other.locator("#viewer").get_attribute("data-mode") == "difference"
    assert not other.locator("[data-curve=jpeg]").is_checked()
    assert other.evaluate("scrollY") > 0


def test_runs_over_time(open_page):
    tab = open_page("dataset=kodak")
    rows = tab.locator("#runs-table tbody tr")
    assert rows.count() == 4
    assert "Another machine" in tab.locator("#runs-table").inner_text()
    tab.locator("[data-curve=beta]").uncheck()
    assert rows.count() == 2
    tab.locator("#dataset").select_option("small")
    assert rows.count() == 0


def test_a_section_is_a_place_and_keeps_the_state(open_page):
    tab = open_page("metric=ms_ssim")
    tab.get_by_role("link", name="Timing").click()
    expect(tab).to_have_url(re.compile("#.*section=timing"))
    assert state(tab) == {"metric": "ms_ssim", "section": "timing"}
    again = open_page(tab.evaluate("location.hash.slice(1)"))
    assert again.evaluate("scrollY") > 1000


def test_the_table_sorts_by_every_heading(open_page):
    tab = open_page()
    for i in range(tab.locator("#bd-table thead button").count()):
        button = tab.locator("#bd-table thead button").nth(i)
        button.click()
        button.click()
    button = tab.locator("#bd-table thead button", has_text="BD-rate")
    button.click()
    column = tab.locator("#bd-table tbody tr td:nth-child(2)")
    number = lambda text: float(text.replace("\u2212", "-").replace("–", "inf"))  # noqa: E731
    rising = [number(t) for t in column.all_inner_texts()]
    assert rising == sorted(rising)
    button.press("Enter")
    assert tab.evaluate("document.activeElement.dataset.key") == "bd_rate"
    assert tab.locator("#bd-table th[aria-sort=descending]").inner_text().startswith("BD-rate")
    assert [number(t) for t in column.all_inner_texts()] == rising[::-1]
    assert state(tab) == {"sort": "-bd_rate"}


def test_curves_are_shown_and_hidden(open_page):
    tab = open_page()
    lines = tab.locator("#curves-chart svg g[aria-label=line] path")
    n = lines.count()
    tab.locator("[data-curve=alpha]").uncheck()
    assert lines.count() == n - 1
    tab.locator("[data-curve=alpha]").check()
    assert (lines.count(), state(tab)) == (n, {})
    for name in ("measured", "all", "default"):
        tab.locator(f"[data-show={name}]").click()
    assert (lines.count(), state(tab)) == (n, {})


def test_points_answer_the_mouse(open_page):
    tab = open_page()
    dot = tab.locator("#curves-chart svg [aria-label=dot] [aria-label=alpha]").nth(2)
    dot.hover(force=True)
    text = tab.locator("#curves-chart .tip").inner_text()
    for word in ("alpha", "quality", "bpp", "bytes", "PSNR", "scored", "measured"):
        assert word in text


def test_points_answer_the_keyboard(open_page):
    tab = open_page()
    stage = tab.locator("#curves-chart .stage")
    stage.focus()
    heard = []
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowUp", "ArrowLeft"):
        stage.press(key)
        heard.append(tab.locator("#curves-chart [aria-live]").inner_text())
    first, second, other, back, start = heard
    assert (back, start) == (second, first)
    assert [text.partition(".")[0] for text in (first, second, other)] == ["alpha", "alpha", "beta"]
    assert first != second
    stage.press("Escape")
    assert tab.locator("#curves-chart .tip").is_hidden()


def test_dragging_looks_closer(open_page):
    tab = open_page()
    box = tab.locator("#curves-chart .stage").bounding_box()
    tab.mouse.move(box["x"] + 150, box["y"] + 300)
    tab.mouse.down()
    tab.mouse.move(box["x"] + 350, box["y"] + 300, steps=4)
    tab.mouse.up()
    low, high = float(state(tab)["from"]), float(state(tab)["to"])
    assert 0 < low < high < 2
    assert tab.locator("[data-state=to]").input_value() == state(tab)["to"]
    tab.mouse.dblclick(box["x"] + 250, box["y"] + 300)
    assert state(tab) == {}


def test_figures_and_tables_are_saved(open_page, tmp_path):
    tab = open_page(color_scheme="dark")
    with tab.expect_download() as figure:
        tab.locator("#curves-chart .save").click()
    assert figure.value.suggested_filename == "kodak-curves-chart.svg"
    figure.value.save_as(tmp_path / "figure.svg")
    text = (tmp_path / "figure.svg").read_text()
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "var(" not in text
    assert "stroke:rgb(32, 97, 207)" in text
    with tab.expect_download() as table:
        tab.locator("#bd-table .save").click()
    table.value.save_as(tmp_path / "table.csv")
    head, *rows = csv.reader((tmp_path / "table.csv").open())
    assert head[:2] == ["Curve", "BD-rate (%)"]
    assert "qarv" in {row[0] for row in rows}
    assert all(float(row[1]) for row in rows)


def test_costs_of_published_and_measured_codecs(open_page):
    tab = open_page("cost=macs&shown=vtm18|qarv|mbt2018-mean|cheng2020-attn")
    assert tab.locator("#complexity-chart svg [aria-label=dot] path").count() == 3


def test_an_image_is_picked_in_the_strip(open_page):
    tab = open_page("anchor=alpha")
    stage = tab.locator("#strip-chart .stage")
    stage.focus()
    stage.press("ArrowRight")
    stage.press("Enter")
    assert state(tab)["image"].startswith("kodim")
    assert state(tab)["image"] in tab.locator("#curves-lede").inner_text()


def test_the_viewer_by_keyboard(open_page):
    tab = open_page("dataset=small")
    stage = tab.locator("#viewer-stage")
    stage.focus()
    for key in ("+", "+", "ArrowRight", "ArrowDown", "f"):
        stage.press(key)
    assert state(tab)["flipped"] == "1"
    assert float(state(tab)["zoom"]) >= 2
    assert float(state(tab)["x"]) > 0.5
    for key in ("-", "0", "f"):
        stage.press(key)
    assert state(tab) == {"dataset": "small"}


def test_the_viewer_by_mouse(open_page):
    tab = open_page("dataset=small&zoom=8&mode=flip")
    box = tab.locator("#viewer-stage").bounding_box()
    tab.locator("#viewer-stage").scroll_into_view_if_needed()
    box = tab.locator("#viewer-stage").bounding_box()
    tab.mouse.move(box["x"] + 300, box["y"] + 200)
    tab.mouse.down()
    tab.mouse.move(box["x"] + 200, box["y"] + 150)
    tab.mouse.up()
    assert float(state(tab)["x"]) > 0.5
    assert tab.locator("#viewer-left img").is_visible()
    tab.locator("#viewer-flip").click()
    assert not tab.locator("#viewer-left").is_visible()
    assert tab.locator("#viewer-right").is_visible()


def test_the_viewer_shows_what_was_decoded(open_page):
    tab = open_page("dataset=small&left=jpeg&right=webp&bpp=1")
    sizes = tab.evaluate(
        "[...document.querySelectorAll('.pane img')].map(i => [i.naturalWidth, i.naturalHeight])"
    )
    assert sizes == [[240, 176], [240, 176]]
    assert re.search(
        r"bpp.*bytes.*PSNR.*jpeg:quality=", tab.locator("#viewer-left-caption").inner_text()
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("dataset", "width"), [("kodak", 1300), ("small", 1300), ("small", 390)])
def test_axe_finds_nothing(open_page, scheme, dataset, width):
    tab = open_page(f"dataset={dataset}&hidden=1", width, color_scheme=scheme)
    for details in tab.locator("details").all():
        details.evaluate("d => { d.open = true; }")
    found = axe.Axe().run(tab)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("width", [360, 800, 1300])
def test_nothing_is_wider_than_the_window(open_page, width):
    for dataset in ("kodak", "small"):
        tab = open_page(f"dataset={dataset}&mode=side", width)
        tab.evaluate("document.querySelector('.notes li')?.append('a=b,'.repeat(60))")
        tab.evaluate(
            "document.querySelectorAll('.empty, section p').forEach(e => {"
            " e.hidden = false; e.append('/a_path'.repeat(40)); })"
        )
        assert tab.evaluate("document.documentElement.scrollWidth") <= width


def test_long_names_are_shortened_in_the_middle(open_page):
    shorten = "import('chart.js').then(({ shortened: s, textWidth: w }) => [s(%s), w(s(%s))])"
    arguments = "'qarv:weights=random lambda=2048, decode', 120"
    text, width = open_page().evaluate(shorten % (arguments, arguments))
    assert text.startswith("qarv:")
    assert text.endswith(", decode")
    assert 90 < width <= 120


def test_a_missing_bit_map_is_reported(open_page):
    tab = open_page("dataset=small&mode=bits&left=original&right=jpeg")
    assert "No bit map" in tab.locator("#viewer-right-caption").inner_text()
    assert "bit map" not in tab.locator("#viewer-left-caption").inner_text()
    assert tab.locator("#viewer-bits").is_hidden()


def test_bit_maps_are_offered_only_where_a_codec_has_them(open_page):
    tab = open_page("dataset=small")
    choice = "document.querySelector('#viewer-mode [value=bits]').parentElement.hidden"
    assert not tab.evaluate(choice)
    views = "import('report.js').then(({ report: r }) => r.datasets[1].viewer.forEach(i => %s))"
    tab.evaluate(views % "i.views.forEach(v => { v.maps = []; })")
    tab.evaluate("import('state.js').then(({ set }) => set({ mode: 'bits' }))")
    assert tab.evaluate(choice)
    assert tab.locator("#viewer").get_attribute("data-mode") == "slider"


def test_the_viewer_begins_with_the_anchor_and_the_best_codec(open_page):
    tab = open_page("dataset=small&anchor=jpeg")
    assert tab.locator("#viewer-left-choice").input_value() == "jpeg"
    assert tab.locator("#viewer-right-choice").input_value() == "webp"
    tab.locator("#anchor").select_option("webp")
    assert tab.locator("#viewer-left-choice").input_value() == "webp"
    assert tab.locator("#viewer-right-choice").input_value() != "webp"


def test_notes_of_a_row_are_in_order_and_do_not_repeat_its_name(open_page):
    tab = open_page("dataset=small&anchor=jpeg")
    marks = tab.locator("#bd-table tbody sup").all_text_contents()
    numbers = [[int(n) for n in re.findall(r"\d+", text)] for text in marks]
    assert len(numbers) > 1
    assert numbers == [sorted(one) for one in numbers]
    notes = tab.locator("#bd-notes li").all_inner_texts()
    assert "the interval is too narrow for 95 %: it rests on 2 images" in notes
    tab.locator("#dataset").select_option("kodak")
    tab.locator("[data-state=hidden]").check()
    notes = tab.locator("#bd-notes li").all_inner_texts()
    assert any(note.startswith("scored against the YCbCr round trip") for note in notes)


def test_thumbnails_choose_the_image(open_page):
    tab = open_page("dataset=small")
    second = tab.locator("#viewer-thumbnails button").nth(1)
    second.click()
    assert state(tab)["view"] == "two.png"
    assert second.get_attribute("aria-pressed") == "true"
    assert tab.locator("#viewer-image").input_value() == "two.png"


def test_the_gain_of_a_difference_fits_its_images(open_page):
    tab = open_page("dataset=small&mode=difference&left=jpeg&right=webp&bpp=0.5")
    name = tab.locator("[data-state=gain] [value=auto]")
    expect(name).to_contain_text("(")
    gain = float(re.search(r"\(([\d.]+)×\)", name.text_content())[1])
    assert 1 < gain < 255
    tab.locator("#viewer-right-choice").select_option("jpeg")
    expect(tab.locator("#viewer-stage")).to_have_css("--gain", "255")


def test_images_as_a_table(open_page):
    tab = open_page("dataset=kodak&anchor=alpha")
    tab.locator("#image-details summary").click()
    rows = tab.locator("#image-table tbody tr")
    assert rows.count() == tab.locator("#curves-image option").count() - 1
    tab.locator("#image-table thead button", has_text="beta").click()
    values = [float(r.split("\t")[1].replace("\u2212", "-")) for r in rows.all_inner_texts()]
    assert values == sorted(values)
    assert state(tab)["imagesort"] == "beta"


def test_appearance(open_page):
    background = "getComputedStyle(document.body).backgroundColor"
    dark = open_page(color_scheme="dark").evaluate(background)
    tab = open_page(color_scheme="light")
    light = tab.evaluate(background)
    assert dark != light
    tab.locator("[data-state=theme][value=dark]").check()
    assert tab.evaluate(background) == dark


def test_print(open_page):
    tab = open_page("theme=dark", color_scheme="dark")
    assert len(re.findall(rb"/Type ?/Page\b", tab.pdf())) >= 2
    tab.emulate_media(media="print")
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert tab.locator(".toolbar").is_hidden()
    assert tab.locator("#curves-chart svg").is_visible()
