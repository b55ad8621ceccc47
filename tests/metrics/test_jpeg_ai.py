"""The metrics of the JPEG AI set against other implementations, and what all metrics promise.

FSIM and IW-SSIM of piq 0.8.0 (which needs torchvision, so these tests do not run it) on images of
``sample`` whose green channel was quantized to 8 levels; VIF and PSNR-HVS-M of sewar and psnr_hvsm
as these tests run them; NLPD by plain convolutions.
"""

import contextlib
import io

import numpy as np
import pytest
from scipy.signal import convolve2d

from rdbench.datasets import load_dataset
from rdbench.errors import Unavailable
from rdbench.images import read_image
from rdbench.metrics import METRICS, available
from rdbench.metrics.fsim import fsim
from rdbench.metrics.iw_ssim import iw_ssim
from rdbench.metrics.luma import luma
from rdbench.metrics.nlpd import _NORMALIZATION, nlpd
from rdbench.metrics.psnr_hvs import psnr_hvs_m
from rdbench.metrics.vif import vif

LUMA = ("psnr_hvs_m", "vif", "fsim", "iw_ssim", "nlpd")


def grey(name, height, width):
    """(original, coarsely quantized), green channel three times."""
    (image,) = load_dataset("sample").subset([name]).files
    plane = read_image(image.path)[:height, :width, 1:2]
    return tuple(np.repeat(p, 3, 2) for p in (plane, (plane // 32 * 32 + 16).astype(np.uint8)))


PAIRS = {"chelsea.png": (300, 451), "astronaut.png": (512, 512)}


@pytest.fixture(params=PAIRS)
def pair(request):
    return request.param, *grey(request.param, *PAIRS[request.param])


def test_fsim_is_that_of_piq(pair):
    name, image, coarse = pair
    expected = {"chelsea.png": 0.7873307523433384, "astronaut.png": 0.9237261401124905}
    assert fsim(image, coarse) == pytest.approx(expected[name], abs=2e-6)


def test_iw_ssim_is_that_of_piq(pair):
    name, image, coarse = pair
    expected = {"chelsea.png": 0.9022469242144846, "astronaut.png": 0.9484769858240264}
    assert iw_ssim(image, coarse) == pytest.approx(expected[name], abs=5e-6)


def test_vif_is_that_of_sewar(pair):
    from sewar.full_ref import vifp

    _, image, coarse = pair
    assert vif(image, coarse) == pytest.approx(vifp(image[..., 0], coarse[..., 0]), abs=1e-6)


def test_psnr_hvs_m_is_that_of_psnr_hvsm(pair):
    with contextlib.redirect_stdout(io.StringIO()):
        from psnr_hvsm import psnr_hvs_hvsm_np

    _, image, coarse = pair
    whole = [p[: p.shape[0] // 8 * 8, : p.shape[1] // 8 * 8, 0] / 255 for p in (image, coarse)]
    with np.errstate(invalid="ignore"):
        _, expected = psnr_hvs_hvsm_np(*whole)
    assert psnr_hvs_m(image, coarse) == pytest.approx(float(expected), abs=1e-5)


def test_nlpd_is_that_of_plain_convolutions(pair):
    _, image, coarse = pair
    row = np.array([0.05, 0.25, 0.4, 0.25, 0.05])

    def convolve(plane, kernel):
        edge = len(kernel) // 2
        return convolve2d(np.pad(plane, edge, mode="reflect"), kernel, mode="valid")

    def pyramid(plane):
        for level, (sigma, (above, left, right, below)) in enumerate(_NORMALIZATION):
            band = plane
            if level < 5:
                plane = convolve(plane, np.outer(row, row))[::2, ::2]
                spread = np.zeros_like(band)
                spread[::2, ::2] = 4 * plane
                band = band - convolve(spread, np.outer(row, row))
            flipped = np.array([[0, below, 0], [right, 0, left], [0, above, 0]])
            yield band / (sigma + convolve(np.abs(band), flipped))

    pairs = zip(*(pyramid(p[..., 0] / 255) for p in (image, coarse)), strict=True)
    expected = np.mean([np.sqrt(np.mean((a - b) ** 2)) for a, b in pairs])
    assert nlpd(image, coarse) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", LUMA)
def test_equal_images(name):
    image, _ = grey("chelsea.png", 200, 210)
    best = {"psnr_hvs_m": None, "nlpd": 0.0}.get(name, 1.0)
    assert METRICS[name].function(image, image.copy()) == (
        None if best is None else pytest.approx(best, abs=1e-9)
    )


@pytest.mark.parametrize("name", LUMA)
def test_more_noise_is_worse(name):
    image, _ = grey("astronaut.png", 256, 256)
    noise = np.random.default_rng(0).normal(0, 1, image.shape)
    scores = [
        METRICS[name].function(image, np.clip(image + s * noise, 0, 255).astype(np.uint8))
        for s in (2, 8, 32)
    ]
    if METRICS[name].better == "higher":
        scores = scores[::-1]
    assert scores == sorted(scores)
    assert len(set(scores)) == 3


@pytest.mark.parametrize("name", LUMA)
def test_float_and_8_bit_agree(name):
    image, coarse = grey("chelsea.png", 200, 210)
    function = METRICS[name].function
    as_float = (coarse / 255).astype(np.float32)
    assert function(image, as_float) == pytest.approx(function(image, coarse), rel=1e-5)


@pytest.mark.parametrize(("name", "side"), [("vif", 40), ("iw_ssim", 160), ("nlpd", 63)])
def test_too_small_is_none(name, side):
    image, coarse = grey("chelsea.png", side, 200)
    assert METRICS[name].function(image, coarse) is None


@pytest.mark.parametrize("name", LUMA)
@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 300, 3), (171, 168, 3)])
def test_flat_images_give_a_number_or_none(name, shape):
    value = METRICS[name].function(np.full(shape, 7, np.uint8), np.full(shape, 9, np.uint8))
    assert value is None or np.isfinite(value)


def test_luma_weighs_channels():
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]], np.uint8)
    expected = [[54.213, 182.376, 18.411, 255.0]]
    np.testing.assert_allclose(luma(colours), expected)
    np.testing.assert_allclose(luma((colours / 255).astype(np.float32)), expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["lpips", "dists"])
def test_missing_networks_say_how_to_get_them(name, monkeypatch):
    monkeypatch.setattr("rdbench.metrics.perceptual.find_spec", lambda library: None)
    assert name not in available()
    with pytest.raises(Unavailable, match=r"pip install 'rdbench\[perceptual\]'"):
        METRICS[name].function(*grey("chelsea.png", 64, 64))


def test_missing_weights_are_named(tmp_path, monkeypatch):
    import torch

    monkeypatch.setattr("rdbench.metrics.perceptual.find_spec", lambda library: object())
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(Unavailable, match=r"alexnet-owt-7be5be79\.pth in .*checkpoints"):
        METRICS["lpips"].check()
