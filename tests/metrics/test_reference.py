"""Every metric against the values that the reference programs print.

``pairs/reference.json`` says which program made each value, and with which command.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from rdbench.images import read_image
from rdbench.metrics import METRICS
from rdbench.metrics.ssimulacra2 import features

FOLDER = Path(__file__).with_name("pairs")
REFERENCE = json.loads((FOLDER / "reference.json").read_text("utf-8"))

TOLERANCES = {
    "psnr_yuv": 5e-5,  # samples that lie half way between two levels
    "ms_ssim": 1e-5,  # single precision on both sides
    "ms_ssim_y": 1e-6,
    "ssimulacra2": 0.1,  # what the program's own builds differ by
    "butteraugli": 0.05,  # what versions of libjxl differ by, relative
    "butteraugli_max": 0.05,
    "vmaf": 1e-6,
    "vmaf_neg": 1e-6,
    "cambi": 1e-6,
    "xpsnr": 1e-4,
    "haarpsi": 5e-6,
    "gmsd": 5e-6,
    "flip": 1e-6,
    "cvvdp": 1e-3,
}
RELATIVE = {"butteraugli", "butteraugli_max"}


def images(pair):
    return read_image(FOLDER / f"{pair[:2]}_ref.png"), read_image(
        FOLDER / f"{pair[:2]}_{pair[2]}.png"
    )


@pytest.mark.parametrize("pair", REFERENCE["pairs"])
@pytest.mark.parametrize("name", REFERENCE["metrics"])
def test_equals_the_reference(name, pair, compute):
    original, distorted = images(pair)
    expected = REFERENCE["metrics"][name]["values"][pair]
    tolerance = TOLERANCES.get(name, 1e-9)
    if name == "xpsnr" and original.shape[0] % 2:
        tolerance = 0.02  # the odd last row is left out
    if name in RELATIVE:
        tolerance *= expected
    assert compute(name, original, distorted) == pytest.approx(expected, rel=0, abs=tolerance)


def test_features_of_ssimulacra2():
    found = features(*images("p1b")).ravel()
    np.testing.assert_allclose(found, REFERENCE["ssimulacra2_features"]["p1b"], rtol=0, atol=5e-6)


def test_narrow_images_have_fewer_scales_than_weights():
    """As in the authors' program: 56.39 for the corner of 113 pixels, 45.98 for that of 112."""
    original, distorted = images("p1a")
    for side, expected in ((113, 56.39), (112, 45.98)):
        corner = (original[:side, :side], distorted[:side, :side])
        assert METRICS["ssimulacra2"].function(*corner) == pytest.approx(expected, abs=0.1)


def test_a_single_odd_column_does_not_dominate_xpsnr(compute):
    """The filter itself gives 161 pixels a side 7 dB less than 160 or 162."""
    original, distorted = images("p1a")
    values = [compute("xpsnr", original[:n, :n], distorted[:n, :n]) for n in (160, 161, 162)]
    assert values == pytest.approx([values[0]] * 3, abs=0.05)
