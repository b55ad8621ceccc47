"""Networks in training, and parameters under published names."""

import copy
import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from rdbench.errors import DataError
from rdbench_codecs.hyperprior import gpu, networks
from rdbench_codecs.hyperprior.layers import GDN, lower_bound
from rdbench_codecs.hyperprior.loading import build, network_of, randomize
from rdbench_codecs.hyperprior.model import make_model
from rdbench_codecs.hyperprior.networks import NETWORKS, ScaleHyperprior
from rdbench_codecs.hyperprior.priors import ideal_bits
from rdbench_codecs.hyperprior.rates import POINTS, level_points

HYPERPRIORS = [name for name in NETWORKS if name != "bmshj2018-factorized"]
VARIANTS = [
    ("bmshj2018-factorized", "fixed"),
    *((name, "qvrf") for name in HYPERPRIORS),
    ("mbt2018-mean", "theis2017"),
    ("bmshj2018-hyperprior", "cui2021"),
    ("mbt2018", "cui2021"),
    ("bmshj2018-hyperprior", "song2021"),
    ("cheng2020-attn", "song2021"),
]


def images(n: int) -> Tensor:
    return torch.rand(n, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("baseline", "method"), VARIANTS)
@pytest.mark.parametrize("straight_through", [False, True])
def test_training_reaches_every_parameter(
    baseline: str, method: str, straight_through: bool
) -> None:
    torch.manual_seed(0)
    network = build(baseline, method, 8, 12).train()
    randomize(network)
    network.entropy_bottleneck.quantiles.data += 0.3  # so that rounded z is not all zeros
    estimate = network(
        images(2), level_points(network, method, torch.tensor([3, 6])), straight_through
    )
    assert estimate.x_hat.shape == (2, 3, 64, 64)
    bits = sum(-likelihood.log2().sum() for likelihood in estimate.likelihoods.values())
    assert isinstance(bits, Tensor)
    (bits + estimate.x_hat.square().sum()).backward()
    unused = {n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()}
    assert unused <= {"entropy_bottleneck.quantiles"}
    network.quantile_loss().backward()
    assert network.entropy_bottleneck.quantiles.grad is not None


@pytest.mark.parametrize("name", HYPERPRIORS)
def test_straight_through_training_sees_what_the_decoder_gives(name: str) -> None:
    network = build(name, "qvrf", 8, 12).eval()
    randomize(network)
    x = images(1)
    point = POINTS["qvrf"](network, network.Gain[4].item())
    with torch.no_grad():
        trained = network(x, point, straight_through=True).x_hat
        model = make_model(network, "qvrf", "cpu")
        latents = model.encode_at(x, point)
        decoded = model.decode_at([latent.data for latent in latents], 64, 64, point)
    torch.testing.assert_close(trained, decoded, atol=1e-3, rtol=1e-3)


def test_noisy_likelihoods_are_near_the_ideal_code_length() -> None:
    network = build("mbt2018-mean", "qvrf", 16, 24).eval()
    randomize(network)
    x, point = images(1), POINTS["qvrf"](network, 3.0)
    with torch.no_grad():
        noisy = network(x, point).likelihoods["y"]
        _, y = make_model(network, "qvrf", "cpu").encode_at(x, point)
    assert ideal_bits(noisy).sum() == pytest.approx(y.ideal_bits.sum(), rel=0.05)


def test_the_first_regulator_of_training_is_1() -> None:
    network = build("mbt2018-mean", "qvrf", 8, 12)
    network.Gain.data.fill_(5.0)  # type: ignore[union-attr, operator]
    regulators = level_points(network, "qvrf", torch.tensor([0, 2])).regulator
    assert isinstance(regulators, Tensor)
    assert regulators.flatten().tolist() == [1.0, 5.0]


@pytest.mark.parametrize(("baseline", "method"), VARIANTS)
@pytest.mark.parametrize("straight_through", [False, True])
def test_images_of_a_batch_have_levels_of_their_own(
    baseline: str, method: str, straight_through: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(networks, "add_noise", lambda x: x)
    network = build(baseline, method, 8, 12).eval()
    randomize(network)
    x, levels = images(2), torch.tensor([6, 1])
    with torch.no_grad():
        together = network(x, level_points(network, method, levels), straight_through).x_hat
        for i in range(2):
            points = level_points(network, method, levels[i : i + 1])
            alone = network(x[i : i + 1], points, straight_through).x_hat
            # A latent near the middle between two integers may be rounded otherwise in a batch.
            near = torch.isclose(together[i : i + 1], alone, atol=1e-3, rtol=1e-3)
            assert near.float().mean() > 0.99


def test_gdn_is_its_formula() -> None:
    gdn, inverse = GDN(5), GDN(5, inverse=True)
    for layer in (gdn, inverse):
        layer.beta.data.uniform_(0.5, 1.5)
        layer.gamma.data.uniform_(0, 0.5)
    x = torch.randn(2, 5, 3, 4, dtype=torch.float64)
    for layer, power in ((gdn, -0.5), (inverse, 0.5)):
        layer.double()
        beta, gamma = layer.beta**2 - 2.0**-36, layer.gamma**2 - 2.0**-36
        norm = torch.einsum("ij,bjhw->bihw", gamma, x**2) + beta[:, None, None]
        torch.testing.assert_close(layer(x), x * norm**power)


def test_lower_bound_lets_gradients_push_up() -> None:
    x = torch.tensor([-1.0, -1.0, 2.0, 2.0], requires_grad=True)
    (lower_bound(x, 0.0) * torch.tensor([-1.0, 1.0, -1.0, 1.0])).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [-1.0, 0.0, -1.0, 1.0]


def old_name(name: str) -> str:
    """As the first published files wrote it."""
    kinds = {"_matrix": "_matrices.", "_bias": "_biases.", "_factor": "_factors."}
    prefix, _, last = name.rpartition(".")
    for new, old in kinds.items():
        if last.startswith(new):
            return f"module.{prefix}.{old}{last[-1]}"
    return "module." + name.replace(".skip.", ".downsample.")


@pytest.mark.parametrize("name", NETWORKS)
def test_old_and_new_names_load(name: str) -> None:
    network = build(name, "fixed", 8, 12)
    tensors = dict(network.state_dict())
    extra = {
        "entropy_bottleneck._offset": torch.zeros(8),
        "entropy_bottleneck._quantized_cdf": torch.zeros(8, 3),
        "entropy_bottleneck.target": torch.zeros(3),
        "gaussian_conditional.scale_table": torch.zeros(64),
        "g_a.1.beta_reparam.pedestal": torch.zeros(1),
        "context_prediction.mask": torch.ones(24, 12, 5, 5),
    }
    middle = {key.replace("._matrix", ".matrices."): value for key, value in tensors.items()}
    old = {old_name(key): value for key, value in tensors.items()}
    for given in ({**tensors, **extra}, middle, {**old, **extra}):
        loaded = network_of(name, "fixed", given, Path("file.pth"))
        assert (loaded.n, loaded.m) == (8, 12)
        for key, value in tensors.items():
            assert torch.equal(loaded.state_dict()[key], value)


def test_networks_that_do_not_fit_are_refused() -> None:
    tensors = build("mbt2018-mean", "fixed", 8, 12).state_dict()
    with pytest.raises(DataError, match=r"file\.pth does not fit this network"):
        network_of("mbt2018", "fixed", tensors, Path("file.pth"))
    with pytest.raises(DataError, match="holds no network of this family"):
        network_of("mbt2018", "fixed", {"weight": torch.zeros(3)}, Path("file.pth"))
    with pytest.raises(DataError, match="scales"):
        network_of("mbt2018-mean", "theis2017", tensors, Path("file.pth"))


@pytest.mark.parametrize("name", HYPERPRIORS)
def test_parameters_have_the_published_shapes(name: str) -> None:
    folder = Path(__file__).parents[2] / "conformance"
    layout = json.loads((folder / f"{name}.layout.json").read_text())
    with torch.device("meta"):
        network = build(name, "qvrf", 192, layout["h_a.0.weight"][1])
    assert {key: list(t.shape) for key, t in network.state_dict().items()} == layout
    assert isinstance(network, ScaleHyperprior)


@pytest.mark.parametrize("name", HYPERPRIORS)
def test_the_form_for_gpus_computes_what_the_plain_one_does(name: str) -> None:
    network = build(name, "qvrf", 8, 12).requires_grad_(False)
    randomize(network)
    other = copy.deepcopy(network)
    gpu.accelerate(other)
    kinds = {type(m) for m in other.get_submodule("h_s").modules()}
    assert not {torch.nn.ConvTranspose2d, torch.nn.Conv2d} & kinds
    rng = torch.Generator().manual_seed(0)
    for part, channels in (("g_s", 12), ("h_s", 8)):
        x = torch.randn(1, channels, 2, 4, generator=rng)
        plain, fast = (getattr(n, part)(x) for n in (network, other))
        torch.testing.assert_close(fast, plain, atol=1e-5, rtol=1e-4)
