"""Files of weights: found, fetched, and never trusted."""

import argparse
import dataclasses
import hashlib
import os
import pickle
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from rdbench.cli.app import app
from rdbench.errors import DataError, Unavailable, UsageError
from rdbench_codecs.learned import weights
from rdbench_codecs.learned.weights import Checkpoint

CHECKPOINT = Checkpoint("toy", "toy", "https://example.org/toy.pt")


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_the_published_checkpoint_is_listed():
    (qarv,) = weights.find("qarv")
    assert qarv.url == (
        "https://huggingface.co/duanzh0/my-model-weights/resolve/main/qarv_base-2022-dec-12.pt"
    )
    assert qarv in weights.known()
    with pytest.raises(UsageError, match=r"named 'qrav'; there are: .*qarv"):
        weights.find("qrav")


def test_a_file_is_fetched_once(monkeypatch):
    calls = []

    def download(url, known_hash, fname, path, progressbar):
        calls.append(url)
        (path / fname).write_bytes(b"weights")
        return str(path / fname)

    monkeypatch.setattr("pooch.retrieve", download)
    for _ in range(2):
        assert weights.fetch(CHECKPOINT).read_bytes() == b"weights"
    assert calls == [CHECKPOINT.url]
    assert weights.locate("published", "toy", [CHECKPOINT]) == CHECKPOINT.path


@pytest.mark.parametrize("options", [(), ("--quiet",)])
def test_quiet_hides_the_progress_of_a_download(monkeypatch, options):
    shown = []

    def download(url, known_hash, fname, path, progressbar):
        shown.append(progressbar)
        (path / fname).write_bytes(b"weights")
        return str(path / fname)

    monkeypatch.setattr("pooch.retrieve", download)
    monkeypatch.setattr("rdbench_codecs.commands._check_network", lambda codec, path: None)
    assert CliRunner().invoke(app, [*options, "weights", "fetch", "qarv"]).exit_code == 0
    assert shown == [not options]


def test_an_unknown_word_for_weights_is_answered_with_those_there_are():
    with pytest.raises(Unavailable, match="weights=random, bundled or published"):
        weights.locate("lite", "toy", [CHECKPOINT])


def test_without_a_connection_the_message_says_where_the_file_belongs(monkeypatch):
    def download(*args, **kwargs):
        raise OSError("no route\nto host")

    monkeypatch.setattr("pooch.retrieve", download)
    with pytest.raises(Unavailable, match=r"no route\); get the file another way") as caught:
        weights.fetch(CHECKPOINT)
    assert str(CHECKPOINT.path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_file_than_the_published_one_is_refused(monkeypatch):
    published = Checkpoint("toy", "toy", "https://example.org/toy.pt", sha256="0123456789")
    published.path.parent.mkdir(parents=True)
    published.path.write_bytes(b"something else")
    with pytest.raises(Unavailable, match=r"published is 0123456789\.\.\.; delete "):
        weights.fetch(published)


@pytest.mark.parametrize("is_published", [True, False])
def test_a_hash_in_a_name_is_checked_after_the_download(monkeypatch, tmp_path, is_published):
    content = b"weights of mbt2018-mean"
    start = hashlib.sha256(content).hexdigest()[:8] if is_published else "723404a8"
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / f"mbt2018-mean-3-{start}.pth.tar").write_bytes(content)
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        (listed,) = weights.find("mbt2018-mean:quality=3")
        assert listed.sha256 == "723404a8"
        url = f"{address}/mbt2018-mean-3-{start}.pth.tar"
        checkpoint = dataclasses.replace(listed, url=url, sha256=start)
        monkeypatch.setattr(weights, "find", lambda name: (checkpoint,))
        monkeypatch.setattr("rdbench_codecs.commands._check_network", lambda codec, path: None)
        outcome = CliRunner().invoke(app, ["weights", "fetch", "mbt2018-mean:quality=3"])
        server.shutdown()
    assert (outcome.exit_code == 0) == is_published
    if is_published:
        assert checkpoint.path.read_bytes() == content
    else:
        assert "published is 723404a8" in str(outcome.exception)


def test_hashes_follow_the_file(tmp_path):
    path = tmp_path / "w"
    path.write_bytes(b"abc")
    assert weights.sha256(path).startswith("ba7816bf")
    path.write_bytes(b"abcd")
    assert weights.sha256(path).startswith("88d4266f")


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"model": s}, lambda s: {"state_dict": s}])
def test_tensors_are_found_where_programs_put_them(tmp_path, wrap):
    state = {"module.a": torch.ones(2), "b": torch.zeros(1)}
    torch.save(wrap(state), tmp_path / "w.pth.tar")
    tensors, config = weights.read(tmp_path / "w.pth.tar")
    assert (sorted(tensors), config) == (["a", "b"], {})


def test_safetensors_carry_their_configuration(tmp_path):
    save_file({"a": torch.ones(2)}, tmp_path / "w.safetensors", {"config": '{"latents": [1]}'})
    tensors, config = weights.read(tmp_path / "w.safetensors")
    assert (list(tensors), config) == (["a"], {"latents": [1]})


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("bomb-went-off",)


def test_code_in_a_file_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"model": Bomb()}, "bomb.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Bomb()))
    (tmp_path / "junk.pt").write_bytes(b"junk")
    (tmp_path / "junk.safetensors").write_bytes(b"junk")
    torch.save([1, 2], "list.pt")
    for name in ("bomb.pt", "plain.pt", "junk.pt", "junk.safetensors", "list.pt"):
        with pytest.raises(DataError) as caught:
            weights.read(tmp_path / name)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "bomb-went-off").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight": torch.zeros(2, 2)}, r"weight has shape \(2, 2\), expected \(2, 3\)"),
        ({"bias": None}, r"bias has shape none, expected \(2,\)"),
        ({"extra": torch.zeros(1)}, r"extra has shape \(1,\), expected none"),
    ],
)
def test_every_shape_is_checked(tmp_path, change, message):
    network = torch.nn.Linear(3, 2)
    changed = {**network.state_dict(), **change}
    tensors = {name: value for name, value in changed.items() if value is not None}
    with pytest.raises(DataError, match=message):
        weights.check_shapes(network, tensors, tmp_path / "w.pt")
    weights.check_shapes(network, network.state_dict(), tmp_path / "w.pt")


def test_a_fetched_file_is_pinned_and_another_in_its_place_is_refused(monkeypatch):
    def download(url, known_hash, fname, path, progressbar):
        (path / fname).write_bytes(b"weights")
        return str(path / fname)

    monkeypatch.setattr("pooch.retrieve", download)
    path = weights.fetch(CHECKPOINT)
    assert CHECKPOINT.pin.read_text().strip() == hashlib.sha256(b"weights").hexdigest()
    assert weights.hash_note(CHECKPOINT).startswith("no published hash; SHA-256 pinned")
    path.write_bytes(b"garbage")
    with pytest.raises(Unavailable, match=r"pinned in .*; delete .* and run `rdbench weights fe"):
        weights.locate("published", "toy", [CHECKPOINT])


@pytest.mark.parametrize("damage", [b"", b"\n", b"\xff\0", b"abc"])
def test_a_damaged_pin_fits_no_file(damage):
    CHECKPOINT.path.parent.mkdir(parents=True)
    CHECKPOINT.path.write_bytes(b"garbage")
    CHECKPOINT.pin.write_bytes(damage)
    with pytest.raises(DataError, match=r"holds no SHA-256; delete .* then run `rdbench weights"):
        weights.locate("published", "toy", [CHECKPOINT])


def test_a_download_that_holds_no_network_is_not_kept(monkeypatch):
    def download(url, known_hash, fname, path, progressbar):
        (path / fname).write_bytes(b"<html>quota exceeded</html>")
        return str(path / fname)

    monkeypatch.setattr("pooch.retrieve", download)
    result = CliRunner().invoke(app, ["weights", "fetch", "qarv"])
    assert isinstance(result.exception, DataError) or result.exit_code != 0
    (qarv,) = weights.find("qarv")
    assert not qarv.path.exists()
    assert not qarv.pin.exists()


def _save(path, content):
    torch.save(content, path)
    return path


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod.", "model."])
@pytest.mark.parametrize("wrappers", [(), ("state_dict",), ("ema", "params"), ("net", "model")])
def test_prefixes_and_wrappers_of_training_programs_are_taken_off(tmp_path, prefix, wrappers):
    content = {f"{prefix}g_a.0.weight": torch.ones(2)}
    for wrapper in wrappers:
        content = {wrapper: content, "epoch": 3, "args": argparse.Namespace(lmbda=0.01)}
    tensors, _ = weights.read(_save(tmp_path / "a.pth", content))
    assert list(tensors) == ["g_a.0.weight"]


def test_an_object_that_is_not_loaded_is_named_with_how_to_fix_it(tmp_path):
    path = _save(tmp_path / "a.pth", {"state_dict": {}, "config": _Settings()})
    with pytest.raises(DataError) as caught:
        weights.read(path)
    assert "_Settings" in str(caught.value)
    assert "torch.save(torch.load(" in str(caught.value)
    assert "\x1b" not in str(caught.value)


class _Settings:
    pass


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_parameters_that_are_not_finite_are_named(tmp_path, value, suffix):
    path, content = tmp_path / f"a{suffix}", {"g_a.0.bias": torch.tensor([1.0, value])}
    save_file(content, path) if suffix == ".safetensors" else torch.save(content, path)
    with pytest.raises(DataError, match=r"parameter g_a\.0\.bias contains NaN or infinite"):
        weights.read(path)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (torch.ones(2).to(torch.float8_e4m3fn), "not a plain tensor of real numbers"),
        (torch.ones(1).expand(10**12), "has more numbers than the file"),
        (torch.ones(1).as_strided((10**6, 10**6), (0, 0)), "has more numbers than the file"),
    ],
)
def test_parameters_that_no_memory_holds_or_no_network_takes(tmp_path, value, reason):
    torch.save({"g_a.0.bias": value}, tmp_path / "a.pth")
    with pytest.raises(DataError, match=rf"g_a\.0\.bias .*{reason}|g_a\.0\.bias {reason}"):
        weights.read(tmp_path / "a.pth")


@pytest.mark.parametrize(
    "config",
    [
        "[" * 100_000,
        '{"lambda_range": [0, 0]}', '{"lambda_range": [2048, 16]}', '{"lambda_range": [NaN, 2]}',
        '{"lambda_range": [-1, 2]}', '{"lambda_range": [1, 2, 3]}', '{"lambda_range": ["a", "b"]}',
        '{"latents": 3}', '{"block": "conv"}', '{"join_kernel": true}', '{"unknown": 1}', "[1]",
        '{"encoder_depths": [4000, 4000, 4000, 4000, 4000]}', '{"latents": [4000, 4000, 1, 1]}',
        '{"encoder_widths": [192000, 384000, 512000, 512000, 512000]}', '{"latents": [1, 1, 1]}',
    ],
)  # fmt: skip
def test_a_configuration_that_is_wrong_names_file_and_key(tmp_path, config):
    from rdbench_codecs.qarv.codec import Qarv

    path = tmp_path / "bad.safetensors"
    save_file({"a": torch.ones(1)}, path, metadata={"config": config})
    codec = Qarv(weights=str(path))
    for call in (codec.ladder, codec.config):
        with pytest.raises(DataError, match=r"bad\.safetensors") as caught:
            call()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["g_a.0.weight", "h_a.0.weight", "Gain"])
def test_scalars_in_place_of_parameters_are_refused(tmp_path, name):
    from rdbench.spec import get_codec
    from rdbench_codecs.hyperprior.loading import build

    state = dict(build("mbt2018-mean", "qvrf", 2, 3).state_dict()) | {name: torch.tensor(1.0)}
    path = _save(tmp_path / "a.pth", state)
    with pytest.raises(DataError, match=r"a\.pth does not fit this network"):
        get_codec(f"qvrf-mbt2018-mean:weights={path}").load()


def test_a_copy_of_the_bundled_file_is_the_same_reduced_network(tmp_path):
    from rdbench.spec import get_codec

    for name in ("qarv", "qvrf-mbt2018-mean"):
        copy = tmp_path / "published.safetensors"
        copy.write_bytes(weights.bundled(name).read_bytes())
        other, own = (get_codec(f"{name}:weights={w}") for w in (copy, "bundled"))
        assert other.identify_weights().kind == own.identify_weights().kind == "reduced"
        assert other.fingerprint() == own.fingerprint()
