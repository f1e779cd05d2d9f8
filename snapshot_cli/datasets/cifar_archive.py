"""Read the official binary archives of CIFAR-10 and CIFAR-100 member by member; nothing is written to disk."""

from __future__ import annotations

import hashlib
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from snapshot_cli.datasets.catalogue import Facts
from snapshot_cli.datasets.sources import Splits
from snapshot_cli.datasets.store import Images, Labels
from snapshot_cli.errors import UserError


class Layout(NamedTuple):
    """Name the members of an archive and say how many label bytes stand before the pixels; the last one counts."""

    train: tuple[str, ...]
    test: str
    names: str
    label_bytes: int


LAYOUTS = {
    "cifar10": Layout(tuple(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin", "batches.meta.txt", 1),
    "cifar100": Layout(("train.bin",), "test.bin", "fine_label_names.txt", 2),  # coarse label, fine label
}
NAMES_BYTES = 65536  # more than any list of class names needs


def cifar(path: Path, facts: Facts) -> Splits:
    """Read an archive whose checksum, members, record sizes and labels are those of `facts`.

    Raises UserError naming the file and the member that is wrong.
    """
    layout = LAYOUTS[facts.name]
    _check_md5(path, facts)
    record = layout.label_bytes + 3 * facts.size**2
    sizes = {member: facts.train // len(layout.train) * record for member in layout.train}
    sizes |= {layout.test: facts.test * record}
    members = _read(path, sizes, layout.names)
    train = [_decode(path, member, members[member], layout, facts) for member in layout.train]
    test_images, test_labels = _decode(path, layout.test, members[layout.test], layout, facts)
    return Splits(
        np.concatenate([images for images, _ in train]),
        np.concatenate([labels for _, labels in train]),
        test_images,
        test_labels,
        tuple(members[layout.names].decode("utf-8", errors="replace").split()),
        f"{path.resolve().name}, the official binary archive",
    )


def _check_md5(path: Path, facts: Facts) -> None:
    if facts.md5 is None:
        return
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != facts.md5:
        raise UserError(
            f"{path}: its md5 is {found}, that of the official {facts.archive} is {facts.md5}; the file is cut short,"
            f" damaged or another version: fetch {facts.archive} again from {facts.source}"
        )


def _read(path: Path, sizes: dict[str, int], names: str) -> dict[str, bytes]:
    """Return the wanted members' bytes by file name, each checked to have its size before it is read."""
    found: dict[str, bytes] = {}
    place = "its first member"
    try:
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                place = f"member {member.name}"
                if not member.isfile() or (name not in sizes and name != names):
                    continue
                if name in sizes and member.size != sizes[name]:
                    raise UserError(f"{path}: {place} has {member.size:,} bytes, expected {sizes[name]:,}")
                if name == names and member.size > NAMES_BYTES:
                    raise UserError(f"{path}: {place} has {member.size:,} bytes, too many for a list of class names")
                content = archive.extractfile(member)
                assert content is not None  # a regular file has content
                found[name] = content.read()
    except (tarfile.TarError, EOFError, zlib.error, OSError) as problem:
        raise UserError(f"{path}: cannot be read beyond {place}: cut short, damaged or not an archive") from problem
    missing = [name for name in [*sizes, names] if name not in found]
    if missing:
        raise UserError(f"{path}: has no member {', '.join(missing)}")
    return found


def _decode(path: Path, member: str, content: bytes, layout: Layout, facts: Facts) -> tuple[Images, Labels]:
    pixels = 3 * facts.size**2
    records = np.frombuffer(content, dtype=np.uint8).reshape(-1, layout.label_bytes + pixels)
    labels = records[:, layout.label_bytes - 1].astype(np.int64)
    if labels.max() >= facts.classes:
        raise UserError(f"{path}: member {member} has label {labels.max()}, expected 0 to {facts.classes - 1}")
    planes = records[:, layout.label_bytes :].reshape(-1, 3, facts.size, facts.size)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels
