"""Every network against the published program: same parameters and image, same integers.

``--conformance-dir DIR`` names the folder of vectors; its README says what they hold.
"""

import importlib.util
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

LARGEST_HEADER = 40
"""Bytes."""


@dataclass(frozen=True)
class Outcome:
    """What a network made of an image.

    Attributes:
        symbols: name of the latent -> integers, (channels, height, width).
        bits: ideal code length of each latent, in bits.
        pixels: reconstruction in [0, 1], (height, width, 3).
        n_bytes: size of all coded latents.
    """

    symbols: Mapping[str, npt.NDArray[np.int32]]
    bits: list[float]
    pixels: npt.NDArray[np.float32]
    n_bytes: int


Network = Callable[[npt.NDArray[np.uint8], dict[str, Any]], Outcome]
"""Runs one case: (image, what the case was run with)."""


def qarv(layout: dict[str, list[int]], recipe: ModuleType) -> Network:
    import torch

    from rdbench_codecs.learned.base import pad
    from rdbench_codecs.qarv.config import BASE
    from rdbench_codecs.qarv.model import Model
    from rdbench_codecs.qarv.network import QarvNetwork

    network = QarvNetwork(BASE)
    shapes = {name: list(value.shape) for name, value in network.state_dict().items()}
    assert shapes == layout
    network.load_state_dict(
        {name: torch.from_numpy(recipe.weight(name, tuple(layout[name]))) for name in layout}
    )
    model = Model(network)

    def run(image: npt.NDArray[np.uint8], case: dict[str, Any]) -> Outcome:
        latents = model.encode(pad(image), case["lmb"])
        pixels = model.top_down(
            *image.shape[:2],
            case["lmb"],
            lambda i, prior: prior.value(model.tensor(latents[i].symbols)),
        )
        symbols = {f"z{i + 1}": latent.symbols for i, latent in enumerate(latents)}
        bits = [float(latent.ideal_bits.sum()) for latent in latents]
        n_bytes = sum(len(latent.data) for latent in latents)
        return Outcome(symbols, bits, pixels, n_bytes)

    return run


def hyperprior(baseline: str, layout: dict[str, list[int]], recipe: ModuleType) -> Network:
    import torch

    from rdbench_codecs.hyperprior.loading import network_of, ready
    from rdbench_codecs.hyperprior.networks import RatePoint

    tensors = {
        name: torch.from_numpy(recipe.weight(name, tuple(shape))) for name, shape in layout.items()
    }
    network = network_of(baseline, "qvrf", tensors, Path(f"{baseline}.layout.json"))
    assert {name: list(value.shape) for name, value in network.state_dict().items()} == layout
    model = ready(network, "qvrf", "cpu")

    def run(image: npt.NDArray[np.uint8], case: dict[str, Any]) -> Outcome:
        x = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
        point = RatePoint(regulator=float(np.float32(case["a"])))
        with torch.inference_mode():
            z, y = model.encode_at(x, point)
            x_hat = model.decode_at([z.data, y.data], *image.shape[:2], point).clamp(0, 1)
        bits = [float(latent.ideal_bits.sum()) for latent in (y, z)]
        symbols = {"y": y.symbols, "z": z.symbols}
        pixels = x_hat[0].permute(1, 2, 0).numpy()
        return Outcome(symbols, bits, pixels, len(y.data) + len(z.data))

    return run


NETWORKS: dict[str, Callable[[dict[str, list[int]], ModuleType], Network]] = {
    "qarv_base": qarv,
    **{
        name: partial(hyperprior, name)
        for name in (
            "bmshj2018-hyperprior",
            "mbt2018-mean",
            "mbt2018",
            "cheng2020-anchor",
            "cheng2020-attn",
        )
    },
}
"""Name of the vectors -> what builds the network from the layout's shapes and the recipe."""


@cache
def _recipe(folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("recipe", folder / "recipe.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def _network(folder: Path, name: str) -> Network:
    layout = json.loads((folder / f"{name}.layout.json").read_text())
    return NETWORKS[name](layout, _recipe(folder))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    folder: Path = metafunc.config.getoption("--conformance-dir")
    cases = [
        (path, case)
        for path in sorted(folder.glob("*.npz"))
        for case in json.loads(str(np.load(path)["cases"]))
    ]
    metafunc.parametrize(
        ("vectors", "case"), cases, ids=[f"{path.stem}-{case['case']}" for path, case in cases]
    )


def test_conformance(vectors: Path, case: dict[str, Any]) -> None:
    recipe, number = _recipe(vectors.parent), case["case"]
    image = recipe.image(case["image"], case["height"], case["width"])
    outcome = _network(vectors.parent, vectors.stem)(image, case)
    expected = np.load(vectors)
    differs = False
    for name, symbols in outcome.symbols.items():
        wanted = expected[f"{number}.{name}"].astype(np.int32)
        assert symbols.shape == wanted.shape
        difference = np.abs(symbols - wanted)
        assert difference.max() <= 1
        assert np.mean(difference == 0) >= 0.9995
        differs |= bool(difference.any())
    np.testing.assert_allclose(outcome.bits, expected[f"{number}.bits"], rtol=1e-3)
    assert LARGEST_HEADER + outcome.n_bytes <= 1.005 * sum(outcome.bits) / 8 + 64
    pixels = outcome.pixels.transpose(2, 0, 1)
    top, left = (case["height"] - 64) // 2, (case["width"] - 64) // 2
    crop = pixels[:, top : top + 64, left : left + 64]
    if not differs:
        np.testing.assert_allclose(crop, expected[f"{number}.x_hat_crop"], rtol=0, atol=1e-3)
    mean = pixels.mean((1, 2), dtype=np.float64)
    np.testing.assert_allclose(mean, expected[f"{number}.x_hat_mean"], rtol=0, atol=1e-4)
