"""Measure two codecs on the bundled images and compare their curves."""

import rdbench

# Each result is written to the folder as soon as it is ready; a second call resumes.
# jobs=2 uses two processes; a script then needs `if __name__ == "__main__":`.
rdbench.run(["jpeg", "webp"], "sample", "reports")

curves = rdbench.load_curves("reports", "sample")
delta = rdbench.bd_rate(curves["jpeg"], curves["webp"])
low, high = delta.ci_low, delta.ci_high
print(f"WebP needs {delta.bd_rate_percent:+.1f} % of JPEG's rate (95 %: {low:+.1f} to {high:+.1f})")
for image, percent in delta.per_image:
    print(f"    {image}: {percent:+.1f} %")
for warning in delta.warnings:
    print(f"    {warning}")
