"""The two ways to average a quality."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdbench.decibel import db_to_error, error_to_db, mean_db
from rdbench.metrics import METRICS


def test_psnr_of_the_mean_error():
    psnr = np.array([[30.0, 40.0]])
    mse = 255**2 * np.mean([1e-3, 1e-4])
    assert mean_db(psnr, "db_of_mean")[0] == pytest.approx(10 * math.log10(255**2 / mse))
    assert mean_db(psnr, "mean_of_db")[0] == 35


def test_ms_ssim_both_ways():
    values = np.array([[0.9, 0.99]])
    db = METRICS["ms_ssim"].quality(values)
    assert db[0].tolist() == pytest.approx([10, 20])
    assert mean_db(db, "mean_of_db")[0] == pytest.approx(15)
    assert mean_db(db, "db_of_mean")[0] == pytest.approx(-10 * math.log10(1 - 0.945))


def test_ms_ssim_of_one_is_infinite():
    assert METRICS["ms_ssim"].quality(np.array([1.0]))[0] == math.inf


@given(st.lists(st.floats(10, 60), min_size=1, max_size=9))
def test_mean_of_db_is_never_the_smaller(psnr):
    row = np.array([psnr])
    assert mean_db(row, "mean_of_db")[0] >= mean_db(row, "db_of_mean")[0] - 1e-9


@given(st.floats(-20, 100))
def test_decibels_round_trip(db):
    assert error_to_db(db_to_error(db)) == pytest.approx(db)


@pytest.mark.parametrize("averaging", ["mean_of_db", "db_of_mean"])
def test_weights_are_repetitions(averaging):
    psnr = np.array([[30.0, 35.0, 50.0], [31.0, 36.0, 51.0]])
    weights = np.array([[2, 1, 0], [0, 0, 3]]) / 3
    drawn = np.stack([psnr[:, [0, 0, 1]], psnr[:, [2, 2, 2]]])
    expected = [mean_db(points, averaging) for points in drawn]
    np.testing.assert_allclose(mean_db(psnr, averaging, weights), expected)
