"""Read SVHN's cropped digits: .mat files with images X (32, 32, 3, examples) and labels y, where 10 means 0."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snapshot_cli.datasets import checksum
from snapshot_cli.datasets.catalogue import Facts, OfficialFile
from snapshot_cli.datasets.sources import Splits
from snapshot_cli.datasets.store import Images, Labels
from snapshot_cli.errors import UserError, reason

CHUNK = 10_000  # images transposed at a time


def read_svhn(path: Path, facts: Facts) -> Splits:
    """Read the .mat files of a folder: test_32x32.mat, and the training files as one split.

    Raises UserError, with the file, if it is missing, has another checksum, or does not hold such images.
    """
    missing = [file.name for file in facts.files if not (path / file.name).is_file()]
    if missing:
        names = ", ".join(file.name for file in facts.files)
        what = "is a file" if path.is_file() else f"has no {', '.join(missing)}"
        raise UserError(f"{path}: {what}; expected a folder with {names} from {facts.source}")
    for file in facts.files:
        checksum.check(path / file.name, file)
    train = [path / file.name for file in facts.files if not _is_test(file)]
    (test,) = (path / file.name for file in facts.files if _is_test(file))
    assert facts.class_names is not None
    source = f"{', '.join(file.name for file in facts.files)}, the official files"
    return Splits(*_read_files(train, facts), *_read_files([test], facts), facts.class_names, source)


def has_files(path: Path, facts: Facts) -> bool:
    """Return whether a folder has any of the official files."""
    return any((path / file.name).is_file() for file in facts.files)


def _is_test(file: OfficialFile) -> bool:
    return file.name.startswith("test")


def _read_files(paths: list[Path], facts: Facts) -> tuple[Images, Labels]:
    """Read files into one array, allocated once: the training images take 1.9 GB."""
    counts = [_count_examples(path, facts) for path in paths]
    images = np.empty((sum(counts), facts.size, facts.size, 3), dtype=np.uint8)
    labels = np.empty(sum(counts), dtype=np.int64)
    start = 0
    for path, count in zip(paths, counts, strict=True):
        labels[start : start + count] = _read_labels(path, count)
        _transpose(images[start : start + count], _read_variable(path, "X"))
        start += count
    return images, labels


def _count_examples(path: Path, facts: Facts) -> int:
    """Return the number of images in a file, from its header."""
    from scipy.io import whosmat

    try:
        variables = {name: (shape, kind) for name, shape, kind in whosmat(str(path))}
    except Exception as problem:  # scipy raises nearly anything on damaged files
        raise _unreadable(path, problem) from problem
    shape, kind = variables.get("X", ((), "missing"))
    if kind != "uint8" or len(shape) != 4 or shape[:3] != (facts.size, facts.size, 3):
        raise UserError(
            f"{path}: X is {kind} {shape}, expected uint8 ({facts.size}, {facts.size}, 3, examples)"
            if kind != "missing"
            else f"{path}: has no images X"
        )
    if shape[3] > facts.train + facts.test:
        raise UserError(f"{path}: {shape[3]:,} images, {facts.title} has {facts.train + facts.test:,} in all")
    return int(shape[3])


def _read_variable(path: Path, name: str) -> NDArray[Any]:
    from scipy.io import loadmat

    try:
        array: NDArray[Any] = loadmat(str(path), variable_names=[name])[name]
    except KeyError as problem:
        raise UserError(f"{path}: has no {name}") from problem
    except Exception as problem:  # scipy raises nearly anything on damaged files
        raise _unreadable(path, problem) from problem
    return array


def _read_labels(path: Path, examples: int) -> Labels:
    array = _read_variable(path, "y")
    if array.shape != (examples, 1) or array.dtype.kind not in "uif":
        raise UserError(f"{path}: y is {array.dtype} {array.shape}, expected one label for each of {examples:,} images")
    wrong = array[~np.isin(array, np.arange(1, 11))]
    if len(wrong):
        raise UserError(f"{path}: has label {wrong[0]}, expected 1 to 10, where 10 means 0")
    labels: Labels = array[:, 0].astype(np.int64) % 10
    return labels


def _transpose(images: Images, array: NDArray[Any]) -> None:
    """Write an array (height, width, 3, examples) into images (examples, height, width, 3), a chunk at a time."""
    for start in range(0, len(images), CHUNK):
        part = slice(start, start + CHUNK)
        images[part] = array[..., part].transpose(3, 0, 1, 2)


def _unreadable(path: Path, problem: Exception) -> UserError:
    return UserError(f"{path}: cannot be read as a .mat file ({reason(problem)})")
