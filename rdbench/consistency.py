"""Check that files decode in other environments than the one that made them.

An environment is a process with other threads, instruction sets, libraries or another device. Each
one encodes all images and decodes the reference's files; the reference decodes those of each. What
the entropy coder depended on (`rdbench.stages.tell_entropy_parameters`) is kept and compared, so
that the result says how near a failure was.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rdbench.columns import Column, plain
from rdbench.datasets import load_dataset
from rdbench.errors import UsageError, closest
from rdbench.images import read_image
from rdbench.metrics.protocol import to_8bit
from rdbench.spec import get_codec, get_codecs, require_files, split, values_of
from rdbench.stages import EntropyParameters, collect_entropy_parameters
from rdbench.types import join_spec

COLUMNS = (
    *plain("codec"),
    Column("encoded_in", "encoded in"),
    Column("decoded_in", "decoded in"),
    *plain("files", "failed"),
    Column("first_latent", "first latent that differs"),
    Column("symbols_differ", "symbols that differ"),
    Column("tables_differ", "tables that differ"),
    Column("drift", "largest drift of log scale", digits=8),
    Column("image_levels", "largest difference of images", "levels"),
)
"""How people see the rows of `check_consistency`."""


@dataclass(frozen=True)
class Environment:
    """What a process is started with.

    Attributes:
        name: for tables.
        variables: environment variables.
        settings: of the codec, as in a spec, where it has them.
        python: interpreter, in whose environment rdbench is installed.
    """

    name: str
    variables: Mapping[str, str] = field(default_factory=dict)
    settings: str = ""
    python: str = sys.executable


# ATen is torch's own arithmetic, oneDNN the library of its convolutions and products.
_INSTRUCTION_SETS = {
    "": {},
    "avx2-": {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"},
    "sse41-": {"ONEDNN_MAX_CPU_ISA": "SSE41", "ATEN_CPU_CAPABILITY": "default"},
}
ENVIRONMENTS = {
    environment.name: environment
    for isa, variables in _INSTRUCTION_SETS.items()
    for threads in (1, 2)
    for environment in [
        Environment(
            f"{isa}{threads}-thread{'s' * (threads > 1)}",
            variables | {"OMP_NUM_THREADS": str(threads)},
        )
    ]
}
"""Environments of this machine by name; the first one is the reference."""


def choose_environments(
    names: Iterable[str], devices: Iterable[str], pythons: Iterable[str]
) -> list[Environment]:
    """Return the reference, then the environments that are compared with it.

    Args:
        names: keys of ENVIRONMENTS; none for all.
        devices: such as ``cuda``: the setting ``device`` of the codecs.
        pythons: interpreters of other environments.

    Raises:
        UsageError: a name is unknown.
    """
    reference, *others = ENVIRONMENTS
    chosen = list(names) or others
    for name in chosen:
        if name not in ENVIRONMENTS:
            known = ", ".join(ENVIRONMENTS)
            hint = closest(name, ENVIRONMENTS)
            raise UsageError(f"no environment is named {name!r}; there are {known}{hint}")
    return [
        ENVIRONMENTS[reference],
        *(ENVIRONMENTS[name] for name in dict.fromkeys(chosen) if name != reference),
        *(Environment(device, settings=f"device={device}") for device in devices),
        *(Environment(python, python=python) for python in pythons),
    ]


@dataclass(frozen=True)
class Decoded:
    """What became of one file in another environment.

    Attributes:
        reason: why it did not decode; "" where it did.
        first_latent: the first one of which a symbol or table differs; None where none does.
        symbols_differ, tables_differ: how many.
        drift: largest difference of the logarithms of a positive scale; None without scales.
        image_levels: largest difference from the encoder's own decoded image, in 8-bit levels.
    """

    reason: str = ""
    first_latent: str | None = None
    symbols_differ: int = 0
    tables_differ: int = 0
    drift: float | None = None
    image_levels: int | None = None


def check_consistency(
    codecs: Sequence[str],
    dataset: str,
    environments: Sequence[Environment],
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[dict[str, Any]]:
    """Encode in each environment and decode in others.

    Args:
        codecs: specs; each of their operating points is checked.
        dataset: name of a data set, or a folder.
        environments: the first is the reference.
        on_progress: told how many of how many files were made or read.

    Returns:
        One row per codec and pair of environments, see COLUMNS, with ``reasons`` besides.

    Raises:
        UsageError: an environment cannot be started.
    """
    images = [str(file.path) for file in load_dataset(dataset).files]
    points = {codec: get_codecs(codec) for codec in codecs}
    require_files(point for some in points.values() for point in some)
    # Another process finds a codec of a file by the file.
    specs = [
        join_spec(split(codec)[0], values_of(point)) for codec in codecs for point in points[codec]
    ]
    reference, *others = environments
    pairs = [pair for other in others for pair in ((reference, other), (other, reference))]
    n_tasks = len(images) * len(specs) * (len(environments) + len(pairs))
    done = 0
    found: dict[tuple[str, str, str], list[Decoded]] = defaultdict(list)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        ask = {e.name: stack.enter_context(_process(e)) for e in environments}
        for encoder, decoder in [*((e, e) for e in environments), *pairs]:
            for task in _tasks(decoder, encoder, specs, images, folder):
                answer = ask[decoder.name](task)
                if decoder is not encoder:
                    key = task["name"], encoder.name, decoder.name
                    found[key].append(Decoded(**answer))
                done += 1
                on_progress(done, n_tasks)
    return [_row(*key, results) for key, results in found.items()]


def _tasks(
    environment: Environment,
    encoder: Environment,
    specs: Sequence[str],
    images: Sequence[str],
    folder: str,
) -> list[dict[str, str]]:
    """What a process has to do: encode, or decode another's files, which are named by encoder."""
    return [
        {
            "action": "encode" if environment is encoder else "decode",
            "name": split(spec)[0],
            "spec": _with(spec, environment.settings),
            "image": image,
            "file": f"{folder}/{encoder.name.replace('/', '_')}-{i}-{j}",
        }
        for i, spec in enumerate(specs)
        for j, image in enumerate(images)
    ]


def _with(spec: str, settings: str) -> str:
    return f"{spec}{',' if split(spec)[1] else ':'}{settings}" if settings else spec


def _row(codec: str, encoder: str, decoder: str, results: Sequence[Decoded]) -> dict[str, Any]:
    drifts = [r.drift for r in results if r.drift is not None]
    levels = [r.image_levels for r in results if r.image_levels is not None]
    return {
        "codec": codec,
        "encoded_in": encoder,
        "decoded_in": decoder,
        "files": len(results),
        "failed": sum(bool(r.reason) for r in results),
        "first_latent": next((r.first_latent for r in results if r.first_latent), None),
        "symbols_differ": sum(r.symbols_differ for r in results),
        "tables_differ": sum(r.tables_differ for r in results),
        "drift": max(drifts, default=None),
        "image_levels": max(levels, default=None),
        "reasons": sorted({r.reason for r in results if r.reason}),
    }


@contextmanager
def _process(environment: Environment) -> Iterator[Callable[[Mapping[str, str]], Any]]:
    """Start a process of an environment; yield a function that has a task done there.

    It raises UsageError where the process ended.
    """
    command = [environment.python, "-m", "rdbench.consistency"]
    variables = {**os.environ, **environment.variables}
    with tempfile.TemporaryFile("w+") as errors:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                env=variables, text=True,
            )  # fmt: skip
        except OSError as error:
            raise UsageError(f"cannot start {environment.python}: {error.strerror}") from None
        assert process.stdin is not None
        assert process.stdout is not None
        tasks, answers = process.stdin, process.stdout

        def ask(task: Mapping[str, str]) -> Any:
            with suppress(BrokenPipeError):
                print(json.dumps(task), file=tasks, flush=True)
            if answer := answers.readline():
                return json.loads(answer)
            errors.seek(0)
            last = (errors.read().strip().splitlines() or ["no message"])[-1]
            raise UsageError(f"environment {environment.name!r} failed: {last}")

        try:
            yield ask
        finally:
            with suppress(BrokenPipeError):
                tasks.close()
            answers.close()
            process.wait()


def _main() -> None:
    """Answer tasks, one a line, until there are no more."""
    answers, sys.stdout = sys.stdout, sys.stderr  # codecs may print
    for line in sys.stdin:
        task = json.loads(line)
        print(json.dumps(_ACTIONS[task["action"]](task)), file=answers, flush=True)


def _encode(task: Mapping[str, str]) -> None:
    """Write the file, what its entropy coding depended on, and the image it decodes to."""
    codec = get_codec(task["spec"])
    with collect_entropy_parameters() as found:
        data = codec.encode(read_image(Path(task["image"]))).data
    Path(task["file"]).write_bytes(data)
    arrays = {f"{name}/{kind}": a for name, p in found.items() for kind, a in _arrays(p).items()}
    np.savez(task["file"] + ".npz", image=_levels(codec.decode(data)), **arrays)


def _decode(task: Mapping[str, str]) -> dict[str, Any]:
    """Decode a file and compare with what its encoder kept."""
    codec, reason, image = get_codec(task["spec"]), "", None
    with collect_entropy_parameters() as found:
        try:
            image = _levels(codec.decode(Path(task["file"]).read_bytes()))
        except Exception as error:  # whatever it is, the file cannot be decoded here
            reason = f"{type(error).__name__}: {error}"
    with np.load(task["file"] + ".npz") as kept:
        latents = {
            name: _compare(_arrays(p), {kind: kept[f"{name}/{kind}"] for kind in _arrays(p)})
            for name, p in found.items()
        }
        levels = None if image is None else int(np.abs(image - kept["image"]).max())
    decoded = Decoded(
        reason=reason,
        first_latent=next((name for name, (s, t, _) in latents.items() if s or t), None),
        symbols_differ=sum(s for s, _, _ in latents.values()),
        tables_differ=sum(t for _, t, _ in latents.values()),
        drift=max((d for _, _, d in latents.values()), default=None),
        image_levels=levels,
    )
    return asdict(decoded)


_ACTIONS: dict[str, Callable[[Mapping[str, str]], Any]] = {"encode": _encode, "decode": _decode}


def _arrays(parameters: EntropyParameters) -> dict[str, Any]:
    return {
        "symbols": np.concatenate(parameters.symbols),
        "scales": np.concatenate(parameters.scales),
        "tables": np.concatenate(parameters.tables),
    }


def _compare(here: Mapping[str, Any], there: Mapping[str, Any]) -> tuple[int, int, float]:
    """Symbols and tables that differ, and the largest difference of log scale."""
    n = len(here["symbols"])  # fewer than the encoder's where decoding broke off
    scales, others = here["scales"], there["scales"][:n]
    positive = (scales > 0) & (others > 0)
    drift = np.abs(np.log(scales[positive]) - np.log(others[positive]))
    return (
        int((here["symbols"] != there["symbols"][:n]).sum()),
        int((here["tables"] != there["tables"][:n]).sum()),
        float(drift.max(initial=0)),
    )


def _levels(image: Any) -> Any:
    """Signed, so that differences do not wrap."""
    return to_8bit(image).astype(np.int16)


if __name__ == "__main__":
    _main()
