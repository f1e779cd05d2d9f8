"""Draw a contact sheet of training images: as stored, and as augmented for the network."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from snapshot_cli.reporting.style import style

BLOCKS = 3  # columns of examples
IMAGE, LABEL, TITLE, MARGIN = 0.55, 1.05, 0.55, 0.1  # inches: side of an image, width of a label, height of the title


@dataclass(frozen=True)
class Example:
    """A training image and augmented versions of it; all are uint8 (height, width, 3)."""

    label: str
    raw: NDArray[np.uint8]
    augmented: tuple[NDArray[np.uint8], ...]


def draw(examples: Sequence[Example], *, title: str) -> Figure:
    """Draw a row for every example: its label, the stored image and its augmented versions.

    All examples must have the same number of augmented versions.
    """
    rows, block_width = math.ceil(len(examples) / BLOCKS), LABEL + (1 + len(examples[0].augmented)) * IMAGE
    width, height = BLOCKS * block_width + MARGIN, TITLE + rows * IMAGE + MARGIN
    with style():
        figure = Figure(figsize=(width, height), dpi=200)
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
        axes.axis("off")
        axes.text(MARGIN, MARGIN, title, va="top", fontsize=9, fontweight="bold")
        for index, example in enumerate(examples):
            block, row = divmod(index, rows)
            left, top = block * block_width + LABEL, TITLE + row * IMAGE
            label = textwrap.fill(example.label, 15)
            axes.text(left - 0.06, top + IMAGE / 2, label, ha="right", va="center", fontsize=7)
            for column, image in enumerate((example.raw, *example.augmented)):
                start, gap = left + column * IMAGE, 0.03
                box = (start + gap, start + IMAGE - gap, top + IMAGE - gap, top + gap)
                axes.imshow(image, extent=box, interpolation="nearest", aspect="auto")
            if row == 0:
                for heading, x in (("stored", left), ("augmented", left + IMAGE)):
                    axes.text(x + 0.03, TITLE - 0.06, heading, fontsize=7, color="#555555")
    return figure
