"""What all learned codecs do alike: words for weights, errors, identity, counting."""

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

from rdbench.errors import EncoderError, Unavailable, UsageError
from rdbench.spec import get_codec
from rdbench_codecs.hyperprior import CODECS
from rdbench_codecs.hyperprior.loading import build
from rdbench_codecs.learned import weights
from rdbench_codecs.learned.base import LearnedCodec
from rdbench_codecs.qarv import Qarv, QarvScalable
from rdbench_codecs.qarv.config import CONFIGS, QarvConfig
from rdbench_codecs.qarv.model import random_network

ALL: list[type[LearnedCodec]] = [Qarv, QarvScalable, *CODECS.values()]
ONE_EACH: list[type[LearnedCodec]] = [
    Qarv, QarvScalable, CODECS["bmshj2018-factorized"], CODECS["mbt2018"], CODECS["qvrf-mbt2018"],
    CODECS["cui2021-mbt2018"],
]  # fmt: skip
IMAGE = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def _nothing_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(weights, "cache_folder", lambda: tmp_path / "cache")


@pytest.mark.parametrize("cls", ALL)
def test_settings_that_are_wrong_have_one_message(cls: type[LearnedCodec]) -> None:
    for settings, message in (
        ({"threads": 0}, "threads is 0, it must be 1 to 4096"),
        ({"device": "tpu"}, "no device is named 'tpu'; there are cpu, cuda and cuda:N"),
        ({"weights": "random-huge"}, "no random network is named 'huge'; there are: "),
    ):
        with pytest.raises(UsageError, match=message):
            cls(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("cls", ALL)
def test_what_is_missing_has_one_message(cls: type[LearnedCodec]) -> None:
    with pytest.raises(Unavailable, match="device 'cuda:99' not found; use device=cpu"):
        cls(weights="random-tiny", device="cuda:99").check()
    for setting in ("published", "no/such.pt"):
        with pytest.raises(Unavailable, match=r"not found; .*give weights=PATH, or weights=random"):
            cls(weights=setting).check()


@pytest.mark.parametrize(
    "spec",
    [
        "qarv:lambda=-1",
        "qarv:lambda=nan",
        "qarv-scalable:kept=0",
        "mbt2018:quality=0",
        "qvrf-mbt2018:a=0.1",
        "qvrf-mbt2018:lambda=nan",
        "qvrf-mbt2018:lambda=-1",
        "cui2021-mbt2018:level=8",
    ],
)
def test_rates_out_of_range_are_usage_errors(spec: str) -> None:
    with pytest.raises(UsageError, match="it must be"):
        get_codec(spec)


@pytest.mark.parametrize("cls", ONE_EACH)
def test_random_weights_are_identified_by_their_configuration(cls: type[LearnedCodec]) -> None:
    tiny, full = (cls(weights=word).identify_weights() for word in ("random-tiny", "random"))
    assert tiny.kind == full.kind == "random"
    assert tiny.configuration != full.configuration
    assert len({tiny.sha256, full.sha256}) == 2


def test_random_weights_are_identified_without_torch() -> None:
    program = (
        "import sys; from rdbench_codecs.hyperprior import CODECS\n"
        "CODECS['mbt2018'](weights='random').identify_weights()\n"
        "CODECS['qvrf-mbt2018']().identify_weights(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


@pytest.mark.parametrize("name", ["qarv", "qvrf-mbt2018"])
def test_a_file_is_hashed_once(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hashed once, located when it is used; a replaced file is noticed."""
    path = tmp_path / "weights.safetensors"
    hashed, located = [], []
    digest, locate = weights.hashlib.file_digest, weights.locate

    def count_hashed(*arguments: object) -> object:
        hashed.append(arguments)
        return digest(*arguments)  # type: ignore[arg-type]

    def count_located(*arguments: object) -> Path:
        located.append(arguments)
        return locate(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(weights.hashlib, "file_digest", count_hashed)
    monkeypatch.setattr(weights, "locate", count_located)
    save_tiny(name, path)
    codec = get_codec(f"{name}:weights={path}")
    first = codec.identify_weights()
    stream = codec.encode(IMAGE)
    codec.decode(stream.data)
    codec.identify_weights()
    assert len(hashed) == 1
    assert len(located) == 5  # the decoder's: header, network
    save_tiny(name, path, factor=2)
    os.utime(path, (1, 1))
    assert codec.identify_weights() != first
    assert len(hashed) == 2


def save_tiny(name: str, path: Path, factor: float = 1) -> None:
    config = CONFIGS["tiny"]
    network = random_network(config) if name == "qarv" else build("mbt2018", "qvrf", 8, 12)
    tensors = {key: factor * value for key, value in network.state_dict().items()}
    save_file(tensors, path, {"config": config.to_json()})


def test_the_configuration_decides_whether_a_network_is_reduced(tmp_path: Path) -> None:
    """A pickled file too, and whatever its file is called."""
    import torch

    network = random_network(CONFIGS["tiny"])
    content = {"model": network.state_dict(), "config": CONFIGS["tiny"].changes()}
    torch.save(content, tmp_path / "published.pt")
    codec = Qarv(weights=str(tmp_path / "published.pt"))
    assert codec.identify_weights().kind == "reduced"
    assert codec.config() == CONFIGS["tiny"]
    assert not QarvConfig(lambda_range=(4.0, 64.0)).is_reduced
    shutil.copy(weights.bundled("qvrf-mbt2018"), tmp_path / "other.safetensors")
    found = get_codec(f"qvrf-mbt2018:weights={tmp_path / 'other.safetensors'}")
    weights_of_copy = found.identify_weights()
    assert weights_of_copy is not None
    assert weights_of_copy.kind == "reduced"
    assert weights_of_copy.configuration.startswith("qvrf-mbt2018 N=")


@pytest.mark.parametrize("cls", ONE_EACH)
def test_parameters_are_counted_without_loading_weights(
    cls: type[LearnedCodec], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cls, "load_model", None)
    counts = cls(weights="random-tiny").parameter_counts()
    assert 0 < counts["encoder"] < counts["total"]
    assert 0 < counts["decoder"] < counts["total"]


@pytest.mark.parametrize("cls", ONE_EACH)
def test_an_image_of_too_many_pixels_is_refused(cls: type[LearnedCodec]) -> None:
    giant = np.broadcast_to(np.zeros(3, np.uint8), (2**14, 2**14 + 1, 3))
    with pytest.raises(EncoderError, match="more than 268435456 pixels"):
        cls(weights="random-tiny").encode(giant)


def test_latents_are_of_one_type() -> None:
    for cls in (Qarv, CODECS["qvrf-mbt2018"]):
        codec = cls(weights="random-tiny")
        stream, latents = codec.encode(IMAGE), codec.latents(IMAGE)
        assert [s.name for s in stream.segments[1:]] == [latent.name for latent in latents]
        for segment, latent in zip(stream.segments[1:], latents, strict=True):
            assert segment.n_bytes == len(latent.data)
            assert latent.symbols.shape == latent.ideal_bits.shape == latent.value.shape


def test_classes_of_the_family_are_found_by_name_in_another_process() -> None:
    for name, cls in CODECS.items():
        assert cls.name == name
        assert pickle.loads(pickle.dumps(cls)) is cls
    codec = CODECS["qvrf-mbt2018-mean"](weights="random-tiny", index=3)  # type: ignore[call-arg]
    assert repr(codec).startswith("QvrfMbt2018Mean(weights='random-tiny'")
    program = "import pickle, sys; print(repr(pickle.load(sys.stdin.buffer)))"
    done = subprocess.run(
        [sys.executable, "-c", program], input=pickle.dumps(codec), capture_output=True, check=True
    )
    assert done.stdout.decode().strip() == repr(codec)
