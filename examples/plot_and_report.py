"""Draw rate-distortion curves and write the HTML page of a report folder."""

import rdbench

rdbench.run(["jpeg", "webp"], "sample[astronaut]", "reports")

curves = rdbench.load_curves("reports", "sample[astronaut]")
for file in rdbench.plot_curves(curves.values(), "figures", formats=["png"]):
    print(file)
print(rdbench.write_report("reports"))
