"""Download official files: resumable, from mirrors if needed, and only accepted with the right checksum."""

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
from snapshot_cli.errors import ConfigError, UserError, reason

MIRROR = "SNAPSHOT_MIRROR"
FOLDER = ".downloads"
TIMEOUT = 15.0  # seconds without an answer or a byte
ATTEMPTS = 20  # per download; every one must receive some bytes
BLOCK = 1 << 18
USER_AGENT = "snapshot-cli"

Progress = Callable[[str, int, int | None], None]
"""Called with the URL, the bytes received and, if the server tells it, the size of the file."""


class _Failed(Exception):
    """Raised if a URL does not deliver the file; the message is the reason."""


def fetch_official(
    dataset: Facts, data_dir: Path, *, progress: Progress, environment: Mapping[str, str] = os.environ
) -> Path:
    """Download the missing official files of a dataset into `data_dir`/.downloads; return the archive, or their folder.

    The environment variable SNAPSHOT_MIRROR replaces the URLs: a base URL, to which the file names are appended. Raises
    UserError with every URL, what went wrong there, and what to do.
    """
    folder = data_dir / FOLDER
    if len(dataset.files) > 1:
        folder /= "svhn" if dataset.name.startswith("svhn") else dataset.name
    for file in dataset.files:
        fetch(file, folder, urls=find_urls(file, environment), remedy=_remedy(dataset), progress=progress)
    return folder / dataset.files[0].name if len(dataset.files) == 1 else folder


def find_urls(file: OfficialFile, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the URLs of a file; ConfigError for a mirror that is not http or https."""
    mirror = environment.get(MIRROR)
    if not mirror:
        return file.urls
    if not mirror.startswith(("http://", "https://")):
        raise ConfigError(f"{MIRROR}: expected a base URL that starts with http:// or https://, given '{mirror}'")
    return (f"{mirror.rstrip('/')}/{file.name}",)


def fetch(file: OfficialFile, folder: Path, *, urls: tuple[str, ...], remedy: str, progress: Progress) -> Path:
    """Download a file from the first URL that works and return its path; a file with the right checksum is kept.

    A partial download stays in NAME.part, to resume later. Raises UserError that ends with `remedy`.
    """
    target, part = folder / file.name, folder / f"{file.name}.part"
    if target.is_file() and _has_checksum(target, file):
        return target
    folder.mkdir(parents=True, exist_ok=True)
    failures = []
    for url in urls:
        try:
            _download(url, part, progress)
            _verify(part, file)
        except _Failed as failure:
            failures.append(f"{url}: {failure}")
        else:
            os.replace(part, target)
            return target
    kept = f"; {part.stat().st_size:,} bytes are kept in {part}" if part.is_file() and part.stat().st_size else ""
    raise UserError(f"{file.name} could not be downloaded from {'; '.join(failures)}{kept}; {remedy}")


def _remedy(dataset: Facts) -> str:
    names = ", ".join(file.name for file in dataset.files)
    place = "PATH" if len(dataset.files) == 1 else "FOLDER"
    return f"try again, or get {names} another way and type: snapshot data prepare {dataset.name} --from {place}"


def _has_checksum(path: Path, file: OfficialFile) -> bool:
    return file.md5 is None or checksum.md5(path) == file.md5


def _verify(part: Path, file: OfficialFile) -> None:
    """Delete a download with a wrong checksum, which cannot be resumed."""
    digest = checksum.md5(part)
    if file.md5 is not None and digest != file.md5:
        part.unlink()
        raise _Failed(f"wrong content: its md5 is {digest}, the official one {file.md5}; it was deleted")


def _download(url: str, part: Path, progress: Progress) -> None:
    """Download the rest of a file; after a broken connection resume, as long as every attempt receives some bytes."""
    for _ in range(ATTEMPTS):
        before = part.stat().st_size if part.is_file() else 0
        try:
            if _receive(url, part, before, progress):
                return
            reason = "the connection broke"
        except urllib.error.HTTPError as problem:
            problem.close()
            raise _Failed(f"the server answers {problem.code} {problem.reason}") from problem
        except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as problem:
            if isinstance(problem, OSError) and problem.filename is not None:
                raise  # an error of the folder, not of the network
            _refuse_full_disk(problem, part)
            reason = _reason(problem)
        if not part.is_file() or part.stat().st_size <= before:
            raise _Failed(reason)
    raise _Failed(f"the connection broke {ATTEMPTS} times")


def _receive(url: str, part: Path, start: int, progress: Progress) -> bool:
    """Append the bytes from `start` on; return whether the file is complete, True if the server tells no length."""
    headers = {"User-Agent": USER_AGENT} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as problem:
        if problem.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE or not start:
            raise
        problem.close()
        return True  # no bytes are left
    with response, open(part, "ab") as file:
        if response.status != http.client.PARTIAL_CONTENT:
            start = 0  # the server sends the whole file
            file.truncate(0)
        length = response.headers.get("Content-Length")
        size = start + int(length) if length else None
        _refuse_small_disk(part, None if size is None else size - start)
        done = start
        progress(url, done, size)
        while block := response.read(BLOCK):
            file.write(block)
            done += len(block)
            progress(url, done, size)
        file.flush()
        os.fsync(file.fileno())
    return size is None or done >= size


def _refuse_small_disk(part: Path, needed: int | None) -> None:
    free = shutil.disk_usage(part.parent).free
    if needed is not None and needed > free:
        raise UserError(f"{part.parent}: {part.stem} needs {needed:,} bytes, {free:,} are free; make room")


def _refuse_full_disk(problem: Exception, part: Path) -> None:
    if isinstance(problem, OSError) and problem.errno in (errno.ENOSPC, errno.EDQUOT):
        raise UserError(f"{part}: no space left on the device; make room and try again") from problem


def _reason(problem: Exception) -> str:
    inner = problem.reason if isinstance(problem, urllib.error.URLError) else problem
    if isinstance(inner, TimeoutError):
        return f"no answer within {TIMEOUT:g} s"
    return reason(inner)
