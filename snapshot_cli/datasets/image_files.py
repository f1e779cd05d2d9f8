"""List the files of a folder or zip, and decode image files; errors are UserErrors."""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from snapshot_cli.datasets.file_bytes import OpenZip, file_reader, member_reader, open_zip
from snapshot_cli.errors import UserError, reason

if TYPE_CHECKING:
    from snapshot_cli.datasets.store import Images

Files = dict[str, Callable[[], bytes]]
"""Functions that read the files, by path inside the folder or zip, with '/' as separator."""

EXPANSION = 1000  # deflate cannot pack images better; more is a bomb
JUNK = {"thumbs.db", "desktop.ini"}
TEXT = {
    ".csv", ".db", ".htm", ".html", ".ini", ".ipynb", ".json", ".log", ".mat", ".md", ".pdf", ".py", ".rst", ".tsv",
    ".txt", ".xml", ".yaml", ".yml",
}  # fmt: skip
OUTSIDE = re.compile(r"[/\\]|[A-Za-z]:|(.*[/\\])?\.\.([/\\]|$)", re.DOTALL)  # from the start of a member's name
HIDDEN = re.compile(r"(^|/)(\.[^/]|__MACOSX(/|$))")
CONTROL = re.compile(r"[\x00-\x1f]")
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
"""By EXIF's orientation. Pillow's ImageOps.exif_transpose also rewrites the other tags and fails if one is damaged."""
HEIC = {b"heic", b"heix", b"hevc", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1"}


@dataclass(frozen=True)
class Source:
    """The files of a folder or zip."""

    path: Path
    files: Files
    """The files that are not hidden."""
    folders: frozenset[str]
    """All folders, by path inside, also empty ones."""
    hidden: tuple[str, ...]
    """Left-out files: hidden ones, those in hidden folders, and __MACOSX."""

    @property
    def kind(self) -> str:
        """ "folder" or "zip"."""
        return "folder" if self.path.is_dir() else "zip"


def open_source(path: Path) -> Source:
    """List the files of a folder or zip; hidden ones and __MACOSX are left out."""
    if path.is_dir():
        return _folder(path)
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    if not zipfile.is_zipfile(path):
        if path.suffix.lower() == ".zip":
            raise UserError(f"{path}: the zip is cut short or damaged; download or pack it again")
        raise UserError(f"{path}: neither a folder nor a zip; give the folder of the images (unpack an archive first)")
    try:
        return _zip(path, open_zip(path))
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as problem:
        raise UserError(f"{path}: the zip cannot be read ({problem})") from problem


def is_junk(name: str) -> bool:
    """Return whether a file is not an image but common among images: text, tables, thumbnails."""
    file = name.rpartition("/")[2].lower()
    return file in JUNK or os.path.splitext(file)[1] in TEXT


def pixels(read: Callable[[], bytes], where: str) -> Images:
    """Decode an image file into (height, width, 3) uint8, rotated as its EXIF tag says.

    Grey becomes three equal channels, 16 bits become 8, transparency is dropped. Raises UserError naming `where`.
    """
    data = b"?"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on odd metadata
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            data = read()
            with Image.open(io.BytesIO(data)) as image:
                return np.array(_upright(image))
    except Exception as problem:  # Pillow's decoders raise nearly anything on damaged files
        raise UserError(f"{where}: cannot be read as an image ({_reason(problem, data)})") from problem


def look(data: bytes) -> tuple[str | None, bytes]:
    """Return the reason why an image cannot be decoded, None if it can, and a sha256 of its appearance.

    Images of equal pixels have the same one. JPEGs are decoded at an eighth of their size, so different JPEGs may too.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            if Image.MAX_IMAGE_PIXELS and image.width * image.height > Image.MAX_IMAGE_PIXELS:
                raise Image.DecompressionBombError
            size, reduced = image.size, image.draft("RGB", (1, 1)) is not None
            upright = np.asarray(_upright(image))
            return None, hashlib.sha256(f"{size} {reduced} {upright.shape}".encode() + upright.tobytes()).digest()
    except Exception as problem:  # Pillow's decoders raise nearly anything on damaged files
        return _reason(problem, data), b""


def _upright(image: Image.Image) -> Image.Image:
    if image.format == "EPS":
        raise ValueError("PostScript is a program, which Ghostscript would run")
    turn = TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    return _rgb(image if turn is None else image.transpose(turn))


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError("32-bit pixels have no fixed range")
    if "transparency" in image.info:
        image = image.convert("RGBA")
    return image if image.mode == "RGB" else image.convert("RGB")


def _reason(problem: Exception, data: bytes) -> str:
    if not data:
        return "an empty file"
    if data.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS; type: git lfs pull"
    if data[:200].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "a web page"
    if data[4:8] == b"ftyp" and data[8:12] in HEIC:
        return "a HEIC photo, which Pillow does not read; convert it to JPEG"
    if isinstance(problem, UnidentifiedImageError):
        return "no image format that Pillow knows"
    if isinstance(problem, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"more than {Image.MAX_IMAGE_PIXELS:,} pixels"
    words = reason(problem)
    return f"cut short: {words}" if "truncated" in words.lower() else words


def _folder(path: Path) -> Source:
    names, folders = list[str](), set[str]()
    for name, is_folder in _walk(path, "", frozenset()):
        if is_folder:
            folders.add(name)
        else:
            names.append(name)
    files = {name: file_reader(path / name) for name in names if not HIDDEN.search(name)}
    shown = frozenset(folder for folder in folders if not HIDDEN.search(folder))
    return Source(path, files, shown, tuple(name for name in names if name not in files))


def _walk(folder: Path, inside: str, above: frozenset[tuple[int, int]]) -> Iterator[tuple[str, bool]]:
    """Yield the path of every file and folder, and whether it is a folder; links are followed, but not in circles.

    Raises UserError for a folder that cannot be read, unless it is hidden.
    """
    try:
        status = folder.stat()
        here = (status.st_dev, status.st_ino)
        if here in above:
            return
        with os.scandir(folder) as entries:
            ordered = sorted(entries, key=lambda entry: entry.name)
    except OSError as problem:
        if HIDDEN.search(inside):
            return
        raise UserError(f"{folder}: cannot be read ({problem.strerror})") from problem
    for entry in ordered:
        name = f"{inside}{entry.name}"
        if not _is_folder(entry):
            yield name, False
        else:
            yield name, True
            yield from _walk(Path(entry.path), f"{name}/", above | {here})


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, which is named when it is read
        return False


def _zip(path: Path, opened: OpenZip) -> Source:
    archive, members = opened.archive, opened.members
    for member in members.values():
        _refuse_unfit(path, member)
    packed, unpacked = path.stat().st_size, sum(member.file_size for member in members.values())
    if unpacked > EXPANSION * packed:
        raise UserError(
            f"{path}: {packed:,} bytes would unpack to {unpacked:,}, more than {EXPANSION} times as many; refused"
        )
    files = {name: member_reader(archive, member) for name, member in members.items() if not HIDDEN.search(name)}
    folders = {PurePosixPath(folder) for folder in opened.folders} | {PurePosixPath(name).parent for name in members}
    folders |= {parent for folder in folders for parent in folder.parents}
    shown = frozenset(str(folder) for folder in folders if str(folder) != "." and not HIDDEN.search(str(folder)))
    return Source(path, files, shown, tuple(name for name in members if name not in files))


def _refuse_unfit(path: Path, member: zipfile.ZipInfo) -> None:
    if OUTSIDE.match(member.filename):
        raise UserError(f"{path}: member {member.filename} points outside the zip; refused")
    if CONTROL.search(member.filename):
        raise UserError(f"{path}: member {member.filename!r} has control characters in its name; refused")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise UserError(f"{path}: member {member.filename} is a link; refused")
    if member.flag_bits & 1:
        raise UserError(f"{path}: member {member.filename} is encrypted; pack the images anew without a password")
