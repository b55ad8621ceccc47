"""Bjontegaard deltas against another package, the papers, and curves with known answers."""

import dataclasses
import json

import bjontegaard
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rdbench.analysis.bd import bd_psnr, bd_rate
from rdbench.analysis.delta import METHODS, RATE, rises
from rdbench.analysis.sensitivity import sensitivity
from rdbench.curve import Curve, Note, PerImage
from rdbench.errors import DataError, UsageError
from rdbench.published import load_curve

THEIRS = {"poly3": "cubic", "pchip": "pchip", "akima": "akima"}


def curve(bpp, psnr, codec="codec", **more) -> Curve:
    return Curve(
        codec=codec,
        dataset="set",
        source="measured",
        bpp=np.asarray(bpp, float),
        scores={"psnr_rgb": np.asarray(psnr, float)},
        **more,
    )


def measured(bpp, psnr, codec="codec") -> Curve:
    """A curve with the scores of each image, rows the points."""
    bpp, psnr = np.asarray(bpp, float), np.asarray(psnr, float)
    images = tuple(f"image{i}" for i in range(bpp.shape[1]))
    table = PerImage(images, bpp, {"psnr_rgb": psnr})
    return curve(bpp.mean(axis=1), psnr.mean(axis=1), codec, per_image=table)


RISING = st.lists(st.floats(0.05, 2), min_size=4, max_size=9).map(np.cumsum)


@given(
    rates=st.tuples(RISING, RISING),
    seed=st.integers(0, 2**32 - 1),
    method=st.sampled_from(METHODS),
)
def test_equals_the_bjontegaard_package(rates, seed, method):
    rng = np.random.default_rng(seed)
    points = []
    for bpp in rates:
        psnr = 30 + 5 * np.log2(bpp) + np.cumsum(rng.uniform(0.05, 0.6, len(bpp)))
        points.append((bpp, psnr))
    (rate_a, psnr_a), (rate_t, psnr_t) = points
    assume(min(psnr_a.max(), psnr_t.max()) - max(psnr_a.min(), psnr_t.min()) > 0.5)
    assume(min(rate_a.max(), rate_t.max()) / max(rate_a.min(), rate_t.min()) > 1.1)
    arguments = (rate_a, psnr_a, rate_t, psnr_t)
    options = {"method": THEIRS[method], "require_matching_points": False, "min_overlap": 0}
    anchor, test = curve(rate_a, psnr_a), curve(rate_t, psnr_t)
    ours = bd_rate(anchor, test, method=method).bd_rate_percent
    assert ours == pytest.approx(bjontegaard.bd_rate(*arguments, **options), rel=1e-5, abs=1e-5)
    ours = bd_psnr(anchor, test, method=method).bd_psnr_db
    assert ours == pytest.approx(bjontegaard.bd_psnr(*arguments, **options), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize(
    ("dataset", "codec", "percent", "within"),
    [
        ("kodak", "qarv", -5.899, 0.002),
        ("kodak", "mbt2018-mean", 21.991, 0.001),
        ("kodak", "mbt2018", 11.507, 0.001),
        ("tecnick", "qarv", -8.938, 0.001),
        ("clic2022-test", "qarv", -6.914, 0.001),
        ("kodak", "qvrf-bmshj2018-hyperprior", 28.04, 0.01),
        ("kodak", "qvrf-mbt2018", 12.16, 0.01),
        ("kodak", "qvrf-cheng2020-attn", 2.64, 0.01),
    ],
)
def test_reproduces_the_papers(dataset, codec, percent, within):
    result = bd_rate(load_curve(dataset, "vtm18"), load_curve(dataset, codec))
    assert result.bd_rate_percent == pytest.approx(percent, abs=within)


@pytest.mark.parametrize("method", METHODS)
def test_a_tenth_more_rate_is_ten_percent(method):
    bpp, psnr = np.array([0.1, 0.2, 0.4, 0.8, 1.4]), np.array([28.0, 31, 34, 37.5, 40])
    result = bd_rate(curve(bpp, psnr), curve(1.1 * bpp, psnr), method=method)
    assert result.bd_rate_percent == pytest.approx(10)
    higher = bd_psnr(curve(bpp, psnr), curve(bpp, psnr + 0.7), method=method)
    assert higher.bd_psnr_db == pytest.approx(0.7)


@given(RISING, st.sampled_from(METHODS))
def test_a_curve_against_itself_is_zero(bpp, method):
    itself = curve(bpp, 30 + 5 * np.log2(bpp))
    assert bd_rate(itself, itself, method=method).bd_rate_percent == pytest.approx(0, abs=1e-9)


def test_swapping_the_curves_inverts_the_ratio():
    a, b = load_curve("kodak", "vtm18"), load_curve("kodak", "qarv")
    there, back = bd_rate(a, b).bd_rate_percent, bd_rate(b, a).bd_rate_percent
    assert (1 + there / 100) * (1 + back / 100) == pytest.approx(1)


def test_ms_ssim_is_compared_in_db():
    a, b = load_curve("kodak", "jpeg"), load_curve("kodak", "webp")
    (rate_a, db_a), (rate_b, db_b) = a.points("ms_ssim"), b.points("ms_ssim")
    expected = bjontegaard.bd_rate(rate_a, db_a, rate_b, db_b, method="cubic", min_overlap=0)
    assert bd_rate(a, b, "ms_ssim").bd_rate_percent == pytest.approx(expected, rel=1e-6)
    value = a.scores["ms_ssim"][3]
    assert db_a[3] == pytest.approx(-10 * np.log10(1 - value))


def test_result_says_all_that_it_rests_on():
    result = bd_rate(load_curve("kodak", "vtm18"), load_curve("kodak", "mbt2018"))
    assert (result.n_points, result.n_anchor_points) == (8, 36)
    assert (result.source, result.anchor_source) == ("published", "published")
    assert result.overlap.low == pytest.approx(28.08847)
    assert result.overlap.high == pytest.approx(40.63907)
    assert result.overlap.of_test == pytest.approx(1)
    assert result.overlap.of_union == pytest.approx(0.63785, abs=1e-5)
    assert result.monotonic
    assert any("scored differently" in text for text in result.warnings)
    assert any("no header" in text for text in result.warnings)
    row = json.loads(json.dumps(result.row()))
    asked = "codec dataset metric method bd_rate_percent overlap n_points source ci_low ci_high"
    assert set(asked.split()) <= row.keys()
    assert (row["codec"], row["metric"], row["ci_low"]) == ("mbt2018", "psnr", None)


BPP = [0.1, 0.2, 0.4, 0.8]


@pytest.mark.parametrize("figure", [bd_rate, bd_psnr])
def test_three_points_are_too_few(figure):
    with pytest.raises(DataError, match="has 3 points"):
        figure(curve(BPP, [30, 33, 36, 39]), curve(BPP[:3], [30, 33, 36]))


def test_points_without_a_mean_do_not_count():
    with pytest.raises(DataError, match="has 3 points"):
        bd_rate(curve(BPP, [30, 33, 36, 39]), curve(BPP, [30, np.nan, 36, 39]))


def test_no_common_range_is_an_error():
    with pytest.raises(DataError, match="no common range of quality"):
        bd_rate(curve(BPP, [30, 33, 36, 39]), curve(BPP, [40, 43, 46, 49]))
    with pytest.raises(DataError, match="no common range of rate"):
        bd_psnr(curve(BPP, [30, 33, 36, 39]), curve(np.multiply(BPP, 10), [30, 33, 36, 39]))


def test_a_small_overlap_is_reported():
    result = bd_rate(curve(BPP, [30, 33, 36, 39]), curve(BPP, [37, 40, 43, 46]))
    assert any("covers only 22% of the range" in text for text in result.warnings)


def test_a_falling_curve_is_reported():
    result = bd_rate(curve(BPP, [30, 33, 36, 39]), curve([*BPP, 1.2], [31, 34, 33.5, 38, 40]))
    assert not result.monotonic
    assert any("falls from 34.000 to 33.500 dB" in text for text in result.warnings)


def test_notes_of_either_curve_are_reported():
    noted = curve(BPP, [30, 33, 36, 39], notes=(Note("note", "beware"),))
    assert any("beware" in w for w in bd_rate(noted, curve(BPP, [31, 34, 37, 40])).warnings)


@pytest.mark.parametrize("method", ["pchip", "akima"])
def test_interpolation_needs_different_qualities(method):
    twice = curve([0.1, 0.2, 0.4, 0.8, 1], [30, 33, 33, 36, 39])
    with pytest.raises(DataError, match="two points coincide"):
        bd_rate(twice, twice, method=method)


def test_other_data_sets_metrics_and_methods():
    kodak, tecnick = load_curve("kodak", "vtm18"), load_curve("tecnick", "qarv")
    with pytest.raises(UsageError, match="images differ"):
        bd_rate(kodak, tecnick)
    with pytest.raises(UsageError, match="no ms_ssim"):
        bd_rate(kodak, load_curve("kodak", "jpeg"), "ms_ssim")
    with pytest.raises(UsageError, match="vmaf"):
        bd_rate(kodak, kodak, "vmaf")
    with pytest.raises(UsageError, match="spline"):
        bd_rate(kodak, kodak, method="spline")  # type: ignore[arg-type]


def images(gain, n_images=24, seed=0) -> tuple[Curve, Curve]:
    """Anchor, and a test curve that needs ``gain`` (n_images,) times the rate on each image."""
    rng = np.random.default_rng(seed)
    hardness = rng.uniform(0.5, 2, n_images)
    bpp = np.outer([0.1, 0.2, 0.4, 0.8, 1.6], hardness)
    psnr = 30 + 5 * np.log2(np.outer([1, 2, 4, 8, 16], np.ones(n_images))) - 3 * hardness
    return measured(bpp, psnr, "anchor"), measured(bpp * gain, psnr, "test")


def test_equal_gain_on_every_image_leaves_no_doubt():
    result = bd_rate(*images(np.full(24, 0.9)))
    assert result.bd_rate_percent == pytest.approx(-10)
    assert (result.ci_low, result.ci_high) == (pytest.approx(-10), pytest.approx(-10))
    assert len(result.wins) == 24
    assert result.losses == ()
    assert dict(result.per_image)["image7"] == pytest.approx(-10)


def test_an_interval_of_few_images_says_so():
    """Three images: each alone is drawn often enough (1/27 > 2.5 %) to end the interval."""
    gain = np.array([0.8, 0.9, 1.1])
    few = bd_rate(*images(gain, 3))
    assert (few.ci_low, few.ci_high) == pytest.approx((-20, 10))
    says = "the interval is too narrow for 95 %: it rests on 3 images"
    assert few.warnings[-1] == says
    assert bd_rate(*images(gain, 3), n_resamples=0).warnings == few.warnings[:-1]
    assert not any("interval" in w for w in bd_rate(*images(np.full(6, 0.9), 6)).warnings)


def test_images_won_and_lost():
    gain = np.where(np.arange(24) < 8, 1.2, 0.9)
    result = bd_rate(*images(gain))
    assert result.losses == tuple(f"image{i}" for i in range(8))
    assert len(result.wins) == 16
    assert result.ci_low < result.bd_rate_percent < result.ci_high
    better = bd_psnr(*images(gain))
    assert set(better.losses) == set(result.losses)


def test_interval_is_that_of_the_bootstrap_done_slowly():
    rng = np.random.default_rng(1)
    anchor, test = images(rng.normal(0.95, 0.1, 12), 12)
    lift = rng.normal(0, 2, 12)
    test = measured(test.per_image.bpp, test.per_image.scores["psnr_rgb"] + lift, "test")
    fast = bd_rate(anchor, test, n_resamples=200, seed=3)
    counts = np.random.default_rng(3).multinomial(12, np.full(12, 1 / 12), 200)
    figures = []
    for row in counts:
        chosen = np.repeat(np.arange(12), row)
        a, t = (
            measured(c.per_image.bpp[:, chosen], c.per_image.scores["psnr_rgb"][:, chosen])
            for c in (anchor, test)
        )
        figures.append(bd_rate(a, t, n_resamples=0).bd_rate_percent)
    expected = np.quantile(figures, [0.025, 0.975])
    assert (fast.ci_low, fast.ci_high) == pytest.approx(tuple(expected))


def test_interval_covers_the_truth_about_as_often_as_it_says():
    """30 sets of 24 images with a true mean of -5 %: some 28 intervals must hold it."""
    hits = 0
    for seed in range(30):
        gain = np.exp(np.random.default_rng(100 + seed).normal(np.log(0.95), 0.05, 24))
        result = bd_rate(*images(gain, seed=seed), n_resamples=200)
        hits += result.ci_low <= -5 <= result.ci_high
    assert hits >= 24


def test_images_are_paired_by_name():
    anchor, test = images(np.linspace(0.8, 1.2, 24))
    table = test.per_image
    back = PerImage(
        table.images[::-1],
        table.bpp[:, ::-1],
        {"psnr_rgb": table.scores["psnr_rgb"][:, ::-1]},
    )
    turned = curve(test.bpp, test.scores["psnr_rgb"], "test", per_image=back)
    assert bd_rate(anchor, turned).per_image == bd_rate(anchor, test).per_image


def test_other_images_give_no_interval():
    anchor, _ = images(np.ones(24))
    _, test = images(np.ones(23), 23)
    result = bd_rate(anchor, test)
    assert (result.ci_low, result.ci_high, result.per_image) == (None, None, ())


def test_averaging_changes_the_figure_where_images_differ():
    rng = np.random.default_rng(0)
    anchor, test = images(rng.uniform(0.7, 1.3, 24))
    spread = test.per_image.scores["psnr_rgb"] + rng.normal(0, 2, 24)
    test = measured(test.per_image.bpp, spread, "test")
    usual = bd_rate(anchor, test)
    other = bd_rate(anchor, test, averaging="db_of_mean")
    assert usual.averaging == "mean_of_db"
    assert usual.bd_rate_percent != pytest.approx(other.bd_rate_percent, abs=0.1)


def test_published_curves_have_one_averaging():
    with pytest.raises(UsageError, match="no scores of each image"):
        bd_rate(load_curve("kodak", "vtm18"), load_curve("kodak", "qarv"), averaging="db_of_mean")


def test_sensitivity_of_published_curves():
    found = sensitivity(load_curve("kodak", "vtm18"), load_curve("kodak", "qarv"))
    assert len(found.variants) == 9
    usual = found.variants[0]
    assert (usual.method, usual.range) == ("poly3", "overlap")
    assert usual.bd_rate_percent == pytest.approx(-5.899, abs=0.001)
    assert found.low <= usual.bd_rate_percent <= found.high
    assert found.spread == pytest.approx(found.high - found.low)
    assert 0.05 < found.spread < 0.5
    json.dumps([dataclasses.asdict(variant) for variant in found.variants])


def test_sensitivity_tries_both_averagings_of_measured_curves():
    found = sensitivity(*images(np.linspace(0.8, 1.2, 24)))
    assert len(found.variants) == 18
    assert {v.averaging for v in found.variants} == {"mean_of_db", "db_of_mean"}


def test_sensitivity_leaves_out_methods_that_fail():
    twice = curve([0.1, 0.2, 0.4, 0.8, 1], [30, 33, 33, 36, 39])
    found = sensitivity(curve(BPP, [30, 33, 36, 39]), twice)
    assert {v.method for v in found.variants if v.bd_rate_percent is None} == {"pchip", "akima"}
    with pytest.raises(DataError, match="no common range"):
        sensitivity(curve(BPP, [30, 33, 36, 39]), curve(BPP, [40, 43, 46, 49]))


WILD = (
    ([2.01465, 3.0147, 4.01223, 5.01239], [96.622, 99.51432, 99.91607, 99.97751]),
    ([2.05435, 3.06789, 4.00003, 5.09602], [97.1181, 99.66744, 99.94996, 99.98146]),
    100421.2, -3.139,
)  # fmt: skip
SATURATED = (
    ([0.22, 0.44, 0.88, 1.7], [90, 96, 99, 99.4]),
    ([0.2, 0.4, 0.8, 1.6], [90, 96, 99.2, 99.1]),
    -99.746, 4.121,
)  # fmt: skip


@pytest.mark.parametrize(("anchor", "test", "poly3", "pchip"), [WILD, SATURATED])
def test_a_cubic_that_leaves_the_points_is_reported(anchor, test, poly3, pchip):
    anchor, test = curve(*anchor, "anchor"), curve(*test, "test")
    cubic, joined = bd_rate(anchor, test), bd_rate(anchor, test, method="pchip")
    assert cubic.bd_rate_percent == pytest.approx(poly3, abs=0.1)
    assert joined.bd_rate_percent == pytest.approx(pchip, abs=0.001)
    assert not cubic.monotonic
    for label in ("anchor", "test"):
        assert f"the poly3 curve of {label} does not rise all over" in "\n".join(cubic.fit_warnings)
    for result in (cubic, joined):
        assert "more than 5 % of the rate apart" in result.fit_warnings[-1]
        assert set(result.fit_warnings) <= set(result.warnings)
    assert f"pchip {pchip:+.3f} %" in cubic.fit_warnings[-1]


def test_pchip_of_rising_points_is_monotonic():
    (anchor, test, _, _) = WILD
    assert bd_rate(curve(*anchor), curve(*test), method="pchip").monotonic


def test_no_word_where_the_fits_follow_the_points():
    result = bd_rate(load_curve("kodak", "vtm18"), load_curve("kodak", "mbt2018"))
    assert (result.monotonic, result.fit_warnings) == (True, ())


def test_bd_psnr_says_it_too():
    anchor = curve([0.1, 0.11, 0.12, 1.0], [20, 35, 36, 36.2])
    result = bd_psnr(anchor, curve([0.1, 0.2, 0.4, 1.0], [20, 25, 31, 37]))
    assert not result.monotonic
    assert any("more than 0.2 dB apart" in text for text in result.fit_warnings)


def test_a_figure_beyond_all_numbers_is_infinite():
    anchor = curve([1e-300, 1, 1.1, 1.2], [30, 30.0001, 30.0002, 40])
    test = curve([1e-3, 1e300, 1.01e300, 1.02e300], [30, 30.0001, 30.0002, 40])
    result = bd_rate(test, anchor)
    assert result.bd_rate_percent == np.inf
    assert result.fit_warnings


@given(RISING, st.integers(0, 2**32 - 1), st.sampled_from(METHODS))
def test_a_fit_rises_where_its_values_do(bpp, seed, method):
    from scipy.interpolate import Akima1DInterpolator, PchipInterpolator

    psnr = 30 + np.cumsum(np.random.default_rng(seed).exponential(1, len(bpp)))
    if method == "poly3":
        fit = np.polynomial.Polynomial.fit(psnr, np.log(bpp), 3)
        slope = fit.deriv()
    else:
        join = PchipInterpolator if method == "pchip" else Akima1DInterpolator
        slope = join(psnr, np.log(bpp)).derivative()
    low, high = psnr[0] + 0.1 * np.ptp(psnr), psnr[-1] - 0.1 * np.ptp(psnr)
    lowest = slope(np.linspace(low, high, 5000)).min()
    assume(abs(lowest) > 1e-3)
    assert rises(RATE, (np.asarray(bpp), psnr), low, high, method) == (lowest > 0)


@pytest.mark.parametrize("method", METHODS)
def test_equal_points_and_equal_qualities_count_once(method):
    good = curve(BPP, [30, 33, 36, 39])
    with pytest.raises(DataError, match="has 3 points of different quality"):
        bd_rate(good, curve([0.1, 0.2, 0.4, 0.4], [30, 33, 36, 36]), method=method)
    with pytest.raises(DataError, match="has 3 points of different quality"):
        bd_rate(good, curve([0.1, 0.2, 0.3, 0.4], [30, 33, 33, 36]), method=method)
    with pytest.raises(DataError, match="has 3 points of different rate"):
        bd_psnr(good, curve([0.1, 0.2, 0.2, 0.4], [30, 33, 34, 36]), method=method)
    five = bd_rate(good, curve([0.1, 0.2, 0.4, 0.4, 0.8], [30, 33, 36, 36, 39]))
    assert five.n_points == 4


def test_an_image_with_three_different_qualities_has_no_figure():
    anchor, test = images(np.ones(4), 4)
    psnr = test.per_image.scores["psnr_rgb"].copy()
    psnr[:, 1] = [30, 33, 33, 36, 36]
    result = bd_rate(anchor, measured(test.per_image.bpp, psnr, "test"))
    assert [v is None for _, v in result.per_image] == [False, True, False, False]


def test_an_image_whose_cubic_leaves_the_points_is_reported():
    (_, psnr_a), (_, psnr_t) = WILD[:2]
    bpp = np.array([[2.0, 0.1], [3.0, 0.2], [4.0, 0.4], [5.0, 0.8]])
    steady = np.array([80.0, 83, 86, 89])
    anchor = measured(bpp, np.stack([psnr_a, steady], 1), "anchor")
    test = measured(bpp, np.stack([psnr_t, steady], 1), "test")
    (said,) = [w for w in bd_rate(anchor, test).warnings if "of these images" in w]
    assert said.endswith(": image0")
    joined = bd_rate(anchor, test, method="pchip")
    assert not any("of these images" in w for w in joined.warnings)


def test_what_another_metric_lacks_is_not_reported():
    notes = (
        Note("undefined", "no mean ms_ssim for c:q=1: 1 image has none", "ms_ssim"),
        Note("undefined", "no mean psnr_rgb for c:q=9: 1 image has none", "psnr_rgb"),
    )
    noted, other = curve(BPP, [30, 33, 36, 39], notes=notes), curve(BPP, [31, 34, 37, 40])
    said = "\n".join(bd_rate(noted, other).warnings)
    assert "no mean psnr_rgb" in said
    assert "ms_ssim" not in said


def test_too_few_points_say_where_the_others_went():
    notes = (
        Note("undefined", "no mean ms_ssim for c:q=1: 1 image has none", "ms_ssim"),
        Note("undefined", "no mean psnr_rgb for c:q=9: 1 image has none", "psnr_rgb"),
    )
    few = curve(BPP, [30, 33, 36, np.nan], notes=notes)
    with pytest.raises(DataError, match=r"needs 4 \(no mean psnr_rgb for c:q=9: 1 image has"):
        bd_rate(few, curve(BPP, [31, 34, 37, 40]))
