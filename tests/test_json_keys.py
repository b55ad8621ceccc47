"""``--json`` is an interface: keys are the same whatever the data, and tables use them."""

import importlib
import json
import pkgutil
import shutil

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import rdbench
import rdbench_codecs
from rdbench.anchor import Check
from rdbench.cli import anchor as anchor_command
from rdbench.cli.app import app
from rdbench.columns import Column
from rdbench.images import write_image
from rdbench.report import reproduce as drawing
from rdbench.store import Store

SCORES = (
    "psnr_rgb ms_ssim psnr_y psnr_yuv ms_ssim_y ssim ssimulacra2 butteraugli butteraugli_max vmaf "
    "vmaf_neg xpsnr cambi ciede2000 psnr_hvs_m vif fsim iw_ssim haarpsi gmsd nlpd flip cvvdp lpips "
    "dists fid_256 kid"
)
FIGURE = (
    "codec label dataset metric method ci_low ci_high overlap overlap_low overlap_high n_points "
    "source anchor n_anchor_points anchor_source anchor_origin averaging "
    "n_wins n_losses monotonic warnings"
)
CURVE = (
    "dataset codec title year kind n_points bpp_low bpp_high psnr_rgb_low psnr_rgb_high ms_ssim "
    "scored rate aggregation source origin"
)
SEGMENT = "dataset curve rate_parameter rate_value segment ideal_bpp percent total_bpp"

KEYS = {
    "run -c jpeg:quality=20,40,60,80 -c null -c qarv:weights=random-tiny,lambda=16 -o {out}":
        f"dataset codec setting n_measured n_images bpp {SCORES} encode_s decode_s exact flag "
        "scored",
    "plan -c jpeg:quality=50 -o {out}": "jobs makespan_s codecs",
    "bdrate -a vtm18 {out}": f"{FIGURE} bd_rate_percent",
    "bdrate -a webp -d sample --bd-psnr {out}": f"{FIGURE} bd_psnr_db",
    "bdrate -a webp -d sample --per-image {out}":
        "codec label dataset source image bd_rate_percent",
    "bdrate -a webp -d sample --sensitivity {out}":
        "codec label dataset source metric anchor method averaging range bd_rate_percent",
    "board -a webp -d sample {out}":
        "rank codec label dataset source metric method anchor anchor_origin bd_rate_percent ci_low "
        "ci_high overlap n_points warnings year kind trained_for parameters "
        "encoder_macs_per_pixel decoder_macs_per_pixel decode_s decode_on scored rate aggregation "
        "repository origin citations",
    "match -c jpeg2000 -c jpeg --bpp 0.5 -o {out}":
        "codec label dataset target value reached bpp psnr_rgb ms_ssim gain_db rate_percent n_won "
        "n_met n_images n_encodes",
    "match -c jpeg -c jpeg2000 --psnr 30 -o {out}":
        "codec label dataset target value reached bpp psnr_rgb ms_ssim gain_db rate_percent n_won "
        "n_met n_images n_encodes",
    "match -c jpeg --bpp 0.5 --per-image -o {out}":
        "codec curve dataset image target value reached spec n_bytes bpp psnr_rgb ms_ssim "
        "n_encodes met bitstream_sha256 fingerprint error weights",
    "timing -c jpeg -c qarv:weights=random-tiny -d {tiny} --busy --repeats 1 -o {out}":
        "codec label spec rate fingerprint dataset n_images n_repeats encode_s encode_s_low "
        "encode_s_high decode_s decode_s_low decode_s_high stages device on_gpu on threads "
        "peak_memory_bytes peak_gpu_bytes peak_bytes others_cores machine created weights_kind "
        "flag",
    "complexity -c qarv:weights=random-tiny":
        "codec weights n_models ladder_parameters parameters encoder_parameters "
        "decoder_parameters encoder_macs_per_pixel decoder_macs_per_pixel "
        "extra_parameters_percent extra_macs_percent",
    "latents -c qarv:weights=random-tiny,lambda=16 -d {tiny} -o {out}": f"{SEGMENT} bpp",
    "consistency -c qarv:weights=random-tiny,lambda=16 -e 2-threads -d {tiny}":
        "codec encoded_in decoded_in files failed first_latent symbols_differ tables_differ drift "
        "image_levels reasons",
    "audit {out}":
        "codec dataset curve rate bpp header_bytes header_percent unaccounted_bytes coded_bpp "
        "ideal_bpp overhead_percent n_pixels not_in_file problems flag",
    "audit --segments {out}": f"{SEGMENT} coded_bpp overhead_percent",
    "verify {damaged}": "kind what used_by reason",
    "repair {broken}": "table n_saved complete",
    "merge {none}/merged {damaged}": "kind part what reason",
    "variable-rate-penalty -c qvrf-cheng2020-attn --fixed cheng2020-attn-retrained {none}":
        f"{FIGURE} bd_rate_percent fixed mean_of_intervals_percent intervals",
    "encode {image} -c jpeg2000 --bpp 0.5 -o {none}/a.j2k":
        "file spec n_bytes bpp psnr_rgb n_encodes",
    "anchor verify": "check ok detail",
    "datasets verify sample": "image width height sha256",
    "check null": "check status reason",
    "curves verify":
        CURVE,
    "codecs list": "codec family title settings available reason",
    "datasets list": "dataset n_images about available folder",
    "curves list":
        CURVE,
    "curves show qarv -d kodak": f"{CURVE} licence citations complexity caveats points",
    "metrics list":
        "metric title unit better worst best ms_per_megapixel source reason",
    "doctor": "machine packages codecs colour_ceilings",
    "reproduce qvrf {none} -o {none}/paper": "paper url items",
    "weights list": "name codec available sha256 source terms",
    "qvrf fit -c qvrf-bmshj2018-hyperprior:weights=random-tiny": "codec slope intercept r2",
    "qarv subsets {image} -c qarv:weights=random-tiny,lambda=16 -o {none}/latents":
        "spec kept ideal_bpp psnr_rgb",
}  # fmt: skip
"""Command -> keys of its rows, or of the object that it prints."""


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    from rdbench.datasets import load_dataset

    folder = tmp_path_factory.mktemp("json")
    for name in ("out", "damaged"):
        words = ("run", "-c", "jpeg:quality=50", "-c", "webp:quality=20,40,60,80", "-o")
        assert CliRunner().invoke(app, [*words, str(folder / name)]).exit_code == 0
    database = shutil.copytree(folder / "damaged", folder / "broken") / "records.sqlite"
    database.write_bytes(database.read_bytes()[:-4096])
    with Store(folder / "damaged") as store:
        store.bitstream_path(next(iter(store.records())).bitstream_sha256).unlink()
    (folder / "none").mkdir()
    (folder / "tiny").mkdir()
    write_image(np.zeros((64, 64, 3), np.uint8), folder / "tiny" / "black.png")
    names = ("out", "damaged", "broken", "none", "tiny")
    return {name: folder / name for name in names} | {"image": load_dataset("sample").files[0].path}


@pytest.mark.parametrize("command", KEYS)
def test_keys(command, places, monkeypatch):
    monkeypatch.setattr(drawing, "draw", lambda found, out: [])
    monkeypatch.setattr(anchor_command, "verify_anchor", lambda codec: [Check("version", True, "")])
    words = [word.format(**places) for word in command.split()]
    result = CliRunner().invoke(app, [*words, "--json"])
    found = json.loads(result.stdout)
    assert found, result.output
    for row in found if isinstance(found, list) else [found]:
        assert set(row) == set(KEYS[command].split())
        assert all(key.isidentifier() and key == key.lower() for key in row)


LISTS = {f"list {noun}" for noun in ("codecs", "datasets", "curves", "metrics")}
"""Other spellings of `NOUN list`."""


def test_every_command_with_json_is_above():
    def commands(group, path=()):
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                yield from commands(command, (*path, name))
            elif any("--json" in param.opts for param in command.params):
                yield " ".join((*path, name))

    found = set(commands(typer.main.get_command(app)))
    assert {c for c in found if not any(line.startswith(c) for line in KEYS)} - LISTS == {"train"}
    # `train --validate` prints the rows of `run`.


def tables():
    """Name -> columns of every table, each once."""
    seen = set()
    for package in (rdbench, rdbench_codecs):
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if info.name.endswith(("__main__", "qarv.kernels")):  # Triton is for GPUs
                continue
            for name, value in vars(importlib.import_module(info.name)).items():
                is_table = isinstance(value, tuple) and value and not name.startswith("_")
                if is_table and id(value) not in seen and isinstance(value[0], Column):
                    seen.add(id(value))
                    yield f"{info.name}.{name}", value


TABLES = dict(tables())
PARTS = {"coded_bpp", "ideal_bpp"}
"""Rates of parts of a file, which have more digits."""


@pytest.mark.parametrize("name", TABLES)
def test_headings_of_a_table_are_unique(name):
    headings = [column.heading for column in TABLES[name]]
    assert len(set(headings)) == len(headings)


@pytest.mark.parametrize("name", TABLES)
def test_rates_have_three_digits_and_decibels_two(name):
    digits = {"bpp": 3, "dB": 2}
    for column in TABLES[name]:
        if column.unit in digits and not column.template and column.key not in PARTS:
            assert column.digits == digits[column.unit], column
            text = column.text({column.key: 1 / 3})
            assert text.removeprefix("+") == {"bpp": "0.333", "dB": "0.33"}[column.unit]
