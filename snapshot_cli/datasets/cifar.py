"""Read CIFAR-10 and CIFAR-100 as their authors publish them: binary or Python archives, packed or extracted."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from snapshot_cli.datasets import checksum, plain_pickle
from snapshot_cli.datasets.archive_members import members
from snapshot_cli.datasets.catalogue import Facts
from snapshot_cli.datasets.sources import Splits
from snapshot_cli.datasets.store import Images, Labels
from snapshot_cli.errors import UserError


class Layout(NamedTuple):
    """Name the files of an archive and the folder that they are in."""

    kind: str
    folder: str
    train: tuple[str, ...]
    test: str
    names: str
    labels: str
    """In a Python archive the key of the labels, in a binary one a letter for each label before the pixels."""
    class_names: str = ""
    """In a Python archive the key of the class names."""

    @property
    def files(self) -> tuple[str, ...]:
        """The files that are needed."""
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
NAMES_BYTES = 65_536  # more than any list of class names needs
EXTRA_BYTES = 200  # more than a Python archive has for an image beside its pixels


def cifar(path: Path, facts: Facts) -> Splits:
    """Read an archive whose checksum is official, or its extracted folder.

    Raises UserError naming the file and the member that is wrong: missing, of another size, no plain data, a label too
    high.
    """
    if not path.is_dir():
        checksum.check(path, *facts.files, *facts.also)
    layouts = LAYOUTS[facts.name]
    place = extracted(path, facts) or path
    contents = members(place, {name: size for layout in layouts for name, size in _sizes(layout, facts).items()})
    layout = max(layouts, key=lambda layout: len(contents.keys() & set(layout.files)))
    missing = [name for name in layout.files if name not in contents]
    if missing:
        raise UserError(f"{place}: has no member {', '.join(missing)}")
    decode = _binary if layout.kind == "binary" else _pickled
    train = [decode(place, name, contents[name], layout, facts) for name in layout.train]
    test_images, test_labels = decode(place, layout.test, contents[layout.test], layout, facts)
    return Splits(
        np.concatenate([images for images, _ in train]),
        np.concatenate([labels for _, labels in train]),
        test_images,
        test_labels,
        _class_names(place, layout, contents[layout.names]),
        f"{place.resolve().name}, the official {layout.kind} {'folder' if place.is_dir() else 'archive'}",
    )


def extracted(path: Path, facts: Facts) -> Path | None:
    """Return the folder with the extracted files: the one given or one of the official names in it; None: neither."""
    for layout in LAYOUTS[facts.name]:
        for folder in (path, path / layout.folder):
            if any((folder / name).is_file() for name in layout.files):
                return folder
    return None


def _sizes(layout: Layout, facts: Facts) -> dict[str, int]:
    """Return the largest allowed size in bytes by file."""
    extra = len(layout.labels) if layout.kind == "binary" else EXTRA_BYTES
    record = extra + 3 * facts.size**2
    whole = 0 if layout.kind == "binary" else NAMES_BYTES
    sizes = {name: facts.train // len(layout.train) * record + whole for name in layout.train}
    return sizes | {layout.test: facts.test * record + whole, layout.names: NAMES_BYTES}


def _binary(path: Path, member: str, content: bytes, layout: Layout, facts: Facts) -> tuple[Images, Labels]:
    expected = _sizes(layout, facts)[member]
    if len(content) != expected:
        raise UserError(f"{path}: member {member} has {len(content):,} bytes, expected {expected:,}")
    labels_of_image = len(layout.labels)
    records = np.frombuffer(content, dtype=np.uint8).reshape(-1, labels_of_image + 3 * facts.size**2)
    labels = records[:, labels_of_image - 1].astype(np.int64)
    return _checked(path, member, records[:, labels_of_image:], labels, facts)


def _pickled(path: Path, member: str, content: bytes, layout: Layout, facts: Facts) -> tuple[Images, Labels]:
    batch = _plain(path, member, content)
    try:
        pixels, labels = plain_pickle.array(batch.get("data")), batch.get(layout.labels)
    except ValueError as problem:
        raise UserError(f"{path}: member {member}: {problem}") from problem
    expected = facts.test if member == layout.test else facts.train // len(layout.train)
    if pixels.shape != (expected, 3 * facts.size**2):
        raise UserError(
            f"{path}: member {member} has data of shape {pixels.shape}, expected {(expected, 3 * facts.size**2)}"
        )
    if not isinstance(labels, list) or len(labels) != expected or not all(map(_is_label, labels)):
        raise UserError(f"{path}: member {member} has no list of {expected:,} {layout.labels.replace('_', ' ')}")
    return _checked(path, member, pixels, np.array(labels, dtype=np.int64), facts)


def _is_label(value: object) -> bool:
    return type(value) is int and abs(value) < 2**31


def _plain(path: Path, member: str, content: bytes) -> dict[Any, Any]:
    try:
        values = plain_pickle.loads(content)
    except ValueError as problem:
        raise UserError(f"{path}: member {member}: {problem}") from problem
    if not isinstance(values, dict):
        raise UserError(f"{path}: member {member} holds no dict")
    return {key.decode("latin-1") if isinstance(key, bytes) else key: value for key, value in values.items()}


def _checked(path: Path, member: str, pixels: Images, labels: Labels, facts: Facts) -> tuple[Images, Labels]:
    wrong = labels[(labels < 0) | (labels >= facts.classes)]
    if len(wrong):
        raise UserError(f"{path}: member {member} has label {wrong[0]}, expected 0 to {facts.classes - 1}")
    planes = pixels.reshape(-1, 3, facts.size, facts.size)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels


def _class_names(path: Path, layout: Layout, content: bytes) -> tuple[str, ...]:
    if layout.kind == "binary":
        return tuple(content.decode("utf-8", errors="replace").split())
    names = _plain(path, layout.names, content).get(layout.class_names)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{path}: member {layout.names} has no list of {layout.class_names.replace('_', ' ')}")
    return tuple(names)
