"""The published facts of the known datasets."""

from __future__ import annotations

import re
from dataclasses import replace

from snapshot_cli.datasets import class_names
from snapshot_cli.datasets.facts import Facts, OfficialFile, Three

__all__ = [
    "CATALOGUE", "Facts", "OfficialFile", "Three", "averaged_sizes", "facts", "how_to_prepare",
    "split_name",
]  # fmt: skip


def _kriz(name: str, md5: str, *mirrors: str) -> OfficialFile:
    return OfficialFile(name, md5, (f"https://www.cs.toronto.edu/~kriz/{name}", *mirrors))


def _housenumbers(name: str, md5: str) -> OfficialFile:
    return OfficialFile(name, md5, (f"http://ufldl.stanford.edu/housenumbers/{name}",))


CIFAR10_MIRROR = "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/cifar-10-binary.tar.gz"

SVHN_TRAIN = (4_948, 13_861, 10_585, 8_497, 7_458, 6_882, 5_727, 5_595, 5_045, 4_659)
SVHN_EXTRA = (45_550, 90_560, 74_740, 60_765, 50_633, 53_490, 41_582, 43_997, 35_358, 34_456)

SVHN = Facts(
    name="svhn",
    title="SVHN",
    classes=10,
    size=32,
    train=73_257 + 531_131,
    test=26_032,
    mean=(0.0, 0.0, 0.0),  # scaled to [0, 1] as in the DenseNet paper, which Table 1 quotes
    std=(255.0, 255.0, 255.0),
    padding=0,
    flip=False,
    source="http://ufldl.stanford.edu/housenumbers",
    licence="for non-commercial use only; the authors ask to cite Netzer et al., 2011",
    class_names=class_names.DIGITS,
    train_counts=tuple(train + extra for train, extra in zip(SVHN_TRAIN, SVHN_EXTRA, strict=True)),
    test_counts=(1_744, 5_099, 4_149, 2_882, 2_523, 2_384, 1_977, 2_019, 1_660, 1_595),
    files=(
        _housenumbers("train_32x32.mat", "e26dedcc434d2e4c54c9b2d4a06d8373"),
        _housenumbers("extra_32x32.mat", "a93ce644f1a588dc4d68dda5feec44a7"),
        _housenumbers("test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3"),
    ),
)

IMAGENET_MEAN = (123.675, 116.28, 103.53)  # 255 times fb.resnet.torch's, like the std
IMAGENET_STD = (58.395, 57.12, 57.375)

# CIFAR's means and stds are the constants of fb.resnet.torch, on which the authors' code builds.
CATALOGUE: dict[str, Facts] = {
    "digits": Facts(
        name="digits",
        title="Digits",
        classes=10,
        size=8,
        train=400,
        test=1_397,
        mean=None,
        std=None,
        padding=None,
        flip=False,
        source="scikit-learn's load_digits, installed with this program",
        licence="CC BY 4.0 (UCI, Optical Recognition of Handwritten Digits)",
        class_names=class_names.DIGITS,
        train_counts=(40, 40, 39, 41, 40, 41, 40, 40, 39, 40),
        test_counts=(138, 142, 138, 142, 141, 141, 141, 139, 135, 140),
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
        source="https://www.cs.toronto.edu/~kriz/cifar.html",
        licence="no licence stated; the authors ask to cite Krizhevsky, 2009",
        class_names=class_names.CIFAR10,
        content_hash="5ee658762773bc22e6e741ed3120e45ea090de095df6d32051775c134302d66b",
        test_in_training=0,
        files=(_kriz("cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530", CIFAR10_MIRROR),),
        also=(_kriz("cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a"),),
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
        source="https://www.cs.toronto.edu/~kriz/cifar.html",
        licence="no licence stated; the authors ask to cite Krizhevsky, 2009",
        class_names=class_names.CIFAR100,
        content_hash="5db5ba4672add92d8461459bfadd1de5e2fb87575689c1d25434a236432e1978",
        test_in_training=10,
        files=(_kriz("cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8"),),
        also=(_kriz("cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85"),),
    ),
    "svhn": SVHN,
    "svhn-without-extra": replace(
        SVHN,
        name="svhn-without-extra",
        title="SVHN without extra",
        train=73_257,
        train_counts=SVHN_TRAIN,
        files=tuple(file for file in SVHN.files if not file.name.startswith("extra")),
    ),
    "tiny-imagenet": Facts(
        name="tiny-imagenet",
        title="Tiny ImageNet",
        classes=200,
        size=64,
        train=100_000,
        test=10_000,
        mean=None,
        std=None,
        padding=None,
        flip=True,
        source="http://cs231n.stanford.edu/tiny-imagenet-200.zip",
        licence="ImageNet's terms: non-commercial research and education only",
        class_names=None,
        lighting=0.1,  # Krizhevsky et al., 2012, whom the paper names
        test_in_training=7,
        files=(
            OfficialFile(
                "tiny-imagenet-200.zip",
                "90528d7ca1a48142e341f4ef8d21d0de",
                (
                    "http://cs231n.stanford.edu/tiny-imagenet-200.zip",
                    "https://image-net.org/data/tiny-imagenet-200.zip",
                ),
            ),
        ),
    ),
    "imagenet": Facts(
        name="imagenet",
        title="ImageNet",
        classes=1000,
        size=224,
        train=1_281_167,
        test=50_000,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        padding=None,
        flip=True,
        source="https://image-net.org/download-images",
        licence="ImageNet's terms: non-commercial research and education only",
        class_names=None,
        lighting=0.1,
        streamed=True,
    ),
}


def split_name(name: str) -> tuple[str, int | None]:
    """Split "cifar10-16" into ("cifar10", 16); other names are returned whole, with None."""
    base, dash, size = name.rpartition("-")
    if dash and base in CATALOGUE and re.fullmatch("[1-9][0-9]{0,4}", size):
        return base, int(size)
    return name, None


def averaged_sizes(published: Facts) -> list[int]:
    """Return the sides to which a dataset can be averaged: the multiples of 4 below its side."""
    return list(range(4, published.size, 4))


def facts(name: str) -> Facts | None:
    """Return the facts of a dataset of the catalogue, also for a name such as "cifar10-16"; None if it is not there.

    The facts of averaged images have another size, no content hash, and no mean and std unless these are fixed.
    """
    base, size = split_name(name)
    published = CATALOGUE.get(base)
    if published is None or size is None:
        return published
    if size not in averaged_sizes(published):
        return None
    fixed = published.streamed or published.mean == (0.0, 0.0, 0.0)
    return (
        replace(published, size=size)
        if fixed
        else replace(published, size=size, mean=None, std=None, content_hash=None)
    )


def how_to_prepare(name: str) -> str:
    """Return the command that prepares a dataset, with a hint."""
    base, size = split_name(name)
    published = CATALOGUE.get(base)
    if published is None:
        return (
            f"snapshot data prepare {name} --from PATH --size PIXELS"
            " (PATH: a folder or zip with one folder per class; without a test set, add --test-share 0.2)"
        )
    command = f"snapshot data prepare {base}" + (f" --size {size}" if size else "")
    if published.streamed:
        return f"{command} --from FOLDER (FOLDER: train/<wnid>/*.JPEG and val, from {published.source})"
    if not published.files:
        return command
    return (
        f"{command} (downloads {', '.join(file.name for file in published.files)}; to use local files, add --from PATH)"
    )
