"""Counted complexity against hand counts and published parameter counts."""

import itertools
from dataclasses import dataclass
from typing import ClassVar

import pytest

from rdbench.analysis.complexity import complexity
from rdbench.errors import UsageError
from rdbench.plugins import codec_class
from rdbench.types import Codec
from rdbench_codecs.conventional.null import Null

N, M = 16, 24


def codec(name: str, **settings: object) -> Codec:
    return codec_class(name)(**{"weights": "random-tiny", **settings})


def test_macs_of_a_scale_hyperprior_by_hand() -> None:
    """Per pixel of the image: kernel x input x output over the square of the stride so far."""
    taps = 25
    g_a = taps * (3 * N / 4 + N * N / 16 + N * N / 64 + N * M / 256)
    gdn = N * N / 4 + N * N / 16 + N * N / 64
    h_a = 9 * M * N / 256 + taps * (N * N / 1024 + N * N / 4096)
    h_s = taps * (N * N / 4096 + N * N / 1024) + 9 * N * M / 256
    cost = complexity(codec("bmshj2018-hyperprior"))
    # Transposed convolutions compute a row and a column that they do not need at odd positions.
    assert cost.encoder.macs_per_pixel == pytest.approx(g_a + gdn + h_a + h_s, rel=0.02)
    # The last transposed convolution has taps that are zero where it is made for a CPU.
    assert 1 < cost.decoder.macs_per_pixel / (g_a + gdn + h_s) < 1.2


def test_context_model_counts_the_taps_it_sees() -> None:
    """The same network without its context model is mbt2018-mean."""
    with_context = complexity(codec("mbt2018")).decoder.macs_per_pixel
    without = complexity(codec("mbt2018-mean")).decoder.macs_per_pixel
    hidden = (4 * M, M * 10 // 3, M * 8 // 3, 2 * M)
    layers = sum(a * b for a, b in itertools.pairwise(hidden))
    assert with_context - without == pytest.approx((12 * M * 2 * M + layers) / 256, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "million"),
    [
        ("mbt2018-mean", 98.4),  # QARV's Table 1, all rates together
        ("mbt2018", 158.5),
        ("cheng2020-anchor", 115.3),
    ],
)
def test_parameters_of_all_rates(name: str, million: float) -> None:
    cls = codec_class(name)
    ladder = cls(weights="random").ladder()  # type: ignore[call-arg]
    total = sum(point.parameter_counts()["total"] for point in ladder)  # type: ignore[attr-defined]
    assert total / 1e6 == pytest.approx(million, abs=0.05)


@pytest.mark.parametrize(
    ("method", "percent"), [("theis2017", 0.02166), ("cui2021", 0.06932), ("qvrf", 0.00007)]
)
def test_extra_parameters_of_table_2(method: str, percent: float) -> None:
    counts = [
        codec_class(name)(weights="random", **settings).parameter_counts()["total"]  # type: ignore[call-arg, attr-defined]
        for name, settings in [
            (f"{method}-bmshj2018-hyperprior", {}),
            ("bmshj2018-hyperprior", {"quality": 8}),
        ]
    ]
    assert 100 * (counts[0] / counts[1] - 1) == pytest.approx(percent, abs=1e-5)


def test_extra_products_are_those_of_the_method() -> None:
    base = complexity(codec("mbt2018-mean"))
    macs = base.encoder.macs_per_pixel + base.decoder.macs_per_pixel
    y, z = M / 256, N / 4096  # elements a pixel
    for name, setting, products in [
        ("theis2017", {"level": 2.0}, 2 * y),
        ("cui2021", {"level": 2.0}, 2 * y + 3 * z),  # both sides undo the gain of z
        ("qvrf", {"a": 2.0}, 5 * y),
    ]:
        more = complexity(codec(f"{name}-mbt2018-mean", **setting)).extra(base)
        assert more["extra_macs_percent"] == pytest.approx(100 * products / macs, rel=0.02)


def test_a_variable_rate_codec_is_one_model() -> None:
    assert complexity(codec("qvrf-mbt2018-mean")).n_models == 1
    assert complexity(codec("mbt2018-mean")).n_models == 8


@dataclass(frozen=True)
class _Other(Null):
    name: ClassVar[str] = "other"


def test_codecs_without_a_network_are_refused() -> None:
    with pytest.raises(UsageError, match="no network"):
        complexity(_Other())
