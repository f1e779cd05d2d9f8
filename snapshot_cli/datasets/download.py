"""Download official files: resumed after a cut, from mirrors where need be, used only where the checksum agrees."""

from __future__ import annotations

import errno
import http.client
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

from snapshot_cli.datasets import checksum
from snapshot_cli.datasets.catalogue import Facts, OfficialFile
from snapshot_cli.errors import ConfigError, UserError

MIRROR = "SNAPSHOT_MIRROR"
FOLDER = ".downloads"
TIMEOUT = 15.0  # seconds without an answer or a byte
CUTS = 20  # in one download; each has to have brought something
BLOCK = 1 << 18
USER_AGENT = "snapshot-cli"

Progress = Callable[[str, int, int | None], None]
"""Called with the address, the bytes that are there and, where the server says so, the bytes of the whole file."""


class _Failed(Exception):
    """An address could not give the file; the message says why, in a few words."""


def official_files(
    dataset: Facts, data_dir: Path, *, progress: Progress, environment: Mapping[str, str] = os.environ
) -> Path:
    """Download what is missing of a dataset's official files into `data_dir`/.downloads; return the archive or folder.

    Several files get a folder of their own. The environment's SNAPSHOT_MIRROR replaces the addresses: a base URL under
    which the files' names lie. Raises UserError naming each address, what went wrong there, and the way out.
    """
    folder = data_dir / FOLDER
    if len(dataset.files) > 1:
        folder /= "svhn" if dataset.name.startswith("svhn") else dataset.name
    for file in dataset.files:
        fetch(file, folder, addresses=addresses(file, environment), remedy=_remedy(dataset), progress=progress)
    return folder / dataset.files[0].name if len(dataset.files) == 1 else folder


def addresses(file: OfficialFile, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return where a file can be fetched; ConfigError for a mirror that is no http or https address."""
    mirror = environment.get(MIRROR)
    if not mirror:
        return file.addresses
    if not mirror.startswith(("http://", "https://")):
        raise ConfigError(f"{MIRROR}: expected a base URL that starts with http:// or https://, given '{mirror}'")
    return (f"{mirror.rstrip('/')}/{file.name}",)


def fetch(file: OfficialFile, folder: Path, *, addresses: tuple[str, ...], remedy: str, progress: Progress) -> Path:
    """Download a file unless it is there with the right checksum, trying the addresses in turn; return its path.

    What has arrived is kept in NAME.part and gone on with next time. Raises UserError that ends with `way_out`.
    """
    target, part = folder / file.name, folder / f"{file.name}.part"
    if target.is_file() and _right(target, file):
        return target
    folder.mkdir(parents=True, exist_ok=True)
    failures = []
    for address in addresses:
        try:
            _download(address, part, progress)
            _verify(part, file)
        except _Failed as failure:
            failures.append(f"{address}: {failure}")
        else:
            os.replace(part, target)
            return target
    kept = f"; {part.stat().st_size:,} bytes are kept in {part}" if part.is_file() and part.stat().st_size else ""
    raise UserError(f"{file.name} could not be downloaded from {'; '.join(failures)}{kept}; {remedy}")


def _remedy(dataset: Facts) -> str:
    names = ", ".join(file.name for file in dataset.files)
    place = "PATH" if len(dataset.files) == 1 else "FOLDER"
    return f"try again, or fetch {names} elsewhere and type: snapshot data prepare {dataset.name} --from {place}"


def _right(path: Path, file: OfficialFile) -> bool:
    return file.md5 is None or checksum.md5(path) == file.md5


def _verify(part: Path, file: OfficialFile) -> None:
    """Delete what has not the official checksum: nobody could go on with it."""
    digest = checksum.md5(part)
    if file.md5 is not None and digest != file.md5:
        part.unlink()
        raise _Failed(f"wrong bytes: their md5 is {digest}, the official one {file.md5}; they were deleted")


def _download(address: str, part: Path, progress: Progress) -> None:
    """Fetch the rest of a file, again from where it was cut as long as every attempt brings something."""
    for _ in range(CUTS):
        before = part.stat().st_size if part.is_file() else 0
        try:
            if _attempt(address, part, before, progress):
                return
            reason = "the connection was cut"
        except urllib.error.HTTPError as problem:
            problem.close()
            raise _Failed(f"the server answers {problem.code} {problem.reason}") from problem
        except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as problem:
            if isinstance(problem, OSError) and problem.filename is not None:
                raise  # the folder's fault, not the network's
            _refuse_full_disk(problem, part)
            reason = _reason(problem)
        if not part.is_file() or part.stat().st_size <= before:
            raise _Failed(reason)
    raise _Failed(f"cut {CUTS} times")


def _attempt(address: str, part: Path, start: int, progress: Progress) -> bool:
    """Fetch the bytes from `start` on and tell whether the file is whole; without a length the checksum tells it."""
    headers = {"User-Agent": USER_AGENT} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        response = urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as problem:
        if problem.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE or not start:
            raise
        problem.close()
        return True  # there is nothing after what is here already
    with response, open(part, "ab") as file:
        if response.status != http.client.PARTIAL_CONTENT:
            start = 0  # the server sends the whole file again
            file.truncate(0)
        length = response.headers.get("Content-Length")
        whole = start + int(length) if length else None
        _refuse_small_disk(part, None if whole is None else whole - start)
        done = start
        progress(address, done, whole)
        while block := response.read(BLOCK):
            file.write(block)
            done += len(block)
            progress(address, done, whole)
        file.flush()
        os.fsync(file.fileno())
    return whole is None or done >= whole


def _refuse_small_disk(part: Path, needed: int | None) -> None:
    free = shutil.disk_usage(part.parent).free
    if needed is not None and needed > free:
        raise UserError(f"{part.parent}: {needed:,} bytes are needed for {part.stem}, {free:,} are free; make room")


def _refuse_full_disk(problem: Exception, part: Path) -> None:
    if isinstance(problem, OSError) and problem.errno in (errno.ENOSPC, errno.EDQUOT):
        raise UserError(f"{part}: no space left on the device; make room and try again") from problem


def _reason(problem: Exception) -> str:
    inner = problem.reason if isinstance(problem, urllib.error.URLError) else problem
    if isinstance(inner, TimeoutError):
        return f"no answer within {TIMEOUT:g} s"
    text = inner.strerror if isinstance(inner, OSError) and inner.strerror else str(inner)
    return " ".join(text.split()) or type(inner).__name__
