"""List the image files of a folder and their classes, without opening one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from snapshot_cli.datasets import ground_truth
from snapshot_cli.errors import UserError


@dataclass(frozen=True)
class Listing:
    """Say which files a folder has: by split the class of each path, '/' between the parts."""

    folder: Path
    classes: tuple[str, ...]
    """The sorted names of the folders in train."""
    train: dict[str, str]
    test: dict[str, str]
    test_split: str
    """The name of the folder that `test` is."""


def listing(folder: Path, *, test: str | None = None) -> Listing:
    """List the files of train/<class>/ and of test/<class>/ or val; without classes, val has ImageNet's ground truth.

    Where `test` does not say which it is, it is test if that has folders of classes, else val. Hidden files and folders
    are left out. Raises UserError naming the folder, file or class that is missing or wrong.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: {'not a folder; unpack it first' if folder.exists() else 'no such folder'}")
    test = test or ("test" if _names(folder / "test", folders=True) else "val")
    for split in ("train", test):
        if not (folder / split).is_dir():
            raise UserError(f"{folder}: has no folder {split}; expected train/<class>/<file> and {test}/<class>/<file>")
    train = _by_class(folder, "train")
    classes = tuple(sorted(set(train.values())))
    if test == "val" and not _names(folder / test, folders=True):
        found = ground_truth.of_files(folder, _names(folder / test, folders=False))
    else:
        found = _by_class(folder, test)
    _refuse_other_classes(folder, test, set(classes), set(found.values()))
    return Listing(folder, classes, train, found, test)


def _by_class(folder: Path, split: str) -> dict[str, str]:
    loose = _names(folder / split, folders=False)
    if loose:
        raise UserError(f"{folder}: {split}/{loose[0]}: expected {split}/<class>/<file>")
    found = {
        f"{split}/{of_class}/{name}": of_class
        for of_class in _names(folder / split, folders=True)
        for name in _names(folder / split / of_class, folders=False)
    }
    if not found:
        raise UserError(f"{folder}: no images in {split}; expected {split}/<class>/<file>")
    return found


def _refuse_other_classes(folder: Path, test: str, train: set[str], found: set[str]) -> None:
    for split, other, odd in ((test, "train", found - train), ("train", test, train - found)):
        if odd:
            more = f" and {len(odd) - 1} more" if len(odd) > 1 else ""
            raise UserError(f"{folder}: {split} has images of class {min(odd)}{more}, {other} has none")


def _names(folder: Path, *, folders: bool) -> list[str]:
    """Return the sorted names of the folders or of the files in a folder, links followed; none where it is missing."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return sorted(each.name for each in entries if not each.name.startswith(".") and each.is_dir() == folders)
