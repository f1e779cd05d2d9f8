"""Make images smaller by averaging over areas."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snapshot_cli.datasets.store import Images


def area_average(image: Images, size: int) -> Images:
    """Crop the central square of an image (height, width, 3) and average it to (size, size, 3).

    A pixel that lies across a border counts on both sides by its share; the means are exact, halves rounded to even.
    The shorter side is at least `size`.
    """
    square = central_square(image)
    side = len(square)
    overlaps = _overlaps(side, size)
    rows = (overlaps @ square.reshape(side, -1)).reshape(size, side, 3)
    sums = overlaps @ rows  # broadcast over rows: (size, side) @ (size, side, 3)
    means: Images = np.rint(sums / side**2).astype(np.uint8)
    return means


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
