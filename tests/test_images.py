"""What is read as 8-bit sRGB, and what is refused with a reason."""

import numpy as np
import PIL.Image
import pytest

from rdbench.errors import DataError
from rdbench.images import read_image

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)


def save(path, array, mode=None, **options):
    PIL.Image.fromarray(array).convert(mode or "RGB").save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "ppm", "bmp", "tif", "webp"])
def test_lossless_files_are_read_as_they_are(tmp_path, suffix):
    options = {"lossless": True, "exact": True} if suffix == "webp" else {}
    read = read_image(save(tmp_path / f"a.{suffix}", RGB, **options))
    assert read.dtype == np.uint8
    assert np.array_equal(read, RGB)


def test_one_pixel(tmp_path):
    assert np.array_equal(read_image(save(tmp_path / "a.png", RGB[:1, :1])), RGB[:1, :1])


def test_grey_and_palette_become_rgb(tmp_path):
    grey = read_image(save(tmp_path / "g.png", RGB, "L"))
    assert grey.shape == (20, 30, 3)
    assert np.array_equal(grey[..., 0], grey[..., 2])
    picture = PIL.Image.fromarray(RGB).quantize(16)
    picture.save(tmp_path / "p.png")
    assert np.array_equal(read_image(tmp_path / "p.png"), np.asarray(picture.convert("RGB")))


def test_exif_rotation_is_applied(tmp_path):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # turn by 270 degrees to see it upright
    path = save(tmp_path / "r.png", RGB, exif=exif)
    assert np.array_equal(read_image(path), np.rot90(RGB, -1))


def test_opaque_alpha_is_dropped_and_transparent_alpha_refused(tmp_path):
    rgba = np.dstack([RGB, np.full((20, 30), 255, np.uint8)])
    PIL.Image.fromarray(rgba).save(tmp_path / "o.png")
    assert np.array_equal(read_image(tmp_path / "o.png"), RGB)
    rgba[3, 4, 3] = 254
    PIL.Image.fromarray(rgba).save(tmp_path / "t.png")
    with pytest.raises(DataError, match="put it on a background"):
        read_image(tmp_path / "t.png")


def test_over_eight_bits_is_refused(tmp_path):
    import cv2

    deep = RNG.integers(0, 65536, (20, 30, 3), dtype=np.uint16)
    for name in ("rgb.png", "rgb.tif"):
        cv2.imwrite(str(tmp_path / name), deep)
    cv2.imwrite(str(tmp_path / "grey.png"), deep[..., 0])
    header = b"P6\n30 20\n65535\n"
    (tmp_path / "deep.ppm").write_bytes(header + deep.astype(">u2").tobytes())
    for name in ("rgb.png", "rgb.tif", "grey.png", "deep.ppm"):
        with pytest.raises(
            DataError, match=r"convert it to 8-bit RGB|cannot be read|not a picture"
        ):
            read_image(tmp_path / name)


def test_cmyk_and_animation_are_refused(tmp_path):
    with pytest.raises(DataError, match="mode CMYK"):
        read_image(save(tmp_path / "c.jpg", RGB, "CMYK"))
    frame = PIL.Image.fromarray(RGB)
    frame.save(tmp_path / "a.png", save_all=True, append_images=[frame.rotate(90)])
    with pytest.raises(DataError, match="2 frames"):
        read_image(tmp_path / "a.png")


def test_broken_files_are_named(tmp_path):
    whole = save(tmp_path / "w.png", RGB).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.png").write_bytes(b"")
    for name in ("cut.png", "text.png", "empty.png", "missing.png"):
        with pytest.raises(DataError, match=name):
            read_image(tmp_path / name)
