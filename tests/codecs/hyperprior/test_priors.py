"""Densities and coder tables of the latents."""

import math

import numpy as np
import pytest
import torch
from scipy.special import expit, ndtr

from rdbench_codecs.hyperprior.priors import (
    SCALES,
    EntropyBottleneck,
    gaussian_likelihood,
    gaussian_tables,
    ideal_bits,
)


def lively_prior(channels: int = 4) -> EntropyBottleneck:
    torch.manual_seed(0)
    prior = EntropyBottleneck(channels)
    for name, parameter in prior.named_parameters():
        if name.startswith(("_matrix", "_bias", "_factor")):
            parameter.data += 0.3 * torch.randn_like(parameter)
    return prior.requires_grad_(False)


def cumulative(prior: EntropyBottleneck, channel: int, x: float) -> float:
    """The network of one channel in numpy, layer by layer (Balle et al. 2018, appendix 6.1)."""
    value = np.array([[x]])
    parameters = {name: p.detach().numpy()[channel] for name, p in prior.named_parameters()}
    for i in range(5):
        value = np.log1p(np.exp(parameters[f"_matrix{i}"])) @ value + parameters[f"_bias{i}"]
        if i < 4:
            value = value + np.tanh(parameters[f"_factor{i}"]) * np.tanh(value)
    return float(expit(value[0, 0]))


def test_factorized_likelihood_is_a_difference_of_cumulatives() -> None:
    prior = lively_prior()
    z = torch.randn(1, 4, 2, 3)
    likelihood = prior.likelihood(z)
    for index in np.ndindex(1, 4, 2, 3):
        x = float(z[index])
        mass = cumulative(prior, index[1], x + 0.5) - cumulative(prior, index[1], x - 0.5)
        assert float(likelihood[index]) == pytest.approx(mass, rel=1e-3, abs=1e-6)


def test_factorized_tables_cost_what_the_density_says() -> None:
    prior = lively_prior()
    prior.quantiles.data += 0.37
    symbols = np.arange(-6, 7, dtype=np.int32)[None].repeat(4, 0)
    channels = np.arange(4)[:, None].repeat(13, 1)
    z = torch.from_numpy(symbols) + prior.medians[:, :, 0]
    bits = ideal_bits(prior.likelihood(z[None, :, :, None]))[0, :, :, 0]
    likely = bits < 18
    assert likely.sum() > 20
    np.testing.assert_allclose(
        prior.tables().bits(symbols, channels)[likely], bits[likely], atol=0.02
    )


def test_quantile_loss_is_zero_at_the_quantiles() -> None:
    prior = EntropyBottleneck(3)
    optimizer = torch.optim.Adam([prior.quantiles], lr=0.3)
    for step in range(2000):
        if step == 1200:
            optimizer.param_groups[0]["lr"] = 0.01
        optimizer.zero_grad()
        prior.quantile_loss().backward()
        optimizer.step()
    below, median, above = prior.quantiles.detach().numpy()[0, 0]
    assert cumulative(prior, 0, median) == pytest.approx(0.5, abs=0.01)
    assert math.log(cumulative(prior, 0, below)) == pytest.approx(math.log(5e-10), abs=0.3)
    assert below < median < above


def test_gaussian_likelihood_is_the_mass_and_has_floors() -> None:
    residual = torch.tensor([0.0, 1.0, -3.0, 50.0, 0.0])
    scale = torch.tensor([1.0, 2.0, 0.7, 1.0, 0.001])
    expected = [
        ndtr((k + 0.5) / s) - ndtr((k - 0.5) / s)
        for k, s in zip(residual.tolist(), [1.0, 2.0, 0.7, 1.0, 0.11], strict=True)
    ]
    expected[3] = 1e-9
    np.testing.assert_allclose(gaussian_likelihood(residual, scale).numpy(), expected, rtol=1e-4)


def tables_of(scales):
    tables = gaussian_tables()
    return tables.indexes(tables.positions(scales))


def test_every_scale_gets_the_nearest_table() -> None:
    rng = np.random.default_rng(0)
    scales = np.exp(rng.uniform(np.log(0.05), np.log(400), 2000)).astype(np.float32)
    distance = np.abs(np.log(scales[:, None] / SCALES[None]))
    np.testing.assert_array_equal(tables_of(scales), distance.argmin(1))
    assert len(gaussian_tables()) == len(SCALES) == 64


@pytest.mark.parametrize("scale", [0.05, 0.11, 0.5, 3.3, 40.0, 200.0])
def test_gaussian_tables_cost_what_the_density_says(scale: float) -> None:
    """Within 0.1 % where symbols are spread as their scale says."""
    rng = np.random.default_rng(1)
    symbols = np.rint(rng.normal(0, scale, 20000)).astype(np.int32)
    scales = torch.full((20000,), scale)
    ideal = ideal_bits(gaussian_likelihood(torch.from_numpy(symbols), scales)).sum()
    coded = gaussian_tables().bits(symbols, tables_of(scales.numpy())).sum()
    assert coded == pytest.approx(ideal, rel=1e-3, abs=1)


def test_symbols_far_from_their_scale_cost_no_more_than_the_floor() -> None:
    symbols = np.arange(-16, 17, dtype=np.int32)
    tables = np.zeros(33, np.uint8)
    ideal = ideal_bits(gaussian_likelihood(torch.from_numpy(symbols), torch.full((33,), 0.11)))
    assert (gaussian_tables().bits(symbols, tables) <= ideal + 0.01).all()
