"""Test sets: manifests of names, sizes and SHA-256, folders of images, download, verification.

A manifest is a TOML file in a package of the entry-point group ``rdbench.datasets``, named like
the set. It holds ``title``, ``origin``, ``licence``, ``about``, ``n_images``, where to get the
images (``url`` with ``{name}`` for single files, ``archive`` with ``archive_hash`` and
``archive_folder``, or ``package`` for images inside an installed package), and ``[[images]]``
with ``name``, ``width``, ``height`` and ``sha256``. Where the hashes are not known, ``names`` (a
pattern), ``n_images`` and, for sets of one size, ``width`` and ``height`` say what can be checked.
A set without ``n_images`` has published curves, but the images are not known: ``about`` says what
is known. Its name ends with ``-unknown``.
"""

import fnmatch
import hashlib
import importlib.resources
import os
import re
import shutil
import stat
import tomllib
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path, PurePosixPath

import platformdirs

from rdbench.errors import DataError, RdbenchWarning, UsageError, closest
from rdbench.images import SUFFIXES, printable, read_image
from rdbench.plugins import plugins

GROUP = "rdbench.datasets"


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image of a data set: its name there, its file, its size in pixels and its SHA-256."""

    name: str
    path: Path
    width: int
    height: int
    sha256: str

    def __repr__(self) -> str:
        return f"<ImageFile {self.name}: {self.width}x{self.height}>"


@dataclass(frozen=True, slots=True)
class Dataset:
    """A verified data set, identified by the hashes of its files.

    Attributes:
        name: name of the manifest whose files these are, or of the folder.
        files: as the manifest orders them, or by name.
        source: what ``load_dataset`` finds it by: the name, or the folder's absolute path.
    """

    name: str
    files: tuple[ImageFile, ...]
    source: str

    def __repr__(self) -> str:
        images = f"{len(self.files)} image{'s' if len(self.files) != 1 else ''}"
        return f"<Dataset {self.name}: {images}>"

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the sorted hashes of the images: the same set whatever its name."""
        return hashlib.sha256("\n".join(sorted(p.sha256 for p in self.files)).encode()).hexdigest()

    @property
    def images(self) -> dict[str, str]:
        """Name of each image -> its SHA-256."""
        return {p.name: p.sha256 for p in self.files}

    def subset(self, names: Sequence[str]) -> "Dataset":
        """Some of the images, as a set of its own called ``name[a,b]``.

        Args:
            names: names of images, with or without suffix.

        Raises:
            UsageError: no such image, or several.
        """
        chosen = sorted({self._image(name) for name in names}, key=lambda p: p.name)
        label = "[" + ",".join(self._short(p).replace(",", "\\,") for p in chosen) + "]"
        return Dataset(self.name + label, tuple(chosen), self.source + label)

    def _image(self, name: str) -> ImageFile:
        found = self._called(name) or self._called(name.strip())
        if not found:
            hint = closest(name, [key for p in self.files for key in (p.name, Path(p.name).stem)])
            raise UsageError(f"data set {self.name!r} has no image {name!r}{hint}")
        if len(found) > 1:
            names = " and ".join(p.name for p in found)
            raise UsageError(f"{name!r} in data set {self.name!r} is {names}; give the suffix too")
        return found[0]

    def _called(self, name: str) -> list[ImageFile]:
        """The image of that whole name, or all that are called so without their suffix."""
        whole = [p for p in self.files if p.name == name]
        return whole or [p for p in self.files if Path(p.name).stem == name]

    def _short(self, image: ImageFile) -> str:
        """The image's name without suffix, where that is enough to find it again."""
        stem = Path(image.name).stem
        return stem if self._called(stem) == [image] else image.name


@dataclass(frozen=True)
class Manifest:
    """Description of a data set, without its files; paths of images are relative to it."""

    name: str
    title: str
    origin: str
    licence: str
    about: str
    n_images: int | None = None
    url: str = ""
    archive: str = ""
    archive_hash: str | None = None
    archive_folder: str = ""
    package: str = ""
    names: str = "*"
    width: int | None = None
    height: int | None = None
    images: tuple[ImageFile, ...] = ()


@cache
def manifests() -> Mapping[str, Manifest]:
    """Every registered manifest by name."""
    found: dict[str, Manifest] = {}
    packages: dict[str, str] = {}
    for package, read in _read_manifests():
        first = packages.setdefault(read.name, package)
        if first == package:
            found[read.name] = read
        else:
            message = f"plugins {first!r} and {package!r} both describe data set {read.name!r}"
            warnings.warn(f"{message}; that of {first!r} is used", RdbenchWarning, 2)
    return dict(sorted(found.items()))


def _read_manifests() -> Iterator[tuple[str, Manifest]]:
    """Yield the entry that registers a manifest, and the manifest."""
    for entry, package in plugins(GROUP):
        for file in importlib.resources.files(package).iterdir():
            if file.name.endswith(".toml"):
                body = tomllib.loads(file.read_text(encoding="utf-8"))
                images = tuple(ImageFile(path=Path(i["name"]), **i) for i in body.pop("images", ()))
                name = file.name.removesuffix(".toml")
                yield entry, Manifest(name=name, images=images, **body)


def manifest(name: str) -> Manifest:
    """The manifest called ``name``.

    Raises:
        UsageError: no such data set.
    """
    if name not in manifests():
        hint = closest(name, manifests())
        raise UsageError(
            f"no data set or folder {name!r}{hint} (`rdbench datasets list` shows all)"
        )
    return manifests()[name]


def _known(name: str) -> Manifest:
    """The manifest of a set whose images are known.

    Raises:
        UsageError: no such data set.
        DataError: its images are not known.
    """
    found = manifest(name)
    if found.n_images is None:
        raise DataError(f"the images of data set {name!r} are not known: {found.about}")
    return found


def describe(name: str) -> str:
    """A data set in a few words, such as "kodak (24 images: Kodak Lossless ...)"."""
    if (found := manifests().get(name)) is None:
        return name
    return f"{name} ({found.n_images or 'unknown'} images: {found.title})"


def folder_of(name: str) -> Path:
    """Where the images of the set ``name`` are, or will be after a fetch.

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
        name: a registered name (``kodak``), a folder of images (``./photos``), either with a
            choice of images in brackets (``kodak[kodim03,kodim23]``); a comma in the name of a
            image is written ``\\,``.

    Raises:
        UsageError: no such data set or image.
        DataError: an image is wrong, missing, extra, resized or corrupt; the message names it.
    """
    base, choice = _split(name)
    if base in manifests():
        return verify(base, choice)
    folder = _path(base)
    if not _is_folder(base):
        if base and _exists(folder):
            raise UsageError(f"{base} is a file; give the folder that holds it")
        manifest(base)  # raises: no such name
    whole = from_folder(folder)
    return whole if choice is None else whole.subset(choice)


def _split(name: str) -> tuple[str, list[str] | None]:
    """Data set or folder, and the images chosen of it.

    A bracket may belong to a folder's or an image's name: the longest name that exists is meant.
    """
    if name in manifests() or _is_folder(name) or not name.endswith("]"):
        return name, None
    brackets = [match.start() for match in re.finditer(r"\[", name)]
    existing = [at for at in brackets if name[:at] in manifests() or _is_folder(name[:at])]
    at = (existing[-1:] or brackets[:1] or [len(name)])[0]
    return name[:at], names_of_list(name[at + 1 : -1])


def names_of_list(text: str) -> list[str]:
    """Names of images written with commas between them; a comma in a name is written ``\\,``."""
    return [name.replace("\\,", ",") for name in re.split(r"(?<!\\),", text)]


def files_of(name: str, names: Iterable[str]) -> list[Path]:
    """Where images of a data set are by its name or folder, or would be; none is read.

    Args:
        name: as `load_dataset` takes it.
        names: of images.
    """
    base, _ = _split(name)
    folder = folder_of(base) if base in manifests() else _path(base)
    return [_path(str(folder / each)) for each in names]


def _is_folder(name: str) -> bool:
    return bool(name) and _exists(_path(name)) and _path(name).is_dir()


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # longer than a name can be, or in a folder that may not be looked into
        return False


def _path(name: str) -> Path:
    """The path that ``printable`` wrote as ``name``."""
    if _exists(Path(name)):
        return Path(name)
    escapes = rb"\\x([0-9a-f]{2})"
    given = re.sub(escapes, lambda found: bytes.fromhex(found[1].decode()), os.fsencode(name))
    path = Path(os.fsdecode(given))
    return path if _exists(path) else Path(name)


def from_folder(folder: Path) -> Dataset:
    """All images directly in ``folder``, each decoded once to see that it can be read.

    A folder that holds the files of a registered set is that set. Any other is called like the
    folder; one that a registered set is called like gets its parent's name too.

    Raises:
        DataError: no images, or one that cannot be read.
    """
    paths, left_out = _images_in(folder)
    if not paths:
        raise DataError(
            f"no images in {printable(folder)} (looked for {', '.join(SUFFIXES)})"
            + (f"; it holds {_listed(left_out)}" if left_out else "")
        )
    if left_out:
        warnings.warn(f"left out of {printable(folder)}: {_listed(left_out)}", RdbenchWarning, 2)
    whole = folder.resolve()
    images = tuple(_look_at(path) for path in paths)
    source = printable(whole)
    for wanted in manifests().values():
        if same := _as_registered(wanted, whole, images):
            return Dataset(wanted.name, same, source)
    if whole.name in manifests():
        name = f"{printable(whole.parent.name)}/{whole.name}"
        warnings.warn(
            f"{source} does not hold the files of data set {whole.name!r}: it is called {name!r} "
            "here and not compared with published curves",
            RdbenchWarning,
            2,
        )
        return Dataset(name, images, source)
    return Dataset(printable(whole.name), images, source)


def _as_registered(
    wanted: Manifest, folder: Path, images: Sequence[ImageFile]
) -> tuple[ImageFile, ...]:
    """The images of a folder as those of a registered set; () where they are others."""
    if not wanted.images:
        same = folder.name == wanted.name and _unpinned_fault(wanted, folder, images) is None
        return tuple(images) if same else ()
    by_hash = {p.sha256: p for p in images}
    if len(images) != wanted.n_images or by_hash.keys() != {i.sha256 for i in wanted.images}:
        return ()
    return tuple(replace(i, path=by_hash[i.sha256].path) for i in wanted.images)


_OTHER_SUFFIXES = (
    ".apng", ".arw", ".avif", ".cr2", ".cr3", ".dib", ".dng", ".exr", ".gif", ".hdr", ".heic",
    ".heif", ".hif", ".j2k", ".jls", ".jp2", ".jpf", ".jph", ".jpx", ".jxl", ".jxr", ".nef", ".orf",
    ".pam", ".pfm", ".psd", ".qoi", ".raf", ".raw", ".rgb", ".rw2", ".svg", ".tga", ".y4m", ".yuv",
)  # fmt: skip
"""Types of images that are not read."""


def _images_in(folder: Path) -> tuple[list[Path], list[str]]:
    """The images directly in a folder by name, and what may be meant as one but is none."""
    paths, left_out = [], []
    try:
        entries = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    except OSError as error:
        raise DataError(f"{printable(folder)} cannot be read: {error.strerror}") from None
    for path in entries:
        name, suffix = printable(path.name), path.suffix.lower()
        if path.is_symlink() and not path.exists():
            left_out.append(f"{name} (a link to nothing)")
        elif path.is_dir():
            if suffix in SUFFIXES or _holds_images(path):
                left_out.append(f"{name} (a folder)")
        elif suffix in SUFFIXES and path.is_file():
            paths.append(path)
        elif suffix in SUFFIXES:
            left_out.append(f"{name} (not a file)")
        elif suffix in _OTHER_SUFFIXES:
            left_out.append(name)
    return paths, left_out


def _holds_images(folder: Path) -> bool:
    try:
        return any(p.suffix.lower() in SUFFIXES for p in folder.iterdir())
    except OSError:
        return False


def _listed(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _look_at(path: Path) -> ImageFile:
    height, width, _ = read_image(path).shape
    return ImageFile(printable(path.name), path, width, height, sha256_of(path))


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{printable(path)} cannot be read: {error.strerror or error}") from None


def verify(name: str, choice: Sequence[str] | None = None) -> Dataset:
    """Check the files of a registered set, or of a choice of its images, against its manifest.

    Where the manifest holds no hashes, the names, the number and the readability of the images
    are checked, and the hashes of the first fetch where it left them in ``SHA256SUMS``.

    Raises:
        DataError: an image is wrong, missing, extra, resized or corrupt; the message names it.
    """
    wanted = _known(name)
    folder = folder_of(name)
    if not folder.is_dir():
        raise DataError(
            f"data set {name!r} is not at {folder}: `rdbench datasets fetch {name}`, "
            "or set RDBENCH_DATA to the folder that holds it"
        )
    if not wanted.images:
        whole = _verify_unpinned(wanted, folder)
        return whole if choice is None else whole.subset(choice)
    if not wanted.package:
        _refuse_extra(wanted, folder)
    named = Dataset(name, tuple(replace(i, path=folder / i.path) for i in wanted.images), name)
    chosen = named if choice is None else named.subset(choice)
    for image in chosen.files:
        _verify_image(wanted, image)
    return chosen


def _refuse_extra(wanted: Manifest, folder: Path) -> None:
    names = {image.name for image in wanted.images}
    for path in _images_in(folder)[0]:
        if path.name not in names:
            raise DataError(f"{path} does not belong to data set {wanted.name!r}; move it away")


def _verify_image(wanted: Manifest, image: ImageFile) -> None:
    path = image.path
    if not path.is_file():
        raise DataError(
            f"data set {wanted.name!r}: {path} is missing; `rdbench datasets fetch {wanted.name}`"
        )
    actual = sha256_of(path)
    if actual != image.sha256:
        raise DataError(f"data set {wanted.name!r}: {path} {_difference(image, actual)}")


def _difference(image: ImageFile, actual: str) -> str:
    """What is wrong with an image whose hash is not the manifest's."""
    try:
        height, width, _ = read_image(image.path).shape
    except DataError as error:
        return f"is corrupt ({error})"
    if (width, height) != (image.width, image.height):
        return f"is {width}x{height}, not {image.width}x{image.height}: a resized copy"
    return (
        f"is not the original file (SHA-256 {actual[:16]}..., expected {image.sha256[:16]}...); "
        "delete it and fetch again"
    )


def _verify_unpinned(wanted: Manifest, folder: Path) -> Dataset:
    paths, _ = _images_in(folder)
    fault = _name_fault(wanted, folder, [p.name for p in paths])
    images = () if fault else tuple(_look_at(path) for path in paths)
    fault = fault or _unpinned_fault(wanted, folder, images)
    if fault:
        raise DataError(fault)
    return Dataset(wanted.name, images, wanted.name)


def _name_fault(wanted: Manifest, folder: Path, names: Sequence[str]) -> str | None:
    for name in names:
        if not fnmatch.fnmatch(name, wanted.names):
            return f"{folder / name} does not belong to data set {wanted.name!r}"
    if len(names) != wanted.n_images:
        return f"data set {wanted.name!r} has {wanted.n_images} images, {folder} holds {len(names)}"
    return None


def _unpinned_fault(wanted: Manifest, folder: Path, images: Sequence[ImageFile]) -> str | None:
    """Why these images are not those of a set whose hashes are not known, or None."""
    if fault := _name_fault(wanted, folder, [p.name for p in images]):
        return fault
    first = _read_sums(folder / "SHA256SUMS")
    for p in images:
        if wanted.width and (p.width, p.height) != (wanted.width, wanted.height):
            return f"{p.path} is {p.width}x{p.height}, not {wanted.width}x{wanted.height}"
        if first and first.get(p.name) != p.sha256:
            return f"{p.path} changed since it was fetched (see SHA256SUMS in its folder)"
    return None


def _read_sums(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    rows = (line.split(maxsplit=1) for line in path.read_text().splitlines() if line.strip())
    return {name.lstrip("*"): digest for digest, name in rows}


def fetch(name: str, progress: bool = True) -> Dataset:
    """Download a data set into its folder and verify it; files that are already correct are kept.

    Args:
        name: a registered name.
        progress: draw a progress bar on stderr.

    Raises:
        UsageError: no such data set.
        DataError: the download failed or is not what the manifest says.
    """
    wanted = _known(name)
    folder = folder_of(name)
    if wanted.url:
        _fetch_files(wanted, folder, progress)
    elif wanted.archive:
        _fetch_archive(wanted, folder, progress)
    elif not wanted.package:
        raise DataError(f"data set {name!r} has no direct address: get it from {wanted.origin} "
                        f"and put its {wanted.n_images} images into {folder}")  # fmt: skip
    return verify(name)


def _fetch_files(wanted: Manifest, folder: Path, progress: bool) -> None:
    for image in wanted.images:
        url = wanted.url.format(name=image.name)
        _retrieve(url, f"sha256:{image.sha256}", folder, image.name, progress)


def _retrieve(url: str, digest: str | None, folder: Path, name: str, progress: bool) -> Path:
    import pooch

    pooch.get_logger().setLevel("WARNING")
    try:
        return Path(pooch.retrieve(url, digest, name, folder, progressbar=progress))
    except OSError as error:  # what requests, pooch's client, raises is one too
        raise DataError(f"cannot fetch {url}: {error}; try again, what is there is kept") from None
    except ValueError as error:
        raise DataError(f"{url} is not the file it was: {error}") from None


def _fetch_archive(wanted: Manifest, folder: Path, progress: bool) -> None:
    if folder.is_dir() and any(folder.iterdir()):
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    archive = _retrieve(
        wanted.archive, wanted.archive_hash, folder.parent, f"{wanted.name}.download", progress
    )
    try:
        _unpack(archive, wanted, folder)
    finally:
        archive.unlink()


_MOST_BYTES = 64 * 2**20
"""No image of a data set is larger than this where its size in pixels is not known."""


def _unpack(archive: Path, wanted: Manifest, folder: Path) -> None:
    """The images of ``archive`` into ``folder``, which appears only when it is whole."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        with zipfile.ZipFile(archive) as bundle:
            for name, member in _members(bundle, wanted).items():
                with bundle.open(member) as source, (partial / name).open("wb") as target:
                    shutil.copyfileobj(source, target)
        if not wanted.images:
            sums = [f"{sha256_of(p)}  {p.name}\n" for p in sorted(partial.iterdir())]
            (partial / "SHA256SUMS").write_text("".join(sums))
        partial.replace(folder)
    except (zipfile.BadZipFile, NotImplementedError, zlib.error, EOFError) as error:
        raise DataError(
            f"{wanted.archive} is not a zip file that can be read ({error}); fetch it again"
        ) from None
    except OSError as error:
        raise DataError(f"cannot unpack into {partial}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _members(bundle: zipfile.ZipFile, wanted: Manifest) -> dict[str, zipfile.ZipInfo]:
    """The images of a data set in its archive by name.

    Nothing is unpacked before all of them are what the manifest says: a small archive can hold
    gigabytes. ``zipfile`` writes no more bytes than an entry declares.

    Raises:
        DataError: they are too many, too few, too large, or not plain files.
    """
    most = (
        4 * wanted.width * wanted.height + 2**20 if wanted.width and wanted.height else _MOST_BYTES
    )
    found: dict[str, zipfile.ZipInfo] = {}
    for member in bundle.infolist():
        path = PurePosixPath(member.filename)
        if member.is_dir() or not _is_wanted(path, wanted):
            continue
        fault = _member_fault(member, most) or ("is there twice" if path.name in found else None)
        if fault:
            raise DataError(f"{wanted.archive}: {member.filename} {fault}; nothing was unpacked")
        found[path.name] = member
    if len(found) != wanted.n_images:
        raise DataError(
            f"{wanted.archive} holds {len(found)} images, data set {wanted.name!r} has "
            f"{wanted.n_images}; nothing was unpacked"
        )
    return found


def _is_wanted(path: PurePosixPath, wanted: Manifest) -> bool:
    inside = PurePosixPath(wanted.archive_folder).parts
    in_folder = path.parent.parts[len(path.parent.parts) - len(inside) :] == inside
    hidden = path.name.startswith(".") or "__MACOSX" in path.parts
    return in_folder and not hidden and fnmatch.fnmatch(path.name, wanted.names)


def _member_fault(member: zipfile.ZipInfo, most: int) -> str | None:
    if stat.S_ISLNK(member.external_attr >> 16):
        return "is a link"
    if member.flag_bits & 1:
        return "is encrypted"
    if member.file_size > most:
        return f"is {member.file_size:,} bytes large, more than the {most:,} that an image may have"
    return None
