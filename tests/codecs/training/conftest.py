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
    # The third is an enlargement: something smooth among the detailed ones.
    cup = PIL.Image.fromarray(photograph("coffee")).crop((100, 100, 250, 200)).resize((384, 256))
    images = {
        "a.png": photograph("astronaut")[:256, :384],
        "b.png": photograph("chelsea")[:256, :384],
        "more/c.png": np.asarray(cup),
    }
    for name, image in images.items():
        PIL.Image.fromarray(np.ascontiguousarray(image)).save(folder / name)
    return folder
