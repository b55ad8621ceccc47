"""Scoring: rounding, what is left out, and the fingerprint."""

import subprocess
import sys

import numpy as np
import pytest

from rdbench.errors import DataError, UsageError
from rdbench.metrics import DEFAULT_PROTOCOL, Protocol, score
from rdbench.metrics.protocol import to_8bit


def test_float_is_clipped_and_rounded_to_8_bits():
    values = np.array([-0.2, 0.0, 0.49 / 255, 0.51 / 255, 1.5 / 255, 2.5 / 255, 1.0, 1.7])
    assert to_8bit(values.astype(np.float32)).tolist() == [0, 0, 0, 1, 2, 2, 255, 255]


def test_scored_8_bit_equals_scoring_the_file():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (170, 180, 3), np.uint8)
    decoded = np.clip(image / 255 + rng.normal(0, 0.02, image.shape), 0, 1).astype(np.float32)
    file = np.rint(decoded * 255).astype(np.uint8)
    assert score(image, decoded) == score(image, file)
    assert score(image, decoded, Protocol("float")) != score(image, file, Protocol("float"))
    assert score(image, file, Protocol("float")) == score(image, file)


def test_metrics_that_do_not_exist_are_left_out():
    small = np.zeros((20, 300, 3), np.uint8)
    assert score(small, small + np.uint8(1)).keys() == {"psnr_rgb"}
    large = np.zeros((200, 300, 3), np.uint8)
    assert score(large, large) == {"ms_ssim": 1.0}
    assert score(small, small) == {}


def test_float_that_is_lossless_once_rounded():
    image = np.full((20, 20, 3), 7, np.uint8)
    nearly = (image / 255 + 1e-4).astype(np.float32)
    assert score(image, nearly) == {}
    assert score(image, nearly, Protocol("float"))["psnr_rgb"] == pytest.approx(80, abs=0.1)


@pytest.mark.parametrize(
    ("decoded", "message"),
    [
        (np.zeros((4, 5, 3), np.uint8), "reconstruction of"),
        (np.zeros((4, 4, 3), np.float64), "uint8 or float32"),
        (np.full((4, 4, 3), np.nan, np.float32), "not finite"),
        (np.full((4, 4, 3), np.inf, np.float32), "not finite"),
    ],
)
def test_what_cannot_be_scored(decoded, message):
    with pytest.raises(DataError, match=message):
        score(np.zeros((4, 4, 3), np.uint8), decoded)


def test_original_must_be_an_image():
    with pytest.raises(DataError, match="an original is uint8"):
        score(np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8))


def test_unknown_settings():
    with pytest.raises(UsageError, match="10-bit"):
        Protocol("10-bit")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="psnr_xyz"):
        Protocol(metrics=("psnr_rgb", "psnr_xyz"))


def test_fingerprints_are_stable():
    """Records of older versions must stay comparable: changing these is a change of protocol."""
    assert DEFAULT_PROTOCOL.fingerprint == "c59d2cab6912"
    assert Protocol("float").fingerprint == "6896d03340af"


def test_metrics_do_not_change_the_fingerprint():
    """They can be computed later, from the kept bitstreams."""
    assert Protocol(metrics=("ms_ssim",)).fingerprint == DEFAULT_PROTOCOL.fingerprint


def test_import_is_light():
    """Numba takes the better part of a second, torch more: only MS-SSIM itself may load Numba."""
    code = "import sys, rdbench.metrics; sys.exit(bool({'numba', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("as_float", [False, True])
def test_views_and_read_only_arrays_score_as_their_copies(as_float):
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (330, 180, 3), np.uint8)
    decoded = np.clip(image.astype(np.int16) + rng.integers(-9, 9, image.shape), 0, 255)
    decoded = (decoded / 255).astype(np.float32) if as_float else decoded.astype(np.uint8)
    protocol = Protocol("float")
    expected = score(image, decoded, protocol)
    image.flags.writeable = decoded.flags.writeable = False
    assert score(image, decoded, protocol) == expected
    for view in (
        lambda a: np.ascontiguousarray(a[..., ::-1])[..., ::-1],
        lambda a: np.ascontiguousarray(a.transpose(2, 0, 1)).transpose(1, 2, 0),
        lambda a: np.repeat(a, 2, axis=0)[::2],
        lambda a: np.asfortranarray(a),
    ):
        assert score(view(image), view(decoded), protocol) == pytest.approx(expected)
