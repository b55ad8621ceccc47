"""The rate by latent as a table."""

from rdbench.analysis.latents import rows_by_point


def test_a_row_for_each_point_as_in_table_r1():
    rows = [
        {
            "dataset": "kodak[kodim01]",
            "curve": "qvrf",
            "rate_parameter": "index",
            "rate_value": float(index),
            "segment": segment,
            "bpp": bpp,
            "total_bpp": total,
        }
        for index, latent, total in ((0, 0.24112, 0.24348), (1, 0.37215, 0.37451))
        for segment, bpp in (("z", 0.00236), ("y", latent))
    ]
    assert rows_by_point(rows) == [
        {
            "codec": "qvrf",
            "index": "0",
            "total (bpp)": "0.24348",
            "z (bpp)": "0.00236",
            "y (bpp)": "0.24112",
        },
        {
            "codec": "qvrf",
            "index": "1",
            "total (bpp)": "0.37451",
            "z (bpp)": "0.00236",
            "y (bpp)": "0.37215",
        },
    ]
