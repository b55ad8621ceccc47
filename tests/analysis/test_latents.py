"""The rate by latent as a table."""

from rdbench.analysis.latents import by_point


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
    columns, points = by_point(rows)
    heads = ["codec", "index", "total (bpp)", "z (bpp)", "y (bpp)"]
    assert [column.heading for column in columns] == heads
    assert [[column.text(point) for column in columns] for point in points] == [
        ["qvrf", "0", "0.24348", "0.00236", "0.24112"],
        ["qvrf", "1", "0.37451", "0.00236", "0.37215"],
    ]
