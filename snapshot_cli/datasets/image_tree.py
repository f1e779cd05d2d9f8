"""Read a folder or zip of images in the layout {train,test}/<class>/<file>."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np

from snapshot_cli.datasets.averaging import area_average
from snapshot_cli.datasets.image_files import Files, open_files, pixels
from snapshot_cli.datasets.sources import Splits
from snapshot_cli.datasets.store import Images, Labels
from snapshot_cli.errors import UserError

SPLITS = ("train", "test")
Layout = dict[str, dict[str, list[str]]]
"""File names by split and class."""


def tree(path: Path, *, size: int | None = None) -> Splits:
    """Read every image; the classes are the sorted folder names, the same in train and test.

    With `size`, the central square of each is averaged to that side; without, all must be squares of one size.
    One folder around train and test is looked through; files and folders beside train and test are left alone.
    Raises UserError naming the file, folder or class that is wrong.
    """
    with open_files(path) as files:
        layout = _layout(path, files)
        classes = _classes(path, layout)
        shape = None if size else _first_shape(path, files, layout)
        train, test = (_read(path, files, [layout[split][name] for name in classes], size, shape) for split in SPLITS)
    kind = "folder" if path.is_dir() else "zip"
    return Splits(*train, *test, tuple(classes), f"{path.resolve().name}, a {kind} of images")


def _layout(path: Path, files: Files) -> Layout:
    layout: Layout = {split: {} for split in SPLITS}
    around = _around(files)
    for name in sorted(files):
        split, *inside = PurePosixPath(name).parts[around:]
        if split not in SPLITS:
            continue
        if len(inside) != 2:
            raise UserError(f"{path}: {name}: expected {{train,test}}/<class>/<file>")
        layout[split].setdefault(inside[0], []).append(name)
    empty = [split for split in SPLITS if not layout[split]]
    if empty:
        raise UserError(
            f"{path}: no images in {' and '.join(empty)}; expected the layout {{train,test}}/<class>/<file>"
        )
    return layout


def _around(files: Files) -> int:
    """Count the folders around train and test: 0 or 1."""
    tops = {PurePosixPath(name).parts[0] for name in files}
    return int(len(tops) == 1 and not tops & set(SPLITS))


def _classes(path: Path, layout: Layout) -> list[str]:
    found = {split: set(layout[split]) for split in SPLITS}
    differing = [
        f"only in {split}: {', '.join(sorted(found[split] - found[other]))}"
        for split, other in (SPLITS, SPLITS[::-1])
        if found[split] - found[other]
    ]
    if differing:
        raise UserError(f"{path}: train and test have different classes; {'; '.join(differing)}")
    return sorted(found["train"])


def _first_shape(path: Path, files: Files, layout: Layout) -> tuple[int, int]:
    name = min(name for names in layout["train"].values() for name in names)
    height, width = pixels(files[name], f"{path}: {name}").shape[:2]
    if height != width:
        raise UserError(f"{path}: {name} is {width}x{height}, not a square; give --size PIXELS to crop and average")
    return height, width


def _read(
    path: Path, files: Files, names_of_classes: list[list[str]], size: int | None, shape: tuple[int, int] | None
) -> tuple[Images, Labels]:
    names = [name for of_class in names_of_classes for name in of_class]
    labels = np.repeat(np.arange(len(names_of_classes)), [len(of_class) for of_class in names_of_classes])
    images = [_fitted(pixels(files[name], f"{path}: {name}"), f"{path}: {name}", size, shape) for name in names]
    return np.stack(images), labels.astype(np.int64)


def _fitted(image: Images, where: str, size: int | None, shape: tuple[int, int] | None) -> Images:
    height, width = image.shape[:2]
    if size is not None:
        if min(height, width) < size:
            raise UserError(f"{where} is {width}x{height}, too small for {size}x{size}; give a smaller --size")
        return area_average(image, size)
    if shape is not None and (height, width) != shape:
        raise UserError(
            f"{where} is {width}x{height}, the first image {shape[1]}x{shape[0]};"
            " images of several sizes need --size PIXELS"
        )
    return image
