"""Networks that begin as transform codecs of principal components."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from training_runs import train

from rdbench.cli.train import image_files
from rdbench.errors import DataError
from rdbench.images import read_image
from rdbench_codecs.hyperprior.objective import HyperpriorObjective
from rdbench_codecs.qarv import Qarv
from rdbench_codecs.qarv.config import CONFIGS
from rdbench_codecs.qarv.objective import QarvObjective
from rdbench_codecs.training.data import Crops
from rdbench_codecs.training.principal_components import (
    blocks,
    least_cost_step,
    principal_components,
)
from rdbench_codecs.training.recipe import Recipe

MIRRORED = {
    "config": "tiny",
    "encoder_widths": (48, 64, 64, 64, 64),
    "decoder_widths": (64, 64, 64, 64, 48),
    "latent_channels": (8, 16, 32, 16),
}
WIDE = {  # 48 values of a 4x4 block
    **MIRRORED,
    "encoder_widths": (64, 96, 96, 96, 96),
    "decoder_widths": (96, 96, 96, 96, 64),
}


@pytest.fixture
def images(photos: Path) -> Tensor:
    recipe = Recipe.from_dict({"stages": [{"steps": 1, "crop": 128, "learning_rate": 1e-4}]})
    crops = Crops(image_files(photos), read_image, recipe, torch.device("cpu"))
    crops.hold(0)
    torch.manual_seed(0)
    return crops.cut(12, 128)


FACTORIZED = {"baseline": "bmshj2018-factorized", "n": 16, "m": 16}


def psnr(mse: Tensor) -> float:
    return -10 * math.log10(float(mse))


def test_components_are_those_of_a_singular_value_decomposition() -> None:
    torch.manual_seed(0)
    vectors = torch.randn(500, 6) @ torch.randn(6, 6) + 3
    found = principal_components(vectors, 4)
    _, values, basis = torch.linalg.svd(vectors - vectors.mean(0), full_matrices=False)
    torch.testing.assert_close((found.basis @ basis[:4].T).abs(), torch.eye(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(found.std, values[:4] / math.sqrt(499), rtol=1e-4, atol=0)


def test_blocks_are_what_a_strided_convolution_sees() -> None:
    x, weight = torch.randn(2, 3, 4, 6), torch.randn(5, 3, 2, 2)
    there = torch.nn.functional.conv2d(x, weight, stride=2).permute(0, 2, 3, 1).reshape(-1, 5)
    torch.testing.assert_close(blocks(x, 2) @ weight.view(5, -1).T, there)


def test_the_step_costs_least() -> None:
    step = least_cost_step(50.0)
    costs = [-math.log(s) + 50 * s**2 / 12 for s in (0.98 * step, step, 1.02 * step)]
    assert min(costs) == costs[1]


@pytest.mark.parametrize("network", [MIRRORED, WIDE, {"config": "reduced"}])
def test_qarv_begins_as_a_codec(network: dict[str, Any], images: Tensor) -> None:
    torch.manual_seed(0)
    objective = QarvObjective(network)
    with torch.no_grad():
        noise = objective(images, {"lambda": 181})
        objective.start_from_components(images)
        begun = objective(images, {"lambda": 181})
    assert psnr(begun.mse) > 28 > 15 > psnr(noise.mse)
    assert begun.bpp < 3
    assert begun.loss < noise.loss / 10


@pytest.mark.parametrize(
    "baseline",
    ["bmshj2018-hyperprior", "mbt2018-mean", "mbt2018", "cheng2020-anchor", "cheng2020-attn"],
)
def test_qvrf_begins_as_a_codec_of_many_rates(baseline: str, images: Tensor) -> None:
    torch.manual_seed(0)
    objective = HyperpriorObjective({"baseline": baseline, "method": "qvrf", "n": 64, "m": 96})
    objective.start_from_components(images)
    with torch.no_grad():
        points = [objective(images, {"levels": [level]}) for level in (0, 3, 7)]
    assert psnr(points[0].mse) > 21
    assert psnr(points[0].mse) + 4 < psnr(points[1].mse) < psnr(points[2].mse)
    assert points[0].bpp < points[1].bpp < points[2].bpp < 4


@pytest.mark.parametrize(
    ("objective", "network"),
    [
        (QarvObjective, {"config": "tiny"}),
        (QarvObjective, {**MIRRORED, "latent_block": "A"}),
        (HyperpriorObjective, {**FACTORIZED, "method": "fixed"}),
    ],
)  # fmt: skip
def test_other_networks_say_so(objective: Any, network: Any, images: Tensor) -> None:
    with pytest.raises(DataError, match="principal components"):
        objective(network).start_from_components(images)


def test_a_recipe_asks_for_it(photos: Path, tmp_path: Path) -> None:
    stage = {"steps": 2, "batch": 24, "crop": 64, "learning_rate": 1e-6}
    recipe = Recipe.from_dict(
        {"network": MIRRORED, "start": "principal components", "stages": [stage]}
    )
    seen: list[float] = []
    train(
        QarvObjective(MIRRORED), recipe, photos, tmp_path,
        on_progress=lambda progress: seen.append(progress.psnr),
    )  # fmt: skip
    assert seen[-1] > 26


@pytest.mark.parametrize("name", ["reduced", "reduced-more"])
def test_the_recipes_of_the_bundled_weights_run(name: str, photos: Path, tmp_path: Path) -> None:
    recipe = Qarv.recipe(name)
    assert len(recipe.stages) == 2
    small, large = (replace(s, steps=1, batch=2, crop=64) for s in recipe.stages)
    objective = Qarv.new_objective(recipe.network)
    assert train(objective, replace(recipe, stages=(small, large)), photos, tmp_path)
    assert Qarv(weights=str(tmp_path / "weights.safetensors")).config() == CONFIGS["reduced"]
