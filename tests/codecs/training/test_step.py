"""Crops, schedules, and the update that a GPU replays."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from torch import Tensor
from training_runs import train

from rdbench.cli.train import image_files
from rdbench.errors import DataError, RdbenchWarning
from rdbench.images import read_image
from rdbench.types import Progress
from rdbench_codecs.qarv.network import ConvNextBlock
from rdbench_codecs.qarv.objective import QarvObjective
from rdbench_codecs.training import step as step_module
from rdbench_codecs.training.data import Crops
from rdbench_codecs.training.objective import stratified
from rdbench_codecs.training.recipe import Recipe
from rdbench_codecs.training.step import Step

CPU = torch.device("cpu")
STAGE = {"steps": 4, "batch": 2, "crop": 64, "learning_rate": 1e-3}


def recipe(**changes: Any) -> Recipe:
    return Recipe.from_dict({"network": {"config": "tiny"}, "stages": [STAGE], **changes})


def write_images(folder: Path, *sizes: tuple[int, int]) -> list[Path]:
    """Images of these heights and widths; each pixel tells its row, its column and its image."""
    for i, (height, width) in enumerate(sizes):
        y, x = np.mgrid[:height, :width]
        image = np.stack([y, x, np.full_like(x, 50 * i)], axis=2).astype(np.uint8)
        PIL.Image.fromarray(image).save(folder / f"{i}.png")
    return image_files(folder)


def cut(crops: Crops, n: int, side: int, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    return (crops.cut(n, side) * 255).round().int()


def test_crops_are_parts_of_the_images(tmp_path: Path) -> None:
    crops = Crops(write_images(tmp_path, (70, 80), (64, 64)), read_image, recipe(), CPU)
    crops.hold(0)
    found = cut(crops, 200, 64)
    rows, columns, images = found.unbind(1)
    assert (rows.diff(dim=1) == 1).all()
    step = columns.diff(dim=2)
    assert ((step == 1).all((1, 2)) | (step == -1).all((1, 2))).all()
    assert 0.35 < float((step[:, 0, 0] == 1).float().mean()) < 0.65
    first = images[:, 0, 0] == 0
    assert rows[first, 0].unique().tolist() == list(range(7))
    assert columns[first].amin(dim=(1, 2)).unique().tolist() == list(range(17))
    assert images.unique().tolist() == [0, 50]


def test_images_are_drawn_by_the_root_of_their_area(tmp_path: Path) -> None:
    files = write_images(tmp_path, (64, 64), (128, 128), (63, 200))
    crops = Crops(files, read_image, recipe(), CPU)
    crops.hold(0)
    images = cut(crops, 3000, 64)[:, 2, 0, 0]
    shares = [float((images == value).float().mean()) for value in (0, 50, 100)]
    assert shares == pytest.approx([1 / 3, 2 / 3, 0], abs=0.03)


def test_each_image_is_also_used_at_a_smaller_scale(tmp_path: Path) -> None:
    files = write_images(tmp_path, (128, 128))
    crops = Crops(files, read_image, recipe(scales=[1.0, 0.5]), CPU)
    crops.hold(0)
    rows = cut(crops, 300, 64)[:, 0, :, 0]
    spans = rows[:, -1] - rows[:, 0]
    assert float((spans == 63).float().mean()) == pytest.approx(2 / 3, abs=0.1)
    small = PIL.Image.open(files[0]).resize((64, 64), PIL.Image.Resampling.LANCZOS)
    assert (rows[spans > 63] == torch.from_numpy(np.asarray(small)[:, 0, 0].astype(int))).all()


def test_images_that_do_not_fit_are_used_in_turn(tmp_path: Path) -> None:
    files = write_images(tmp_path, *[(64, 64)] * 5)

    def seen(step: int, *earlier: int) -> list[int]:
        crops = Crops(files, read_image, recipe(), CPU, max_pixels=2 * 64**2)
        for before in (*earlier, step):
            crops.hold(before)
        values: list[int] = cut(crops, 50, 64)[:, 2].unique().tolist()
        return values

    sets = [seen(2000 * i) for i in range(8)]
    assert {len(values) for values in sets} == {2}
    assert {value for values in sets for value in values} == {0, 50, 100, 150, 200}
    assert seen(4000, 0, 1999, 2000) == sets[2] == seen(4001)


def test_crops_that_fit_no_image(tmp_path: Path) -> None:
    files = write_images(tmp_path, (64, 64))
    for sides in ([512], [64, 512]):
        stages = [{**STAGE, "crop": side} for side in sides]
        with pytest.raises(DataError, match="512 x 512"):
            Crops(files, read_image, recipe(stages=stages), CPU).hold(0)
    with pytest.raises(DataError, match="no images"):
        image_files(tmp_path / "nosuch")


def test_a_stratified_draw_has_one_number_in_each_part() -> None:
    for n in (1, 7, 20_000):
        numbers = stratified(n, CPU)
        assert (numbers < 1).all()
        assert ((numbers.double() * n + 1e-3).long() - torch.arange(n)).abs().max() <= 1


def test_a_cosine_continues_over_stages() -> None:
    stages = [
        {"steps": 30, "crop": 64, "learning_rate": 1.0, "final_learning_rate": 0.1},
        {"steps": 70, "crop": 128},
        {"steps": 10, "crop": 256, "learning_rate": 0.5},
    ]
    whole = recipe(stages=stages)
    one = recipe(stages=[{**stages[0], "steps": 100}])
    for step in (0, 29, 30, 50, 99):
        stage, rate = whole.at(step)
        assert stage.crop == (64 if step < 30 else 128)
        assert rate == pytest.approx(one.at(step)[1])
    assert [whole.at(step)[1] for step in (0, 50, 100, 110)] == pytest.approx([1, 0.55, 0.5, 0.5])


def test_stages_share_the_time() -> None:
    stages = [{**STAGE, "steps": 45}, {**STAGE, "steps": 55, "crop": 128}]
    timed = recipe(stages=stages, minutes=10)
    assert timed.steps_done(3, 60) == 10
    crops = [timed.at(timed.steps_done(0, s))[0].crop for s in (0, 269, 271, 599, 700)]
    assert crops == [64, 64, 128, 128, 128]
    assert timed.steps_done(0, 700) == 100
    assert recipe(stages=stages).steps_done(3, 60) == 3


def test_training_by_time_resumes_where_it_was(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(10**6))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    settings = recipe(minutes=0.5, stages=[{**STAGE, "batch": 1}])
    seen: list[Progress] = []

    def stop(progress: Progress) -> None:
        seen.append(progress)
        if len(seen) == 2:
            raise KeyboardInterrupt

    def run() -> bool:
        return train(
            QarvObjective(settings.network), settings, photos, tmp_path,
            log_every=1, on_progress=stop,
        )  # fmt: skip

    with pytest.raises(KeyboardInterrupt):
        run()
    path = tmp_path / "checkpoint.pt"
    content = torch.load(path, weights_only=True)
    torch.save({**content, "elapsed_s": 20.0}, path)
    assert run()
    content = torch.load(path, weights_only=True)
    assert 30 <= content["elapsed_s"] < 40
    assert content["step"] < 5  # 10 of 30 s were left, of about 4 per update
    assert seen[-1].seconds_left == 0
    n_steps = content["step"]
    assert run()
    assert torch.load(path, weights_only=True)["step"] == n_steps


def test_the_learning_rate_warms_up(photos: Path, tmp_path: Path) -> None:
    seen: list[Progress] = []
    settings = recipe(warmup_steps=4, stages=[{**STAGE, "steps": 6, "batch": 1}])
    train(
        QarvObjective(settings.network), settings, photos, tmp_path,
        log_every=1, on_progress=seen.append,
    )  # fmt: skip
    rates = [progress.learning_rate for progress in seen]
    assert rates == pytest.approx([0.25e-3, 0.5e-3, 0.75e-3, 1e-3, 1e-3, 1e-3])


@pytest.fixture
def made(photos: Path) -> Any:
    """Weights and average after five updates of one stage and four of another."""
    settings = recipe(stages=[STAGE, {**STAGE, "crop": 128, "batch": 1}])
    one, other = settings.stages

    def make(graphs: bool) -> list[Tensor]:
        torch.manual_seed(0)
        objective = QarvObjective(settings.network)
        crops = Crops(image_files(photos), read_image, settings, CPU)
        crops.hold(0)
        step = Step(objective, settings, crops, CPU)
        step._graphs = graphs
        for i in range(9):
            step(one if i < 5 else other, i, 1e-3 * (i + 1), 0.1 * i)
        return [*objective.network.state_dict().values(), *step.average.values()]

    return make


def test_a_replayed_graph_makes_the_same_updates(
    made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the place of a graph is what it would contain."""
    captured: list[int] = []

    def capture(step: Step, stage: Any) -> Any:
        captured.append(stage.crop)
        return SimpleNamespace(replay=lambda: step._update(stage))

    monkeypatch.setattr(step_module, "_no_waiting", contextlib.nullcontext)
    monkeypatch.setattr(Step, "_captured", capture)
    eager = made(False)
    assert not captured
    for ours, theirs in zip(made(True), eager, strict=True):
        assert torch.equal(ours, theirs)
    assert captured == [64, 128]


def test_an_update_that_waits_runs_without_a_graph(
    made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextlib.contextmanager
    def waits() -> Iterator[None]:
        torch.rand(3)  # what the update had drawn before
        raise RuntimeError("called a synchronizing operation")
        yield

    monkeypatch.setattr(step_module, "_no_waiting", waits)
    with pytest.warns(RdbenchWarning, match="without a CUDA graph: called a synch"):
        found = made(True)
    for ours, theirs in zip(found, made(False), strict=True):
        assert torch.equal(ours, theirs)


def test_compiled_parts_compute_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def compiled(function: Any, **options: Any) -> Any:
        def call(*values: Any) -> Any:
            calls.append(function.__name__)
            return function(*values)

        return call

    torch.manual_seed(0)
    objective = QarvObjective({"config": "tiny"})
    images = torch.rand(1, 3, 64, 64)
    torch.manual_seed(1)
    eager = objective(images, {}).loss
    monkeypatch.setattr(torch, "compile", compiled)
    objective.compile_parts()
    torch.manual_seed(1)
    assert torch.equal(objective(images, {}).loss, eager)
    n_blocks = sum(isinstance(m, ConvNextBlock) for m in objective.modules())
    assert (calls.count("compute"), calls.count("gaussian_nats")) == (n_blocks, 9)


def test_training_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(function: Any, **options: Any) -> Any:
        raise RuntimeError("no C compiler\nlong trace")

    monkeypatch.setattr(torch, "compile", fails)
    with pytest.warns(RdbenchWarning, match=r"without torch\.compile: no C compiler$"):
        step_module.compile_parts(QarvObjective({"config": "tiny"}), CPU)
