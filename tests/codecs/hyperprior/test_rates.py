"""QVRF's regulators and the gains of the other methods."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rdbench_codecs.hyperprior.loading import build
from rdbench_codecs.hyperprior.networks import FIXED_RATE
from rdbench_codecs.hyperprior.qvrf import LAMBDAS, fit_regulators
from rdbench_codecs.hyperprior.rates import POINTS


def test_start_regulators_are_the_published_ones() -> None:
    published = [1.0000, 1.3944, 1.9293, 2.6874, 3.7268, 5.1801, 7.1957, 10.0000]
    gain = build("mbt2018-mean", "qvrf", 4, 6).Gain
    assert isinstance(gain, torch.Tensor)
    np.testing.assert_allclose(gain.detach().numpy(), published, atol=6e-5)


@given(
    slope=st.floats(0.5, 2),
    intercept=st.floats(-0.4, 0.4),
    lambda_=st.floats(LAMBDAS[0], LAMBDAS[7]),
)
def test_fit_finds_the_line_and_inverts_it(slope: float, intercept: float, lambda_: float) -> None:
    regulators = [(np.sqrt(value / LAMBDAS[0]) - intercept) / slope for value in LAMBDAS[:8]]
    fit = fit_regulators(LAMBDAS[:8], regulators)
    assert (fit.slope, fit.intercept) == pytest.approx((slope, intercept), abs=1e-6)
    assert fit.r2 == pytest.approx(1)
    assert fit.slope * fit.regulator(lambda_) + fit.intercept == pytest.approx(
        np.sqrt(lambda_ / 0.0018)
    )


def test_fit_says_how_good_it_is() -> None:
    regulators = [1.0, 1.2, 2.1, 2.9, 4.4, 6.0, 8.3, 11.9]
    fit = fit_regulators(LAMBDAS[:8], regulators)
    roots = np.sqrt(np.array(LAMBDAS[:8]) / LAMBDAS[0])
    assert fit.r2 == pytest.approx(np.corrcoef(regulators, roots)[0, 1] ** 2)
    assert fit.r2 < 1
    assert (fit.lambdas, fit.regulators) == (LAMBDAS[:8], tuple(regulators))


@pytest.mark.parametrize("method", ["theis2017", "cui2021"])
def test_gains_between_levels_are_geometric(method: str) -> None:
    network = build("mbt2018-mean", method, 4, 6)
    for name, parameter in network.named_parameters():
        if "gain" in name or name == "scales":
            parameter.data.uniform_(-3, 3)
    names = ["scales"] * 2 if method == "theis2017" else ["y_gain", "y_inverse_gain"]
    rows = getattr(network, names[0]).detach().abs()
    for level, row in ((0.0, rows[0]), (7.0, rows[7]), (2.5, (rows[2] * rows[3]).sqrt())):
        point = POINTS[method](network, level)
        assert isinstance(point.y_gain, torch.Tensor)
        torch.testing.assert_close(point.y_gain.flatten(), row)
    inverse = POINTS[method](network, 4.0).y_inverse_gain
    assert isinstance(inverse, torch.Tensor)
    expected = 1 / rows[4] if method == "theis2017" else network.y_inverse_gain[4].abs()  # type: ignore[index]
    torch.testing.assert_close(inverse.flatten(), expected)


def test_start_gains_undo_each_other() -> None:
    point = POINTS["cui2021"](build("mbt2018-mean", "cui2021", 4, 6), 5.5)
    torch.testing.assert_close(point.y_gain * point.y_inverse_gain, torch.ones(6, 1, 1))
    assert point.regulator == 1


def test_other_points() -> None:
    network = build("mbt2018-mean", "qvrf", 4, 6)
    assert POINTS["fixed"](network, 1.0) == FIXED_RATE
    assert POINTS["qvrf"](network, 2.5).regulator == 2.5
    assert POINTS["song2021"](network, 7.0).quality == 1
