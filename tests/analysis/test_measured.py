"""Curves from records: complete sets only, nothing mixed, everything odd said."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdbench.analysis.measured import measured_curves, notes_on
from rdbench.curve import Curve
from rdbench.errors import DataError, UsageError
from rdbench.types import CurveKey, Record, Weights

IMAGES = {"a.png": "hash-a", "b.png": "hash-b"}
SETS = {"set": IMAGES}


def record(quality: int, image: str, **changes) -> Record:
    """A verified record of a made-up codec: 1000 bytes a quality step, 100x80 pixels."""
    bits_more = 1 if image == "a.png" else 2
    made = Record(
        codec="toy",
        spec=f"toy:quality={quality}",
        rate_parameter="quality",
        rate_value=float(quality),
        fingerprint="",
        dataset="set",
        image=image,
        image_sha256=IMAGES.get(image, "?"),
        width=100,
        height=80,
        protocol="p",
        created="2025-01-01T00:00:00+00:00",
        n_bytes=1000 * quality * bits_more,
        scores={"psnr_rgb": 30.0 + quality * bits_more, "ms_ssim": 0.9 + 0.01 * quality},
        provenance={"versions": {"toy": "1"}},
    )
    return dataclasses.replace(made, **changes)


def records(qualities=(1, 2, 3, 4)) -> list[Record]:
    return [record(q, image) for q, image in itertools.product(qualities, IMAGES)]


def kinds(curve: Curve) -> list[str]:
    return [a.kind for a in notes_on(curve)]


@given(st.permutations(records()))
def test_means_over_images_in_any_order_of_records(shuffled):
    (curve,) = measured_curves(shuffled, SETS)
    np.testing.assert_allclose(curve.bpp, [1.5, 3, 4.5, 6])
    np.testing.assert_allclose(curve.scores["psnr_rgb"], [31.5, 33, 34.5, 36])
    np.testing.assert_allclose(curve.scores["ms_ssim"], [0.91, 0.92, 0.93, 0.94])
    assert curve.rate_values == (1, 2, 3, 4)
    assert curve.specs[0] == "toy:quality=1"
    assert curve.source == "measured"
    assert curve.per_image is not None
    assert curve.per_image.images == ("a.png", "b.png")
    np.testing.assert_allclose(curve.per_image.bpp[0], [1, 2])
    assert notes_on(curve) == []


def test_both_averagings():
    (curve,) = measured_curves(records(), SETS)
    assert curve.points("psnr")[1][0] == pytest.approx(31.5)
    mse = np.mean(10 ** (-np.array([31.0, 32.0]) / 10))
    assert curve.points("psnr", "db_of_mean")[1][0] == pytest.approx(-10 * np.log10(mse))
    assert curve.points("ms_ssim")[1][0] == pytest.approx(-10 * np.log10(0.09))


def test_a_gap_from_a_missing_image_is_reported():
    (curve,) = measured_curves(records()[1:], SETS)
    np.testing.assert_allclose(curve.bpp, [3, 4.5, 6])
    assert kinds(curve) == ["incomplete", "short"]
    assert "toy:quality=1: 1 of 2 images; no a.png" in notes_on(curve)[0].message


def test_a_failed_image_leaves_a_gap_with_its_reason():
    failed = record(2, "b.png", error="encoder ran out of time", n_bytes=None, scores={})
    kept = [r for r in records() if (r.rate_value, r.image) != (2, "b.png")]
    (curve,) = measured_curves([*kept, failed], SETS)
    assert curve.rate_values == (1, 3, 4)
    assert "no b.png (encoder ran out of time)" in curve.notes[0].message


def test_an_image_of_that_name_with_other_bytes_does_not_count():
    other = [
        dataclasses.replace(r, image_sha256="other") if r.image == "a.png" else r for r in records()
    ]
    (curve,) = measured_curves(other, SETS)
    assert len(curve.bpp) == 0
    assert kinds(curve) == ["incomplete"] * 4 + ["short"]
    assert not curve.has("psnr_rgb")
    assert curve.row()["bpp_low"] is None


def test_an_image_beyond_the_set_does_not_count():
    (curve,) = measured_curves([*records(), record(1, "c.png", image_sha256="hash-c")], SETS)
    assert curve.bpp[0] == 1.5


def test_two_fingerprints_at_one_operating_point_are_a_conflict():
    again = record(3, "a.png", fingerprint="other-weights", n_bytes=7, variable_rate=False)
    fixed = [dataclasses.replace(r, variable_rate=False) for r in records()]
    (curve,) = measured_curves([*fixed, again], SETS)
    assert curve.rate_values == (1, 2, 4)
    assert kinds(curve) == ["conflict", "short"]
    assert "2 fingerprints (none, other-weight)" in notes_on(curve)[0].message


def test_a_failure_with_another_fingerprint_does_not_conflict():
    changes = {"error": "no", "n_bytes": None, "scores": {}, "variable_rate": False}
    failed = record(3, "a.png", fingerprint="other-weights", **changes)
    fixed = [dataclasses.replace(r, variable_rate=False) for r in records()]
    (curve,) = measured_curves([*fixed, failed], SETS)
    assert curve.rate_values == (1, 2, 3, 4)


def test_points_of_different_versions_are_reported():
    newer = [
        dataclasses.replace(r, provenance={"versions": {"toy": "2"}}) if r.rate_value == 4 else r
        for r in records()
    ]
    (curve,) = measured_curves(newer, SETS)
    assert len(curve.bpp) == 4
    assert [a.message for a in notes_on(curve)] == ["points made by different versions of toy"]


def test_protocols_and_settings_make_curves_of_their_own():
    as_float = [dataclasses.replace(r, protocol="q") for r in records()]
    fast = [dataclasses.replace(r, settings=(("speed", "fast"),)) for r in records()]
    protocols = {"p": {"scored": "8-bit"}, "q": {"scored": "float"}}
    curves = measured_curves([*records(), *as_float, *fast], SETS, protocols)
    assert [c.label for c in curves] == ["toy (8-bit)", "toy (float)", "toy:speed=fast"]
    assert [c.protocol["scored"] for c in curves] == ["8-bit", "float", "8-bit"]


def test_labels_name_the_settings_that_differ():
    settings = [(("speed", "fast"), ("lambda", value), ("depth", "8")) for value in "12"]
    both = [dataclasses.replace(r, settings=own) for own in settings for r in records()]
    assert [c.label for c in measured_curves(both, SETS)] == ["toy:lambda=1", "toy:lambda=2"]


def test_weights_are_named_only_where_they_tell_curves_apart():
    def with_weights(name):
        return [dataclasses.replace(r, fingerprint=name) for r in records()]

    assert [c.label for c in measured_curves(with_weights("w1"), SETS)] == ["toy"]
    both = measured_curves(with_weights("w1") + with_weights("w2"), SETS)
    assert [c.label for c in both] == ["toy@w1", "toy@w2"]


def with_kind(kind, sha256="0", **changes):
    changes |= {"fingerprint": sha256, "weights": Weights(kind, sha256)}
    return [dataclasses.replace(r, **changes) for r in records()]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("random", "random weights"), ("reduced", "reduced network"), ("other", "other weights"),
    ],
)  # fmt: skip
def test_label_and_notes_report_unpublished_weights(kind, said):
    settings = (("weights", "/any/name.pt"), ("precision", "half"))
    (curve,) = measured_curves(with_kind(kind, settings=settings), SETS)
    assert curve.label == f"toy ({said})"
    assert kinds(curve) == [kind]
    assert curve.weights_kind == kind
    both = measured_curves([*with_kind(kind), *with_kind("published", "1")], SETS)
    assert [c.label for c in both] == [f"toy ({said})", "toy"]
    two = [*with_kind(kind, "0"), *with_kind(kind, "1")]
    assert [c.label for c in measured_curves(two, SETS)] == [f"toy@0 ({said})", f"toy@1 ({said})"]


def test_a_curve_is_known_by_codec_settings_and_weights():
    settings = (("weights", "lite"), ("path", "/odd,name=@x-y"))
    changes = {"settings": settings, "fingerprint": "ab" * 32}
    (curve,) = measured_curves([dataclasses.replace(r, **changes) for r in records()], SETS)
    assert curve.key == CurveKey("toy", settings, "ab" * 32)
    assert str(curve.key) == "toy:weights=lite,path=/odd,name=@x-y@abababababab"
    assert (curve.label, kinds(curve), curve.variable_rate) == ("toy", [], True)


def test_weights_of_each_point_make_one_curve():
    changed = [
        dataclasses.replace(r, fingerprint=f"{r.rate_value:g}", variable_rate=False)
        for r in records()
    ]
    (curve,) = measured_curves(changed, SETS)
    assert (curve.key, curve.variable_rate) == (CurveKey("toy"), False)


def test_a_curve_of_several_kinds_of_weights_is_the_least_trusted():
    mixed = [
        dataclasses.replace(
            r, weights=Weights("reduced" if r.rate_value == 4 else "published", "0")
        )
        for r in records()
    ]
    (curve,) = measured_curves(mixed, SETS)
    assert curve.weights_kind == "reduced"


def test_a_score_that_does_not_exist_leaves_no_mean_of_that_metric():
    lossless = [
        dataclasses.replace(r, scores={"ms_ssim": 1.0})
        if (r.rate_value, r.image) == (4, "b.png")
        else r
        for r in records()
    ]
    (curve,) = measured_curves(lossless, SETS)
    assert len(curve.bpp) == 4
    assert len(curve.points("psnr_rgb")[0]) == 3
    assert len(curve.points("ms_ssim")[0]) == 4
    assert kinds(curve) == ["undefined"]


def test_a_metric_that_nothing_has_is_not_there():
    small = [dataclasses.replace(r, scores={"psnr_rgb": r.scores["psnr_rgb"]}) for r in records()]
    (curve,) = measured_curves(small, SETS)
    assert not curve.has("ms_ssim")
    with pytest.raises(UsageError, match="toy \\(measured\\) on set has no ms_ssim"):
        curve.points("ms_ssim")
    assert notes_on(curve) == []


def test_unknown_data_set():
    with pytest.raises(DataError, match="'set' are not known"):
        measured_curves(records(), {})


def test_no_records_no_curves():
    assert measured_curves([], SETS) == []


def drawn(bpp, psnr) -> Curve:
    return Curve(
        codec="c",
        dataset="d",
        source="imported",
        bpp=np.array(bpp, float),
        scores={"psnr_rgb": np.array(psnr, float)},
    )


@pytest.mark.parametrize(
    ("bpp", "psnr", "expected"),
    [
        ([0.1, 0.2, 0.4, 0.8], [30, 33, 36, 39], []),
        ([0.0003, 0.2, 0.4, 0.8], [90, 91, 92, 93], ["implausible"]),
        ([0.2, 0.3, 0.4, 0.8], [61, 62, 63, 64], []),
        ([0.1, 0.2, 0.4, 27], [5, 6, 6.5, 6.7], ["implausible"]),
        ([0.1, 0.2, 0.4, 0.8], [30, 33, 32, 39], ["falls"]),
        ([0.1, 0.2, 0.4, 0.8], [30, 33, 33, 39], ["falls"]),
        ([0.1, 0.2, 0.2, 0.4, 0.8], [30, 33, 33, 36, 39], ["duplicate"]),
        ([0.1, 0.2, 0.4], [30, 33, 36], ["short"]),
        ([], [], ["short"]),
    ],
)
def test_anomalies(bpp, psnr, expected):
    assert kinds(drawn(bpp, psnr)) == expected


def test_points_are_sorted_by_rate():
    curve = Curve(
        codec="c",
        dataset="d",
        source="imported",
        bpp=np.array([0.4, 0.1, 0.2]),
        scores={"psnr_rgb": np.array([36, 30, 33.0])},
        rate_values=(3, 1, 2),
    )
    assert curve.bpp.tolist() == [0.1, 0.2, 0.4]
    assert curve.scores["psnr_rgb"].tolist() == [30, 33, 36]
    assert curve.rate_values == (1, 2, 3)
    assert curve.label == "c"


def test_replacing_a_field_keeps_the_points():
    (curve,) = measured_curves(records(), SETS)
    again = dataclasses.replace(curve, label="other")
    np.testing.assert_array_equal(again.bpp, curve.bpp)
    assert again.specs == curve.specs


@pytest.mark.parametrize(
    "bpp", [[0.1, 0.2, 0], [0.1, 0.2, np.nan], [0.1, -0.2, 1], [0.1, np.inf, 1]]
)
def test_rates_must_be_positive(bpp):
    with pytest.raises(DataError, match="positive number of bits per pixel"):
        drawn(bpp, [1, 2, 3])


def test_columns_must_be_of_one_length():
    with pytest.raises(DataError, match="every point"):
        drawn([0.1, 0.2], [30])


def test_a_level_step_does_not_fall():
    (level,) = notes_on(drawn([0.1, 0.2, 0.4, 0.8], [30, 33, 33, 39]))
    assert level.message == "psnr_rgb stays at 33.000 dB from 0.2 to 0.4 bpp"
