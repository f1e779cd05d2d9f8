"""The published facts of a dataset; catalogue.py has the values."""

from __future__ import annotations

from dataclasses import dataclass

Three = tuple[float, float, float]


@dataclass(frozen=True)
class OfficialFile:
    """A file that the authors of a dataset publish: name, checksum and URLs."""

    name: str
    md5: str | None
    """As published; None, in tests alone: not checked."""
    addresses: tuple[str, ...] = ()
    """The authors' own address first."""


@dataclass(frozen=True)
class Facts:
    """The published facts of a dataset, which need no images."""

    name: str
    title: str
    classes: int
    size: int
    """Side in pixels as prepared by default."""
    train: int
    test: int
    mean: Three | None
    """Channel means, 0..255, where the authors or the paper fix them; None: measured on the training images."""
    std: Three | None
    padding: int | None
    """Border for random crops, in pixels; None: an eighth of the side."""
    flip: bool
    source: str
    """Where a person finds it."""
    licence: str
    class_names: tuple[str, ...] | None
    """In the order of the labels; None: as the files name them."""
    train_counts: tuple[int, ...] | None = None
    """Images of each class; None: every class has the same number."""
    test_counts: tuple[int, ...] | None = None
    files: tuple[OfficialFile, ...] = ()
    """What is downloaded, all of it; empty: the images come with a library, or no program may fetch them."""
    also: tuple[OfficialFile, ...] = ()
    """Other archives of the same images; they are read where a person has them."""
    lighting: float = 0.0
    """Strength of the colour alteration in training."""
    content_hash: str | None = None
    """The content hash of the published images as this program stores them; None if never computed."""
    test_in_training: int | None = None
    """The number of published test images that are training images too; None if never counted."""
    streamed: bool = False
    """Whether images of all sizes are read from their files in training; `size` is then the side of their crops."""
