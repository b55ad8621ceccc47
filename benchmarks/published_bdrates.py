"""Recompute the BD-rates that authors print, from the points that they publish.

    python benchmarks/published_bdrates.py

Prints a Markdown table: what is printed, what the published points give, and the difference.
"""

import json
from importlib.resources import files

from rdbench.analysis.bd import bd_rate
from rdbench.published import load_curve


def main() -> None:
    text = files("rdbench_literature").joinpath("published", "bd_rates.json").read_text("utf-8")
    print("| data set | anchor | codec | method | printed (%) | recomputed (%) | where |")
    print("|---|---|---|---|---|---|---|")
    for row in json.loads(text):
        anchor, test = (load_curve(row["dataset"], row[key]) for key in ("anchor", "codec"))
        found = bd_rate(anchor, test, method=row["method"], n_resamples=0).bd_rate_percent
        where = "; ".join(row[key] for key in ("where", "reason") if key in row)
        names = " | ".join((row["dataset"], anchor.label, test.label, row["method"]))
        print(f"| {names} | {row['printed']:+g} | {found:+.3f} | {where} |")


if __name__ == "__main__":
    main()
