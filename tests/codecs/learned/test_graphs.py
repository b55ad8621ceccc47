"""Coding in recorded steps, with a recorder that repeats operations at their addresses."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from rdbench.types import Image
from rdbench_codecs.hyperprior import CODECS
from rdbench_codecs.learned import graphs
from rdbench_codecs.learned.base import LearnedCodec
from rdbench_codecs.qarv import Qarv


class Recorder(TorchDispatchMode):
    """Notes all operations; `replay` repeats them on the same tensors, as a CUDA graph does."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Callable[..., Any], Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default):
            raise AssertionError(f"{func} waits for the device")
        result = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, result))
        return result

    def replay(self) -> None:
        for func, args, kwargs, old in self.calls:
            new = func(*args, **kwargs)
            for to, value in zip(tree_leaves(old), tree_leaves(new), strict=True):
                if isinstance(to, torch.Tensor) and to.data_ptr() != value.data_ptr():
                    to.copy_(value)


def record(steps: Sequence[graphs.Step], device: torch.device) -> list[graphs.Step]:
    replays = []
    for step in steps:
        step()
    for step in steps:
        with Recorder() as recorder:
            step()
        replays.append(recorder.replay)
    return replays


def image(seed: int, height: int = 64, width: int = 128) -> Image:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 8, width // 8, 3))
    return np.kron(coarse, np.ones((8, 8, 1))).astype(np.uint8)


POINTS = {
    "qarv": [Qarv(weights="random-tiny", lambda_=value) for value in (16.0, 2000.0)],
    **{
        name: [CODECS[name](weights="random-tiny", **settings) for settings in both]
        for name, both in (
            ("qvrf-bmshj2018-hyperprior", ({"a": 1.0}, {"a": 3.5})),
            ("qvrf-mbt2018", ({"a": 1.0}, {"a": 3.5})),
            ("cui2021-mbt2018-mean", ({"level": 0.0}, {"level": 6.5})),
            ("song2021-mbt2018-mean", ({"level": 0.0}, {"level": 6.5})),
            ("mbt2018-mean", ({}, {})),
        )
        if name in CODECS
    },
}


@pytest.mark.parametrize("points", POINTS.values(), ids=POINTS)
def test_recorded_steps_code_like_others(
    points: list[LearnedCodec], monkeypatch: pytest.MonkeyPatch
) -> None:
    work = [(point, image(seed)) for seed in (1, 2) for point in points]
    work.append((points[0], image(3, 128, 64)))
    plain = [(p.latents(x), p.encode(x).data, p.decode(p.encode(x).data)) for p, x in work]
    n_recorded = 0

    def count(steps: Sequence[graphs.Step], device: torch.device) -> list[graphs.Step]:
        nonlocal n_recorded
        n_recorded += 1
        return record(steps, device)

    monkeypatch.setattr(graphs, "is_worthwhile", lambda *size: True)
    monkeypatch.setattr(graphs, "record", count)
    for model in {id(p.load()): p.load() for p in points}.values():
        model._encodings.forget()
        model._decodings.forget()
    for (point, pixels), (latents, data, decoded) in zip(work, plain, strict=True):
        assert point.encode(pixels).data == data
        np.testing.assert_array_equal(point.decode(data), decoded)
        for ours, other in zip(point.latents(pixels), latents, strict=True):
            np.testing.assert_array_equal(ours.value, other.value)
            np.testing.assert_array_equal(ours.ideal_bits, other.ideal_bits)
    assert n_recorded == 4  # encoder and decoder, once per size
    for model in {id(p.load()): p.load() for p in points}.values():
        model._encodings.forget()
        model._decodings.forget()
