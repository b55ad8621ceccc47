"""MS-SSIM against pytorch-msssim, which works with other filters and other arithmetic."""

import math

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_msssim import ms_ssim as reference
from pytorch_msssim.ssim import _fspecial_gauss_1d
from sample import photograph

from rdbench.metrics.ms_ssim import SMALLEST_SIDE, ms_ssim
from rdbench.types import Image, Reconstruction

torch.set_num_threads(1)


def oracle(image: Image, reconstruction: Reconstruction, dtype: torch.dtype) -> float:
    """pytorch-msssim on samples in [0, 255], in single or double precision."""
    scale = 1 if reconstruction.dtype == np.uint8 else 255
    x, y = (
        torch.from_numpy(np.asarray(a)).to(dtype).permute(2, 0, 1)[None].contiguous() * f
        for a, f in ((image, 1), (reconstruction, scale))
    )
    return float(reference(x, y, data_range=255))


def make_image(kind: str, height: int, width: int, rng: np.random.Generator) -> Image:
    """Images of very different statistics."""
    if kind == "noise":
        return rng.integers(0, 256, (height, width, 3), np.uint8)
    if kind == "flat":
        return np.full((height, width, 3), rng.integers(0, 256, 3), np.uint8)
    ramp = np.add.outer(np.arange(height), np.arange(width))[..., None] * rng.uniform(0.1, 0.6, 3)
    if kind == "ramp":
        return (ramp % 256).astype(np.uint8)
    waves = 128 + 90 * np.sin(ramp / 9) + rng.normal(0, 9, ramp.shape)
    return np.clip(waves, 0, 255).astype(np.uint8)


def distorted(image: Image, by: str, rng: np.random.Generator) -> Image:
    """The image after damage of one sort."""
    levels = image.astype(np.float64)
    if by == "noise":
        levels += rng.normal(0, rng.uniform(0.5, 40), levels.shape)
    elif by == "shift":
        levels += rng.uniform(-60, 60)
    elif by == "negative":
        levels = 255 - levels
    elif by == "blocks":
        levels = np.repeat(np.repeat(levels[::8, ::8], 8, 0), 8, 1)[: len(image), : image.shape[1]]
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


@settings(max_examples=10)
@given(
    height=st.integers(161, 200),
    width=st.integers(161, 200),
    kind=st.sampled_from(["noise", "ramp", "waves"]),
    by=st.sampled_from(["noise", "blocks"]),
    as_float=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_equals_pytorch_msssim(height, width, kind, by, as_float, seed):
    rng = np.random.default_rng(seed)
    image = make_image(kind, height, width, rng)
    decoded: Reconstruction = distorted(image, by, rng)
    if as_float:
        noise = rng.uniform(-0.5, 0.5, decoded.shape)
        decoded = np.clip((decoded + noise) / 255, 0, 1).astype(np.float32)
    value = ms_ssim(image, decoded)
    assert value is not None
    assert value == pytest.approx(oracle(image, decoded, torch.float64), abs=1e-5)
    assert value == pytest.approx(oracle(image, decoded, torch.float32), abs=2e-5)


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea"])
@pytest.mark.parametrize("quality", [5, 85])
def test_equals_pytorch_msssim_on_jpeg(name, quality):
    image = photograph(name)
    _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])
    value = ms_ssim(image, decoded)
    assert value == pytest.approx(oracle(image, decoded, torch.float32), abs=1e-5)
    assert value == pytest.approx(oracle(image, decoded, torch.float64), abs=1e-6)


@pytest.mark.parametrize("kind", ["flat", "ramp", "waves"])
@pytest.mark.parametrize("by", ["shift", "negative"])
def test_extremes_stay_near_the_reference_in_double_precision(kind, by):
    """Flat and anticorrelated areas, where the reference in single precision is 1e-4 off."""
    rng = np.random.default_rng(3)
    image = make_image(kind, 171, 190, rng)
    decoded = distorted(image, by, rng)
    value = ms_ssim(image, decoded)
    assert value is not None
    assert 0 <= value <= 1
    assert value == pytest.approx(oracle(image, decoded, torch.float64), abs=1e-4)


@pytest.mark.parametrize(("height", "width"), [(512, 768), (333, 1001), (161, 640)])
def test_equals_pytorch_msssim_on_larger_images(height, width):
    rng = np.random.default_rng(height)
    image = make_image("waves", height, width, rng)
    decoded = distorted(image, "blocks", rng)
    assert ms_ssim(image, decoded) == pytest.approx(oracle(image, decoded, torch.float64), abs=1e-5)


def test_threads_do_not_change_the_value():
    rng = np.random.default_rng(4)
    image = make_image("waves", 180, 200, rng)
    decoded = distorted(image, "noise", rng)
    before = cv2.getNumThreads()
    try:
        values = set()
        for threads in (1, 2, 3):
            cv2.setNumThreads(threads)
            values.add(ms_ssim(image, decoded))
    finally:
        cv2.setNumThreads(before)
    assert len(values) == 1


def test_window_is_that_of_pytorch_msssim():
    from rdbench.metrics._ms_ssim_kernel import GAUSSIAN

    np.testing.assert_array_equal(GAUSSIAN, _fspecial_gauss_1d(11, 1.5).numpy().ravel())


def test_channels_are_averaged_after_the_product_over_scales():
    rng = np.random.default_rng(5)
    image = make_image("waves", 200, 200, rng)
    decoded = image.copy()
    decoded[..., 1] = distorted(image, "noise", rng)[..., 1]
    value = ms_ssim(image, decoded)
    assert value == pytest.approx(oracle(image, decoded, torch.float64), abs=1e-5)
    assert value is not None
    assert 2 / 3 < value < 1


def test_a_scale_that_is_anticorrelated_makes_it_zero():
    rng = np.random.default_rng(6)
    coarse = 128 + 60 * np.sin(np.add.outer(np.arange(200), np.arange(200)) / 25)[..., None]
    detail = rng.normal(0, 20, (200, 200, 3))
    image, decoded = (
        np.clip(np.rint(coarse + sign * detail), 0, 255).astype(np.uint8) for sign in (1, -1)
    )
    assert oracle(image, decoded, torch.float64) == 0
    assert ms_ssim(image, decoded) == 0


@pytest.mark.parametrize("kind", ["noise", "flat", "ramp", "waves"])
def test_equal_images_give_exactly_one(kind):
    image = make_image(kind, 170, 190, np.random.default_rng(1))
    assert ms_ssim(image, image.copy()) == 1.0


def test_nearly_equal_images_keep_their_digits():
    image = make_image("waves", 200, 200, np.random.default_rng(2))
    decoded = image.copy()
    decoded[100, 100, 0] ^= 1
    value = ms_ssim(image, decoded)
    assert value is not None
    assert 0 < 1 - value < 1e-6


@pytest.mark.parametrize(("height", "width"), [(160, 400), (400, 160), (1, 1)])
def test_small_images_have_none(height, width):
    image = np.zeros((height, width, 3), np.uint8)
    assert ms_ssim(image, image) is None


def test_smallest_image_has_one():
    image = np.zeros((SMALLEST_SIDE, SMALLEST_SIDE, 3), np.uint8)
    value = ms_ssim(image, image + np.uint8(255))
    assert value is not None
    assert math.isfinite(value)
