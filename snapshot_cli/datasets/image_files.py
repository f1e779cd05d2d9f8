"""List the files of a folder or a zip, and turn one image file into pixels; whatever is wrong is a UserError."""

from __future__ import annotations

import io
import os
import stat
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from snapshot_cli.datasets.store import Images
from snapshot_cli.errors import UserError

Files = dict[str, Callable[[], bytes]]
"""What to call for a file's bytes, by its path inside the folder or zip, '/' between the parts."""

DEEPEST = 5  # parts of a path: one more than top/train/class/file, so that a folder too many is seen
LARGEST = 2**29  # bytes of a file: as many pixels as Pillow reads at most, with 16 bits in each of three channels
EXPANSION = 1000  # deflate cannot pack images better; more is a bomb


@contextmanager
def open_files(path: Path) -> Iterator[Files]:
    """List the files of a folder or a zip that can be read inside the `with`; hidden ones and __MACOSX are left out."""
    if path.is_dir():
        yield _visible(_folder_files(path))
    elif not path.exists():
        raise UserError(f"{path}: no such file or folder")
    elif not zipfile.is_zipfile(path):
        raise UserError(f"{path}: neither a folder nor a readable zip; unpack it and give the folder")
    else:
        with _opened(path) as archive:
            yield _visible(_zip_files(path, archive))


def pixels(read: Callable[[], bytes], where: str) -> Images:
    """Decode an image file into (height, width, 3) uint8, upright as its EXIF tag says.

    Grey becomes three equal channels, 16 bits become 8, transparency is dropped. Raises UserError naming `where`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(read())) as image:
                return np.array(_upright(image))
    except Exception as problem:  # Pillow's decoders raise nearly anything on damaged files
        raise UserError(f"{where}: cannot be read as an image ({_reason(problem)})") from problem


def flaw(data: bytes) -> str | None:
    """Return what keeps an image file from being decoded, None where nothing does; JPEGs at an eighth of their size."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            if Image.MAX_IMAGE_PIXELS and image.width * image.height > Image.MAX_IMAGE_PIXELS:
                raise Image.DecompressionBombError
            image.draft("RGB", (1, 1))
            _upright(image)
    except Exception as problem:  # Pillow's decoders raise nearly anything on damaged files
        return _reason(problem)
    return None


def _upright(image: Image.Image) -> Image.Image:
    if image.format == "EPS":
        raise ValueError("PostScript is a program, which Ghostscript would run")
    return _rgb(ImageOps.exif_transpose(image))


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError("32-bit pixels have no fixed range")
    if "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")


def _reason(problem: Exception) -> str:
    if isinstance(problem, UnidentifiedImageError):
        return "no image format that Pillow knows"
    if isinstance(problem, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"more than {Image.MAX_IMAGE_PIXELS:,} pixels"
    return " ".join(str(problem).split()) or type(problem).__name__


def _visible(files: Files) -> Files:
    def visible(name: str) -> bool:
        parts = PurePosixPath(name).parts
        return bool(parts) and not any(part.startswith(".") or part == "__MACOSX" for part in parts)

    return {name: read for name, read in files.items() if visible(name)}


def _folder_files(path: Path) -> Files:
    files: Files = {}
    for folder, below, names in os.walk(path, followlinks=True):
        inside = Path(folder).relative_to(path)
        if len(inside.parts) + 1 >= DEEPEST:
            below.clear()  # also what ends a loop of links
        files |= {(inside / name).as_posix(): file_reader(Path(folder, name)) for name in names}
    return files


def file_reader(path: Path) -> Callable[[], bytes]:
    """Return what reads a file; it raises ValueError for a pipe, a device and a file that is too large."""

    def read() -> bytes:
        if path.exists() and not path.is_file():
            raise ValueError("a pipe or a device, not a file")
        return _of_size(path.stat().st_size, path.read_bytes)

    return read


def stream_reader(path: Path) -> Callable[[], bytes]:
    """Return what reads a file or a pipe that somebody has named; it raises ValueError for what is too large."""

    def read() -> bytes:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
        return _of_size(len(data), lambda: data)

    return read


def _of_size(size: int, read: Callable[[], bytes]) -> bytes:
    if size > LARGEST:
        raise ValueError(f"{size:,} bytes, expected at most {LARGEST:,}")
    return read()


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as problem:
        raise UserError(f"{path}: the zip cannot be read ({problem})") from problem
    with archive:
        yield archive


def _zip_files(path: Path, archive: zipfile.ZipFile) -> Files:
    members = [member for member in archive.infolist() if not member.is_dir()]
    for member in members:
        _refuse_unfit(path, member)
    packed, unpacked = path.stat().st_size, sum(member.file_size for member in members)
    if unpacked > EXPANSION * packed:
        raise UserError(
            f"{path}: {packed:,} bytes would unpack to {unpacked:,}, more than {EXPANSION} times as many; refused"
        )
    return {member.filename: _reader(archive, member) for member in members}


def _refuse_unfit(path: Path, member: zipfile.ZipInfo) -> None:
    name = PureWindowsPath(member.filename)  # knows both slashes and drives
    if name.root or ".." in name.parts or name.drive:
        raise UserError(f"{path}: member {member.filename} points outside the zip; refused")
    if any(ord(character) < ord(" ") for character in member.filename):
        raise UserError(f"{path}: member {member.filename!r} has control characters in its name; refused")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise UserError(f"{path}: member {member.filename} is a link; refused")
    if member.flag_bits & 1:
        raise UserError(f"{path}: member {member.filename} is encrypted; pack the images anew without a password")


def _reader(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        with archive.open(member) as file:
            return file.read(member.file_size)  # not read(), which unpacks all there is, whatever the zip says of it

    return lambda: _of_size(member.file_size, read)
