"""A variable-rate curve against the envelope of its fixed-rate models."""

import numpy as np
import pytest

from rdbench.analysis.bd import bd_rate
from rdbench.analysis.variable_rate import envelope, variable_rate_penalty
from rdbench.curve import Curve
from rdbench.errors import DataError, UsageError
from rdbench.published import load_curve


def curve(bpp: object, psnr: object, codec: str = "c", dataset: str = "d") -> Curve:
    return Curve(
        codec=codec,
        dataset=dataset,
        bpp=np.asarray(bpp, float),
        scores={"psnr_rgb": np.asarray(psnr, float)},
        source="measured",
    )


RATES = np.geomspace(0.1, 1.6, 9)
QUALITIES = 40 + 6 * np.log2(RATES)


def test_a_constant_loss_is_the_same_in_every_interval() -> None:
    penalty = variable_rate_penalty(curve(1.05 * RATES, QUALITIES), curve(RATES, QUALITIES))
    assert penalty.overall.bd_rate_percent == pytest.approx(5)
    assert [i.bd_rate_percent for i in penalty.intervals] == pytest.approx([5, 5, 5])
    assert penalty.mean_of_intervals_percent == pytest.approx(5)
    edges = [i.bpp_low for i in penalty.intervals] + [penalty.intervals[-1].bpp_high]
    np.testing.assert_allclose(np.diff(np.log(edges)), np.log(16) / 3)


def test_intervals_show_where_the_loss_is() -> None:
    factor = np.exp(np.linspace(-0.05, 0.05, 9))
    fixed = curve(RATES, QUALITIES)
    penalty = variable_rate_penalty(curve(RATES * factor, QUALITIES), fixed, method="pchip")
    low, medium, high = (i.bd_rate_percent for i in penalty.intervals)
    assert penalty.overall.bd_rate_percent == pytest.approx(0, abs=0.01)
    assert medium == pytest.approx(0, abs=0.01)
    assert (low, high) == pytest.approx((-3.28, 3.39), abs=0.05)


def test_edges_are_taken_and_cut_to_the_common_range() -> None:
    fixed, variable = curve(RATES, QUALITIES), curve(1.1 * RATES, QUALITIES)
    penalty = variable_rate_penalty(variable, fixed, edges_bpp=[0.01, 0.4, 9])
    assert [(i.bpp_low, i.bpp_high) for i in penalty.intervals] == [
        pytest.approx((0.1, 0.4)),
        pytest.approx((0.4, 1.6)),
    ]
    with pytest.raises(UsageError, match="rise"):
        variable_rate_penalty(variable, fixed, edges_bpp=[0.4, 0.2])
    with pytest.raises(DataError, match="no rate interval"):
        variable_rate_penalty(variable, fixed, edges_bpp=[4.0, 5.0])


def test_envelope_keeps_what_no_other_point_beats() -> None:
    low = curve([0.1, 0.2, 0.4], [30, 33, 34], "low")
    high = curve([0.15, 0.2, 0.5, 0.8], [29, 32.9, 37, 39], "high")
    front = envelope([low, high])
    assert front.bpp.tolist() == [0.1, 0.2, 0.4, 0.5, 0.8]
    assert front.points()[1].tolist() == [30, 33, 34, 37, 39]
    assert front.codec == "low + high"
    alone = curve(RATES, QUALITIES)
    assert envelope([alone]) is alone
    with pytest.raises(UsageError, match="same data set"):
        envelope([low, curve([1], [2], dataset="other")])


def test_several_fixed_curves_are_compared_by_their_envelope() -> None:
    odd, even = (
        curve(RATES[::2], QUALITIES[::2], "odd"),
        curve(RATES[1::2], QUALITIES[1::2], "even"),
    )
    variable = curve(1.03 * RATES, QUALITIES)
    penalty = variable_rate_penalty(variable, [odd, even])
    assert penalty.overall.bd_rate_percent == pytest.approx(3)
    assert penalty.fixed == ("odd", "even")
    assert penalty.row()["intervals"][0]["bd_rate_percent"] == pytest.approx(3)


@pytest.mark.parametrize(
    ("variable", "fixed", "signs"),
    [
        ("qvrf-bmshj2018-hyperprior", "bmshj2018-hyperprior", (-1, -1, 1)),
        ("qvrf-cheng2020-attn", "cheng2020-attn-retrained", (-1, -1, 1)),
        ("mbt2018-vbr", "mbt2018", (1, 1, 1)),
    ],
)
def test_published_curves(variable: str, fixed: str, signs: tuple[int, ...]) -> None:
    """QVRF gains at low and loses at high rates, as its section 3.3 says."""
    anchor, test = load_curve("kodak", fixed), load_curve("kodak", variable)
    penalty = variable_rate_penalty(test, anchor)
    assert tuple(np.sign(i.bd_rate_percent) for i in penalty.intervals) == signs
    assert penalty.overall.bd_rate_percent == bd_rate(anchor, test).bd_rate_percent


@pytest.mark.parametrize(
    ("codec", "published"),
    [
        ("qvrf-bmshj2018-hyperprior", 28.04),
        ("qvrf-mbt2018", 12.16),
        ("qvrf-cheng2020-attn", 2.64),
    ],
)
def test_released_curves_against_vtm(codec: str, published: float) -> None:
    delta = bd_rate(load_curve("kodak", "vtm18"), load_curve("kodak", codec))
    assert delta.bd_rate_percent == pytest.approx(published, abs=0.005)


def test_an_envelope_of_several_protocols_says_so():
    floats, rounded = (load_curve("kodak", f"mbt2018-mean{end}") for end in ("", ".8bit"))
    front = envelope([floats, rounded])
    assert front.protocol["scored"] == "float and 8-bit"
    found = variable_rate_penalty(load_curve("kodak", "mbt2018-mean-vbr"), [floats, rounded])
    assert any("scored differently" in text for text in found.overall.warnings)
