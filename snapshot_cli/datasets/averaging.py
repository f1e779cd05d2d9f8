"""Make images smaller by averaging over areas."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from snapshot_cli.datasets.store import Images

BLOCK = 2**18  # values converted to float64 at a time
OUTPUTS = 8  # at a time; a row of the input overlaps only one or two of them


def area_average(image: Images, size: int) -> Images:
    """Crop the central square of an image (height, width, 3) and average it to (size, size, 3).

    A pixel across a border counts on both sides by its share. The means are exact, since all sums are of whole numbers;
    halves are rounded to even. The shorter side is at least `size`.
    """
    square = central_square(image)
    side = len(square)
    rows = _sum_areas(square.reshape(side, -1), size)
    columns = rows.reshape(size, side, 3).transpose(1, 0, 2)
    sums = _sum_areas(columns.reshape(side, -1), size).reshape(size, size, 3).transpose(1, 0, 2)
    means: Images = np.rint(sums / side**2).astype(np.uint8)
    return means


def _sum_areas(values: NDArray[Any], size: int) -> NDArray[np.float64]:
    """Sum the rows of values (side, columns) to (size, columns), weighted by their overlaps.

    einsum starts no threads; a matrix product would start some in every decoding process.
    """
    side, columns = values.shape
    overlaps, sums = _overlaps(side, size), np.zeros((size, columns))
    height = max(1, min(BLOCK // columns, OUTPUTS * -(-side // size)))
    for start in range(0, side, height):
        block = values[start : start + height].astype(np.float64)
        outputs = slice(start * size // side, -(-(start + len(block)) * size // side))
        sums[outputs] += np.einsum("or,rc->oc", overlaps[outputs, start : start + len(block)], block)
    return sums


def area_averages(images: Images, size: int) -> Images:
    """Average every image of (examples, height, width, 3)."""
    return np.stack([area_average(image, size) for image in images])


def _overlaps(side: int, size: int) -> NDArray[np.float64]:
    """Return the overlaps of `size` outputs with `side` inputs, scaled to whole numbers."""
    # Pillow's box filter takes pixels whole or not at all, so 3 pixels to 2 would count the middle one once.
    outputs, inputs = np.arange(size)[:, None] * side, np.arange(side) * size
    shared = np.minimum(outputs + side, inputs + size) - np.maximum(outputs, inputs)
    overlaps: NDArray[np.float64] = np.maximum(shared, 0).astype(np.float64)
    return overlaps


def central_square(image: Images) -> Images:
    """Return the largest square in the middle of an image (height, width, 3)."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return np.ascontiguousarray(image[top : top + side, left : left + side])
