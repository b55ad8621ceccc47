"""What is read as 8-bit sRGB, and what is refused with a reason."""

import io
import os
import struct
import zlib

import numpy as np
import PIL.Image
import PIL.PngImagePlugin
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
    image = PIL.Image.fromarray(RGB).quantize(16)
    image.save(tmp_path / "p.png")
    assert np.array_equal(read_image(tmp_path / "p.png"), np.asarray(image.convert("RGB")))


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
        with pytest.raises(DataError, match=r"convert it to 8-bit RGB|cannot be read|not an image"):
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
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "empty.png").write_bytes(b"")
    for name in ("cut.png", "text.png", "empty.png", "missing.png"):
        with pytest.raises(DataError, match=name):
            read_image(tmp_path / name)


def jpeg(**options):
    pixels = np.indices((40, 64, 3)).sum(0).astype(np.uint8) * 3
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, "JPEG", **options)
    return file.getvalue()


def with_chunk(png, kind, body, crc=None):
    """The PNG with a chunk right behind its header."""
    sum_ = zlib.crc32(kind + body) if crc is None else crc
    return (
        png[:33] + struct.pack(">I", len(body)) + kind + body + struct.pack(">I", sum_) + png[33:]
    )


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_upright(tmp_path, suffix, orientation):
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if suffix == "webp" else {}
    block = np.zeros((16, 24, 3), np.uint8)
    block[:8, :8] = 200
    read = read_image(save(tmp_path / f"a.{suffix}", block, exif=exif, **options))
    flat = np.rot90(block, {3: 2, 6: -1, 8: 1}.get(orientation, 0))
    if orientation in (2, 4):
        flat = np.flip(block, {2: 1, 4: 0}[orientation])
    if orientation in (5, 7):
        flat = np.rot90(block, 0 if orientation == 5 else 2).transpose(1, 0, 2)
    assert read.shape == flat.shape
    assert np.abs(read.astype(int) - flat).max() < 16


def odd_exif():
    """Orientation 6, and an entry that Pillow reads but cannot write again."""
    entries = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0) + struct.pack(
        "<HHI4s", 0x0103, 2, 4, b"abc\0"
    )
    return b"II*\0" + struct.pack("<IH", 8, 2) + entries + bytes(4)


def test_odd_exif_does_not_hide_the_orientation(tmp_path):
    png = save(tmp_path / "plain.png", RGB).read_bytes()
    (tmp_path / "odd.png").write_bytes(with_chunk(png, b"eXIf", odd_exif()))
    assert np.array_equal(read_image(tmp_path / "odd.png"), np.rot90(RGB, -1))


@pytest.mark.parametrize(
    "exif", [b"garbage!", b"", b"II*\0", b"II*\0\xff\xff\xff\xff", b"MM\0*" * 9]
)
def test_unreadable_exif_is_ignored(tmp_path, exif):
    png = save(tmp_path / "plain.png", RGB).read_bytes()
    (tmp_path / "odd.png").write_bytes(with_chunk(png, b"eXIf", exif))
    assert np.array_equal(read_image(tmp_path / "odd.png"), RGB)


def test_large_and_broken_metadata_of_a_png_is_not_read(tmp_path):
    png = save(tmp_path / "plain.png", RGB).read_bytes()
    bomb = zlib.compress(bytes(30_000_000))
    chunks = [
        (b"zTXt", b"Comment\0\0" + bomb, None),
        (b"zTXt", b"Raw profile type exif\0\0" + bomb, None),
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + bomb, None),
        (b"iTXt", b"Comment\0\1\0\0\0" + bomb, None),
        (b"iCCP", b"profile\0\0" + bomb, None),
        (b"tEXt", b"Comment\0" + b"x" * 2_000_000, None),
        (b"tIME", bytes(7), 1),
        (b"pHYs", b"", 1),
    ]
    for chunk in chunks:
        (tmp_path / "a.png").write_bytes(with_chunk(png, *chunk))
        assert np.array_equal(read_image(tmp_path / "a.png"), RGB), chunk[0]


def test_orientation_in_a_text_of_a_png_is_read(tmp_path):
    texts = PIL.PngImagePlugin.PngInfo()
    xmp = '<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    texts.add_itxt("XML:com.adobe.xmp", xmp, zip=True)
    path = save(tmp_path / "a.png", RGB, pnginfo=texts)
    assert np.array_equal(read_image(path), np.rot90(RGB, -1))


def test_checksums_of_the_pixels_are_checked(tmp_path):
    png = bytearray(save(tmp_path / "a.png", RGB).read_bytes())
    png[png.index(b"IDAT") + 40] ^= 1
    (tmp_path / "a.png").write_bytes(png)
    with pytest.raises(DataError, match=r"a\.png cannot be read: the checksum of its IDAT"):
        read_image(tmp_path / "a.png")
    whole = save(tmp_path / "b.png", RGB).read_bytes()
    (tmp_path / "b.png").write_bytes(whole[:-12])
    with pytest.raises(DataError, match=r"b\.png cannot be read: the file is cut"):
        read_image(tmp_path / "b.png")


def test_the_first_image_of_a_camera_file_is_read(tmp_path):
    first = PIL.Image.fromarray(RGB)
    first.save(tmp_path / "a.mpo", save_all=True, append_images=[first.resize((8, 8))])
    (tmp_path / "a.mpo").rename(tmp_path / "a.jpg")
    with PIL.Image.open(tmp_path / "a.jpg") as image:
        assert image.n_frames == 2
        assert np.array_equal(read_image(tmp_path / "a.jpg"), np.asarray(image))


@pytest.mark.parametrize("kind", ["gif", "webp", "tif"])
def test_frames_and_pages_are_refused(tmp_path, kind):
    frame = PIL.Image.fromarray(RGB)
    frame.save(tmp_path / f"a.{kind}", save_all=True, append_images=[frame.rotate(90)])
    with pytest.raises(DataError, match=rf"a\.{kind} (holds 2 frames|is not an image)"):
        read_image(tmp_path / f"a.{kind}")


def test_corrupt_jpegs_are_refused(tmp_path):
    whole, progressive = jpeg(), jpeg(progressive=True)
    flipped = bytearray(whole)
    flipped[whole.index(b"\xff\xda") + 30] ^= 0xFF
    last_scan = progressive.rindex(b"\xff\xda")
    faults = {
        "flip": bytes(flipped),
        "half": whole[: len(whole) // 2],
        "scan": progressive[: last_scan + 16] + b"\xff\xd9",
        "noend": progressive[:-2],
    }
    for name, data in faults.items():
        (tmp_path / f"{name}.jpg").write_bytes(data)
        with pytest.raises(DataError, match=rf"{name}\.jpg cannot be read"):
            read_image(tmp_path / f"{name}.jpg")


@pytest.mark.parametrize(
    "data",
    [
        jpeg(),
        jpeg(progressive=True),
        jpeg(progressive=True, restart_marker_rows=1),
        jpeg() + b"made by a camera" * 9,
        jpeg() + bytes(20_000_000),
        jpeg(icc_profile=b"x" * 200_000),
        jpeg(subsampling=0, quality=100),
    ],
    ids=["plain", "progressive", "restarts", "tail", "long tail", "profile", "444"],
)
def test_unusual_but_whole_jpegs_are_read(tmp_path, data):
    (tmp_path / "a.jpg").write_bytes(data)
    with PIL.Image.open(tmp_path / "a.jpg") as image:
        assert np.array_equal(read_image(tmp_path / "a.jpg"), np.asarray(image))


def test_an_image_over_the_limit_says_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DataError, match=r"a\.png has more than 200 pixels"):
        read_image(save(tmp_path / "a.png", RGB))


@pytest.mark.parametrize("kind", ["folder", "pipe", "loop"])
def test_a_path_that_is_not_a_file_is_named_and_not_waited_for(tmp_path, kind):
    path = tmp_path / "x.png"
    make = {
        "folder": path.mkdir,
        "pipe": lambda: os.mkfifo(path),
        "loop": lambda: path.symlink_to(path),
    }
    make[kind]()
    with pytest.raises(DataError, match=r"x\.png"):
        read_image(path)


def test_a_name_that_is_not_utf8_is_printable(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.png")
    with pytest.raises(DataError) as caught:
        read_image(path)
    assert r"caf\xe9.png" in str(caught.value).encode("utf-8").decode()
    save(path, RGB)
    assert np.array_equal(read_image(path), RGB)


def test_small_depths_and_transparent_palettes(tmp_path):
    bits = save(tmp_path / "bits.png", RGB[..., 0] > 127, "1")
    assert set(np.unique(read_image(bits))) == {0, 255}
    palette = PIL.Image.fromarray(RGB).quantize(16)
    palette.save(tmp_path / "p.png", transparency=0)
    with pytest.raises(DataError, match="transparent in places"):
        read_image(tmp_path / "p.png")
    grey = np.dstack([RGB[..., 0], np.full((20, 30), 255, np.uint8)])
    PIL.Image.fromarray(grey).save(tmp_path / "la.png")
    assert np.array_equal(read_image(tmp_path / "la.png")[..., 1], RGB[..., 0])
