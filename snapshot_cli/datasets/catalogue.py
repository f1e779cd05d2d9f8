"""Hold what is known of the datasets of the paper: one literal table of facts."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Facts:
    """State what is fixed about a dataset before anybody has its images."""

    name: str
    title: str
    classes: int
    size: int
    """Side in pixels as prepared by default."""
    train: int
    test: int
    mean: tuple[float, float, float] | None
    """Channel means, 0..255, where the authors' code base fixes them; None: measured on the training images."""
    std: tuple[float, float, float] | None
    padding: int | None
    """Border for random crops, in pixels; None: an eighth of the side."""
    flip: bool
    balanced: bool
    """Every class has the same number of images, in train and in test."""
    source: str
    """Where a person finds it."""
    licence: str
    class_names: tuple[str, ...]
    archive: str | None = None
    """File name of the official archive; None: the images come with a library."""
    md5: str | None = None
    """Checksum of the archive as its authors publish it."""


CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

CIFAR100_CLASSES = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl", "boy",
    "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock",
    "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish",
    "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion",
    "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange",
    "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine",
    "possum", "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk",
    "skyscraper", "snail", "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank",
    "telephone", "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale",
    "willow_tree", "wolf", "woman", "worm",
)  # fmt: skip

# CIFAR's means and deviations are the constants of fb.resnet.torch, which the authors' code builds on.
CATALOGUE: dict[str, Facts] = {
    "digits": Facts(
        name="digits",
        title="Digits",
        classes=10,
        size=8,
        train=1437,
        test=360,
        mean=None,
        std=None,
        padding=None,
        flip=False,
        balanced=False,
        source="scikit-learn's load_digits, installed with this program",
        licence="CC BY 4.0 (UCI, Optical Recognition of Handwritten Digits)",
        class_names=tuple("0123456789"),
    ),
    "cifar10": Facts(
        name="cifar10",
        title="CIFAR-10",
        classes=10,
        size=32,
        train=50_000,
        test=10_000,
        mean=(125.3, 123.0, 113.9),
        std=(63.0, 62.1, 66.7),
        padding=None,
        flip=True,
        balanced=True,
        source="https://www.cs.toronto.edu/~kriz/cifar.html",
        licence="no licence stated; the authors ask to cite Krizhevsky, 2009",
        class_names=CIFAR10_CLASSES,
        archive="cifar-10-binary.tar.gz",
        md5="c32a1d4ab5d03f1284b67883e8d87530",
    ),
    "cifar100": Facts(
        name="cifar100",
        title="CIFAR-100",
        classes=100,
        size=32,
        train=50_000,
        test=10_000,
        mean=(129.3, 124.1, 112.4),
        std=(68.2, 65.4, 70.4),
        padding=None,
        flip=True,
        balanced=True,
        source="https://www.cs.toronto.edu/~kriz/cifar.html",
        licence="no licence stated; the authors ask to cite Krizhevsky, 2009",
        class_names=CIFAR100_CLASSES,
        archive="cifar-100-binary.tar.gz",
        md5="03b5dce01913d631647c71ecec9e9cb8",
    ),
}


def check_name(name: str) -> None:
    """Refuse a dataset name that could not be a folder's name everywhere: ValueError."""
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", name):
        raise ValueError(
            f"expected a dataset name of letters, digits, '.', '_' and '-' that does not start with '.', given {name!r}"
        )


def split_name(name: str) -> tuple[str, int | None]:
    """Split "cifar10-16" into ("cifar10", 16); a name whose base is not in the catalogue is all name."""
    base, dash, size = name.rpartition("-")
    if dash and base in CATALOGUE and re.fullmatch("[1-9][0-9]{0,4}", size):
        return base, int(size)
    return name, None


def averaged_sizes(known: Facts) -> list[int]:
    """List the sides below its own to which a dataset can be averaged: the multiples of 4."""
    return list(range(4, known.size, 4))


def facts(name: str) -> Facts | None:
    """Return the facts of a dataset of the catalogue, also under a name such as "cifar10-16", or None.

    Averaged images keep their base's facts but for the size and for mean and std, which averaging changes: None.
    """
    base, size = split_name(name)
    known = CATALOGUE.get(base)
    if known is None or size is None:
        return known
    return replace(known, size=size, mean=None, std=None) if size in averaged_sizes(known) else None


def how_to_prepare(name: str) -> str:
    """Say in one sentence what to type so that a dataset becomes prepared."""
    base, size = split_name(name)
    known = CATALOGUE.get(base)
    if known is None:
        return (
            f"snapshot data prepare {name} --from PATH --size PIXELS"
            " (PATH: a folder or zip with {train,test}/<class>/<file>)"
        )
    command = f"snapshot data prepare {base}" + (f" --size {size}" if size else "")
    if known.archive is None:
        return command
    return (
        f"{command} --from PATH (PATH: {known.archive} from {known.source},"
        " or a folder or zip with the same images as {train,test}/<class>/<file>)"
    )
