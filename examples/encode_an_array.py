"""Encode an array, decode it from the bytes, and score what comes back."""

import numpy as np

import rdbench

# An image is an 8-bit sRGB array, (height, width, 3). From a file: rdbench.read_image("photo.png").
y, x = np.mgrid[0:240, 0:320]
image = np.stack([x % 256, y, (x + y) // 3], axis=-1).astype(np.uint8)

for codec in rdbench.get_codecs("jpeg:quality=20,50,90"):
    bitstream = codec.encode(image)
    decoded = codec.decode(bitstream.data)
    bpp = 8 * len(bitstream.data) / (image.shape[0] * image.shape[1])
    psnr_db = rdbench.score(image, decoded)["psnr_rgb"]
    print(f"quality {codec.quality}: {bpp:.3f} bpp, {psnr_db:.2f} dB")
