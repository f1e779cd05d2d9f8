"""Images to classify: files, folders and zips, transformed as the test images of the ensemble were."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from snapshot_cli.datasets.evaluation_transform import EvaluationTransform
from snapshot_cli.datasets.file_bytes import stream_reader
from snapshot_cli.datasets.image_files import is_junk, open_source, pixels
from snapshot_cli.datasets.store import Images
from snapshot_cli.errors import UserError

Reader = Callable[[], bytes]


def list_images(paths: Iterable[Path]) -> Iterator[tuple[str, Reader]]:
    """Yield the name and a reader of every file; folders and zips yield their files by name, without hidden ones.

    Raises UserError for a folder or zip without files.
    """
    for path in paths:
        if not path.is_dir() and path.suffix.lower() != ".zip":
            yield str(path), stream_reader(path)
            continue
        files = {name: read for name, read in open_source(path).files.items() if not is_junk(name)}
        if not files:
            raise UserError(f"{path}: no files in it")
        yield from ((str(path / name), files[name]) for name in sorted(files))


def transform_image(read: Reader, name: str, transform: EvaluationTransform) -> Images:
    """Return an image as uint8 (side, side, 3), transformed as the test images of the ensemble were.

    Raises UserError, with `name`, for a file that is not an image or is too small.
    """
    image = pixels(read, name)
    try:
        return transform(image)
    except ValueError as problem:
        raise UserError(f"{name}: is {problem}, the images of the ensemble; give larger images") from None
