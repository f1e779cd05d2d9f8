"""Read CIFAR-10 and CIFAR-100 from the official archives, binary or Python, packed or extracted."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from snapshot_cli.datasets import checksum, plain_pickle
from snapshot_cli.datasets.archive_members import read_members
from snapshot_cli.datasets.catalogue import Facts
from snapshot_cli.datasets.sources import Splits
from snapshot_cli.datasets.store import Images, Labels
from snapshot_cli.errors import UserError


class Layout(NamedTuple):
    """Name the files of an archive and the folder inside it."""

    kind: str
    folder: str
    train: tuple[str, ...]
    test: str
    names: str
    """The file of the class names."""
    labels: str
    """Python archives: the key of the labels. Binary ones: a letter for every label byte before the pixels."""
    class_names: str = ""
    """Python archives: the key of the class names."""

    @property
    def files(self) -> tuple[str, ...]:
        """The required files."""
        return *self.train, self.test, self.names


LAYOUTS = {
    "cifar10": (
        Layout(
            "binary",
            "cifar-10-batches-bin",
            tuple(f"data_batch_{k}.bin" for k in range(1, 6)),
            "test_batch.bin",
            "batches.meta.txt",
            "f",
        ),
        Layout(
            "Python",
            "cifar-10-batches-py",
            tuple(f"data_batch_{k}" for k in range(1, 6)),
            "test_batch",
            "batches.meta",
            "labels",
            "label_names",
        ),
    ),
    "cifar100": (
        Layout("binary", "cifar-100-binary", ("train.bin",), "test.bin", "fine_label_names.txt", "cf"),
        Layout("Python", "cifar-100-python", ("train",), "test", "meta", "fine_labels", "fine_label_names"),
    ),
}
NAMES_BYTES = 65_536  # limit of a list of class names
EXTRA_BYTES = 200  # limit of what a Python archive stores per image besides the pixels


def read_cifar(path: Path, facts: Facts) -> Splits:
    """Read an official archive, whose checksum is compared, or its extracted folder.

    Raises UserError, with file and member, for a missing member, a wrong size, a label that is too high, and a pickle
    with more than plain data.
    """
    if not path.is_dir():
        checksum.check(path, *facts.files, *facts.also)
    layouts = LAYOUTS[facts.name]
    source = find_extracted(path, facts) or path
    limits = {name: size for layout in layouts for name, size in _size_limits(layout, facts).items()}
    contents = read_members(source, limits)
    layout = max(layouts, key=lambda layout: len(contents.keys() & set(layout.files)))
    missing = [name for name in layout.files if name not in contents]
    if missing:
        raise UserError(f"{source}: has no member {', '.join(missing)}")
    decode = _decode_binary if layout.kind == "binary" else _decode_pickle
    train = [decode(source, name, contents[name], layout, facts) for name in layout.train]
    test_images, test_labels = decode(source, layout.test, contents[layout.test], layout, facts)
    return Splits(
        np.concatenate([images for images, _ in train]),
        np.concatenate([labels for _, labels in train]),
        test_images,
        test_labels,
        _read_class_names(source, layout, contents[layout.names]),
        f"{source.resolve().name}, the official {layout.kind} {'folder' if source.is_dir() else 'archive'}",
    )


def find_extracted(path: Path, facts: Facts) -> Path | None:
    """Return the folder of the extracted files: `path` or its subfolder of the official name; None if there is none."""
    for layout in LAYOUTS[facts.name]:
        for folder in (path, path / layout.folder):
            if any((folder / name).is_file() for name in layout.files):
                return folder
    return None


def _size_limits(layout: Layout, facts: Facts) -> dict[str, int]:
    """Return the largest allowed size in bytes, by file."""
    extra = len(layout.labels) if layout.kind == "binary" else EXTRA_BYTES
    record = extra + 3 * facts.size**2
    header = 0 if layout.kind == "binary" else NAMES_BYTES
    limits = {name: facts.train // len(layout.train) * record + header for name in layout.train}
    return limits | {layout.test: facts.test * record + header, layout.names: NAMES_BYTES}


def _decode_binary(path: Path, member: str, content: bytes, layout: Layout, facts: Facts) -> tuple[Images, Labels]:
    expected = _size_limits(layout, facts)[member]
    if len(content) != expected:
        raise UserError(f"{path}: member {member} has {len(content):,} bytes, expected {expected:,}")
    label_bytes = len(layout.labels)
    records = np.frombuffer(content, dtype=np.uint8).reshape(-1, label_bytes + 3 * facts.size**2)
    labels = records[:, label_bytes - 1].astype(np.int64)
    return _checked_images(path, member, records[:, label_bytes:], labels, facts)


def _decode_pickle(path: Path, member: str, content: bytes, layout: Layout, facts: Facts) -> tuple[Images, Labels]:
    batch = _read_pickle(path, member, content)
    try:
        pixels, labels = plain_pickle.to_array(batch.get("data")), batch.get(layout.labels)
    except ValueError as problem:
        raise UserError(f"{path}: member {member}: {problem}") from problem
    expected = facts.test if member == layout.test else facts.train // len(layout.train)
    if pixels.shape != (expected, 3 * facts.size**2):
        raise UserError(
            f"{path}: member {member} has data of shape {pixels.shape}, expected {(expected, 3 * facts.size**2)}"
        )
    if not isinstance(labels, list) or len(labels) != expected or not all(map(_is_label, labels)):
        raise UserError(f"{path}: member {member} has no list of {expected:,} {layout.labels.replace('_', ' ')}")
    return _checked_images(path, member, pixels, np.array(labels, dtype=np.int64), facts)


def _is_label(value: object) -> bool:
    return type(value) is int and abs(value) < 2**31


def _read_pickle(path: Path, member: str, content: bytes) -> dict[Any, Any]:
    try:
        values = plain_pickle.loads(content)
    except ValueError as problem:
        raise UserError(f"{path}: member {member}: {problem}") from problem
    if not isinstance(values, dict):
        raise UserError(f"{path}: member {member} is not a dict")
    return {key.decode("latin-1") if isinstance(key, bytes) else key: value for key, value in values.items()}


def _checked_images(path: Path, member: str, pixels: Images, labels: Labels, facts: Facts) -> tuple[Images, Labels]:
    wrong = labels[(labels < 0) | (labels >= facts.classes)]
    if len(wrong):
        raise UserError(f"{path}: member {member} has label {wrong[0]}, expected 0 to {facts.classes - 1}")
    planes = pixels.reshape(-1, 3, facts.size, facts.size)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels


def _read_class_names(path: Path, layout: Layout, content: bytes) -> tuple[str, ...]:
    if layout.kind == "binary":
        return tuple(content.decode("utf-8", errors="replace").split())
    names = _read_pickle(path, layout.names, content).get(layout.class_names)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{path}: member {layout.names} has no list of {layout.class_names.replace('_', ' ')}")
    return tuple(names)
