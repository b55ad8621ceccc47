"""Examples of codecs in other environments: where these are installed, and with a stand-in."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as PilImage
from safetensors.numpy import save_file
from sample import photograph

from rdbench import run
from rdbench.spec import get_codecs
from rdbench.types import Image
from rdbench_codecs.external import foreign
from rdbench_codecs.external.description import load
from rdbench_codecs.external.worker.interfaces import load_class
from rdbench_codecs.learned.weights import bundled

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


INSTALLED = {
    "compressai/random.toml": "env",
    "onnx/codec.toml": "env",
    "lossy_vae/bundled.toml": "checkout/lvae",
    "compressai_forks/stf.toml": "checkout/STF",
    "compressai_forks/tinylic.toml": "checkout/TinyLIC",
    "compressai_forks/mlicpp.toml": "checkout/MLIC",
    "compressai_forks/dcae.toml": "checkout/DCAE",
    "compressai_forks/invcompress.toml": "checkout/InvCompress",
}
"""Descriptions, and what is next to them where they are installed."""


@pytest.mark.parametrize("name", INSTALLED)
def test_examples_code_where_they_are_installed(name: str, crop: Image) -> None:
    file = EXAMPLES / name
    for needed in ("env", INSTALLED[name]):
        if not (file.parent / needed).exists():
            pytest.skip(f"{file.parent / needed} not found; see requirements.txt there")
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


@pytest.fixture
def forks(tmp_path: Path) -> Path:
    """The example of clones, with a stand-in for TinyLIC and a checkpoint of a wrapped network."""
    folder = tmp_path / "example"
    folder.mkdir()
    for file in (EXAMPLES / "compressai_forks").glob("*.*"):
        shutil.copy(file, folder)
    package = folder / "checkout" / "TinyLIC" / "compressai"
    (package / "layers" / "natten").mkdir(parents=True)
    (package / "__init__.py").write_text("import compressai.layers.natten")
    (package / "ops.py").write_text("quantize_ste = round")
    shutil.copy(STAND_IN, package / "networks.py")
    (package / "models.py").write_text(
        "from compressai.layers.natten import NeighborhoodAttention\n"
        "from compressai.networks import Network\n"
        "from compressai.ops import ste_round\n"
        "class TinyLIC(Network):\n"
        "    def compress(self, x):\n"
        "        assert min(x.shape[2:]) >= 192 and NeighborhoodAttention().in_torch\n"
        "        assert float(self.g_a['0'].bias.detach().sum()) == 12\n"
        "        return super().compress(x)\n"
    )
    (package / "layers" / "__init__.py").touch()
    (package / "layers" / "natten" / "__init__.py").write_text("raise OSError('no CUDA')")
    (package / "layers" / "natten" / "nattentorch.py").write_text(
        "class LegacyNeighborhoodAttention:\n    in_torch = True\n"
    )
    network = load_class(str(STAND_IN), "Network")()
    network.g_a["0"].bias.data.fill_(3)
    torch.save(
        {"state_dict": {f"module.{name}": value for name, value in network.state_dict().items()}},
        folder / "net-0.05.pth",
    )
    text = (folder / "tinylic.toml").read_text().replace("{here}/env/bin/python", sys.executable)
    text = text.replace('"random"', '"{here}/net-{lmbda}.pth"').replace('"timm"', "")
    (folder / "tinylic.toml").write_text(text + "ladder = {lmbda = [0.05]}\n")
    return folder


def test_clones_with_a_stand_in(forks: Path, crop: Image) -> None:
    codec = get_codecs(str(forks / "tinylic.toml"))[0]
    assert 20 < psnr_db(crop, codec.decode(codec.encode(crop).data)) < 40


def test_the_bundled_weights_fit_blocks_of_lossy_vae(monkeypatch: pytest.MonkeyPatch) -> None:
    load_class(str(Path(__file__).with_name("stand_in_lvae.py")), "install")(monkeypatch)
    network = load_class(str(EXAMPLES / "lossy_vae" / "reduced.py"), "network")(bundled("qarv"))
    keys = [module.name for module in network.encoder["enc_blocks"] if hasattr(module, "name")]
    assert keys == ["enc_s8", "enc_s16", "enc_s32", "enc_s64"]
    taps = [module.tap for module in network.dec_blocks if hasattr(module, "tap")]
    assert taps == ["enc_s64", "enc_s32", "enc_s16", "enc_s16", "enc_s8", "enc_s8", "enc_s8"]


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
