"""Photographs to train on, and one thread: two would mostly wait for each other."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from sample import photograph


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three photographs, one of them in a folder below."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "more").mkdir()
    images = {
        "a.png": photograph("astronaut"),
        "b.png": photograph("chelsea"),
        "more/c.png": photograph("coffee"),
    }
    for name, image in images.items():
        PIL.Image.fromarray(np.ascontiguousarray(image[:256, :384])).save(folder / name)
    return folder
