"""The codec made of two commands, with a small program that runs anywhere."""

import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from sample import photograph

from rdbench.errors import BitstreamError, DataError, EncoderError, Unavailable
from rdbench.spec import get_codecs
from rdbench.types import Segment
from rdbench_codecs.conventional.colour import from_yuv444, to_yuv444
from rdbench_codecs.external import command
from rdbench_codecs.external.command import CommandCodec
from rdbench_codecs.external.description import load

STAND_IN = Path(__file__).with_name("stand_in_codec.py")
IMAGE = np.ascontiguousarray(photograph("astronaut")[60:93, 180:227])
PYTHON = f"{sys.executable} {{here}}/codec.py"
JPEG = {
    "name": "small-jpeg",
    "encode": f"{PYTHON} encode {{input}} {{output}} {{quality}}",
    "decode": f"{PYTHON} decode {{input}} {{output}}",
    "format": "png",
    "ladder": {"quality": [10, 50, 90]},
}
YUV = {
    "name": "packed",
    "encode": f"{PYTHON} encode-yuv {{input}} {{output}} {{width}} {{height}}",
    "decode": f"{PYTHON} decode-yuv {{input}} {{output}} {{width}} {{height}}",
    "format": "yuv444",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a blank in its name, the program and, later, descriptions."""
    folder = tmp_path / "my codecs"
    folder.mkdir()
    (folder / "codec.py").write_bytes(STAND_IN.read_bytes())
    return folder


def described(folder: Path, keys: dict[str, object]) -> type[CommandCodec]:
    return load(write(folder, keys))


def write(folder: Path, keys: dict[str, object]) -> Path:
    file = folder / "codec.toml"
    lines = []
    for key, value in keys.items():
        if isinstance(value, dict):
            lines += [f"{key}.{name} = {numbers}" for name, numbers in value.items()]
        else:
            lines.append(f"{key} = {value!r}")
    file.write_text("\n".join(lines))
    return file


def test_class_follows_the_file(folder: Path) -> None:
    cls = described(folder, JPEG | {"title": "A small JPEG"})
    assert (cls.name, cls.title) == ("small-jpeg", "A small JPEG")
    assert cls.rate_parameters == ("quality",)
    assert [repr(point) for point in cls().ladder()] == [
        "Small_Jpeg(quality=10)",
        "Small_Jpeg(quality=50)",
        "Small_Jpeg(quality=90)",
    ]


@pytest.mark.parametrize("file_format", ["png", "ppm"])
def test_round_trip_through_image_files(folder: Path, file_format: str) -> None:
    codec = described(folder, JPEG | {"format": file_format, "extension": "jpg"})()
    bitstream = codec.encode(IMAGE)
    assert bitstream.segments == ()
    assert bitstream.data.startswith(b"\xff\xd8")
    assert np.abs(codec.decode(bitstream.data).astype(int) - IMAGE).mean() < 6


def test_round_trip_through_planes_counts_the_header(folder: Path) -> None:
    codec = described(folder, YUV)()
    data, segments = (b := codec.encode(IMAGE)).data, b.segments
    assert segments == (Segment("header", 4), Segment("payload", len(data) - 4))
    assert data[:4] == bytes([47, 0, 33, 0])
    assert np.array_equal(codec.decode(data), from_yuv444(to_yuv444(IMAGE)))
    assert codec.ladder() == (codec,)


def test_spec_with_a_file(folder: Path) -> None:
    file = write(folder, JPEG)
    points = get_codecs(f"{file}:quality=20,40")
    assert [getattr(p, "quality") for p in points] == [20, 40]  # noqa: B009
    assert len(get_codecs(str(file))) == 3


def test_whole_and_broken_numbers(folder: Path) -> None:
    codec = described(folder, JPEG | {"ladder": {"quality": [10, 22.5]}})()
    assert [type(v) for v in codec.ladder_values] == [float, float]


def test_the_example_of_the_documentation(folder: Path) -> None:
    example = textwrap.dedent(command.__doc__.split("::\n")[1].split("``rdbench run")[0])
    (folder / "cjxl.toml").write_text(example)
    cls = load(folder / "cjxl.toml")
    assert (cls.name, cls.title, cls.definition.timeout_s) == ("cjxl", "JPEG XL, cjxl", 600)
    assert cls.ladder_values == (10, 30, 50, 70, 90)


def test_same_file_same_class(folder: Path) -> None:
    first, second = described(folder, JPEG), described(folder, JPEG)
    assert first is second
    assert described(folder, JPEG | {"timeout_s": 5}) is not first


def test_travels_to_another_process(folder: Path) -> None:
    codec = described(folder, JPEG)(quality=33)  # type: ignore[call-arg]
    assert pickle.loads(pickle.dumps(codec)) == codec
    code = "import sys, pickle; print(pickle.loads(bytes.fromhex(sys.argv[1])))"
    out = subprocess.check_output(
        [sys.executable, "-c", code, pickle.dumps(codec).hex()], text=True
    )
    assert out.strip() == "Small_Jpeg(quality=33)"


def test_fingerprint_is_of_what_decides_the_bits(folder: Path) -> None:
    plain = described(folder, JPEG)().fingerprint()
    assert described(folder, JPEG | {"timeout_s": 5, "title": "x"})().fingerprint() == plain
    assert described(folder, JPEG | {"format": "ppm"})().fingerprint() != plain


def test_version_is_the_first_line_printed(folder: Path) -> None:
    codec = described(folder, JPEG | {"version": f"{PYTHON} version"})()
    assert codec.versions() == {"small-jpeg": "stand-in 1.2"}
    assert described(folder, JPEG)().versions() == {}


@pytest.mark.parametrize("key", ["encode", "decode", "version"])
def test_missing_program(folder: Path, key: str) -> None:
    placeholders = {"encode": "{input} {output} {quality}", "decode": "{input} {output}"}
    codec = described(folder, JPEG | {key: f"no-such-program {placeholders.get(key, '')}"})()
    with pytest.raises(Unavailable, match=r"no-such-program.*install it"):
        codec.check()


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        ("fail", r"failed \(status 1\): progress \| this is why"),
        ("nothing", "wrote no compressed.bin"),
        ("hang", r"stopped after 0\.5 s"),
    ],
)
def test_encoder_that_fails(folder: Path, action: str, reason: str) -> None:
    encode = f"{PYTHON} {action} {{input}} {{output}} {{quality}}"
    codec = described(
        folder, JPEG | {"encode": encode, "timeout_s": 0.5 if action == "hang" else 60}
    )()
    with pytest.raises(EncoderError, match=reason):
        codec.encode(IMAGE)


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        ("fail", r"failed \(status 1\): progress \| this is why"),
        ("nothing", "wrote no image.png"),
        ("hang", r"stopped after 0\.5 s"),
        ("wrong-size", "Pillow does not recognize the image format"),
        ("deep", "refused: image.png is not 8-bit RGB or grey .*16 bits a sample"),
        ("transparent", "refused: image.png is transparent in places"),
    ],
)
def test_decoder_that_fails(folder: Path, action: str, reason: str) -> None:
    decode = f"{PYTHON} {action} {{input}} {{output}}"
    codec = described(
        folder, JPEG | {"decode": decode, "timeout_s": 0.5 if action == "hang" else 60}
    )()
    data = described(folder, JPEG)().encode(IMAGE).data
    with pytest.raises(BitstreamError, match=reason):
        codec.decode(data)


@pytest.mark.parametrize("mode", ["RGBA", "L", "LA", "P"])
def test_reconstructions_follow_the_rules_of_images(folder: Path, mode: str) -> None:
    decode = f"{PYTHON} as-{mode} {{input}} {{output}}"
    keys = {k: v for k, v in JPEG.items() if k != "ladder"}
    codec = described(folder, keys | {"encode": "cp {input} {output}", "decode": decode})
    grey = np.repeat(IMAGE[:, :, :1], 3, axis=2) // 51 * 51
    assert np.array_equal(codec().decode(codec().encode(grey).data), grey)


def test_a_description_with_a_byte_order_mark(folder: Path) -> None:
    file = write(folder, JPEG)
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert load(file) is described(folder, JPEG)


def test_decoder_that_writes_too_few_planes(folder: Path) -> None:
    decode = f"{PYTHON} wrong-size {{input}} {{output}}"
    codec = described(folder, YUV | {"decode": decode})()
    with pytest.raises(BitstreamError, match="wrote 5 bytes, not 47x33"):
        codec.decode(codec.encode(IMAGE).data)


def test_header_of_a_giant(folder: Path) -> None:
    with pytest.raises(BitstreamError, match="65535x65535"):
        described(folder, YUV)().decode(b"\xff" * 4 + b"data")


WRONG: list[tuple[dict[str, object], str]] = [
    ({"name": None}, "'name' is missing"),
    ({"decode": None}, "'decode' is missing"),
    ({"name": "a:b"}, "name 'a:b' may have letters"),
    ({"ladders": 1}, "unknown key 'ladders'; known are name, encode"),
    ({"format": "bmp"}, "format 'bmp' is not one of png, ppm, yuv444"),
    ({"timeout_s": "long"}, "timeout_s='long' is empty or of the wrong type"),
    ({"extension": ".jxl"}, "extension '.jxl' must be a word"),
    ({"encode": "p {input} {output}"}, r"encode does not use \{quality\}"),
    ({"encode": "p {output} {quality}"}, r"encode does not use \{input\}"),
    ({"encode": "p {input} {output} {qality}"}, r"encode cannot use \{qality\}; it can use"),
    ({"encode": "p {input} {output} {quality"}, "encode: "),
    ({"encode": "p '{input} {output} {quality}"}, "encode: No closing quotation"),
    ({"encode": "p {input.name} {output} {quality}"}, r"encode cannot use \{input.name\}"),
    ({"decode": "p {input} {output} {quality}"}, r"decode cannot use \{quality\}"),
    ({"decode": "p {input} {output} {width}"}, r"decode cannot use \{width\}"),
    ({"version": "p {input}"}, r"version cannot use \{input\}"),
    ({"ladder": {"quality": []}}, "ladder must give one parameter numbers"),
    ({"ladder": {"quality": [1, "high"]}}, "ladder must give one parameter numbers"),
    ({"ladder": {"quality": [1], "speed": [2]}}, "ladder must give one parameter numbers"),
    ({"ladder": {"width": [1]}}, "the rate parameter cannot be called 'width'"),
    ({"ladder": {"encode": [1]}}, "the rate parameter cannot be called 'encode'"),
    ({"ladder": {"class": [1]}}, "the rate parameter cannot be called 'class'"),
    ({"ladder": {"quality": [1, float("nan")]}}, "a number of the ladder is not finite"),
    ({"ladder": {"quality": [1.5, 10**400]}}, "a number of the ladder is not finite"),
    ({"timeout_s": -1}, "timeout_s must be over 0"),
    ({"timeout_s": 10**400}, "timeout_s must be over 0"),
    ({"encode": "p {input} {output} {quality!q}"}, "encode: .*conversion"),
    ({"encode": "p {input} {output} {quality:zz}"}, "encode: .*format"),
    ({"encode": "p {input} {output} {quality:{width}}"}, "encode: the format"),
    ({"encode": "p {input} {output} {quality:100000000000}"}, "encode: the format"),
    ({"encode": "{input} {output} {quality}"}, r"its program cannot be \{input\}"),
]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a = " + 10_000 * "[", "nested too deeply"),
        ("timeout_s = true", "timeout_s=True is empty or of the wrong type"),
        ('ladder = {"\ufb01" = [1]}', "the rate parameter cannot be called '\ufb01'"),
        (r'version = "p \u0000"', "version holds a zero byte"),
    ],
)
def test_strange_descriptions(folder: Path, text: str, reason: str) -> None:
    commands = 'encode = "p {input} {output}"\ndecode = "p {input} {output}"'
    file = folder / "strange.toml"
    file.write_text(f'name = "a"\nformat = "png"\n{commands}\n{text}', encoding="utf-8")
    with pytest.raises(DataError, match=rf"strange\.toml: .*{reason}"):
        load(file)


def test_a_format_of_the_rate_parameter(folder: Path) -> None:
    described(folder, JPEG | {"encode": "p {input} {output} {quality:03d} {width:>5}"})


@pytest.mark.parametrize(("change", "reason"), WRONG, ids=[r for _, r in WRONG])
def test_wrong_descriptions(folder: Path, change: dict[str, object], reason: str) -> None:
    keys = {k: v for k, v in (JPEG | change).items() if v is not None}
    with pytest.raises(DataError, match=reason) as caught:
        described(folder, keys)
    assert "codec.toml: " in str(caught.value)


def test_files_that_cannot_be_read(folder: Path) -> None:
    with pytest.raises(DataError, match=r"none\.toml"):
        load(folder / "none.toml")
    (folder / "broken.toml").write_text("name = ")
    with pytest.raises(DataError, match=r"broken\.toml: Invalid value"):
        load(folder / "broken.toml")
