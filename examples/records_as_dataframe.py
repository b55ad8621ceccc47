"""Read the records of a report folder as a pandas DataFrame."""

import rdbench

rdbench.run("jpeg:quality=20,50,80", "sample", "reports")

records = rdbench.load_records("reports")
means = records.groupby("spec")[["bpp", "psnr_rgb", "ms_ssim", "encode_s"]].mean()
print(means.sort_values("bpp"))
