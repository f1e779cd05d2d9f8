"""Draw a contact sheet of training images: as stored, and as augmented for the network."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
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
    columns = 1 + len(examples[0].augmented)
    rows = math.ceil(len(examples) / BLOCKS)
    width, height = BLOCKS * (LABEL + columns * IMAGE) + MARGIN, TITLE + rows * IMAGE + MARGIN
    with style():
        figure = Figure(figsize=(width, height), dpi=200)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, width), ylim=(height, 0))
        axes.axis("off")
        axes.text(MARGIN, MARGIN, title, va="top", fontsize=9, fontweight="bold", parse_math=False)
        for block in range(min(BLOCKS, len(examples))):
            _draw_head(axes, block * (LABEL + columns * IMAGE) + LABEL)
        for index, example in enumerate(examples):
            block, row = divmod(index, rows)
            _draw_example(axes, example, left=block * (LABEL + columns * IMAGE), top=TITLE + row * IMAGE)
    return figure


def _draw_head(axes: Axes, left: float) -> None:
    for heading, x in (("stored", left), ("augmented", left + IMAGE)):
        axes.text(x + 0.03, TITLE - 0.06, heading, fontsize=7, color="#555555")


def _draw_example(axes: Axes, example: Example, *, left: float, top: float) -> None:
    axes.text(
        left + LABEL - 0.06,
        top + IMAGE / 2,
        textwrap.fill(example.label, 15),
        ha="right",
        va="center",
        fontsize=7,
        parse_math=False,
    )
    for column, image in enumerate((example.raw, *example.augmented)):
        start, gap = left + LABEL + column * IMAGE, 0.03
        axes.imshow(
            image,
            extent=(start + gap, start + IMAGE - gap, top + IMAGE - gap, top + gap),
            interpolation="nearest",
            aspect="auto",
        )
