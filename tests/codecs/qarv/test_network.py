"""The network: its published shape, every variant, and the folded form against the plain one."""

import copy
import json
import math
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch.nn import functional

from rdbench.errors import DataError
from rdbench_codecs.qarv import cpu, gpu
from rdbench_codecs.qarv.config import BASE, CONFIGS, QarvConfig, log_spaced_lambdas
from rdbench_codecs.qarv.model import random_network
from rdbench_codecs.qarv.network import (
    DISCRETE_LAMBDAS,
    NeighbourhoodAttention,
    QarvNetwork,
    gaussian_mass,
    gaussian_nats,
)

LAYOUT = Path(__file__).parents[2] / "conformance" / "qarv_base.layout.json"
TINY = CONFIGS["tiny"]
VARIANTS = {
    "published": TINY,
    **{f"block-{name}": replace(TINY, latent_block=name) for name in "AB"},
    **{f"affine-{i}": replace(TINY, affine_position=i) for i in (0, 1, 3, 4)},
    "group": replace(TINY, norm="group"),
    "instance": replace(TINY, norm="instance"),
    "nat": replace(TINY, block="nat"),
    **{name: replace(TINY, rate_control=name) for name in ("cconv", "qsf", "fixed")},
    "two latents": replace(TINY, latents=(1, 0, 1, 0)),
    "five latents": replace(TINY, latents=(1, 1, 1, 2)),
}


def n_parameters(config: QarvConfig) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in QarvNetwork(config).parameters())


def test_names_and_shapes_are_the_published_ones():
    with torch.device("meta"):
        state = QarvNetwork(BASE).state_dict()
    assert {name: list(value.shape) for name, value in state.items()} == json.loads(
        LAYOUT.read_text()
    )


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("base", 93.4),  # Table 1
        ("a2", 29.8),  # Table 3
        ("b2", 31.2),
        ("c2", 31.2),
        ("a3", 32.3),
        ("b3", 34.1),
        ("c3", 34.1),
        ("nat", 103.6),  # Table 4
    ],
)
def test_parameter_counts_of_the_paper(name, millions):
    assert round(n_parameters(CONFIGS[name]) / 1e6, 1) == millions


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS.keys())
def test_every_variant_trains(config):
    torch.manual_seed(0)
    network = random_network(config)
    image = torch.rand(2, 3, 64, 128)
    lambda_ = torch.tensor([16.0, 1000.0])
    output = network(image, lambda_)
    assert output.nats.shape == (2, config.n_latents)
    assert output.output.shape == image.shape
    assert (output.nats > 0).all()
    distortion = functional.mse_loss(output.output, 2 * image - 1)
    (output.nats.sum() / image.numel() + lambda_.mean() * distortion).backward()
    without = [name for name, p in network.named_parameters() if p.grad is None]
    assert without == []
    assert all(p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize("name", [name for name in VARIANTS if name not in ("fixed",)])
def test_lambda_changes_what_the_network_does(name):
    network = random_network(VARIANTS[name])
    if name == "qsf":
        torch.nn.init.normal_(network.log_quality_scale)
    feature = network.start(1, 1)
    low, high = (network.condition(torch.tensor([value])) for value in (16.0, 2048.0))
    _, prior = network.to_prior(0, feature, low)
    _, other = network.to_prior(0, feature, high)
    assert not torch.equal(prior.scale, other.scale)


def test_a_fixed_network_ignores_lambda():
    network = random_network(VARIANTS["fixed"])
    conditions = [network.condition(torch.tensor([value])) for value in (16.0, 2048.0)]
    means = [network.to_prior(0, network.start(1, 1), c)[1].mean for c in conditions]
    assert torch.equal(*means)


def test_discrete_rate_controls_interpolate_in_log_lambda():
    network = random_network(VARIANTS["cconv"])
    exact = network.condition(torch.tensor(DISCRETE_LAMBDAS)).embedding
    torch.testing.assert_close(exact, torch.eye(8), atol=1e-5, rtol=0)
    between = network.condition(torch.tensor([math.sqrt(32 * 64), 1.0, 1e5])).embedding
    expected = torch.zeros(3, 8)
    expected[0, 1:3] = 0.5
    expected[1, 0] = expected[2, 7] = 1
    torch.testing.assert_close(between, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("form", [cpu, gpu])
def test_the_folded_form_computes_what_the_plain_one_does(form: ModuleType) -> None:
    network = random_network(TINY)
    folded = copy.deepcopy(network).requires_grad_(False)
    form.accelerate(folded)
    n_folded = sum(isinstance(m, form.FoldedBlock) for m in folded.modules())
    n_plain = sum(type(m).__name__ == "ConvNextBlock" for m in network.modules())
    assert n_folded == n_plain > 50
    assert not any(type(m).__name__ == "ConvNextBlock" for m in folded.modules())
    image = torch.rand(1, 3, 128, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        outputs = []
        for one in (network, folded):
            condition = one.condition(torch.tensor([300.0]))
            taps = one.analyse(image, condition)
            feature, prior = one.to_prior(0, one.start(2, 1), condition)
            mu = one.posterior_mean(0, feature, taps, condition)
            outputs.append((*taps, feature, prior.mean, prior.scale, mu))
    for plain, fast in zip(*outputs, strict=True):
        torch.testing.assert_close(fast, plain, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("height", "width", "kernel"), [(6, 9, 3), (4, 5, 5), (2, 7, 5), (1, 1, 7)]
)
def test_neighbourhood_attention_against_plain_loops(height, width, kernel):
    torch.manual_seed(0)
    attention = NeighbourhoodAttention(64, kernel)
    torch.nn.init.normal_(attention.rpb)
    x = torch.randn(1, height, width, 64)
    with torch.no_grad():
        result = attention(x)[0]
        query, key, value = attention.qkv(x).view(height, width, 3, 2, 32).unbind(2)
        rows, columns = min(kernel, height), min(kernel, width)
        expected = torch.zeros(height, width, 64)
        for i in range(height):
            for j in range(width):
                top = min(max(i - rows // 2, 0), height - rows)
                left = min(max(j - columns // 2, 0), width - columns)
                for head in range(2):
                    near = [
                        (r, c) for r in range(top, top + rows) for c in range(left, left + columns)
                    ]
                    logits = torch.stack(
                        [
                            query[i, j, head] @ key[r, c, head] / math.sqrt(32)
                            + attention.rpb[head, r - i + kernel - 1, c - j + kernel - 1]
                            for r, c in near
                        ]
                    ).softmax(0)
                    mixed = sum(
                        w * value[r, c, head] for w, (r, c) in zip(logits, near, strict=True)
                    )
                    expected[i, j, 32 * head : 32 * head + 32] = mixed
        torch.testing.assert_close(result, attention.proj(expected), atol=1e-5, rtol=1e-4)


def test_mass_and_code_length_against_scipy():
    rng = np.random.default_rng(0)
    residual = rng.normal(0, 3, 2000)
    scale = rng.uniform(0.11, 8, 2000)
    exact = norm.cdf((residual + 0.5) / scale) - norm.cdf((residual - 0.5) / scale)
    r, s = torch.tensor(residual, dtype=torch.float32), torch.tensor(scale, dtype=torch.float32)
    np.testing.assert_allclose(gaussian_mass(r, s), exact, rtol=1e-3, atol=1e-7)
    expected = -np.where(exact < 1e-6, norm.logpdf(residual, scale=scale), np.log(exact))
    clear = abs(exact - 1e-6) > 1e-7
    np.testing.assert_allclose(gaussian_nats(r, s)[clear], expected[clear], rtol=1e-3, atol=1e-5)
    assert (exact < 1e-6).sum() > 50


def test_code_length_has_a_gradient_where_the_mass_has_none():
    residual = torch.tensor([60.0], requires_grad=True)
    gaussian_nats(residual, torch.tensor([0.5])).sum().backward()
    assert residual.grad.item() > 100


def test_ladders():
    published = log_spaced_lambdas(16)
    assert (published[0], published[1], published[-1]) == (16.0, 22.1106, 2048.0)


def test_configurations_survive_json():
    for config in CONFIGS.values():
        assert QarvConfig.from_mapping(json.loads(config.to_json())) == config
    with pytest.raises(DataError, match="'depth'"):
        QarvConfig.from_mapping({"depth": 3})
