"""Weights of the learned codecs: where they are published, fetching them, loading them safely."""

import hashlib
import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rdbench.errors import DataError, Unavailable, UsageError
from rdbench.types import WeightsKind

if TYPE_CHECKING:
    import torch

_LISTS = ("rdbench_codecs.qarv.checkpoints", "rdbench_codecs.hyperprior.checkpoints")
"""Modules with a tuple CHECKPOINTS."""

LITE = "lite"
"""What ``weights=`` calls the weights that come with the package."""

_BUNDLED = Path(__file__).parent / "bundled"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A published file of weights.

    Attributes:
        name: what ``weights=NAME`` and ``rdbench weights fetch NAME`` call it.
        codec: the codec that it belongs to.
        url: ``hf://OWNER/REPOSITORY/FILE`` on Hugging Face, or ``https://...``.
        sha256: start of the file's SHA-256 as published, or "" where none is.
        terms: who published it, and under what terms.
        file: name of the file on this machine; "" for the last part of the URL.
    """

    name: str
    codec: str
    url: str
    sha256: str = ""
    terms: str = ""
    file: str = ""

    @property
    def path(self) -> Path:
        """Where the file lies, or will lie, on this machine."""
        return cache_folder() / (self.file or self.url.rsplit("/", 1)[-1])

    @property
    def pin(self) -> Path:
        """Small file beside it with the SHA-256 that the file had when it was first used."""
        return self.path.with_name(f"{self.path.name}.sha256")

    def expected(self) -> str:
        """All that is known of the file's SHA-256: what is pinned, else the published start."""
        return self.pin.read_text().strip() if self.pin.is_file() else self.sha256


def cache_folder() -> Path:
    """Folder of the fetched files."""
    import platformdirs

    return platformdirs.user_cache_path("rdbench") / "weights"


def known() -> tuple[Checkpoint, ...]:
    """Every published checkpoint that the codecs of this package can load."""
    lists = [importlib.import_module(module).CHECKPOINTS for module in _LISTS]
    return tuple(checkpoint for one in lists for checkpoint in one)


def find(name: str) -> tuple[Checkpoint, ...]:
    """Checkpoints of that name, or all of the codec of that name; UsageError where none is."""
    found = tuple(checkpoint for checkpoint in known() if name == checkpoint.name)
    found = found or tuple(checkpoint for checkpoint in known() if name == checkpoint.codec)
    if not found:
        names = ", ".join(checkpoint.name for checkpoint in known())
        raise UsageError(f"no published weights are named {name!r}; there are: {names}")
    return found


def fetch(checkpoint: Checkpoint) -> Path:
    """Download the file unless it is there, and check its hash.

    Raises:
        Unavailable: no connection, or the file is not the published one.
    """
    if not checkpoint.path.is_file():
        checkpoint.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _download(checkpoint)
        except Exception as error:  # each library has errors of its own
            raise Unavailable(
                f"could not fetch {checkpoint.url} ({_first_line(error)}); "
                f"get the file another way and put it at {checkpoint.path}"
            ) from error
    found = sha256(checkpoint.path)
    if not found.startswith(checkpoint.sha256):
        raise Unavailable(
            f"{checkpoint.path} has SHA-256 {found[:16]}..., published is {checkpoint.sha256}...; "
            "delete it and fetch it again"
        )
    return checkpoint.path


def bundled(codec: str) -> Path:
    """Where the reduced, trained weights of a codec lie if they come with the package."""
    return _BUNDLED / f"{codec}.safetensors"


def all_bundled() -> list[Path]:
    """The files of weights that come with the package, named like their codecs."""
    return sorted(_BUNDLED.glob("*.safetensors"))


def best(codec: str, released: str, checkpoints: Sequence[Checkpoint]) -> str:
    """What ``weights=default`` stands for: the released weights where they are here, else ``lite``.

    Args:
        codec: name of the codec.
        released: name of its released weights.
        checkpoints: the codec's checkpoints.
    """
    here = any(c.name == released and c.path.is_file() for c in checkpoints)
    return LITE if not here and bundled(codec).is_file() else released


def kind_of(path: Path, checkpoints: Sequence[Checkpoint], is_reduced: bool) -> WeightsKind:
    """What the weights in a file are.

    Args:
        path: the file.
        checkpoints: the codec's checkpoints.
        is_reduced: whether the network in the file is smaller than the published one.
    """
    digest = sha256(path)
    if any((start := c.expected()) and digest.startswith(start) for c in checkpoints):
        return "published"
    return "reduced" if is_reduced else "other"


def remark(codec: str, weights: str, kind: WeightsKind, fingerprint: str) -> str:
    """A line that says which weights a codec works with."""
    if kind == "random":
        return f"{codec}: random weights; sizes and times are right, pictures are noise"
    bundle = bundled(codec)
    is_bundled = bundle.is_file() and fingerprint == sha256(bundle)
    origin = f" bundled with rdbench, {bundle.with_suffix('.md').name}" if is_bundled else ""
    notes = {
        "reduced": f" (reduced network{origin})",
        "other": " (not the published weights)",
    }
    return f"{codec}: weights {weights}{notes.get(kind, '')}, SHA-256 {fingerprint[:12]}"


def locate(
    codec: str, weights: str, checkpoints: Sequence[Checkpoint], alternative: str = ""
) -> Path:
    """The file that a codec's ``weights`` setting means.

    Args:
        codec: name of the codec.
        weights: the setting: name of a fetched checkpoint, ``lite`` or a path.
        checkpoints: the codec's checkpoints.
        alternative: what else the codec takes, for the message.

    Raises:
        Unavailable: the file is not here; the message says how to get it.
    """
    by_name = {checkpoint.name: checkpoint for checkpoint in checkpoints}
    if weights == LITE:
        path, way_out = bundled(codec), "none are bundled with this codec; give"
    elif weights in by_name:
        path, way_out = by_name[weights].path, f"run `rdbench weights fetch {weights}`, or give"
    else:
        path, way_out = Path(weights).expanduser(), "give"
    if path.is_file():
        return path
    raise Unavailable(f"weights {weights!r} are not here; {way_out} weights=PATH{alternative}")


def sha256(path: Path) -> str:
    """SHA-256 of a file as hexadecimal digits."""
    status = path.stat()
    return _sha256(path, status.st_size, status.st_mtime_ns)


def read(path: Path) -> tuple[dict[str, "torch.Tensor"], dict[str, Any]]:
    """Tensors and configuration in a file of weights; nothing in the file is executed.

    ``.safetensors`` files keep the configuration as JSON under the metadata key ``config``; others
    are read by ``torch.load(weights_only=True)``, where the tensors may lie under ``model`` or
    ``state_dict`` and the configuration under ``config``.

    Returns:
        Name -> tensor, a leading ``module.`` removed, and the configuration ({} where none is).

    Raises:
        DataError: not a file of weights.
    """
    import torch

    try:
        if path.suffix == ".safetensors":
            return _read_safetensors(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling raises whatever the file asks for
        raise DataError(f"{path} cannot be read as weights: {_first_line(error)}") from error
    config = content.get("config", {}) if isinstance(content, dict) else {}
    for key in ("model", "state_dict"):
        if isinstance(content, dict) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping):
        raise DataError(f"{path} holds no parameters by name")
    tensors = {
        str(name).removeprefix("module."): value
        for name, value in content.items()
        if isinstance(value, torch.Tensor)
    }
    return tensors, config


def configuration(path: Path) -> dict[str, Any]:
    """Configuration in a ``.safetensors`` file, without its tensors; {} of any other file.

    Raises:
        DataError: not a file of weights.
    """
    if path.suffix != ".safetensors":
        return {}
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            config = _config_of(file.metadata())
    except (OSError, SafetensorError, ValueError) as error:
        raise DataError(f"{path} cannot be read as weights: {_first_line(error)}") from error
    return config


def load_into(
    network: "torch.nn.Module",
    tensors: Mapping[str, "torch.Tensor"],
    source: Path,
    ignored: Callable[[str], bool] = lambda name: False,
) -> None:
    """Copy tensors into a network, names and shapes checked one by one.

    Args:
        network: the network.
        tensors: name -> tensor.
        source: where they come from, for the message.
        ignored: True for names in ``tensors`` that the network rebuilds by itself.

    Raises:
        DataError: a parameter is missing, unknown, or of another shape.
    """
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in tensors.items() if not ignored(name)}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise DataError(
                f"{source} does not fit this network: parameter {name} has shape "
                f"{found.get(name, 'none')}, expected {expected.get(name, 'none')}"
            )
    network.load_state_dict({name: tensors[name] for name in expected})


def _download(checkpoint: Checkpoint) -> None:
    if checkpoint.url.startswith("https://drive.google.com/"):
        raise OSError("a browser must do it")
    if checkpoint.url.startswith("hf://"):
        from huggingface_hub import hf_hub_download

        owner, repository, file = checkpoint.url.removeprefix("hf://").split("/", 2)
        hf_hub_download(f"{owner}/{repository}", file, local_dir=checkpoint.path.parent)
    else:
        import pooch

        folder, name = checkpoint.path.parent, checkpoint.path.name
        pooch.retrieve(checkpoint.url, None, fname=name, path=folder, progressbar=True)


@cache
def _sha256(path: Path, n_bytes: int, mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_safetensors(path: Path) -> tuple[dict[str, "torch.Tensor"], dict[str, Any]]:
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        config = _config_of(file.metadata())
        return {name: file.get_tensor(name) for name in file.keys()}, config  # noqa: SIM118


def _config_of(metadata: Mapping[str, str] | None) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((metadata or {}).get("config", "{}"))
    return config


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else repr(error)
