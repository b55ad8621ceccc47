"""Objects of others as codecs: what they are called with, what is counted, what is refused."""

import ast
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from rdbench_codecs.external.worker import interfaces
from rdbench_codecs.external.worker.interfaces import (
    REQUIRED,
    CodecFileError,
    adapt,
    failed,
    load_class,
    parameters,
    source_sha256,
)

IMAGE = np.random.default_rng(0).integers(0, 256, (70, 50, 3), dtype=np.uint8)
IMAGE.flags.writeable = False


class Tensors(nn.Module):
    """CompressAI's interface: pixels as they are, in two strings."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def update(self):
        self.calls.append("update")

    def compress(self, x):
        assert not self.training
        assert not torch.is_grad_enabled()
        self.calls.append(tuple(x.shape))
        self.corner = x[0, :, -1, -1]
        data = (x * 255).round().byte().numpy().tobytes()
        return {"strings": [[data[:7]], [data[7:]]], "shape": x.shape[2:]}

    def decompress(self, strings, shape):
        assert type(shape) is torch.Size
        (first,), (second,) = strings
        x = torch.frombuffer(bytearray(first + second), dtype=torch.uint8)
        return {"x_hat": x.reshape(1, 3, *shape) / 255}


class Estimate(nn.Module):
    def forward(self, x):
        likelihoods = {"y": torch.full_like(x, 0.5), "z": torch.full((1, 1, 2, 3), 0.3)}
        return {"x_hat": x + 0.001, "likelihoods": likelihoods}


def as_numbers(data):
    """The numbers of a container's first part, read by the rule of the documentation."""
    value = shift = 0
    for byte in data:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            yield value
            value = shift = 0


def test_a_tensor_codec_is_prepared_padded_and_cropped():
    codec = Tensors()
    adapted = adapt(codec)
    encoded = adapted.encode(IMAGE)
    assert codec.calls == ["update", (1, 3, 128, 64)]
    assert np.array_equal(codec.corner * 255, IMAGE[-1, -1])
    assert np.array_equal(np.rint(adapted.decode(encoded.data) * 255), IMAGE)
    assert not adapted.estimated
    assert not adapted.on_gpu


def test_every_byte_of_the_container_is_where_the_documentation_says():
    encoded = adapt(Tensors()).encode(IMAGE)
    sizes = 7, 3 * 128 * 64 - 7
    header = encoded.data[: -sum(sizes)]
    lists = [4 * 2, 4 * 1, 4 * sizes[0] + 1, 4 * 1, 4 * sizes[1] + 1]
    assert [*as_numbers(header)] == [4 * 70 + 2, 4 * 50 + 2, 4 * 2, 4 * 128 + 2, 4 * 64 + 2, *lists]
    assert encoded.segments == [
        ("header", len(header), None), ("strings[0]", 7, None), ("strings[1]", sizes[1], None),
    ]  # fmt: skip
    assert len(header) == 16


@pytest.mark.parametrize("n_bytes", [0, 1, 5, 16, 30, -1])
def test_a_cut_or_longer_container_is_refused(n_bytes):
    adapted = adapt(Tensors())
    data = adapted.encode(IMAGE).data
    with pytest.raises(ValueError, match=r"cut short|too many"):
        adapted.decode(data + b"x" if n_bytes < 0 else data[:n_bytes])


@settings(max_examples=60)
@given(st.binary(max_size=40))
def test_junk_is_refused_or_decoded_and_never_harms(data):
    with pytest.raises((ValueError, RuntimeError, TypeError, CodecFileError)):
        adapt(Tensors()).decode(data)


nested = st.recursive(
    st.binary(max_size=9) | st.integers(0, 2**33), lambda items: st.lists(items, max_size=4)
)


@settings(max_examples=60)
@given(nested, nested)
def test_nested_strings_and_shapes_come_back(shape, strings):
    shares = []
    parts = (70, 50, shape, strings)
    header = b"".join(interfaces._item(part, "", shares) for part in parts)
    data = header + b"".join(share for _, share in shares)
    assert interfaces._read_container(data) == parts


class WithTables(Tensors):
    """Has its tables, like a model that was loaded from a file."""

    def __init__(self):
        super().__init__()
        self.bottleneck = nn.Module()
        self.bottleneck.register_buffer("_quantized_cdf", torch.ones(2))


def test_tables_are_made_once():
    codec = WithTables()
    adapt(codec)
    assert codec.calls == []
    codec.bottleneck._quantized_cdf = torch.empty(0)
    adapt(codec)
    assert codec.calls == ["update"]


def test_an_estimate_counts_bits_and_returns_its_own_image():
    adapted = adapt(Estimate())
    encoded = adapted.encode(IMAGE)
    bits = {"y": 3 * 128 * 64, "z": -6 * math.log2(0.3)}
    assert adapted.estimated
    assert encoded.estimated_bits == pytest.approx(sum(bits.values()))
    assert {name: ideal for name, _, ideal in encoded.segments} == pytest.approx(bits)
    assert sum(n for _, n, _ in encoded.segments) == math.ceil(encoded.estimated_bits / 8)
    decoded = adapted.decode(encoded.data)
    expected = (IMAGE.astype(np.float32) / 255 + np.float32(0.001)).clip(0, 1)
    assert decoded.dtype == np.float32
    assert np.allclose(decoded, expected, atol=1e-7)
    for wrong in (encoded.data[:-9], encoded.data[:2], b"\x02\x02abc"):
        with pytest.raises(ValueError, match=r"cut short|header"):
            adapted.decode(wrong)


class Plain:
    def encode(self, image):
        image += 1  # its own copy
        return bytearray(image.tobytes())

    def decode(self, data):
        return np.frombuffer(data, np.uint8).reshape(70, 50, 3) - 1


def test_arrays_need_no_torch():
    adapted = adapt(Plain())
    encoded = adapted.encode(IMAGE)
    assert type(encoded.data) is bytes
    assert np.array_equal(adapted.decode(encoded.data), IMAGE)
    assert encoded.segments == []


def returning(compressed=b"", decompressed=None):
    names = {"compress": lambda self, x: compressed, "decompress": lambda self, data: decompressed}
    return type("Wrong", (), names)()


def of_tensors(found):
    names = {"compress": lambda self, x: found, "decompress": lambda self, strings, shape: found}
    return type("Wrong", (), names)()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: adapt(returning("text")).encode(IMAGE), "compress returned str, not bytes"),
        (
            lambda: adapt(returning(decompressed=np.zeros((3, 70, 50)))).decode(b""),
            r"decompress returned ndarray of shape \(3, 70, 50\), not an array of shape",
        ),
        (
            lambda: adapt(returning(decompressed=np.zeros((7, 5, 3), int))).decode(b""),
            "not an array of uint8",
        ),
        (
            lambda: adapt(of_tensors({"strings": []})).encode(IMAGE),
            "returned dict of strings, not a dict with strings and shape",
        ),
        (
            lambda: adapt(of_tensors({"strings": [["text"]], "shape": (1, 1)})).encode(IMAGE),
            "must be whole numbers and bytes",
        ),
        (
            lambda: adapt(of_tensors({"strings": [], "shape": (-1, 1)})).encode(IMAGE),
            "must be whole numbers and bytes",
        ),
        (lambda: adapt(object()), "object has neither compress and decompress"),
    ],
)
def test_wrong_interfaces_are_explained(call, message):
    with pytest.raises(CodecFileError, match=message):
        call()


@pytest.mark.parametrize("likelihood", [0.0, 1.5, math.nan])
def test_impossible_likelihoods_are_refused(likelihood):
    class Impossible(nn.Module):
        def forward(self, x):
            return {"x_hat": x, "likelihoods": {"y": torch.full((2,), likelihood)}}

    with pytest.raises(CodecFileError, match=r"likelihoods that are not within \(0, 1\]"):
        adapt(Impossible()).encode(IMAGE)


def test_arguments_and_their_kinds():
    def factory(
        needed: int,
        *positional,
        plain=3,
        text: "Optional[str]" = None,  # noqa: F821
        union: "int | float" = 1,
        flag=False,
        words=("a",),
        real: float | None = None,
        **others,
    ): ...

    assert parameters(factory) == [
        ("needed", "int", REQUIRED), ("plain", "int", 3), ("text", "str", None),
        ("union", "float", 1), ("flag", "bool", False), ("real", "float", None),
    ]  # fmt: skip
    with pytest.raises(CodecFileError, match="'n' of <lambda> has no default"):
        parameters(lambda n: None)


def write(folder, **files):
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return str(folder / f"{next(iter(files))}.py")


CODEC = "class Codec:\n    def compress(self, x): ...\n    def decompress(self, data): ...\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import no_such_module_anywhere", r"line 1: ModuleNotFoundError: No module named"),
        ("x = 1\ndef (", "line 2: SyntaxError"),
        ("x = 1\nraise SystemExit('usage:\\n  mine')", "line 2: SystemExit: usage: mine"),
        ("x = 1", "defines no class with compress and decompress"),
        (CODEC + "class Other(Codec): ...", r"several codecs \(Codec, Other\); choose one, such"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, text, message):
    with pytest.raises(CodecFileError, match=message) as caught:
        load_class(write(tmp_path, mine=text))
    assert "\n" not in str(caught.value)


def test_a_class_is_found_by_name_or_alone(tmp_path):
    text = CODEC + "class _Hidden(Codec): ...\nclass Net:\n    def forward(self): ...\n"
    path = write(tmp_path, mine=text + "def make(): return Codec()\n")
    assert load_class(path).__name__ == "Codec"
    assert load_class(path, "make").__name__ == "make"
    with pytest.raises(CodecFileError, match=r"no class 'Codex'; its classes are: Codec, Net"):
        load_class(path, "Codex")
    with pytest.raises(CodecFileError, match="No such file"):
        load_class(str(tmp_path / "none.py"))


def test_modules_next_to_the_file_belong_to_it(tmp_path):
    path = write(tmp_path, mine="import part_of_mine\n" + CODEC, part_of_mine="value = 1")
    before = source_sha256(path)
    first = load_class(path)
    assert sys.modules[first.__module__].part_of_mine.value == 1
    assert load_class(path) is first
    write(tmp_path, part_of_mine="value = 2")
    assert source_sha256(path) != before
    second = load_class(path)
    assert sys.modules[second.__module__].part_of_mine.value == 2
    assert sys.path[0] != str(tmp_path)


def test_a_wrong_module_next_to_the_file_is_named(tmp_path):
    path = write(tmp_path, mine="import broken_part\n" + CODEC, broken_part="x = 1\ndef (")
    with pytest.raises(CodecFileError, match=r"broken_part\.py, line 2: SyntaxError"):
        load_class(path)


def test_two_modules_of_one_name_are_never_confused(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    text = {"mine": "import shared_part\n" + CODEC, "shared_part": ""}
    load_class(write(tmp_path / "a", **text))
    with pytest.raises(CodecFileError, match=r"another module 'shared_part' is loaded already"):
        load_class(write(tmp_path / "b", **text))


def test_the_line_of_an_error_is_told(tmp_path):
    path = write(tmp_path, mine="class Codec:\n    def forward(self):\n        return 1 / 0\n")
    with pytest.raises(ZeroDivisionError) as caught:
        load_class(path)().forward()
    told = str(failed(path, caught.value))
    assert told == f"{path}, line 3: ZeroDivisionError: division by zero"


def test_the_module_runs_in_old_environments():
    """Python 3.7's grammar, and only numpy and the standard library at import."""
    tree = ast.parse(Path(interfaces.__file__).read_text(), feature_version=(3, 7))
    imported = {
        name.partition(".")[0]
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else
                     [alias.name for alias in node.names])
    }  # fmt: skip
    assert imported - sys.stdlib_module_names == {"numpy"}
