"""PSNR against whole numbers and sewar."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sewar.full_ref import psnr

from rdbench.metrics.psnr import mse_rgb, psnr_rgb

IMAGES = hnp.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3)))


@given(IMAGES, st.integers(0, 2**32 - 1))
def test_8_bit_error_is_exact(image, seed):
    decoded = np.random.default_rng(seed).integers(0, 256, image.shape, np.uint8)
    squares = int(((image.astype(np.int64) - decoded) ** 2).sum())
    assert mse_rgb(image, decoded) == squares / image.size


def test_8_bit_error_does_not_overflow():
    white, black = np.full((3000, 2000, 3), 255, np.uint8), np.zeros((3000, 2000, 3), np.uint8)
    assert mse_rgb(white, black) == 255**2
    assert psnr_rgb(white, black) == 0


@given(IMAGES, st.floats(0.01, 0.3), st.integers(0, 2**32 - 1))
def test_float_error_is_not_rounded(image, noise, seed):
    rng = np.random.default_rng(seed)
    decoded = np.clip(image / 255 + rng.normal(0, noise, image.shape), 0, 1).astype(np.float32)
    error = image / 255.0 - decoded.astype(np.float64)
    if not error.any():
        return
    expected = psnr(image / 255.0, decoded.astype(np.float64), MAX=1)
    assert psnr_rgb(image, decoded) == pytest.approx(expected, abs=1e-3)


def test_known_value():
    image = np.full((4, 4, 3), 100, np.uint8)
    assert psnr_rgb(image, image + np.uint8(1)) == pytest.approx(48.1308036, abs=1e-7)


def test_error_of_all_channels_together_not_mean_of_three_psnr():
    image = np.zeros((2, 2, 3), np.uint8)
    decoded = image.copy()
    decoded[..., 0] = 30
    assert mse_rgb(image, decoded) == 300


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_lossless_has_none(dtype):
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    decoded = image if dtype == np.uint8 else image.astype(np.float32) / np.float32(255)
    assert psnr_rgb(image, decoded) is None
