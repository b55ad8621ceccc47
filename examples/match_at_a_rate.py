"""Encode every image with every codec at one rate, and compare the qualities."""

import rdbench

for match in rdbench.match_codecs(["jpeg", "webp", "jpeg2000"], "sample", "bpp", 0.5, "reports"):
    if match.error:
        print(f"{match.codec} on {match.image}: {match.error}")
    else:
        psnr_db = match.scores["psnr_rgb"]
        print(f"{match.image}: {match.spec} at {match.bpp:.3f} bpp: {psnr_db:.2f} dB")
