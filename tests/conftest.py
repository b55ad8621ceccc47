"""Options of the test suite."""

from pathlib import Path

import hypothesis
import numpy as np
import PIL.Image
import pytest

hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")  # no test depends on how busy a machine is


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--conformance-dir",
        type=Path,
        default=Path(__file__).parent / "conformance",
        help="folder of conformance vectors (*.npz, recipe.py) to hold the networks to",
    )
    parser.addoption(
        "--faults-long",
        action="store_true",
        help="try tests/faults many times: kills at random moments, gigabytes of output",
    )
    parser.addoption(
        "--faults-table",
        type=Path,
        help="Markdown file to which tests/faults write which faults were tried, and how often",
    )
    parser.addoption(
        "--fuzz-streams",
        type=int,
        default=1000,
        help="mutated files that the decoders of each learned family are tried with",
    )


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of two images, 40x20 and 30x20."""
    folder = tmp_path_factory.mktemp("photos")
    for width in (40, 30):
        pixels = np.random.default_rng(width).integers(0, 256, (20, width, 3), dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(folder / f"{width}.png")
    return str(folder)
