"""Summaries and rates of latents: means over complete sets only, segments that add up."""

import dataclasses

from made_up import record

from rdbench.analysis.latents import latent_rows
from rdbench.analysis.summary import summarize
from rdbench.types import Segment

A, B = record("a.png"), record("b.png", n_bytes=8)
SETS = {"set": {r.image: r.image_sha256 for r in (A, B)}}


def test_a_row_is_a_mean_over_a_complete_set():
    (row,) = summarize([A, B], SETS)
    assert (row["n_measured"], row["n_images"]) == (2, 2)
    assert (row["bpp"], row["psnr_rgb"]) == (6.0, 30.5)
    assert (row["encode_s"], row["ms_ssim"], row["flag"], row["scored"]) == (0.1, None, None, None)


def test_an_incomplete_set_has_no_mean():
    failed = dataclasses.replace(B, error="no luck", n_bytes=None)
    for records in ([A], [A, failed]):
        (row,) = summarize(records, SETS)
        assert (row["n_measured"], row["n_images"]) == (1, 2)
        assert (row["bpp"], row["psnr_rgb"]) == (None, None)


def test_points_of_a_curve_come_by_rate():
    more = [dataclasses.replace(r, spec="toy:q=0", n_bytes=100) for r in (A, B)]
    rows = summarize([*more, A, B], SETS)
    assert [row["setting"] for row in rows] == ["q=1", "q=0"]


def test_latents_add_up_to_the_rate():
    parts = (Segment("header", 1), Segment("y", 3, 20.0))
    records = [
        dataclasses.replace(A, segments=parts),
        dataclasses.replace(B, n_bytes=4, segments=parts),
    ]
    header, y = latent_rows(records, SETS)
    assert (header["segment"], header["bpp"], header["ideal_bpp"], header["percent"]) == (
        "header", 1.0, None, 25.0,
    )  # fmt: skip
    assert (y["bpp"], y["ideal_bpp"], y["percent"]) == (3.0, 2.5, 75.0)
    assert latent_rows(records[:1], SETS) == []
