"""Examples of codecs in other environments: where these are installed, and with a stand-in."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage
from safetensors.numpy import save_file
from sample import photograph

from rdbench import run
from rdbench.spec import get_codecs
from rdbench.types import Image
from rdbench_codecs.external import foreign
from rdbench_codecs.external.description import load

pytestmark = pytest.mark.skipif(os.name != "posix", reason="other programs run on POSIX only")
EXAMPLES = Path(__file__).parents[3] / "examples" / "codecs"
STAND_IN = Path(__file__).with_name("stand_in_compressai.py")


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    yield
    foreign.end_workers()


@pytest.fixture
def crop() -> Image:
    return np.ascontiguousarray(photograph("coffee")[100:163, 200:270])


def psnr_db(image: Image, decoded: Image) -> float:
    scale = 255.0 if decoded.dtype == np.float32 else 1.0
    return float(-10 * np.log10(np.mean((decoded * scale - image) ** 2) / 255**2))


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*/*.toml")), ids=lambda f: f.parent.name)
def test_descriptions_are_valid(file: Path) -> None:
    assert load(file).name
    assert (file.parent / "requirements.txt").is_file()


@pytest.mark.parametrize("name", ["compressai/random.toml", "onnx/codec.toml"])
def test_examples_code_where_they_are_installed(name: str, crop: Image) -> None:
    file = EXAMPLES / name
    if not (file.parent / "env").exists():
        pytest.skip(f"no environment at {file.parent / 'env'}; see its requirements.txt")
    codec = get_codecs(str(file))[0]
    codec.check()
    assert codec.decode(codec.encode(crop).data).shape == crop.shape
    assert len(codec.versions()) >= 2


@pytest.fixture
def compressai(tmp_path: Path) -> Path:
    """The example with a stand-in for the package, and a file of weights."""
    folder = tmp_path / "example"
    shutil.copytree(EXAMPLES / "compressai", folder, ignore=shutil.ignore_patterns("env", "*.s*"))
    package = folder / "packages" / "compressai" / "zoo"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    shutil.copy(STAND_IN, package / "image.py")
    (package / "__init__.py").write_text("from compressai.zoo.image import *")
    shapes = {"g_a.0.weight": (5, 3, 2, 2), "g_a.0.bias": (5,), "g_a.6.weight": (7, 5, 2, 2)}
    tensors = {k: np.zeros(v, np.float32) for k, v in {**shapes, "g_a.6.bias": (7,)}.items()}
    save_file(tensors, folder / "fixed-0.safetensors")
    python = f"env PYTHONPATH={folder}/packages {sys.executable}"
    for file in folder.glob("*.toml"):
        text = file.read_text().replace("{here}/env/bin/python", python)
        file.write_text(text.replace('"compressai", ', ""))
    return folder


@pytest.mark.parametrize("name", ["random.toml", "from_file.toml"])
def test_compressai_example_with_a_stand_in(compressai: Path, name: str, crop: Image) -> None:
    codec = get_codecs(str(compressai / name))[0]
    bitstream = codec.encode(crop)
    assert [s.name for s in bitstream.segments] == ["header", "strings[0]", "strings[1]"]
    assert sum(s.n_bytes for s in bitstream.segments) == len(bitstream.data)
    assert 20 < psnr_db(crop, codec.decode(bitstream.data)) < 40


def test_an_estimate_is_recorded_as_one(tmp_path: Path, crop: Image) -> None:
    shutil.copy(STAND_IN, tmp_path / "codec.py")
    (tmp_path / "images").mkdir()
    PilImage.fromarray(crop).save(tmp_path / "images" / "crop.png")
    description = tmp_path / "codec.toml"
    description.write_text(
        f'name = "estimate"\npython = "{sys.executable}"\nclass = "codec.py:Estimate"\n'
    )
    (record,) = run(str(description), str(tmp_path / "images"), tmp_path / "out").records
    assert record.error is None
    assert record.estimated
    assert record.n_bytes == 8
    assert (record.encode_s, record.decode_s) == (None, None)
    assert record.scores["psnr_rgb"] < 15
