"""Read a folder or zip of images in the layout {train,test}/<class>/<file>."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from snapshot_cli.datasets.averaging import area_average
from snapshot_cli.datasets.image_files import Files, open_files, pixels
from snapshot_cli.datasets.sources import Splits
from snapshot_cli.datasets.store import Images, Labels
from snapshot_cli.errors import UserError

SPLITS = ("train", "test")
EXPECTED = "the layout {train,test}/<class>/<file>"
Layout = dict[str, dict[str, list[str]]]
"""File names by split and class."""


def tree(path: Path, *, size: int | None = None, expected: str = EXPECTED) -> Splits:
    """Read every image; the classes are the sorted folder names, the same in train and test.

    With `size`, the central square of each is averaged to that side; without, all must be squares of one size.
    One folder around train and test is looked through; files and folders beside train and test are left alone.
    Raises UserError naming the file, folder or class that is wrong; where there are no images, what is `expected`.
    """
    with open_files(path) as files:
        layout = _layout(path, files, expected)
        classes = _classes(path, layout)
        names = {split: [name for of_class in classes for name in layout[split][of_class]] for split in SPLITS}
        labels = {split: _labels([len(layout[split][of_class]) for of_class in classes]) for split in SPLITS}
        images = read_images(path, files, [*names["train"], *names["test"]], size=size)
    kind = "folder" if path.is_dir() else "zip"
    return Splits(
        images[: len(labels["train"])],
        labels["train"],
        images[len(labels["train"]) :],
        labels["test"],
        tuple(classes),
        f"{path.resolve().name}, a {kind} of images",
    )


def read_images(path: Path, files: Files, names: Sequence[str], *, size: int | None) -> Images:
    """Read images into one array (images, side, side, 3), averaged to `size`, without it as they are: of one size.

    Raises UserError naming the file that is no image, no square, too small, or of another size than the first.
    """
    first = _fitted(pixels(files[names[0]], f"{path}: {names[0]}"), f"{path}: {names[0]}", size, None)
    images = np.empty((len(names), *first.shape), dtype=np.uint8)
    for row, name in enumerate(names):
        where = f"{path}: {name}"
        images[row] = _fitted(pixels(files[name], where), where, size, first.shape)
    return images


def _layout(path: Path, files: Files, expected: str) -> Layout:
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
        raise UserError(f"{path}: no images in {' and '.join(empty)}; expected {expected}")
    return layout


def _around(files: Files) -> int:
    """Count the folders around train and test: 0 or 1."""
    tops = {PurePosixPath(name).parts[0] for name in files}
    return int(len(tops) == 1 and not tops & {*SPLITS, *files})


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


def _labels(counts: list[int]) -> Labels:
    return np.repeat(np.arange(len(counts)), counts).astype(np.int64)


def _fitted(image: Images, where: str, size: int | None, first: tuple[int, ...] | None) -> Images:
    height, width = image.shape[:2]
    if size is not None:
        if min(height, width) < size:
            raise UserError(f"{where} is {width}x{height}, too small for {size}x{size}; give a smaller --size")
        return area_average(image, size)
    if first is None and height != width:
        raise UserError(f"{where} is {width}x{height}, not a square; give --size PIXELS to crop and average")
    if first is not None and image.shape != first:
        raise UserError(
            f"{where} is {width}x{height}, the first image {first[1]}x{first[0]};"
            " images of several sizes need --size PIXELS"
        )
    return image
