"""The published facts of a dataset; catalogue.py has the values."""

from __future__ import annotations

from dataclasses import dataclass

Three = tuple[float, float, float]


@dataclass(frozen=True)
class OfficialFile:
    """A file that the authors of a dataset publish: name, checksum and URLs."""

    name: str
    md5: str | None
    """As published; None: not checked (in tests)."""
    urls: tuple[str, ...] = ()
    """The authors' URL first."""


@dataclass(frozen=True)
class Facts:
    """The published facts of a dataset."""

    name: str
    title: str
    classes: int
    size: int
    """Side in pixels, as prepared by default."""
    train: int
    test: int
    mean: Three | None
    """Channel means, 0..255, where the authors or the paper fix them; None: measured on the training images."""
    std: Three | None
    padding: int | None
    """Border for random crops, in pixels; None: an eighth of the side."""
    flip: bool
    source: str
    """URL of its page, or the library that includes it."""
    licence: str
    class_names: tuple[str, ...] | None
    """In the order of the labels; None: read from the files."""
    train_counts: tuple[int, ...] | None = None
    """Images of each class; None: every class has the same number."""
    test_counts: tuple[int, ...] | None = None
    files: tuple[OfficialFile, ...] = ()
    """The files to download, all of them; empty: the images come with a library, or their terms forbid it."""
    also: tuple[OfficialFile, ...] = ()
    """Other official archives of the same images, accepted by --from."""
    lighting: float = 0.0
    """Strength of the colour alteration in training."""
    content_hash: str | None = None
    """The content hash of the published images as this program stores them; None if never computed."""
    test_in_training: int | None = None
    """The number of published test images that are training images too; None if never counted."""
    streamed: bool = False
    """Whether image files are read during training; `size` is then the side of the crops."""
