"""Training: losses fall, a stopped run resumes bit for bit, weights become a codec."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from training_runs import train

from rdbench.errors import DataError, RdbenchError, RdbenchWarning, UsageError
from rdbench.plugins import codec_class, codec_names
from rdbench.spec import get_codec
from rdbench.types import Progress, Trainable
from rdbench_codecs.hyperprior.objective import HyperpriorObjective
from rdbench_codecs.hyperprior.rates import POINTS
from rdbench_codecs.learned.base import LearnedCodec
from rdbench_codecs.learned.weights import read
from rdbench_codecs.qarv import Qarv
from rdbench_codecs.qarv.config import CONFIGS
from rdbench_codecs.qarv.objective import QarvObjective
from rdbench_codecs.training.objective import Objective
from rdbench_codecs.training.recipe import Recipe, load_recipe

CPU = torch.device("cpu")
TRAINABLE = [name for name in codec_names() if issubclass(codec_class(name), Trainable)]


def recipe(steps: int = 6, network: dict[str, Any] | None = None, **changes: Any) -> Recipe:
    """Two stages of a tiny QARV, the first in mixed precision."""
    stage = {"batch": 2, "crop": 64, "learning_rate": 2e-3}
    stages = [
        {**stage, "steps": steps // 2, "precision": "bfloat16"},
        {**stage, "steps": steps - steps // 2, "final_learning_rate": 1e-4},
    ]
    network = {"config": "tiny"} if network is None else network
    return Recipe.from_dict({"network": network, "stages": stages, **changes})


def tiny(settings: Recipe) -> QarvObjective:
    torch.manual_seed(0)
    return QarvObjective(settings.network)


def weights_of(objective: Objective) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in objective.network.state_dict().items()}


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def test_rate_and_distortion_fall(photos: Path, tmp_path: Path) -> None:
    network = {"baseline": "mbt2018-mean", "method": "qvrf", "n": 16, "m": 24}
    settings = recipe(200, network=network)
    seen: list[Progress] = []
    torch.manual_seed(0)
    objective = HyperpriorObjective(network)
    assert train(objective, settings, photos, tmp_path, log_every=20, on_progress=seen.append)
    assert seen[-1].loss < 0.6 * seen[0].loss
    assert seen[-1].psnr > seen[0].psnr + 3
    assert seen[-1].bpp < 0.8 * seen[0].bpp
    with (tmp_path / "log.csv").open() as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == list(range(20, 201, 20))


def test_qarv_learns(photos: Path, tmp_path: Path) -> None:
    settings = recipe(100)
    seen: list[Progress] = []
    train(tiny(settings), settings, photos, tmp_path, log_every=20, on_progress=seen.append)
    assert seen[-1].loss < 0.4 * seen[0].loss
    assert seen[-1].psnr > seen[0].psnr + 4


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_a_stopped_run_resumes_bit_for_bit(photos: Path, tmp_path: Path, optimizer: str) -> None:
    settings = recipe(8, optimizer=optimizer)
    whole = tiny(settings)
    train(whole, settings, photos, tmp_path / "whole", log_every=2)

    def stop(progress: Progress) -> None:
        if progress.step == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    cut = tiny(settings)
    assert not train(cut, settings, photos, tmp_path / "cut", log_every=2, on_progress=stop)
    fresh = QarvObjective(settings.network)  # of other random numbers
    assert train(fresh, settings, photos, tmp_path / "cut", log_every=2)
    assert_same(weights_of(whole), weights_of(fresh))
    for name in ("weights.safetensors", "log.csv"):
        one, other = ((tmp_path / run / name) for run in ("whole", "cut"))
        if name.endswith("csv"):
            assert len(one.read_text().splitlines()) == len(other.read_text().splitlines())
        else:
            assert_same(read(one)[0], read(other)[0])


def test_frozen_parameters_stay(photos: Path, tmp_path: Path) -> None:
    network = {"baseline": "mbt2018-mean", "method": "qvrf", "n": 16, "m": 24}
    stage = {"batch": 2, "crop": 64, "learning_rate": 1e-3, "steps": 2}
    stages = [{**stage, "frozen": ["g_a.", "g_s."]}, stage]
    objective = HyperpriorObjective(network)
    begun = weights_of(objective)
    changed: list[set[str]] = []

    def note(progress: Progress) -> None:
        now = weights_of(objective).items()
        changed.append({name.split(".")[0] for name, w in now if not torch.equal(w, begun[name])})

    settings = Recipe.from_dict({"network": network, "stages": stages})
    train(objective, settings, photos, tmp_path, log_every=2, on_progress=note)
    assert changed[0] >= {"h_a", "h_s", "entropy_bottleneck"}
    assert changed[0].isdisjoint({"g_a", "g_s"})
    assert changed[1] >= {"g_a", "g_s"}


def test_muon_moves_every_direction_of_a_matrix_alike(photos: Path, tmp_path: Path) -> None:
    network = {"baseline": "mbt2018-mean", "method": "qvrf", "n": 16, "m": 24}
    spreads = {}
    for optimizer in ("adam", "muon"):
        torch.manual_seed(0)
        objective = HyperpriorObjective(network)
        before = weights_of(objective)
        settings = recipe(2, network=network, optimizer=optimizer)
        train(objective, settings, photos, tmp_path / optimizer)
        after = weights_of(objective)
        update = (after["g_a.2.weight"] - before["g_a.2.weight"]).flatten(1)
        values = torch.linalg.svdvals(update)
        spreads[optimizer] = float(values[0] / values[-1])
        assert not torch.equal(after["g_a.1.gamma"], before["g_a.1.gamma"])
    assert spreads["muon"] < 4 < 10 < spreads["adam"]


def test_another_recipe_does_not_resume(photos: Path, tmp_path: Path) -> None:
    train(tiny(recipe(2)), recipe(2), photos, tmp_path)
    with pytest.raises(DataError, match="another recipe"):
        train(tiny(recipe(4)), recipe(4), photos, tmp_path)


def test_a_checkpoint_from_before_a_setting_resumes(photos: Path, tmp_path: Path) -> None:
    """A setting that its recipe does not name had the default."""
    train(tiny(recipe(2)), recipe(2), photos, tmp_path)
    path = tmp_path / "checkpoint.pt"
    content = torch.load(path, weights_only=True)
    values = json.loads(content["recipe"])
    del values["optimizer"]
    torch.save({**content, "recipe": json.dumps(values)}, path)
    assert train(tiny(recipe(2)), recipe(2), photos, tmp_path)
    other = recipe(2, optimizer="muon")
    with pytest.raises(DataError, match="another recipe"):
        train(tiny(other), other, photos, tmp_path)


@pytest.mark.parametrize("kept", ["half", "nothing", "no optimizers"])
def test_a_broken_checkpoint_is_named(photos: Path, tmp_path: Path, kept: str) -> None:
    train(tiny(recipe(2)), recipe(2), photos, tmp_path)
    path = tmp_path / "checkpoint.pt"
    if kept == "no optimizers":
        content = torch.load(path, weights_only=True)
        del content["optimizers"]
        torch.save(content, path)
    else:
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2] if kept == "half" else b"")
    with pytest.raises(DataError, match="was cut, or another version made it"):
        train(tiny(recipe(2)), recipe(2), photos, tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"step": 99}, {"step": -1}, {"step": "x"}, {"recipe": "{"}, {"recipe": 5}, {"network": {}},
        {"average": {}}, {"optimizers": {}}, {"optimizers": [1]},
    ],
)  # fmt: skip
def test_a_checkpoint_of_other_content_is_named(
    change: dict[str, Any], photos: Path, tmp_path: Path
) -> None:
    train(tiny(recipe(2)), recipe(2), photos, tmp_path)
    path = tmp_path / "checkpoint.pt"
    torch.save({**torch.load(path, weights_only=True), **change}, path)
    with pytest.raises(DataError, match="was cut, or another version made it"):
        train(tiny(recipe(2)), recipe(2), photos, tmp_path)


def test_a_damaged_log_does_not_stop_training(photos: Path, tmp_path: Path) -> None:
    train(tiny(recipe(2)), recipe(2), photos, tmp_path, log_every=1)
    log = tmp_path / "log.csv"
    whole = log.read_text()
    log.write_bytes(whole.encode() + b"2,0.\n\xff\0\n\n")
    with pytest.warns(RdbenchWarning, match="3 damaged lines"):
        train(tiny(recipe(2)), recipe(2), photos, tmp_path)
    assert log.read_text() == whole


@pytest.mark.parametrize(
    ("device", "message"),
    [("gpu", "there are cpu, cuda"), ("meta", "there are cpu, cuda"), ("cuda:99", "not found")],
)
def test_devices_that_are_none(device: str, message: str, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(RdbenchError, match=message):
        train(tiny(recipe(2)), recipe(2), photos, tmp_path / "out", device)
    assert not (tmp_path / "out").exists()


def test_a_run_stopped_at_the_start_resumes(photos: Path, tmp_path: Path) -> None:
    def stop(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tiny(recipe(2)), recipe(2), photos, tmp_path, log_every=1, on_progress=stop)
    assert {p.name for p in tmp_path.iterdir()} == {
        "checkpoint.pt",
        "log.csv",
        "weights.safetensors",
    }
    assert train(tiny(recipe(2)), recipe(2), photos, tmp_path)


@pytest.mark.parametrize("name", ["weights.safetensors", "log.csv", "log.png"])
def test_files_of_others_stay(photos: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(DataError, match=f"has a {name} but no checkpoint.pt to resume from"):
        train(tiny(recipe(2)), recipe(2), photos, tmp_path)
    assert [p.read_text() for p in tmp_path.iterdir()] == ["mine"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of POSIX")
def test_a_full_disk_keeps_the_last_checkpoint(photos: Path, tmp_path: Path) -> None:
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def fill(progress: Progress) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))

    try:
        with pytest.raises(DataError, match=r"cannot write .*checkpoint\.pt: "):
            train(tiny(recipe(2)), recipe(2), photos, tmp_path, on_progress=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 0
    assert not list(tmp_path.glob(".partial*"))


def test_a_diverging_run_says_so(photos: Path, tmp_path: Path) -> None:
    settings = recipe(4)
    objective = tiny(settings)
    with torch.no_grad():
        objective.network.bias.fill_(torch.nan)
    with pytest.raises(DataError, match="diverged"):
        train(objective, settings, photos, tmp_path, log_every=1)


def test_a_collapsed_regulator_is_reported(photos: Path, tmp_path: Path) -> None:
    network = {"baseline": "mbt2018-mean", "method": "qvrf", "n": 8, "m": 12}
    objective = HyperpriorObjective(network)
    train(objective, recipe(2, network=network), photos, tmp_path / "whole", log_every=1)
    with torch.no_grad():
        objective.network.Gain[1] = 0.04
    with pytest.raises(DataError, match=r"ascend: 1, 0\.0[34]"):
        train(objective, recipe(2, network=network), photos, tmp_path / "collapsed", log_every=1)


def test_the_average_warms_up(photos: Path, tmp_path: Path) -> None:
    """After one step the average is the mean of start and first update at decay 1 / 10."""
    settings = recipe(2, ema_decay=0.9999)
    objective = tiny(settings)
    average = weights_of(objective)
    for step in (1, 2):
        path = tmp_path / str(step)

        def stop(progress: Progress, last: int = step) -> None:
            if progress.step == last:
                os.kill(os.getpid(), signal.SIGTERM)

        run = tiny(settings)
        train(run, settings, photos, path, log_every=1, on_progress=stop)
        decay = step / (9 + step)
        for name, value in weights_of(run).items():
            average[name] = decay * average[name] + (1 - decay) * value
    kept = torch.load(tmp_path / "2" / "checkpoint.pt", weights_only=True)["average"]
    for name, value in kept.items():
        torch.testing.assert_close(value, average[name])


@pytest.mark.parametrize("method", POINTS)
@pytest.mark.parametrize("baseline", ["bmshj2018-hyperprior", "mbt2018-mean", "cheng2020-attn"])
@pytest.mark.parametrize("quantization", ["noise", "straight-through"])
def test_every_parameter_is_trained(baseline: str, method: str, quantization: str) -> None:
    torch.manual_seed(0)
    objective = HyperpriorObjective({"baseline": baseline, "method": method, "n": 16, "m": 24})
    images = torch.rand(2, 3, 64, 64)
    for level in (0, 7):
        losses = objective(images, {"levels": [level], "quantization": quantization})
        (losses.loss + losses.auxiliary).backward()
    for name, parameter in objective.network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("sampling", ["cube root", "log", "discrete"])
def test_lambdas_are_drawn_as_told(sampling: str) -> None:
    objective = tiny(recipe())
    torch.manual_seed(0)
    lambdas = objective.lambdas(20_000, {"lambda_sampling": sampling}, CPU).numpy()
    assert lambdas.min() >= 16
    assert lambdas.max() <= 2048
    middle = {
        "cube root": (16 ** (1 / 3) + 2048 ** (1 / 3)) ** 3 / 8,
        "log": 181.0,
        "discrete": 128,
    }
    assert np.mean(lambdas <= middle[sampling]) == pytest.approx(0.5, abs=0.02)
    assert len(np.unique(lambdas)) == 8 or sampling != "discrete"


def test_ms_ssim_can_be_the_distortion() -> None:
    objective = tiny(recipe())
    images = torch.rand(1, 3, 192, 192)
    losses = objective(images, {"lambda": 64, "distortion": "ms-ssim"})
    assert losses.loss.isfinite()
    losses.loss.backward()


@pytest.mark.parametrize("codec", TRAINABLE)
def test_every_recipe_makes_a_network(codec: str) -> None:
    cls = codec_class(codec)
    assert issubclass(cls, LearnedCodec)
    for name in cls.recipe_names():
        settings = cls.recipe(name)
        with torch.device("meta"):
            assert cls.new_objective(settings.network).config() is not None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps = 3", "no setting 'steps'"),
        ("[[stages]]\nsteps = 0", "at least one step"),
        ("[[stages]]\nsteps = 1\ncrop = 100", "multiple of 64"),
        ("[[stages]]\nsteps = 1\nprecision = 'int4'", "no precision"),
        ("optimizer = 'sgd'\n[[stages]]\nsteps = 1", "no optimizer"),
        ("[[stages]]\nbatch = 1", "steps"),
        ("[network]\nconfig = 'base'", "at least one"),
        ("[[stages", "cannot be read"),
        ("a = " + 10_000 * "[", "cannot be read"),
        ("stages = 3", "written as tables"),
        ("stages = [3]", "written as tables"),
        ("network = 3\n[[stages]]\nsteps = 1", "network = 3, but it must be a table"),
        ("seed = -1\n[[stages]]\nsteps = 1", "seed = -1, .* whole number"),
        ("seed = 1e3\n[[stages]]\nsteps = 1", "seed = 1000.0, .* whole number"),
        ("start = 3\n[[stages]]\nsteps = 1", "start = 3, .* text"),
        ("clip_norm = 'x'\n[[stages]]\nsteps = 1", "clip_norm = 'x', .* number"),
        ("clip_norm = 0\n[[stages]]\nsteps = 1", "clip_norm must be over 0"),
        ("ema_decay = 2\n[[stages]]\nsteps = 1", "ema_decay between 0 and 1"),
        ("[[stages]]\nsteps = 2.5", "steps = 2.5, .* whole number"),
        ("[[stages]]\nsteps = true", "steps = True, .* whole number"),
        ("[[stages]]\nsteps = 1\nbatch = 1_000_000_000_000", "images a step"),
        ("[[stages]]\nsteps = 1\ncrop = 6400000", "up to"),
        ("[[stages]]\nsteps = 1\nlearning_rate = nan", "learning_rate = nan, .* number"),
        ("[[stages]]\nsteps = 1\nlearning_rate = 1" + 400 * "0", "learning_rate = .* number"),
        ("[[stages]]\nsteps = 1\nfrozen = 'g_a'", "frozen = 'g_a', .* list of texts"),
        ("[[stages]]\nsteps = 1\nsettings = 3", "settings = 3, .* table"),
    ],
)
def test_wrong_recipes_say_what_is_wrong(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(DataError, match=message):
        load_recipe(tmp_path / "r.toml")


@pytest.mark.parametrize("codec", TRAINABLE)
@pytest.mark.parametrize("threads", ["0", "-1", "99999999999999999999"])
def test_threads_that_torch_cannot_use(codec: str, threads: str) -> None:
    with pytest.raises(UsageError, match="it must be 1 to 4096"):
        get_codec(f"{codec}:weights=random-tiny,threads={threads}")


def test_a_recipe_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_bytes(b"\x92\xff")
    with pytest.raises(DataError, match="cannot be read"):
        load_recipe(tmp_path / "r.toml")


@pytest.mark.parametrize(
    ("objective", "network", "stage", "message"),
    [
        (QarvObjective, {"config": "tiny"}, {"settings": {"batch": 8}}, "no 'batch'.* above"),
        (QarvObjective, {"config": "tiny"}, {"settings": {"distortion": "MSE"}}, "distortion"),
        (QarvObjective, {"config": "tiny"}, {"settings": {"lambda": 0}}, "lambda"),
        (QarvObjective, {"config": "tiny"}, {"settings": {"lambda_sampling": [1]}}, "lambda_sam"),
        (QarvObjective, {"config": "tiny"}, {"frozen": [""]}, "nothing to train"),
        (QarvObjective, {"config": ["tiny"]}, {}, "no configuration"),
        (HyperpriorObjective, {"n": 16, "m": 24}, {"settings": {"levels": [99]}}, "levels"),
        (HyperpriorObjective, {"n": 16, "m": 24}, {"settings": {"levels": 3}}, "levels"),
        (HyperpriorObjective, {"n": 16, "m": 24}, {"settings": {"quantization": "x"}}, "quant"),
        (HyperpriorObjective, {"n": 16, "m": "x"}, {}, "m of a network"),
    ],
)
def test_settings_of_a_stage_are_checked_before_anything_is_written(
    objective: Any, network: Any, stage: Any, message: str, photos: Path, tmp_path: Path
) -> None:
    if objective is HyperpriorObjective:
        network = {"baseline": "mbt2018-mean", "method": "qvrf", **network}
    stage = {"steps": 1, "learning_rate": 1e-4, **stage}
    settings = Recipe.from_dict({"network": network, "stages": [stage]})
    with pytest.raises(DataError, match=message):
        train(objective(network), settings, photos, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_stage_that_freezes_what_is_not_there(photos: Path, tmp_path: Path) -> None:
    stage = {"steps": 1, "batch": 1, "crop": 64, "learning_rate": 1e-4}
    settings = recipe(stages=[{**stage, "frozen": ["nosuch."]}])
    with pytest.warns(RdbenchWarning, match="begins 'nosuch.'"):
        train(tiny(settings), settings, photos, tmp_path)


def test_training_begins_with_other_weights(photos: Path, tmp_path: Path) -> None:
    """A QVRF network from one of a fixed rate: its regulators keep their start values."""
    fixed = {"baseline": "mbt2018-mean", "method": "fixed", "n": 16, "m": 24}
    settings = recipe(2, network=fixed)
    train(HyperpriorObjective(fixed), settings, photos, tmp_path / "fixed")
    start = str(tmp_path / "fixed" / "weights.safetensors")
    objective = HyperpriorObjective({**fixed, "method": "qvrf"})
    regulators = objective.network.Gain.clone()
    once = recipe(2, network=fixed, start=start)
    with pytest.warns(RdbenchWarning, match="Gain"):
        train(objective, once, photos, tmp_path / "qvrf")
    torch.testing.assert_close(objective.network.Gain, regulators, atol=5e-3, rtol=0)
    with pytest.raises(DataError, match="another network"):
        train(tiny(recipe()), recipe(start=start), photos, tmp_path / "qarv")


def test_training_begins_with_parts_of_other_weights(photos: Path, tmp_path: Path) -> None:
    mean = {"baseline": "mbt2018-mean", "method": "qvrf", "n": 16, "m": 24}
    train(HyperpriorObjective(mean), recipe(2, network=mean), photos, tmp_path / "mean")
    start = tmp_path / "mean" / "weights.safetensors"
    network = {**mean, "baseline": "bmshj2018-hyperprior"}
    objective = HyperpriorObjective(network)
    stage = {"batch": 2, "crop": 64, "learning_rate": 1e-3, "steps": 1, "frozen": ["g_a.", "g_s."]}
    begins = {"start": str(start), "start_parts": ["g_a.", "g_s."]}
    settings = Recipe.from_dict({"network": network, "stages": [stage], **begins})
    train(objective, settings, photos, tmp_path / "scale")
    made = read(start)[0]
    for name, value in weights_of(objective).items():
        if name.startswith(("g_a.", "g_s.")):
            assert torch.equal(value, made[name].float()), name
    whole = Recipe.from_dict({"network": network, "stages": [stage], "start": str(start)})
    with pytest.raises(DataError, match="another shape"):
        train(HyperpriorObjective(network), whole, photos, tmp_path / "whole")


def test_two_processes_share_a_batch(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(
        "[network]\nconfig = 'tiny'\n"
        "[[stages]]\nsteps = 2\nbatch = 4\ncrop = 64\nlearning_rate = 1e-4\n"
    )
    words = ["train", "qarv", "--config", tmp_path / "r.toml", "--data", photos]
    run = ["torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    command = [sys.executable, "-m", *run, "-m", "rdbench", *words, "--out", tmp_path / "out"]
    done = subprocess.run(
        [*map(str, command), "--threads", "1"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "out" / "weights.safetensors").is_file()
    assert done.stderr.count("weights:") == 1


def test_the_command_makes_a_codec(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(
        "[network]\nn = 16\nm = 24\n"
        "[[stages]]\nsteps = 2\nbatch = 2\ncrop = 64\nlearning_rate = 1e-4\n"
    )
    (tmp_path / "held out").mkdir()
    PIL.Image.open(photos / "a.png").crop((0, 0, 64, 64)).save(tmp_path / "held out" / "a.png")
    words = ["train", "qvrf-mbt2018", "--config", tmp_path / "r.toml", "--data", photos]
    words += ["--minutes", "0.02", "--validate", tmp_path / "held out", "--json"]
    command = [sys.executable, "-m", "rdbench", *words, "--out", tmp_path / "out"]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert '"bpp"' in done.stdout
    assert (tmp_path / "out" / "log.png").is_file()


def test_a_data_set_to_validate_on_is_looked_for_before_training(
    photos: Path, tmp_path: Path
) -> None:
    words = ["train", "qarv", "--data", photos, "--out", tmp_path / "out", "--validate", "nosuch"]
    command = [sys.executable, "-m", "rdbench", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 1
    assert "rdbench: no data set or folder 'nosuch'" in done.stderr
    assert not (tmp_path / "out").exists()


def test_weights_of_a_training_are_a_codec(photos: Path, tmp_path: Path) -> None:
    settings = recipe(2)
    train(tiny(settings), settings, photos, tmp_path)
    codec = Qarv(weights=str(tmp_path / "weights.safetensors"))
    assert codec.config() == CONFIGS["tiny"]
    image = np.zeros((64, 64, 3), np.uint8)
    assert codec.decode(codec.encode(image).data).shape == image.shape


def test_unknown_names_are_answered() -> None:
    with pytest.raises(UsageError, match="there are ablation, "):
        Qarv.recipe("papper")
    with pytest.raises(DataError, match="no configuration"):
        QarvObjective({"config": "huge"})
    with pytest.raises(DataError, match="no sampling"):
        tiny(recipe()).lambdas(1, {"lambda_sampling": "linear"}, CPU)
