"""`rdbench consistency`: differences between environments are found, named and counted."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from rdbench import consistency
from rdbench.cli.app import app
from rdbench.consistency import (
    ENVIRONMENTS,
    Environment,
    check_consistency,
    choose_environments,
)
from rdbench.errors import UsageError
from rdbench.images import write_image
from rdbench.stages import collect_entropy_parameters, tell_entropy_parameters

TINY = "qarv:weights=random-tiny,lambda=16"


@pytest.fixture
def folder(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (64, 128, 3), np.uint8)
    write_image(noise, images / "a.png")
    return images


@pytest.mark.parametrize("codec", [TINY, "qvrf-mbt2018:weights=random-tiny,a=2"])
def test_files_decode_under_other_instruction_sets(codec, folder):
    environments = choose_environments(["sse41-2-threads"], [], [])
    rows = check_consistency([codec], str(folder), environments)
    pairs = [(row["encoded_in"], row["decoded_in"]) for row in rows]
    assert pairs == [("1-thread", "sse41-2-threads"), ("sse41-2-threads", "1-thread")]
    for row in rows:
        assert (row["files"], row["failed"], row["symbols_differ"]) == (1, 0, 0)
        assert (row["tables_differ"], row["first_latent"], row["reasons"]) == (0, None, [])
        assert 0 <= row["drift"] < 1e-5
        assert row["image_levels"] <= 1


def test_codecs_without_a_network_have_no_drift(folder):
    other = Environment("other", {"OMP_NUM_THREADS": "2"})
    rows = check_consistency(["jpeg:quality=50"], str(folder), [ENVIRONMENTS["1-thread"], other])
    assert [(row["failed"], row["drift"], row["image_levels"]) for row in rows] == [
        (0, None, 0)
    ] * 2


SABOTAGE = """
import numpy as np
from rdbench_codecs.learned import device, entropy
positions, choose = entropy.ScaleTables.positions, device.ScaledSymbols.choose_tables
entropy.ScaleTables.positions = lambda self, scales: positions(self, scales * np.float32(1.001))
device.ScaledSymbols.choose_tables = lambda self, k, scales: choose(self, k, scales * 1.001)
"""


def test_failures_are_counted_and_their_latent_is_named(folder, tmp_path):
    """An environment whose scales are 0.1 % larger."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(SABOTAGE)
    broken = Environment("broken", {"PYTHONPATH": str(tmp_path / "site")})
    codec = "qvrf-mbt2018:weights=random-tiny,a=2"
    rows = check_consistency([codec], str(folder), [ENVIRONMENTS["1-thread"], broken])
    for row in rows:
        assert (row["failed"], row["first_latent"]) == (1, "y")
        assert row["tables_differ"] > 0
        assert "CRC" in row["reasons"][0]


def test_environments_that_cannot_be_used_are_refused(folder, tmp_path):
    with pytest.raises(UsageError, match="did you mean '1-thread'"):
        choose_environments(["1-thred"], [], [])
    chosen = choose_environments([], ["cuda"], ["/opt/python"])
    assert [e.name for e in chosen] == [*ENVIRONMENTS, "cuda", "/opt/python"]
    for python in ("/nonexistent/python", "false"):
        missing = Environment("missing", python=python)
        with pytest.raises(UsageError, match=r"missing|cannot start"):
            check_consistency(["jpeg"], str(folder), [ENVIRONMENTS["1-thread"], missing])


def test_the_command_prints_rows_and_fails_where_files_do(folder, monkeypatch):
    words = ("consistency", "-c", "jpeg:quality=50", "-d", folder, "-e", "2-threads")
    result = CliRunner().invoke(app, [*map(str, words), "--json"])
    assert result.exit_code == 0, result.output
    assert [row["files"] for row in json.loads(result.stdout)] == [1, 1]
    bad = {
        **dict.fromkeys([c.key for c in consistency.COLUMNS], 0),
        "failed": 1,
        "reasons": ["why"],
    }
    monkeypatch.setattr("rdbench.cli.consistency.check_consistency", lambda *a, **k: [bad])
    assert CliRunner().invoke(app, list(map(str, words))).exit_code == 1


def test_entropy_parameters_are_kept_only_while_they_are_collected():
    told = np.zeros(2, np.int32), np.ones(2, np.float32), np.ones(2, np.uint8)
    tell_entropy_parameters("y", *told)
    with collect_entropy_parameters() as found:
        tell_entropy_parameters("y", *told)
        tell_entropy_parameters("y", *told)
    tell_entropy_parameters("z", *told)
    assert {name: len(p.scales) for name, p in found.items()} == {"y": 2}
