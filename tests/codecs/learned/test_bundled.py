"""Weights that come with the package: they load, code, and are worth their bytes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from sample import photograph
from typer.testing import CliRunner

from rdbench.cli.app import app
from rdbench.plugins import codec_class
from rdbench.spec import spec_of
from rdbench.types import Codec
from rdbench_codecs.conventional.jpeg import Jpeg
from rdbench_codecs.learned import weights
from rdbench_codecs.qarv import Qarv

NAMES = [path.stem for path in weights.all_bundled()]
PHOTO: npt.NDArray[np.uint8] = np.ascontiguousarray(photograph("astronaut")[:256, 128:448])


def point(codec: Codec) -> tuple[float, float]:
    """Bits per pixel and PSNR in dB of the photograph, from bytes, in eight bits."""
    stream = codec.encode(PHOTO).data
    decoded = codec.decode(stream)
    if decoded.dtype != np.uint8:
        decoded = np.rint(decoded * 255).astype(np.uint8)
    mse = np.mean((decoded.astype(float) - PHOTO) ** 2)
    return 8 * len(stream) / (PHOTO.shape[0] * PHOTO.shape[1]), 10 * np.log10(255**2 / mse)


@pytest.fixture(autouse=True)
def nothing_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(weights, "cache_folder", lambda: tmp_path)


def test_there_are_some_and_they_are_small() -> None:
    assert "qarv" in NAMES
    assert sum(path.stat().st_size for path in weights.all_bundled()) <= 80e6


@pytest.mark.parametrize("name", NAMES)
def test_they_are_what_a_codec_uses_by_itself(name: str) -> None:
    codec = codec_class(name)()
    assert "weights=bundled" in spec_of(codec)
    assert codec.fingerprint() == weights.sha256(weights.bundled(name))
    assert codec.identify_weights().kind == "reduced"
    assert "bundled with rdbench" in codec.remark()


def test_published_weights_take_precedence(tmp_path: Path) -> None:
    (tmp_path / "qarv_base-2022-dec-12.pt").write_bytes(b"")
    assert "weights=published" in spec_of(codec_class("qarv")())
    assert "weights=bundled" in spec_of(codec_class("qarv")(weights="bundled"))  # type: ignore[call-arg]


@pytest.mark.parametrize("name", NAMES)
def test_more_rate_gives_more_quality(name: str) -> None:
    ladder = codec_class(name)().ladder()
    points = [point(replace(codec, threads=1)) for codec in ladder[:: len(ladder) // 4]]  # type: ignore[call-arg,type-var]
    assert points == sorted(points)
    assert [psnr for _, psnr in points] == sorted(psnr for _, psnr in points)


def test_qarv_beats_jpeg() -> None:
    bpp, psnr = point(Qarv(lambda_=128.0, threads=1))
    jpeg = [point(Jpeg(quality=quality)) for quality in range(5, 100, 5)]
    assert psnr > np.interp(bpp, *zip(*jpeg, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_every_one_has_a_card(name: str) -> None:
    done = CliRunner().invoke(app, ["weights", "card", name])
    assert done.exit_code == 0
    for needed in (
        "parameters",
        "steps",
        "CC BY-SA",
        "vtm18",
        weights.sha256(weights.bundled(name)),
    ):
        assert needed in done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_cards_name_test_images_that_they_were_trained_on(name: str) -> None:
    card = " ".join(CliRunner().invoke(app, ["weights", "card", name]).stdout.split())
    assert "180 of its training part and 41 of its validation part" in card
    assert "Results of these weights on CID22 or CQ100 are not independent" in card
