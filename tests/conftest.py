"""Options of the test suite."""

from pathlib import Path

import pytest


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
        "--fuzz-streams",
        type=int,
        default=1000,
        help="mutated files that the decoders of each learned family are tried with",
    )
