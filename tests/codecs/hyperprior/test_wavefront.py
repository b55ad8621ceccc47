"""The wavefront decoder against raster order, position by position."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from rdbench_codecs.hyperprior.networks import JointAutoregressive, RatePoint
from rdbench_codecs.hyperprior.wavefront import answer, n_steps


def network(seed: int = 0) -> JointAutoregressive:
    torch.manual_seed(seed)
    return JointAutoregressive(6, 9).eval().requires_grad_(False)


def in_raster_order(
    net: JointAutoregressive, features: Tensor, y: Tensor, a: float
) -> tuple[Tensor, Tensor]:
    """Integers and y_hat, each position computed alone from a crop of what is decoded so far."""
    _, _, height, width = y.shape
    kernel = net.context_prediction.weight.clone()
    kernel[:, :, 3:] = 0
    kernel[:, :, 2, 2:] = 0
    y_hat = functional.pad(torch.zeros_like(y), (2, 2, 2, 2))
    integers = torch.zeros_like(y)
    for row in range(height):
        for column in range(width):
            crop = y_hat[:, :, row : row + 5, column : column + 5]
            context = functional.conv2d(crop, kernel, net.context_prediction.bias)
            here = features[:, :, row : row + 1, column : column + 1]
            _, mean = net.entropy_parameters(torch.cat((here, context), 1)).chunk(2, 1)
            residual = (y[:, :, row : row + 1, column : column + 1] - mean) * a
            integers[:, :, row : row + 1, column : column + 1] = residual.round()
            y_hat[:, :, row + 2 : row + 3, column + 2 : column + 3] = residual.round() / a + mean
    return integers, y_hat[:, :, 2:-2, 2:-2]


def in_wavefronts(
    net: JointAutoregressive, features: Tensor, y: Tensor, a: float
) -> tuple[Tensor, Tensor, int]:
    targets = y.flatten(2).transpose(1, 2)
    integers = torch.full_like(targets, torch.nan)
    steps = 0

    def quantize(positions: slice, mean: Tensor, scale: Tensor) -> Tensor:
        nonlocal steps
        steps += 1
        assert bool(integers[:, positions].isnan().all()), "a position is visited twice"
        integers[:, positions] = ((targets[:, positions] - mean) * a).round()
        return integers[:, positions]

    y_hat = answer(net.decode_y(features, RatePoint(regulator=a)), quantize)
    return integers.transpose(1, 2).reshape(y.shape), y_hat, steps


@settings(max_examples=12)
@given(
    height=st.integers(1, 6),
    width=st.integers(4, 11),
    a=st.sampled_from([1.0, 2.5, 0.5]),
    seed=st.integers(0, 100),
)
def test_wavefronts_give_what_raster_order_gives(
    height: int, width: int, a: float, seed: int
) -> None:
    net = network(seed)
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(1, 18, height, width, generator=generator)
    y = 3 * torch.randn(1, 9, height, width, generator=generator)
    integers, y_hat = in_raster_order(net, features, y, a)
    ours, ours_hat, steps = in_wavefronts(net, features, y, a)
    assert steps == n_steps(height, width) == width + 3 * (height - 1)
    assert (ours == integers).float().mean() > 0.999  # all but ties
    if torch.equal(ours, integers):
        torch.testing.assert_close(ours_hat, y_hat, atol=1e-5, rtol=1e-5)


def test_a_batch_is_decoded_like_its_images() -> None:
    net = network()
    features, y = torch.randn(3, 18, 5, 8), 3 * torch.randn(3, 9, 5, 8)
    _, together, _ = in_wavefronts(net, features, y, 2.0)
    for i in range(3):
        _, alone, _ = in_wavefronts(net, features[i : i + 1], y[i : i + 1], 2.0)
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-5, rtol=1e-5)


def test_masked_convolution_sees_only_what_comes_before() -> None:
    net = network()
    x = torch.randn(1, 9, 7, 8)
    before = net.context_prediction(x)
    x[:, :, 3, 4:] += 1
    x[:, :, 4:] += 1
    after = net.context_prediction(x)
    flat = 3 * 8 + 4
    assert torch.equal(before.flatten(2)[:, :, : flat + 1], after.flatten(2)[:, :, : flat + 1])
    assert not torch.equal(before.flatten(2)[:, :, flat + 1], after.flatten(2)[:, :, flat + 1])


def test_a_narrow_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 4 wide"):
        in_wavefronts(network(), torch.randn(1, 18, 4, 3), torch.randn(1, 9, 4, 3), 1.0)
