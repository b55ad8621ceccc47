"""Time the updates of a training recipe, stage by stage: as `rdbench train` runs them, and eager.

    python benchmarks/training_speed.py --recipe reduced --device cuda --seconds 12 [--data PHOTOS]

On a GPU, `rdbench train` compiles parts of the network and replays each update as one CUDA graph;
`eager` does neither. Each stage of a size of its own is timed for --seconds after its first
updates, which compile and capture; their time is printed apart. Losses are means of the first and
of the last timed half: they must fall, or at least be finite.
"""

import argparse
import gc
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

import rdbench_datasets.sample
from rdbench.cli.train import image_files
from rdbench.errors import RdbenchError
from rdbench.images import read_image
from rdbench.plugins import codec_class
from rdbench_codecs.learned.base import LearnedCodec
from rdbench_codecs.learned.runtime import check_device
from rdbench_codecs.training.data import Crops
from rdbench_codecs.training.recipe import PRINCIPAL_COMPONENTS, Recipe, Stage
from rdbench_codecs.training.step import Step, compile_parts, training_on

SAMPLE = Path(rdbench_datasets.sample.__path__[0])
FIRST_UPDATES = 5
UPDATES_AT_ONCE = 5
LEARNING_RATE = 1e-4


@dataclass(frozen=True)
class Speed:
    """Of the updates of one stage.

    Attributes:
        mode: ``train`` as `rdbench train` runs, or ``eager``.
        crop, batch: pixels a side, crops per update.
        n_updates: timed.
        first_s: time of the first updates, which compile and capture, seconds.
        ms_per_step: time of an update, milliseconds.
        crops_per_s: crops per second.
        megapixels_per_s: a million pixels of crops per second.
        first_loss, last_loss: means over the first and the second half.
        memory_gib: largest memory that torch held on a GPU meanwhile, GiB; None on a CPU.
    """

    mode: str
    crop: int
    batch: int
    n_updates: int
    first_s: float
    ms_per_step: float
    crops_per_s: float
    megapixels_per_s: float
    first_loss: float
    last_loss: float
    memory_gib: float | None


def measure(
    codec: str,
    recipe_name: str,
    images: Sequence[Path],
    device_name: str,
    seconds: float,
    modes: Sequence[str] = ("train", "eager"),
    stage_numbers: Sequence[int] = (),
) -> Iterator[Speed]:
    """Time the updates of a recipe.

    Args:
        codec: name of a codec that can be trained.
        recipe_name: bundled recipe, or path of a ``.toml`` file.
        images: files of the training images.
        device_name: ``cpu``, ``cuda`` or ``cuda:N``.
        seconds: of each stage in each mode, after its first updates.
        modes: ``train``, ``eager`` or both.
        stage_numbers: stages to time, from 1; the first of each size by default.

    Raises:
        RdbenchError: no such codec, recipe, device; images that cannot be used.
    """
    cls = codec_class(codec)
    if not issubclass(cls, LearnedCodec):
        raise RdbenchError(f"codec {codec!r} cannot be trained")
    check_device(device_name)
    device = torch.device(device_name)
    recipe = cls.recipe(recipe_name)
    stages = [recipe.stages[i - 1] for i in stage_numbers] or _by_size(recipe)
    with training_on(device):
        crops = Crops(images, read_image, recipe, device)
        crops.hold(0)
        for mode in modes:
            step = _make_step(cls, recipe, crops, device, mode)
            for stage in stages:
                yield _time(step, stage, mode, device, seconds)
            del step  # frees the memory of its graph
            gc.collect()


def _by_size(recipe: Recipe) -> list[Stage]:
    first: dict[tuple[int, int], Stage] = {}
    for stage in recipe.stages:
        first.setdefault((stage.crop, stage.batch), stage)
    return list(first.values())


def _make_step(
    cls: type[LearnedCodec], recipe: Recipe, crops: Crops, device: torch.device, mode: str
) -> Step:
    torch.manual_seed(recipe.seed)
    objective = cls.new_objective(recipe.network).to(device)
    if recipe.start == PRINCIPAL_COMPONENTS:
        objective.start_from_components(crops.cut(64, recipe.stages[0].crop))
    if mode == "train" and device.type == "cuda":
        compile_parts(objective, device)
    return Step(objective, recipe, crops, device, graphs=mode == "train")


def _time(step: Step, stage: Stage, mode: str, device: torch.device, seconds: float) -> Speed:
    n_updates = 0

    def update(n: int) -> None:
        nonlocal n_updates
        for _ in range(n):
            step(stage, n_updates, LEARNING_RATE, 0.0)
            n_updates += 1
        _wait(device)

    begin = time.perf_counter()
    update(FIRST_UPDATES)
    first_s = time.perf_counter() - begin
    step.losses()
    losses: list[float] = []
    begin = time.perf_counter()
    while len(losses) < 2 or time.perf_counter() - begin < seconds:
        update(UPDATES_AT_ONCE)
        losses.append(step.losses()[0])
    n_updates -= FIRST_UPDATES
    each_s = (time.perf_counter() - begin) / n_updates
    half = len(losses) // 2
    return Speed(
        mode=mode,
        crop=stage.crop,
        batch=stage.batch,
        n_updates=n_updates,
        first_s=first_s,
        ms_per_step=1000 * each_s,
        crops_per_s=stage.batch / each_s,
        megapixels_per_s=stage.batch * stage.crop**2 / each_s / 1e6,
        first_loss=sum(losses[:half]) / half,
        last_loss=sum(losses[half:]) / (len(losses) - half),
        memory_gib=_memory_gib(device),
    )


def _memory_gib(device: torch.device) -> float | None:
    """Largest memory in use since the last call."""
    if device.type != "cuda":
        return None
    n_bytes = torch.cuda.max_memory_reserved(device)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    return n_bytes / 2**30


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--codec", default="qarv")
    parser.add_argument("--recipe", default="reduced", help="bundled recipe or .toml file")
    parser.add_argument("--data", type=Path, default=SAMPLE, help="folder of images")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seconds", type=float, default=10.0, help="per stage and mode")
    parser.add_argument("--modes", nargs="+", default=["train", "eager"])
    parser.add_argument("--stages", type=int, nargs="+", default=[], help="numbers, from 1")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(f"torch {torch.__version__}, {_device_name(args.device)}, recipe {args.recipe}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            for speed in measure(
                args.codec, args.recipe, image_files(args.data), args.device,
                args.seconds, args.modes, args.stages,
            ):  # fmt: skip
                values = {k: v for k, v in asdict(speed).items() if v is not None}
                texts = (f"{v:.4g}" if isinstance(v, float) else f"{v}" for v in values.values())
                print(", ".join(f"{k} {v}" for k, v in zip(values, texts, strict=True)), flush=True)
    except (RdbenchError, RuntimeError) as error:
        sys.exit(f"training_speed: {type(error).__name__}: {error}")


def _device_name(device: str) -> str:
    has_gpu = device.startswith("cuda") and torch.cuda.is_available()
    return torch.cuda.get_device_name(device) if has_gpu else device


if __name__ == "__main__":
    main()
