"""Test sets: manifests of names, sizes and SHA-256, folders of pictures, download, verification.

A manifest is a TOML file in a package of the entry-point group ``rdbench.datasets``, named like
the set. It holds ``title``, ``origin``, ``licence``, ``about``, ``n_images``, where to get the
pictures (``url`` with ``{name}`` for single files, ``archive`` with ``archive_hash`` and
``archive_folder``, or ``package`` for pictures inside an installed package), and ``[[images]]``
with ``name``, ``width``, ``height`` and ``sha256``. Where the hashes are not known, ``names`` (a
pattern), ``n_images`` and, for sets of one size, ``width`` and ``height`` say what can be checked.
"""

import fnmatch
import hashlib
import importlib.resources
import os
import shutil
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import platformdirs

from rdbench.errors import DataError, UsageError
from rdbench.images import SUFFIXES, read_image
from rdbench.registry import closest, plugins

GROUP = "rdbench.datasets"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a data set: its name there, its file, its size in pixels and its SHA-256."""

    name: str
    path: Path
    width: int
    height: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """A verified data set, identified by the hashes of its files.

    Attributes:
        name: name of the manifest or of the folder.
        pictures: as the manifest orders them, or by name.
        source: what ``load_dataset`` finds it by: the name, or the folder's absolute path.
    """

    name: str
    pictures: tuple[Picture, ...]
    source: str

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the sorted hashes of the pictures: the same set whatever its name."""
        return hashlib.sha256(
            "\n".join(sorted(p.sha256 for p in self.pictures)).encode()
        ).hexdigest()

    def subset(self, names: Sequence[str]) -> "Dataset":
        """Some of the pictures, as a set of its own called ``name[a,b]``.

        Args:
            names: names of pictures, with or without suffix.

        Raises:
            UsageError: no such picture.
        """
        by_name = {key: p for p in self.pictures for key in (p.name, Path(p.name).stem)}
        for name in names:
            if name not in by_name:
                hint = closest(name, by_name)
                raise UsageError(f"data set {self.name!r} has no picture {name!r}{hint}")
        chosen = sorted({by_name[name] for name in names}, key=lambda p: p.name)
        label = "[" + ",".join(Path(p.name).stem for p in chosen) + "]"
        return Dataset(self.name + label, tuple(chosen), self.source + label)


@dataclass(frozen=True, slots=True)
class Entry:
    """A picture as the manifest describes it."""

    name: str
    width: int
    height: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What is known of a data set before looking at its files."""

    name: str
    title: str
    origin: str
    licence: str
    about: str
    n_images: int
    url: str = ""
    archive: str = ""
    archive_hash: str | None = None
    archive_folder: str = ""
    package: str = ""
    names: str = "*"
    width: int | None = None
    height: int | None = None
    images: tuple[Entry, ...] = field(default=())


@cache
def manifests() -> Mapping[str, Manifest]:
    """Every registered manifest by name."""
    found = dict(_read_manifests())
    return dict(sorted(found.items()))


def _read_manifests() -> Iterator[tuple[str, Manifest]]:
    for _, package in plugins(GROUP):
        for file in importlib.resources.files(package).iterdir():
            if file.name.endswith(".toml"):
                body = tomllib.loads(file.read_text(encoding="utf-8"))
                images = tuple(Entry(**image) for image in body.pop("images", ()))
                name = file.name.removesuffix(".toml")
                yield name, Manifest(name=name, images=images, **body)


def manifest(name: str) -> Manifest:
    """The manifest called ``name``.

    Raises:
        UsageError: no such data set.
    """
    if name not in manifests():
        hint = closest(name, manifests())
        raise UsageError(
            f"no data set or folder {name!r}{hint} (`rdbench list datasets` shows all)"
        )
    return manifests()[name]


def folder_of(name: str) -> Path:
    """Where the pictures of the set ``name`` are, or will be after a fetch.

    The first of: the installed package that ships them, ``$RDBENCH_DATA/NAME`` where it exists,
    the user's data folder.
    """
    wanted = manifest(name)
    if wanted.package:
        return Path(str(importlib.resources.files(wanted.package)))
    given = os.environ.get("RDBENCH_DATA")
    return (Path(given) if given else platformdirs.user_data_path("rdbench")) / name


def load_dataset(name: str) -> Dataset:
    """A data set by name or folder, every file checked.

    Args:
        name: a registered name (``kodak``), a folder of pictures (``./photos``), either with a
            choice of pictures in brackets (``kodak[kodim03,kodim23]``).

    Raises:
        UsageError: no such data set or picture.
        DataError: a picture is wrong, missing, extra, resized or corrupt; the message names it.
    """
    base, bracket, rest = name.partition("[")
    whole = _load_whole(base)
    return whole.subset([n.strip() for n in rest.rstrip("]").split(",")]) if bracket else whole


def _load_whole(name: str) -> Dataset:
    if name in manifests():
        return verify(name)
    if Path(name).is_dir():
        return from_folder(Path(name))
    if Path(name).exists():
        raise UsageError(f"{name} is a file; give the folder that holds it")
    manifest(name)  # raises: no such name
    raise AssertionError


def from_folder(folder: Path) -> Dataset:
    """All pictures directly in ``folder``, each decoded once to see that it can be read.

    Raises:
        DataError: no pictures, or one that cannot be read.
    """
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
    if not paths:
        raise DataError(f"no pictures in {folder} (looked for {', '.join(SUFFIXES)})")
    whole = folder.resolve()
    return Dataset(whole.name, tuple(_look_at(path) for path in paths), str(whole))


def _look_at(path: Path) -> Picture:
    height, width, _ = read_image(path).shape
    return Picture(path.name, path, width, height, sha256_of(path))


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(name: str) -> Dataset:
    """Check the files of a registered set against its manifest.

    Where the manifest holds no hashes, the names, the number and the readability of the pictures
    are checked, and the hashes of the first fetch where it left them in ``SHA256SUMS``.

    Raises:
        DataError: a picture is wrong, missing, extra, resized or corrupt; the message names it.
    """
    wanted = manifest(name)
    folder = folder_of(name)
    if not folder.is_dir():
        raise DataError(
            f"data set {name!r} is not at {folder}: `rdbench datasets fetch {name}`, "
            "or set RDBENCH_DATA to the folder that holds it"
        )
    if not wanted.images:
        return _verify_unpinned(wanted, folder)
    if not wanted.package:
        _refuse_extra(wanted, folder)
    return Dataset(name, tuple(_verify_picture(wanted, folder, e) for e in wanted.images), name)


def _refuse_extra(wanted: Manifest, folder: Path) -> None:
    names = {image.name for image in wanted.images}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in SUFFIXES and path.name not in names:
            raise DataError(f"{path} does not belong to data set {wanted.name!r}; move it away")


def _verify_picture(wanted: Manifest, folder: Path, entry: Entry) -> Picture:
    path = folder / entry.name
    if not path.is_file():
        raise DataError(
            f"data set {wanted.name!r}: {path} is missing; `rdbench datasets fetch {wanted.name}`"
        )
    actual = sha256_of(path)
    if actual == entry.sha256:
        return Picture(entry.name, path, entry.width, entry.height, entry.sha256)
    raise DataError(f"data set {wanted.name!r}: {path} {_difference(path, entry, actual)}")


def _difference(path: Path, entry: Entry, actual: str) -> str:
    """What is wrong with a picture whose hash is not the manifest's."""
    try:
        height, width, _ = read_image(path).shape
    except DataError as error:
        return f"is corrupt ({error})"
    if (width, height) != (entry.width, entry.height):
        return f"is {width}x{height}, not {entry.width}x{entry.height}: a resized copy"
    return (
        f"is not the original file (SHA-256 {actual[:16]}..., expected {entry.sha256[:16]}...); "
        "delete it and fetch again"
    )


def _verify_unpinned(wanted: Manifest, folder: Path) -> Dataset:
    names = sorted(p.name for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
    for name in names:
        if not fnmatch.fnmatch(name, wanted.names):
            raise DataError(f"{folder / name} does not belong to data set {wanted.name!r}")
    if len(names) != wanted.n_images:
        raise DataError(
            f"data set {wanted.name!r} has {wanted.n_images} pictures, {folder} holds {len(names)}"
        )
    pictures = tuple(_look_at(folder / name) for name in names)
    size = (wanted.width, wanted.height)
    for picture in pictures:
        if wanted.width and (picture.width, picture.height) != size:
            raise DataError(
                f"{picture.path} is {picture.width}x{picture.height}, not {size[0]}x{size[1]}"
            )
    first = _read_sums(folder / "SHA256SUMS")
    for picture in pictures:
        if first and first.get(picture.name) != picture.sha256:
            raise DataError(f"{picture.path} changed since it was fetched (SHA256SUMS beside it)")
    return Dataset(wanted.name, pictures, wanted.name)


def _read_sums(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    rows = (line.split(maxsplit=1) for line in path.read_text().splitlines() if line.strip())
    return {name.lstrip("*"): digest for digest, name in rows}


def fetch(name: str, progress: bool = True) -> Dataset:
    """Download a data set into its folder, skipping files that are there and right, and verify it.

    Args:
        name: a registered name.
        progress: draw a progress bar on stderr.

    Raises:
        UsageError: no such data set.
        DataError: the download failed or is not what the manifest says.
    """
    wanted = manifest(name)
    folder = folder_of(name)
    if wanted.url:
        _fetch_files(wanted, folder, progress)
    elif wanted.archive:
        _fetch_archive(wanted, folder, progress)
    elif not wanted.package:
        raise DataError(f"data set {name!r} has no direct address: get it from {wanted.origin} "
                        f"and put its {wanted.n_images} pictures into {folder}")  # fmt: skip
    return verify(name)


def _fetch_files(wanted: Manifest, folder: Path, progress: bool) -> None:
    for entry in wanted.images:
        url = wanted.url.format(name=entry.name)
        _retrieve(url, f"sha256:{entry.sha256}", folder, entry.name, progress)


def _retrieve(url: str, digest: str | None, folder: Path, name: str, progress: bool) -> Path:
    import pooch
    import requests

    pooch.get_logger().setLevel("WARNING")
    try:
        return Path(pooch.retrieve(url, digest, name, folder, progressbar=progress))
    except (requests.RequestException, OSError) as error:
        raise DataError(f"cannot fetch {url}: {error}; try again, what is there is kept") from None
    except ValueError as error:
        raise DataError(f"{url} is not the file it was: {error}") from None


def _fetch_archive(wanted: Manifest, folder: Path, progress: bool) -> None:
    if folder.is_dir() and any(folder.iterdir()):
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    archive = _retrieve(
        wanted.archive, wanted.archive_hash, folder.parent, Path(wanted.archive).name, progress
    )
    _unpack(archive, wanted, folder)
    if not wanted.images:
        sums = [f"{sha256_of(p)}  {p.name}\n" for p in sorted(folder.iterdir())]
        (folder / "SHA256SUMS").write_text("".join(sums))
    archive.unlink()


def _unpack(archive: Path, wanted: Manifest, folder: Path) -> None:
    """The pictures of ``archive`` into ``folder``, which appears only when it is whole."""
    import zipfile

    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        with zipfile.ZipFile(archive) as bundle:
            for member in bundle.infolist():
                path = Path(member.filename)
                inside = str(path.parent).endswith(wanted.archive_folder)
                hidden = path.name.startswith(".") or "__MACOSX" in path.parts
                if inside and not hidden and fnmatch.fnmatch(path.name, wanted.names):
                    with bundle.open(member) as source, (partial / path.name).open("wb") as target:
                        shutil.copyfileobj(source, target)
    except zipfile.BadZipFile as error:
        raise DataError(
            f"{archive} is not a whole zip file ({error}); delete it and fetch again"
        ) from None
    partial.replace(folder)
