"""The registered codecs on tiny networks: bytes, settings, what is refused."""

import dataclasses
import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from sample import photograph

from rdbench.errors import BitstreamError, EncoderError, RdbenchError, Unavailable, UsageError
from rdbench.plugins import codec_class
from rdbench.spec import get_codecs, spec_of
from rdbench.stages import collect_entropy_parameters
from rdbench.types import Image
from rdbench_codecs.hyperprior import CODECS
from rdbench_codecs.hyperprior.checkpoints import CHECKPOINTS
from rdbench_codecs.hyperprior.codec import HyperpriorCodec, Qvrf
from rdbench_codecs.hyperprior.loading import build, randomize
from rdbench_codecs.hyperprior.qvrf import LAMBDAS
from rdbench_codecs.learned import weights as weights_files

BASELINES = [
    "bmshj2018-hyperprior",
    "mbt2018-mean",
    "mbt2018",
    "cheng2020-anchor",
    "cheng2020-attn",
]
MBT2018, MBT2018_MEAN = CODECS["mbt2018"], CODECS["mbt2018-mean"]
QVRF, QVRF_ATTENTION = CODECS["qvrf-mbt2018"], CODECS["qvrf-cheng2020-attn"]
CUI2021, SONG2021 = CODECS["cui2021-mbt2018"], CODECS["song2021-bmshj2018-hyperprior"]
METHODS = ["qvrf", "theis2017", "cui2021", "song2021"]
NAMES = [
    "bmshj2018-factorized",
    *BASELINES,
    *(f"{method}-{baseline}" for method in METHODS for baseline in BASELINES),
]


def photo(height: int = 70, width: int = 90) -> Image:
    return photograph("astronaut")[60 : 60 + height, 180 : 180 + width]


def tiny(name: str, **settings: object) -> HyperpriorCodec:
    made = codec_class(name)(weights="random-tiny", **settings)
    assert isinstance(made, HyperpriorCodec)
    return made


@pytest.mark.parametrize("name", NAMES)
def test_images_survive_at_both_ends_of_the_ladder(name: str) -> None:
    image = photo()
    sizes = []
    for codec in (tiny(name).ladder()[0], tiny(name).ladder()[-1]):
        stream = codec.encode(image)
        latents = ["y"] if name == "bmshj2018-factorized" else ["z", "y"]
        assert [s.name for s in stream.segments] == ["header", *latents]
        assert sum(s.n_bytes for s in stream.segments) == len(stream.data)
        for segment in stream.segments[1:]:
            assert segment.ideal_bits is not None
            assert segment.n_bytes <= 1.005 * segment.ideal_bits / 8 + 64
        assert stream.segments[0].n_bytes <= 25
        decoded = codec.decode(stream.data)
        assert decoded.shape == image.shape
        assert decoded.dtype == np.float32
        assert 0 <= decoded.min() <= decoded.max() <= 1
        again = dataclasses.replace(codec).decode(stream.data)
        np.testing.assert_array_equal(decoded, again)
        sizes.append(len(stream.data))
    if codec.variable_rate and "song2021" not in name:
        assert sizes[1] > 1.5 * sizes[0]


@pytest.mark.parametrize("name", ["qvrf-mbt2018", "qvrf-bmshj2018-hyperprior"])
def test_odd_sizes_decode_alike_on_other_threads(name: str) -> None:
    rng = np.random.default_rng(0)
    for height, width in [(1, 1), (1, 200), (131, 1), *rng.integers(1, 200, (10, 2))]:
        image = rng.integers(0, 256, (height, width, 3), np.uint8)
        codec = tiny(name, a=3.0, threads=1)
        data = codec.encode(image).data
        decoded = codec.decode(data)
        assert decoded.shape == image.shape
        for threads in (2, 3):
            other = dataclasses.replace(codec, threads=threads)
            assert other.encode(image).data == data
            np.testing.assert_array_equal(other.decode(data), decoded)


def test_attention_does_not_depend_on_threads() -> None:
    """A size at which a third of the gates is not a whole number of vectors."""
    image = np.random.default_rng(42).integers(0, 256, (253, 504, 3), np.uint8)
    one, three = (
        QVRF_ATTENTION(weights="random-tiny", a=2.7, threads=threads) for threads in (1, 3)
    )
    data = one.encode(image).data
    np.testing.assert_array_equal(one.decode(data), three.decode(data))


@pytest.mark.parametrize("baseline", ["mbt2018", "cheng2020-attn"])
def test_gaussians_do_not_depend_on_threads(baseline: str, tmp_path: Path) -> None:
    """To the last bit, at channels where matrix products of several threads round otherwise."""
    path = saved(tmp_path / "a.safetensors", baseline, "qvrf", n=32, m=96)
    scales = []
    for threads in (1, 2, 3):
        codec = codec_class(f"qvrf-{baseline}")(weights=str(path), threads=threads)
        with collect_entropy_parameters() as found:
            codec.encode(photo(300, 500))
        scales.append(np.concatenate(found["y"].scales).tobytes())
    assert scales[0] == scales[1] == scales[2]


@pytest.mark.parametrize("spec", ["qvrf-mbt2018:a=2.5", "qvrf-mbt2018-mean:lambda=0.05"])
def test_another_process_decodes_the_same_image(spec: str, tmp_path: Path) -> None:
    (codec,) = get_codecs(f"{spec},weights=random-tiny")
    stream = codec.encode(photo())
    (tmp_path / "file").write_bytes(stream.data)
    program = (
        "import sys, numpy as np\n"
        "from rdbench.spec import get_codecs\n"
        "(codec,) = get_codecs(sys.argv[1])\n"
        "data = open(sys.argv[2], 'rb').read()\n"
        "np.save(sys.argv[2] + '.npy', codec.decode(data))\n"
    )
    arguments = [sys.executable, "-c", program, spec_of(codec), str(tmp_path / "file")]
    environment = {**os.environ, "OMP_NUM_THREADS": "3"}
    subprocess.run(arguments, check=True, cwd=tmp_path, env=environment, timeout=120)
    np.testing.assert_array_equal(np.load(tmp_path / "file.npy"), codec.decode(stream.data))


def test_fixed_rate_is_qvrf_with_regulator_1() -> None:
    fixed = tiny("mbt2018", quality=8).load().network.state_dict()
    regulated = tiny("qvrf-mbt2018").load().network.state_dict()
    assert set(regulated) - set(fixed) == {"Gain"}
    assert all(torch.equal(regulated[name], value) for name, value in fixed.items())
    ours, theirs = (tiny(name).encode(photo()) for name in ("qvrf-mbt2018", "mbt2018"))
    assert ours.segments == theirs.segments
    assert ours.data[-ours.segments[2].n_bytes :] == theirs.data[-theirs.segments[2].n_bytes :]


def test_a_lambda_and_index_agree() -> None:
    by_index = tiny("qvrf-mbt2018-mean", index=4)
    assert isinstance(by_index, Qvrf)
    fit = by_index.regulator_fit()
    assert (fit.slope, fit.intercept, fit.r2) == pytest.approx((1, 0, 1), abs=1e-4)
    by_a = tiny("qvrf-mbt2018-mean", a=fit.regulators[4])
    by_lambda = tiny("qvrf-mbt2018-mean", lambda_=LAMBDAS[4])
    data = by_index.encode(photo()).data
    assert by_a.encode(photo()).data == data
    assert len(by_lambda.encode(photo()).data) == pytest.approx(len(data), abs=3)


def test_regulators_give_a_continuous_range_of_rates_and_leave_z_alone() -> None:
    streams = [tiny("qvrf-mbt2018-mean", a=a).encode(photo()) for a in np.geomspace(0.5, 12, 9)]
    sizes = [stream.segments[2].n_bytes for stream in streams]
    assert all(a < b for a, b in itertools.pairwise(sizes))
    assert len({stream.segments[1] for stream in streams}) == 1


def test_the_decoder_takes_the_rate_from_the_file() -> None:
    for name, setting, value in [
        ("qvrf-mbt2018", "a", 3.7),
        ("theis2017-mbt2018", "level", 2.5),
        ("cui2021-mbt2018", "level", 6.1),
    ]:
        codec = tiny(name, **{setting: value})
        data = codec.encode(photo()).data
        np.testing.assert_array_equal(tiny(name).decode(data), codec.decode(data))


def test_gains_between_levels_give_rates_between() -> None:
    sizes = [len(tiny("cui2021-mbt2018", level=v).encode(photo()).data) for v in (3, 3.5, 4)]
    assert sizes[0] < sizes[1] < sizes[2]


def test_padding_is_a_setting_and_the_decoder_needs_it_not() -> None:
    zeros, edge = (tiny("qvrf-mbt2018-mean", a=6.0, padding=p) for p in ("zeros", "edge"))
    assert zeros.encode(photo()).data != edge.encode(photo()).data
    data = edge.encode(photo()).data
    np.testing.assert_array_equal(zeros.decode(data), edge.decode(data))
    whole = photo(64, 128)
    assert zeros.encode(whole).data == edge.encode(whole).data


@settings(max_examples=100)
@given(data=st.binary(max_size=80))
def test_foreign_files_are_refused(data: bytes) -> None:
    with pytest.raises(BitstreamError):
        tiny("qvrf-mbt2018").decode(data)


def test_files_of_other_weights_are_refused() -> None:
    data = tiny("qvrf-mbt2018").encode(photo()).data
    with pytest.raises(BitstreamError, match="weights"):
        tiny("qvrf-mbt2018-mean").decode(data)
    with pytest.raises(BitstreamError, match="weights"):
        tiny("mbt2018").decode(data)


def test_latents_that_are_not_finite_are_an_error(tmp_path: Path) -> None:
    network = build("mbt2018-mean", "fixed", 8, 12)
    network.g_a[0].weight.data[:] = torch.finfo(torch.float32).max
    save_file(network.state_dict(), tmp_path / "large.safetensors")
    with pytest.raises(EncoderError, match="contain NaN or values that are too large"):
        MBT2018_MEAN(weights=str(tmp_path / "large.safetensors")).encode(photo())


def test_bit_maps_show_where_the_ideal_bits_go() -> None:
    codec = tiny("qvrf-mbt2018", a=4.0)
    maps = codec.bit_maps(photo(100, 200))
    assert {name: bits.shape for name, bits in maps.items()} == {"z": (2, 4), "y": (8, 16)}
    for segment in codec.encode(photo(100, 200)).segments[1:]:
        assert maps[segment.name].sum() == pytest.approx(segment.ideal_bits, rel=1e-5)


def test_fingerprints_say_that_weights_are_random(tmp_path: Path) -> None:
    assert tiny("mbt2018").identify_weights().kind == "random"
    path = saved(tmp_path / "a.safetensors", "mbt2018", "fixed")
    assert MBT2018(weights=str(path)).fingerprint() == weights_files.sha256(path)


def saved(path: Path, baseline: str, method: str, n: int = 8, m: int = 12) -> Path:
    network = build(baseline, method, n, m)
    randomize(network)
    if path.suffix == ".safetensors":
        save_file(network.state_dict(), path)
    else:
        tensors = {f"module.{name}": value for name, value in network.state_dict().items()}
        torch.save({"state_dict": tensors, "epoch": 3}, path)
    return path


@pytest.mark.parametrize("baseline", ["bmshj2018-hyperprior", "mbt2018-mean", "mbt2018"])
def test_a_regulator_can_be_folded_into_the_network(baseline: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "qvrf.safetensors", baseline, "qvrf")
    codec = codec_class(f"qvrf-{baseline}")(weights=str(path), a=4.0)  # exact in binary
    codec.write_fixed(tmp_path / "fixed.safetensors")
    fixed = codec_class(baseline)(weights=str(tmp_path / "fixed.safetensors"))
    one, other = codec.encode(photo()), fixed.encode(photo())
    assert one.segments[1:] == other.segments[1:]
    np.testing.assert_allclose(codec.decode(one.data), fixed.decode(other.data), atol=1e-5)


def test_attention_holds_no_regulator(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.safetensors", "cheng2020-attn", "qvrf")
    with pytest.raises(UsageError, match="5x5"):
        QVRF_ATTENTION(weights=str(path), a=2.0).write_fixed(tmp_path / "b.safetensors")


def test_weights_come_from_files(tmp_path: Path) -> None:
    plain = MBT2018(weights=str(saved(tmp_path / "a.safetensors", "mbt2018", "fixed")))
    wrapped = MBT2018(weights=str(saved(tmp_path / "a.pth.tar", "mbt2018", "fixed")))
    one, other = plain.encode(photo()), wrapped.encode(photo())
    assert one.segments == other.segments
    assert plain.fingerprint() == weights_files.sha256(tmp_path / "a.safetensors")
    assert plain.fingerprint() != wrapped.fingerprint()
    assert plain.parameter_counts()["total"] < MBT2018(weights="random").parameter_counts()["total"]
    with pytest.raises(BitstreamError, match="weights"):
        wrapped.decode(one.data)


@pytest.mark.parametrize("form", ["bare", "module", "state_dict", "training", "old names"])
def test_published_files_load_in_every_form(form: str, tmp_path: Path) -> None:
    """As QVRF's training program and CompressAI's zoo wrote them."""
    network = build("cheng2020-attn", "qvrf", 8, 8)
    randomize(network)
    network.Gain.data.mul_(1.1)  # type: ignore[union-attr, operator]
    tensors = {
        **network.state_dict(),
        "entropy_bottleneck._quantized_cdf": torch.zeros(8, 3, dtype=torch.int32),
        "gaussian_conditional.scale_table": torch.zeros(64),
        "gaussian_conditional._cdf_length": torch.zeros(64, dtype=torch.int32),
    }
    prefixed = {f"module.{name}": value for name, value in tensors.items()}
    old = {
        name.replace("._matrix", "._matrices.").replace(".skip.", ".downsample."): value
        for name, value in tensors.items()
    }
    content = {
        "bare": tensors,
        "module": prefixed,
        "state_dict": {"state_dict": tensors},
        "training": {"epoch": 3, "state_dict": prefixed, "loss": torch.ones(()), "optimizer": {}},
        "old names": {
            "state_dict": {n.replace(".skip.", ".downsample."): t for n, t in old.items()}
        },
    }[form]
    torch.save(content, tmp_path / "checkpoint.pth.tar")
    codec = QVRF_ATTENTION(weights=str(tmp_path / "checkpoint.pth.tar"), index=7)
    assert codec.load().regulators()[7] == pytest.approx(11)
    assert codec.decode(codec.encode(photo()).data).shape == photo().shape


def test_a_fixed_rate_file_serves_qvrf_by_its_regulator(tmp_path: Path) -> None:
    path = str(saved(tmp_path / "a.safetensors", "mbt2018", "fixed"))
    codec = QVRF(weights=path, a=2.0)
    assert codec.decode(codec.encode(photo()).data).shape == photo().shape
    with pytest.raises(UsageError, match="fixed rate"):
        QVRF(weights=path, index=2).encode(photo())
    with pytest.raises(UsageError, match="fixed rate"):
        codec.regulator_fit()


def test_files_of_one_quality_each(tmp_path: Path) -> None:
    for quality in (1, 2):
        saved(tmp_path / f"q{quality}.safetensors", "mbt2018-mean", "fixed", n=4 * quality)
    codec = MBT2018_MEAN(weights=str(tmp_path / "q{quality}.safetensors"), quality=1)
    assert [point.quality for point in codec.ladder()] == list(range(1, 9))
    first, second = codec, dataclasses.replace(codec, quality=2)
    assert first.fingerprint() != second.fingerprint()
    alone = dataclasses.replace(codec, weights=str(tmp_path / "q1.safetensors"))
    assert alone.ladder() == (alone,)


def test_missing_weights_say_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(weights_files, "cache_folder", lambda: tmp_path)
    for codec, hint in [
        (MBT2018(quality=3), "rdbench weights fetch mbt2018:quality=3`"),
        (MBT2018_MEAN(quality=2, metric="ms-ssim"), "mbt2018-mean:quality=2,metric=ms-ssim`"),
        (QVRF_ATTENTION(weights="published"), "rdbench weights fetch qvrf-cheng2020-attn`"),
        (CODECS["qvrf-cheng2020-anchor"](), "published weights of qvrf-cheng2020-anchor not found"),
        (CODECS["theis2017-mbt2018-mean"](weights="nowhere.pth"), "nowhere.pth"),
    ]:
        for call in (codec.check, codec.fingerprint, lambda c=codec: c.encode(photo())):
            with pytest.raises(Unavailable) as error:
                call()
            assert hint in str(error.value)
            assert "weights=random" in str(error.value)
            assert "\n" not in str(error.value)


def test_published_files_are_found_by_quality_and_metric(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(weights_files, "cache_folder", lambda: tmp_path)
    for name, n in (("mbt2018-mean-3-723404a8", 8), ("mbt2018-mean-ms-ssim-3-640ce819", 4)):
        file = tmp_path / f"{name}.pth.tar"
        saved(file, "mbt2018-mean", "fixed", n=n)
    monkeypatch.setattr(  # the published hashes cannot be forged
        HyperpriorCodec,
        "checkpoints",
        [dataclasses.replace(checkpoint, sha256="") for checkpoint in CHECKPOINTS],
    )
    mse = MBT2018_MEAN(quality=3)
    assert mse.load().network.n == 8
    assert dataclasses.replace(mse, metric="ms-ssim").load().network.n == 4


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("mbt2018", {"quality": 9}, "quality is 9, it must be 1 to 8"),
        ("cheng2020-attn", {"quality": 7}, "it must be 1 to 6"),
        ("qvrf-mbt2018", {"a": 13.0}, "a is 13, it must be 0.5 to 12"),
        ("qvrf-mbt2018", {"a": 2.0, "index": 1}, "one of index and a"),
        ("cui2021-mbt2018", {"level": 7.5}, "level is 7.5, it must be 0 to 7"),
    ],
)
def test_settings_out_of_range_are_refused(
    name: str, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        tiny(name, **settings)


def test_rates_that_the_weights_do_not_have_are_refused() -> None:
    for codec, message in [
        (tiny("qvrf-mbt2018", index=8), "index is 8, it must be 0 to 7"),
        (tiny("qvrf-mbt2018", lambda_=5.0), "the regulator of lambda=5 is .* 0.5 to 12"),
    ]:
        with pytest.raises(RdbenchError, match=message):
            codec.encode(photo())


def test_listing_codecs_does_not_load_torch() -> None:
    program = (
        "import sys; from rdbench_codecs.hyperprior import CODECS\n"
        "CODECS['mbt2018']().ladder(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_transforms_of_song_are_told_the_quality_by_the_encoder_alone() -> None:
    low, high = (SONG2021(weights="random-tiny", level=v) for v in (0.0, 7.0))
    assert low.encode(photo()).segments != high.encode(photo()).segments
    data = high.encode(photo()).data
    np.testing.assert_array_equal(low.decode(data), high.decode(data))


def test_curves_keep_to_one_set_of_weights() -> None:
    assert not CODECS["bmshj2018-hyperprior"].variable_rate
    assert CUI2021.variable_rate
    a, b = CUI2021(weights="random-tiny"), CUI2021(weights="random-tiny", level=3.0)
    assert a.fingerprint() == b.fingerprint()
