"""Weights of the learned codecs: where they are published, fetching them, loading them safely."""

import argparse
import contextlib
import hashlib
import json
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rdbench.errors import DataError, Unavailable, UsageError
from rdbench.files import write_bytes, write_text
from rdbench.types import Weights

if TYPE_CHECKING:
    import torch

PUBLISHED, BUNDLED, RANDOM = "published", "bundled", "random"
"""Values of the setting ``weights`` that are not paths; RANDOM may be followed by ``-NAME``."""

_WRAPPERS = (
    "state_dict", "model_state_dict", "model", "net", "network", "ema", "params", "generator",
)  # fmt: skip
"""Keys under which training programs keep a network's parameters."""

_MAX_WRAPPERS = 4
_PREFIXES = re.compile(r"^((module|_orig_mod|model|net|network)\.)+")
_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b|[\x00-\x08\x0e-\x1f\x7f]")
_BUNDLED = Path(__file__).parent / "bundled"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A published file of weights.

    Attributes:
        name: what ``weights=NAME`` and ``rdbench weights fetch NAME`` call it.
        codec: the codec that it belongs to.
        url: ``https://...``.
        sha256: start of the file's published SHA-256, or "" if none was published.
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
        """Small file next to the weights: their SHA-256 when they were first used."""
        return self.path.with_name(f"{self.path.name}.sha256")

    def expected(self) -> str:
        """Return the pinned SHA-256 of the file, or else the published start of it.

        Raises:
            DataError: the pin file is damaged.
        """
        if not self.pin.is_file():
            return self.sha256
        pinned = self.pin.read_text(errors="replace").strip()
        if not re.fullmatch("[0-9a-f]{64}", pinned):  # an empty one would fit every file
            raise DataError(
                f"{self.pin} holds no SHA-256; delete {self.path} and {self.pin}, then run "
                f"`rdbench weights fetch {self.name}`"
            )
        return pinned


def cache_folder() -> Path:
    """Folder of the fetched files."""
    import platformdirs

    return platformdirs.user_cache_path("rdbench") / "weights"


def known() -> tuple[Checkpoint, ...]:
    """Every published checkpoint that the codecs of this package can load."""
    from rdbench_codecs.hyperprior.checkpoints import CHECKPOINTS as OF_HYPERPRIORS
    from rdbench_codecs.qarv.checkpoints import CHECKPOINTS as OF_QARV

    return OF_QARV + OF_HYPERPRIORS


def find(name: str) -> tuple[Checkpoint, ...]:
    """Return the checkpoints of that name or of that codec; UsageError if there is none."""
    found = tuple(checkpoint for checkpoint in known() if name == checkpoint.name)
    found = found or tuple(checkpoint for checkpoint in known() if name == checkpoint.codec)
    if not found:
        names = ", ".join(checkpoint.name for checkpoint in known())
        raise UsageError(f"no published weights are named {name!r}; there are: {names}")
    return found


def fetch(
    checkpoint: Checkpoint, check: Callable[[Path], object] = id, progressbar: bool = True
) -> Path:
    """Download the file unless it exists; keep it if its hash and its contents are right.

    Its SHA-256 is pinned: another file in its place is refused from then on. ``check`` opens a file
    and raises DataError where the network's parameters are not in it.

    Raises:
        Unavailable: no connection, or the file is not the published one.
        DataError: the file does not hold the network.
    """
    if checkpoint.path.is_file():
        verify(checkpoint, checkpoint.path)
        check(checkpoint.path)
    else:
        checkpoint.path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=checkpoint.path.parent) as folder:
            partial = _download(checkpoint, Path(folder), progressbar)
            verify(checkpoint, partial)
            check(partial)
            partial.replace(checkpoint.path)
    pin(checkpoint)
    return checkpoint.path


def _download(checkpoint: Checkpoint, folder: Path, progressbar: bool) -> Path:
    import pooch

    pooch.get_logger().setLevel("WARNING")
    try:
        if checkpoint.url.startswith("https://drive.google.com/"):
            raise OSError("a browser must do it")
        name = checkpoint.path.name
        return Path(pooch.retrieve(checkpoint.url, None, name, folder, progressbar=progressbar))
    except Exception as error:  # each library has errors of its own
        raise Unavailable(
            f"could not fetch {checkpoint.url} ({_first_line(error)}); "
            f"get the file another way and put it at {checkpoint.path}"
        ) from error


def verify(checkpoint: Checkpoint, path: Path) -> None:
    """Raise Unavailable where a file has not the pinned or published hash."""
    found, expected = sha256(path), checkpoint.expected()
    if found.startswith(expected) and found.startswith(checkpoint.sha256):
        return
    is_pinned = checkpoint.pin.is_file()
    origin = f"pinned in {checkpoint.pin}" if is_pinned else "published"
    also = f" and {checkpoint.pin}" if is_pinned else ""
    raise Unavailable(
        f"{path} has SHA-256 {found[:16]}..., {origin} is {expected[:16]}...; delete "
        f"{checkpoint.path}{also} and run `rdbench weights fetch {checkpoint.name}`"
    )


def pin(checkpoint: Checkpoint) -> None:
    """Remember the file's SHA-256, unless one is remembered."""
    if not checkpoint.pin.is_file():
        with contextlib.suppress(DataError):  # a cache that is shared, without the right to write
            write_text(checkpoint.pin, sha256(checkpoint.path) + "\n")


def pin_used(name: str, checkpoints: Sequence[Checkpoint]) -> None:
    """Pin the hash of a fetched file whose network was just loaded."""
    if checkpoint := _named(name, checkpoints):
        pin(checkpoint)


def _named(name: str, checkpoints: Sequence[Checkpoint]) -> Checkpoint | None:
    return next((checkpoint for checkpoint in checkpoints if checkpoint.name == name), None)


def hash_note(checkpoint: Checkpoint) -> str:
    """How far the hash of a fetched file could be checked."""
    digest = sha256(checkpoint.path)
    if checkpoint.sha256:
        return f"first {len(checkpoint.sha256)} digits of SHA-256 checked; pinned: {digest}"
    return f"no published hash; SHA-256 pinned at first use: {digest}"


def bundled(name: str) -> Path:
    """Return where the reduced, trained weights of a codec are, if the package includes any."""
    return _BUNDLED / f"{name}.safetensors"


def all_bundled() -> list[Path]:
    """Return the bundled files of weights, each named like its codec."""
    return sorted(_BUNDLED.glob("*.safetensors"))


def random_network(setting: str) -> str | None:
    """Return NAME of ``random-NAME``, "" for ``random``, None for weights from a file."""
    start, _, name = setting.partition("-")
    return name if start == RANDOM else None


def default(name: str, checkpoints: Sequence[Checkpoint]) -> str:
    """Return the published weights if their file is available, else the bundled ones if any."""
    checkpoint = _named(name, checkpoints)
    is_available = checkpoint is not None and checkpoint.path.is_file()
    return BUNDLED if not is_available and bundled(name).is_file() else PUBLISHED


def fill_pattern(pattern: str, settings: Mapping[str, object]) -> str:
    """Return a path with each ``{setting}`` in it replaced by its value.

    Raises:
        UsageError: a name in braces is not a setting, or that setting has no value.
    """

    def value(field: re.Match[str]) -> str:
        name = field[1]
        if name not in settings:
            known = ", ".join(f"{{{setting}}}" for setting in settings)
            raise UsageError(f"weights={pattern}: no setting {name}; a pattern can use {known}")
        found = settings[name]
        if found is None:
            raise UsageError(f"weights={pattern} has a file for each {name}; give {name}=")
        return str(found).removesuffix(".0") if isinstance(found, float) else str(found)

    return re.sub(r"\{(\w+)\}", value, pattern)


def locate(setting: str, name: str, checkpoints: Sequence[Checkpoint]) -> Path:
    """Return the file that the setting ``weights`` of a codec means.

    ``name`` is that of the checkpoint, one of ``checkpoints``, and of the bundled file.

    Raises:
        Unavailable: the file is missing, or it is not the one that was fetched.
    """
    checkpoint = _named(name, checkpoints)
    files = {PUBLISHED: checkpoint and checkpoint.path, BUNDLED: bundled(name)}
    path = files.get(setting, Path(setting).expanduser())
    if path and path.is_file():
        if checkpoint and setting == PUBLISHED:
            verify(checkpoint, path)
        return path
    if setting not in files:
        raise Unavailable(
            f"weights {path} not found; give weights=PATH, or weights={RANDOM}, {BUNDLED} or "
            f"{PUBLISHED}"
        )
    fix = f"run `rdbench weights fetch {name}`, or " if checkpoint and setting == PUBLISHED else ""
    raise Unavailable(
        f"{setting} weights of {name} not found; {fix}give weights=PATH, or weights=random "
        "(noise images)"
    )


def is_published(path: Path, checkpoints: Sequence[Checkpoint]) -> bool:
    """Return whether a file is a published one, by its hash."""
    digest = sha256(path)
    return any(
        c.path == path or ((start := c.expected()) and digest.startswith(start))
        for c in checkpoints
    )  # a file in the cache was verified when it was located


def remark(name: str, setting: str, weights: Weights) -> str:
    """Return a line for people that says which weights a codec uses."""
    if weights.kind == "random":
        return f"{name}: random weights; sizes and times are right, images are noise"
    card = next((p.stem for p in all_bundled() if sha256(p) == weights.sha256), None)
    origin = f", bundled with rdbench: `rdbench weights card {card}`" if card else ""
    notes = {"reduced": f" (reduced network{origin})", "other": " (not the published weights)"}
    return f"{name}: weights {setting}{notes.get(weights.kind, '')}, SHA-256 {weights.sha256[:12]}"


FileState = tuple[int, int, int]
"""Size, time of the last change and inode: what changes when a file is replaced."""


def state(path: Path) -> FileState:
    """Return the state of a file, for caches of what was read from it."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ino


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal; an unchanged file is hashed once."""
    return _sha256(path, state(path))


@cache
def _sha256(path: Path, state: FileState) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe(path: Path) -> "Description":
    """Return shapes and configuration of the network in a file, without its numbers.

    Neither torch nor the numbers of a ``.safetensors`` file are loaded.

    Raises:
        DataError: not a file of weights.
    """
    return _describe(path, state(path))


@lru_cache(maxsize=64)
def _describe(path: Path, state: FileState) -> "Description":
    if path.suffix != ".safetensors":
        tensors, config = read(path)
        return {name: tuple(value.shape) for name, value in tensors.items()}, config
    from safetensors import safe_open

    with _reading(path), safe_open(path, "np") as file:
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in [*file.keys()]}
        return shapes, _config_of(file.metadata())


Description = tuple[dict[str, tuple[int, ...]], dict[str, Any]]
"""Shape of each parameter by name, and the configuration ({} where the file has none)."""


def read(path: Path) -> tuple[dict[str, "torch.Tensor"], dict[str, Any]]:
    """Tensors and configuration in a file of weights; nothing in the file is executed.

    ``.safetensors`` files keep the configuration as JSON under the metadata key ``config``; others
    are read by ``torch.load(weights_only=True)``, where the tensors may be inside wrappers of
    training programs (_WRAPPERS) and the configuration under ``config``.

    Returns:
        Name -> tensor, without the prefixes of parallel and compiled modules, and the
        configuration ({} if there is none).

    Raises:
        DataError: not a file of weights, or of weights that cannot be used.
    """
    if path.suffix == ".safetensors":
        tensors, config = _read_safetensors(path)
    else:
        content = _read_pickle(path)
        config = content.get("config", {}) if isinstance(content, Mapping) else {}
        tensors = _named_tensors(content, path)
    if not isinstance(config, dict):
        raise DataError(f"{path}: config is not an object of settings; save it as a dictionary")
    for name, value in tensors.items():
        _check_tensor(name, value, path)
    return tensors, config


def _read_pickle(path: Path) -> Any:
    import pickle

    import torch

    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        what = _GLOBAL.search(_plain(str(error)))
        if what is None:
            raise _unreadable(path, error) from error
        raise DataError(
            f"{path} holds an object of {what[1]} in addition to its weights, which is not loaded "
            "because it can run code; if you trust the file, save the weights alone: "
            'python -c "import '
            f"torch; torch.save(torch.load('{path}', weights_only=False)['state_dict'], "
            "'weights.pth')\" (or .state_dict() in place of ['state_dict'], for a whole network)"
        ) from error
    except Exception as error:  # unpickling raises whatever the file asks for
        raise _unreadable(path, error) from error


def _named_tensors(content: Any, path: Path) -> dict[str, "torch.Tensor"]:
    """Parameters by name, out of the wrappers of training programs."""
    import torch

    for _ in range(_MAX_WRAPPERS):
        if not isinstance(content, Mapping):
            break
        wrapper = next((key for key in _WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if wrapper is None:
            break
        content = content[wrapper]
    if not isinstance(content, Mapping):
        raise DataError(f"{path} holds no parameters by name; save the network's state_dict()")
    found = {str(k): v for k, v in content.items() if isinstance(v, torch.Tensor)}
    if not found:
        keys = ", ".join(map(str, list(content)[:5])) or "nothing"
        raise DataError(f"{path} holds no parameters, but {keys}; save the network's state_dict()")
    tensors = {_PREFIXES.sub("", name): value for name, value in found.items()}
    if len(tensors) < len(found):
        raise DataError(f"{path} holds a parameter twice, with and without a prefix")
    return tensors


def _check_tensor(name: str, value: "torch.Tensor", path: Path) -> None:
    """DataError where no network can work with these numbers."""
    import torch

    floats = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
    plain = value.layout == torch.strided and not value.is_meta and not value.is_complex()
    if not plain or (value.is_floating_point() and value.dtype not in floats):
        kind = "without values" if value.is_meta else f"{value.layout}, {value.dtype}"
        raise DataError(f"{path}: parameter {name} is not a plain tensor of real numbers ({kind})")
    if value.nbytes > value.untyped_storage().nbytes():  # a few numbers, repeated without end
        raise DataError(f"{path}: parameter {name} has more numbers than the file; save a copy")
    if value.is_floating_point() and not bool(torch.isfinite(value).all()):
        raise DataError(f"{path}: parameter {name} contains NaN or infinite values")


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(f"{path} cannot be read as weights: {_first_line(error)}")


def write(
    tensors: Mapping[str, "torch.Tensor"],
    config: Mapping[str, Any],
    path: Path,
    dtype: "torch.dtype",
) -> None:
    """Write a ``.safetensors`` file; ``config`` is what the codec needs to rebuild the network."""
    from safetensors.torch import save

    converted = {name: t.detach().to("cpu", dtype).contiguous() for name, t in tensors.items()}
    write_bytes(path, save(converted, {"config": json.dumps(config)}))


def check_shapes(
    network: "torch.nn.Module", tensors: Mapping[str, "torch.Tensor"], source: Path
) -> None:
    """Check that tensors have the names and shapes of a network, which may be on device meta.

    Raises:
        DataError: a parameter is missing, unknown, of another shape, or not of real numbers.
    """
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise DataError(
                f"{source} does not fit this network: parameter {name} has shape "
                f"{found.get(name, 'none')}, expected {expected.get(name, 'none')}"
            )
        if not tensors[name].is_floating_point():
            raise DataError(
                f"{source}: parameter {name} is of {tensors[name].dtype}, not of floats"
            )


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what goes wrong into a DataError; the library raises errors of many kinds."""
    try:
        yield
    except Exception as error:
        raise _unreadable(path, error) from error


def _read_safetensors(path: Path) -> tuple[dict[str, "torch.Tensor"], dict[str, Any]]:
    from safetensors import safe_open

    with _reading(path), safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in [*file.keys()]}
        return tensors, _config_of(file.metadata())


def _config_of(metadata: Mapping[str, str] | None) -> dict[str, Any]:
    try:
        config = json.loads((metadata or {}).get("config", "{}"))
    except RecursionError:
        raise ValueError("its config is nested too deeply") from None
    if not isinstance(config, dict):
        raise ValueError("its config is not a JSON object")
    return config


def _first_line(error: Exception) -> str:
    lines = _plain(str(error)).strip().splitlines()
    return lines[0] if lines else repr(error)


def _plain(text: str) -> str:
    """A library's message without terminal escape codes."""
    return _ESCAPES.sub("", text)
