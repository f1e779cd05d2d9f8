"""Compare files with the checksums that the authors of a dataset publish."""

from __future__ import annotations

import hashlib
from pathlib import Path

from snapshot_cli.datasets.catalogue import CATALOGUE, OfficialFile
from snapshot_cli.errors import UserError


def md5(path: Path) -> str:
    """Return the md5 of a file in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def check(path: Path, *accepted: OfficialFile) -> None:
    """Raise UserError if a file is none of the accepted ones, with both checksums and the URL to download it from."""
    if any(file.md5 is None for file in accepted):
        return
    digest = md5(path)
    if digest in [file.md5 for file in accepted]:
        return
    for facts in CATALOGUE.values():
        for file in (*facts.files, *facts.also):
            if file.md5 == digest:
                raise UserError(f"{path}: is {file.name} of {facts.title}, expected {accepted[0].name}")
    expected = next((file for file in accepted if file.name == path.name), accepted[0])
    unpacked = ", or unpack it and give the folder" if expected.name.endswith((".tar.gz", ".zip")) else ""
    raise UserError(
        f"{path}: its md5 is {digest}, that of the official {expected.name} is {expected.md5}; the file is cut short,"
        f" damaged or another version: download {expected.urls[0]} again{unpacked}"
    )
