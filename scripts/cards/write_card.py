"""Write the card of bundled weights from the records of their training and measurement.

    python scripts/cards/write_card.py qvrf-mbt2018 --training first second --reports reports \
        --hardware "one core of an AMD EPYC (Zen 5)" --data data.txt

``--training`` takes folders of `rdbench train`. For a part trained with another loop, give a CSV
log (step, loss); a text file of the same name (.md) describes how it was trained. ``--reports`` is
a folder with Kodak records of the codec with its bundled weights and of the codecs it is compared
with. ``--data`` is a text about the training images. ``--note`` describes what was done between the
parts of the training.
"""

import argparse
import json
from itertools import accumulate
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from card_figure import draw_card

from rdbench import Store, bd_rate
from rdbench.analysis.measured import measured_curves
from rdbench.analysis.selection import select
from rdbench.analysis.summary import POINTS, summarize
from rdbench.columns import Column, plain
from rdbench.curve import Curve
from rdbench.plugins import codec_class
from rdbench.report.tables import table
from rdbench_codecs.learned.weights import bundled, read, sha256
from rdbench_codecs.training.recipe import Recipe

DATASET = "kodak"
POINTS_OF_A_CARD = [
    c for c in POINTS if c.key in ("setting", "n_measured", "bpp", "psnr_rgb", "ms_ssim")
]
RATES_OF_A_CARD = (
    *plain("anchor", "source"),
    Column("bd_rate_percent", "BD-rate", "%", 2, signed=True),
    Column("ci_low", "interval", "%", template="{ci_low:+.2f} to {ci_high:+.2f}"),
    Column("overlap_low", "range", "dB", template="{overlap_low:.1f} to {overlap_high:.1f}"),
)
RIVALS = ("vtm18", "hevc", "jpeg2000", "webp", "jpeg")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("codec")
    parser.add_argument("--training", type=Path, nargs="+", required=True)
    parser.add_argument("--reports", type=Path, required=True)
    parser.add_argument("--hardware", default="", help="hardware that `rdbench train` ran on")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--note", default="")
    args = parser.parse_args()
    card = bundled(args.codec).with_suffix(".md")
    figure = card.with_suffix(".svg")
    rows, curve, rivals = _measured(args.codec, args.reports)
    draw_card(args.codec, [_log(part) for part in args.training], curve, rivals, figure)
    card.write_text(
        "\n\n".join(
            [
                f"# {args.codec}: bundled weights",
                *_network(args.codec),
                "## Intended use and limits",
                _limits(curve),
                "## Training",
                *[text for part in args.training for text in _training(part, args)],
                *([args.note] if args.note else []),
                args.data.read_text().strip(),
                f"## Results on {DATASET}, measured on real files",
                f"![Training loss, rate and PSNR on {DATASET}]({figure.name})",
                *_results(rows, curve, rivals),
            ]
        )
        + "\n"
    )
    print(card)


def _network(codec: str) -> list[str]:
    path = bundled(codec)
    tensors, config = read(path)
    n = sum(t.numel() for t in tensors.values())
    title = codec_class(codec).title
    settings = json.dumps(config)
    return [
        f"A reduced network of {title}: {n:,} parameters, {path.stat().st_size / 1e6:.1f} MB in "
        "half precision. It lets you try the codec without a download; its results are not those "
        "of the published weights.",
        f"SHA-256 `{sha256(path)}`.\nSettings that differ from the published network:",
        f"    {settings}",
    ]


def _limits(curve: Curve) -> str:
    bpp, psnr = curve.bpp, curve.scores["psnr_rgb"]
    rates, qualities = f"{bpp[0]:.2f} to {bpp[-1]:.2f} bpp", f"{psnr[0]:.1f} to {psnr[-1]:.1f} dB"
    return f"""\
- Use these weights to try the codec, in tests and examples, and to study files, latents and rate
  control. They need no download.
- Do not use them to compare the paper with others: the published network is larger and was trained
  for longer. Tables and figures mark them with "(reduced network)".
- On Kodak they cover {rates} and {qualities}.
- They were trained on photographs for squared error. Other images, such as text or drawings, and
  quality as people see it were not measured."""


def _log(part: Path) -> Path:
    return part / "log.csv" if part.is_dir() else part


def _training(part: Path, args: argparse.Namespace) -> list[str]:
    if part.is_dir():
        return _trained(part, args)
    return [part.with_suffix(".md").read_text().strip()]


def _trained(folder: Path, args: argparse.Namespace) -> list[str]:
    content = torch.load(folder / "checkpoint.pt", weights_only=True)
    recipe = Recipe.from_dict(json.loads(content["recipe"]))
    log = pd.read_csv(_log(folder))
    steps = log["step"].diff().fillna(log["step"])
    batches = [recipe.at(step - 1)[0].batch for step in log["step"]]
    hours = float((steps * batches / log["images_per_s"]).sum()) / 3600
    bounds = [0, *accumulate(stage.steps for stage in recipe.stages)]
    stages: list[dict[str, Any]] = [
        {
            "steps": stage.steps,
            "batch": stage.batch,
            "crop": stage.crop,
            "learning_rate": f"{recipe.at(begin)[1]:.3g} to {recipe.at(end - 1e-6)[1]:.3g}",
            "precision": stage.precision,
            "frozen": " ".join(stage.frozen) or None,
            "settings": " ".join(f"{k}={v}" for k, v in stage.settings.items()) or None,
        }
        for stage, begin, end in zip(recipe.stages, bounds, bounds[1:], strict=False)
    ]
    before = [f.name for f in args.training[: args.training.index(folder)]]
    begin = before[-1] if before else recipe.start or "random numbers"
    return [
        f"**{folder.name}**: {content['step']:,} steps, {hours:.1f} hours on {args.hardware}, "
        f"shared with other work. Started from {begin}; {recipe.optimizer.capitalize()}, clip "
        f"{recipe.clip_norm:g}, moving average {recipe.ema_decay:g}, seed {recipe.seed}.",
        table([Column(key) for key in stages[0]], stages, "markdown").strip(),
    ]


def _measured(codec: str, reports: Path) -> tuple[list[dict[str, Any]], Curve, list[Curve]]:
    """Return the codec's table and curve, and the curves to compare it with, best first."""
    with Store(reports, create=False) as store:
        kept = [r for r in store.records() if r.codec == codec and r.dataset == DATASET]
        records = [r for r in kept if "weights=bundled" in r.spec]
        datasets = store.datasets()
        (curve,) = measured_curves(records, datasets, store.protocols())
    rows = summarize(records, datasets)
    rivals = [c for c in select(reports, DATASET).curves if c.codec in RIVALS]
    return rows, curve, sorted(rivals, key=lambda c: RIVALS.index(c.codec))


def _results(rows: list[dict[str, Any]], curve: Curve, rivals: list[Curve]) -> list[str]:
    rates = [bd_rate(rival, curve).row() | {"source": rival.source} for rival in rivals]
    return [
        table(POINTS_OF_A_CARD, rows, "markdown").strip(),
        "BD-rate (positive: this codec needs more bits than the anchor), from third-order "
        "polynomials of log rate over PSNR in their common range, with its 95 % confidence "
        "interval by paired bootstrap over the images:",
        table(RATES_OF_A_CARD, rates, "markdown").strip(),
    ]


if __name__ == "__main__":
    main()
