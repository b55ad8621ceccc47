"""What one QVRF network for all rates loses to networks of it that are trained on at one rate each.

    python benchmarks/qvrf_against_fixed_rates.py --data ~/photos --out tuned [--rival NAME=WEIGHTS]

For each level, the QVRF network at that level's regulator is written as a fixed-rate network
(`rdbench qvrf fix`) and trained on at that level's lambda. All are measured on Kodak with real
files; the table is that of `rdbench variable-rate-penalty` (QVRF, Table 1). A rival is a method and
weights of it, such as ``theis2017=theis/weights.safetensors``, measured in the same way.
"""

import argparse
from pathlib import Path

import torch

from rdbench import bd_rate, run
from rdbench.analysis.gather import measured
from rdbench.analysis.variable_rate import variable_rate_penalty
from rdbench.registry import codec_from_spec
from rdbench_codecs.hyperprior.codec import Qvrf
from rdbench_codecs.training.loop import train
from rdbench_codecs.training.recipe import Recipe
from rdbench_codecs.training.trainable import Trainable

DATASET = "kodak"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of training pictures")
    parser.add_argument("--out", type=Path, required=True, help="folder of weights and records")
    parser.add_argument("--baseline", default="mbt2018-mean")
    parser.add_argument("--levels", type=int, nargs="+", default=[0, 2, 5, 7])
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--learning-rate", type=float, default=2e-5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rival", action="append", default=[], metavar="METHOD=WEIGHTS")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    for level in args.levels:
        tune(args, level)
    qualities = ",".join(str(level + 1) for level in args.levels)
    fixed = f"{args.baseline}:weights={args.out}/q{{quality}}.safetensors,quality={qualities}"
    rivals = [rival.split("=", 1) for rival in args.rival]
    specs = [f"{method}-{args.baseline}:weights={path}" for method, path in rivals]
    run([f"qvrf-{args.baseline}", fixed, *specs], DATASET, args.out / "reports")
    report(args.out / "reports", args.baseline)


def tune(args: argparse.Namespace, level: int) -> None:
    """Train the fixed-rate network of a level on, unless that is done."""
    weights = args.out / f"q{level + 1}.safetensors"
    if weights.is_file():
        return
    args.out.mkdir(parents=True, exist_ok=True)
    point = codec_from_spec(f"qvrf-{args.baseline}:index={level}")
    cls = type(codec_from_spec(args.baseline))
    assert isinstance(point, Qvrf)
    assert issubclass(cls, Trainable)
    network = point.load().network
    start = args.out / f"start{level + 1}.safetensors"
    point.write_fixed(start)
    stage = {
        "steps": args.steps,
        "batch": 4,
        "crop": 128,
        "learning_rate": args.learning_rate,
        "final_learning_rate": args.learning_rate / 10,
        "settings": {"levels": [level], "quantization": "straight-through"},
    }
    channels = {"n": network.n, "m": network.m}
    recipe = Recipe.from_dict(
        {"network": channels, "start": str(start), "ema_decay": 0.999, "stages": [stage]}
    )
    folder = args.out / f"level{level}"
    train(cls.new_objective(channels), recipe, args.data, folder, on_progress=print)
    (folder / "weights.safetensors").rename(weights)


def report(folder: Path, baseline: str) -> None:
    """Print how much more rate each variable-rate curve takes than the fixed-rate networks."""
    curves = measured(folder)
    fixed = [curve for curve in curves if curve.codec == baseline]
    for curve in curves:
        if curve.codec == baseline:
            continue
        found = variable_rate_penalty(curve, fixed, "psnr", "poly3")
        print(f"{curve.codec}: {found.overall.bd_rate_percent:+.2f} % against fixed rates")
        for interval in found.intervals:
            low, high = interval.bpp_low, interval.bpp_high
            print(f"    {low:.3f} to {high:.3f} bpp: {interval.bd_rate_percent:+.2f} %")
    ours = next(curve for curve in curves if curve.codec == f"qvrf-{baseline}")
    for curve in curves:
        if curve.codec not in (baseline, ours.codec):
            print(f"{curve.codec} against QVRF: {bd_rate(ours, curve).bd_rate_percent:+.2f} %")


if __name__ == "__main__":
    main()
