"""Compare one QVRF network for all rates, and its rivals, with networks of one rate each.

    python benchmarks/qvrf_against_fixed_rates.py --data ~/photos --out tuned

All networks begin with the same QVRF weights (the bundled ones) and are trained on for the same
number of steps: QVRF, its rivals (their own parameters from their start values), and for each of
four levels the network that QVRF is at that level's regulator (`rdbench qvrf fix`), at that level's
lambda alone. All are measured on Kodak with real files; the table is that of
`rdbench variable-rate-penalty` (QVRF, Table 1). Run the same command again to
resume training.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from rdbench import bd_rate, run
from rdbench.analysis.selection import measured
from rdbench.analysis.variable_rate import variable_rate_penalty
from rdbench.cli.train import image_files
from rdbench.images import read_image
from rdbench.plugins import codec_class
from rdbench.spec import get_codec
from rdbench.types import TrainingOptions
from rdbench_codecs.hyperprior.codec import Qvrf
from rdbench_codecs.learned.base import LearnedCodec
from rdbench_codecs.learned.weights import bundled
from rdbench_codecs.training.loop import RecipeTraining
from rdbench_codecs.training.recipe import Recipe

DATASET = "kodak"
RIVALS = ("theis2017", "cui2021", "song2021")
LEVELS = (0, 2, 5, 7)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of training images")
    parser.add_argument("--out", type=Path, required=True, help="folder of weights and records")
    parser.add_argument("--baseline", default="mbt2018-mean")
    parser.add_argument(
        "--rivals", nargs="*", default=RIVALS, help="song2021 takes five times as long"
    )
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    methods = ["qvrf", *args.rivals]
    variable = [f"{method}-{args.baseline}:weights={of_method(args, method)}" for method in methods]
    for level in LEVELS:
        of_level(args, level)
    qualities = ",".join(str(level + 1) for level in LEVELS)
    fixed = f"{args.baseline}:weights={args.out}/q{{quality}}/weights.safetensors"
    run([*variable, f"{fixed},quality={qualities}"], DATASET, args.out / "reports")
    report(args.out / "reports", args.baseline)


def of_method(args: argparse.Namespace, method: str) -> Path:
    """Weights of a variable-rate method."""
    start = bundled(f"qvrf-{args.baseline}")
    return train_on(args, f"{method}-{args.baseline}", start, args.out / method, {})


def of_level(args: argparse.Namespace, level: int) -> Path:
    """Weights of the fixed-rate network of a level."""
    folder = args.out / f"q{level + 1}"
    folder.mkdir(parents=True, exist_ok=True)
    start = folder / "start.safetensors"
    qvrf_point(args, level).write_fixed(start)
    return train_on(args, args.baseline, start, folder, {"levels": [level]})


def qvrf_point(args: argparse.Namespace, level: int) -> Qvrf:
    point = get_codec(f"qvrf-{args.baseline}:weights=bundled,index={level}")
    assert isinstance(point, Qvrf)
    return point


def train_on(
    args: argparse.Namespace, codec: str, start: Path, folder: Path, settings: Mapping[str, Any]
) -> Path:
    """Train a network from weights, unless that is done."""
    network = qvrf_point(args, 0).load().network
    settings = {"lambda_balance": 0.5, **settings}
    stage = {"batch": 4, "crop": 256}
    noise = {
        **stage,
        "steps": args.steps,
        "learning_rate": 2e-4,
        "final_learning_rate": 2e-5,
        "precision": "bfloat16",
        "frozen": ["Gain"],
        "settings": settings,
    }
    straight_through = {
        **stage,
        "steps": args.steps // 5,
        "learning_rate": 2e-5,
        "final_learning_rate": 1e-6,
        "settings": {**settings, "quantization": "straight-through"},
    }
    channels = {"n": network.n, "m": network.m}
    recipe = Recipe.from_dict(
        {
            "network": channels,
            "start": str(start),
            "optimizer": "muon",
            "ema_decay": 0.99,
            "stages": [noise, straight_through],
        }
    )
    cls = codec_class(codec)
    assert issubclass(cls, LearnedCodec)
    options = TrainingOptions("", image_files(args.data), read_image, folder)
    if not RecipeTraining(cls.new_objective(channels), recipe, options).run(print):
        raise SystemExit("stopped; run the same command again to resume")
    return folder / "weights.safetensors"


def report(folder: Path, baseline: str) -> None:
    """Print how much more rate each variable-rate curve takes than the fixed-rate networks."""
    curves = measured(folder)
    fixed = [curve for curve in curves if curve.codec == baseline]
    ours = next(curve for curve in curves if curve.codec == f"qvrf-{baseline}")
    for curve in curves:
        if curve.codec == baseline:
            continue
        found = variable_rate_penalty(curve, fixed, "psnr", "poly3")
        print(f"{curve.codec}: {found.overall.bd_rate_percent:+.2f} % against fixed rates")
        for interval in found.intervals:
            low, high = interval.bpp_low, interval.bpp_high
            print(f"    {low:.3f} to {high:.3f} bpp: {interval.bd_rate_percent:+.2f} %")
        if curve is not ours:
            print(f"    against QVRF: {bd_rate(ours, curve).bd_rate_percent:+.2f} %")


if __name__ == "__main__":
    main()
