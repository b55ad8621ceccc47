"""Qualities in dB and the two ways to average them over images.

A quality in dB is ``-10 log10(error)``: for PSNR the error is MSE / peak^2, for MS-SSIM it is
1 - MS-SSIM. The mean over images is taken before or after the logarithm; by Jensen's inequality
the mean of the dBs is never the smaller of the two.
"""

from collections.abc import Iterable
from statistics import fmean
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

Averaging = Literal["mean_of_db", "db_of_mean"]
"""``mean_of_db``: mean of the images' dBs. ``db_of_mean``: dB of the images' mean error, which
is the PSNR of the mean MSE, and ``-10 log10(1 - mean MS-SSIM)``."""

AVERAGINGS: tuple[Averaging, ...] = get_args(Averaging)

FloatArray = npt.NDArray[np.float64]


def error_to_db(error: npt.ArrayLike) -> FloatArray:
    """``-10 log10(error)``; infinite where the error is 0."""
    with np.errstate(divide="ignore"):
        return np.asarray(-10 * np.log10(np.asarray(error, np.float64)))


def db_to_error(db: npt.ArrayLike) -> FloatArray:
    """Inverse of ``error_to_db``."""
    return np.asarray(10 ** (-np.asarray(db, np.float64) / 10))


def mean_of_all(values: Iterable[float | None]) -> float | None:
    """Mean over a complete set; None where a value is missing, or there are none."""
    every = list(values)
    known = [value for value in every if value is not None]
    return fmean(known) if known and len(known) == len(every) else None


def mean_db(db: FloatArray, averaging: Averaging, weights: FloatArray | None = None) -> FloatArray:
    """Mean over images of qualities in dB.

    Args:
        db: (n_points, n_images).
        averaging: before or after the logarithm.
        weights: (n_resamples, n_images), each row with sum 1; or None for equal weights.

    Returns:
        (n_points,), or (n_resamples, n_points) with weights.
    """
    values = db if averaging == "mean_of_db" else db_to_error(db)
    mean = values.mean(axis=-1) if weights is None else weights @ values.T
    return mean if averaging == "mean_of_db" else error_to_db(mean)
