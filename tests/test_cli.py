"""The command line as people use it: what it prints, and what it answers to what is wrong."""

import csv
import io
import json
import shlex
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest
import typer
from program import rdbench
from typer.testing import CliRunner

from rdbench.__main__ import main
from rdbench.cli import options
from rdbench.cli.app import LISTS, app
from rdbench.errors import UsageError


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """A report folder with JPEG and WebP on ``sample``."""
    out = tmp_path_factory.mktemp("reports")
    words = ("run", "--codec", "jpeg", "--codec", "webp:quality=5,45,75,95", "--jobs", 2)
    status, _, errors = rdbench(*words, "--out", out)
    assert status == 0, errors
    return out


@pytest.mark.parametrize("code", ["import rdbench", "import rdbench.cli.app"])
def test_starting_loads_nothing_heavy(code):
    heavy = ("torch", "matplotlib", "pandas", "scipy", "numba")
    loaded = f"import sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; {loaded}"], capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr


def commands(group, path=()):
    """Every command of the program: its name in words -> the command."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


PROGRAM = typer.main.get_command(app)
COMMANDS = {
    name: c for name, c in commands(PROGRAM) if not name.startswith(("list ", "brokencommand"))
}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command_has_an_example_that_parses(name):
    assert CliRunner().invoke(app, [*name.split(), "-h"]).exit_code == 0
    (example,) = [
        " ".join(part.split()).removeprefix("Example: ")
        for part in COMMANDS[name].help.split("\n\n")
        if part.startswith("Example: ")
    ]
    assert example.startswith(f"rdbench {name}")
    words = shlex.split(example)[1 + len(name.split()) :]
    COMMANDS[name].make_context(name, words)  # raises for an option that does not exist


def test_help_in_a_pipe_is_plain_text_under_headings():
    status, text, _ = rdbench("-h")
    headings = ["Measure:", "Compare:", "Papers:", "Codecs:", "Manage:"]
    assert status == 0
    assert [line for line in text.splitlines() if line in headings] == headings
    assert text.isascii()
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "\n  list" not in text


def test_version():
    status, text, _ = rdbench("--version")
    assert (status, text.split()[0]) == (0, "rdbench")


def test_an_unknown_command_suggests_the_nearest():
    result = CliRunner().invoke(app, ["bdrat"])
    assert result.exit_code == 2
    assert "No such command 'bdrat'. Did you mean 'bdrate'?" in result.stderr


@pytest.mark.parametrize("noun", LISTS)
def test_list_before_and_after_a_noun(noun):
    found = [
        CliRunner().invoke(app, [*words, "--json"]).stdout
        for words in ((noun, "list"), ("list", noun))
    ]
    assert found[0] == found[1]
    assert json.loads(found[0])


def test_codecs_by_family_with_their_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("RDBENCH_VTM", str(tmp_path))
    result = CliRunner().invoke(app, ["codecs", "list"])
    before, _, after = result.stdout.partition("\nconventional\n"[1:])
    assert before == ""
    assert "  jpeg                            JPEG (libjpeg-turbo)\n" in after
    assert "subsampling     420|422|444; default 420\n" in after
    assert "quality         5, 15, 25, ... 95 (10 points); default 75\n" in after
    assert "\nhyperprior\n" in after
    assert "vtm18" not in after
    assert " more are not available; `rdbench codecs list --all`" in result.stderr
    result = CliRunner().invoke(app, ["codecs", "list", "--all"])
    assert "vtm18" in result.stdout
    assert "not available: " in result.stdout
    assert result.stderr == ""
    rows = json.loads(CliRunner().invoke(app, ["codecs", "list", "--json"]).stdout)
    (jpeg,) = [row for row in rows if row["codec"] == "jpeg"]
    assert (jpeg["family"], jpeg["available"]) == ("conventional", True)
    assert jpeg["settings"][2] == {
        "setting": "optimize", "values": ["false", "true"], "default": False, "ladder": None
    }  # fmt: skip


COMPLETED = [
    ("run --codec webp", ["webp", "webp-lossless"]),
    ("bdrate -a av1", ["av1-compressai"]),
    ("match --dataset ko", ["kodak", "kodak24-cropped"]),
    ("datasets verify sa", ["sample"]),
    ("curves show cool-chic-5", ["cool-chic-5.0"]),
    ("cite mlic", ["mlic", "mlic+", "mlic++"]),
    ("bdrate --metric ms", ["ms_ssim", "ms_ssim_y"]),
    ("tables --format la", ["latex"]),
    ("weights card qarv", ["qarv"]),
    ("weights fetch qa", ["qarv"]),
]


@pytest.mark.parametrize(("line", "found"), COMPLETED, ids=[line for line, _ in COMPLETED])
def test_completion(line, found):
    code = (
        "import sys; from rdbench.__main__ import main; sys.argv = ['rdbench']\n"
        "try: main()\nfinally: assert 'torch' not in sys.modules"
    )
    words = f"rdbench {line}"
    environment = {
        "_RDBENCH_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert done.stdout.split() == found, done.stderr


def test_settings_for_all_codecs_that_have_them():
    specs = ["jpeg", "qarv", "qarv:lambda=64"]
    assert options.with_settings(specs) == specs
    assert options.with_settings(specs, device="cuda", weights="random") == [
        "jpeg",
        "qarv:device=cuda,weights=random",
        "qarv:lambda=64,device=cuda,weights=random",
    ]
    with pytest.raises(UsageError, match=r"--device: none of these codecs .*: jpeg, webp"):
        options.with_settings(["jpeg", "webp"], device="cuda")


@pytest.mark.parametrize("command", ["run", "match", "timing", "latents", "complexity"])
def test_weights_of_a_command_reach_its_codecs(command, tmp_path):
    words = [command, "--codec", "qarv", "--weights", "random-nosuch"]
    words += ["--bpp", "1"] * (command == "match") + ["--busy"] * (command == "timing")
    result = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "out")])
    assert "no random network is named 'nosuch'" in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_published_figures():
    status, text, _ = rdbench("bdrate", "--anchor", "vtm18", "--json", "nowhere")
    assert status == 0
    figures = {(r["dataset"], r["codec"]): r["bd_rate_percent"] for r in json.loads(text)}
    assert figures["kodak", "qarv"] == pytest.approx(-5.899, abs=0.002)
    assert figures["kodak", "mbt2018-mean"] == pytest.approx(21.991, abs=0.0006)
    assert figures["kodak", "mbt2018"] == pytest.approx(11.507, abs=0.0006)
    assert figures["tecnick", "qarv"] == pytest.approx(-8.938, abs=0.0006)
    assert figures["clic2022-test", "qarv"] == pytest.approx(-6.914, abs=0.0006)
    keys = {"codec", "dataset", "metric", "method", "bd_rate_percent", "overlap", "n_points",
            "source", "ci_low", "ci_high"}  # fmt: skip
    assert all(keys <= row.keys() and row["source"] == "published" for row in json.loads(text))


def test_measured_against_measured(reports):
    words = ("bdrate", "--anchor", "jpeg", "--dataset", "sample", "--json", reports)
    status, text, _ = rdbench(*words)
    (row,) = json.loads(text)
    assert (status, row["codec"], row["source"]) == (0, "webp", "measured")
    assert row["ci_low"] < row["bd_rate_percent"] < row["ci_high"] < 0
    assert (row["n_wins"], row["n_losses"]) == (3, 0)
    status, text, _ = rdbench(*words[:-2], "--per-image", "--json", reports)
    assert {r["image"] for r in json.loads(text)} == {"astronaut.png", "coffee.png", "chelsea.png"}


def test_export(reports, tmp_path):
    status, text, _ = rdbench("export", reports)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert (status, len(rows)) == (0, 42)
    first = ["codec", "dataset", "image", "width", "height", "n_bytes", "bpp", "psnr_rgb",
             "ms_ssim", "encode_s", "decode_s"]  # fmt: skip
    assert set(first) <= rows[0].keys()
    status, text, _ = rdbench("export", reports, "--format", "json")
    nested = json.loads(text)
    assert [r["n_bytes"] for r in nested] == [int(r["n_bytes"]) for r in rows]
    assert rdbench("export", reports, "--format", "parquet", "-o", tmp_path / "a.parquet")[0] == 0
    import pandas as pd

    table = pd.read_parquet(tmp_path / "a.parquet")
    assert table["bpp"].tolist() == [float(r["bpp"]) for r in rows]
    assert rdbench("export", reports, "--format", "compressai", "-o", tmp_path / "c")[0] == 0
    body = json.loads((tmp_path / "c" / "sample-webp.json").read_text())
    assert len(body["results"]["bpp"]) == len(body["results"]["encoding_time"]) == 4
    from rdbench.importers import import_curve

    assert len(import_curve(tmp_path / "c" / "sample-webp.json", "sample").bpp) == 4


def test_plot(reports, tmp_path):
    status, text, errors = rdbench("plot", reports, "--out", tmp_path)
    assert status == 0, errors
    written = [line.rsplit("/", 1)[-1] for line in text.split()]
    names = [f"sample-{m}.{s}" for m in ("psnr_rgb", "ms_ssim") for s in ("png", "pdf", "svg")]
    assert written == names
    assert PIL.Image.open(tmp_path / "sample-psnr_rgb.png").width > 1200
    assert ">JPEG<" in (tmp_path / "sample-psnr_rgb.svg").read_text()


def test_implausible_points_are_reported_everywhere(tmp_path):
    pixels = np.zeros((200, 200, 3), np.uint8)
    pixels[:, 100:] = 2
    (tmp_path / "flat").mkdir()
    PIL.Image.fromarray(pixels).save(tmp_path / "flat" / "flat.png")
    codecs = ("--codec", "jpeg:quality=1,100", "--codec", "null")
    run = ("run", *codecs, "--dataset", tmp_path / "flat", "--out", tmp_path / "out")
    for words in (run, ("plot", tmp_path / "out", "--out", tmp_path / "figures")):
        status, _, said = rdbench(*words)
        assert status == 0, said
        assert "more than the 24 bpp of raw pixels" in said
    _, text, _ = rdbench(*run, "--json")
    flags = {row["codec"]: row["flag"] for row in json.loads(text) if row["flag"] != "lossless"}
    assert [codec for codec, flag in flags.items() if flag] == ["null"]
    _, text, _ = rdbench("export", tmp_path / "out")
    flagged = [row["codec"] for row in csv.DictReader(io.StringIO(text)) if row["flag"]]
    assert flagged == ["null"]


WRONG = [
    (("run", "--codec", "jpg"), 1, "no codec named 'jpg'; did you mean 'jpeg'?"),
    (("run", "--codec", "jpeg:qualty=3"), 1, "did you mean 'quality'?"),
    (("run", "--codec", "jpeg:quality=300"), 1, "quality=300 is not between 1 and 100"),
    (("run", "--codec", "x.toml"), 1, "no codec description at 'x.toml'"),
    (("run", "--codec", "null", "--dataset", "kodac"), 1, "did you mean 'kodak'?"),
    (("run", "--codec", "null", "--dataset", "{empty}"), 1, "no images in"),
    (("run", "--codec", "null", "--dataset", "{deep}"), 1, "convert it to 8-bit RGB"),
    (("run", "--codec", "null", "--dataset", "{cut}"), 1, "cut.png cannot be read"),
    (("run", "--codec", "null", "--scored", "10-bit"), 2, "8-bit"),
    (("run", "--codec", "null", "--device", "cuda"), 1, "none of these codecs has that setting"),
    (("latents", "--codec", "jpeg"), 1, "codec 'jpeg' does not report the rate of its parts"),
    (("curves", "verify", "{empty}"), 1, "cannot read"),
    (("run",), 2, "--codec"),
    (("plot", "{empty}"), 1, "rdbench run --codec jpeg"),
    (("export", "{empty}"), 1, "no records in"),
    (("export", "{empty}", "--format", "xls"), 2, "csv, json, parquet, compressai"),
    (("bdrate", "--anchor", "vtm"), 1, "no curve of 'vtm'"),
    (("bdrate", "--method", "cubic"), 2, "'poly3', 'pchip', 'akima'"),
    (("bdrate", "--metric", "sharpness"), 2, "sharpness"),
    (("datasets", "fetch", "jpegai-test"), 1, "get it from https://jpeg.org"),
    (("anchor", "verify", "--codec", "jpeg"), 1, "no points are shipped"),
]


@pytest.mark.parametrize(("words", "status", "says"), WRONG, ids=[" ".join(w[0]) for w in WRONG])
def test_wrong_input_is_answered_in_one_line(tmp_path, monkeypatch, capsys, words, status, says):
    folders = {name: tmp_path / name for name in ("empty", "deep", "cut")}
    for folder in folders.values():
        folder.mkdir()
    import cv2

    cv2.imwrite(str(folders["deep"] / "deep.png"), np.zeros((9, 9, 3), np.uint16))
    PIL.Image.fromarray(np.zeros((99, 99, 3), np.uint8)).save(folders["cut"] / "cut.png")
    whole = (folders["cut"] / "cut.png").read_bytes()
    (folders["cut"] / "cut.png").write_bytes(whole[: len(whole) // 2])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["rdbench", *(w.format(**folders) for w in words)])
    with pytest.raises(SystemExit) as caught:
        main()
    said = capsys.readouterr().err
    assert caught.value.code == status
    assert says in said
    assert "Traceback" not in said
    assert status == 2 or said.strip().splitlines()[-1].startswith("rdbench: ")
    assert not (tmp_path / "reports").exists()


def test_doctor_reports_missing_components(tmp_path):
    status, text, _ = rdbench("doctor", "--json", RDBENCH_VTM=str(tmp_path))
    report = json.loads(text)
    assert status == 0
    codecs = {row["codec"]: row for row in report["codecs"]}
    assert codecs["jpeg"]["available"]
    assert not codecs["vtm18"]["available"]
    assert "RDBENCH_VTM" in codecs["vtm18"]["reason"]
    assert len([row for row in report["colour_ceilings"] if row["codec"] == "vtm18"]) == 3
    assert all(40 < row["psnr_rgb"] < 60 for row in report["colour_ceilings"])
    assert {"numpy", "imagecodecs"} <= {row["package"] for row in report["packages"]}


def test_a_description_file_is_a_codec(tmp_path):
    commands = 'encode = "cp {input} {output}"\ndecode = "cp {input} {output}"\n'
    (tmp_path / "copy.toml").write_text(f'name = "copy"\nformat = "png"\n{commands}')
    words = ("run", "--codec", "copy.toml", "--out", "out", "--json")
    status, text, errors = rdbench(*words, cwd=tmp_path)
    assert status == 0, errors
    (row,) = json.loads(text)
    assert (row["codec"], row["n_measured"], row["psnr_rgb"]) == ("copy", 3, None)


def test_a_file_of_a_wanted_size_and_back(tmp_path):
    from sample import photograph

    PIL.Image.fromarray(photograph("astronaut")).save(tmp_path / "a.png")
    words = ("encode", "a.png", "--codec", "jpeg2000", "--bpp", "0.5", "--json")
    status, text, errors = rdbench(*words, cwd=tmp_path)
    assert status == 0, errors
    (row,) = json.loads(text)
    assert row["bpp"] == pytest.approx(0.5, rel=0.01)
    assert row["n_encodes"] <= 10
    assert (tmp_path / "a.jpeg2000").stat().st_size == row["n_bytes"]
    words = ("decode", "a.jpeg2000", "--codec", "jpeg2000", "--out", "b.png")
    assert rdbench(*words, cwd=tmp_path)[0] == 0
    error = np.asarray(PIL.Image.open(tmp_path / "b.png")).astype(float) - photograph("astronaut")
    assert 10 * np.log10(255**2 / np.mean(error**2)) == pytest.approx(row["psnr_rgb"])
    words = ("encode", "a.png", "--codec", "jpeg", "--psnr", "30", "--json")
    status, text, errors = rdbench(*words, cwd=tmp_path)
    assert json.loads(text)[0]["psnr_rgb"] == pytest.approx(30, abs=0.5)
    assert ("comes no nearer" in errors) == (abs(json.loads(text)[0]["psnr_rgb"] - 30) > 0.044)
    for words, says in (
        (("encode", "a.png", "--codec", "null", "--psnr", "30"), "has no rate parameter"),
        (("encode", "a.png", "--codec", "jpeg:quality=1,2"), "names 2 operating points"),
        (("decode", "a.jpeg2000", "--codec", "webp"), "not a lossy WebP file"),
        (("decode", "nothing.j2k", "--codec", "jpeg2000"), "cannot read nothing.j2k"),
    ):
        status, _, errors = rdbench(*words, cwd=tmp_path)
        assert (status, says in errors) == (1, True), errors


def test_latents_of_a_learned_codec(tmp_path):
    codec = "qarv:weights=random-tiny,lambda=16,2048"
    words = ("latents", "-c", codec, "-d", "sample[chelsea]", "-o", tmp_path, "--map", "chelsea")
    status, text, errors = rdbench(*words, "--json")
    assert status == 0, errors
    rows = json.loads(text)
    names = ["header", *(f"z{i}" for i in range(1, 10))]
    assert [row["segment"] for row in rows] == names * 2
    assert sum(row["percent"] for row in rows) == pytest.approx(200)
    assert len(list((tmp_path / "figures").glob("latents-*.png"))) == 1
    assert len(list((tmp_path / "figures").glob("map-*-chelsea.png"))) == 2
    maps = [path.name for path in (tmp_path / "figures").glob("map-*")]
    assert all(name.startswith("map-sample_chelsea_-qarv_weights_random-tiny_") for name in maps)
    assert "random weights" in rdbench("plot", tmp_path)[2]


def test_an_image_of_maps_is_looked_for_before_anything_is_measured(tmp_path):
    codec, out = "qarv:weights=random-tiny,lambda=16", tmp_path / "out"
    status, _, errors = rdbench("latents", "--codec", codec, "--out", out, "--map", "nosuch")
    assert (status, "has no image 'nosuch'" in errors) == (1, True), errors
    assert not out.exists()


def test_what_learned_codecs_offer_without_weights(tmp_path):
    status, text, _ = rdbench("weights", "list", "--json")
    assert {row["name"] for row in json.loads(text)} >= {"qarv", "mbt2018-mean:quality=3"}
    status, _, errors = rdbench("run", "--codec", "qarv:weights=published", "--out", tmp_path)
    assert (status, errors.count("\n")) == (1, 1)
    assert "rdbench weights fetch qarv" in errors
    codec = "qvrf-bmshj2018-hyperprior:weights=random-tiny"
    figure = tmp_path / "fit.png"
    status, text, errors = rdbench("qvrf", "fit", "--codec", codec, "--out", figure, "--json")
    assert status == 0, errors
    assert json.loads(text)[0].keys() == {"codec", "slope", "intercept", "r2"}
    assert figure.stat().st_size > 5000
    status, text, errors = rdbench("complexity", "--codec", codec, "--json")
    assert json.loads(text)[0]["decoder_macs_per_pixel"] > 0, errors
