"""Compare files with the checksums that the authors of a dataset publish."""

from __future__ import annotations

import hashlib
from pathlib import Path

from snapshot_cli.datasets.catalogue import OfficialFile
from snapshot_cli.errors import UserError


def md5(path: Path) -> str:
    """Return the md5 of a file in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def check(path: Path, *accepted: OfficialFile) -> None:
    """Refuse a file that is none of the accepted ones: UserError with both checksums and where to fetch it again."""
    if any(file.md5 is None for file in accepted):
        return
    digest = md5(path)
    if digest in [file.md5 for file in accepted]:
        return
    meant = next((file for file in accepted if file.name == path.name), accepted[0])
    unpacked = ", or unpack it and give the folder" if meant.name.endswith((".tar.gz", ".zip")) else ""
    raise UserError(
        f"{path}: its md5 is {digest}, that of the official {meant.name} is {meant.md5}; the file is cut short,"
        f" damaged or another version: fetch {meant.addresses[0]} again{unpacked}"
    )
