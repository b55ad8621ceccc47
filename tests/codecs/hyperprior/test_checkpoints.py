"""Files in CompressAI's layout: any width, every form, ladders of files, files of other codecs."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from rdbench.errors import DataError, Unavailable, UsageError
from rdbench.images import write_image
from rdbench.spec import get_codec, get_codecs
from rdbench.store import Store
from rdbench.sweep import run
from rdbench_codecs.hyperprior.codec import BASELINES, HyperpriorCodec
from rdbench_codecs.hyperprior.loading import build, randomize
from rdbench_codecs.learned import weights

IMAGE = np.random.default_rng(0).integers(0, 256, (33, 47, 3), np.uint8)


def parameters(baseline: str, n: int, m: int, method: str = "fixed") -> dict[str, Tensor]:
    network = build(baseline, method, n, m)
    randomize(network)
    return dict(network.state_dict())


def compressai_layout(tensors: Mapping[str, Tensor], table_size: int) -> dict[str, Tensor]:
    """With the coder tables and bounds of a published file; 0: as saved before update()."""
    channels = len(tensors["entropy_bottleneck.quantiles"])
    rows, n_scales = (channels, 64) if table_size else (0, 0)
    return {
        **tensors,
        "entropy_bottleneck._offset": torch.zeros(rows, dtype=torch.int32),
        "entropy_bottleneck._quantized_cdf": torch.zeros(rows, table_size, dtype=torch.int32),
        "entropy_bottleneck._cdf_length": torch.zeros(rows, dtype=torch.int32),
        "entropy_bottleneck.target": torch.zeros(3),
        "entropy_bottleneck.likelihood_lower_bound.bound": torch.ones(1),
        "gaussian_conditional._quantized_cdf": torch.zeros(n_scales, 17, dtype=torch.int32),
        "gaussian_conditional.scale_table": torch.zeros(n_scales),
        "gaussian_conditional.lower_bound_scale.bound": torch.ones(1),
        "g_a.1.gamma_reparam.lower_bound.bound": torch.ones(1),
        "g_a.1.beta_reparam.pedestal": torch.ones(1),
    }


def old_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """As CompressAI 1.0 and its training on several GPUs named them."""
    changes = (
        (".skip.", ".downsample."),
        ("._matrix", "._matrices."),
        ("._bias", "._biases."),
        ("._factor", "._factors."),
    )
    renamed = dict(tensors)
    for new, old in changes:
        renamed = {name.replace(new, old): value for name, value in renamed.items()}
    return {f"module.{name}": value for name, value in renamed.items()}


def save(path: Path, baseline: str, n: int, m: int) -> Path:
    tensors = compressai_layout(parameters(baseline, n, m), 37)
    torch.save({"epoch": 1, "state_dict": tensors, "loss": torch.ones(())}, path)
    return path


@pytest.mark.parametrize("baseline", BASELINES)
@settings(max_examples=1, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    n=st.integers(1, 34),
    m=st.integers(2, 34),
    table_size=st.sampled_from([0, 5, 900]),
    is_old=st.booleans(),
)
@example(n=5, m=7, table_size=900, is_old=True)
@example(n=7, m=5, table_size=0, is_old=False)
def test_any_width_loads_from_every_form_of_file(
    baseline: str, n: int, m: int, table_size: int, is_old: bool, tmp_path: Path
) -> None:
    if baseline.startswith("cheng2020"):
        n = m  # as published: one number of channels
    tensors = parameters(baseline, n, m)
    plain, other = tmp_path / "plain.pth.tar", tmp_path / "other.pth.tar"
    torch.save(tensors, plain)
    content = compressai_layout(tensors, table_size)
    content = old_names(content) if is_old else content
    torch.save({"state_dict": content}, other, _use_new_zipfile_serialization=not is_old)
    one, two = (get_codec(f"{baseline}:weights={path}") for path in (plain, other))
    assert isinstance(one, HyperpriorCodec)
    assert one.identify_weights().configuration == f"{baseline} N={n} M={m}"
    stream = two.encode(IMAGE)
    assert stream.segments == one.encode(IMAGE).segments
    np.testing.assert_array_equal(two.decode(stream.data), one.decode(one.encode(IMAGE).data))


def test_wider_than_published_is_not_called_reduced(tmp_path: Path) -> None:
    path = save(tmp_path / "wide.pth.tar", "bmshj2018-factorized", 200, 328)
    identity = get_codec(f"bmshj2018-factorized:weights={path},quality=8").identify_weights()
    assert identity is not None
    assert (identity.kind, identity.configuration) == ("other", "bmshj2018-factorized N=200 M=328")


def test_a_pattern_is_a_ladder_of_files(tmp_path: Path) -> None:
    numbers = (3, 18, 250)  # of one's own, beyond the published qualities
    for number in numbers:
        save(tmp_path / f"q{number}.pth.tar", "mbt2018-mean", 4 + number % 7, 4)
    write_image(IMAGE, tmp_path / "images" / "a.png")
    spec = f"mbt2018-mean:weights={tmp_path}/q{{quality}}.pth.tar,quality=3,18,250"
    points = get_codecs(spec)
    run(points, str(tmp_path / "images"), tmp_path / "report")
    with Store(tmp_path / "report") as store:
        records = sorted(store.records(), key=lambda record: record.rate_value or 0)
    assert [record.error for record in records] == [None] * 3
    assert [record.rate_value for record in records] == list(numbers)
    hashes = [weights.sha256(tmp_path / f"q{number}.pth.tar") for number in numbers]
    assert [record.fingerprint for record in records] == hashes
    assert len({record.curve for record in records}) == 1


def test_a_pattern_may_use_other_settings(tmp_path: Path) -> None:
    save(tmp_path / "2-ms-ssim-edge.pth.tar", "mbt2018-mean", 4, 4)
    pattern = f"{tmp_path}/{{quality}}-{{metric}}-{{padding}}.pth.tar"
    codec = get_codec(f"mbt2018-mean:weights={pattern},quality=2,metric=ms-ssim,padding=edge")
    assert codec.fingerprint() == weights.sha256(tmp_path / "2-ms-ssim-edge.pth.tar")
    levels = get_codec("cui2021-mbt2018-mean:weights=l{level}.pth,level=3")
    assert isinstance(levels, HyperpriorCodec)
    assert levels.weights_path() == "l3.pth"


def test_errors_name_the_missing_file_and_the_unknown_setting(tmp_path: Path) -> None:
    save(tmp_path / "q1.pth.tar", "mbt2018-mean", 4, 4)
    pattern = f"mbt2018-mean:weights={tmp_path}/q{{quality}}.pth.tar,quality=1,2"
    first, second = get_codecs(pattern)
    first.check()
    with pytest.raises(Unavailable, match=r"weights .*/q2\.pth\.tar not found"):
        second.check()
    for setting, fix in [
        ("qualty", r"no setting qualty; a pattern can use \{padding\}, \{quality\}, \{metric\}"),
        ("device", "no setting device"),  # how to run a codec does not choose its weights
    ]:
        with pytest.raises(UsageError, match=fix):
            get_codec(f"mbt2018-mean:weights=q{{{setting}}}.pth.tar").check()
    with pytest.raises(UsageError, match=r"has a file for each index; give index="):
        get_codec("qvrf-mbt2018-mean:weights=q{index}.pth.tar,a=2").check()


@pytest.mark.parametrize(
    ("holds", "method", "asked", "hint"),
    [
        ("mbt2018-mean", "fixed", "mbt2018", "mbt2018-mean or qvrf-mbt2018-mean"),
        ("bmshj2018-factorized", "fixed", "mbt2018-mean", "bmshj2018-factorized"),
        ("cheng2020-attn", "cui2021", "qvrf-cheng2020-anchor", "cui2021-cheng2020-attn"),
    ],
)
def test_a_file_of_another_codec_is_refused_before_a_sweep(
    holds: str, method: str, asked: str, hint: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.pth.tar"
    torch.save({"state_dict": parameters(holds, 4, 4, method)}, path)
    codec = get_codec(f"{asked}:weights={path}")
    with pytest.raises(DataError, match=rf"a\.pth\.tar does not fit .*; it is a file of {hint}$"):
        codec.check()


def test_a_file_of_no_codec_is_refused_without_a_guess(tmp_path: Path) -> None:
    path = tmp_path / "a.pth.tar"
    torch.save(parameters("mbt2018", 4, 4) | {"extra": torch.ones(1)}, path)
    with pytest.raises(DataError, match=r"extra has shape \(1,\), expected none$"):
        get_codec(f"mbt2018:weights={path}").check()
