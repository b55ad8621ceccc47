"""Every metric is turned the right way round wherever codecs are compared."""

import math

import numpy as np
import pytest
from sample import photograph

from rdbench.analysis.bd import bd_psnr, bd_rate
from rdbench.curve import Curve
from rdbench.errors import EncoderError, UsageError
from rdbench.metrics import METRICS
from rdbench.rate_control import TARGETS, encode_to
from rdbench.report.diagrams import best_first
from rdbench.report.page.data import metrics_json, metrics_of
from rdbench.report.plots import Panel, rd_figure
from rdbench_codecs.conventional.jpeg2000 import Jpeg2000

RATES = np.array([0.1, 0.2, 0.4, 0.8, 1.6])


def scores_of(metric):
    """Five scores of a metric that improve towards its best, all different."""
    steps = np.array([0.2, 0.35, 0.5, 0.65, 0.8])
    if metric.unit == "dB":
        return 20 + 30 * steps
    worst = (
        metric.worst
        if math.isfinite(metric.worst)
        else metric.best + 10 * (1 if metric.better == "lower" else -1)
    )
    return worst + steps * (metric.best - worst)


def curve(name, metric, factor=1.0):
    return Curve(
        codec=name,
        dataset="d",
        source="imported",
        bpp=factor * RATES,
        scores={metric: scores_of(METRICS[metric])},
    )


@pytest.mark.parametrize("metric", METRICS)
def test_less_rate_for_equal_scores_is_a_gain(metric):
    found = bd_rate(curve("a", metric), curve("b", metric, 0.9), metric)
    assert found.bd_rate_percent == pytest.approx(-10)
    assert found.monotonic


@pytest.mark.parametrize("metric", METRICS)
def test_figures_put_the_best_first_and_rise(metric):
    curves = [curve("worse", metric), curve("better", metric, 0.5)]
    panel = Panel("d", metric, curves)
    assert [label for label, _ in best_first([panel.diagram()])] == ["better", "worse"]
    (axes,) = rd_figure([panel]).axes
    assert axes.get_ylabel() == METRICS[metric].quality_title
    assert all((np.diff(line.get_ydata()) > 0).all() for line in axes.get_lines())


def test_the_page_knows_every_metric():
    assert metrics_of([curve("a", metric) for metric in METRICS]) == list(METRICS)
    assert metrics_json([]) == []


@pytest.mark.parametrize("metric", METRICS)
def test_a_score_beyond_the_range_is_refused(metric):
    ends = METRICS[metric].worst, METRICS[metric].best
    for value in (*filter(math.isfinite, ends), math.nan, math.inf, -math.inf):
        with pytest.raises(UsageError, match="to meet is a number"):
            TARGETS[metric].check(value)
    TARGETS[metric].check(scores_of(METRICS[metric])[2])


@pytest.mark.parametrize(
    ("metric", "value"),
    [("ciede2000", 3.0), ("ssim", 0.9), ("ssimulacra2", 60.0), ("psnr_yuv", 33.0)],
)
def test_any_metric_is_met_to_one_percent_of_its_error(metric, value):
    image = photograph("chelsea")[:128, :192]
    found = encode_to(metric, Jpeg2000(), image, value, max_encodes=20)
    reached = METRICS[metric].function(image, found.codec.decode(found.bitstream.data))
    assert found.met
    assert found.value == reached
    difference = METRICS[metric].log_quality(reached) - METRICS[metric].log_quality(value)
    assert abs(difference) <= math.log(1.01)


def test_what_no_rate_reaches_says_so():
    with pytest.raises(EncoderError, match="CIEDE2000 cannot be met"):
        encode_to("ciede2000", Jpeg2000(), photograph("chelsea")[:64, :64], 90)


def test_bd_psnr_is_refused_for_what_is_not_in_db():
    with pytest.raises(UsageError, match="vmaf is not in dB"):
        bd_psnr(curve("a", "vmaf"), curve("b", "vmaf"), "vmaf")
    assert bd_psnr(curve("a", "xpsnr"), curve("b", "xpsnr"), "xpsnr").bd_psnr_db == 0
