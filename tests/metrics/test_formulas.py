"""Metrics against independent implementations.

VIF, SSIM and PSNR of sewar, PSNR-HVS-M of psnr_hvsm and MS-SSIM of pytorch-msssim as these tests
run them; FSIM and IW-SSIM of piq 0.8.0 in double precision, which an implementation of the
articles reproduced to 2e-6; NLPD by plain convolutions; CIEDE2000 by the table of its authors.
"""

import contextlib
import io

import numpy as np
import pytest
import torch
from pytorch_msssim import ms_ssim as reference_ms_ssim
from scipy.signal import convolve2d
from sewar import full_ref
from sewar.utils import Filter

from rdbench.datasets import load_dataset
from rdbench.images import read_image
from rdbench.metrics.ciede2000 import difference
from rdbench.metrics.colour import linear_rgb, yuv420, yuv444
from rdbench.metrics.luma import luma
from rdbench.metrics.ms_ssim import ms_ssim_y
from rdbench.metrics.nlpd import _NORMALIZATION, nlpd
from rdbench.metrics.psnr import psnr_y
from rdbench.metrics.psnr_hvs import psnr_hvs_m
from rdbench.metrics.ssim import ssim


def grey(name, height, width):
    """(original, coarsely quantized), green channel three times."""
    (image,) = load_dataset("sample").subset([name]).files
    plane = read_image(image.path)[:height, :width, 1:2]
    return tuple(np.repeat(p, 3, 2) for p in (plane, (plane // 32 * 32 + 16).astype(np.uint8)))


PAIRS = {"chelsea.png": (300, 451), "astronaut.png": (512, 512)}


@pytest.fixture(params=PAIRS)
def pair(request):
    return request.param, *grey(request.param, *PAIRS[request.param])


def test_fsim_is_that_of_the_article(pair, compute):
    name, image, coarse = pair
    expected = {"chelsea.png": 0.7873307523433384, "astronaut.png": 0.9237261401124905}
    assert compute("fsim", image, coarse) == pytest.approx(expected[name], abs=2e-6)


def test_iw_ssim_is_that_of_the_article(pair, compute):
    name, image, coarse = pair
    expected = {"chelsea.png": 0.9022469242144846, "astronaut.png": 0.9484769858240264}
    assert compute("iw_ssim", image, coarse) == pytest.approx(expected[name], abs=5e-5)


def test_vif_is_that_of_sewar(pair, compute):
    _, image, coarse = pair
    value = compute("vif", image, coarse)
    assert value == pytest.approx(full_ref.vifp(image[..., 0], coarse[..., 0]), abs=5e-5)


def test_ssim_is_that_of_sewar(pair):
    _, image, coarse = pair
    window = {"fltr": Filter.GAUSSIAN, "sigma": 1.5, "ws": 11}
    expected, _ = full_ref.ssim(image[..., 0], coarse[..., 0], MAX=255, fltr_specs=window)
    assert ssim(image, coarse) == pytest.approx(float(expected), abs=1e-9)


def test_psnr_of_luma_is_that_of_sewar(pair):
    _, image, coarse = pair
    coarse = coarse // np.array([1, 2, 3], np.uint8)
    expected = full_ref.psnr(luma(image), luma(coarse), MAX=255)
    assert psnr_y(image, coarse) == pytest.approx(expected, abs=1e-9)


def test_ms_ssim_of_luma_is_that_of_pytorch_msssim(pair):
    _, image, coarse = pair
    x, y = (torch.from_numpy(luma(p))[None, None] for p in (image, coarse))
    expected = float(reference_ms_ssim(x, y, data_range=255))
    assert ms_ssim_y(image, coarse) == pytest.approx(expected, abs=1e-6)


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


SHARMA = """
50.0000 2.6772 -79.7751 50.0000 0.0000 -82.7485 2.0425
50.0000 3.1571 -77.2803 50.0000 0.0000 -82.7485 2.8615
50.0000 2.8361 -74.0200 50.0000 0.0000 -82.7485 3.4412
50.0000 -1.3802 -84.2814 50.0000 0.0000 -82.7485 1.0000
50.0000 -1.1848 -84.8006 50.0000 0.0000 -82.7485 1.0000
50.0000 -0.9009 -85.5211 50.0000 0.0000 -82.7485 1.0000
50.0000 0.0000 0.0000 50.0000 -1.0000 2.0000 2.3669
50.0000 -1.0000 2.0000 50.0000 0.0000 0.0000 2.3669
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0009 7.1792
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0010 7.1792
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0011 7.2195
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0012 7.2195
50.0000 -0.0010 2.4900 50.0000 0.0009 -2.4900 4.8045
50.0000 -0.0010 2.4900 50.0000 0.0010 -2.4900 4.8045
50.0000 -0.0010 2.4900 50.0000 0.0011 -2.4900 4.7461
50.0000 2.5000 0.0000 50.0000 0.0000 -2.5000 4.3065
50.0000 2.5000 0.0000 73.0000 25.0000 -18.0000 27.1492
50.0000 2.5000 0.0000 61.0000 -5.0000 29.0000 22.8977
50.0000 2.5000 0.0000 56.0000 -27.0000 -3.0000 31.9030
50.0000 2.5000 0.0000 58.0000 24.0000 15.0000 19.4535
50.0000 2.5000 0.0000 50.0000 3.1736 0.5854 1.0000
50.0000 2.5000 0.0000 50.0000 3.2972 0.0000 1.0000
50.0000 2.5000 0.0000 50.0000 1.8634 0.5757 1.0000
50.0000 2.5000 0.0000 50.0000 3.2592 0.3350 1.0000
60.2574 -34.0099 36.2677 60.4626 -34.1751 39.4387 1.2644
63.0109 -31.0961 -5.8663 62.8187 -29.7946 -4.0864 1.2630
61.2901 3.7196 -5.3901 61.4292 2.2480 -4.9620 1.8731
35.0831 -44.1164 3.7933 35.0232 -40.0716 1.5901 1.8645
22.7233 20.0904 -46.6940 23.0331 14.9730 -42.5619 2.0373
36.4612 47.8580 18.3852 36.2715 50.5065 21.2231 1.4146
90.8027 -2.0831 1.4410 91.1528 -1.6435 0.0447 1.4441
90.9257 -0.5406 -0.9208 88.6381 -0.8985 -0.7239 1.5381
6.7747 -0.2908 -2.4247 5.8714 -0.0985 -2.2286 0.6377
2.0776 0.0795 -1.1350 0.9033 -0.0636 -0.5514 0.9082
"""
"""Table 1 of Sharma, Wu, Dalal 2005: two colours in L*a*b*, and their difference."""


def test_ciede2000_is_that_of_its_table():
    table = np.array([line.split() for line in SHARMA.split("\n")[1:-1]], np.float64)
    assert table.shape == (34, 7)
    for first, second in ((0, 3), (3, 0)):
        found = difference(table[:, first : first + 3], table[:, second : second + 3])
        np.testing.assert_allclose(found, table[:, 6], rtol=0, atol=5.1e-5)


def test_colour_of_white_and_grey():
    from rdbench.metrics.ciede2000 import to_lab

    lab = to_lab(np.array([[[255, 255, 255], [119, 119, 119], [0, 0, 0]]], np.uint8))
    np.testing.assert_allclose(lab[0, :, 0], [100, 50.03, 0], atol=0.01)
    np.testing.assert_allclose(lab[..., 1:], 0, atol=1e-9)


def test_linear_light_of_float_and_8_bit_agree():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, 2)
    as_float = (levels / 255).astype(np.float32)
    np.testing.assert_allclose(linear_rgb(as_float), linear_rgb(levels), atol=1e-6)
    assert linear_rgb(levels)[0, 10, 0] == pytest.approx(10 / 255 / 12.92)


def test_yuv_of_primaries():
    """Digital levels of BT.709: table of section 3.4 for limited range, computed for full."""
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]], np.uint8)
    assert [plane[0].tolist() for plane in yuv444(colours)] == [
        [54, 182, 18, 255],
        [99, 30, 255, 128],
        [255, 12, 116, 128],
    ]
    y, cb, cr = yuv420(colours[:, [0]].repeat(3, 0).repeat(3, 1))
    assert (y.shape, cb.shape, cr.shape) == ((3, 3), (2, 2), (2, 2))
    assert [set(plane.ravel().tolist()) for plane in (y, cb, cr)] == [{63}, {102}, {240}]


def test_luma_weighs_channels():
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]], np.uint8)
    expected = [[54.213, 182.376, 18.411, 255.0]]
    np.testing.assert_allclose(luma(colours), expected)
    np.testing.assert_allclose(luma((colours / 255).astype(np.float32)), expected, rtol=1e-6)
