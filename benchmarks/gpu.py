"""Check and time the learned codecs on a GPU, next to the CPU of the same machine.

    python benchmarks/gpu.py [--images FOLDER] [--out gpu.json] [--training]

Prints tables and writes a JSON file. Parts: agreement of files between CPU and GPU, time by stage,
what the GPU runs while it decodes, depth-wise convolutions, and training. A part that fails prints
why, and the next begins. ``--device cpu`` tries the script without a GPU.
"""

import argparse
import json
import statistics
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from rdbench.images import read_image
from rdbench.stages import collect_entropy_parameters, listen
from rdbench.types import Image, TrainingOptions
from rdbench_codecs.hyperprior import CODECS
from rdbench_codecs.learned.base import LearnedCodec
from rdbench_codecs.qarv import Qarv

SAMPLE = Path(__file__).parents[1] / "datasets" / "rdbench_datasets" / "sample"
HYPERPRIOR = (
    "qvrf-bmshj2018-hyperprior", "qvrf-mbt2018-mean", "qvrf-mbt2018", "qvrf-cheng2020-attn",
)  # fmt: skip
SCALES = 0.1, 256.0
"""Scales whose difference between devices counts; others have the same table anyway."""

Rows = list[dict[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--images", type=Path, help="Folder of more images to code on both.")
    parser.add_argument("--max-images", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--height", type=int, default=512)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    parser.add_argument("--tiny", action="store_true", help="Random tiny networks, for a trial.")
    parser.add_argument("--training", action="store_true", help="Also time steps of training.")
    args = parser.parse_args()
    found: dict[str, Any] = {"machine": machine(args.device)}
    print(found["machine"], flush=True)
    for name in [*args.parts, *(["training"] if args.training else [])]:
        started = time.perf_counter()
        print(f"\n== {name}", flush=True)
        try:
            found[name] = {**PARTS, "training": training}[name](args)
        except Exception:
            found[name] = {"error": traceback.format_exc()}
            print(found[name]["error"], flush=True)
        print(f"   ({time.perf_counter() - started:.1f} s)", flush=True)
        args.out.write_text(json.dumps(found, indent=1))


def machine(device: str) -> dict[str, Any]:
    """Return what the results depend on."""
    return {
        "torch": torch.__version__,
        "numpy": np.__version__,
        "gpu": torch.cuda.get_device_name() if device != "cpu" else None,
        "cpu_threads": torch.get_num_threads(),
    }


def table(rows: Rows) -> None:
    """Print rows in columns."""
    if not rows:
        return
    lines = [list(rows[0]), *([_short(v) for v in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)))
    print(end="", flush=True)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


# Agreement


def agreement(args: argparse.Namespace) -> dict[str, Any]:
    """Decode files of each device on the other."""
    images = dict(_images(args))
    rows, errors = [], {}
    for name, codec in _points(args.tiny):
        try:
            rows.append(_agreement(name, [_agree(codec, x, args.device) for x in images.values()]))
            table(rows[-1:])
        except Exception as error:
            errors[name] = traceback.format_exc()
            print(f"{name}: {type(error).__name__}: {error}", flush=True)
    print()
    table(rows)
    shapes = {name: image.shape for name, image in images.items()}
    return {"images": shapes, "rows": rows, "errors": errors}


def _agreement(name: str, found: Rows) -> dict[str, Any]:
    return {
        "codec": name,
        "images": len(found),
        "failures": sum(len(each["failures"]) for each in found),
        "log_scale": max(each["log_scale"] for each in found),
        "levels": max(each["levels"] for each in found),
        "other_pixels_%": 100 * statistics.fmean(each["share"] for each in found),
        "equal_files": sum(each["equal_files"] for each in found),
        "bytes_%": 100 * statistics.fmean(each["bytes"] for each in found) - 100,
        "first_failure": next((f for each in found for f in each["failures"]), ""),
    }


def _agree(codec: LearnedCodec, image: Image, device: str) -> dict[str, Any]:
    points = {"cpu": codec, "gpu": replace(codec, device=device)}
    files = {name: point.encode(image).data for name, point in points.items()}
    failures: list[str] = []
    log_scale = levels = share = 0.0
    for maker, data in files.items():
        decoded, scales = [], []
        for reader, point in points.items():
            try:
                with collect_entropy_parameters() as told:
                    decoded.append(np.rint(255 * point.decode(data)))
                scales.append({k: np.concatenate(v.scales) for k, v in told.items()})
            except Exception as error:
                failures.append(f"{maker}->{reader}: {type(error).__name__}: {error}")
        if len(decoded) == 2:
            difference = np.abs(decoded[0] - decoded[1])
            levels, share = max(levels, float(difference.max())), float((difference > 0).mean())
            log_scale = max(log_scale, _log_difference(*scales))
    sizes = [len(data) for data in files.values()]
    return {
        "failures": failures, "log_scale": log_scale, "levels": levels, "share": share,
        "equal_files": len(set(files.values())) == 1, "bytes": sizes[-1] / sizes[0],
    }  # fmt: skip


def _log_difference(a: dict[str, Any], b: dict[str, Any]) -> float:
    largest = 0.0
    for name in a:
        counted = (a[name] > SCALES[0]) & (a[name] < SCALES[1])
        with np.errstate(divide="ignore", invalid="ignore"):
            difference = np.abs(np.log(a[name] / b[name].astype(np.float64)))[counted]
        largest = max(largest, float(difference.max(initial=0)))
    return largest


def _images(args: argparse.Namespace) -> Iterator[tuple[str, Image]]:
    for path in sorted(SAMPLE.glob("*.png")):
        image = read_image(path)
        yield path.stem, image[:64, :64] if args.tiny else image
    files = sorted(args.images.glob("*.png")) if args.images else []
    for path in files[: args.max_images]:
        yield path.stem, read_image(path)


def _points(tiny: bool) -> Iterator[tuple[str, LearnedCodec]]:
    weights = "random-tiny" if tiny else "bundled"
    for lambda_ in (16.0, 256.0, 2048.0):
        yield f"qarv lambda={lambda_:g}", Qarv(weights=weights, lambda_=lambda_)
    for name in HYPERPRIOR:
        for index in (0, 3, 7):
            codec: Any = CODECS[name]
            yield f"{name} index={index}", codec(weights=weights, index=index)


# Time


def latency(args: argparse.Namespace) -> Rows:
    """Time encode and decode, and their stages, on both devices."""
    image, rows = made_up_image(args), []
    for name, codec in _timed(args):
        try:
            rows.append(_time(name, codec, image, args.repeats))
            table([{k: v for k, v in rows[-1].items() if k != "stages_ms"}])
            print(f"    {rows[-1]['stages_ms']}", flush=True)
        except Exception:
            rows.append({"codec": name, "error": traceback.format_exc()})
            print(rows[-1]["error"], flush=True)
    return rows


def made_up_image(args: argparse.Namespace) -> Image:
    """Return a photograph, repeated to the size that is asked for."""
    image = read_image(SAMPLE / "astronaut.png")
    repeats = -(-args.height // image.shape[0]), -(-args.width // image.shape[1]), 1
    return np.ascontiguousarray(np.tile(image, repeats)[: args.height, : args.width])


def _timed(args: argparse.Namespace) -> Iterator[tuple[str, LearnedCodec]]:
    tiny = "random-tiny" if args.tiny else ""
    for weights in ("bundled", "random"):
        codec = Qarv(weights=tiny or weights, lambda_=512.0)
        for lambda_ in (64.0, 512.0, 2048.0) if weights == "bundled" else (512.0,):
            point = replace(codec, lambda_=lambda_, device=args.device)
            yield f"qarv {weights} lambda={lambda_:g} {args.device}", point
        if args.device != "cpu":
            half = replace(codec, device=args.device, precision="half")
            yield f"qarv {weights} half {args.device}", half
        yield f"qarv {weights} cpu", codec
    for name in HYPERPRIOR:
        make: Any = CODECS[name]
        codec = make(weights=tiny or "bundled", index=3)
        yield f"{name} {args.device}", replace(codec, device=args.device)
        yield f"{name} cpu", codec


def _time(name: str, codec: LearnedCodec, image: Image, repeats: int) -> dict[str, Any]:
    repeats = repeats if codec.on_gpu else min(repeats, 2)
    started = time.perf_counter()
    data = codec.encode(image).data
    first_encode = time.perf_counter() - started
    started = time.perf_counter()
    codec.decode(data)
    first_decode = time.perf_counter() - started
    work: dict[str, Callable[[], object]] = {
        "encode": lambda: codec.encode(image), "decode": lambda: codec.decode(data),
    }  # fmt: skip
    row: dict[str, Any] = {"codec": name, "bytes": len(data)}
    stages = {}
    for direction, call in work.items():
        times = sorted(_seconds(call) for _ in range(repeats))
        row[f"{direction}_ms"] = 1e3 * statistics.median(times)
        row[f"{direction}_min_ms"] = 1e3 * times[0]
        stages[direction] = _stages(call, max(1, repeats // 2))
    row |= {"first_encode_s": first_encode, "first_decode_s": first_decode}
    if codec.on_gpu:
        row["gpu_MiB"] = torch.cuda.max_memory_reserved() / 2**20
    return row | {"stages_ms": stages}


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _stages(call: Callable[[], object], repeats: int) -> dict[str, float]:
    found: list[dict[str, float]] = []
    for _ in range(repeats):
        with listen(_clock) as watch:
            seconds = _seconds(call)
        found.append({**watch.seconds, "other": seconds - sum(watch.seconds.values())})
    return {k: round(1e3 * statistics.median(x.get(k, 0) for x in found), 3) for k in found[0]}


def _clock() -> float:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter()


# What the GPU runs


def profile(args: argparse.Namespace) -> dict[str, Any]:
    """Count and time the kernels of one encode and one decode."""
    image, found = made_up_image(args), {}
    tiny = "random-tiny" if args.tiny else ""
    attention: Any = CODECS["qvrf-cheng2020-attn"]
    mean: Any = CODECS["qvrf-mbt2018-mean"]
    codecs: dict[str, LearnedCodec] = {
        "qarv bundled": Qarv(weights=tiny or "bundled", device=args.device),
        "qarv random": Qarv(weights=tiny or "random", device=args.device),
        "qvrf-mbt2018-mean": mean(weights=tiny or "bundled", index=3, device=args.device),
        "qvrf-cheng2020-attn": attention(weights=tiny or "bundled", index=3, device=args.device),
    }
    for name, codec in codecs.items():
        try:
            data = codec.encode(image).data
            codec.decode(data)
            found[f"{name} encode"] = _profile(f"{name} encode", partial(codec.encode, image))
            found[f"{name} decode"] = _profile(f"{name} decode", partial(codec.decode, data))
        except Exception:
            found[name] = {"error": traceback.format_exc()}
            print(found[name]["error"], flush=True)
    return found


def _profile(name: str, call: Callable[[], object]) -> dict[str, Any]:
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiler

    activities = [ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(ProfilerActivity.CUDA)
    with profiler(activities=activities) as prof:
        call()
        _clock()
    on_gpu: dict[str, list[float]] = {}
    calls: dict[str, int] = {}
    for event in prof.events():
        if event.device_type == torch.autograd.DeviceType.CUDA:
            on_gpu.setdefault(event.name, []).append(event.time_range.elapsed_us())
        elif event.name.startswith("cuda"):
            calls[event.name] = calls.get(event.name, 0) + 1
    top = sorted(on_gpu.items(), key=lambda item: -sum(item[1]))[:25]
    rows = [{"us": sum(t), "calls": len(t), "kernel": n[:90]} for n, t in top]
    n_kernels, total_us = sum(map(len, on_gpu.values())), sum(map(sum, on_gpu.values()))
    print(f"{name}: {n_kernels} kernels and copies, {total_us / 1e3:.2f} ms; {calls}")
    table(rows[:12])
    return {"kernels": n_kernels, "gpu_ms": total_us / 1e3, "calls": calls, "top": rows}


# Alternatives


def kernels(args: argparse.Namespace) -> Rows:
    """Time alternatives for depth-wise convolution and norm, and the products of QARV's blocks."""
    rows, shapes = [], [(192, 128, 96, 5), (192, 128, 128, 7), (96, 64, 192, 5), (96, 64, 256, 7),
                        (48, 32, 256, 5), (48, 32, 384, 5), (24, 16, 512, 3)]  # fmt: skip
    if args.tiny:
        shapes = shapes[-1:]
    for width, height, channels, size in shapes:
        x = torch.randn(1, channels, height, width, device=args.device)
        rows.append(_time_block(x.contiguous(memory_format=torch.channels_last), size))
        table(rows[-1:])
    return rows


@torch.inference_mode()
def _time_block(x: torch.Tensor, size: int) -> dict[str, Any]:
    from rdbench_codecs.qarv import gpu

    channels, device = x.shape[1], x.device
    weight = torch.randn(channels, 1, size, size, device=device)
    bias, scale, shift = torch.randn(3, channels, device=device)
    taps = weight[:, 0].flatten(1).t().contiguous()
    last = weight.contiguous(memory_format=torch.channels_last)
    rows = x.permute(0, 2, 3, 1).reshape(-1, channels)
    first, plain = torch.randn(2 * channels, channels, device=device), x.contiguous()
    hidden = functional.linear(rows, first)

    def convolve(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return functional.conv2d(x, weight, bias, padding=size // 2, groups=channels)

    def norm() -> torch.Tensor:
        return functional.layer_norm(rows, (channels,), scale, shift, 1e-6)

    fused = gpu.depthwise_norm(x, taps, bias, scale, shift, 1e-6)
    y = convolve(plain, weight)
    expected = functional.layer_norm(
        y.permute(0, 2, 3, 1).reshape(-1, channels), (channels,), scale, shift, 1e-6
    )
    return {
        "shape": f"{x.shape[3]}x{x.shape[2]}x{channels} k{size}",
        "fused_us": _device_us(lambda: gpu.depthwise_norm(x, taps, bias, scale, shift, 1e-6)),
        "channels_last_us": _device_us(lambda: convolve(x, last)),
        "contiguous_us": _device_us(lambda: convolve(plain, weight)),
        "norm_us": _device_us(norm),
        "gelu_us": _device_us(lambda: torch.ops.aten.gelu_(hidden)),
        "fc1_us": _device_us(lambda: functional.linear(rows, first)),
        "fc1_tflops": 4e-6 * channels**2 * len(rows)
        / _device_us(lambda: functional.linear(rows, first)),
        "difference": float((fused - expected).abs().max()),
    }  # fmt: skip


def _device_us(call: Callable[[], object], repeats: int = 20) -> float:
    """Time per call in microseconds, launches excluded on a GPU."""
    from rdbench_codecs.learned.graphs import record

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def many() -> None:
        for _ in range(repeats):
            call()

    (run,) = record([many], device)
    run()
    _clock()
    times = []
    for _ in range(3):
        started = _clock()
        run()
        times.append(_clock() - started)
    return 1e6 * min(times) / repeats


# Training


def training(args: argparse.Namespace) -> Rows:
    """Time steps of the bundled weights' recipe, images read by other processes."""
    text = (
        Path(__file__).parents[1] / "codecs/rdbench_codecs/qarv/recipes/reduced.toml"
    ).read_text()
    lines = ["steps = 150" if line.startswith("steps") else line for line in text.splitlines()
             if not line.startswith("start")]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        recipe = Path(folder) / "recipe.toml"
        recipe.write_text("\n".join(lines))
        rows: Rows = []
        options = TrainingOptions(
            recipe=str(recipe), images=sorted(SAMPLE.glob("*.png")), read=read_image,
            out=Path(folder) / "out", device=args.device, loaders=8,
        )  # fmt: skip
        options.out.mkdir()
        started = time.perf_counter()

        def note(progress: Any) -> None:
            rows.append(
                {
                    "step": progress.step,
                    "images_per_s": progress.images_per_s,
                    "seconds": time.perf_counter() - started,
                    "loss": progress.loss,
                }
            )

        Qarv.training(options).run(note)
    table(rows)
    return rows


PARTS: dict[str, Callable[[argparse.Namespace], Any]] = {
    "latency": latency,
    "profile": profile,
    "agreement": agreement,
    "kernels": kernels,
}


if __name__ == "__main__":
    main()
