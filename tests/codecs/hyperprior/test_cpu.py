"""The layers for coding on a CPU against those of torch."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from rdbench_codecs.hyperprior.cpu import accelerate
from rdbench_codecs.hyperprior.layers import (
    GDN,
    AttentionBlock,
    ResidualBlock,
    ResidualBlockUpsample,
    ResidualBlockWithStride,
    conv5x5,
    deconv5x5,
    leaky_relu,
    relu,
    subpixel_conv3x3,
)
from rdbench_codecs.hyperprior.loading import build
from rdbench_codecs.hyperprior.networks import NETWORKS
from rdbench_codecs.learned.runtime import threads

pytestmark = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(),  # type: ignore[no-untyped-call]
    reason="oneDNN is not available",
)

Make = Callable[[int, int], nn.Module]
LAYERS: dict[str, Make] = {
    "downsampling": lambda n, m: nn.Sequential(conv5x5(n, m), GDN(m), conv5x5(m, n)),
    "upsampling": lambda n, m: nn.Sequential(
        deconv5x5(n, m), GDN(m, inverse=True), deconv5x5(m, 3)
    ),
    "leaky upsampling": lambda n, m: nn.Sequential(deconv5x5(n, m), leaky_relu(), deconv5x5(m, 8)),
    "sub-pixel": lambda n, m: nn.Sequential(subpixel_conv3x3(n, m), relu(), conv5x5(m, m, 1)),
    "residual": ResidualBlock,
    "residual, halving": ResidualBlockWithStride,
    "residual, doubling": ResidualBlockUpsample,
    "attention": lambda n, m: AttentionBlock(2 * n),
}


def layer(kind: str, n: int, m: int, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    made = nn.Sequential(LAYERS[kind](n, m)).eval().requires_grad_(False)
    for module in made.modules():
        if isinstance(module, GDN):
            module.gamma.uniform_(0, 0.4)
            module.beta.uniform_(0.5, 1.5)
    return made


def image(kind: str, n: int, height: int, width: int) -> Tensor:
    return 2 * torch.randn(1, 2 * n if kind == "attention" else n, height, width)


@pytest.mark.parametrize("kind", LAYERS)
@settings(max_examples=6)
@given(
    n=st.integers(1, 20),
    m=st.integers(5, 20),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    seed=st.integers(0, 100),
)
def test_layers_are_those_of_torch(
    kind: str, n: int, m: int, height: int, width: int, seed: int
) -> None:
    own = layer(kind, n, m, seed)
    x = image(kind, n, height, width)
    expected = own(x.clone())
    accelerate(own)  # type: ignore[arg-type]
    torch.testing.assert_close(own(x), expected, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("kind", LAYERS)
def test_layers_do_not_depend_on_threads(kind: str) -> None:
    """To the last bit, at sizes that threads cannot share evenly."""
    own = layer(kind, 33, 47)
    accelerate(own)  # type: ignore[arg-type]
    for height, width in ((41, 53), (7, 131)):
        x = image(kind, 33, height, width)
        results = []
        for n_threads in (1, 2, 3):
            with threads(n_threads):
                results.append(own(x.clone()))
        assert torch.equal(results[0], results[1])
        assert torch.equal(results[0], results[2])


@pytest.mark.parametrize(("height", "width"), [(1, 1), (4, 7), (16, 24)])
def test_hyper_synthesis_sums_in_the_order_of_files_written_before(height: int, width: int) -> None:
    """Its features are part of the format: the same to the last bit."""
    deconv = deconv5x5(24, 40).requires_grad_(False)
    own = nn.Sequential(nn.Sequential(deconv, leaky_relu()))
    accelerate(own)  # type: ignore[arg-type]
    x = torch.randn(1, 24, height, width)
    taps = deconv.weight.transpose(0, 1).flip(2, 3)
    padded = functional.pad(x, (1, 1, 1, 1)).contiguous(memory_format=torch.channels_last)
    result = own(x)
    for p in (0, 1):
        for q in (0, 1):
            kernel = taps[:, :, p::2, q::2].contiguous(memory_format=torch.channels_last)
            part = torch.mkldnn_convolution(padded, kernel, deconv.bias, (0, 0), (1, 1), (1, 1), 1)
            expected = functional.leaky_relu(part[:, :, p:, q:])
            assert torch.equal(result[:, :, p::2, q::2], expected)


@pytest.mark.parametrize("name", NETWORKS)
def test_all_layers_are_replaced(name: str) -> None:
    network = build(name, "fixed", 8, 12).requires_grad_(False)
    accelerate(network)
    left = nn.Conv2d, nn.ConvTranspose2d, nn.PixelShuffle, nn.ReLU, nn.LeakyReLU
    for transforms in (network.g_a, network.g_s):
        assert not [module for module in transforms.modules() if isinstance(module, left)]
