"""QARV as a codec: exact everywhere, small headers, parts of files, and only clean errors."""

import hashlib
import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rdbench.errors import BitstreamError, DataError, Unavailable, UsageError
from rdbench_codecs.learned import container
from rdbench_codecs.learned.base import pad
from rdbench_codecs.qarv import Qarv, cpu
from rdbench_codecs.qarv.config import CONFIGS
from rdbench_codecs.qarv.model import TABLES, Model, random_network

TINY = Qarv(lambda_=256.0, weights="random-tiny", threads=1)
RNG = np.random.default_rng(0)
SIZES = [(1, 1), (1, 769), (513, 1), (64, 64), (65, 63), (128, 192), (513, 769)] + [
    (int(2 ** RNG.uniform(0, 8)), int(2 ** RNG.uniform(0, 8))) for _ in range(33)
]
DECODE = """
import hashlib, pickle, sys
from rdbench_codecs.qarv import Qarv
codec = Qarv(weights="random-tiny", threads=3)
for data in pickle.load(sys.stdin.buffer):
    print(hashlib.sha256(codec.decode(data).tobytes()).hexdigest())
"""


def photo(height, width, seed=0):
    y, x = np.mgrid[:height, :width]
    rng = np.random.default_rng(seed)
    shading = 128 + 60 * np.sin(x / 17 + seed) * np.cos(y / 23)
    noise = rng.normal(0, 20, (height, width, 3))
    return np.clip(shading[..., None] + noise, 0, 255).astype(np.uint8)


def test_another_process_with_other_threads_decodes_the_same_images():
    images = [photo(*size, seed) for seed, size in enumerate(SIZES)]
    lambdas = np.exp(RNG.uniform(np.log(16), np.log(2048), len(SIZES)))
    codecs = [replace(TINY, lambda_=float(value)) for value in lambdas]
    streams = [codec.encode(p) for codec, p in zip(codecs, images, strict=True)]
    decoded = [TINY.decode(stream.data) for stream in streams]
    for image, stream, result in zip(images, streams, decoded, strict=True):
        assert result.shape == image.shape
        assert result.dtype == np.float32
        ideal = sum(s.ideal_bits or 0 for s in stream.segments) / 8
        assert len(stream.data) <= 1.005 * ideal + 64
    expected = [hashlib.sha256(result.tobytes()).hexdigest() for result in decoded]
    data = pickle.dumps([stream.data for stream in streams])
    result = subprocess.run(
        [sys.executable, "-c", DECODE], input=data, capture_output=True, check=True
    )
    assert result.stdout.decode().split() == expected


def test_the_number_of_threads_does_not_change_the_bytes():
    images = [photo(100, 130), photo(64, 64, 1), photo(192, 320, 2)]
    files = [[replace(TINY, threads=n).encode(image).data for image in images] for n in (1, 2, 5)]
    before = torch.get_num_threads()
    assert files[0] == files[1] == files[2]
    assert torch.get_num_threads() == before


def test_decoded_integers_are_the_encoded_ones():
    image = photo(70, 130)
    latents = TINY.latents(image)
    from_values = TINY.reconstruct([latent.value for latent in latents], 70, 130)
    np.testing.assert_array_equal(TINY.decode(TINY.encode(image).data), from_values)
    assert [latent.symbols.shape for latent in latents][:2] == [(4, 2, 3), (4, 4, 6)]
    assert any(latent.symbols.any() for latent in latents)


def test_segments_account_for_every_byte():
    stream = TINY.encode(photo(100, 50))
    names = ["header", *(f"z{i}" for i in range(1, 10))]
    assert [segment.name for segment in stream.segments] == names
    assert sum(segment.n_bytes for segment in stream.segments) == len(stream.data)
    assert stream.segments[0].n_bytes <= 40
    assert stream.segments[0].ideal_bits is None
    latents = TINY.latents(photo(100, 50))
    for segment, latent in zip(stream.segments[1:], latents, strict=True):
        assert segment.ideal_bits == pytest.approx(latent.ideal_bits.sum())


def test_lambda_travels_as_float32_and_changes_the_file():
    image = photo(64, 64)
    data = replace(TINY, lambda_=0.1 + 200).encode(image).data
    np.testing.assert_array_equal(
        replace(TINY, lambda_=16.0).decode(data), replace(TINY, lambda_=2048.0).decode(data)
    )
    header, _ = container.unpack_partial(data, "qarv", TINY.fingerprint())
    assert header.parameter == np.float32(200.1)
    assert data != replace(TINY, lambda_=201.0).encode(image).data


def test_padding_repeats_the_edges():
    padded = pad(photo(65, 3))
    assert padded.shape == (128, 64, 3)
    np.testing.assert_array_equal(padded[:65, 3:], padded[:65, 2:3].repeat(61, 1))
    np.testing.assert_array_equal(padded[65:], padded[64:65].repeat(63, 0))


def test_a_file_cut_after_a_segment_is_a_file_of_lower_quality():
    image = photo(64, 128)
    stream = TINY.encode(image)
    values = [latent.value for latent in TINY.latents(image)]
    ends = np.cumsum([segment.n_bytes for segment in stream.segments])
    for n, end in enumerate(ends):
        cut = stream.data[:end]
        kept = [value if i < n else None for i, value in enumerate(values)]
        expected = TINY.reconstruct(kept, 64, 128)
        np.testing.assert_array_equal(TINY.decode_partial(cut), expected)
        if n < 9:
            np.testing.assert_array_equal(
                TINY.decode_partial(stream.data[: ends[n + 1] - 1]), expected
            )
            with pytest.raises(BitstreamError, match=f"cut after {n} of its 9 latents"):
                TINY.decode(cut)
    with pytest.raises(BitstreamError):
        TINY.decode_partial(stream.data[: ends[0] - 1])


def test_any_latent_can_be_left_out_or_kept_alone():
    rng = np.random.default_rng(0)
    values = [
        rng.normal(0, 2, latent.value.shape).astype("f4") for latent in TINY.latents(photo(64, 64))
    ]
    images = [TINY.reconstruct(values, 64, 64), TINY.reconstruct([None] * 9, 64, 64)]
    for i in range(9):
        without = [None if k == i else value for k, value in enumerate(values)]
        alone = [value if k == i else None for k, value in enumerate(values)]
        images += [TINY.reconstruct(without, 64, 64), TINY.reconstruct(alone, 64, 64)]
    assert len({p.tobytes() for p in images}) == len(images)


def test_samples_come_from_the_prior():
    first = TINY.sample(70, 100, seed=1)
    assert first.shape == (70, 100, 3)
    np.testing.assert_array_equal(first, TINY.sample(70, 100, seed=1))
    assert not np.array_equal(first, TINY.sample(70, 100, seed=2))
    calm = TINY.sample(70, 100, seed=1, temperature=0)
    np.testing.assert_array_equal(calm, TINY.reconstruct([None] * 9, 70, 100))


def test_other_weights_are_named():
    data = TINY.encode(photo(64, 64)).data
    with pytest.raises(BitstreamError, match="made with weights"):
        Qarv(weights="random").decode(data)


def test_wrong_number_of_latents_is_refused():
    sha = TINY.fingerprint()
    data = container.pack(container.Header("qarv", 64, 64, 16.0, sha), [b"1"] * 8)
    with pytest.raises(BitstreamError, match="8 latents"):
        TINY.decode(data)


def test_missing_weights_say_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    codec = Qarv(weights="published")
    for call in (codec.check, codec.fingerprint, lambda: codec.encode(photo(8, 8))):
        with pytest.raises(Unavailable, match="run `rdbench weights fetch qarv`") as caught:
            call()
        assert "weights=random" in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(Unavailable, match=r"weights /no/such\.pt not found; give weights=PATH"):
        Qarv(weights="/no/such.pt").check()
    with pytest.raises(UsageError, match="no random network is named 'huge'; there are: base, "):
        Qarv(weights="random-huge").check()
    with pytest.raises(UsageError, match="no device is named 'tpu'"):
        replace(TINY, device="tpu").check()
    with pytest.raises(UsageError, match="qarv: lambda is -1, it must be"):
        Qarv(lambda_=-1)


def test_random_weights_say_so():
    assert TINY.identify_weights().kind == "random"
    assert TINY.fingerprint() != Qarv(weights="random").fingerprint()


def test_weights_from_files(tmp_path):
    from safetensors.torch import save_file

    network = random_network(CONFIGS["tiny"])
    state = network.state_dict()
    save_file(state, tmp_path / "tiny.safetensors", {"config": CONFIGS["tiny"].to_json()})
    published = {"model": {**state, "dec_blocks.0.discrete_gaussian._offset": torch.zeros(2)}}
    published["config"] = json.loads(CONFIGS["tiny"].to_json())
    torch.save(published, tmp_path / "tiny.pt")
    image = photo(64, 100)
    expected = TINY.decode(TINY.encode(image).data)
    for name in ("tiny.safetensors", "tiny.pt"):
        codec = replace(TINY, weights=str(tmp_path / name))
        sha = hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
        assert codec.fingerprint() == sha
        np.testing.assert_array_equal(codec.decode(codec.encode(image).data), expected)
    state["bias"] = torch.zeros(3)
    save_file(state, tmp_path / "bad.safetensors", {"config": CONFIGS["tiny"].to_json()})
    with pytest.raises(DataError, match=r"parameter bias has shape \(3,\), expected"):
        replace(TINY, weights=str(tmp_path / "bad.safetensors")).encode(image)


def test_a_file_that_changes_is_loaded_again(tmp_path):
    path = tmp_path / "w.pt"
    image = photo(64, 64)
    streams = []
    for factor in (1.0, 0.5):
        network = random_network(CONFIGS["tiny"])
        with torch.no_grad():
            network.bias *= factor
            torch.save(
                {"model": network.state_dict(), "config": json.loads(CONFIGS["tiny"].to_json())},
                path,
            )
        os.utime(path, (factor, factor))
        streams.append(replace(TINY, weights=str(path)).encode(image).data)
    assert streams[0] != streams[1]


def test_half_precision_changes_the_image_a_little_and_no_entropy_parameter(monkeypatch):
    with pytest.raises(Unavailable, match="needs a GPU"):
        replace(TINY, precision="half").check()
    monkeypatch.setattr(cpu, "_packs", lambda weight: False)
    exact, half = (Model(random_network(CONFIGS["tiny"]), half=value) for value in (False, True))
    image = photo(64, 128)
    latents = half.encode(image, 300.0)
    results, tables = [], []
    for model in (half, exact):
        seen = []
        tables.append(seen)

        def choose(i, prior, model=model, seen=seen):
            seen.append(TABLES.indexes(TABLES.positions(prior.scale.numpy())))
            return prior.value(model.tensor(latents[i].symbols))

        results.append(model.top_down(64, 128, 300.0, choose))
    for one, other in zip(*tables, strict=True):
        np.testing.assert_array_equal(one, other)
    assert 0 < np.abs(results[0] - results[1]).max() < 0.1


def test_importing_the_codec_loads_no_torch():
    code = (
        "import sys; from rdbench_codecs.qarv import Qarv; Qarv().ladder(); "
        "assert not {'torch', 'matplotlib', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


GOLDEN = Path(__file__).with_name("tiny.qarv")


def test_golden_file():
    """A file of the first format; where this fails the format has changed."""
    decoded = TINY.decode(GOLDEN.read_bytes())
    assert decoded.shape == (48, 80, 3)
    np.testing.assert_allclose(decoded.mean((0, 1)), GOLDEN_MEAN, atol=1e-3)


GOLDEN_MEAN = (0.5112, 0.5121, 0.4818)


@pytest.mark.parametrize("name", ["cconv", "qsf", "fixed"])
def test_other_rate_controls_code_too(name):
    network = random_network(replace(CONFIGS["tiny"], rate_control=name))
    model = Model(network)
    latents = model.encode(photo(64, 64), 100.0)

    def from_symbols(i, prior):
        return prior.value(model.tensor(latents[i].symbols))

    def from_values(i, prior):
        return model.tensor(latents[i].value)

    image = model.top_down(64, 64, 100.0, from_symbols)
    np.testing.assert_array_equal(image, model.top_down(64, 64, 100.0, from_values))
