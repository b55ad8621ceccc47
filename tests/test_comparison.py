"""``bdrate`` and ``tables`` on one's own images: own curves first, and a reason where there is no
figure, with a command that helps."""

import csv
import dataclasses
import io
import json
import re
import shlex

import numpy as np
import PIL.Image
import pytest
from folders import as_kodak
from typer.testing import CliRunner

from rdbench.analysis import overview
from rdbench.analysis.selection import anchors_of, default_anchors, named, select
from rdbench.cli.app import app
from rdbench.columns import Column
from rdbench.curve import Curve
from rdbench.errors import RdbenchError, UsageError

LADDER = "quality=20,40,60,80"


def call(*words):
    """(exit status, stdout, stderr and the error)."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exception is None or isinstance(done.exception, RdbenchError | SystemExit)
    said = done.stderr if done.exception is None else f"{done.stderr}\n{done.exception}"
    return done.exit_code, done.stdout, said


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "my data"
    folder.mkdir()
    ramp = np.linspace(0, 200, 48)[:, None, None] + np.zeros((48, 48, 3))
    for seed in range(2):
        noise = np.random.default_rng(seed).normal(0, 8, ramp.shape)
        PIL.Image.fromarray((ramp + noise).clip(0, 255).astype(np.uint8)).save(
            folder / f"{seed}.png"
        )
    return folder


@pytest.fixture(scope="module")
def own(images, tmp_path_factory):
    """A report folder with JPEG at two subsamplings and WebP on images of one's own."""
    out = tmp_path_factory.mktemp("reports") / "my reports"
    codecs = (f"jpeg:{LADDER}", f"jpeg:{LADDER},subsampling=444", f"webp:{LADDER}")
    words = [word for codec in codecs for word in ("--codec", codec)]
    status, _, said = call("run", *words, "--dataset", images, "--out", out)
    assert status == 0, said
    return out


@pytest.mark.parametrize(
    "command",
    [("bdrate", "-a", "vtm18"), ("bdrate", "-a", "vtm18", "-d", "my data"),
     ("tables", "-a", "vtm18", "-t", "bdrate")],
)  # fmt: skip
def test_a_missing_anchor_is_reported_with_what_to_do(own, images, command):
    status, text, said = call(*command, own)
    assert status == 1
    assert ("qarv" in text) == ("-d" not in command)
    assert (
        "my data: no vtm18; anchors there: jpeg:subsampling=420, jpeg:subsampling=444, webp; "
        in (said)
    )
    (hint,) = re.findall(r"`(rdbench run [^`]*)`", said)
    assert shlex.split(hint)[-4:] == ["--dataset", str(images), "--out", str(own)]
    assert said.strip().splitlines()[-1].endswith("your own curves: see above")


def test_the_default_anchor_has_most_points_in_common(own):
    """One with a narrow range comes first in the alphabet; webp reaches least of the others."""
    for command in ("bdrate", "tables"):
        words = ("-t", "bdrate") if command == "tables" else ()
        status, text, said = call(command, own, "-d", "my data", *words)
        assert status == 0
        assert "webp" in text
        assert "my data: the anchor is jpeg:subsampling=420 (the most points in common" in said


def made_up(codec, bpp, psnr, dataset="d", source="measured"):
    scores = {"psnr_rgb": np.array(psnr, float)}
    return Curve(codec=codec, dataset=dataset, source=source, bpp=np.array(bpp), scores=scores)


def test_default_anchors():
    rates = [0.1, 0.2, 0.4, 0.8]
    narrow = made_up("aaa", rates, [40, 41, 42, 43])
    wide, middle = made_up("mid", rates, [28, 33, 38, 43]), made_up("z", rates, [29, 34, 37, 42])
    short = made_up("short", rates[:3], [20, 30, 40])
    found = default_anchors([narrow, wide, middle, short], "psnr")
    assert {d: c.codec for d, (c,) in found.items()} == {"d": "mid"}
    vtm = made_up("vtm18", rates, [1, 2, 3, 4], source="published")
    assert default_anchors([narrow, wide, vtm], "psnr")["d"] == [vtm]
    assert default_anchors([made_up("a", rates, rates, source="published")], "psnr") == {}
    assert default_anchors([narrow, wide], "ms_ssim") == {}


def test_other_weights_than_the_published_ones_do_not_become_the_default_anchor():
    rates = [0.1, 0.2, 0.4, 0.8]
    noise = dataclasses.replace(made_up("n", rates, [28, 33, 38, 43]), weights_kind="reduced")
    other = made_up("o", rates, [29, 30, 31, 32])
    assert default_anchors([noise, other], "psnr")["d"] == [other]


@pytest.mark.parametrize("command", ["bdrate", "tables", "board"])
def test_published_means_the_same_everywhere(own, tmp_path, command):
    folder = tmp_path / "kodak"
    as_kodak(own, folder)
    words = {"tables": ("-t", "bdrate", "--format", "csv"), "bdrate": ("--json",),
             "board": ("--json",)}[command]  # fmt: skip

    def shown(*published):
        options = [word for name in published for word in ("--published", name)]
        status, text, said = call(command, "-d", "kodak", *words, *options, folder)
        assert status == 0, said
        return {name for name in ("webp", "jpeg", "DCAE", "FTIC", "ELIC") if name in text}

    assert shown("none") == {"webp", "jpeg"}
    assert shown("DCAE,FTIC") == shown("DCAE", "FTIC") == {"webp", "jpeg", "DCAE", "FTIC"}
    assert shown() == shown("all") == {"webp", "jpeg", "DCAE", "FTIC", "ELIC"}
    status, _, said = call(command, "-d", "kodak", "--published", "webpp", folder)
    assert status == 1
    assert "did you mean 'webp'" in said


def test_the_hints_help(own, images, tmp_path):
    _, _, said = call("bdrate", "--anchor", "jpeg2000", "-d", "my data", own)
    (hint,) = re.findall(r"`rdbench (run [^`]*)`", said)
    words = shlex.split(hint)
    words[-1] = str(tmp_path)
    assert call(*words)[0] == 0
    assert call("run", "-c", f"webp:{LADDER}", "-d", images, "--out", tmp_path)[0] == 0
    assert call("bdrate", "--anchor", "jpeg2000", "-d", "my data", tmp_path)[0] == 0
    _, _, said = call("plot", tmp_path / "none")
    (hint,) = re.findall(r"`rdbench (run [^`]*)`", said)
    assert call(*shlex.split(hint))[0] == 0
    assert call("plot", tmp_path / "none", "--out", tmp_path)[0] == 0


def test_own_rows_come_first_and_are_marked(own, images):
    _, text, _ = call("bdrate", "--anchor", "webp", own)
    header, *rows = text.splitlines()
    assert header.split()[0] == "own"
    assert len(rows) > 10
    assert [row.startswith("*") for row in rows] == [True, True] + [False] * (len(rows) - 2)
    assert call("bdrate", own.parent / "none")[1].split()[0] != "own"
    _, text, _ = call("tables", "--anchor", "webp", "-t", "bdrate", "--format", "csv", own)
    rows = csv.DictReader(io.StringIO(text))
    sources = list({row["codec"]: row["source"] for row in rows}.values())
    assert sources == ["measured"] * 2 + ["published"] * (len(sources) - 2)
    assert len(sources) > 3


@pytest.mark.parametrize("command", ["bdrate", "tables"])
def test_metrics_that_records_lack(own, command, tmp_path):
    words = (command, "--anchor", "webp", "-d", "my data", "--metric", "nlpd", own)
    words += ("-t", "bdrate") if command == "tables" else ()
    status, _, said = call(*words)
    assert status == 1
    assert f"compute it with `rdbench rescore '{own}' --metric nlpd`" in said


def test_a_hint_to_rescore_helps(images, tmp_path):
    codecs = ("-c", f"jpeg:{LADDER}", "-c", f"webp:{LADDER}")
    assert call("run", *codecs, "-d", images, "--out", tmp_path)[0] == 0
    words = ("bdrate", "--anchor", "webp", "-d", "my data", "--metric", "psnr_hvs_m", tmp_path)
    _, _, said = call(*words)
    (hint,) = re.findall(r"`rdbench (rescore [^`]*)`", said)
    assert call(*shlex.split(hint))[0] == 0
    assert call(*words)[0] == 0


def test_no_hint_to_rescore_where_it_would_not_help(own):
    status, _, said = call(
        "bdrate", "--anchor", "webp", "-d", "my data", "--metric", "ms_ssim", own
    )
    assert status == 1
    assert "has no ms_ssim: its points are lossless, or the images too small for it" in said
    assert "rescore" not in said


def figures(own, *words):
    status, text, said = call("bdrate", "-d", "my data", "--json", *words, own)
    assert status == 0, said
    return {row["label"]: row["bd_rate_percent"] for row in json.loads(text)}


def test_anchor_and_codec_take_settings(own):
    anchored = figures(own, "--anchor", "jpeg:subsampling=444")
    assert anchored.keys() == {"jpeg:subsampling=420", "webp"}
    chosen = figures(own, "-a", "webp", "-c", "jpeg:subsampling=444")
    assert chosen.keys() == {"jpeg:subsampling=444"}
    assert figures(own, "-a", "webp", "-c", "jpeg:optimize=no,subsampling=444") == chosen
    both = figures(own, "-a", "webp", "-c", "jpeg:optimize=false")
    assert both.keys() == {"jpeg:subsampling=420", "jpeg:subsampling=444"}
    words = ("tables", own, "-t", "bdrate", "-d", "my data", "--format", "csv", "-a", "webp")
    _, text, _ = call(*words, "-c", "jpeg:subsampling=444")
    assert [line.split(",")[0] for line in text.splitlines()[1:]] == ["jpeg:subsampling=444"]


@pytest.mark.parametrize("form", ["markdown", "latex", "typst", "html", "csv"])
def test_names_of_tables(own, form):
    words = ("tables", own, "-t", "bdrate", "-t", "points", "-a", "webp",
             "-d", "my data", "--published", "none", "--format", form)  # fmt: skip
    names = ("--name", "JPEG=Ours", "--name", "MY data=Set")
    _, usual, _ = call(*words)
    status, text, _ = call(*words, *names)
    assert status == 0
    assert text.count("\n") == usual.count("\n")  # two curves of one name stay two rows
    assert "Ours" in text
    assert "Set" in text
    assert not re.search("(?i)jpeg|my data", text)


def test_the_name_of_a_codec_is_not_that_of_others_that_begin_like_it():
    words = ("tables", "nowhere", "-t", "bdrate", "-d", "kodak", "--name", "jpeg=Ours")
    _, text, _ = call(*words, "--name", "j2k-kdu5=Mine")
    assert (text.count("Ours"), text.count("Mine")) == (1, 1)
    assert "JPEG 2000 (OpenJPEG)" in text


def test_what_names_of_tables_refuse(own):
    words = ("tables", own, "-t", "points", "--name", "jpg=Ours")
    status, text, said = call(*words)
    assert (status, text) == (1, "")
    assert said.endswith("--name jpg=Ours: no codec, curve or data set of that name in these "
                         "tables; there are jpeg, webp, my data; did you mean 'jpeg'?")  # fmt: skip


def test_bd_rates_of_a_paper_have_signs_as_their_intervals_and_a_caption_in_words(own):
    words = ("tables", own, "-t", "bdrate", "-a", "webp", "--published", "none", "--format")
    _, text, _ = call(*words, "latex")
    assert "against WebP, PSNR, third-order polynomial." in text
    assert len(re.findall(r"[+-]\d+\.\d\d\b.* & \[(\+|\$-\$)", text)) == 2
    assert "against webp, psnr, poly3" in call(*words, "markdown")[1]


def test_a_renamed_network_that_is_not_the_published_one_is_told(own, monkeypatch):
    monkeypatch.setitem(
        overview.TABLES, "timing",
        ("Latency",
         lambda _: [{"dataset": "d", "codec": "qarv", "label": "qarv (reduced network)"}],
         lambda rows: ([Column("label")], rows)),
    )  # fmt: skip
    _, text, said = call("tables", own, "-t", "timing", "--name", "qarv=Ours")
    assert "reduced" not in text
    assert "Ours: qarv (reduced network)" in said
    assert "reduced network)" not in call("tables", own, "-t", "timing")[2]


def test_settings_that_nothing_has(own):
    curves = select(own, "my data").curves
    with pytest.raises(UsageError, match="quality moves along the curve of jpeg; leave it out"):
        named(curves, ["jpeg:quality=20"])
    with pytest.raises(UsageError, match="did you mean 'subsampling'"):
        named(curves, ["jpeg:subsamplin=444"])
    with pytest.raises(UsageError, match=r"no curve of 'jpeg:optimize=true' \(measured"):
        named(curves, ["jpeg:optimize=true"])
    assert anchors_of(curves, "jpeg:optimize=true") == {}
    with pytest.raises(UsageError, match="did you mean 'jpeg'"):
        anchors_of(curves, "jpag")


def test_a_name_of_two_curves_is_reported(own):
    status, _, said = call("bdrate", "--anchor", "jpeg", "-c", "webp", "-d", "my data", own)
    assert status == 0
    assert "jpeg on my data is jpeg:subsampling=420; --anchor may also be" in said
    _, _, said = call("bdrate", "-a", "jpeg:subsampling=420", "-c", "webp", "-d", "my data", own)
    assert "may also be" not in said


def test_an_anchor_alone(images, tmp_path):
    assert call("run", "-c", f"webp:{LADDER}", "-d", images, "--out", tmp_path)[0] == 0
    status, _, said = call("bdrate", "--anchor", "webp", "-d", "my data", tmp_path)
    assert status == 1
    assert "it is the anchor, and there is no other curve on my data" in said


def test_published_curves_alone_are_compared_as_ever(tmp_path):
    assert call("bdrate", "-d", "kodak", tmp_path)[0] == 0
    status, _, said = call("bdrate", "-a", "vtm-compressai", "-d", "tecnick", tmp_path)
    assert status == 1
    assert "nothing to compare with 'vtm-compressai' (published on clic2020" in said


def test_curves_from_files(own, tmp_path):
    body = {"results": {"bpp": [0.05, 0.1, 0.5, 2, 6], "psnr": [22, 25, 31, 38, 45]}}
    for name in ("one", "two"):
        (tmp_path / f"{name}.json").write_text(json.dumps({"name": "mine", **body}))
    words = ("--curve", tmp_path / "one.json", "--curve", tmp_path / "two.json", "-a", "webp")
    assert {"mine (one)", "mine (two)"} <= figures(own, *words).keys()
    assert figures(own, *words, "-c", "two").keys() == {"mine (two)"}
    assert figures(own, *words, "-c", "mine").keys() == {"mine (one)", "mine (two)"}


def test_both_commands_report_a_fit_that_leaves_the_points(tmp_path):
    curves = {
        "a": ([2.01465, 3.0147, 4.01223, 5.01239], [96.622, 99.51432, 99.91607, 99.97751]),
        "b": ([2.05435, 3.06789, 4.00003, 5.09602], [97.1181, 99.66744, 99.94996, 99.98146]),
    }
    words = []
    for name, (bpp, psnr) in curves.items():
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps({"results": {"bpp": bpp, "psnr": psnr}}))
        words += ["--curve", file]
    status, text, said = call("bdrate", "-a", "a", "-c", "b", *words, tmp_path)
    assert status == 0
    assert "+100421" in text
    assert "the poly3 curve of b does not rise" in said
    assert "pchip -3.139 %" in said


def test_tables_say_it_too(tmp_path, monkeypatch):
    from rdbench.analysis import selection
    from rdbench.curve import Curve

    def curve(codec, bpp, psnr):
        psnr = {"psnr_rgb": np.array(psnr)}
        return Curve(codec=codec, dataset="d", source="measured", bpp=bpp, scores=psnr)

    pair = [
        curve("a", [2.01465, 3.0147, 4.01223, 5.01239], [96.622, 99.51432, 99.91607, 99.97751]),
        curve("b", [2.05435, 3.06789, 4.00003, 5.09602], [97.1181, 99.66744, 99.94996, 99.98146]),
    ]
    monkeypatch.setattr(selection, "_read", lambda folder: (pair, {}))
    status, text, said = call("tables", "-t", "bdrate", "-a", "a", "-d", "d", tmp_path)
    assert status == 0, said
    assert "100421" in text
    assert "the poly3 curve of b does not rise" in said


TARGETS = [
    (("encode", "{image}", "-c", "jpeg", "--bpp", "-1"), "pixel above 0, not -1"),
    (("encode", "{image}", "-c", "jpeg", "--bpp", "0"), "pixel above 0, not 0"),
    (("encode", "{image}", "-c", "jpeg", "--bpp", "nan"), "pixel above 0, not nan"),
    (("encode", "{image}", "-c", "jpeg", "--bpp", "inf"), "pixel above 0, not inf"),
    (("encode", "{image}", "-c", "jpeg", "--psnr", "nan"), "dB above 0, not nan"),
    (("encode", "{image}", "-c", "jpeg", "--psnr", "-inf"), "dB above 0, not -inf"),
    (("encode", "{image}", "-c", "jpeg", "--bytes", "0.5"), "bytes from 1, not 0.5"),
    (("encode", "{image}", "-c", "jpeg", "--ms-ssim", "nan"), "below 1, not nan"),
    (("match", "-c", "jpeg", "--bpp", "nan", "--out", "{out}"), "pixel above 0, not nan"),
    (("match", "-c", "jpeg", "--psnr", "inf", "--out", "{out}"), "dB above 0, not inf"),
    (("match", "-c", "jpeg", "--ms-ssim", "1", "--out", "{out}"), "below 1, not 1"),
    (("report", "{out}", "--bpp", "nan"), "--bpp takes rates"),
    (("report", "{out}", "--bpp", "0.5,inf"), "--bpp takes rates"),
    (("plot", "{out}", "--width", "nan"), "Invalid value for '--width'"),
    (("plot", "{out}", "--width", "inf"), "Invalid value for '--width'"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "says"), TARGETS, ids=[" ".join(w) for w, _ in TARGETS])
def test_targets_that_are_not_numbers_are_refused(images, tmp_path, monkeypatch, words, says):
    from rdbench_codecs.conventional.jpeg import Jpeg

    def encode(self, image):
        raise AssertionError("work started")

    monkeypatch.setattr(Jpeg, "encode", encode)
    places = {"image": images / "0.png", "out": tmp_path / "out"}
    status, _, said = call(*(word.format(**places) for word in words))
    assert status == (2 if words[0] == "plot" else 1)
    assert says in " ".join(said.split())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["bdrate", "tables"])
def test_own_curves_that_are_set_aside_are_reported(own, tmp_path, command):
    words = ["--table", "bdrate"] if command == "tables" else []
    _, _, said = call(command, own, "--dataset", "kodak", *words)
    assert "only kodak was asked for" in said
    as_kodak(own, tmp_path / "short", lambda record: record.rate_value in (20, 40))
    _, _, said = call(command, tmp_path / "short", "--dataset", "kodak", *words)
    assert "points were measured, a BD-rate needs 4; the published jpeg is shown" in said
