"""What every metric promises: range, direction, None, and how to get what is missing."""

import math

import numpy as np
import pytest
from sample import photograph

from rdbench.errors import Unavailable
from rdbench.metrics import METRICS, available
from rdbench.metrics import metric as metric_module

EQUAL = {"vmaf": 97.43, "vmaf_neg": 97.43}
"""Scores of equal images that are not the best of the range."""
ABOUT_ONE_IMAGE = {"cambi"}
BY_PROGRAM = {"cambi", "vmaf", "vmaf_neg", "xpsnr", "butteraugli", "butteraugli_max"}
"""They see 8 bits."""


@pytest.mark.parametrize("name", METRICS)
def test_equal_images_are_the_best(name, compute):
    image = photograph("chelsea")[:200, :230]
    value = compute(name, image, image.copy())
    if name in ABOUT_ONE_IMAGE:
        assert METRICS[name].best <= value <= METRICS[name].worst
    elif math.isinf(METRICS[name].best):
        assert value is None
    else:
        assert value == pytest.approx(EQUAL.get(name, METRICS[name].best), abs=0.01)


@pytest.mark.parametrize("name", [name for name in METRICS if name not in ABOUT_ONE_IMAGE])
def test_quality_falls_with_noise(name, compute):
    image = photograph("astronaut")[:256, :256]
    noise = np.random.default_rng(0).normal(0, 1, image.shape)
    scores = np.array(
        [
            compute(name, image, np.clip(image + s * noise, 0, 255).astype(np.uint8))
            for s in (2, 8, 32)
        ]
    )
    metric = METRICS[name]
    assert (np.diff(metric.quality(scores)) < 0).all()
    assert (np.diff([metric.log_quality(score) for score in scores]) < 0).all()
    low, high = sorted((metric.worst, metric.best))
    assert (low <= scores).all()
    assert (scores <= high).all()


@pytest.mark.parametrize("name", METRICS)
def test_float_and_8_bit_agree(name, compute):
    image = photograph("chelsea")[:200, :220]
    coarse = (image // 32 * 32 + 16).astype(np.uint8)
    as_float = (coarse / 255).astype(np.float32)
    assert compute(name, image, as_float) == pytest.approx(compute(name, image, coarse), rel=2e-5)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 300, 3), (171, 168, 3)])
def test_flat_images_give_a_number_or_none(name, shape, compute):
    value = compute(name, np.full(shape, 7, np.uint8), np.full(shape, 9, np.uint8))
    assert value is None or np.isfinite(value)


@pytest.mark.parametrize(
    ("name", "side"),
    [("vif", 40), ("iw_ssim", 160), ("nlpd", 63), ("ssim", 10), ("ms_ssim_y", 160),
     ("ssimulacra2", 7), ("butteraugli", 7), ("vmaf", 16), ("xpsnr", 16), ("haarpsi", 15)],
)  # fmt: skip
def test_too_small_is_none(name, side, compute):
    image = photograph("chelsea")[:side, :250]
    assert compute(name, image, 255 - image) is None


@pytest.mark.parametrize("name", METRICS)
def test_metrics_are_described(name):
    metric = METRICS[name]
    assert metric.name == name
    assert metric.worst != metric.best
    assert metric.source
    assert metric.better == ("higher" if metric.best > metric.worst else "lower")
    assert metric.quality_title.startswith("-") == (metric.better == "lower")


def test_titles_of_axes():
    titles = {name: METRICS[name].quality_title for name in ("psnr_rgb", "vmaf", "flip")}
    assert titles == {
        "psnr_rgb": "PSNR (dB, RGB)",
        "vmaf": "VMAF",
        "flip": "-FLIP (67 pixels per degree)",
    }


def test_one_percent_is_of_the_error():
    for name, score, other in (
        ("psnr_rgb", 30, 30 + 10 * math.log10(1.01)),
        ("ms_ssim", 0.98, 1 - 0.02 / 1.01),
        ("ssimulacra2", 70, 100 - 30 / 1.01),
        ("butteraugli", 2, 2 / 1.01),
    ):
        metric = METRICS[name]
        gain = metric.log_quality(other) - metric.log_quality(score)
        assert gain == pytest.approx(math.log(1.01))
    assert METRICS["flip"].log_quality(0) == math.inf


OPTIONAL = {
    "lpips": "perceptual", "dists": "perceptual", "flip": "metrics", "cvvdp": "metrics",
    "vmaf": "metrics", "vmaf_neg": "metrics", "xpsnr": "metrics", "cambi": "metrics",
    "vif": "metrics", "fsim": "metrics", "iw_ssim": "metrics", "haarpsi": "metrics",
    "gmsd": "metrics",
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIONAL)
def test_missing_libraries_say_how_to_get_them(name, monkeypatch):
    monkeypatch.setattr(metric_module, "find_spec", lambda module: None)
    assert name not in available()
    with pytest.raises(Unavailable, match=rf"pip install 'rdbench\[{OPTIONAL[name]}\]'"):
        METRICS[name].check()


def test_a_missing_program_says_how_to_get_it(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Unavailable, match="apt install libjxl-devtools"):
        METRICS["butteraugli"].function(*[np.zeros((9, 9, 3), np.uint8)] * 2)


def test_missing_weights_are_named(tmp_path, monkeypatch):
    import torch

    monkeypatch.setattr(metric_module, "find_spec", lambda module: object())
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(Unavailable, match=r"alexnet-owt-7be5be79\.pth in .*checkpoints"):
        METRICS["lpips"].check()


def test_a_library_that_does_not_import_is_unavailable():
    message = r"piq cannot be imported \(operator torchvision::nms does not exist\); reinstall it"
    with pytest.raises(Unavailable, match=message), metric_module.importing("piq"):
        raise RuntimeError("operator torchvision::nms does not exist")
