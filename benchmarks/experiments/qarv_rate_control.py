"""What QARV's continuous rate control costs against networks of one rate, and against QSF.

    python benchmarks/qarv_rate_control.py --data ~/photos --out rate-control

The same small network is trained three ways from principal components, with the same number of
steps and the same images: for every lambda (adaptive layer norm, the paper's), for every lambda
with quality scaling factors (QSF, Figure 7), and for one lambda at a time. All are measured on
Kodak with real files. Run the same command again to resume training.
"""

import argparse
from pathlib import Path
from typing import Any

import torch

from rdbench import bd_rate, run
from rdbench.analysis.selection import measured
from rdbench.analysis.variable_rate import variable_rate_penalty
from rdbench.cli.train import image_files
from rdbench.curve import Curve
from rdbench.images import read_image
from rdbench.types import TrainingOptions
from rdbench_codecs.qarv.objective import QarvObjective
from rdbench_codecs.training.loop import RecipeTraining
from rdbench_codecs.training.recipe import Recipe

DATASET = "kodak"
FIXED_LAMBDAS = (32, 128, 512, 2048)
SMALL = {
    "config": "base",
    "latents": (1, 1, 2, 2),
    "latent_channels": (16, 32, 64, 16),
    "encoder_widths": (32, 96, 128, 128, 128),
    "encoder_depths": (1, 2, 2, 1, 1),
    "encoder_kernels": (3, 3, 5, 3, 1),
    "join_kernel": 3,
    "decoder_widths": (128, 128, 128, 96, 32),
    "decoder_kernels": (1, 3, 5, 3, 3),
    "decoder_ratios": (2.0, 2.0, 2.0, 2.0, 2.0),
    "blocks_before": (0, 1, 1, 1, 3),
    "embedding_channels": 64,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of training images")
    parser.add_argument("--out", type=Path, required=True, help="folder of weights and records")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    reports = args.out / "reports"
    continuous = weights(args, "continuous", {"lambda_sampling": "log"})
    qsf = weights(args, "qsf", {"lambda_sampling": "discrete"})
    fixed = [weights(args, "fixed", {"lambda": value}) for value in FIXED_LAMBDAS]
    lambdas = "lambda=16,32,64,128,256,512,1024,2048"
    specs = [f"qarv:weights={path},{lambdas}" for path in (continuous, qsf)]
    specs += [
        f"qarv:weights={path},lambda={v}" for path, v in zip(fixed, FIXED_LAMBDAS, strict=True)
    ]
    run(specs, DATASET, reports)
    report(reports, continuous, qsf)


def weights(args: argparse.Namespace, rate_control: str, settings: dict[str, Any]) -> Path:
    """Train one network, unless that is done."""
    network = {**SMALL, "rate_control": rate_control}
    stage = {
        "steps": args.steps,
        "batch": 8,
        "crop": 128,
        "learning_rate": 6e-4,
        "final_learning_rate": 1e-5,
        "precision": "bfloat16",
        "settings": {"lambda_balance": 0.5, **settings},
    }
    recipe = Recipe.from_dict(
        {
            "network": network,
            "start": "principal components",
            "clip_norm": 2.0,
            "ema_decay": 0.999,
            "stages": [stage],
        }
    )
    folder = args.out / "-".join([rate_control, *map(str, settings.values())])
    options = TrainingOptions("", image_files(args.data), read_image, folder)
    if not RecipeTraining(QarvObjective(network), recipe, options).run(print):
        raise SystemExit("stopped; run the same command again to resume")
    return folder / "weights.safetensors"


def report(folder: Path, continuous: Path, qsf: Path) -> None:
    """Print what the variable-rate networks lose to those of one rate, and to each other."""
    curves = measured(folder)
    ours, rival = (_of(curves, path) for path in (continuous, qsf))
    fixed = [c for c in curves if c is not ours and c is not rival]
    for name, curve in (("AdaLN", ours), ("QSF", rival)):
        found = variable_rate_penalty(curve, fixed, "psnr", "poly3")
        print(f"{name}: {found.overall.bd_rate_percent:+.2f} % against fixed lambdas")
        for interval in found.intervals:
            low, high = interval.bpp_low, interval.bpp_high
            print(f"    {low:.3f} to {high:.3f} bpp: {interval.bd_rate_percent:+.2f} %")
    print(f"QSF against AdaLN: {bd_rate(ours, rival).bd_rate_percent:+.2f} %")


def _of(curves: list[Curve], weights_path: Path) -> Curve:
    return next(c for c in curves if any(str(weights_path) in spec for spec in c.specs))


if __name__ == "__main__":
    main()
